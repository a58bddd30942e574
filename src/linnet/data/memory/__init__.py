"""Data that is in memory already."""
