"""Times with offsets from UTC, several in one column: they become UTC."""

from pathlib import Path

import pandas as pd
import pytest

import linnet

HOURS = 13.0
SAME = [
    "2024-07-01T15:00:00+02:00", "2024-07-01T08:00:00-0500", "2024-07-01 13:00:00Z",
    "2024-07-01 13:00 UTC", "2024-07-01 18:30:00+0530", "1 Jul 2024 15:00 UTC+2",
    "Mon Jul 01 2024 15:00:00 GMT+0200 (CEST)", "Mon, 01 Jul 2024 09:00:00 -0400",
    "2024-07-01T15:00+02", "2024-07-01 23:00:00.000 +10:00",
]  # fmt: skip
"""One moment, as others write it."""


def frame() -> pd.DataFrame:
    rows = 3 * SAME
    return pd.DataFrame({"at": rows, "x": range(len(rows)), "y": [k / 7 for k in range(len(rows))]})


def test_one_moment_in_every_row_is_a_constant(tmp_path: Path) -> None:
    for given in (frame(), frame().assign(at="2024-01-31"), frame().assign(at="31.01.2024")):
        fields = linnet.read(given, "y").schema.fields
        assert [(field.name, field.kind) for field in fields] == [
            ("at", "constant"),
            ("x", "number"),
        ]


def check(place: object) -> None:
    data = linnet.read(place, "y", columns={"at": "date"})
    column = data.schema.fields[0]
    assert (column.kind, column.timed) == ("date", True)
    assert [name for name in data.schema.columns if name.startswith("at.")][-1] == "at.hour"
    hours = data.x[:, list(data.schema.columns).index("at.hour")]
    assert (hours == HOURS).all()


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_files_of_several_offsets(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        frame().to_csv(path, index=False)
    elif kind == "parquet":
        frame().to_parquet(path)
    else:
        frame().to_json(path, orient="records", lines=True)
    check(path)


def test_frames_of_text_and_of_moments_of_several_offsets() -> None:
    check(frame())
    plain = SAME[0], SAME[1], SAME[2], SAME[9].replace(" +", "+")
    moments = [pd.Timestamp(text) for text in plain] * 10
    check(pd.DataFrame({"at": pd.Series(moments, dtype=object), "x": range(40), "y": range(40)}))


def test_the_column_of_time_may_have_several_offsets(tmp_path: Path) -> None:
    offsets = ["+02:00", "-05:00", "Z"]
    starts = pd.date_range("2024-01-01", periods=60, freq="D", tz="UTC")
    zones = ["Europe/Kaliningrad", "America/New_York", "UTC"]
    texts = [starts[k].tz_convert(zones[k % 3]).isoformat() for k in range(60)]
    assert sum(text.endswith(offsets[0]) for text in texts) == 20
    table = pd.DataFrame(
        {"at": texts, "x": [k / 9 for k in range(60)], "y": [k / 7 for k in range(60)]}
    )
    data = linnet.read(table.sample(frac=1, random_state=0), "y", time="at")
    parts = data.split(test=0.2, valid=0.2, seed=0)
    assert data.division is not None
    order = data.division.values
    assert order[parts.train].max() < order[parts.valid].min() < order[parts.test].min()
