"""Numbers and dates as people write them: one rule for files and frames, and nothing in silence."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars as pl
import pyarrow
import pytest
import torch
from typer.testing import CliRunner

import linnet
from helpers import refusal
from linnet.cli import app
from linnet.data import dates, written
from linnet.data.dataset import Dataset
from linnet.data.read import read_draft
from linnet.data.reading import ABSENT, MISSING, Reading
from linnet.data.table import Warned
from linnet.errors import DataError, LinnetWarning

ROWS = 120
DRAWS = np.random.default_rng(3)
X, Y = DRAWS.normal(size=ROWS).round(3), DRAWS.normal(size=ROWS).round(3)


def drafted(values: Any, **settings: Any) -> Dataset:
    """A data set of the column ``v`` of text, another column, and a target."""
    table = pl.DataFrame(
        {"v": list(itertools.islice(itertools.cycle(values), ROWS)), "x": X, "y": Y}
    )
    return read_draft(table, Reading.parse({"target": "y", **settings}, "test"))


def column(data: Dataset) -> tuple[str, list[float]]:
    """The kind of ``v``, and its values; none if it is left out."""
    kind = next(field.kind for field in data.schema.fields if field.name == "v")
    used = data.schema.columns
    return kind, data.x[:, used.index("v")].tolist() if "v" in used else []


def warned(data: Dataset) -> str:
    return " ".join(note for note in data.notes if isinstance(note, Warned))


def grouped(value: float, decimal: str, group: str) -> str:
    """A number with two decimals, its thousands in groups."""
    return f"{abs(value):,.2f}".replace(".", "#").replace(",", group).replace("#", decimal)


MARKS = [
    (".", ","), (",", "."), (",", " "), (".", " "), (",", "\u00a0"), (",", "\u202f"), (".", "'"),
    (".", "\u2019"), (",", "'"), (".", ""), (",", ""),
]  # fmt: skip
BESIDE: dict[str, Callable[[str], str]] = {
    "plain": str,
    "dollar": "${}".format,
    "euro after": "{} €".format,
    "code": "CHF {}".format,
    "code after": "{} EUR".format,
    "percent": "{}%".format,
    "percent apart": "{} %".format,
    "unit": "{} km/h".format,
    "full width": lambda text: text.translate({48 + d: 0xFF10 + d for d in range(10)}),
}
MINUS: dict[str, Callable[[str], str]] = {
    "sign": "-{}".format,
    "after": "{}-".format,
    "true minus": "\u2212{}".format,
    "parentheses": "({})".format,
}


@pytest.mark.parametrize(("decimal", "group"), MARKS)
def test_numbers_are_read_in_every_form(decimal: str, group: str) -> None:
    numbers = (DRAWS.normal(size=ROWS) * 10 ** DRAWS.integers(0, 7, ROWS)).round(2)
    texts = [grouped(value, decimal, group) for value in numbers]
    table = {}
    for index, (beside, put) in enumerate(BESIDE.items()):
        minus, negate = list(MINUS.items())[(index + MARKS.index((decimal, group))) % 4]
        inner = minus in ("after", "parentheses")
        table[f"{beside}, {minus}"] = [
            put(text) if value >= 0 else put(negate(text)) if inner else negate(put(text))
            for value, text in zip(numbers, texts, strict=True)
        ]
    data = read_draft(pl.DataFrame({**table, "y": Y}), Reading(target=("y",)))
    assert data.schema.columns == tuple(table) and len(table) == 9
    for name, kind, found in zip(table, data.schema.fields, data.x.T, strict=True):
        assert kind.kind == "number" and np.allclose(found, numbers, rtol=1e-12), name


def test_indian_groups_whole_prices_and_powers() -> None:
    for texts, numbers in (
        (["12,34,567.50", "1,23,456", "950"], [1234567.5, 123456, 950]),
        (["5,-", "12,50", "1.200,--"], [5, 12.5, 1200]),
        (["1,5E+05", "-2,25e-1", "3"], [150000, -0.225, 3]),
        ([f"{10**n:,}+" for n in range(7)], [1, 10, 100]),
        ([f"'{n}" for n in range(7)], [0, 1, 2]),
        ([f'="{n}.5"' for n in range(7)], [0.5, 1.5, 2.5]),
        (["Rs. 1,200.50", "Rs 3", "INR 4"], None),
    ):
        kind, found = column(drafted(texts * 40))
        assert kind == "number" or numbers is None
        assert numbers is None or found[:3] == numbers


@pytest.mark.slow
def test_every_door_reads_the_same(tmp_path: Path) -> None:
    texts = [f"{grouped(value, ',', '.')} €" for value in np.linspace(1, 9e5, ROWS)]
    days = [f"{1 + row % 28:02}.{1 + row % 12:02}.{row % 100:02}" for row in range(ROWS)]
    table = pl.DataFrame({"price": texts, "day": days, "y": Y})
    table.write_csv(tmp_path / "t.csv", separator=";")
    table.write_parquet(tmp_path / "t.parquet")
    places = (
        tmp_path / "t.csv", tmp_path / "t.parquet", table, table.to_pandas(), table.to_arrow(),
    )  # fmt: skip
    found = [read_draft(place, Reading(target=("y",))) for place in places]
    for data in found:
        assert [(field.kind, field.format) for field in data.schema.fields] == [
            ("number", ",eur"), ("date", "dmy"),
        ]  # fmt: skip
        assert torch.equal(data.x, found[0].x)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([f"{n},{n % 1000:03}" for n in range(1, 90)], "--set decimal=. .*--set decimal=,"),
        ([f"{n}.{n % 1000:03} €" for n in range(1, 90)], "may have a decimal mark, or a mark bet"),
        ([f"{n}.5" for n in range(50)] + ["2,5"], "'2,5' has a decimal comma and .* a decimal po"),
        ([*map(str, range(90)), "<5", ">100"], "'<5' is a limit.*columns.v=number.*missing=<5"),
        ([f"{n}%" if n % 2 else f"{n / 100}" for n in range(90)], "different units"),
        ([f"${n}" if n % 2 else f"€{n}" for n in range(90)], "different units"),
        ([*map(str, range(90)), "broken"], "'broken' is not a number, but 119 of .* 120|'broken'"),
        ([f"1/{1 + n % 12}/2024" for n in range(90)], "--set dates=dmy or --set dates=mdy"),
        ([f"{1 + n % 9}-{1 + n % 12}-{10 + n % 9}" for n in range(90)], "dates=dmy or --set dat"),
        (
            [f"{3 + n % 9}/30/2024" for n in range(90)] + ["soon"],
            "'soon' is not a date like the oth",
        ),
    ],
)
def test_what_is_ambiguous_is_refused_with_the_setting(texts: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        drafted(texts)
    assert column(drafted(texts, columns={"v": "text"}))[0] == "text"


def test_items_of_a_list_are_categories() -> None:
    """As in ISLP's Wage: most of them look like a number and a unit."""
    items = ["1. < HS Grad", "2. HS Grad", "3. Some College", "4. College Grad", "5. Advanced"]
    kind, values = column(drafted([items[n % 7 % 5] for n in range(200)]))
    assert kind == "category" and len(set(values)) == 5


