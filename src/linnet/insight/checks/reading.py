"""What the source of the data has warned of while it read."""

from __future__ import annotations

from linnet.data.dataset import Dataset
from linnet.data.split import Split
from linnet.data.table import Warned
from linnet.insight.checks.finding import Finding


def reading(data: Dataset, split: Split | None) -> list[Finding]:
    """The notes of the source that are warnings."""
    return [
        Finding(
            note.what,
            note.remedy,
            where=data.name,
            why="what was read may not be what was meant",
        )
        for note in data.notes
        if isinstance(note, Warned)
    ]
