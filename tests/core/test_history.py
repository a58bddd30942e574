"""Events become curves, whole and as they come."""

from pathlib import Path
from typing import Any

import pytest

import linnet
from linnet.core import events
from linnet.core.events import Event, of
from linnet.core.history import Columns, History, Part, Parts, drop_undone, join
from linnet.runs.events import read_all


def step(at: int, *, model: str = "mlp", epoch: int | None = 0, **values: Any) -> events.Step:
    return events.Step(time=at / 10, model=model, step=at, epoch=epoch, values=values)


def evaluate(at: int, loss: Any, **values: Any) -> events.Evaluate:
    valid = {"loss": loss, **values}
    train = {"loss": 9.0, "accuracy": 0.5}
    return events.Evaluate(
        time=at / 10, model="mlp", step=at, epoch=at // 10, valid=valid, train=train
    )


RECORD: list[Event] = [
    events.Start(time=0.0, data="digits"),
    events.Finding(time=0.0, severity="warning", text="few rows"),
    events.Begin(time=0.0, model="mlp", steps=40),
    evaluate(0, 3.0),
    *(step(at, loss=at / 8, lr=0.1) for at in range(1, 10)),
    step(10, epoch=1, loss=2.0, lr=0.1, gradient_max=0.5),
    evaluate(10, 1.0, accuracy=0.75),
    events.Spent(time=1.5, model="mlp", step=10, batches=0.5, steps=1.0, memory=7),
    *(step(at, epoch=1, loss=1.0, lr=0.1) for at in range(11, 20)),
    step(20, epoch=2, loss=1.0, lr=0.1),
    evaluate(20, 2.0, accuracy=0.5),
]


def test_a_record_becomes_columns_of_equal_length() -> None:
    found = History.of(RECORD).series()
    assert [*found] == ["mlp"] and [*found["mlp"]] == ["train", "valid"]
    train, valid = found["mlp"]["train"], found["mlp"]["valid"]
    assert [*train] == ["time", "step", "epoch", "accuracy", "loss", "lr", "gradient_max"]
    assert {len(column) for column in train.values()} == {23}
    assert train["step"] == [0, *range(1, 11), 10, *range(11, 21), 20]
    assert train["loss"][:3] == [None, 0.125, 0.25] and train["loss"][-2:] == [1.0, None]
    assert train["gradient_max"] == [None] * 10 + [0.5] + [None] * 12
    assert [value for value in train["accuracy"] if value is not None] == [0.5] * 3
    assert valid == {
        "time": [0.0, 1.0, 2.0], "step": [0, 10, 20], "epoch": [0, 1, 2], "loss": [3.0, 1.0, 2.0],
        "accuracy": [None, 0.75, 0.5],
    }  # fmt: skip


def test_a_history_says_where_a_fit_stands() -> None:
    history = History.of(RECORD)
    (fit,) = history.fits
    assert history.now is fit is history.models["mlp"] and fit.end is None
    assert (fit.total, fit.at, fit.epoch, fit.unit, fit.seconds) == (40, 20, 2, 10.0, 2.0)
    assert fit.best == RECORD[14] and fit.scores == RECORD[-1] and fit.step == RECORD[-2]
    assert fit.spent is not None and fit.spent.memory == 7
    assert [finding.text for finding in history.findings] == ["few rows"]
    assert history.changes == 5
    assert len(fit.table("step")["step"]) == 20 and fit.table("spent")["memory"] == [7]
    history.extend(
        [
            events.Fit(
                time=3.0, model="mlp", converged=None, reason="done", steps=20, best_step=10
            ),
            events.Test(time=3.0, model="mlp", test={"accuracy": 0.5}),
            events.Begin(time=3.0, model="cnn"),
        ]
    )
    assert fit.end is not None and fit.end.reason == "done" and fit.seconds == 3.0
    assert fit.test is not None and fit.test.test == {"accuracy": 0.5}
    assert history.now is history.models["cnn"] and history.now.total is None
    assert [fit.model for fit in history.fits] == ["mlp", "cnn"]
    assert [*history.series()] == ["mlp"]  # nothing is written of the other yet


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_record_that_grows_gives_the_same_as_a_whole_one(tmp_path: Path, size: int) -> None:
    run = linnet.train("iris", epochs=3, out=tmp_path / "r")
    record = read_all(run.path / "events.jsonl")
    whole, grown = History.of(record), History()
    for start in range(0, len(record), size):
        grown.extend(record[start : start + size])
    assert grown.series() == whole.series() == run.history().series()
    for one, other in zip(grown.fits, whole.fits, strict=True):
        assert (one.at, one.epoch, one.unit, one.best) == (
            other.at,
            other.epoch,
            other.unit,
            other.best,
        )
    assert [*whole.models] == ["constant", "linear", "mlp"]


