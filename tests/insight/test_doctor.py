"""The doctor: it finds what was planted, and says nothing false."""

import csv
import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import command
from linnet.core.language import language
from linnet.data.dataset import Dataset
from linnet.data.read import read, read_draft
from linnet.data.reading import Reading
from linnet.data.split import Split
from linnet.errors import Blocked
from linnet.experiment.train import train
from linnet.insight.checks import words
from linnet.insight.checks._look import log_chance, pairs
from linnet.insight.checks.doctor import CHECKS, GRAVITY, examine
from linnet.insight.checks.duplicates import keys
from linnet.insight.checks.finding import Finding

ROWS = 400
SEEDS = range(5)


def draws(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def table(columns: dict[str, Any], target: str = "y", **reading: Any) -> Dataset:
    """The columns as a data set of records."""
    return read_draft(pl.DataFrame(columns), Reading(target=target, **reading))


def plain(classes: tuple[str, ...] = ("no", "yes"), rows: int = ROWS) -> dict[str, Any]:
    """Columns of noise, and a target of classes."""
    rng = draws(1)
    return {
        "a": rng.normal(size=rows),
        "b": rng.integers(0, 40, rows),
        "c": np.array(list("uvw"))[rng.integers(0, 3, rows)],
        "y": np.array(classes)[rng.permutation(np.arange(rows) % len(classes))],
    }


def numbers(rows: int = ROWS) -> dict[str, Any]:
    """Columns of noise, and a target of numbers."""
    return {**plain(rows=rows), "y": draws(2).normal(10, 3, rows)}


def halves(data: Dataset, test: int = 100) -> Split:
    """The last ``test`` rows as test part, none as validation part."""
    rows = torch.arange(len(data))
    return Split(rows[:-test], rows[:0], rows[-test:])


def told(found: list[Finding], *severities: str) -> list[str]:
    return [finding.what for finding in found if finding.severity in severities]


def about(found: list[Finding], word: str) -> Finding:
    """The one finding that has ``word``."""
    (finding,) = [finding for finding in found if word in finding.what]
    return finding


def quiet(data: Dataset, split: Split | None = None) -> None:
    assert told(examine(data, split), "stop", "warning") == []


# What is known to be well

NOTES: dict[str, tuple[str, ...]] = {
    "digits": ("the class of a row",),
    "diabetes": (),
    "breast_cancer": (),
    "iris": ("rows repeat", "rows repeats", "sorted by", "training too", "validation too"),
    "wine": ("sorted by",),
}


@pytest.mark.parametrize("name", NOTES)
@pytest.mark.parametrize("seed", SEEDS)
def test_of_scikit_learns_sets_only_true_notes_are_told(name: str, seed: int) -> None:
    data = read_draft(name, Reading())
    split = data.split(test=0.2, valid=None, seed=seed)
    found = examine(data, split)
    assert told(found, "stop", "warning") == []
    x, y = data.x.reshape(len(data), -1).tolist(), data.y.tolist()
    rows = [(*row, label) for row, label in zip(x, y, strict=True)]
    for finding in found:
        assert any(part in finding.what for part in NOTES[name]), finding.what
        if "repeat" in finding.what:
            assert finding.count == len(rows) - len(set(rows)) > 0
        elif "too, including the target" in finding.what:
            part = split.test if " test " in finding.what else split.valid
            assert finding.count == copied(rows, part, split) > 0
        elif "sorted by" in finding.what:
            assert y == sorted(y)
        else:
            assert f"{told_by_neighbours(y):.1f} %" in finding.what
    if name == "iris":
        assert len(told(found, "note")) >= 2


def copied(rows: list[Any], part: Any, split: Split) -> int:
    """How many rows of the part are among those that a model is made from."""
    learned = split.train.tolist() + (split.valid.tolist() if part is split.test else [])
    known = {rows[i] for i in learned}
    return sum(rows[i] in known for i in part.tolist())


def told_by_neighbours(y: list[int]) -> float:
    """How often the class of a row tells the next one's, learnt from every other pair."""
    after: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for i in range(0, len(y) - 1, 2):
        after[y[i]][y[i + 1]] += 1
    best = {one: max(sorted(counts), key=counts.__getitem__) for one, counts in after.items()}
    tested = range(1, len(y) - 1, 2)
    return 100 * sum(best[y[i]] == y[i + 1] for i in tested) / len(tested)


def test_of_mnist_nothing_is_told(mnist_folder: Path) -> None:
    data = read_draft(mnist_folder, Reading())
    assert len({picture.tobytes() for picture in data.x.numpy()}) == len(data) == 70_000
    for seed in SEEDS:
        split = data.split(test=0.2, valid=None, seed=seed)
        assert examine(data, split) == []


def file(name: str) -> Path:
    """A table that is not shipped; skips where there is none."""
    place = Path(os.environ.get("LINNET_DATA", "nowhere")) / name
    if not place.is_file():
        pytest.skip(f"LINNET_DATA does not point at a folder with {name}")
    return place


def rows_of(place: Path, header: bool = True) -> list[list[str]]:
    with open(place, newline="") as text:
        rows = [row for row in csv.reader(text, skipinitialspace=True) if row]
    return rows[header:]


def repeated(rows: list[tuple[str, ...]]) -> int:
    return len(rows) - len(set(rows))


def test_of_titanic_only_what_is_true_is_told() -> None:
    data = read_draft(file("titanic.csv"), Reading(target="survived"))
    split = data.split(test=0.2, valid=None, seed=0)
    found = examine(data, split)
    assert told(found, "stop", "warning") == []
    rows = rows_of(file("titanic.csv"))
    used = [
        (row[1], row[3], row[4] and str(float(row[4])), *row[5:7], str(float(row[8])), row[10])
        for row in rows
    ]
    whole = [(*row, other[0]) for row, other in zip(used, rows, strict=True)]
    torn = defaultdict(list)
    for row in whole:
        torn[row[:-1]].append(row[-1])
    assert about(found, "another class").count == sum(
        len(labels) for labels in torn.values() if len(set(labels)) > 1
    )
    assert about(found, "repeat").count == repeated(whole) == 111
    for name, part in (("test rows", split.test), ("validation rows", split.valid)):
        assert about(found, name).count == copied(whole, part, split)
    assert about(found, "'name'").severity == about(found, "'ticket'").severity == "note"
    assert about(found, "'fare'").count == sum(float(row[8]) == 0 for row in rows) == 15


def test_of_adult_only_what_is_true_is_told() -> None:
    place = file("adult.data")
    data = read_draft(place, Reading(target="c14", header=False))
    found = examine(data, data.split(test=0.2, valid=None, seed=0))
    rows = [tuple(row) for row in rows_of(place, header=False)]
    assert about(found, "repeat").count == repeated(rows) == 24
    gain = sorted(int(row[10]) for row in rows)
    capped = about(found, "'c10'")
    assert capped.count == gain.count(99999) and "99999" in capped.what and "41310" in capped.what
    assert gain[-1] == 99999 and max(g for g in gain if g < 99999) == 41310
    assert told(found, "stop", "warning") == [capped.what]
    torn = defaultdict(list)
    for row in rows:
        torn[row[:-1]].append(row[-1])
    assert about(found, "another class").count == sum(
        len(labels) for labels in torn.values() if len(set(labels)) > 1
    )


def test_of_diamonds_only_what_is_true_is_told() -> None:
    place = file("diamonds.csv")
    data = read_draft(place, Reading(target="price"))
    split = data.split(test=0.2, valid=None, seed=0)
    found = examine(data, split)
    assert told(found, "stop", "warning") == []
    rows = [tuple(row) for row in rows_of(place)]
    assert about(found, "repeat").count == repeated(rows) == 146
    for index, name in ((7, "'x'"), (8, "'y'"), (9, "'z'")):
        assert about(found, name).count == sum(float(row[index]) == 0 for row in rows) > 0
    assert about(found, "test rows are in training").count == copied(rows, split.test, split)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(12, 300),
    width=st.integers(1, 12),
    classes=st.integers(0, 6),
)
def test_random_tables_are_well(seed: int, rows: int, width: int, classes: int) -> None:
    """Numbers, whole numbers, codes and dates of any distribution, some missing; any target."""
    rng = draws(seed)
    makers: tuple[Callable[[], Any], ...] = (
        lambda: rng.normal(size=rows),
        lambda: rng.integers(0, rng.integers(1, 100) + 1, rows).astype(float),
        lambda: rng.uniform(-1e6, 1e6, rows).round(rng.integers(0, 3)),
        lambda: rng.exponential(100.0, rows),
        lambda: (rng.random(rows) < rng.random()).astype(float),
        lambda: np.array(["x", "y", "z", "zz"])[rng.integers(0, 4, rows)],
        lambda: np.datetime64("2020-01-01") + rng.integers(0, 1000, rows),
    )
    columns: dict[str, Any] = {}
    for index in range(width):
        column = pl.Series(makers[rng.integers(len(makers))]())
        absent = rng.random(rows) < rng.choice([0, 0, 0.1, 0.9])
        columns[f"k{index}"] = pl.select(pl.when(~pl.Series(absent)).then(column)).to_series()
    columns["anchor"] = rng.normal(size=rows)
    columns["y"] = (
        rng.permutation(np.arange(rows) % classes) if classes > 1 else rng.normal(size=rows)
    )
    task = "classification" if classes > 1 else "regression"
    data = table(columns, task=task) if len(set(columns["y"])) > 1 else table(numbers())
    quiet(data, data.split(test=0.2, valid=None, seed=0))
    quiet(data)


