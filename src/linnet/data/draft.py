"""From a table to a data set: choose the target, the column that splits the rows, the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from linnet.core.later import polars as pl
from linnet.core.registry import suggest
from linnet.core.text import listed
from linnet.data import columns, forms, kinds, pixels, targets
from linnet.data.column import Column
from linnet.data.dataset import Dataset
from linnet.data.large import Large
from linnet.data.reading import Label, Reading
from linnet.data.schema import MAX_CLASSES, Schema
from linnet.data.split import Division, part_of
from linnet.data.survey import Survey, Whole
from linnet.data.table import LeftOut, Table, Warned, warn_of
from linnet.errors import DataError

MANY_LOST = 0.05
"""From this share on, rows without a target are a warning."""


def draft(table: Table, reading: Reading) -> Dataset:
    """Turn the table into a data set of records, which ``learn`` encodes; this empties the table.

    Rows without a target are left out and counted.
    """
    begun = _begun(table, reading)
    kept = begun.kept
    if reading.pictures:
        left = {begun.dividing[1].name} if begun.dividing is not None else set()
        schema, x = _pictures(table, reading, left, begun.about)
        x = x if kept is None else x[kept]
        more: list[str] = []
    else:
        schema, more = _schema(table, reading, begun)
        x = _records(table, reading, schema.fields, kept)
    notes = (*begun.notes, *more, *begun.noted)
    return Dataset(
        x=x, y=begun.y, schema=schema, name=table.name, notes=notes, division=begun.division
    )


class Outline(NamedTuple):
    """What ``draft`` makes of a table, without its records: the schema of records, the targets
    ``y``, the rows that have a target (None: all), the split by a column, and notes."""

    schema: Schema
    y: Tensor
    kept: Tensor | None
    division: Division | None
    notes: tuple[str, ...]


def outline(table: Large, reading: Reading) -> Outline:
    """The draft of a table that does not fit into memory, without its records."""
    if reading.pictures:
        raise DataError(
            f"{table.name}: rows of pixels (pictures={reading.pictures}) are read into memory, and "
            "these do not fit: give fewer rows, or a folder of pictures"
        )
    begun = _begun(table, reading)
    schema, more = _schema(table, reading, begun)
    notes = (*begun.notes, *more, *begun.noted)
    return Outline(schema, begun.y, begun.kept, begun.division, notes)


class _Begun(NamedTuple):
    """The targets of a table, its rows that have one (None: all), and the column that splits the
    rows; ``about`` is the target's part of a schema."""

    y: Tensor
    kept: Tensor | None
    division: Division | None
    dividing: tuple[str, pl.Series] | None
    about: dict[str, Any]
    notes: list[str]
    noted: list[str]


def _begun(table: Table, reading: Reading) -> _Begun:
    """Choose the targets and the column that splits the rows."""
    _declared(table, reading)
    named = _targets(table, reading)
    found, read = _read_targets(table, reading, named)
    dividing = _dividing(table, reading, named)
    labelled = np.logical_and.reduce([series.is_not_null().to_numpy() for series in found])
    if not labelled.any():
        raise DataError(f"{table.name}: the target {', '.join(named)} is missing in every row")
    notes = [*table.notes, *read]
    kept = None
    if not labelled.all():
        kept = torch.from_numpy(np.nonzero(labelled)[0])
        notes.append(_unlabelled(table, named, labelled))
        found = [series.filter(labelled) for series in found]
    division = None
    if dividing is not None:
        kind, series = dividing
        division = _division(kind, series, table, reading)
        division = division if kept is None else division.take(kept)
        if kind != "time":
            notes.append(f"{series.name!r} splits the rows, and is left out of the examples")
    about, y, noted = _target(table, reading, found)
    return _Begun(y, kept, division, dividing, about, notes, noted)


def _pictures(
    table: Table, reading: Reading, left: set[str], about: dict[str, Any]
) -> tuple[Schema, Tensor]:
    """The schema and the pictures of a table of pixels."""
    names, shape = pixels.layout(table, reading.pictures, left)
    parts = {"example": "picture", "shape": shape, "dtype": "uint8", "columns": names, **about}
    x = torch.from_numpy(pixels.encode(table, names, shape))
    return Schema.parse(parts, table.name, DataError), x