@pytest.mark.slow
def test_the_setting_decides() -> None:
    texts = [f"{n},{n % 1000:03}" for n in range(1, 90)]
    assert column(drafted(texts, decimal="."))[1][:2] == [1001, 2002]
    assert column(drafted(texts, decimal=","))[1][:2] == [1.001, 2.002]
    days = [f"{1 + n % 9}/{1 + n % 12}/2024" for n in range(90)]
    for order, month in (("dmy", 2), ("mdy", 2)):
        seconds = column(drafted(days, dates=order))[1]
        first = datetime(1970, 1, 1) + timedelta(seconds=seconds[1])
        assert (first.year, first.month, first.day) == (2024, month, 2)
    assert column(drafted(days, dates="dmy"))[1][2] == column(drafted(days, dates="dmy"))[1][2]
    assert column(drafted(days, dates="dmy"))[1][9] != column(drafted(days, dates="mdy"))[1][9]
    units = [f"{n} {'kg' if n % 2 else 'lb'}" for n in range(90)]
    data = drafted(units, columns={"v": "number"})
    assert column(data)[1][:3] == [0, 1, 2] and "several units ('kg', 'lb')" in warned(data)
    data = drafted([*map(str, range(90)), "<5"], columns={"v": "number"})
    assert column(data)[1][90] == 5 and "1 limit such as '<5'" in warned(data)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (
            [f"word{n}" if n % 2 else f"{n}.5" for n in range(ROWS)],
            "50 % of its values look like n",
        ),
        ([f"Excel: {n}.576,42" for n in range(ROWS)], "100 % of its values look like numbers"),
        ([f"ca. {n},5 or so" for n in range(ROWS)], "look like numbers"),
        ([f"{n},5 to 99" if n % 2 else f"~{n}.5" for n in range(ROWS)], "look like numbers"),
        ([f"2024-W{n % 50}-{n}" for n in range(ROWS)], "look like dates"),
        ([f"at {n % 12}:{n % 60:02} on the {n % 28}th ({n})" for n in range(ROWS)], "look like da"),
        ([f"{n}M" if n % 3 else "varies" for n in range(ROWS)], "look like numbers"),
        ([f"{n} {'kg' if n % 2 else 'lb'}" for n in range(ROWS)], "look like numbers"),
        ([f"{n}K" if n % 2 else f"{n / 10}M" for n in range(ROWS)], "look like numbers"),
        ([f"2024-01-{1 + n % 28:02} 10:{n % 60:02} EST" for n in range(ROWS)], "look like dates"),
    ],
)
def test_numbers_and_dates_are_never_left_out_by_a_quiet_note(texts: list[str], said: str) -> None:
    data = drafted(texts)
    assert column(data)[0] in ("identifier", "text", "category")
    assert said in warned(data) and "columns.v=" in warned(data)


