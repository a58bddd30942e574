"""What a model keeps of its training rows for people: ranges, typical values, how ink lies."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch

import linnet
from linnet.data.column import Column
from linnet.data.columns import describe
from linnet.data.pictures.ground import Layout, ground_of, layout_of
from linnet.data.read import read_draft
from linnet.data.reading import Reading
from linnet.data.schema import Schema
from linnet.errors import CellError, DataError

ROWS = 60


def frame() -> polars.DataFrame:
    """Rows of each kind of column, whose last ten would change every description."""
    head, tail = ROWS - 10, 10
    return polars.DataFrame(
        {
            "number": [float(row % 7) for row in range(head)] + [1e3] * tail,
            "gap": [None, 2.5] * (head // 2) + [-1e3] * tail,
            "day": ["2024-01-02", "2024-03-04"] * (head // 2) + ["1999-09-09"] * tail,
            "word": ["a", "b", "b", "c", "b"] * (head // 5) + ["a"] * (tail - 2) + ["d"] * 2,
            "yes": ["yes", "no", "yes", "yes", "no"] * (head // 5) + ["no"] * tail,
            "y": [float(row % 11) for row in range(ROWS)],
        }
    )


def test_ranges_and_typical_values_are_those_of_training_rows() -> None:
    reading = Reading(target=("y",))
    data = read_draft(frame(), reading).learn(torch.arange(ROWS - 10))
    found = {field.name: (field.range, field.typical) for field in data.schema.fields}
    january, march = 1704153600.0, 1709510400.0
    assert found == {
        "number": ((0.0, 6.0), 3.0),
        "gap": ((2.5, 2.5), 2.5),
        "day": ((january, march), january),  # of two in the middle the first: no mean of both
        "word": (None, 1.0),
        "yes": (None, 1.0),
    }


def test_numbers_that_are_far_are_in_no_range() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=4_000)
    values[::80] = 1e6
    data = linnet.read(polars.DataFrame({"x": values, "y": draw.normal(size=4_000)}), "y")
    (field,) = data.schema.fields
    assert field.ends is not None and field.range is not None
    assert field.ends[0] <= field.range[0] and field.range[1] <= field.ends[1]
    assert field.range[1] < 1e3


def test_the_fingerprint_of_data_does_not_depend_on_descriptions() -> None:
    data = linnet.read(frame(), "y")
    plain = [
        Column(**{**field.model_dump(), "range": None, "typical": None})
        for field in data.schema.fields
    ]
    bare = data.schema.model_copy(update={"fields": tuple(plain)})
    assert bare != data.schema
    from dataclasses import replace

    assert replace(data, schema=bare).fingerprint() == data.fingerprint()


def test_a_schema_of_before_loads() -> None:
    plain = linnet.read(frame(), "y").schema.plain()
    del plain["layout"]
    for field in plain["fields"]:
        del field["range"], field["typical"]
    assert all(field.range is None for field in Schema.parse(plain, "old", DataError).fields)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "number", "range": (2.0, 1.0)},
        {"kind": "category", "categories": ("a", "b"), "range": (0.0, 1.0)},
        {"kind": "category", "categories": ("a", "b"), "typical": 2.0},
        {"kind": "category", "categories": ("a", "b"), "typical": 0.5},
        {"kind": "boolean", "typical": 2.0},
    ],
)
def test_impossible_descriptions_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"range|typical"):
        Column(name="x", **wrong)


def inked(side: int, at: tuple[int, int], *, size: int = 16) -> Any:
    picture = np.zeros((1, size, size), np.uint8)
    picture[0, at[0] : at[0] + side, at[1] : at[1] + side] = 255
    return picture


def test_the_layout_of_ink() -> None:
    centred = np.stack([inked(8, (4, 4))] * 9 + [inked(3, (0, 12))])
    assert layout_of(centred, (0, 255)) == Layout(side=8, centre="mass")
    assert layout_of(255 - centred, (255, 0)) == Layout(side=8, centre="mass")
    corner = np.stack([inked(8, (1, 1))] * 3)
    assert layout_of(corner, (0, 255)) == Layout(side=8, centre=None)
    heavy = np.stack([inked(8, (4, 4))] * 3) // 8 * 2
    heavy[:, :, 4:7, 4:12] = 255  # the box lies in the middle, the mass above it
    assert layout_of(heavy, (0, 255)) == Layout(side=8, centre="box")
    assert layout_of(np.zeros((3, 1, 8, 8), np.uint8), (0, 255)) is None


def test_pictures_without_one_ground_have_no_layout(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, (40, 8, 8)).astype(np.uint8)
    y = np.arange(40) % 2
    assert linnet.read((x, y)).schema.layout is None
    x[:, [0, -1]] = x[:, :, [0, -1]] = 0
    data = linnet.read((x, y))
    assert ground_of(data.x) is not None and data.schema.layout is not None
    run = linnet.train((x, y), model="linear", penalty=0.1, out=tmp_path / "run")
    assert linnet.load(run.path).schema.layout == run.models["linear"].schema.layout is not None
    with pytest.raises(ValueError, match="layout"):
        Schema(**{**dict(data.schema), "ground": None})


def test_the_error_of_a_cell_says_all_of_it() -> None:
    error = CellError(3, "age", "abc", "a number, as in training", "correct it")
    assert isinstance(error, DataError)
    assert (error.row, error.column, error.given) == (3, "age", "abc")
    text = "row 3, column 'age': the value is 'abc'; expected a number, as in training; correct it"
    assert str(error) == text
    assert len(str(CellError(0, "x", "long" * 1000, "a number"))) < 200


def test_days_are_shown_without_a_time_of_day() -> None:
    column = Column(name="when", kind="date")
    days = polars.Series([None, datetime(2024, 3, 4), datetime(2024, 1, 2)])
    facts = describe(days, column)
    assert facts["range"] == ["2024-01-02", "2024-03-04"]
    assert facts["examples"] == ["2024-03-04", "2024-01-02"]
    timed = describe(polars.Series([datetime(2024, 1, 2), datetime(2024, 3, 4, 7, 30)]), column)
    assert timed["range"] == ["2024-01-02 00:00:00", "2024-03-04 07:30:00"]