def _schema(table: Table, reading: Reading, begun: _Begun) -> tuple[Schema, list[str]]:
    """The schema of the records, and notes."""
    offer = [] if isinstance(table, Large) else pixels.offer(table)
    fields, notes = _fields(table, reading, begun.dividing)
    dividing = begun.dividing
    if dividing is not None and dividing[0] != "time":
        fields = tuple(field for field in fields if field.name != dividing[1].name)
    notes += [*offer, *_left_out(fields)]
    used = tuple(field.name for field in fields if field.used)
    if not used:
        shown = ", ".join(f"{field.name} ({field.kind})" for field in fields[:8])
        raise DataError(
            f"{table.name}: no column is left to learn from{': ' + shown if shown else ''}; "
            "declare the kind of a column (such as columns.NAME=category)"
            + "".join(f"; {note}" for note in notes if isinstance(note, Warned))
        )
    parts = {"example": "record", "shape": [len(used)], "dtype": "float64", "columns": used}
    schema = Schema.parse({**parts, **begun.about}, table.name, DataError)
    return schema.model_copy(update={"fields": fields, "missing": reading.missing}), notes


def _read_targets(
    table: Table, reading: Reading, named: Sequence[str]
) -> tuple[list[pl.Series], list[str]]:
    """The targets, removed from the table, as numbers where their text is numbers; and notes."""
    found: list[pl.Series] = []
    notes: list[str] = []
    for name in named:
        survey = table.survey(name) if isinstance(table, Large) else None
        series = columns.without(_coded(table, name), reading.missing)
        del table.columns[name]
        declared = reading.columns.get(name)
        text = series.dtype == pl.String or series.dtype == pl.Enum
        if text and declared in (None, "number") and name not in table.words:
            form = forms.form_of(survey or Whole(series), declared, table, reading)
            if form is not None and form.kind == "number":
                series = forms.read(series.cast(pl.String), form.form)
                notes += form.notes
        found.append(series)
    return found, notes


def _coded(table: Table, name: str) -> pl.Series:
    """A column; of a table that does not fit into memory, text of few values as an Enum."""
    return table.coded(name) if isinstance(table, Large) else table.columns[name]


def _unlabelled(table: Table, named: Sequence[str], labelled: np.ndarray[Any, Any]) -> str:
    """The note on rows without a target; a warning if they are many."""
    lost = int((~labelled).sum())
    first = table.where(int(np.argmin(labelled)))
    note = f"{lost:,} rows have no target and are left out, the first at {first}"
    if lost < MANY_LOST * len(labelled):
        return note
    return Warned(
        f"{note}: {100 * lost / len(labelled):.0f} % of all rows",
        f"look why {', '.join(map(repr, named))} is missing there",
    )


def overview(table: Table, reading: Reading) -> list[dict[str, Any]]:
    """The kind, the facts and the notes of each column, for people; see ``columns.describe``."""
    _declared(table, reading)
    series = {name: columns.without(raw, reading.missing) for name, raw in table.columns.items()}
    inferred = [
        kinds.inferred(values, reading.columns.get(name), table, reading)
        for name, values in series.items()
    ]
    fields, _ = kinds.not_codes([field for field, _ in inferred], reading, _whole_in(table))
    found = []
    for (name, values), field, (_, notes) in zip(series.items(), fields, inferred, strict=True):
        written = field.format and values.dtype == pl.String
        typed = forms.read(values, field.format).alias(name) if written else values
        found.append({**columns.describe(typed, field), "notes": list(notes)})
    return found


def features(table: Table, reading: Reading) -> tuple[tuple[Column, ...], Tensor]:
    """The columns of a table without a target, and its records (rows, used columns).

    Warns of what may change the results, such as numbers in a column that is left out.
    """
    fields, notes = _fields(table, reading, None)
    warn_of(notes)
    records = _records(table, reading, fields, None)
    if not records.shape[1]:
        raise DataError(f"{table.name}: no column is left to learn from")
    return fields, records