@pytest.mark.parametrize(
    "texts",
    [
        [f"A{n * 7919}" for n in range(ROWS)],
        [f"{n * 31:05}" for n in range(ROWS)],
        [f"Somebody the {n}th" for n in range(ROWS)],
        ["2WD", "4WD"],
        [f"10.0.{n % 7}.{n}" for n in range(ROWS)],
        [f"{n % 4}.{n % 7}.{n}" for n in range(ROWS)],
        [f"{n}-{n + 4}" for n in range(0, 40, 5)],
    ],
)
def test_names_codes_and_ranges_are_no_numbers(texts: list[str]) -> None:
    data = drafted(texts)
    assert column(data)[0] in ("identifier", "text", "category") and not warned(data)


@pytest.mark.slow
def test_words_that_mean_missing() -> None:
    words = sorted({*MISSING, *ABSENT} - {""})
    numbers = {f"n{word}": [*(f"{n}.5" for n in range(ROWS - 1)), word] for word in words}
    days = {f"d{word}": [*["2024-01-13"] * (ROWS - 2), "2024-01-14", word] for word in words}
    data = read_draft(pl.DataFrame({**numbers, **days, "y": Y}), Reading(target=("y",)))
    kinds = {field.name[0] + field.kind for field in data.schema.fields}
    assert kinds == {"nnumber", "ddate"} and data.x.isnan().sum(0).tolist() == [1] * 2 * len(words)
    told = " ".join(data.notes)
    assert all(repr(f"n{word}") in told for word in ABSENT if word not in MISSING)
    assert not warned(drafted([*map(str, range(59)), "-"]))
    assert "mean missing" in warned(drafted(["1.5", "2.5", "unknown"]))
    data = drafted(["none", "mild", "severe"])  # among words it is a word
    assert next(f for f in data.schema.fields if f.name == "v").categories[1] == "none"
    pages = (Path(__file__).parents[2] / "docs" / "tables.md").read_text("utf-8")
    assert all(f"`{word}`" in pages for word in (*MISSING, *ABSENT) if word)


