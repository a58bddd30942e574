"""Text files of tables."""
