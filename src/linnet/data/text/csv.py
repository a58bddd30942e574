"""Text files of a table: a record a line, values cut by commas, tabs and the like."""

from __future__ import annotations

from pathlib import Path

from linnet.data.reading import Reading
from linnet.data.table import Table

ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat")
PARQUET = b"PAR1"


class Csv:
    """A file whose name ends in ``.csv``, ``.tsv``, ``.tab``, ``.txt``, ``.data`` or ``.dat``, also
    with ``.gz``, and which is no Parquet file by its first bytes.

    Values are separated by commas, semicolons, tabs or bars, which is found from the first records;
    those in double quotes may hold separators, line ends and doubled quotes. Spaces around a value
    do not matter. The text is UTF-8, or UTF-16 or UTF-32 by its mark, or what ``encoding`` names;
    plain or gzip. A column is numbers if every value in it is one, and else text: digits with
    leading zeros, or too many for a number to hold, are text. What is wrong is told by its line.
    """

    def matches(self, place: object) -> bool:
        if not isinstance(place, Path) or not place.is_file():
            return False
        if not place.name.lower().removesuffix(".gz").endswith(ENDINGS):
            return False
        try:
            with open(place, "rb") as file:
                return file.read(len(PARQUET)) != PARQUET
        except OSError:  # reading it will tell
            return True

    def read(self, place: Path, reading: Reading) -> Table:
        from linnet.data.text.reader import read_text  # polars, only when a table is read

        return read_text(place, reading)
