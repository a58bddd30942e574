"""Data frames: one table whoever made the frame, and each fault told by column and row."""

import datetime as dt
import decimal
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pytest
import torch

from helpers import assert_same_tables, refusal
from linnet.data.memory.frames import Frames
from linnet.data.read import read_draft
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.data.text.columns import to_table
from linnet.errors import DataError

DAY = dt.date(2020, 2, 29)
MOMENT = dt.datetime(2020, 2, 29, 12, 30, 15, 250_000)
BERLIN = "Europe/Berlin"

CONTENT: dict[str, tuple[pl.DataType, list[Any], list[Any]]] = {
    "whole": (pl.Int64(), [3, -1, 7], [3.0, -1.0, 7.0]),
    "gaps": (pl.Int64(), [3, None, 7], [3.0, None, 7.0]),
    "digits": (pl.Int64(), [2**60 + 1, None, 7], ["1152921504606846977", None, "7"]),
    "small": (pl.UInt8(), [0, 255, 7], [0.0, 255.0, 7.0]),
    "real": (pl.Float64(), [1.5, None, -2.0], [1.5, None, -2.0]),
    "single": (pl.Float32(), [1.5, 0.25, -2.0], [1.5, 0.25, -2.0]),
    "text": (pl.String(), [" a ", None, "?"], ["a", None, None]),
    "zip": (pl.String(), ["01234", "1", "NaN"], ["01234", "1", None]),
    "flag": (pl.Boolean(), [True, False, True], [True, False, True]),
    "maybe": (pl.Boolean(), [True, None, False], [True, None, False]),
    "day": (pl.Date(), [DAY, None, DAY], [DAY, None, DAY]),
    "moment": (pl.Datetime("us"), [MOMENT, None, MOMENT], [MOMENT, None, MOMENT]),
    "kind": (pl.Categorical(), ["x", None, "y"], ["x", None, "y"]),
    "money": (
        pl.Decimal(10, 2),
        [decimal.Decimal("1.25"), None, decimal.Decimal("-3.00")],
        [1.25, None, -3.0],
    ),
    "none": (pl.Null(), [None, None, None], [None, None, None]),
}
"""By column: the type in polars, the values, and what a table has of them."""

KINDS = {float: pl.Float64, str: pl.String, bool: pl.Boolean, dt.date: pl.Date}


def read(frame: Any, **settings: Any) -> Table:
    source = Frames()
    assert source.matches(frame)
    return source.read(frame, Reading(**settings))


def in_polars() -> pl.DataFrame:
    return pl.DataFrame(
        {name: pl.Series(values, dtype=kind) for name, (kind, values, _) in CONTENT.items()}
    )


def in_pyarrow() -> pa.Table:
    table = pa.table({name: values for name, (_, values, _) in CONTENT.items()})
    for name, kind in (("small", pa.uint8()), ("single", pa.float32())):
        index = table.column_names.index(name)
        table = table.set_column(index, name, table[name].cast(kind))
    index = table.column_names.index("kind")
    return table.set_column(index, "kind", table["kind"].dictionary_encode())


def in_pandas() -> pd.DataFrame:
    frame = {name: values for name, (_, values, _) in CONTENT.items()}
    return pd.DataFrame(
        frame
        | {
            "gaps": pd.array(frame["gaps"], dtype="Int64"),
            "digits": pd.array(frame["digits"], dtype="Int64"),
            "small": np.array(frame["small"], np.uint8),
            "single": np.array(frame["single"], np.float32),
            "kind": pd.Categorical(frame["kind"]),
        },
        index=["p", "q", "p"],
    )


def as_pandas_nullable() -> pd.DataFrame:
    frame = in_pandas()
    frame["maybe"] = frame["maybe"].astype("boolean")
    frame["text"] = frame["text"].astype("string")
    frame["zip"] = frame["zip"].astype(object)
    frame["real"] = frame["real"].astype("Float64")
    return frame


def as_pandas_arrow() -> pd.DataFrame:
    return in_pyarrow().to_pandas(types_mapper=pd.ArrowDtype)


MAKERS = [in_polars, in_pyarrow, in_pandas, as_pandas_nullable, as_pandas_arrow]


