"""The result of a check."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """A problem, in words: ``what`` it is, and its ``remedy``.

    ``where`` names columns, rows or files, ``count`` is their number, ``why`` says how it affects
    results. The severity "stop" means that every result would be wrong; a "note" is information.
    """

    what: str
    remedy: str
    severity: Literal["note", "warning", "stop"] = "warning"
    where: str = ""
    count: int | None = None
    why: str = ""

    @property
    def blocks(self) -> bool:
        """Whether the finding stops the training."""
        return self.severity == "stop"

    def __str__(self) -> str:
        why = f": {self.why}" if self.why else ""
        return f"{self.what}{why}; {self.remedy}"
