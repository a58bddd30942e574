"""Events as classes: what a line holds becomes fields, and is written as it was."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import linnet
from linnet.compat.visdom import Visdom
from linnet.core import events
from linnet.core.record import Record
from linnet.errors import DataError
from linnet.runs.events import read_all

STEP = {
    "event": "step",
    "time": 0.5,
    "model": "mlp",
    "step": 3,
    "epoch": 1,
    "loss": 0.25,
    "lr": 0.1,
}


def test_what_a_run_writes_is_a_class_each_and_comes_back_to_the_byte(tmp_path: Path) -> None:
    linnet.train("iris", epochs=2, out=tmp_path / "r")
    lines = (tmp_path / "r/events.jsonl").read_text().splitlines()
    plain = [json.loads(line) for line in lines]
    found = [events.parse(each) for each in plain]
    assert [type(event) for event in found] == [events.KINDS[each["event"]] for each in plain]
    assert [json.dumps(event.plain(), separators=(",", ":")) for event in found] == lines
    kinds = {event.kind for event in found}
    assert kinds >= {"start", "begin", "step", "evaluate", "spent", "fit", "test", "end"}
    left = {key for event in found if event.kind not in ("step", "fit") for key in event.values}
    assert left == set()  # all that these hold has a field


def test_what_a_program_shows_comes_back_to_the_byte(tmp_path: Path) -> None:
    viz = Visdom(run=tmp_path)
    viz.line([1.0, 2.0], [0, 1], win="a", opts={"title": "loss"})
    viz.line([3.0], [2], win="a", update="append")
    viz.line(None, win="a", update="remove", name="1")
    viz.scatter([[0.0, 1.0]], win="b")
    viz.bar([1.0, 2.0], win="c")
    viz.heatmap([[1.0, 2.0]], win="d", opts={"rownames": ["x"]})
    viz.image(torch.zeros(1, 2, 3), win="e")
    viz.text("words", win="f")
    viz.text("more", win="f", append=True)
    viz.close("f")
    viz.close()
    lines = (tmp_path / "visdom-main.jsonl").read_text().splitlines()
    found = read_all(tmp_path / "visdom-main.jsonl")
    assert [json.dumps(event.plain(), separators=(",", ":")) for event in found] == lines
    assert [event.values for event in found] == [{}] * 12
    drawn = ["line", "line", "line", "scatter", "bar", "heatmap", "image", "text", "text"]
    assert [event.kind for event in found] == ["start", *drawn, "close", "close"]


def test_a_step_keeps_what_its_method_measured() -> None:
    found = events.parse(STEP)
    assert found == events.Step(
        time=0.5, model="mlp", step=3, epoch=1, values={"loss": 0.25, "lr": 0.1}
    )
    assert isinstance(found, events.Step) and found.plain() == STEP
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.step = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    "change",
    [
        {}, {"later": {"a": [1]}}, {"event": "unknown", "x": None}, {"epoch": None},
        {"time": "NaN"}, {"event": "begin", "steps": None},
        {"event": "spent", "steps": 0.5, "memory": "much"},
        {"event": "fit", "converged": "yes", "gap": "Infinity"}, {"event": "test", "test": 5},
        {"event": "line", "lines": 3, "win": {"a": 1}}, {"event": "image", "width": "wide"},
    ],
)  # fmt: skip
def test_what_no_field_holds_is_kept(change: dict[str, Any]) -> None:
    plain = {key: value for key, value in STEP.items() if key in ("event", "time", "model")}
    line = {**(STEP if "event" not in change else plain), **change}
    if line["event"] == "step" and "later" in line:
        line = {**line, "event": "later", "loss": [line["loss"]]}
    found = events.parse(line)
    assert found.plain() == line == events.of(line).plain()
    for each in dataclasses.fields(found):
        value = getattr(found, each.name)
        if each.name not in ("values", "event") and value is not None:
            assert each.metadata["holds"](value)


@pytest.mark.parametrize(
    "line",
    [
        None, [], {}, {"event": 3}, {"event": "step"}, {"event": "step", "step": None},
        {**STEP, "step": 1.0}, {**STEP, "step": True}, {**STEP, "step": -1},
        {**STEP, "step": 2**53 + 1}, {**STEP, "epoch": -1}, {**STEP, "epoch": "1"},
        {**STEP, "model": 3}, {**STEP, "model": None}, {**STEP, "time": [1]}, {**STEP, "loss": [1]},
        {**STEP, "loss": "much"}, {**STEP, "loss": 1e301}, {**STEP, "loss": float("inf")},
        {**STEP, "loss": float("nan")}, {**STEP, "time": float("nan")}, {**STEP, "time": -1e301},
        {**STEP, "event": "evaluate", "valid": []}, {"event": "evaluate", "valid": {"loss": 1.0}},
        {**STEP, "event": "evaluate", "valid": {"loss": None}}, {"event": "finding"},
        {"event": "finding", "text": 3}, {"event": "fit", "reason": None},
        {"event": "begin", "steps": 0.5}, {"event": "resume", "events": -1},
        {"event": "unknown", "wall": 3}, {"event": "x", "time": "x"},
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_worked_with_is_refused(line: Any) -> None:
    with pytest.raises(DataError):
        events.parse(line)


def test_an_event_is_written_with_its_time_and_without_what_is_none(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    record = Record(tmp_path / "r.jsonl", heard.append)
    values = {"loss": torch.tensor(0.5), "lr": None}
    record.write(events.Step(time=9.0, model="mlp", step=3, epoch=1, values=values))
    record.write(events.Finding(text="careful", severity="warning"))
    record.close()
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert lines == heard and record.count == 2
    times = [line.pop("time") for line in lines]
    assert times == sorted(times) and times[-1] < 9
    assert [*lines[0]] == ["event", "model", "step", "epoch", "loss"]
    assert lines[0] == {"event": "step", "model": "mlp", "step": 3, "epoch": 1, "loss": 0.5}
    assert lines[1] == {"event": "finding", "severity": "warning", "text": "careful"}