def test_a_model_reads_as_in_training(tmp_path: Path) -> None:
    prices = [grouped(value, ",", ".") + " EUR" for value in np.linspace(1000, 9e4, ROWS)]
    days = [f"{1 + row % 28:02}/{1 + row % 12:02}/2024" for row in range(ROWS)]
    table = pl.DataFrame(
        {"price": prices, "day": days, "level": [*["1", "2"] * 59, "1", "-"], "y": Y}
    )
    model = linnet.train(table, target="y", model="linear", out=tmp_path / "r").model
    assert linnet.load(tmp_path / "r").schema == model.schema
    one = pl.DataFrame({"price": ["1.234 EUR"], "day": ["02/03/2024"], "level": ["--"]})
    x = dict(zip(model.schema.columns, model.schema.encode(one)[0].tolist(), strict=True))
    assert (x["price"], x["day.month"], x["day.day"], x["level (missing)"]) == (1234, 3, 2, 1)
    with pytest.raises(DataError, match="'level' has 'high', expected a number"):
        model.schema.encode(one.with_columns(level=pl.lit("high")))
    plain = one.with_columns(price=pl.lit(1234.0))
    assert torch.equal(model.schema.encode(plain), model.schema.encode(one))
    for wrong in ("1,234.50", "5 USD", "cheap"):
        with pytest.raises(DataError, match=r"row 0: the column 'price' has .* expected a number"):
            model.predict(one.with_columns(price=pl.lit(wrong)))
    with pytest.raises(DataError, match="expected a date, written as in training"):
        model.predict(one.with_columns(day=pl.lit("02/13/2024")))


