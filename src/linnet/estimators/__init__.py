"""scikit-learn's estimators on the same engine: thin ways to call ``fit``."""