def conform(table: Table, schema: Schema, reading: Reading, *, labelled: bool) -> Dataset:
    """Encode a table by the ``schema`` of a model that was trained with the settings ``reading``;
    this empties the table.

    ``labelled`` needs the target column, and leaves out the rows without a target of the model.
    Otherwise all rows stay; a missing target has the class code -1 or the number NaN. Rows keep
    their group or time, if the table has this column, and a value in every row.
    """
    notes = list(table.notes)
    names = [field.name for field in schema.fields] or list(schema.columns)
    division = _regrouped(table, reading) if labelled else None
    known_too = (*names, *schema.targets, *([] if division is None else [division.column]))
    notes += columns.strangers(table.columns, known_too)
    absent = [name for name in schema.targets if name not in table.columns]
    if absent and labelled:
        raise DataError(
            f"{table.name}: the target {', '.join(map(repr, absent))} is missing; "
            f"{suggest(absent[0], table.columns)}"
        )
    rows = len(table)
    y = torch.empty((rows, 0))
    if not absent:
        found = _known_targets(table, schema)
        y = (
            _numbers(found, table)
            if schema.task == "regression"
            else torch.from_numpy(_codes(found[0], schema, reading, table, strict=labelled))
        )
    x = schema.encode_table(table)
    if labelled:
        known = y >= 0 if schema.task == "classification" else ~y.reshape(rows, -1).isnan().any(1)
        if not known.all():
            lost = int((~known).sum())
            notes.append(f"{lost:,} rows have no target that the model knows, and are left out")
            x, y = x[known], y[known]
            division = None if division is None else division.take(known)
        if not len(x):
            raise DataError(f"{table.name}: no row has a target that the model knows")
    return Dataset(x, y, schema, name=table.name, notes=tuple(notes), division=division)


def _known_targets(table: Table, schema: Schema) -> list[pl.Series]:
    """The targets of a model's ``schema``, removed from the table, in their type."""
    reading = Reading(missing=schema.missing)
    if schema.task == "regression" or schema.class_kind == "int":
        return _read_targets(table, reading, schema.targets)[0]
    return [columns.without(table.columns.pop(name), schema.missing) for name in schema.targets]


def _declared(table: Table, reading: Reading) -> None:
    """Raise if a column that does not exist is declared."""
    for name in reading.columns:
        if name not in table.columns:
            raise DataError(
                f'{table.name}: there is no column "{name}", named in columns; '
                f"{suggest(name, table.columns)}"
            )


def _fields(
    table: Table, reading: Reading, dividing: tuple[str, pl.Series] | None
) -> tuple[tuple[Column, ...], list[str]]:
    """The remaining columns, and notes."""
    large = isinstance(table, Large)

    def kind(name: str) -> tuple[Column, tuple[str, ...]]:
        left = dividing is not None and dividing[1].name == name and dividing[0] != "time"
        declared = "identifier" if left else reading.columns.get(name)
        return kinds.surveyed(_survey(table, name, reading.missing), declared, table, reading)

    names = list(table.columns)
    found = list(map(kind, names)) if large else columns.in_threads(kind, names)
    notes = [note for _, noted in found for note in noted]
    fields, more = kinds.not_codes([field for field, _ in found], reading, _whole_in(table))
    return fields, [*notes, *more]


def _survey(table: Table, name: str, missing: Sequence[str]) -> Survey:
    """The facts about a column, without the numbers in ``missing``."""
    if isinstance(table, Large):
        return table.survey(name)
    return Whole(columns.without(table.columns[name], missing))


def _whole_in(table: Table) -> Callable[[str], bool]:
    """Whether a column of the table is of whole numbers."""
    if isinstance(table, Large):
        return lambda name: table.survey(name).whole
    return lambda name: Whole(table.columns[name]).whole


