"""A fit that was stopped goes on to the same bits, from any step."""

from pathlib import Path
from typing import Any

import pytest
import torch

import linnet
from linnet import checkpoint, spine
from linnet.checkpoint import Checkpoints
from linnet.data.dataset import Dataset
from linnet.fit import fit
from linnet.recipe import Recipe
from linnet.record import Event, Record


def parts(settings: dict[str, Any], rows: int = 400) -> tuple[Recipe, Dataset, Dataset]:
    """The recipe of the last model named, resolved, with training and validation rows."""
    data = linnet.read("digits")
    pictures = data.x[:rows].numpy()
    some = (pictures if "shift" in settings else pictures.reshape(rows, -1), data.y[:rows].numpy())
    dataset, recipe, rows_of, _ = spine.prepare(some, Recipe.make(settings))
    train, valid = (dataset.take(rows_of[name]) for name in ("train", "valid"))
    return recipe.only(recipe.model[-1]), train, valid


class Every(Checkpoints):
    """Keeps the state after every step."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 1)
        self.states: list[dict[str, Any]] = []

    def due(self, step: Any) -> bool:
        return True

    def save(self, state: Any) -> None:
        self.write(state)
        found = checkpoint.newest(self.folder)
        assert found is not None
        self.states.append(found)


CASES: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "lr": 0.05, "epochs": 3},
    "adam, dropout, ema": {"dropout": 0.3, "averaging": "ema", "epochs": 3},
    "adamw, mean, one-cycle": {
        "optimizer": "adamw", "averaging": "mean", "schedule": "one_cycle", "epochs": 4,
    },
    "plateau, clip": {"schedule": "plateau", "step_size": 1, "clip": 1.0, "epochs": 5, "lr": 0.05},
    "early stopping": {"epochs": 40, "patience": 2, "lr": 0.02},
    "no lower loss": {"epochs": 40, "patience": 1, "min_delta": 0.5},
    "rmsprop": {"optimizer": "rmsprop", "epochs": 2},
    "adamax, warm-up": {"optimizer": "adamax", "warmup": 1.0, "epochs": 2},
    "asgd": {"optimizer": "asgd", "epochs": 2},
    "rprop": {"optimizer": "rprop", "batch_size": "all", "epochs": 6},
    "lbfgs": {"optimizer": "lbfgs", "batch_size": "all", "epochs": 6},
    "shift, cutout, smoothing": {
        "shift": 1, "cutout": 2, "label_smoothing": 0.1, "epochs": 2,
    },
    "found rate": {"lr": "find", "epochs": 2},
    "weighted": {"class_weight": "balanced", "epochs": 2},
}  # fmt: skip


def same(one: Any, two: Any) -> bool:
    """The same weights to the bit, the same scores, the same reason."""
    first, second = one.module.state_dict(), two.module.state_dict()
    return (
        first.keys() == second.keys()
        and all(torch.equal(first[name], second[name]) for name in first)
        and one.manifest.scores == two.manifest.scores
        and one.manifest.fit == two.manifest.fit
    )


def check(recipe: Recipe, train: Dataset, valid: Dataset, folder: Path, most: int = 12) -> None:
    whole: list[Event] = []
    every = Every(folder)
    dropped: list[Event] = []
    alone = fit(recipe, train, valid, record=Record(echo=whole.append))
    one = fit(recipe, train, valid, record=Record(echo=dropped.append), checkpoints=every)
    assert same(alone, one)  # a checkpoint changes nothing
    count = len(every.states)
    assert count > 1
    for place in sorted({*range(0, count, max(1, count // most)), 0, count - 1}):
        state = every.states[place]
        again: list[Event] = []
        record = Record(echo=again.append)
        two = fit(recipe, train, valid, record=record, resume=state)
        assert same(alone, two), (place, count)
        rest = whole[state["events"] :]
        assert plain(again) == plain(rest), (place, count)


PLACE = ("event", "time", "model", "step")


def plain(events: list[Event]) -> list[Event]:
    """Events without the seconds that things took."""
    return [
        {key: value for key, value in event.items() if key in PLACE or event["event"] != "spent"}
        for event in ({**event, "time": 0} for event in events)
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_net_goes_on_from_any_step(tmp_path: Path, name: str) -> None:
    settings = {"model": ["mlp"], "batch_size": 64, "widths": [16], **CASES[name]}
    check(*parts(settings), tmp_path)


LINES: dict[str, dict[str, Any]] = {
    "path": {},
    "one penalty": {"penalty": [0.01]},
    "separable": {"penalty": [0.0], "max_iter": 30},
    "slow": {"penalty": [1e-6], "tol": 1e-10, "max_iter": 60},
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_goes_on_from_any_step(tmp_path: Path, name: str) -> None:
    check(*parts({"model": ["linear"], **LINES[name]}), tmp_path, most=40)