def test_codes_in_text_stay_codes() -> None:
    grades = [*["1", "2", "3"] * 39, "1", "2", "-"]
    data = linnet.read(pl.DataFrame({"v": grades, "y": Y}), "y")
    assert data.schema.columns == ("v=1", "v=2", "v=3", "v=(missing)")
    new = data.schema.encode(pl.DataFrame({"v": ["3.0", "n/a", "1"]}))
    assert new.tolist() == [[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    with pytest.warns(LinnetWarning, match="'v' has 2 rows of unknown categories"):
        new = data.schema.encode(pl.DataFrame({"v": ["high", "4"]}))
    assert new.tolist() == [[0] * 4] * 2


def test_plain_training_numbers_take_no_doubtful_ones(tmp_path: Path) -> None:
    table = pl.DataFrame({"v": X, "x": Y, "y": Y})
    data = linnet.read(table, "y")
    with pytest.raises(DataError, match="'1,234', expected a number"):
        data.schema.encode(pl.DataFrame({"v": ["1,234"], "x": [1.0]}))
    assert data.schema.encode(pl.DataFrame({"v": ["-1.5"], "x": [1.0]}))[0, 0] == -1.5


# Dates

STYLES = (
    "%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%m-%d-%Y", "%d-%m-%y", "%m/%d/%y",
    "%d.%m.%y", "%b %d, %Y", "%d-%b-%y", "%d %B %Y", "%B %d, %Y", "%d%b%Y", "%a, %d %b %Y",
    "%Y年%m月%d日", "%d. %B %Y", "%Y-%b-%d",
)  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S.%f", " %H:%MZ")


@pytest.mark.parametrize("time", TIMES)
def test_dates_are_read_in_every_form(time: str) -> None:
    first = datetime(1969, 3, 1)
    moments = [first + timedelta(days=293 * row, minutes=97 * row) for row in range(ROWS)]
    table = {style: [moment.strftime(style + time) for moment in moments] for style in STYLES}
    data = read_draft(pl.DataFrame({**table, "y": Y}), Reading(target=("y",)))
    days = [moment if time else moment.replace(hour=0, minute=0) for moment in moments]
    expected = [(day - datetime(1970, 1, 1)).total_seconds() for day in days]
    assert data.schema.columns == tuple(table)
    for style, field, found in zip(STYLES, data.schema.fields, data.x.T, strict=True):
        assert field.kind == "date" and found.tolist() == expected, style


def test_month_names_of_other_languages() -> None:
    for text in ("3. März 2024", "3 de marzo de 2024", "3 mars 2024", "3 maart 2024", "3-mar-24"):
        assert dates.dates(pl.Series([text]), "ymd").to_list() == [datetime(2024, 3, 3)]
    for text in ("2024-03", "03/2024", "3.2024", "Mar 2024", "März 2024"):
        assert dates.dates(pl.Series([text]), "ymd").to_list() == [datetime(2024, 3, 1)]
    assert dates.dates(pl.Series(["1st class 2024", "3 foo 2024"]), "ymd").null_count() == 2


def test_years_of_two_digits_follow_the_rule_of_posix() -> None:
    years = [1900 + year if year >= 69 else 2000 + year for year in range(100)]
    for form in ("03/07/%02d", "07-Mar-%02d", "Mar 7, %02d"):
        texts = [form % (year % 100) for year in years]
        assert dates.dates(pl.Series(texts), "mdy").to_list() == [datetime(y, 3, 7) for y in years]
    assert [datetime.strptime(f"{y % 100:02}", "%y").year for y in years] == years


def test_time_of_two_digits_orders_rightly(tmp_path: Path) -> None:
    first = datetime(1993, 1, 1)
    days = [first + timedelta(days=100 * row) for row in range(ROWS)]
    order = DRAWS.permutation(ROWS)
    table = pl.DataFrame(
        {"when": [days[row].strftime("%m/%d/%y") for row in order], "x": X, "y": Y}
    )
    table.write_csv(tmp_path / "t.csv")
    words = ["train", str(tmp_path / "t.csv"), "--target", "y", "--time", "when"]
    done = CliRunner().invoke(app, [*words, "--model", "linear", "--out", str(tmp_path / "r")])
    assert done.exit_code == 0, done.output
    assert "years of two digits" in done.output
    split = linnet.Run(tmp_path / "r").split()
    train, valid, test = (order[split[name].numpy()] for name in ("train", "valid", "test"))
    assert train.max() < valid.min() and valid.max() < test.min()


def test_offsets_become_utc() -> None:
    zones = ["+01:00", "Z", "-0530"] * 20
    texts = [f"2024-01-{1 + n % 28:02}T10:00:00{zone}" for n, zone in enumerate(zones)]
    data = drafted(texts)
    kind, found = column(data)
    hours = [seconds / 3600 % 24 for seconds in found[:3]]
    assert kind == "date" and hours == [9, 10, 15.5]
    assert "'v' has times of 3 offsets, converted to UTC" in data.notes
    some = drafted([*texts, "2024-01-01T10:00:00"])
    assert "without an offset, taken as UTC" in warned(some)


def test_times_alone_are_hours() -> None:
    texts = [f"{1 + n % 12}:{n % 60:02} {'AM' if n % 2 else 'PM'}" for n in range(60)]
    kind, found = column(drafted(texts))
    assert kind == "number" and found[:2] == [13, 2 + 1 / 60]
    assert column(drafted([f"{n % 30:02}:30:36" for n in range(60)]))[1][2] == 2.51


def test_numbers_that_may_be_dates() -> None:
    numbers = [20240101 + n % 28 for n in range(60)]
    data = drafted(numbers)
    assert column(data)[0] == "number" and "columns.v=date" in warned(data)
    data = drafted(numbers, columns={"v": "date"})
    kind, found = column(data)
    assert kind == "date" and found[1] - found[0] == 86_400 and not warned(data)
    assert not warned(drafted([20249901 + n for n in range(60)]))


# Categories and targets


@pytest.mark.parametrize("texts", [["Yes", "yes", "YES"], ["New York", "New  york", "Rome"]])
def test_categories_that_differ_only_in_case_or_spaces(texts: list[str]) -> None:
    assert "differ at most in case or spaces" in warned(drafted([*texts, "Other"]))
    table = pl.DataFrame({"x": X, "y": [*texts, "Other"] * (ROWS // 4)})
    for place in (table, table.to_pandas()):
        said = refusal(linnet.read, place, "y")
        assert "differ at most in case or spaces" in said and "columns.y=category" in said
        with pytest.warns(LinnetWarning, match="differ at most in case"):
            assert len(linnet.read(place, "y", columns={"y": "category"}).schema.classes) == 4


def test_targets_are_read_as_columns_are(tmp_path: Path) -> None:
    for text in ("${:,.2f}", "{:,.2f} €", "{:,.2f}%"):
        texts = [text.format(value) for value in np.linspace(1, 9e5, ROWS)]
        table = pl.DataFrame({"x": X, "y": texts})
        data = linnet.read(table, "y")
        assert data.schema.task == "regression"
        assert np.allclose(data.y.numpy(), np.linspace(1, 9e5, ROWS).round(2))
    run = linnet.train(table, target="y", model="linear", out=tmp_path / "r")
    table.write_csv(tmp_path / "t.csv")
    done = CliRunner().invoke(app, ["evaluate", str(run.path), str(tmp_path / "t.csv")])
    assert done.exit_code == 0, done.output


def test_pandas_categories_are_no_numbers_and_unused_ones_no_classes() -> None:
    codes = pandas.Categorical(["1,5", "2,5", "3,5"] * 40, categories=["1,5", "2,5", "3,5", "9"])
    table = pandas.DataFrame({"v": codes, "x": X, "y": ["a", "b"] * 60})
    table["y"] = pandas.Categorical(table["y"], categories=["a", "b", "c"])
    for place in (table, pl.from_pandas(table), pyarrow.Table.from_pandas(table)):
        data = linnet.read(place, "y")
        assert data.schema.classes == ("a", "b")
        assert data.schema.fields[0].categories == ("1,5", "2,5", "3,5")


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([0, 1], "classification", (0, 1)),
        ([-1, 1], "classification", (-1, 1)),
        ([1.0, 2.0, 3.0], "classification", (1, 2, 3)),
        ([True, False], "classification", (False, True)),
        (["1", "2"], "classification", (1, 2)),
        (list(range(30)), "regression", ()),
        ([0.5, 1.5], "regression", ()),
    ],
)
def test_files_frames_and_arrays_agree_on_the_task(
    values: list[Any], task: str, classes: tuple[Any, ...], tmp_path: Path
) -> None:
    many = list(itertools.islice(itertools.cycle(values), ROWS * 2))
    x = np.arange(ROWS * 2) * 0.5
    table = pl.DataFrame({"x": x, "y": many})
    table.write_csv(tmp_path / "t.csv")
    places: list[Any] = [table, table.to_pandas(), tmp_path / "t.csv"]
    found = [read_draft(place, Reading(target=("y",))) for place in places]
    if not isinstance(values[0], str):
        found.append(read_draft((x[:, None], np.array(many)), Reading()))
    for data in found:
        shown = {"false": False, "true": True}
        labels = tuple(shown.get(str(label), label) for label in data.schema.classes)
        assert (data.schema.task, labels) == (task, classes)
        doubtful = task == "regression" and values[-1] == 29
        assert ("task=classification" in warned(data)) == doubtful


def test_one_hot_targets_are_told() -> None:
    codes = np.arange(ROWS) % 3
    hot = {f"c{code}": (codes == code).astype(int) for code in range(3)}
    table = pl.DataFrame({"x": X, **hot})
    said = refusal(linnet.read, table, ["c0", "c1", "c2"])
    assert "a single 1 in each row" in said and "idxmax" in said and "task regression" in said
    data = linnet.read(table, ["c0", "c1", "c2"], task="regression")
    assert data.schema.task == "regression"
    several = table.with_columns(c0=pl.lit(1))
    assert "several labels a row are not" in refusal(linnet.read, several, ["c0", "c1", "c2"])


def test_many_rows_without_a_target_are_a_warning() -> None:
    y = [None, *Y[1:].tolist()]
    data = read_draft(pl.DataFrame({"x": X, "y": y}), Reading(target=("y",)))
    assert "1 rows have no target" in data.notes[0] and not warned(data)
    data = read_draft(pl.DataFrame({"x": X, "y": y[:1] * 60 + y[60:]}), Reading(target=("y",)))
    assert "50 % of all rows" in warned(data)


# Pictures in tables


def pixels(rows: int = 120, side: int = 10) -> pl.DataFrame:
    draws = np.random.default_rng(5)
    y = draws.integers(0, 3, rows)
    x = draws.integers(0, 120, (rows, side * side)) + 60 * y[:, None] * (
        np.arange(side * side) < 50
    )
    x[:, :9] = draws.integers(0, 4, (rows, 9))  # as at the edge: few different values
    columns = {f"pixel{index}": x[:, index] for index in range(side * side)}
    return pl.DataFrame({"label": y, **columns})


def test_columns_that_are_alike_are_no_categories_one_by_one() -> None:
    data = read_draft(pixels(), Reading(target=("label",)))
    assert {field.kind for field in data.schema.fields} == {"number"}
    assert "look like the pixels of pictures (10x10)" in warned(data)
    assert "pictures=10x10" in warned(data)
    few = pixels().select("label", *(f"pixel{index}" for index in range(30)))
    kinds = [field.kind for field in read_draft(few, Reading(target=("label",))).schema.fields]
    assert kinds[:9] == ["category"] * 9
    declared = Reading(target=("label",), columns={"pixel0": "category"})
    assert read_draft(pixels(), declared).schema.fields[0].kind == "category"


def test_a_table_of_pixels_is_read_as_pictures(tmp_path: Path) -> None:
    table = pixels()
    data = linnet.read(table, "label", pictures="10x10")
    assert data.schema.example == "picture" and data.schema.shape == (1, 10, 10)
    expected = table.drop("label").to_numpy().reshape(-1, 1, 10, 10)
    assert data.x.dtype == torch.uint8 and torch.equal(data.x, torch.tensor(expected))
    table.write_csv(tmp_path / "t.csv")
    words = ["train", str(tmp_path / "t.csv"), "--target", "label", "--out", str(tmp_path / "r")]
    refused = CliRunner().invoke(app, [*words, "--model", "cnn"])
    assert refused.exit_code == 2 and "pictures=10x10 if its columns are pixels" in refused.output
    settings = ["--model", "linear,cnn", "--set", "pictures=10x10", "--set", "epochs=1"]
    done = CliRunner().invoke(app, [*words, *settings])
    assert done.exit_code == 0, done.output
    model = linnet.load(tmp_path / "r")
    new = table.drop("label").reverse()
    assert model.predict(new).shape == (120,)
    assert (model.predict(new)[::-1] == model.predict(expected.astype(np.uint8))).all()
    new.select(reversed(new.columns)).write_csv(tmp_path / "new.csv")
    words = ["predict", str(tmp_path / "r"), str(tmp_path / "new.csv")]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "p.csv")])
    assert done.exit_code == 0, done.output
    scored = CliRunner().invoke(app, ["evaluate", str(tmp_path / "r"), str(tmp_path / "t.csv")])
    assert scored.exit_code == 0, scored.output
    with pytest.raises(DataError, match="columns of pixels 'pixel3' are missing"):
        model.predict(new.drop("pixel3"))
    with pytest.raises(DataError, match=r"row 0, column 'pixel3': 0.5 is no pixel"):
        model.predict(new.with_columns(pixel3=pl.lit(0.5)))


