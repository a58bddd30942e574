"""Rows read one by one give the same bits as a data frame of the row, or the same refusal."""

from __future__ import annotations

import datetime
import math
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import polars
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import linnet
from linnet.core.text import counted
from linnet.data import columns
from linnet.data.coded import Coded
from linnet.data.codes import Codes
from linnet.data.rows import FEW, Encoder
from linnet.data.schema import Schema
from linnet.errors import MISSING, CellError, DataError, LinnetWarning

ROWS = 120


def several(*values: Any) -> list[Any]:
    """These values, again and again."""
    return [values[row % len(values)] for row in range(ROWS)]


COLUMNS: dict[str, list[Any]] = {
    "plain": [row / 7 for row in range(ROWS)],
    "gaps": several(1.5, None, 2.5, 4.0, 0.25, 8.5, 9.0),
    "far": [1e7 if row % 20 == 0 else row % 9 + row / 1e3 for row in range(ROWS)],
    "text": several("a", "b b", "Zürich", "3", "True"),
    "rare": [f"r{row % 30}" for row in range(ROWS)],
    "holes": several("x", None, "y"),
    "codes": several(1, 2, 3, 4),
    "yes": several("yes", "no", "yes"),
    "truth": several(True, False, None),
    "money": [f"${1000 + 13 * row:,}.50" for row in range(ROWS)],
    "comma": [f"{row},{row % 10}5" for row in range(ROWS)],
    "share": [f"{row / 3:.1f} %" for row in range(ROWS)],
    "clock": [f"{row % 24}:{row % 60:02}" for row in range(ROWS)],
    "iso": [f"2024-{row % 12 + 1:02}-{row % 28 + 1:02}" for row in range(ROWS)],
    "dmy": [f"{row % 28 + 1}.{row % 12 + 1}.2021" for row in range(ROWS)],
    "timed": [f"{row % 12 + 1}/{row % 28 + 1}/2022 {row % 24}:30" for row in range(ROWS)],
    "typed": [datetime.date(2020, 1, 1) + datetime.timedelta(row) for row in range(ROWS)],
    "compact": [20240100 + row % 28 + 1 for row in range(ROWS)],
}
DECLARED: dict[str, Any] = {"compact": "date", "codes": "category", "rare": "category"}
TOKENS = ("-999", "void", "1e3")