@pytest.mark.parametrize("make", MAKERS)
def test_a_frame_gives_the_same_table_whoever_made_it(make: Any) -> None:
    table = read(make())
    assert list(table.columns) == list(CONTENT) and table.name == "frame" and len(table) == 3
    for name, (_, _, expected) in CONTENT.items():
        column = table.columns[name]
        assert column.to_list() == expected, name
        kinds = {type(value) for value in expected} - {type(None)}
        kind = kinds.pop() if kinds else str
        assert column.dtype == (pl.Datetime("us") if kind is dt.datetime else KINDS[kind]), name
        assert column.name == name
    assert table.where(2) == "row 2"


def test_nan_is_missing_in_every_frame() -> None:
    values = [1.0, float("nan"), 3.0]
    for make in (pl.DataFrame, pd.DataFrame, pa.table):
        assert read(make({"a": values})).columns["a"].to_list() == [1.0, None, 3.0]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_zones_become_utc_and_units_microseconds(unit: str) -> None:
    moment = MOMENT.replace(microsecond=0)
    expected = dt.datetime(2020, 2, 29, 11, 30, 15)
    arrow = pa.table({"t": pa.array([expected, None], pa.timestamp(unit, BERLIN))})
    stamps = pd.Series(pd.to_datetime([moment, None])).dt.tz_localize(BERLIN).dt.as_unit(unit)
    frames: list[Any] = [arrow, pd.DataFrame({"t": stamps})]
    if unit != "s":
        kind = pl.Datetime(unit)  # type: ignore[arg-type]
        zoned = pl.Series([moment, None], dtype=kind).dt.replace_time_zone(BERLIN)
        frames.append(pl.DataFrame({"t": zoned}))
    for frame in frames:
        column = read(frame).columns["t"]
        assert column.dtype == pl.Datetime("us") and column.to_list() == [expected, None]


def test_nanoseconds_before_1970_are_cut_downwards() -> None:
    series = pl.Series("t", [-1, 1_999], dtype=pl.Int64).cast(pl.Datetime("ns"))
    assert read(pl.DataFrame([series])).columns["t"].to_physical().to_list() == [-1, 1]


@pytest.mark.parametrize(
    "value", [dt.datetime(2020, 1, 1), pd.Timestamp("2020-01-01 01:00", tz=BERLIN)]
)
def test_date_times_among_python_objects(value: Any) -> None:
    frame = pd.DataFrame({"t": pd.Series([value, None], dtype=object)})
    assert read(frame).columns["t"].to_list() == [dt.datetime(2020, 1, 1), None]


def test_a_date_outside_the_years_of_calendars() -> None:
    far = pl.Series("t", [0, 2**61], dtype=pl.Int64)
    message = 'frame: column "t", row 1: a date outside the years 1 to 9999; correct it, or make'
    for unit in ("ms", "us"):
        frame = pl.DataFrame([far.cast(pl.Datetime(unit))])
        assert refusal(read, frame).startswith(message)
    assert refusal(
        read, pl.DataFrame([pl.Series("t", [0, 2**31 - 1]).cast(pl.Int32).cast(pl.Date)])
    ) in (refusal(read, frame),)
    seconds = pd.Series(np.array([0, 2**60], "datetime64[s]"))
    assert refusal(read, pd.DataFrame({"t": seconds})).startswith(message)


def test_categories_of_numbers_are_text() -> None:
    frames = [
        pd.DataFrame({"a": pd.Categorical([10, None, 2])}),
        pa.table({"a": pa.array([10, None, 2]).dictionary_encode()}),
    ]
    for frame in frames:
        assert read(frame).columns["a"].to_list() == ["10", None, "2"]
    empty = pd.DataFrame({"a": pd.Categorical([None, None])})
    assert read(empty).columns["a"].to_list() == [None, None]
    assert "category of several types" in refusal(
        read, pd.DataFrame({"a": pd.Categorical([1, "b"])})
    )
    assert "category of Date" in refusal(read, pd.DataFrame({"a": pd.Categorical([DAY])}))