def _records(
    table: Table, reading: Reading, fields: Sequence[Column], kept: Tensor | None
) -> Tensor:
    """The records (rows, used columns), which empties the table."""
    used = [field for field in fields if field.used]
    rows = len(table) if kept is None else len(kept)
    records = np.empty((len(used), rows))  # memory is allocated as it is written

    def fill(index: int) -> None:
        series = columns.without(table.columns.pop(used[index].name), reading.missing)
        record = columns.record(used[index], series, table)
        records[index] = record if kept is None else record[kept.numpy()]

    columns.in_threads(fill, range(len(used)))
    return torch.from_numpy(records.T)


def _left_out(fields: Sequence[Column]) -> list[str]:
    notes: list[str] = []
    for kind in ("text", "identifier", "constant"):
        names = [repr(field.name) for field in fields if field.kind == kind]
        if names:
            what = {"text": "text", "identifier": "identifiers", "constant": "constant"}[kind]
            notes.append(LeftOut(f"left out, as they are {what}: {listed(names, 8)}"))
    return notes


def _targets(table: Table, reading: Reading) -> tuple[str, ...]:
    """The names of the columns to predict."""
    names = list(table.columns)
    known = listed(names, 20)
    if not reading.target:
        raise DataError(
            f"{table.name}: which column is to be predicted? name it: --target COLUMN; there are "
            f"{known}"
        )
    for name in reading.target:
        if name not in table.columns:
            noted = "".join(f"; {note}" for note in table.notes)
            raise DataError(f'{table.name} has no column "{name}"; {suggest(name, names)}{noted}')
        if reading.columns.get(name) in ("text", "identifier", "date"):
            raise DataError(
                f"{table.name}: the target {name!r} cannot be {reading.columns[name]}; expected a "
                "number or classes"
            )
    if len(set(reading.target)) < len(reading.target):
        raise DataError(f"{table.name}: a target is named twice: {', '.join(reading.target)}")
    return reading.target


def _dividing(
    table: Table, reading: Reading, targets: Sequence[str]
) -> tuple[str, pl.Series] | None:
    """The column that splits the rows, if one is named."""
    given = [(kind, getattr(reading, kind)) for kind in ("split", "group", "time")]
    given = [(kind, name) for kind, name in given if name is not None]
    if not given:
        return None
    if len(given) > 1:
        raise DataError(
            f"only one column can split the rows; given are "
            f"{' and '.join(f'{kind}={name}' for kind, name in given)}"
        )
    ((kind, name),) = given
    if name in targets:
        raise DataError(f"{table.name}: {name!r} is the target, and cannot split the rows too")
    if name not in table.columns:
        raise DataError(f'{table.name} has no column "{name}"; {suggest(name, table.columns)}')
    series = _coded(table, name) if kind == "split" else table.columns[name]
    if series.null_count():
        where = table.where(int(series.is_null().arg_max() or 0))
        raise DataError(
            f"{table.name}, {where}: {name!r} is missing; a column that splits the rows needs a "
            "value in every row"
        )
    return kind, series


def _regrouped(table: Table, reading: Reading) -> Division | None:
    """The groups or times of rows to score, if the table has this column without a gap."""
    for kind, name in (("group", reading.group), ("time", reading.time)):
        if name is not None and name in table.columns and not table.columns[name].null_count():
            return _division(kind, table.columns[name], table, reading)
    return None


def _division(kind: Any, series: pl.Series, table: Table, reading: Reading) -> Division:
    """The split that a column defines."""
    if kind == "group":
        values = series.rank("dense").cast(pl.Int64)
        return Division(kind, series.name, torch.from_numpy(values.to_numpy().copy()))
    if kind == "time":
        column = kinds.infer(series, reading.columns.get(series.name), table, reading)
        if column.kind not in ("number", "date"):  # codes or an identifier: use their numbers
            known = series.dtype == pl.Float64 or column.format or column.numeric
            column = kinds.infer(series, "number" if known else "date", table, reading)
        record = columns.record(column, series, table)
        return Division(kind, series.name, torch.from_numpy(record.copy()))
    text = series.dtype in (pl.String, pl.Enum)
    texts = series if text else pl.Series(kinds.labels(series))
    different = texts.unique().to_list()
    parts = texts.replace_strict(different, list(map(part_of, different)), return_dtype=pl.Int64)
    if parts.null_count():
        row = int(parts.is_null().arg_max() or 0)
        raise DataError(
            f"{table.name}: {series.name!r} has {texts[row]!r} at {table.where(row)}; expected "
            "train, valid or test"
        )
    if not (parts == 0).any():
        raise DataError(f"{table.name}: {series.name!r} puts no row into train")
    return Division(kind, series.name, torch.from_numpy(parts.to_numpy().copy()))


