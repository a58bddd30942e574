"""scikit-learn estimators on the same engine: thin wrappers of ``fit``."""
