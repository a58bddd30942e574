"""From the columns of a table to the numbers that a network takes, as nodes of ONNX.

What ``linnet.data.columns`` does in NumPy, with all columns of a kind at once: numbers and booleans
side by side in float64, dates in int64, categories as the codes of ``linnet.data.coded``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnet.data.column import Column
from linnet.data.reading import Reading
from linnet.data.schema import Schema
from linnet.data.written import NUMBER
from linnet.integrations.export._graph import ML, Graph

Array = np.ndarray[Any, Any]

MISSING_DATE = -(1 << 63)
"""The int64 that stands for a missing date: NumPy's NaT."""


@dataclass(frozen=True)
class Rows:
    """Examples inside the graph.

    ``numbers`` (rows, places) are the encoded columns ``places``, in the dtype of the schema.
    ``codes``, int64 (rows, fields), say for each field of categories which encoded column is 1;
    ``width``, the number of encoded columns, stands for none. Either may be missing. ``given`` is
    an input, which has the number of rows.
    """

    numbers: str | None
    places: tuple[int, ...]
    codes: str | None
    width: int
    dtype: str
    given: str


@dataclass(frozen=True)
class Input:
    """An input of the graph, (rows, 1) for a column of a table: its name, its column (None for
    examples that are no table), and how it is given."""

    name: str
    column: Column | None
    dtype: str
    about: str

    def plain(self) -> dict[str, Any]:
        """The same as JSON."""
        told: dict[str, Any] = {"name": self.name, "type": self.dtype, "about": self.about}
        if self.column is not None:
            told |= {"column": self.column.name, "kind": self.column.kind}
        return told


def dtype_of(column: Column) -> str:
    """The type in which the graph takes a column."""
    if column.kind == "date":
        return "int64"
    return "text" if column.kind == "category" and not column.numeric else "float64"


ABOUT = {
    "number": "the number; NaN means missing",
    "boolean": "1 for true, 0 for false; NaN means missing",
    "date": f"whole seconds since 1970-01-01 00:00 in UTC; {MISSING_DATE} means missing",
}


def about(column: Column, schema: Schema) -> str:
    """How a value of a column is given to the graph, in words."""
    if column.kind != "category":
        return ABOUT[column.kind]
    if column.numeric:
        return "a category that is a number; NaN means missing"
    words = " ".join(sorted(absent_words(column, schema) - {""}))
    return f"a category, without spaces around it; an empty text means missing, as do: {words}"


def absent_words(column: Column, schema: Schema) -> frozenset[str]:
    """The text that means missing in a column of categories."""
    return Reading(missing=schema.missing).empty - set(column.categories)


def inputs(schema: Schema) -> list[Input]:
    """The inputs of the graph: one for each used column of a table, else one, "x"."""
    if not schema.fields:
        what = "pictures" if schema.example == "picture" else "rows of numbers"
        if schema.dtype == "uint8":
            what += ", of whole numbers 0 to 255"
        shape = " x ".join(map(str, schema.shape))
        return [Input("x", None, schema.dtype, f"{what}, each {shape}")]
    found: list[Input] = []
    for number, column in enumerate(column for column in schema.fields if column.used):
        name = column.name or f"column {number}"
        found.append(Input(name, column, dtype_of(column), about(column, schema)))
    return found


def encoded(graph: Graph, schema: Schema, given: Sequence[Input]) -> Rows:
    """The nodes that encode the inputs ``given``, which are made here."""
    if not schema.fields:
        (only,) = given
        x = graph.input(only.name, only.dtype, schema.shape)
        flat = graph.node("Flatten", x) if len(schema.shape) > 1 else x
        width = int(np.prod(schema.shape))
        return Rows(flat, tuple(range(width)), None, width, schema.dtype, x)
    for each in given:
        graph.input(each.name, each.dtype, (1,))
    width = schema.shape[0]
    places = np.cumsum([0, *(len(each.column.names) for each in given if each.column)]).tolist()
    table = [
        (each.name, each.column, start)
        for each, start in zip(given, places, strict=False)
        if each.column is not None
    ]
    values = _Values(graph, schema)
    for add, kinds in ((_numbers, ("number", "boolean")), (_dates, ("date",))):
        if some := [each for each in table if each[1].kind in kinds]:
            add(values, some)
    numbers = graph.joined(values.parts) if values.parts else None
    words = [each for each in table if each[1].kind == "category" and not each[1].numeric]
    numeric = [each for each in table if each[1].kind == "category" and each[1].numeric]
    codes = [_word(graph, each, schema, width) for each in words]
    codes += [_numeric(graph, numeric, schema, width)] if numeric else []
    joined = graph.joined(codes) if codes else None
    return Rows(numbers, tuple(values.places), joined, width, schema.dtype, given[0].name)


