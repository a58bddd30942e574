"""Judging data, fits and models: takes rows and models, never a run."""
