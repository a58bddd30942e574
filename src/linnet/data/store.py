"""Rows that do not fit into memory, encoded once into a folder of flat files.

A store holds the encoded rows of a table: the training rows first, in an order drawn at random,
then the validation rows and the test rows in the order of the source. Files are mapped: what a
computation touches is in memory, and the system may drop it again. So a ``Dataset`` of a store is
used like any other, and its parts are slices.

Training rows are shuffled while they are written: each row goes to a bucket drawn at random, then
each bucket is shuffled in memory. That is a permutation of all rows, for one more write and read.

A store is written whole or not at all. Its name says from which files, with which settings, it was
made; so it is found again.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import shutil
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from glob import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from linnet.core import files, memory
from linnet.core.randomness import chosen, generator
from linnet.data import columns
from linnet.data.coded import Coded
from linnet.data.codes import Codes
from linnet.data.column import Column
from linnet.data.dataset import Dataset
from linnet.data.draft import outline
from linnet.data.large import Large
from linnet.data.parquet.blocks import ROWS, Files
from linnet.data.reading import Reading
from linnet.data.schema import Schema
from linnet.data.split import Split
from linnet.data.table import LeftOut, Warned
from linnet.errors import DataError, WorkError

FORMAT = 1
HEADER = "store.json"

BUCKET = 1 << 27
"""The bytes of encoded rows that are shuffled together, ..."""

MOST_BUCKETS = 256
"""... or more, if there would be more buckets than this: each is up to three open files."""

COLUMNS = 1 << 27
"""The bytes of columns that are in memory together, while means and categories are learnt."""

SEEN, SEEN_BYTES, SEEN_LEAST = 200_000, 1 << 29, 1000
"""The rows, drawn by number, that are kept as they were read, for checks that look at records; at
most so many bytes of them, but not fewer rows than the last number."""

PARTS = ("train", "valid", "test")

Array = np.ndarray[Any, Any]
Divide = Callable[[Dataset], Split]


class Source(Protocol):
    """What a store is made of: it has a ``name``, and ``facts`` that tell its files from others."""

    name: str

    @property
    def facts(self) -> list[Any]: ...

    def fits(self, have: int) -> bool:
        """Whether it fits into ``have`` bytes of memory."""

    def ready(self, folder: Path) -> AbstractContextManager[Files | Dataset]:
        """A block with files that are read by blocks, or with pictures in a mapped file; what that
        needs of a disk is in ``folder``."""


class Stored(NamedTuple):
    """The encoded rows, the row numbers of each part, and the records of some rows with their
    parts."""

    data: Dataset
    split: Split
    seen: Dataset
    seen_split: Split


def fits(source: Source) -> bool:
    """Whether the rows of these files fit into memory, as they are read and encoded."""
    have = memory.available()
    return have is None or source.fits(have)


def stored(
    source: Source,
    reading: Reading,
    folder: Path,
    divide: Divide,
    settings: dict[str, Any],
    *,
    make: bool = True,
) -> Stored:
    """The store of these files below ``folder``, which is made if it is not there; without
    ``make`` that is a ``DataError``.

    ``divide`` splits the rows; ``settings`` are all that it and the encoding depend on, ``seed``
    among them.
    """
    place = _place(source, folder, settings)
    if not (place / HEADER).is_file():
        place = _decided(source, folder, settings) or place
    if not (place / HEADER).is_file():
        if not make:
            raise DataError(f"{place}: no such store: it was removed, or the data has changed")
        _make(source, reading, place, divide, settings)
    return opened(place)


def opened(place: Path) -> Stored:
    """The store in the folder ``place``; raises ``DataError`` if it is damaged."""
    header = files.read_json(place / HEADER)
    files.check_format(header, FORMAT, place / HEADER, DataError)
    sizes = [header["rows"][part] for part in PARTS]
    rows, starts = sum(sizes), np.cumsum([0, *sizes])
    schema = Schema.parse(header["schema"], str(place), DataError)
    arrays = {
        name: _mapped(place / f"{name}.bin", dtype, [rows, *shape])
        for name, (dtype, shape) in header["arrays"].items()
    }
    x = arrays.get("x")
    if x is None:
        places = torch.tensor(header["places"], dtype=torch.int64)
        x = Coded(arrays["numbers"], arrays["codes"], places, schema.shape[0])
    name, notes = header["name"], tuple(map(_note, header["notes"]))
    data = Dataset(x, arrays["y"], schema, name=name, notes=notes, mapped=place)
    split = Split(*(_numbers(place, a, b) for a, b in pairwise(starts.tolist())))
    about = header["seen"]
    draft = Schema.parse(about["schema"], str(place), DataError)
    count = about["rows"]
    records = _mapped(place / "seen_x.bin", draft.dtype, [count, *draft.shape])
    y = _mapped(place / "seen_y.bin", _name(arrays["y"]), [count, *arrays["y"].shape[1:]])
    part = _mapped(place / "seen_part.bin", "int8", [count])
    seen = Dataset(records.clone(), y.clone(), draft, name=name, notes=notes)
    chosen_parts = ((part == k).nonzero().flatten() for k in range(3))
    return Stored(data, split, seen, Split(*chosen_parts))


def scratch(folder: Path, rows: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
    """What ``make`` makes of ``rows``, block by block, as a mapped file beside the store; the
    system removes it when nothing uses it any more. Of ``Coded`` rows it is in memory, as they are
    small."""
    if isinstance(rows, Coded) or not len(rows):
        return make(rows)
    first = make(rows[:1])
    result = vector(folder, (len(rows), *first.shape[1:]), first.dtype)
    for start in range(0, len(rows), ROWS):
        result[start : start + ROWS] = make(rows[start : start + ROWS])
    return result


def vector(folder: Path, shape: Sequence[int], kind: torch.dtype) -> Tensor:
    """A tensor of zeros in a mapped file beside the store: what is written may leave memory again.
    The system removes the file when nothing uses it any more."""
    size = math.prod(shape)
    if not size:
        return torch.zeros(tuple(shape), dtype=kind)
    with files.nameless(folder, size * kind.itemsize) as path:
        return torch.from_file(path, shared=True, size=size, dtype=kind).reshape(tuple(shape))


def _mapped(path: Path, dtype: str, shape: Sequence[int]) -> Tensor:
    """A file as a tensor; what is not touched is not read."""
    kind = getattr(torch, dtype)
    count = math.prod(shape)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror or error}") from error
    if size != count * kind.itemsize:
        raise DataError(
            f"{path}: {size:,} bytes, expected {count * kind.itemsize:,}: the store is damaged; "
            "remove its folder, and it is made again"
        )
    if not count:
        return torch.empty(tuple(shape), dtype=kind)
    return torch.from_file(str(path), shared=False, size=count, dtype=kind).reshape(tuple(shape))


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _numbers(folder: Path, start: int, stop: int) -> Tensor:
    """The numbers from ``start`` to ``stop``, mapped if they are many."""
    if stop - start <= ROWS:
        return torch.arange(start, stop)
    result = vector(folder, (stop - start,), torch.int64)
    return torch.arange(start, stop, out=result)


def _told(note: str) -> list[str]:
    """A note as plain values: its kind, and its words."""
    if isinstance(note, Warned):
        return ["warned", note.what, note.remedy]
    return ["left out" if isinstance(note, LeftOut) else "", str(note)]


def _note(told: Sequence[str]) -> str:
    kind, *words = told
    return Warned(*words) if kind == "warned" else LeftOut(words[0]) if kind else words[0]


def _place(source: Source, folder: Path, settings: dict[str, Any]) -> Path:
    """The folder of a store."""
    return folder / f"{_named(source)}-{_fingerprint(source, settings)[:16]}"


def _decided(source: Source, folder: Path, settings: dict[str, Any]) -> Path | None:
    """The store of a run that goes on, or is looked at: its recipe has in place of "auto" what was
    decided when the store was made."""
    for path in sorted(folder.glob(f"{escape(_named(source))}-*/{HEADER}")):
        header = files.read_json(path)
        before = header["settings"]
        now = {"task": header["schema"]["task"], "valid": header["rows"]["valid"]}
        now = {key: value for key, value in now.items() if before.get(key) == "auto"}
        same = {**before, **now} == settings
        if same and header["fingerprint"] == _fingerprint(source, before):
            return path.parent
    return None


def _named(source: Source) -> str:
    return source.name.replace("/", "_")[:60]


def _fingerprint(source: Source, settings: dict[str, Any]) -> str:
    """A sha256 over what tells the files from others, and over ``settings``."""
    return hashlib.sha256(files.canonical([FORMAT, source.facts, settings])).hexdigest()


def _make(
    source: Source,
    reading: Reading,
    place: Path,
    divide: Divide,
    settings: dict[str, Any],
) -> None:
    """Write the store, under another name until it is whole."""
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        with source.ready(place.parent) as found:
            if isinstance(found, Dataset):
                plan: _Plan = _pictured(found, reading, divide)
            else:
                plan = _planned(found, reading, divide, settings)
            _check_disk(place, plan)
            files.make_folders(place.parent)
            files.make_folder(temporary)
            header = _Writer(plan, temporary, int(settings["seed"])).write()
            told = {"fingerprint": _fingerprint(source, settings), "settings": settings}
            files.write_json(temporary / HEADER, {**header, **told})
            files.move_folder(temporary, place)
    except OSError as error:
        raise WorkError(f"{place}: cannot write the store: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@dataclass(frozen=True)
class _Plan:
    """What is to be written: the schemas of records and of encoded rows, the part of each row (-1:
    left out), and targets by row."""

    name: str
    draft: Schema
    schema: Schema
    part: Array
    y: Tensor
    notes: tuple[str, ...]

    @property
    def rows(self) -> list[int]:
        return [int((self.part == number).sum()) for number in range(len(PARTS))]

    @property
    def bytes(self) -> int:
        """The size of an encoded row."""
        return self.width + self.y[:1].numel() * 8

    @property
    def seen(self) -> float:
        """The share of the rows that are kept as they were read."""
        most = min(SEEN, SEEN_BYTES // (math.prod(self.draft.shape) * self.draft_bytes))
        return max(SEEN_LEAST, most) / len(self.part)

    @property
    def draft_bytes(self) -> int:
        return np.dtype(self.draft.dtype).itemsize

    @property
    @abstractmethod
    def width(self) -> int:
        """The bytes of the inputs of an encoded row."""

    @abstractmethod
    def records(self) -> Iterator[tuple[int, Array]]:
        """All rows as they were read, block by block, and the number of each block's first row."""

    @abstractmethod
    def encoded(self, records: Array) -> Array | Codes:
        """Rows as they are stored."""

    def learnt(self, train: Tensor) -> Schema:
        """The schema, when the encoded training rows are known."""
        return self.schema