# Copies of the target


def recoded(values: Any, codes: dict[Any, Any]) -> list[Any]:
    return [codes[value] for value in values]


def holed(values: list[Any], every: int = 9) -> list[Any]:
    """With a few missing."""
    return [None if index % every == every - 1 else value for index, value in enumerate(values)]


RENAMED: dict[str, dict[str, Any]] = {
    "same": {"no": "no", "yes": "yes"},
    "text": {"no": "dead", "yes": "alive"},
    "numbers": {"no": 0, "yes": 1},
    "odd numbers": {"no": 17.5, "yes": -3.0},
    "booleans": {"no": True, "yes": False},
}


@pytest.mark.parametrize("name", RENAMED)
@pytest.mark.parametrize("every", [ROWS + 1, 9])
def test_a_target_under_another_name_stops(name: str, every: int) -> None:
    columns = plain()
    columns["copied"] = holed(recoded(columns["y"], RENAMED[name]), every)
    finding = about(examine(table(columns)), "'copied'")
    assert finding.blocks and "column 'copied'" in finding.where
    assert "target 'y'" in finding.what and "drop=copied" in finding.remedy
    assert finding.count == sum(value is not None for value in columns["copied"])
    assert ("missing" in finding.what) == (every == 9)
    assert examine(table(columns))[0] == finding
    told_in_full = ("once more" if name == "same" else "under another name") in finding.what
    assert told_in_full, finding.what


@pytest.mark.parametrize("classes", [3, 7, 12])
def test_codes_of_many_classes_stop(classes: int) -> None:
    columns = plain(tuple(f"k{i}" for i in range(classes)))
    columns["code"] = [(5 * int(label[1:]) + 3) % 13 for label in columns["y"]]
    assert about(examine(table(columns)), "'code'").blocks


