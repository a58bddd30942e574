"""Connections to other tools."""
