"""What a body holds: rows of a table, rows of numbers, or pictures, encoded for a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnet.core import files
from linnet.core.text import counted, cut, listed, literal
from linnet.errors import InputError
from linnet.fit.runtime import Encoded, Runtime
from linnet.serve.facts import facts
from linnet.serve.limits import Limits
from linnet.serve.refused import Refused

JSON, CSV, MULTIPART = "application/json", "text/csv", "multipart/form-data"
PICTURES = ("image/png", "image/jpeg")
ALL = (JSON, CSV, *PICTURES, MULTIPART)


@dataclass(frozen=True)
class Body:
    """The content of a request, the type and the parameters in its ``Content-Type``, and what
    stands behind the ``?`` of its address."""

    content: bytes
    type: str
    parameters: Mapping[str, str]
    query: bytes = b""


def media(header: str) -> tuple[str, dict[str, str]]:
    """The type and the parameters in a ``Content-Type``; raises ``Refused`` for a text that is not
    UTF-8."""
    kind, *rest = header.split(";")
    found = {}
    for part in rest:
        key, _, value = part.partition("=")
        found[key.strip().lower()] = value.strip().strip('"')
    charset = found.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(415, f"the text is in {charset[:40]!r}; expected UTF-8")
    return kind.strip().lower(), found


def unknown_type(kind: str, known: Sequence[str] = ALL) -> Refused:
    """A body of a type that is not taken."""
    given = f"the Content-Type is {literal(kind)}" if kind else "there is no Content-Type"
    return Refused(
        415, f"{given}; expected {', '.join(known)}", headers={"Accept": ", ".join(known)}
    )


def parsed(content: bytes, limits: Limits) -> Any:
    """The JSON of a body; raises ``Refused``."""
    if (wrong := files.beyond(content, limits.json)) is not None:
        raise Refused(413, f"the body has {wrong}; send fewer rows at once")
    try:
        return _DECODE(content.decode())
    except (InputError, ValueError) as error:
        told = str(error) if isinstance(error, InputError) else f"the body: not JSON: {error}"
        raise Refused(400, cut(told, 400)) from None
    except RecursionError:
        raise too_deep() from None


def too_deep() -> Refused:
    """JSON in which lists and objects are nested without need."""
    return Refused(400, "the body: JSON nested too deeply")


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) != len(items):
        names = [name for name, _ in items]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"the body: the JSON key {literal(twice)} occurs twice in one object")
    return found


def _constant(name: str) -> Any:
    raise InputError(f"the body: {name} is not JSON; expected a finite number, or null")


_DECODE = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant).decode
"""Strict but for one thing: a number beyond float64 becomes infinite, and is refused where it is
encoded, because a look at every number would take as long as all the rest."""


def encoded(runtime: Runtime, body: Body, limits: Limits) -> Encoded:
    """The rows or pictures of a body, in the forms of ``/predict``."""
    if body.type == JSON:
        return within(of_json(runtime, parsed(body.content, limits), limits), limits)
    if body.type == CSV:
        return within(of_csv(runtime, body.content, limits), limits)
    if body.type in PICTURES:
        return of_files(runtime, [body.content])
    if body.type == MULTIPART:
        from linnet.serve.parts import files_of

        return of_parts(
            runtime, files_of(body.content, body.parameters.get("boundary", "")), limits
        )
    raise unknown_type(body.type)


def of_parts(runtime: Runtime, parts: Sequence[tuple[str, bytes]], limits: Limits) -> Encoded:
    """The files of a form, each a type and a content: pictures, or one file of rows."""
    if len(parts) == 1 and parts[0][0] in (CSV, JSON):
        kind, content = parts[0]
        return encoded(runtime, Body(content, kind, {}), limits)
    for kind, _ in parts:
        if kind not in PICTURES:
            raise Refused(
                422,
                f"a file of the form is {literal(kind)}; expected {', '.join(PICTURES)}, or one "
                f"file of {CSV} or {JSON}",
            )
    return of_files(runtime, [content for _, content in parts])


def of_files(runtime: Runtime, contents: Sequence[bytes]) -> Encoded:
    """Pictures as PNG or JPEG."""
    if runtime.schema.example != "picture":
        raise Refused(415, f"the model takes rows, not pictures; send {JSON} or {CSV}")
    if not contents:
        raise Refused(422, "there is no file in the form; expected pictures")
    return runtime.files(contents)


def of_csv(runtime: Runtime, content: bytes, limits: Limits) -> Encoded:
    """Rows of CSV with a line of names."""
    if content.count(b"\n") > limits.rows + 1:
        raise too_many(content.count(b"\n"), limits)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    return runtime.text(content)


def of_json(runtime: Runtime, value: Any, limits: Limits) -> Encoded:
    """Rows or pictures as people write them in JSON; see ``docs/serving.md``."""
    if isinstance(value, dict):
        if set(value) == {"rows"}:
            value = value["rows"]
        elif set(value) == {"columns", "rows"} and isinstance(value["columns"], list):
            return of_records(runtime, split(value["columns"], value["rows"]), limits)
        elif set(value) == {"columns"} and isinstance(value["columns"], dict):
            return of_records(runtime, transposed(value["columns"]), limits)
        elif value and all(isinstance(each, list) for each in value.values()):
            return of_records(runtime, transposed(value), limits)
        else:
            return of_records(runtime, [value], limits)
    if not isinstance(value, list):
        raise Refused(422, f"the body is {literal(value)}; expected {wanted(runtime)}")
    if not value:
        raise Refused(422, "there are no rows")
    if isinstance(value[0], dict):
        return of_records(runtime, value, limits)
    return of_array(runtime, value, limits)


def wanted(runtime: Runtime) -> str:
    """What a model takes in JSON, in words."""
    schema = runtime.schema
    if schema.tabular:
        return "an object with a value for each column, or a list of such objects"
    shape = " x ".join(map(str, schema.shape))
    if schema.example == "picture":
        return f"pictures of {shape} numbers as nested lists"
    return f"a list of {shape} numbers, or a list of such lists"


def of_records(runtime: Runtime, records: Sequence[Mapping[str, Any]], limits: Limits) -> Encoded:
    """Rows, each with its values by the names of columns."""
    schema = runtime.schema
    if not records:
        raise Refused(422, "there are no rows")
    if len(records) > limits.rows:
        raise too_many(len(records), limits)
    for number, record in enumerate(records):
        if not isinstance(record, dict):
            raise Refused(
                422,
                f"row {number} is {literal(record)}; expected an object with a value for each "
                "column",
                {"row": number},
            )
    if facts(runtime).tabular:
        return runtime.rows(records)
    if not schema.columns:
        raise Refused(422, f"the model's columns have no names; expected {wanted(runtime)}")
    try:
        lists = [[record[name] for name in schema.columns] for record in records]
    except KeyError as error:
        name = error.args[0]
        number = next(i for i, record in enumerate(records) if name not in record)
        raise Refused(
            422,
            f"row {number}, column {name!r}: the value is missing; expected a number",
            {"row": number, "column": name, "given": None, "expected": "a number"},
        ) from None
    return of_array(runtime, lists, limits)


def transposed(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of columns, each a list of as many values."""
    lengths = {}
    for name, values in columns.items():
        if not isinstance(values, list):
            raise Refused(
                422, f"column {literal(name)} is {literal(values)}; expected a list of values"
            )
        lengths[name] = len(values)
    if len(set(lengths.values())) > 1:
        shown = listed([f"{literal(name)}: {count:,}" for name, count in lengths.items()], 5)
        raise Refused(422, f"the columns are not all as long ({shown})")
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def split(names: Any, rows: Any) -> list[dict[str, Any]]:
    """Rows as lists of values, with the names of the columns beside them."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused(422, "the names of the columns are no list of texts")
    if len(set(names)) != len(names):
        raise Refused(422, "a name of a column is listed twice")
    if not isinstance(rows, list):
        raise Refused(422, "the rows are no list of lists")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise Refused(
                422,
                f"row {number} is {literal(row)}; expected a list of "
                f"{counted(len(names), 'value')}",
                {"row": number},
            )
    return [dict(zip(names, row, strict=True)) for row in rows]


def of_array(runtime: Runtime, value: Any, limits: Limits) -> Encoded:
    """Numbers as nested lists, or as an array."""
    schema = runtime.schema
    if schema.fields:
        raise Refused(422, f"the body is a list of lists; expected {wanted(runtime)}")
    if len(value) > limits.rows and not isinstance(value[0], (int, float)):
        raise too_many(len(value), limits)
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:  # lists that are not all as long
        raise Refused(422, f"lists that are not all as long; expected {wanted(runtime)}") from error
    if array.dtype.kind not in "buif":
        raise Refused(
            422, f"{_odd(array)} is no number that a model takes; expected {wanted(runtime)}"
        )
    if schema.example == "row":  # the same for 1 and 1.0
        array = array.astype(np.float64)
    return within(runtime.arrays(array), limits)


def _odd(array: np.ndarray[Any, Any]) -> str:
    """The first value that is no number."""
    if array.dtype.kind != "O":
        return literal(str(array.flat[0])) if array.size else "nothing"
    for value in array.flat:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return literal(value)
        if abs(value) >= 1 << 63:
            return literal(value)
    return "the list"


def within(found: Encoded, limits: Limits) -> Encoded:
    """The same, of at least one row and at most as many as are allowed."""
    if not len(found):
        raise Refused(422, "there are no rows")
    if len(found) > limits.rows:
        raise too_many(len(found), limits)
    return found


def too_many(count: int, limits: Limits) -> Refused:
    """More rows than are allowed."""
    return Refused(413, f"{count:,} rows at once; at most {limits.rows:,} (--max-rows)")
