"""Tables in text files: one record per line, values separated by commas, tabs or similar."""

from __future__ import annotations

from pathlib import Path

from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.data.text.packed import inside

ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat")
PARQUET = b"PAR1"


class Csv:
    """A file whose name ends in ``.csv``, ``.tsv``, ``.tab``, ``.txt``, ``.data`` or ``.dat``, also
    with ``.gz``, ``.bz2`` or ``.xz``, unless its first bytes are those of a Parquet file; and a zip
    that holds one such file.

    Values are separated by commas, semicolons, tabs or bars; the first records decide which. Values
    in double quotes may hold separators, line ends and doubled quotes. Spaces around a value do not
    matter. The text is UTF-8, or UTF-16 or UTF-32 with a byte-order mark, or in the encoding
    ``encoding``; Chinese in GB18030 is recognised. A column is numbers if every value is a number,
    else text. Digits with leading zeros, or too many for a number, are text. Errors name the line.
    """

    def matches(self, place: object) -> bool:
        if not isinstance(place, Path) or not place.is_file():
            return False
        found = inside(place)
        if found is None or not found.name.lower().endswith(ENDINGS):
            return False
        try:
            with open(place, "rb") as file:
                return file.read(len(PARQUET)) != PARQUET
        except OSError:  # read() will raise the error
            return True

    def read(self, place: Path, reading: Reading) -> Table:
        from linnet.data.text.reader import read_text  # polars, only when a table is read

        return read_text(place, reading)