def _target(
    table: Table, reading: Reading, found: Sequence[pl.Series]
) -> tuple[dict[str, Any], Tensor, list[str]]:
    """The target's part of a schema, ``y``, and notes about it."""
    names = [series.name for series in found]
    task, notes = _task(table, reading, found)
    if task == "regression":
        y = _numbers(found, table)
        for name, column in zip(names, y.reshape(len(y), -1).T, strict=True):
            if len(column) > 1 and (column == column[0]).all():
                raise DataError(
                    f"{table.name}: the target {name!r} is {column[0]:g} in every row: there is "
                    "nothing to predict"
                )
        return {"task": task, "targets": names}, y, notes
    (series,) = found
    if series.dtype.is_temporal():
        raise DataError(f"{table.name}: the target {series.name!r} holds dates; expected classes")
    notes += _spelled_alike(series, reading, table)
    values, counts = _counted(series)
    if len(values) < 2:
        raise DataError(
            f"{table.name}: the target {series.name!r} has one class, "
            f"{kinds.labels(values)[0]!r}; expected two or more"
        )
    if len(values) > MAX_CLASSES:
        raise DataError(
            f"{table.name}: the target {series.name!r} has {len(values):,} classes; at most "
            f"{MAX_CLASSES:,} (MAX_CLASSES)"
        )
    single = int((counts == 1).sum())
    if single * 2 > len(values) and len(values) > 2:
        raise DataError(
            f"{table.name}: {single:,} of the {len(values):,} classes of {series.name!r} have one "
            "row; expected several rows for each class: is it the right column, or is the task "
            "regression?"
        )
    labels, kind = _labels(values)
    codes = _codes_among(series, values)
    if single:
        told = f"{single:,} of {len(values):,} classes have one row, kept for training"
        notes = [told, *notes]
    about = {"task": task, "targets": names, "classes": labels, "class_kind": kind}
    return about, torch.from_numpy(codes), notes


