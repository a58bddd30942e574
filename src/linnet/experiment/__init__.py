"""Whole experiments: train, sweep, evaluate, predict."""
