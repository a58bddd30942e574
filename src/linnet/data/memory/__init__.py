"""Data that is already in memory."""