def _counted(series: pl.Series) -> tuple[pl.Series, np.ndarray[Any, Any]]:
    """The different values, sorted, and how often each occurs."""
    kind = series.dtype
    if not isinstance(kind, pl.Enum):
        counts = series.value_counts().sort(series.name)
        return counts[series.name], counts["count"].to_numpy()
    words = kind.categories
    codes = series.to_physical().to_numpy()
    parts = np.array_split(codes, 1 + len(codes) // (1 << 20))  # each is made int64
    every = np.sum([np.bincount(part, minlength=len(words)) for part in parts], axis=0)
    return words.filter(pl.Series(every > 0)), every[every > 0]


def _codes_among(series: pl.Series, values: pl.Series) -> np.ndarray[Any, Any]:
    """The place of each value among the sorted ``values``, int64 (rows,)."""
    kind = series.dtype
    if not isinstance(kind, pl.Enum):
        codes = series.replace_strict(values, list(range(len(values))), return_dtype=pl.Int64)
        found: np.ndarray[Any, Any] = codes.to_numpy().copy()
        return found
    place = {word: code for code, word in enumerate(values)}
    table = np.array([place.get(word, -1) for word in kind.categories], np.int64)
    found = table[series.to_physical().to_numpy()]
    return found


def _spelled_alike(series: pl.Series, reading: Reading, table: Table) -> Sequence[str]:
    """A warning if a target that is declared a category has classes that differ only in case or
    spaces; if it is not declared, raise."""
    if series.name in reading.columns:
        return kinds.alike(series, f"the target {series.name!r}")
    same = kinds.same_but_case(series)
    if same:
        row = int((series == same[1]).arg_max() or 0)
        raise DataError(
            f"{table.name}: the classes {same[0]!r} and {same[1]!r} of {series.name!r} differ at "
            f"most in case or spaces ({same[1]!r} first at {table.where(row)}); write each class "
            f"in one way, or --set columns.{series.name}=category if they are different classes"
        )
    return ()


def _task(
    table: Table, reading: Reading, found: Sequence[pl.Series]
) -> tuple[targets.Task, list[str]]:
    """The task, and notes about it; what is declared about a target overrides the rule."""
    if len(found) > 1:
        y = _numbers(found, table).numpy()
        if reading.task == "classification":
            raise DataError(
                f"{table.name}: {len(found)} targets with classes; expected one, or numbers"
            )
        if targets.one_hot(y, reading.task, table.name):
            names = ", ".join(repr(series.name) for series in found)
            raise DataError(
                f"{table.name}: the targets {names} have a single 1 in each row: these are the "
                "classes of one target; give one column with the name of the class (in pandas "
                f"frame[[{names}]].idxmax(axis=1)), or say --task regression"
            )
        return "regression", []
    (series,) = found
    declared = {"category": "classification", "boolean": "classification", "number": "regression"}
    asked: targets.Asked = reading.task
    if asked == "auto" and series.name in reading.columns:
        asked = declared[reading.columns[series.name]]  # type: ignore[assignment]
    if series.dtype.is_temporal():
        if asked == "regression":
            _numbers(found, table)
        return "classification", []
    plain = series.dtype in (pl.Float64, pl.Boolean)
    values = series.to_numpy() if plain else np.array(series.head(1).to_list(), str)
    task, notes = targets.task_of(values, asked, series.name, table.name)
    return task, list(notes)


def _labels(values: pl.Series) -> tuple[list[Label], str]:
    """Sorted values as class labels, and their kind."""
    if values.dtype == pl.Float64:
        return [int(value) for value in values], "int"
    if values.dtype == pl.Boolean:
        return values.to_list(), "bool"
    return values.to_list(), "text"


def _numbers(found: Sequence[pl.Series], table: Table) -> Tensor:
    """Targets as numbers, (rows,) or (rows, targets), NaN where one is missing."""
    for series in found:
        if series.dtype not in (pl.Float64, pl.Boolean):
            value = series.drop_nulls().first()
            raise DataError(
                f"{table.name}: the target {series.name!r} holds {value!r}, which is not a number; "
                "expected numbers for regression, or one target of classes"
            )
    columns_ = [series.cast(pl.Float64).to_numpy() for series in found]
    return torch.from_numpy(np.stack(columns_, 1) if len(found) > 1 else columns_[0].copy())


def _codes(
    series: pl.Series, schema: Schema, reading: Reading, table: Table, *, strict: bool
) -> np.ndarray[Any, Any]:
    """Labels (rows,) as codes of the model's classes, -1 where missing. An unknown label raises
    DataError if ``strict`` and the model uses all classes, else it is -1 too."""
    values = series.unique().drop_nulls()
    texts = kinds.labels(values)
    if reading.positive is not None:
        codes = [int(text == schema.names[1]) for text in texts]
    else:
        place = {name: code for code, name in enumerate(schema.names)}
        codes = [place.get(text, -1) for text in texts]
        for value, text, code in zip(values, texts, codes, strict=True):
            if code < 0 and strict and reading.classes is None:
                row = int((series == value).arg_max() or 0)
                raise DataError(
                    f"{table.name}, {table.where(row)}: the label {text!r} is not among the "
                    f"classes; {suggest(text, schema.names)}"
                )
    if not len(values):
        return np.full(len(series), -1)
    mapped = series.replace_strict(values, codes, default=None, return_dtype=pl.Int64)
    array: np.ndarray[Any, Any] = mapped.fill_null(-1).to_numpy().copy()
    return array