def test_a_column_with_one_wrong_code_is_no_copy_but_decides() -> None:
    columns = plain(rows=4000)
    columns["code"] = [int(label == "yes") for label in columns["y"]]
    columns["code"][7] = 1 - columns["code"][7]
    finding = about(examine(table(columns)), "'code'")
    assert finding.severity == "warning" and "3,999 of 4,000" in finding.what
    for row in range(50):
        columns["code"][row] = 1 - columns["code"][row]
    quiet(table(columns))


def test_a_column_with_more_values_than_classes_decides() -> None:
    columns = plain()
    street = draws(3).integers(0, 4, ROWS)
    columns["ward"] = [f"{label}{n}" for label, n in zip(columns["y"], street, strict=True)]
    finding = about(examine(table(columns)), "'ward'")
    assert finding.severity == "warning" and "alone" in finding.what
    columns["ward"] = [f"ward {n}" for n in street]
    quiet(table(columns))


def test_names_that_two_rows_have_each_decide_nothing() -> None:
    """Half as many names as rows: that some agree in class is no wonder."""
    columns = plain()
    columns["name"] = [f"n{n}" for n in draws(5).permutation(np.arange(ROWS) // 2)]
    quiet(table(columns))


def test_where_one_class_is_rare_a_column_must_tell_it_too() -> None:
    columns = plain(rows=5000)
    columns["y"] = ["yes" if row % 250 == 3 else "no" for row in range(5000)]
    columns["code"] = draws(6).integers(0, 2, 5000)
    assert not any("'code'" in what for what in told(examine(table(columns)), *GRAVITY))
    columns["code"] = [int(label == "yes") for label in columns["y"]]
    assert about(examine(table(columns)), "'code'").blocks


def test_whether_a_value_is_missing_can_decide() -> None:
    columns = plain()
    body = draws(7).normal(size=ROWS)
    columns["body"] = [
        n if label == "no" else None for n, label in zip(body, columns["y"], strict=True)
    ]
    finding = about(examine(table(columns)), "'body'")
    assert finding.severity == "warning" and "missing" in finding.what
    columns["body"] = holed(list(body), 2)
    quiet(table(columns))


def test_a_copy_that_is_mostly_missing_is_a_warning() -> None:
    columns = plain()
    columns["later"] = [
        label.upper() if row % 4 == 0 else None for row, label in enumerate(columns["y"])
    ]
    finding = about(examine(table(columns)), "'later'")
    assert finding.severity == "warning" and finding.count == ROWS // 4


def test_a_small_table_may_have_equal_columns_by_chance() -> None:
    columns = {name: values[:12] for name, values in plain().items()}
    columns["code"] = [int(label == "yes") for label in columns["y"]]
    quiet(table(columns))


def test_a_measurement_that_a_limit_divides_is_no_leak() -> None:
    data = read_draft("iris", Reading(positive="setosa"))
    petal = data.x[:, 2]
    assert petal[data.y == 1].max() < petal[data.y == 0].min()
    quiet(data)


LINES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "equal": (lambda y: y, "once more"),
    "a line": (lambda y: 2 * y + 3, "in another unit (the target is 0.5 times it - 1.5)"),
    "a unit": (lambda y: y / 2.54, "in another unit (the target is 2.54 times it)"),
    "falling": (lambda y: 1e6 - y, "(the target is -1 times it + 1,000,000)"),
    "seven digits": (lambda y: np.array([float(f"{v:.7g}") for v in y]), "once more"),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_of_the_target_stops(name: str) -> None:
    columns = numbers()
    made, words = LINES[name]
    for values in (list(made(columns["y"])), holed(list(made(columns["y"])))):
        finding = about(examine(table({**columns, "copied": values})), "'copied'")
        assert finding.blocks and words in finding.what, finding.what


def test_a_line_stops_among_arrays_too() -> None:
    x, y = draws().normal(size=(100, 3)), draws(1).normal(size=100)
    x[:, 1] = 2 * y + 3
    for dtype in (np.float64, np.float32):
        data = read_draft((x.astype(dtype), y.astype(dtype)), Reading())
        finding = about(examine(data), "'c1'")
        assert finding.blocks and finding.remedy == "leave it out"


def test_nearly_a_line_is_a_warning() -> None:
    columns = numbers()
    noise = draws(9).normal(size=ROWS)
    columns["near"] = columns["y"] + 0.01 * noise
    finding = about(examine(table(columns)), "'near'")
    assert finding.severity == "warning"
    correlation = np.corrcoef(columns["near"], columns["y"])[0, 1]
    assert f"{correlation:.6f}" in finding.what and correlation > 0.9999
    columns["near"] = columns["y"] + 0.2 * noise
    quiet(table(columns))


@pytest.mark.parametrize(
    "made",
    [np.exp, lambda y: -(y**3), lambda y: (y // 2) * 2, lambda y: np.where(y > 10, 1, 0)],
    ids=["power", "cube", "bin", "above"],
)
def test_the_order_of_the_target_is_a_warning(made: Callable[[Any], Any]) -> None:
    columns = numbers()
    columns["made"] = made(columns["y"])
    finding = about(examine(table(columns)), "'made'")
    assert finding.severity == "warning" and "order" in finding.what
    columns["made"] = made(columns["y"] + draws(8).normal(size=ROWS))
    quiet(table(columns))


def test_few_numbers_under_other_names_stop() -> None:
    columns = numbers()
    columns["y"] = draws(3).integers(3, 9, ROWS) / 2
    columns["grade"] = ["fbadce"[int(2 * y) - 3] for y in columns["y"]]
    assert about(examine(table(columns)), "'grade'").blocks


def test_of_several_targets_each_is_looked_for() -> None:
    columns = numbers()
    columns["z"] = draws(4).normal(size=ROWS)
    columns["b2"] = 3 * columns["z"]
    data = read_draft(pl.DataFrame(columns), Reading(target=("y", "z")))
    finding = about(examine(data, halves(data)), "'b2'")
    assert finding.blocks and "'z'" in finding.what


def test_the_only_column_may_be_a_line() -> None:
    x = draws().normal(size=200)
    found = examine(table({"celsius": x, "y": 1.8 * x + 32}))
    assert told(found, "stop") == [] and len(told(found, "warning")) == 1


def test_training_stops_at_a_copy(tmp_path: Path) -> None:
    columns = plain()
    columns["alive"] = recoded(columns["y"], RENAMED["numbers"])
    with pytest.raises(Blocked, match="'alive' is the target 'y' under another name"):
        train(pl.DataFrame(columns), target="y", out=tmp_path / "run")


# Duplicates


def test_500_test_rows_copied_into_training_are_counted() -> None:
    rng = draws()
    x, y = rng.normal(size=(6000, 8)), rng.integers(0, 2, 6000)
    x[1000:1500], y[1000:1500] = x[4600:5100], y[4600:5100]
    data = read_draft((x, y), Reading())
    rows = torch.arange(6000)
    split = Split(rows[:3500], rows[3500:4500], rows[4500:])
    finding = about(examine(data, split), "test rows")
    assert finding.count == 500 and finding.severity == "warning"
    assert finding.what == (
        "500 of 1,500 test rows (33 %) are in training or validation too, including the target"
    )
    assert "4600, 4601" in finding.where
    assert not any("validation rows" in what for what in told(examine(data, split), *GRAVITY))
    assert told(examine(data), *GRAVITY) == [
        "500 of 6,000 rows repeat an earlier one, including the target"
    ]


def test_500_copied_rows_of_a_table_are_counted() -> None:
    columns = {**numbers(3000), "part": ["train"] * 2000 + ["test"] * 1000}
    for name, values in columns.items():
        values = columns[name] = list(values)
        values[100:600] = values[2300:2800] if name != "part" else values[100:600]
    data = table(columns, split="part")
    finding = about(examine(data, data.split(test=0.2, valid=None, seed=0)), "test rows")
    assert finding.count == 500 and finding.severity == "warning" and "group" in finding.remedy


def pictures(rows: int = 400, size: int = 7) -> tuple[Any, Any]:
    rng = draws()
    x = rng.integers(0, 256, (rows, 3, size, size), dtype=np.uint8)
    return x, rng.permutation(np.arange(rows) % 4)


def test_copied_pictures_are_counted_and_few_are_a_note() -> None:
    x, y = pictures()
    x[:9], y[:9] = x[300:309], y[300:309]
    data = read_draft((x, y), Reading())
    finding = about(examine(data, halves(data)), "test pictures")
    assert (finding.count, finding.severity) == (9, "warning")
    x, y = pictures()
    x[0], y[0] = x[300], y[300]
    data = read_draft((x, y), Reading())
    found = examine(data, halves(data))
    finding = about(found, "1 of 100 test pictures is in training too")
    assert (finding.count, finding.severity) == (1, "note")
    assert "300 is 0" in about(found, "repeats").where


def test_one_picture_under_two_labels_is_a_warning() -> None:
    x, y = pictures()
    quiet(read_draft((x, y), Reading()))
    x[7] = x[200]
    y[7], y[200] = 1, 2
    finding = about(examine(read_draft((x, y), Reading())), "another class")
    assert finding.severity == "warning" and finding.count == 2
    assert "7 is '1' and 200 is '2'" in finding.what


def test_rows_under_two_labels_are_a_warning_where_chance_does_not_explain_them() -> None:
    rng = draws()
    x, y = rng.normal(size=(ROWS, 6)), np.arange(ROWS) % 2
    x[:10] = x[11:21]
    finding = about(examine(read_draft((x, y), Reading())), "another class")
    assert finding.severity == "warning" and finding.count == 20
    x = rng.integers(0, 2, (ROWS, 3)).astype(float)
    assert about(examine(read_draft((x, y), Reading())), "another class").severity == "note"


def test_rows_drawn_twice_before_they_were_divided_are_a_warning() -> None:
    columns = numbers(1000)
    again = np.concatenate([np.arange(1000), draws().integers(0, 1000, 500)])
    data = table({name: np.asarray(values)[again] for name, values in columns.items()})
    split = data.split(test=0.2, valid=None, seed=0)
    finding = about(examine(data, split), "test rows")
    rows = np.stack([data.x[:, 0].numpy(), data.y.numpy()], 1).tolist()
    assert finding.severity == "warning"
    assert finding.count == copied(list(map(tuple, rows)), split.test, split) > 50


def people(persons: int, columns: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """One to five rows of each person, in any order; some rows have no other of the same person."""
    rng = draws(persons)
    person = rng.permutation(np.repeat(np.arange(persons), rng.integers(1, 6, persons)))
    made = {name: np.asarray(values)[person] for name, values in columns(rng).items()}
    return {**made, "when": np.datetime64("2020-01-01") + rng.integers(0, 900, len(person))}


def age_and_so_on(rng: Any, persons: int) -> dict[str, Any]:
    """Columns of so few values that independent rows are equal now and then."""
    counts = {"age": 62, "sex": 2, "school": 5, "region": 8, "y": 2}
    return {name: rng.permutation(np.arange(persons) % count) for name, count in counts.items()}


@pytest.mark.parametrize("persons", [150, 500, 1500])
def test_several_rows_of_a_person_in_two_parts_are_a_warning(persons: int) -> None:
    columns = people(persons, lambda rng: age_and_so_on(rng, persons))
    del columns["when"]
    data = table(columns)
    split = data.split(test=0.2, valid=None, seed=0)
    finding = about(examine(data, split), "test rows")
    assert finding.severity == "warning" and "by chance" not in str(finding)
    assert finding.count is not None and finding.count > 0.6 * len(split.test)
    assert f"({100 * finding.count / len(split.test):.0f} %)" in finding.what
    assert "group=COLUMN" in finding.remedy and "person" in finding.remedy


def test_rows_that_are_equal_but_for_a_date_or_the_target_are_a_warning() -> None:
    def measured(rng: Any) -> dict[str, Any]:
        return {**age_and_so_on(rng, 300), "income": rng.lognormal(10, 1, 300).round(2)}

    columns = people(300, measured)
    data = table(columns)
    split = data.split(test=0.2, valid=None, seed=0)
    finding = about(examine(data, split), "equal to a training or validation row")
    assert finding.severity == "warning" and "in all but the column 'when'" in finding.what
    assert "group=COLUMN" in finding.remedy
    x = list(zip(*(columns[name].tolist() for name in columns if name != "when"), strict=True))
    known = {x[i] for i in [*split.train.tolist(), *split.valid.tolist()]}
    assert finding.count == sum(x[i] in known for i in split.test.tolist())
    del columns["when"]
    columns["y"] = draws().normal(size=len(columns["y"]))
    data = table(columns)
    found = examine(data, data.split(test=0.2, valid=None, seed=0))
    assert "in all but the target" in about(found, "equal to a training").what
    quiet(table(measured(draws(8))), halves(table(measured(draws(8)))))


def test_rows_of_one_group_are_no_copies_where_the_groups_are_apart() -> None:
    columns = people(300, lambda rng: {**age_and_so_on(rng, 300), "who": np.arange(300)})
    del columns["when"]
    data = table(columns, group="who")
    split = data.split(test=0.2, valid=None, seed=0)
    copies = [f for f in examine(data, split) if "training" in f.what and "test rows" in f.what]
    assert all(f.severity == "note" and "group=" not in f.remedy for f in copies)


def test_rows_of_few_values_repeat_by_chance() -> None:
    rng = draws()
    columns = {f"k{i}": rng.integers(0, 3, ROWS) for i in range(4)} | {"y": plain()["y"]}
    data = table(columns)
    found = examine(data, data.split(test=0.2, valid=None, seed=0))
    assert about(found, "test rows").severity == "note"
    assert told(found, "stop", "warning") == []


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1e30, float("nan")]),
                      min_size=3, max_size=3), min_size=1, max_size=40)
)  # fmt: skip
def test_rows_have_one_hash_just_if_they_are_equal(rows: list[list[float]]) -> None:
    x = np.array(rows)
    same = [tuple("nan" if v != v else v + 0.0 for v in row) for row in rows]
    for array in (x, np.asfortranarray(x), x.astype(np.float32)):
        hashes = keys(array).tolist()
        assert len(set(zip(hashes, same, strict=True))) == len(set(same)) == len(set(hashes))