def schema_of(**settings: Any) -> Schema:
    """The schema of all kinds of columns."""
    frame = polars.DataFrame({**COLUMNS, "y": [float(row % 5) for row in range(ROWS)]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"columns": DECLARED, "missing": TOKENS, "max_categories": 20, **settings}
        return linnet.read(frame, "y", **options).schema


SCHEMA = schema_of()
ENCODER = Encoder(SCHEMA)
NAMES = [field.name for field in SCHEMA.fields]
ALONE = {
    field.name: SCHEMA.model_copy(
        update={"fields": (field,), "columns": field.names, "shape": (len(field.names),)}
    )
    for field in SCHEMA.fields
}
"""The same schema with one column alone, which a data frame takes sooner."""

ENCODERS = {name: Encoder(schema) for name, schema in ALONE.items()}
TYPICAL = {name: next(v for v in values if v is not None) for name, values in COLUMNS.items()}


def by_frame(schema: Schema, row: dict[str, Any]) -> tuple[Any, list[str]] | str:
    """The encoded row and the warnings of a data frame, or a word if it is refused."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            frame = polars.DataFrame({name: [value] for name, value in row.items()})
            x = schema.encode(frame)
        except (DataError, TypeError, ValueError, OverflowError, polars.exceptions.PolarsError):
            return "refused"
    words = [str(each.message).removeprefix("frame: ") for each in told]
    x = x.dense() if isinstance(x, Coded) else x
    return x.numpy(), [word for word in words if word.startswith("the column")]


def dense(x: Any) -> Any:
    """Encoded rows as one array."""
    return x.dense() if isinstance(x, Codes) else x


def by_row(encoder: Encoder, row: dict[str, Any]) -> tuple[Any, list[str]] | str:
    try:
        x, notes = encoder.encode([row])
    except CellError:
        return "refused"
    return x.dense() if isinstance(x, Codes) else x, list(notes)


def same(schema: Schema, encoder: Encoder, row: dict[str, Any]) -> bool:
    """Whether both ways agree, which they must; true if the row is taken."""
    one, two = by_frame(schema, row), by_row(encoder, row)
    if isinstance(one, str) or isinstance(two, str):
        assert one == two, row
        return False
    assert one[0].dtype == two[0].dtype and one[0].tobytes() == two[0].tobytes(), row
    assert one[1] == two[1], row
    return True


def test_the_columns_are_of_every_kind_and_form() -> None:
    kinds = {field.name: (field.kind, field.format) for field in SCHEMA.fields}
    assert {kind for kind, _ in kinds.values()} == {"number", "category", "boolean", "date"}
    assert {form for _, form in kinds.values()} >= {".usd", ",", ".%", ":", "ymd", "dmy", "mdy"}
    fields = {field.name: field for field in SCHEMA.fields}
    assert fields["far"].ends and fields["far"].missing and fields["gaps"].missing
    assert fields["rare"].other and fields["holes"].missing and fields["codes"].numeric
    assert fields["timed"].timed and not fields["iso"].timed
    assert not fields["plain"].missing and not fields["text"].missing


ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, 2, 3, -1, 22, 7.25, -0.0, 0.0, 1.0, 2.0, 2.5, 1e300, -1e39, 4e38,
    math.nan, math.inf, -math.inf, 1000, 1000.0, -999, -999.0, 20240105, 20241350, 20240105.5,
    2**53, 2**53 + 1,
    -(2**53) - 1, 2**63, 2**64, 2**120, 2**130, 10**400,
    "", " ", "NA", "n/a", "?", "NaN", "null", "none", "NONE", "-", "--", "unknown", "\u2026",
    "-999", " -999 ", "-999.0", "void", "Void", "1e3", "1000", "1000.0", "0", "1",
    "-0", "+1", "007",
    "3", "3.0", " 3", "3\x1c", "\xa03\x85", "1.", ".5", "5.", "1.5", "1,5", "1,500", "1.500,25",
    "1 234,5", "1'234.5", "1e5", "1E-5", "1e99", "1e400", "1" * 15, "1" * 16, "1" * 40,
    "0." + "3" * 30,
    "$5", "5 $", "5 EUR", "$1,234.50", "(45)", "36.1 %", "36.1", "0 %", "5,-", "'12", '="12"', "<5",
    "\uff11\uff12", "\u22125", "inf", "nan", "infinity", "abc", "a", " a ", "A", "b b", "Zürich",
    "zürich", "\udc80", "a\x00b", "True", "true", "TRUE", "yes", "YES", " no", "y", "N", "t", "ﬀ",
    "2024-01-05", "2024-1-5", "2024-02-30", "2024-13-01", "0000-01-01", "0001-01-01", "9999-12-31",
    "2024-01-05T10:11", "2024-01-05 10:11:12.5Z", "2024-01-05 10:11:12.123456789",
    "2024-01-05 24:00",
    "2024-01-05 10:11:60", "2024-01-05T10:11+05:30", "2024-01-05 10", "2024-01-05Z",
    "5.1.2024", "1/5/2024", "13/1/2024", "Jan 5, 2024", "5. M\u00e4rz 2024", "20240105",
    "2024/01/05",
    "99-01-05", "10:30", "1:30 pm", "-2:15", "25:00", "10:30:15.5", "x" * 200, [], {}, [1.0], b"a",
    np.float64(2.5), np.int64(3), np.float32(1.5), np.str_("a"), np.bool_(True),
    datetime.date(2024, 1, 5), datetime.datetime(2024, 1, 5, 10, 11),
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_odd_value_in_each_column(name: str) -> None:
    taken = sum(same(ALONE[name], Encoder(ALONE[name]), {name: value}) for value in ODD)
    assert 20 < taken < len(ODD)


LETTERS = st.text(st.sampled_from("0123456789.,:-+/eE %$TZ'()abyn\xa0\x1c\u0663"), max_size=12)
VALUES = st.one_of(
    st.sampled_from(ODD), st.none(), st.booleans(), st.floats(), st.integers(),
    st.integers(-(2**60), 2**60), st.text(max_size=8), LETTERS,
    st.floats(allow_nan=False).map(str), st.floats(-1e6, 1e6).map(lambda v: f"{v:.2f}"),
    st.dates().map(str), st.datetimes().map(str), st.datetimes().map(lambda d: d.isoformat()),
    st.dates().map(lambda d: d.strftime("%d.%m.%Y")),
    st.dates().map(lambda d: d.strftime("%m/%d/%Y")),
    st.times().map(str), st.floats(0, 1e6).map(lambda v: f"{v:,.1f} %"),
)  # fmt: skip


@pytest.mark.slow
@given(st.sampled_from(NAMES), VALUES)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_made_values(name: str, value: Any) -> None:
    same(ALONE[name], ENCODERS[name], {name: value})


@pytest.mark.slow
@given(st.sampled_from(NAMES), VALUES)
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_very_many_made_values(name: str, value: Any) -> None:
    same(ALONE[name], ENCODERS[name], {name: value})


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), min_size=FEW + 1, max_size=FEW + 9))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([("yes", "no"), ("yes", "false")] * FEW)
def test_many_rows_are_encoded_as_one_by_one(changes: list[tuple[str, Any]]) -> None:
    rows = [{**TYPICAL, name: value} for name, value in changes]
    taken, wrong = [], None
    for number, row in enumerate(rows):
        try:
            taken.append(dense(ENCODER.encode([row]).x))
        except CellError as error:
            wrong = (number, error.column) if wrong is None else wrong
    if wrong is None:
        assert dense(ENCODER.encode(rows).x).tobytes() == np.concatenate(taken).tobytes()
        return
    for encoder in (ENCODER, Encoder(SCHEMA)):
        with pytest.raises(CellError) as caught:
            encoder.encode(rows)
        assert (caught.value.row, caught.value.column) == wrong


def test_notes_count_rows() -> None:
    rows = [{**TYPICAL, "text": "new", "plain": None}] * 3 + [{**TYPICAL, "rare": "new"}]
    for repeated in (1, 10):
        *_, notes = ENCODER.encode(rows * repeated)
        assert notes == (
            f"the column 'plain' has {3 * repeated} missing values where training had none: "
            "imputed with the mean of training",
            f"the column 'text' has {3 * repeated} rows of unknown categories, treated as no "
            "category (all zeros)",
            f"the column 'rare' has {counted(repeated, 'row')} of unknown categories, treated as "
            "rare ones",
        )
    assert ENCODER.encode([TYPICAL]).notes == ()
    extra = {**TYPICAL, "y": 3.0, "what": 1, "else": 2}
    assert ENCODER.encode([extra]).notes == (
        "columns that the model does not know: 'what', 'else'",
    )


@pytest.mark.parametrize("count", [1, 2 * FEW])
def test_a_missing_column_is_told_with_the_one_that_was_meant(count: int) -> None:
    rows: list[dict[str, Any]] = [dict(TYPICAL) for _ in range(count)]
    rows[-1]["plian"] = rows[-1].pop("plain")
    with pytest.raises(CellError, match='did you mean "plian"') as caught:
        ENCODER.encode(rows)
    assert caught.value.row == count - 1 and caught.value.column == "plain"
    assert caught.value.given is MISSING


@pytest.mark.parametrize("count", [1, 2 * FEW])
def test_a_wrong_value_is_told_by_its_place(count: int) -> None:
    rows: list[dict[str, Any]] = [dict(TYPICAL) for _ in range(count)]
    rows[-1] |= {"plain": "abc", "comma": "xyz"}
    with pytest.raises(CellError) as caught:
        ENCODER.encode(rows)
    error = caught.value
    assert (error.row, error.column, error.given) == (count - 1, "plain", "abc")
    assert error.expected == "a number, as in training"
    with pytest.raises(CellError, match="a finite number"):
        ENCODER.encode([{**TYPICAL, "plain": math.inf}])
    with pytest.raises(CellError, match=r"3\.4e38"):
        ENCODER.encode([{**TYPICAL, "plain": 1e39}] * count)


@pytest.mark.parametrize("rows", [[], [3], [["a"]], [None]])
def test_what_is_no_rows_is_refused(rows: Any) -> None:
    with pytest.raises(DataError):
        ENCODER.encode(rows)


def test_an_empty_row_lacks_the_first_column() -> None:
    with pytest.raises(CellError) as caught:
        ENCODER.encode([{}])
    assert caught.value.column == NAMES[0]


def test_wide_tables_are_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "WIDE", 10)
    encoder = Encoder(SCHEMA)
    rows = [{**TYPICAL, "rare": "r5", "text": "?"}, {**TYPICAL, "text": "new", "holes": None}]
    for repeated in (1, 20):
        found = encoder.encode(rows * repeated).x
        assert isinstance(found, Codes) and found.shape == (2 * repeated, *SCHEMA.shape)
        frame = polars.DataFrame([{**row} for row in rows * repeated])
        with pytest.warns(LinnetWarning):
            expected = SCHEMA.encode(frame)
        assert isinstance(expected, Coded)
        assert found.numbers.tobytes() == expected.numbers.numpy().tobytes()
        assert found.codes.tobytes() == expected.codes.numpy().tobytes()
        assert found.places.tobytes() == expected.places.numpy().tobytes()
        assert np.array_equal(found.dense(), expected.dense().numpy())
        assert np.array_equal(found[1:2].dense(), expected.dense().numpy()[1:2])


def test_more_rows_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**TYPICAL, "plain": float(number)} for number in range(40)]
    whole = ENCODER.encode(rows).x
    monkeypatch.setattr(columns, "BLOCK", 7)
    assert np.array_equal(ENCODER.encode(rows).x, whole)  # type: ignore[arg-type]
    monkeypatch.setattr(columns, "WIDE", 10)
    coded = Encoder(SCHEMA).encode(rows).x
    assert isinstance(coded, Codes) and np.array_equal(coded.dense(), whole)  # type: ignore[arg-type]


def test_float64_keeps_every_digit() -> None:
    frame = polars.DataFrame(
        {"x": [1e9 + row / 1e6 for row in range(50)], "y": [float(row % 7) for row in range(50)]}
    )
    schema = linnet.read(frame, "y").schema
    assert schema.dtype == "float64"
    for value in (1e9 + 1e-7, "1000000000.0000001", 10**18, 1e300, -4e38):
        assert same(schema, Encoder(schema), {"x": value})


def test_pictures_in_columns() -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (30, 64))
    names = [f"pixel{number}" for number in range(64)]
    frame = polars.DataFrame({name: pixels[:, i] for i, name in enumerate(names)})
    frame = frame.with_columns(y=polars.Series(["a", "b", "c"] * 10))
    schema = linnet.read(frame, "y", pictures="8x8").schema
    rows = frame.drop("y").to_dicts()
    found = schema.encode_rows(rows).x
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.uint8 and np.array_equal(found, schema.encode(frame).numpy())
    for value in (256, -1, 1.5, "3", None, True, math.nan, [3]):
        with pytest.raises(CellError, match="a whole number from 0 to 255") as caught:
            schema.encode_rows([rows[0], {**rows[1], "pixel7": value}])
        assert (caught.value.row, caught.value.column) == (1, "pixel7")
        assert by_frame(schema, {**rows[1], "pixel7": value}) == "refused"
    with pytest.raises(CellError) as caught:
        schema.encode_rows([rows[0], {key: rows[1][key] for key in names[1:]}])
    assert caught.value.given is MISSING


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_plain_rows(dtype: str) -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(20, 3)).astype(dtype), draw.normal(size=20)
    schema = linnet.read((x, y)).schema
    rows = [{f"c{i}": float(value) for i, value in enumerate(row)} for row in x]
    found = schema.encode_rows(rows).x
    assert isinstance(found, np.ndarray) and found.tobytes() == schema.encode(x).numpy().tobytes()
    mixed = schema.encode_rows([{"c0": 1, "c1": True, "c2": np.float32(2)}]).x
    assert dense(mixed).tolist() == [[1, 1, 2]]
    for value in ("3", None, math.nan, math.inf, 10**400, [1]):
        with pytest.raises(CellError, match="a finite number"):
            schema.encode_rows([{**rows[0], "c1": value}])
    bare = schema.model_copy(update={"columns": ()})
    numbered = [{key[1:]: value for key, value in row.items()} for row in rows]
    assert np.array_equal(bare.encode_rows(numbered).x, found)  # type: ignore[arg-type]
    named = linnet.read("iris").schema
    values = dict(zip(named.columns, [5.1, 3.5, 1.4, 0.2], strict=True))
    expected = named.encode(np.array(list(values.values())))
    assert np.array_equal(named.encode_rows([values]).x, expected.numpy())  # type: ignore[arg-type]


def test_usual_values_need_neither_torch_nor_polars() -> None:
    script = """
import json, sys
from linnet.data.rows import Encoder
from linnet.data.schema import Schema
schema = Schema.parse(json.loads(sys.argv[1]), "schema")
row = json.loads(sys.argv[2])
encoder = Encoder(schema)
for count in (1, 100):
    encoder.encode([row] * count)
print("torch" in sys.modules, "polars" in sys.modules, "PIL" in sys.modules)
"""
    import json

    row = {**TYPICAL, "money": 5.5, "share": 3.5, "clock": 7.5, "dmy": "2024-02-03"}
    row |= {"timed": "2024-02-03 10:30", "typed": "2024-02-03", "compact": "2024-02-03"}
    given = json.dumps(SCHEMA.model_copy(update={"missing": ("void",)}).plain())
    done = subprocess.run(
        [sys.executable, "-c", script, given, json.dumps(row)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False"] * 3
    assert torch.is_tensor(SCHEMA.encode(polars.DataFrame([row])))