@dataclass(frozen=True)
class _Rows(_Plan):
    """The rows of a table."""

    table: Large

    @property
    def width(self) -> int:
        fields = [field for field in self.schema.fields if field.used]
        number = np.dtype(self.schema.dtype).itemsize
        several = zip(fields, columns.coded(fields), strict=True)
        return sum(4 if many else len(field.names) * number for field, many in several)

    def records(self) -> Iterator[tuple[int, Array]]:
        used = [field.name for field in self.draft.fields if field.used]
        for start, table in self.table.blocks(used):
            yield start, columns.records(self.draft.fields, table, self.draft.missing)

    def encoded(self, records: Array) -> Array | Codes:
        schema = self.schema
        return columns.as_arrays(schema.fields, records, schema.dtype, self.draft.fields)


@dataclass(frozen=True)
class _Pixels(_Plan):
    """Pictures."""

    x: Tensor

    @property
    def width(self) -> int:
        return self.x[:1].numel()

    def records(self) -> Iterator[tuple[int, Array]]:
        block = max(1, BUCKET // self.width // 4)
        for start in range(0, len(self.x), block):
            yield start, self.x[start : start + block].numpy()

    def encoded(self, records: Array) -> Array | Codes:
        return records

    def learnt(self, train: Tensor) -> Schema:
        rows = Dataset(train, self.y[:0], self.schema)
        return rows.learn(torch.arange(len(train))).schema if len(train) else self.schema


def _planned(files: Files, reading: Reading, divide: Divide, settings: dict[str, Any]) -> _Rows:
    """Survey the columns, split the rows, learn means and categories of the training rows."""
    table = Large.of(files, reading)
    reading = reading.model_copy(update=dict(table.given))
    found = outline(table, reading)
    rows = len(table)
    numbers = torch.arange(rows, dtype=torch.int32) if found.kept is None else found.kept
    thin = Dataset(
        numbers[:, None], found.y, found.schema, name=table.name, notes=found.notes,
        division=found.division,
    )  # fmt: skip
    del found
    thin, part, y = _divided(thin, rows, reading, divide)
    draft, notes = thin.schema, thin.notes
    del thin
    schema = _learnt(table, draft, part == 0, settings)
    return _Rows(table.name, draft, schema, part, y, notes, table)


def _pictured(data: Dataset, reading: Reading, divide: Divide) -> _Pixels:
    """Split pictures."""
    thin = replace(data, x=torch.arange(len(data))[:, None])
    thin, part, y = _divided(thin, len(data), reading, divide)
    return _Pixels(data.name, thin.schema, thin.schema, part, y, thin.notes, data.x)


def _divided(
    thin: Dataset, rows: int, reading: Reading, divide: Divide
) -> tuple[Dataset, Array, Tensor]:
    """The selected rows of a data set whose inputs are the numbers of its rows; the part of each of
    all ``rows``, and their targets."""
    thin = thin.select(reading.classes, reading.positive)
    thin = replace(thin, y=_narrow(thin.y))
    numbers = thin.x[:, 0]
    part = np.full(rows, -1, np.int8)
    for number, chosen_rows in enumerate(divide(thin)):
        part[numbers[chosen_rows].numpy()] = number
    y = thin.y
    if len(numbers) < rows:
        y = y.new_zeros((rows, *y.shape[1:]))
        y[numbers] = thin.y
    return thin, part, y


def _learnt(table: Large, draft: Schema, train: Array, settings: dict[str, Any]) -> Schema:
    """The schema of encoded rows: what ``Schema.learn`` makes of all records, column by column."""
    used = [field for field in draft.fields if field.used]
    rows = int(train.sum())
    together = max(1, COLUMNS // (8 * rows))
    most, seed = int(settings["max_categories"]), int(settings["seed"])
    found: list[tuple[Column, bool]] = []
    for first in range(0, len(used), together):
        group = used[first : first + together]
        every, at = np.empty((len(group), rows)), 0
        for start, block in table.blocks([field.name for field in group]):
            some = np.flatnonzero(train[start : start + len(block)])
            for values, field in zip(every, group, strict=True):
                series = columns.without(block.columns[field.name], draft.missing)
                values[at : at + len(some)] = columns.record(field, series, block)[some]
            at += len(some)
        found += [
            columns.learn(field, values, most, seed)
            for field, values in zip(group, every, strict=True)
        ]
    return draft.learnt(found)


def _narrow(y: Tensor) -> Tensor:
    """Class codes in as few bytes as they need."""
    if y.is_floating_point() or not y.numel():
        return y
    return y.to(torch.int8 if int(y.max()) < 1 << 7 else torch.int32)


def _check_disk(place: Path, plan: _Plan) -> None:
    """Raise ``WorkError`` if the store would not fit on the disk."""
    need = sum(plan.rows) * plan.bytes + 2 * BUCKET + SEEN_BYTES
    free = files.free(place.parent)
    if free is not None and need > free:
        raise WorkError(
            f"{place}: the encoded rows take about {need / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB "
            "are free there; give another disk (store=DIR), or fewer columns (drop=...)"
        )


class _Writer:
    """Writes the rows of a plan into the folder ``place``, in one pass over the source."""

    def __init__(self, plan: _Plan, place: Path, seed: int) -> None:
        self.plan, self.place, self.seed = plan, place, seed
        self.rows = plan.rows
        self.buckets = min(MOST_BUCKETS, max(1, -(-self.rows[0] * plan.bytes // BUCKET)))
        self.arrays: dict[str, tuple[str, list[int]]] = {}
        self.places: list[int] = []
        self.seen: list[tuple[Array, Array, Array]] = []

    def write(self) -> dict[str, Any]:
        """Write all files but the header, and return its facts."""
        with ExitStack() as stack:
            scatter = _Outputs(self.place, "bucket", stack)
            rest = _Outputs(self.place, "rest", stack)
            for start, arrays, part in self._encoded():
                self._scatter(start, arrays, part, scatter, rest)
        self._gather()
        plan = self.plan
        seen = zip(*self.seen, strict=True)
        for name, parts in zip(("seen_x", "seen_y", "seen_part"), seen, strict=True):
            with files.fresh(self.place / f"{name}.bin") as out:
                for array in parts:
                    out.write(np.ascontiguousarray(array).data)
                files.flush(out)
        return {
            "format": FORMAT,
            "name": plan.name,
            "notes": list(map(_told, plan.notes)),
            "schema": self._schema().plain(),
            "rows": dict(zip(PARTS, self.rows, strict=True)),
            "arrays": self.arrays,
            "places": self.places,
            "seen": {
                "schema": plan.draft.plain(),
                "rows": sum(len(part) for *_, part in self.seen),
            },
        }

    def _encoded(self) -> Iterator[tuple[int, dict[str, Array], Array]]:
        """The arrays of the rows that are kept, block by block, the number of the block's first
        row, and the part of each row."""
        plan = self.plan
        for start, records in plan.records():
            rows = slice(start, start + len(records))
            kept = plan.part[rows] >= 0
            y = plan.y[rows].numpy()[kept]
            y = y if plan.y.is_floating_point() else y.astype(np.int64)
            records, part = records[kept], plan.part[rows][kept]
            some = chosen(rows.start, rows.stop, plan.seen, self.seed, "seen")[kept]
            self.seen.append((records[some], y[some], part[some]))
            x = plan.encoded(records)
            arrays = {"y": y}
            if isinstance(x, Codes):
                arrays |= {"numbers": x.numbers, "codes": x.codes}
                self.places = x.places.tolist()
            else:
                arrays["x"] = x
            yield start, arrays, part

    def _schema(self) -> Schema:
        """The schema of the rows that were written."""
        if "x" not in self.arrays:
            return self.plan.schema
        dtype, shape = self.arrays["x"]
        x = _mapped(self.place / "x.bin", dtype, [sum(self.rows), *shape])
        return self.plan.learnt(x[: self.rows[0]])

    def _scatter(
        self, start: int, arrays: dict[str, Array], part: Array, scatter: _Outputs, rest: _Outputs
    ) -> None:
        """Write training rows into buckets drawn at random, and the others in their order."""
        train = np.flatnonzero(part == 0)
        draws = generator(self.seed, "store", start)
        bucket = torch.randint(self.buckets, (len(train),), generator=draws).numpy()
        for name, array in arrays.items():
            self.arrays[name] = (str(array.dtype), list(array.shape[1:]))
            for number in range(self.buckets):
                scatter.write(name, number, array[train[bucket == number]])
            for number in (1, 2):
                rest.write(name, number, array[part == number])

    def _gather(self) -> None:
        """Shuffle each bucket, and put all files of an array together; each is removed when it is
        copied."""
        for name, (dtype, shape) in self.arrays.items():
            with files.fresh(self.place / f"{name}.bin") as out:
                for number in range(self.buckets):
                    path = self.place / f"bucket-{name}-{number}"
                    array = np.fromfile(path, dtype).reshape(-1, *shape)
                    draws = generator(self.seed, "store", "bucket", number)
                    order = torch.randperm(len(array), generator=draws).numpy()
                    out.write(np.ascontiguousarray(array[order]).data)
                    path.unlink()
                for number in (1, 2):
                    path = self.place / f"rest-{name}-{number}"
                    with open(path, "rb") as source:
                        shutil.copyfileobj(source, out, 1 << 20)
                    path.unlink()
                files.flush(out)


class _Outputs:
    """Files to which arrays are appended, opened when they are needed."""

    def __init__(self, place: Path, word: str, stack: ExitStack) -> None:
        self.place, self.word, self.stack = place, word, stack
        self.files: dict[tuple[str, int], BinaryIO] = {}

    def write(self, name: str, number: int, array: Array) -> None:
        """Append ``array`` to the file of this name and number."""
        if (name, number) not in self.files:
            path = self.place / f"{self.word}-{name}-{number}"
            self.files[name, number] = self.stack.enter_context(files.fresh(path))
        self.files[name, number].write(np.ascontiguousarray(array).data)
