"""linnet: from a line to a net."""

__version__ = "0.1.0"