def test_whole_numbers_too_long_for_a_float_stay_text_unless_declared() -> None:
    edge = pl.DataFrame({"a": [2**53, -(2**53)]})
    assert read(edge).columns["a"].dtype == pl.Float64
    beyond = pl.DataFrame({"a": [2**53 + 1, 1]})
    assert read(beyond).columns["a"].to_list() == ["9007199254740993", "1"]
    assert read(beyond, columns={"a": "number"}).columns["a"].dtype == pl.Float64
    huge = pd.DataFrame({"a": pd.Series([10**50, 5], dtype=object)})
    assert read(huge).columns["a"].to_list() == [f"1{'0' * 50}", "5"]
    whole = decimal.Decimal(2**60)
    objects = pd.DataFrame({"a": [whole, None]})
    for frame in (pl.DataFrame({"a": [whole, None]}), pa.table({"a": [whole, None]}), objects):
        assert read(frame).columns["a"].to_list() == [str(2**60), None]
    wide = pa.table({"a": pa.array([whole], pa.decimal256(60, 0))})
    assert 'column "a" is decimal256(60, 0)' in refusal(read, wide)


def test_numbers_of_several_types_are_numbers() -> None:
    frame = pd.DataFrame({"a": pd.Series([1, 2.5, np.int8(3), None], dtype=object)})
    assert read(frame).columns["a"].to_list() == [1.0, 2.5, 3.0, None]


def test_a_number_among_text() -> None:
    frame = pd.DataFrame({"id": [1, 2, 3], "age": pd.Series(["x", None, 7], dtype=object)})
    assert refusal(read, frame) == (
        "frame: column \"age\" mixes types: row 0 has 'x' (str), row 2 has 7 (int); expected one: "
        "convert it"
    )
    late = pd.DataFrame({"age": pd.Series(["x"] * 500 + [7], dtype=object)})
    assert "row 500 has 7 (int)" in refusal(read, late)
    assert read(frame, drop="age").columns["id"].to_list() == [1.0, 2.0, 3.0]


def test_values_that_are_no_values() -> None:
    frame = pd.DataFrame({"a": pd.Series([None, [1, 2]], dtype=object)})
    assert refusal(read, frame) == (
        'frame: column "a" is of Python objects, at row 1 a list; expected numbers, text, '
        "booleans, dates or date-times: convert it, or leave it out (drop=a)"
    )


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (pl.Series([[1], [2]]), "List(Int64)"),
        (pl.Series([{"x": 1}, {"x": 2}]), "Struct({'x': Int64})"),
        (pl.Series([b"a", b"b"]), "Binary"),
        (pl.Series([dt.time(1), dt.time(2)]), "Time"),
        (pl.Series([dt.timedelta(1)] * 2), "Duration(time_unit='us')"),
        (pl.Series([object(), object()]), "Object"),
        (pl.Series([[1, 2]] * 2, dtype=pl.Array(pl.Int8, 2)), "Array(Int8, shape=(2,))"),
    ],
)
def test_types_that_no_table_has_from_polars(values: pl.Series, shown: str) -> None:
    frame = pl.DataFrame({"a": values, "b": [1, 2]})
    assert f'frame: column "a" is {shown}; expected numbers' in refusal(read, frame)
    assert list(read(frame, drop="a").columns) == ["b"]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (pd.to_timedelta([1, 2], unit="s"), "timedelta64[ns]"),
        (pd.period_range("2020", periods=2, freq="M"), "period[M]"),
        (pd.IntervalIndex.from_breaks([0, 1, 2]), "interval[int64, right]"),
        (np.array([1j, 2j]), "complex128"),
        (pd.arrays.SparseArray([0, 1]), "Sparse[int64, 0]"),
    ],
)
def test_types_that_no_table_has_from_pandas(values: Any, shown: str) -> None:
    frame = pd.DataFrame({"a": values, "b": [1, 2]})
    assert f'column "a" is {shown[:10]}' in refusal(read, frame)
    assert list(read(frame, drop="a").columns) == ["b"]


