"""The calls of other tools, writing linnet's records."""