@pytest.mark.parametrize(
    ("form", "message"),
    [("10x11", "needs 110 columns of pixels, and there are 100"), ("2x5x10", "2 channels")],
)
def test_pictures_of_a_wrong_size_are_refused(form: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        linnet.read(pixels(), "label", pictures=form)


# What a model may rely on


def test_a_run_names_what_it_left_out(tmp_path: Path) -> None:
    names = [f"N{row * 37}" for row in range(ROWS)]
    odd = [f"w{row}" if row % 2 else f"{row}.5" for row in range(ROWS)]
    table = pl.DataFrame({"v": names, "odd": odd, "x": X, "y": Y})
    with pytest.warns(LinnetWarning, match="'odd' is left out as an identifier"):
        run = linnet.train(table, target="y", model="linear", out=tmp_path / "r")
    assert run.info["data"]["left_out"] == {"v": "identifier", "odd": "identifier"}
    assert "'odd' is left out as" in run.info["data"]["warnings"][0]
    assert not any("look like" in note for note in run.info["data"]["notes"])


def test_numbers_in_estimators_frames() -> None:
    table = pl.DataFrame({"v": [f"${value:,.2f}" for value in np.linspace(1, 9e4, ROWS)], "x": X})
    line = linnet.LinearRegression().fit(table, np.linspace(0, 1, ROWS))
    assert line.score(table, np.linspace(0, 1, ROWS)) > 0.999
    odd = table.with_columns(v=pl.Series([f"w{n}" if n % 2 else f"{n}.5" for n in range(ROWS)]))
    with (
        pytest.warns(LinnetWarning, match="'v' is left out as an identifier"),
        pytest.warns(LinnetWarning, match="columns left out of the examples"),
    ):
        linnet.LinearRegression().fit(odd, Y)


def test_what_written_knows() -> None:
    found = written.look(pl.Series(["<5", "5 kg", "0123", "--5", "1 2", "12.5 (est.)", "inf"]))
    rows = {row["text"]: row for row in found.values.to_dicts()}
    assert rows["<5"]["limit"] and rows["5 kg"]["unit"] == "kg" and rows["0123"]["code"]
    assert all(rows[text]["point"] is None for text in ("--5", "1 2", "12.5 (est.)", "inf"))
