"""Standalone scripts: a run's model trained again without linnet."""