def test_types_that_no_table_has_from_pyarrow() -> None:
    numbers = pa.array([1, 2])
    for values, shown in (
        (pa.array([[1], [2]]), "list"),
        (pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())), "map"),
        (pa.array([b"a", b"b"]), "binary"),
        (pa.array([1, 2], pa.time32("s")), "time32[s]"),
        (pa.array([1, 2], pa.duration("s")), "duration[s]"),
        (pa.ExtensionArray.from_storage(pa.opaque(pa.int64(), "t", "v"), numbers), "extension"),
    ):
        frame = pa.table({"a": values, "b": numbers})
        assert f'column "a" is {shown}' in refusal(read, frame)
        assert list(read(frame, drop="a").columns) == ["b"]


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, pa.table])
def test_infinite_numbers_name_column_and_row(make: Any) -> None:
    assert refusal(read, make({"a": [1.0, 2.0, float("-inf")]})) == (
        'frame: column "a", row 2: -inf; expected a finite number: correct it, or make it missing'
    )


def test_declared_numbers_in_text() -> None:
    frame = pl.DataFrame({"a": ["1", " 2.5", "?", "1e3", "-"], "b": ["x", "y", "x", "y", "x"]})
    data = read_draft(frame, Reading(target=("b",), columns={"a": "number"}))
    assert data.x[[0, 1, 3], 0].tolist() == [1.0, 2.5, 1000.0] and data.x.isnan().sum() == 2
    wrong = pl.DataFrame({"a": ["1", "2", "some"], "b": ["x", "y", "x"]})
    settings = {"target": ("b",), "columns": {"a": "number"}}
    assert refusal(read_draft, wrong, Reading.parse(settings, "test")) == (
        "frame, row 2, column 'a': 'some' is not a number, but the column is declared a number; "
        "correct it, or --set missing=... if it means a missing value, or declare another kind"
    )
    numbers = pl.DataFrame({"a": [1, 2]})
    assert read(numbers, columns={"a": "category"}).columns["a"].dtype == pl.Float64


def test_names_that_are_not_there() -> None:
    frame = pd.DataFrame({"age": [1], "sex": [2]})
    assert refusal(read, frame, drop="aeg") == (
        'frame: there is no column "aeg", named in drop; did you mean "age"?'
    )


def test_everything_dropped() -> None:
    frame = pl.DataFrame({"a": [1]})
    assert refusal(read, frame, drop="a") == "frame: no columns are left; expected at least one"


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, pa.table])
def test_no_rows(make: Any) -> None:
    assert refusal(read, make({"a": []})) == "frame: no rows; expected at least one"


def test_names_twice() -> None:
    pandas = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    message = 'frame: columns 0 and 2 are both named "a"; rename one'
    assert refusal(read, pandas) == message
    assert refusal(read, pa.table([[1], [2], [3]], names=["a", "b", "a"])) == message
    mixed = pd.DataFrame([[1, 2]], columns=pd.Index([0, "0"], dtype=object))
    assert refusal(read, mixed) == 'frame: columns 0 and 1 are both named "0"; rename one'
    assert refusal(read, pl.DataFrame({"é": [1], "e\u0301": [2]})).endswith(
        "spelled with other code points; rename one"
    )


def test_names_that_are_no_text() -> None:
    numbered = pd.DataFrame([[1, 2]])
    assert list(read(numbered).columns) == ["0", "1"]
    assert list(read(numbered, drop="0").columns) == ["1"]
    assert refusal(read, pd.DataFrame({1.5: [1]})) == (
        "frame: column 0 is named 1.5, a float; expected text: rename it"
    )
    assert "column 1 is named None" in refusal(
        read, pd.DataFrame([[1, 2]], columns=pd.Index(["a", None], dtype=object))
    )
    assert "column 0 is named True, a bool" in refusal(read, pd.DataFrame({True: [1]}))
    assert (
        refusal(read, pl.DataFrame({" ": [1]})) == "frame: column 0 has no name (' '); give it one"
    )
    levels = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]))
    assert "2 levels of names (MultiIndex); expected one: flatten them" in refusal(read, levels)


def test_frames_not_yet_collected() -> None:
    message = refusal(read, pl.LazyFrame({"a": [1]}))
    assert message == "frame: a polars LazyFrame is not computed yet; collect() it first"


def test_what_is_no_frame() -> None:
    source = Frames()
    for place in (
        "a", Path("a.csv"), np.zeros((2, 2)), [1], {"a": [1]}, pd.Series([1]), pl.Series([1]),
        pa.array([1]), None,
    ):  # fmt: skip
        assert not source.matches(place)


