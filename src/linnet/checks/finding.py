"""What a check finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """``what`` is the matter, in words, and the ``remedy``. One that ``blocks`` would make every
    result wrong."""

    what: str
    remedy: str
    blocks: bool = False

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"