def test_the_hash_of_a_million_rows_has_no_collision() -> None:
    """Small whole numbers, signs and bytes differ in few bits: a plain sum would collide."""
    grid = np.array(np.meshgrid(*[np.arange(-5.0, 5.0)] * 6)).reshape(6, -1).T
    assert len(np.unique(keys(grid))) == len(grid) == 10**6
    bits = ((np.arange(1 << 18)[:, None] >> np.arange(18)) & 1).astype(np.uint8)
    assert len(np.unique(keys(bits))) == 1 << 18
    assert len(np.unique(keys((-1.0) ** bits))) == 1 << 18


# Ranges


@pytest.mark.parametrize("value", [-999, 9999, 99999, -99])
def test_a_stand_in_for_missing_values_is_a_warning(value: int) -> None:
    columns = plain()
    for count in (2, 30):
        columns["age"] = draws(3).integers(18, 45, ROWS).astype(float)
        columns["age"][5 : 5 + count] = value
        finding = about(examine(table(columns)), "'age'")
        assert finding.severity == "warning" and finding.count == count
        assert f"missing={value}" in finding.remedy and f"has {value} in" in finding.what


def test_several_stand_ins_are_all_told() -> None:
    columns = plain()
    columns["a"][:3], columns["a"][3:8], columns["a"][8] = -999, -9999, 1e30
    found = [f for f in examine(table(columns)) if f.severity == "warning"]
    assert [f.count for f in found] == [1, 5, 3]
    low, high = np.sort(columns["a"])[8], np.sort(columns["a"])[-2]
    assert f"all others but 1e+30, -9999 are from {low:.12g} to {high:.12g}" in found[-1].what


