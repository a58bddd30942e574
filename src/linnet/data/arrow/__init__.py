"""Tables in Arrow's file format, which is also Feather version 2."""