Field = tuple[str, Column, int]
"""An input's name, its column, and the first of the column's encoded columns."""


class _Values:
    """Encoded columns in the dtype of the schema, and the place of each."""

    def __init__(self, graph: Graph, schema: Schema) -> None:
        self.graph, self.schema, self.dtype = graph, schema, schema.dtype
        self.parts: list[str] = []
        self.places: list[int] = []

    def add(self, value: str, places: Sequence[int]) -> None:
        self.parts.append(self.graph.cast(value, self.dtype))
        self.places += places

    def mark(self, absent: str, columns: Sequence[Field]) -> None:
        """The columns that mark missing values, of those in ``absent`` (rows, columns)."""
        marked = [index for index, (_, column, _) in enumerate(columns) if column.missing]
        if marked:
            some = self.graph.chosen(absent, marked, len(columns))
            each = (columns[index] for index in marked)
            self.add(some, [start + len(column.fill) for _, column, start in each])


def _given(graph: Graph, columns: Sequence[Field], schema: Schema) -> str:
    """Inputs of numbers side by side, NaN for the numbers that mean missing."""
    given = graph.joined([name for name, _, _ in columns])
    for number in absent_numbers(schema):
        same = graph.node("Equal", given, graph.constant(np.array(number)))
        given = graph.node("Where", same, graph.constant(np.array(np.nan)), given)
    return given


def absent_numbers(schema: Schema) -> list[float]:
    """The numbers among the values that mean missing."""
    return [float(text) for text in schema.missing if re.match(NUMBER, text)]


def _numbers(values: _Values, columns: Sequence[Field]) -> None:
    """Numbers and booleans: what is missing, or beyond its ends, is imputed and marked."""
    graph = values.graph
    given = _given(graph, columns, values.schema)
    largest = float(np.finfo(values.dtype).max)
    ends = [
        (0.0, 1.0) if column.kind == "boolean" else column.ends or (-largest, largest)
        for _, column, _ in columns
    ]
    low, high = (graph.constant(np.array([each])) for each in zip(*ends, strict=True))
    outside = graph.node("Or", graph.node("Less", given, low), graph.node("Greater", given, high))
    absent = graph.node("Or", graph.node("IsNaN", given), outside)
    fill = graph.constant(np.array([[column.fill[0] for _, column, _ in columns]]))
    values.add(graph.node("Where", absent, fill, given), [start for _, _, start in columns])
    values.mark(absent, columns)


def _dates(values: _Values, columns: Sequence[Field]) -> None:
    """Dates: the parts of the calendar, computed in integers."""
    graph = values.graph
    given = graph.joined([name for name, _, _ in columns])
    absent = graph.node("Equal", given, graph.constant(np.array(MISSING_DATE, np.int64)))
    seconds = graph.node("Where", absent, graph.constant(np.array(0, np.int64)), given)
    for number, part in enumerate(_calendar(graph, seconds)):
        some = [index for index, (_, each, _) in enumerate(columns) if number < len(each.parts)]
        if not some:
            continue
        fill = graph.constant(np.array([[columns[index][1].fill[number] for index in some]]))
        gone = graph.chosen(absent, some, len(columns))
        here = graph.chosen(part, some, len(columns))
        values.add(
            graph.node("Where", gone, fill, here), [columns[index][2] + number for index in some]
        )
    values.mark(absent, columns)


