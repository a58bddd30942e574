"""Numbers and lists as text."""

from __future__ import annotations


def percent(share: float) -> str:
    """A share as a percentage with two decimals."""
    return f"{100 * share:.2f} %"
