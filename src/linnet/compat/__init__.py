"""Names that people type; the code is in ``linnet.integrations.compat``."""