def _calendar(graph: Graph, seconds: str) -> list[str]:
    """Year, month, day, weekday and hour, in float64, of seconds since 1970 (int64).

    Days become a date by Howard Hinnant's "chrono-compatible low-level date algorithms": years
    begin in March, and 400 of them, an era, have 146,097 days.
    """

    def whole(operator: str, value: str, other: int | str) -> str:
        number = graph.constant(np.array(other, np.int64)) if isinstance(other, int) else other
        return graph.node(operator, value, number)

    def floored(value: str, by: int) -> tuple[str, str]:
        """Quotient and remainder, which is never below zero."""
        rest = whole("Mod", value, by)
        return whole("Div", whole("Sub", value, rest), by), rest

    days, second = floored(seconds, 86_400)
    era, day = floored(whole("Add", days, 719_468), 146_097)
    leap = whole("Sub", whole("Div", day, 36_524), whole("Div", day, 146_096))
    counted = whole("Add", whole("Sub", day, whole("Div", day, 1_460)), leap)
    year = whole("Div", counted, 365)
    fourths = whole("Sub", whole("Div", year, 4), whole("Div", year, 100))
    day = whole("Sub", day, whole("Add", whole("Mul", year, 365), fourths))
    month = whole("Div", whole("Add", whole("Mul", day, 5), 2), 153)
    before = whole("Div", whole("Add", whole("Mul", month, 153), 2), 5)
    day = whole("Add", whole("Sub", day, before), 1)
    late = graph.node("Less", month, graph.constant(np.array(10, np.int64)))  # March to December
    month = graph.node("Where", late, whole("Add", month, 3), whole("Sub", month, 9))
    early = graph.cast(graph.node("Not", late), "int64")
    year = whole("Add", whole("Add", year, whole("Mul", era, 400)), early)
    weekday = whole("Mod", whole("Add", days, 3), 7)
    parts = [graph.cast(part, "float64") for part in (year, month, day, weekday)]
    hour = graph.node("Div", graph.cast(second, "float64"), graph.constant(np.array(3600.0)))
    return [*parts, hour]


def _places(column: Column, start: int, width: int) -> tuple[int, int]:
    """The encoded columns of unknown and of missing categories; ``width`` if there is none."""
    count = len(column.categories)
    other = start + count if column.other else width
    return other, start + count + column.other if column.missing else width


def _word(graph: Graph, field: Field, schema: Schema, width: int) -> str:
    """The code (rows, 1) of a column of categories that are text."""
    name, column, start = field
    other, missing = _places(column, start, width)
    absent = sorted(absent_words(column, schema))
    return graph.node(
        "LabelEncoder",
        name,
        domain=ML,
        keys_strings=[*column.categories, *absent],
        values_int64s=[*range(start, start + len(column.categories)), *[missing] * len(absent)],
        default_int64=other,
    )


def _numeric(graph: Graph, columns: Sequence[Field], schema: Schema, width: int) -> str:
    """The codes (rows, columns) of columns of categories that are numbers.

    Each number is compared with all categories of its column; the one that is equal gives its code.
    """
    given = _given(graph, columns, schema)
    owner, numbers = [], []
    for index, (_, column, _) in enumerate(columns):
        owner += [index] * len(column.categories)
        numbers += [float(category) for category in column.categories]
    others, missing = zip(
        *(_places(column, start, width) for _, column, start in columns), strict=True
    )
    code = graph.constant(np.array([others], np.float64))
    if owner:
        codes = np.zeros((len(owner), len(columns)))
        for index, (_, column, start) in enumerate(columns):
            places = [place for place, each in enumerate(owner) if each == index]
            codes[places, index] = np.arange(start, start + len(column.categories)) + 1
        each = graph.chosen(given, owner, len(columns))
        equal = graph.node("Equal", each, graph.constant(np.array([numbers])))
        found = graph.node("MatMul", graph.cast(equal, "float64"), graph.constant(codes))
        known = graph.node("Greater", found, graph.constant(np.array(0.0)))
        less = graph.node("Sub", found, graph.constant(np.array(1.0)))
        code = graph.node("Where", known, less, code)
    gone = graph.constant(np.array([missing], np.float64))
    return graph.cast(graph.node("Where", graph.node("IsNaN", given), gone, code), "int64")
