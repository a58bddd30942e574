"""Arrow files (Feather version 2)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.core import memory
from linnet.core.text import of_path
from linnet.data.arrow.check import MAGIC, READ, TYPES, declared
from linnet.data.parquet.parquet import INDEX, MAX_RATIO, RATIO_FROM, careful, read_whole
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.errors import DataError

if TYPE_CHECKING:
    import polars

ENDINGS = (".arrow", ".feather", ".ipc")
OLD = b"FEA1"


class Arrow:
    """A file in Arrow's file format, recognised by its ending or its first bytes.

    linnet checks what it declares before polars reads it: where its messages and values lie, how
    many they are, and how large they become. A pandas index without a name is left out.
    """

    def matches(self, place: object) -> bool:
        """Whether ``place`` is such a file."""
        if not isinstance(place, Path) or not place.is_file():
            return False
        if place.name.lower().endswith(ENDINGS):
            return True
        try:
            with open(place, "rb") as file:
                return file.read(len(MAGIC)) == MAGIC
        except OSError:
            return False

    def read(self, place: Path, reading: Reading) -> Table:
        """The columns of the file; ``DataError`` names file and column."""
        from linnet.data.text.columns import (
            check_names,
            refused,
            to_table,
        )  # polars is slow to load

        source = of_path(place)
        content = read_whole(place)
        if content.startswith(OLD):
            raise DataError(
                f"{source}: Feather of version 1, which is no longer written; read it with pandas "
                "and write it anew: frame.to_feather(path)"
            )
        found = declared(content, source)
        names = [name for name, _ in found.columns]
        check_names(names, source, reading)
        index = [n for n in names if INDEX.fullmatch(n) and n not in reading.columns]
        kept = [name for name in names if name not in (*reading.drop, *index)]
        for name, kind in found.columns:
            if name in kept and kind not in READ:
                raise refused(source, name, TYPES.get(kind, "of an unknown kind"))
        if found.need > RATIO_FROM and found.need > MAX_RATIO * len(content):
            raise DataError(
                f"{source}: declares {found.need:,} bytes of values in a file of {len(content):,}; "
                f"at most {MAX_RATIO:,} times its size (MAX_RATIO): fetch it again from one you "
                "trust"
            )
        memory.require(found.need, source)

        def decode() -> polars.DataFrame:
            import polars

            return polars.read_ipc(io.BytesIO(content), columns=kept)

        frame = careful(decode, source)
        notes: tuple[str, ...] = ()
        if index:
            notes = (f"the index of pandas was left out: {', '.join(index)}",)
        return to_table(
            frame, of_path(place.stem), reading.model_copy(update={"drop": ()}), source=source,
            notes=notes,
        )  # fmt: skip