def test_points_may_be_kept_elsewhere_and_no_more_than_so_many_fits() -> None:
    kept: list[tuple[str, Part, Columns]] = []

    class Kept:
        def put(self, model: str, part: Part, columns: Columns) -> None:
            kept.append((model, part, columns))

    history = History(Kept(), fits=2, findings=1)
    history.extend(RECORD)
    parts = [part for _, part, _ in kept]
    assert parts == [
        "valid", "train", "step", "step", "valid", "train", "spent", "step", "valid", "train",
    ]  # fmt: skip
    assert kept[2][2]["loss"] == tuple(at / 8 for at in range(1, 10))
    assert history.fits[0].points == [] and history.series() == {}
    for name in ("a", "b", "c"):
        history.extend([events.Begin(model=name), step(1, model=name), events.Finding(text="x")])
    assert [fit.model for fit in history.fits] == ["mlp", "a"] == [*history.models]
    assert history.now is not None and (history.now.model, history.now.at) == ("c", 1)
    assert len(history.findings) == 1


def test_the_least_validation_loss_is_the_best_and_not_the_start() -> None:
    def best(*losses: Any) -> int | None:
        history = History()
        history.extend(evaluate(10 * place, loss) for place, loss in enumerate(losses))
        (fit,) = history.fits
        return None if fit.best is None else fit.best.step

    assert best(1.0) == 0 and best(1.0, 2.0) == 10
    assert best(1.0, 3.0, 2.0, 2.0, 2.5) == 20
    assert best(1.0, "NaN", 2.0, "NaN") == 20 and best(1.0, "Infinity", 2.0) == 20
    assert best(1.0, 2.0, "-Infinity") == 20


def test_a_fit_that_begins_again_is_another() -> None:
    history = History.of([*RECORD, events.Begin(model="mlp", steps=5), step(1, loss=0.5)])
    first, second = history.fits
    assert history.models["mlp"] is second is history.now and first.best is not None
    assert second.best is None and second.table("step")["step"] == [1]
    assert history.series()["mlp"]["train"]["step"][-2:] == [20, 1]


def test_the_curve_of_a_fit_by_folds_is_the_mean_of_its_members() -> None:
    def member(number: int, at: int, own: int, loss: float) -> events.Evaluate:
        return events.Evaluate(
            time=at / 10, model="mlp", step=at, epoch=own, member=number, valid={"loss": loss}
        )

    record: list[Event] = [
        events.Begin(time=0.0, model="mlp", steps=40, members=2),
        member(0, 0, 0, 4.0), member(0, 10, 1, 2.0), member(0, 20, 2, 0.5),
        member(1, 30, 1, 3.0), member(1, 40, 2, 1.5),
    ]  # fmt: skip
    running = History.of(record).models["mlp"]
    assert running.starts == {0: 0, 1: 20} and not running.folded
    history = History.of(record)
    history.take(events.Evaluate(model="mlp", step=40, epoch=2, valid={"loss": 1.0}))
    history.take(events.Fit(model="mlp", steps=40, values={"members": 2}))
    assert history.series()["mlp"]["valid"] == {
        "time": [0.0, 1.0, 2.0], "step": [0, 10, 20], "epoch": [0, 1, 2],
        "loss": [4.0, 2.5, 1.0], "members": [1, 2, 2],
    }  # fmt: skip
    fit = history.models["mlp"]
    assert fit.folded and fit.best is not None and fit.best.valid == {"loss": 1.0}  # not 0.5


def test_events_of_no_model_are_no_curves() -> None:
    lines: list[dict[str, Any]] = [
        {"event": "step", "step": 1, "loss": 0.5}, {"event": "evaluate", "step": 1, "valid": {}},
        {"event": "begin"}, {"event": "spent"}, {"event": "fit"}, {"event": "test"},
        {"event": "odd"},
    ]  # fmt: skip
    history = History.of(map(of, lines))
    assert history.fits == [] and history.series() == {} and history.now is None


def test_a_resume_takes_back_by_count_and_by_step() -> None:
    steps = [step(at, loss=1.0) for at in range(6)]
    line = step(9, model="linear", loss=1.0)
    odd = of({"event": "odd", "model": "mlp", "step": 5})
    record: list[Event] = [events.Begin(model="mlp"), line, *steps, odd]
    count = events.Resume(events=4, model="mlp", step=1)
    assert drop_undone([*record, count]) == record[:4]
    by_step = events.Resume(model="mlp", step=3)
    assert drop_undone([*record, by_step, steps[4]]) == [*record[:6], steps[4]]
    assert drop_undone([*record, count], whole=False) == record[:4]
    assert drop_undone([*record, events.Resume(events=0)]) == []
    assert History.of([*record, by_step]).series()["mlp"]["train"]["step"] == [0, 1, 2, 3]


def test_series_are_joined_where_the_second_began() -> None:
    before: Parts = {
        "train": {"step": [0, 5, 9], "epoch": [0, 1, 2], "time": [0.0, 1.0, 2.0], "loss": [3, 2, 1]}
    }
    own: Parts = {"train": {"step": [0, 4], "epoch": [0, 1], "time": [0.0, 0.5], "lr": [0.1, 0.2]}}
    assert join(before, own, 5)["train"] == {
        "step": [0, 5, 9], "epoch": [0, 1, 2], "time": [0.0, 1.0, 1.5], "loss": [3, 2, None],
        "lr": [None, None, 0.2],
    }  # fmt: skip
