"""Tables as JSON lines: one object a line, whose keys are the names of the columns."""

from __future__ import annotations

from pathlib import Path

from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.data.text.packed import inside

ENDINGS = (".jsonl", ".ndjson", ".json")


class JsonLines:
    """A file whose name ends in ``.jsonl``, ``.ndjson`` or ``.json``, also with ``.gz``, ``.bz2``
    or ``.xz``; and a zip that holds one such file.

    Each line is one JSON object of numbers, text, truth values and nulls; a key that a line lacks
    is a missing value, as is NaN. All values of a column are of one kind, and no key is there
    twice. Errors name the line.
    """

    def matches(self, place: object) -> bool:
        if not isinstance(place, Path) or not place.is_file():
            return False
        found = inside(place)
        return found is not None and found.name.lower().endswith(ENDINGS)

    def read(self, place: Path, reading: Reading) -> Table:
        from linnet.data.text.objects import read_lines  # polars, only when a table is read

        return read_lines(place, reading)