def test_narwhals_frames_and_subclasses() -> None:
    import narwhals

    class Kin(pd.DataFrame):  # type: ignore[misc]
        pass

    frame = pd.DataFrame({"a": [1, 2]})
    for kin in (Kin(frame), narwhals.from_native(frame), narwhals.from_native(pl.DataFrame(frame))):
        assert read(kin).columns["a"].to_list() == [1.0, 2.0]


def test_columns_of_unequal_length() -> None:
    pairs = [("a", pl.Series([1])), ("b", pl.Series([1, 2]))]
    with pytest.raises(DataError, match='"b" has 2 rows, the first 1'):
        to_table(pairs, "x", Reading())


def test_text_said_many_times_is_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linnet.data.text.columns.LARGE_TEXT", 100)
    monkeypatch.setattr("linnet.core.memory.available", lambda: 1000)
    frame = pl.DataFrame({"a": ["x" * 60] * 10})
    assert 'column "a" needs about' in refusal(read, frame)


def test_matching_imports_no_library_of_frames() -> None:
    program = (
        "import sys; from linnet.data.memory.frames import Frames; import numpy; "
        "assert not Frames().matches(numpy.zeros(3)) and not Frames().matches('x'); "
        "found = {'pandas', 'polars', 'pyarrow', 'narwhals'} & set(sys.modules); "
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True)


def test_pandas_without_pyarrow() -> None:
    program = """
import sys
sys.modules["pyarrow"] = None
import datetime as dt
import pandas as pd
from linnet.data.reading import Reading
from linnet.data.memory.frames import Frames
frame = pd.DataFrame({
    "text": ["a", None, "b"], "real": [1.5, None, 2.0], "whole": [1, 2, 3],
    "flag": pd.array([True, None, False], dtype="boolean"), "some": [True, None, False],
    "kind": pd.Categorical(["x", None, "y"]), "day": [dt.date(2020, 1, 1), None, None],
    "zoned": pd.to_datetime(["2020-01-01", None, None]).tz_localize("Europe/Berlin"),
})
table = Frames().read(frame, Reading())
found = {name: column.to_list() for name, column in table.columns.items()}
assert found == {
    "text": ["a", None, "b"], "real": [1.5, None, 2.0], "whole": [1.0, 2.0, 3.0],
    "flag": [True, None, False], "some": [True, None, False], "kind": ["x", None, "y"],
    "day": [dt.date(2020, 1, 1), None, None],
    "zoned": [dt.datetime(2019, 12, 31, 23), None, None],
}, found
assert sys.modules["pyarrow"] is None
"""
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", program], check=True)


@pytest.mark.parametrize(("file", "header"), [("titanic.csv", True), ("adult.data", False)])
def test_real_tables_read_by_three_libraries(file: str, header: bool) -> None:
    path = Path(os.environ.get("LINNET_DATA", "")) / file
    if "LINNET_DATA" not in os.environ or not path.is_file():
        pytest.skip(f"LINNET_DATA does not point at a folder with {file}")
    arrow_options = pa.csv.ReadOptions(autogenerate_column_names=not header)
    frames = {
        "pandas": pd.read_csv(path, header=0 if header else None),
        "polars": pl.read_csv(path, has_header=header),
        "pyarrow": pa.csv.read_csv(path, read_options=arrow_options),
    }
    count = len(frames["polars"].columns)
    names = [f"c{index}" for index in range(count)]
    frames["pandas"].columns = names
    frames["polars"].columns = names
    frames["pyarrow"] = frames["pyarrow"].rename_columns(names)
    tables = {library: read(frame) for library, frame in frames.items()}
    assert_same_tables(tables["pandas"], tables["pyarrow"])
    if header:
        assert_same_tables(tables["pandas"], tables["polars"])
        return
    # polars keeps the spaces before adult's numbers, and so reads text, which is read as numbers
    target = Reading(target=(names[-1],))
    found = [read_draft(frame, target) for frame in frames.values()]
    assert all(torch.equal(each.x.nan_to_num(-1), found[0].x.nan_to_num(-1)) for each in found)
