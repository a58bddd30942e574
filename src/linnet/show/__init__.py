"""Readers of runs: the report, the live page, displays, progress."""