def test_one_huge_value_is_a_warning() -> None:
    columns = plain()
    columns["a"][7] = 1e30
    finding = about(examine(table(columns)), "'a'")
    assert finding.severity == "warning" and finding.count == 1 and "1e+30" in finding.what


def shifted(values: Any, share: float, factor: float, seed: int = 9) -> Any:
    """The values, ``share`` of them in another unit."""
    return np.where(draws(seed).random(len(values)) < share, factor * values, values)


@pytest.mark.parametrize(
    ("made", "factor", "unit"),
    [
        (lambda rng: rng.normal(1, 0.05, 1000), 1000, "divided by 1,000"),
        (lambda rng: rng.normal(1.7, 0.1, 1000), 100, "divided by 100"),
        (lambda rng: rng.normal(1700, 100, 1000), 0.001, "multiplied by 1,000"),
        (lambda rng: rng.lognormal(0, 0.5, 1000), 1000, "divided by 1,000"),
        (lambda rng: rng.uniform(0, 10, 1000), 1000, "divided by 1,000"),
        (lambda rng: rng.poisson(6, 1000) + 0.0, 1000, "divided by 1,000"),
        (lambda rng: rng.normal(37, 0.5, 1000), 2.7, ""),
        (lambda rng: -rng.normal(3, 0.3, 1000), 1000, "divided by 1,000"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("share", [0.015, 0.05])
def test_a_group_of_values_in_another_unit_is_a_warning(
    made: Callable[[Any], Any], factor: float, unit: str, share: float
) -> None:
    values = shifted(made(draws(3)), share, factor)
    columns = {**plain(rows=1000), "far": values}
    finding = about(examine(table(columns)), "'far'")
    wrong = (draws(9).random(1000) < share) & (values != 0)
    assert finding.severity == "warning" and finding.count == wrong.sum()
    assert unit in finding.what and ("another unit" in finding.what) == bool(unit)
    low, high = np.sort(values[wrong])[[0, -1]]
    assert f"from {low:.12g} to {high:.12g} ({100 * wrong.mean():.2g} % of them)" in finding.what


def test_a_group_of_targets_in_another_unit_is_a_warning() -> None:
    columns = numbers(1000)
    quiet(table(columns))
    columns["y"] = shifted(columns["y"], 0.015, 1000)
    finding = about(examine(table(columns)), "divided by 1,000")
    assert finding.severity == "warning" and "the column 'y' has" in finding.what


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "made",
    [
        lambda rng: rng.lognormal(0, 1, 3000),
        lambda rng: rng.lognormal(0, 3, 3000),
        lambda rng: 1 + rng.pareto(1, 3000),
        lambda rng: rng.standard_cauchy(3000),
        lambda rng: rng.negative_binomial(0.3, 0.02, 3000),
        lambda rng: rng.zipf(2.5, 3000),
        lambda rng: np.where(rng.random(3000) < 0.6, 0, rng.lognormal(5, 2, 3000)),
        lambda rng: np.where(rng.random(3000) < 0.95, 0, rng.lognormal(5, 2, 3000)),
        lambda rng: np.where(rng.random(3000) < 0.05, 10, 0) + rng.normal(size=3000),
        lambda rng: rng.beta(0.2, 0.2, 3000),
        lambda rng: rng.geometric(0.01, 3000),
        lambda rng: np.exp(rng.uniform(-10, 10, 3000)),
    ],
)  # fmt: skip
def test_long_tails_and_counts_are_well(made: Callable[[Any], Any], seed: int) -> None:
    quiet(table({**plain(rows=3000), "n": made(draws(seed))}))


@pytest.mark.parametrize(
    "made",
    [
        lambda rng: rng.integers(0, 100, ROWS),
        lambda rng: rng.integers(900, 1000, ROWS),
        lambda rng: rng.integers(-99, 1, ROWS),
        lambda rng: rng.choice([98, 99], ROWS),
        lambda rng: rng.choice([99, 100], ROWS),
        lambda rng: rng.lognormal(0, 2, ROWS),
        lambda rng: np.where(np.arange(ROWS) == 5, 10, rng.normal(size=ROWS)),
    ],
)  # fmt: skip
def test_values_within_reach_of_the_rest_are_well(made: Callable[[Any], Any]) -> None:
    quiet(table({**plain(), "n": made(draws(4))}))


def test_zeros_that_stand_alone_are_a_note() -> None:
    columns = plain()
    columns["pressure"] = draws().normal(70, 8, ROWS).round(1)
    columns["pressure"][:12] = 0
    finding = about(examine(table(columns)), "'pressure'")
    assert finding.severity == "note" and finding.count == 12
    columns["pressure"] = draws().exponential(5, ROWS).round(1)
    assert not [f for f in examine(table(columns)) if "'pressure'" in f.what]


# Drift


def test_a_test_part_that_has_moved_is_a_warning() -> None:
    columns = {**plain(rows=2000)}
    columns["a"][-500:] += 1.0
    columns["c"][-500:] = np.where(columns["c"][-500:] == "u", "v", columns["c"][-500:])
    data = table(columns)
    finding = about(examine(data, halves(data, 500)), "not like training")
    assert finding.severity == "warning" and finding.count == 2
    assert "'a'" in finding.where and "'c'" in finding.where and "'b'" not in finding.where
    train_a, test_a = columns["a"][:-500], columns["a"][-500:]
    places = np.sort(columns["a"])
    far = max(abs((train_a <= v).mean() - (test_a <= v).mean()) for v in places)
    assert f"{far:.2f} in the column 'a'" in finding.where
    quiet(table(plain(rows=2000)), halves(data, 500))


def test_a_slight_move_is_a_note_and_time_may_move_on() -> None:
    columns = plain(rows=4000)
    columns["a"][-1000:] += 0.4
    columns["when"] = np.datetime64("2020-01-01") + np.arange(4000)
    data = table(columns, time="when")
    found = examine(data, data.split(test=0.25, valid=0, seed=0))
    assert about(found, "not like training").severity == "note"
    assert about(found, "not like training").count == 1


def test_pictures_that_are_darker_are_told() -> None:
    x, y = pictures()
    data = read_draft((x, y), Reading())
    quiet(data, halves(data))
    x[-100:] //= 2
    finding = about(examine(read_draft((x, y), Reading()), halves(data)), "brightness")
    assert finding.severity == "warning"


# Columns that tell nothing, the target, the order of rows


def test_a_number_that_counts_the_rows_is_a_warning() -> None:
    columns = {"n": np.arange(7, 7 + ROWS), **plain()}
    finding = about(examine(table(columns)), "'n'")
    assert finding.severity == "warning" and "from 7 to 406" in finding.what
    columns["n"] = draws().permutation(columns["n"])
    assert about(examine(table(columns)), "'n'").severity == "note"
    columns["n"] = draws().integers(0, ROWS, ROWS)
    assert not [f for f in examine(table(columns)) if "'n'" in f.what]
    assert not [
        f for f in examine(table({"n": np.arange(ROWS), "y": plain()["y"]})) if "'n'" in f.what
    ]


def test_what_is_left_out_is_a_note() -> None:
    columns = plain()
    columns["id"] = draws().permutation(ROWS)
    columns["same"] = ["x"] * ROWS
    columns["words"] = [f"some words of row {row}" for row in range(ROWS)]
    found = examine(table(columns))
    for name in ("id", "same", "words"):
        finding = about(found, f"'{name}'")
        assert (finding.severity, finding.count) == ("note", 1) and "left out" in finding.what
    quiet(table(columns))


def test_constant_columns_of_arrays_are_a_note() -> None:
    x = draws().normal(size=(ROWS, 4))
    x[:, [1, 3]] = 5
    found = examine(read_draft((x, np.arange(ROWS) % 2), Reading()))
    finding = about(found, "one value")
    assert finding.count == 2 and "'c1', 'c3'" in finding.what


def test_rare_classes_are_told() -> None:
    columns = plain(rows=3000)
    for rare, severity in ((20, "warning"), (200, "note"), (1200, None)):
        columns["y"] = draws().permutation(["yes"] * rare + ["no"] * (3000 - rare))
        found = [f for f in examine(table(columns)) if "'yes'" in f.what]
        assert [(f.severity, f.count) for f in found] == ([(severity, 1)] if severity else [])
        assert all(f"'yes' {rare}" in f.what for f in found)
        assert all(f"{100 * (1 - rare / 3000):.4g} %" in f.why for f in found)


def test_a_class_that_training_lacks_is_a_warning() -> None:
    columns = plain(("u", "v", "w"))
    data = table(columns)
    codes = data.y.argsort(stable=True)
    sorted_ = data.take(codes)
    finding = about(examine(sorted_, halves(sorted_, 140)), "training lacks")
    assert finding.severity == "warning" and finding.count == 133 and "'w'" in finding.what
    assert not [f for f in examine(data, halves(data)) if "training lacks" in f.what]


def test_sorted_rows_are_a_note_and_shuffled_ones_are_well() -> None:
    columns = {
        name: np.asarray(values)[np.argsort(plain()["y"])] for name, values in plain().items()
    }
    assert about(examine(table(columns)), "sorted by").severity == "note"
    columns = {name: values[np.argsort(numbers()["y"])] for name, values in numbers().items()}
    assert about(examine(table(columns)), "sorted by").severity == "note"
    walk = {**numbers(), "y": draws().normal(size=ROWS).cumsum()}
    assert "correlation 0.9" in about(examine(table(walk)), "the row before").what
    for well in (plain(), numbers()):
        assert examine(table(well)) == []


def test_the_chance_of_a_table_is_fishers() -> None:
    """The lady tasting tea: 3 of 4 cups told right has the probability 16/70."""
    told_, true = np.array([0, 0, 0, 1, 1, 1, 1, 0]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    for height in (2, 1 << 20):
        chance = np.exp(log_chance(*pairs(told_, true, height, 2)))
        assert chance == pytest.approx(16 / 70)


# Whatever comes


def odd() -> dict[str, Dataset]:
    rng = draws()
    x, y = rng.normal(size=(60, 4)), np.arange(60) % 3
    soft = rng.dirichlet(np.ones(3), 60)
    whole = read_draft((x, y), Reading())
    holes = numbers()
    holes["a"] = [None] * (ROWS - 1) + [1.0]
    return {
        "one row": whole.take(torch.tensor([3])),
        "two rows": whole.take(torch.tensor([3, 4])),
        "no row": whole.take(torch.tensor([], dtype=torch.int64)),
        "soft": read_draft((x, soft), Reading()),
        "soft copy": read_draft((np.hstack([x, soft]), soft), Reading()),
        "several": read_draft((x, rng.normal(size=(60, 5))), Reading()),
        "weights": replace(whole, weight=torch.rand(60)),
        "no target": replace(whole, y=torch.empty((60, 0))),
        "wide": read_draft((rng.normal(size=(30, 1000)), np.arange(30) % 2), Reading()),
        "huge": read_draft((x * 1e300, x[:, 0] * 1e307), Reading()),
        "encoded": read(pl.DataFrame(plain()), "y"),
        "mostly missing": table(holes),
        "constant target": replace(
            read_draft((x, x[:, 0]), Reading()), y=torch.ones(60, dtype=torch.float64)
        ),
        "four pixels": read_draft(
            (rng.integers(0, 2, (60, 1, 2, 2), dtype=np.uint8), y), Reading()
        ),
    }


def test_odd_data_is_looked_over() -> None:
    for data in odd().values():
        examine(data)
        rows = torch.arange(len(data))
        parts = [rows[:0], rows[: len(rows) // 2], rows[-1:]]
        for one in parts:
            for two in parts:
                for finding in examine(data, Split(one, two[:0], two)):
                    assert finding.what and finding.remedy and finding.why
                    assert not {"nan", "inf", "-inf"} & set(str(finding).split())


def test_soft_copies_stop() -> None:
    stops = told(examine(odd()["soft copy"]), "stop")
    assert len(stops) == 3 and "once more" in stops[0]


def test_the_gravest_comes_first_and_reads_as_a_sentence() -> None:
    columns = plain(rows=3000)
    columns["id"] = draws().permutation(3000)
    columns["a"][7] = 1e30
    columns["code"] = recoded(columns["y"], RENAMED["numbers"])
    found = examine(table(columns))
    assert [f.severity for f in found] == sorted((f.severity for f in found), key=GRAVITY.index)
    assert len({f.severity for f in found}) == 3
    assert str(found[0]) == (
        "the column 'code' is the target 'y' under another name: '0' is 'no', '1' is 'yes': a "
        "model would copy the answer from it, but in real use the answer is not known; leave it "
        "out (drop=code)"
    )


def test_data_stays_as_it_was() -> None:
    data = table(plain())
    before = data.fingerprint()
    examine(data, halves(data))
    assert data.fingerprint() == before


# The command


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def test_the_command_lists_findings_within_80_columns(tmp_path: Path) -> None:
    columns = plain()
    columns["alive"] = recoded(columns["y"], RENAMED["numbers"])
    columns["far"] = draws(4).normal(size=ROWS)
    columns["far"][7] = 1e30
    pl.DataFrame(columns).write_csv(tmp_path / "t.csv")
    code, out, err = command(
        "doctor", tmp_path / "t.csv", "--target", "y", columns=80, terminal=True
    )
    assert code == 1 and err == ""
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert words.startswith("stop the column 'alive' is the target 'y' under another name")
    assert "how many: 400 why: " in words and "remedy: leave it out (--set drop=alive)" in words
    assert "1 would stop training, 1 warning, 0 notes" in words
    code, out, err = command("doctor", tmp_path / "t.csv", "--target", "y", "--json", columns=80)
    told_ = strict(out)
    assert code == 1 and told_["format"] == 1 and told_["rows"] == ROWS
    assert told_["checks"] == list(CHECKS)
    assert [f["severity"] for f in told_["findings"]] == ["stop", "warning"]
    assert told_["findings"][0]["count"] == 400 and told_["parts"]["test"] == 80
    assert told_["parts"]["valid"] == 0  # as in training: folds take the place of a part
    code, out, _ = command(
        "doctor", tmp_path / "t.csv", "--target", "y", "--set", "drop=alive,far", columns=80
    )
    assert code == 0 and out.startswith("nothing found in t") and out.count("\n") == 1
    assert all(check in out for check in CHECKS)


def test_the_command_reads_as_train_does(tmp_path: Path) -> None:
    rows = [
        ["1.5", "u", "x", "1"],
        ["2", "v", "y", "3"],
        ["-7", "u", "x", "4"],
        ["8", "v", "y", "9"],
    ] * 20
    (tmp_path / "t.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    code, out, _ = command(
        "doctor", tmp_path / "t.csv", "--no-header", "--target", "c2", "--seed", 3, "--json",
        "--task", "classification", "--group", "c0", columns=80,
    )  # fmt: skip
    found = strict(out)["findings"]
    assert code == 1 and "'c1'" in found[0]["what"] and found[0]["severity"] == "stop"
    code, out, err = command("doctor", tmp_path / "t.csv", "--target", "nowhere", columns=80)
    assert code == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1
    assert (
        command("doctor", tmp_path / "t.csv", "--no-header", "--set", "nothing=1", columns=80)[0]
        == 2
    )


def test_names_that_would_move_the_cursor_are_shown_plain(tmp_path: Path) -> None:
    columns = plain()
    columns["\x1b[2J\u202e"] = recoded(columns["y"], RENAMED["numbers"])
    pl.DataFrame(columns).write_parquet(tmp_path / "t.parquet")
    code, out, _ = command("doctor", tmp_path / "t.parquet", "--target", "y", columns=80)
    assert code == 1 and "\x1b" not in out and "\u202e" not in out


def test_all_pictures_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    x, y = pictures(60)
    for index, (picture, label) in enumerate(zip(x, y, strict=True)):
        folder = tmp_path / "set" / f"k{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.transpose(1, 2, 0)).save(folder / f"{index}.png")
    assert command("doctor", tmp_path / "set", columns=80)[0] == 0
    for name in ("k0/bad.png", "k2/worse.png"):
        (tmp_path / "set" / name).write_text("<html>")
    (tmp_path / "set" / "k1" / "notes.txt").write_text("hello")
    code, out, _ = command("doctor", tmp_path / "set", "--json", columns=80)
    findings = strict(out)["findings"]
    stops = [f["what"] for f in findings if f["severity"] == "stop"]
    assert code == 1 and len(stops) == 1 and "bad.png" in stops[0] and "worse.png" in stops[0]
    assert any("notes.txt" in f["what"] for f in findings if f["severity"] == "note")
    code, out, _ = command("doctor", tmp_path / "set", "--on-bad", "skip", columns=80)
    assert code == 0 and "worse.png" in out and "would stop training;" in " ".join(out.split())


def test_rows_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    columns = plain()
    text = pl.DataFrame(columns).write_csv()
    (tmp_path / "t.csv").write_text(text + "1,2\n")
    code, out, _ = command("doctor", tmp_path / "t.csv", "--target", "y", "--json", columns=80)
    findings = strict(out)["findings"]
    assert code == 1 and findings[0]["severity"] == "stop" and "402" in findings[0]["what"]


# ---- in another language


@pytest.mark.parametrize(
    ("name", "target"), [("titanic.csv", "survived"), ("diamonds.csv", "price")]
)
def test_what_is_found_in_known_tables_is_told_in_chinese(name: str, target: str) -> None:
    data = read_draft(file(name), Reading(target=target))
    texts = [*map(str, examine(data, halves(data))), *data.notes]
    assert texts
    for text in texts:
        assert words.told(text) == text
        with language("zh"):
            chinese = words.told(text)
        assert re.search("[\u4e00-\u9fff]", chinese), text
        assert not re.search(r"\b(the|is|nothing|remove|left)\b", chinese), chinese


def test_a_text_that_no_sentence_fits_stays_english() -> None:
    with language("zh"):
        for text in ("the moon is made of cheese; eat it", "the column is made of cheese"):
            assert words.told(text) == text
        assert words.told("left out, as they are text: 'a', 'b'") == "因是文本而未采用：'a', 'b'"
