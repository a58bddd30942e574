"""What a check finds."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """``what`` is the matter, in words, and the ``remedy``.

    ``where`` names columns, rows or files, ``count`` says how many there are, ``why`` what it does
    to a result. One of severity "stop" would make every result wrong; a "note" is only good to
    know.
    """

    what: str
    remedy: str
    severity: Literal["note", "warning", "stop"] = "warning"
    where: str = ""
    count: int | None = None
    why: str = ""

    @property
    def blocks(self) -> bool:
        """Whether nothing should be trained."""
        return self.severity == "stop"

    def __str__(self) -> str:
        why = f": {self.why}" if self.why else ""
        return f"{self.what}{why}; {self.remedy}"
