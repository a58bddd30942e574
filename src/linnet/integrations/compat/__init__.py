"""The calls of other tools; they write linnet's records."""
