"""A fit that was stopped goes on to the same bits, from any step."""

import json
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import linnet
from helpers import same_state
from linnet.core.every import Every as EveryN
from linnet.core.record import Event, Record, Step
from linnet.data.dataset import Dataset
from linnet.errors import InputError, Interrupted, LinnetWarning, RecipeError
from linnet.fit import checkpoint
from linnet.fit.checkpoint import Checkpoints
from linnet.fit.fit import fit
from linnet.fit.prepare import prepare
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import only
from linnet.fit.settings import read_recipe
from linnet.runs import archive, directory

Parts = tuple[Recipe, Dataset, Dataset | torch.Tensor]


def parts(settings: dict[str, Any], rows: int = 400) -> Parts:
    """The recipe of the last model named, resolved, with training rows, and validation rows or
    folds."""
    data = linnet.read("digits")
    pictures = data.x[:rows].numpy()
    some = (pictures if "shift" in settings else pictures.reshape(rows, -1), data.y[:rows].numpy())
    ready = prepare(some, Recipe.make(settings))
    train, valid = (ready.data.take(ready.parts[name]) for name in ("train", "valid"))
    chooses = valid if ready.fold is None else ready.fold
    return only(ready.recipe, ready.recipe.model[-1]), train, chooses


class Every(Checkpoints):
    """Keeps the state after every step."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
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
    return (
        same_state(one.module, two.module)
        and one.manifest.scores == two.manifest.scores
        and one.manifest.fit == two.manifest.fit
        and (one.held is two.held or torch.equal(one.held, two.held))
    )


def check(
    recipe: Recipe,
    train: Dataset,
    valid: Dataset | torch.Tensor,
    folder: Path,
    most: int = 12,
) -> None:
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


PLACE = ("event", "time", "wall", "model", "step")


def plain(events: list[Event]) -> list[Event]:
    """Events without the seconds that things took."""
    return [
        {key: value for key, value in event.items() if key in PLACE or event["event"] != "spent"}
        for event in ({**event, "time": 0, "wall": 0} for event in events)
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_net_goes_on_from_any_step(tmp_path: Path, name: str) -> None:
    settings = {"model": ["mlp"], "batch_size": 64, "widths": [16], "folds": 1, **CASES[name]}
    check(*parts(settings), tmp_path)


FOLDS = [name for name, case in CASES.items() if not {"shift", "patience"} & set(case)]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FOLDS, "no lower loss"])
def test_the_members_of_a_net_go_on_from_any_step(tmp_path: Path, name: str) -> None:
    settings = {"model": ["mlp"], "batch_size": 64, "widths": [16], "folds": 3, **CASES[name]}
    check(*parts(settings, rows=200), tmp_path)


LINES: dict[str, dict[str, Any]] = {
    "path": {},
    "one penalty": {"penalty": [0.01]},
    "separable": {"penalty": [0.0], "max_iter": 30},
    "slow": {"penalty": [1e-6], "tol": 1e-10, "max_iter": 60},
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("folds", [1, 3])
def test_a_line_goes_on_from_any_step(tmp_path: Path, name: str, folds: int) -> None:
    settings = {"model": ["linear"], "folds": folds, **LINES[name]}
    check(*parts(settings), tmp_path, most=40)


FAST: dict[str, Any] = {"model": ["linear", "mlp"], "epochs": 4, "widths": (8,)}


class Asked(checkpoint.Stop):
    """Wishes to stop at the ``count``-th step that a fit makes."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    @property
    def signal(self) -> int | None:
        self.count -= 1
        return 15 if self.count < 0 else None

    @signal.setter
    def signal(self, value: int | None) -> None: ...


def stopped(path: Path, count: int = 60, **more: Any) -> Path:
    with pytest.raises(Interrupted, match="Continue with: linnet train --resume") as told:
        linnet.train("digits", out=path, stop=Asked(count), **{**FAST, **more})
    assert told.value.exit_code == 143
    assert directory.state_of(path)[0] == "stopped"
    assert list((path / "checkpoints").glob("0*.safetensors"))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    return linnet.train("digits", out=tmp_path_factory.mktemp("resume") / "whole", **FAST)


def agrees(run: linnet.Run, whole: linnet.Run) -> bool:
    return all(
        same_state(run.models[name].module, whole.models[name].module) for name in whole.models
    ) and plain(run.events()) == plain(whole.events())


@pytest.mark.parametrize("count", [4, 30, 60, 110])
def test_a_stopped_run_goes_on(tmp_path: Path, whole: linnet.Run, count: int) -> None:
    path = stopped(tmp_path / "r", count)
    run = linnet.train(resume=path)
    assert agrees(run, whole)
    assert run.state == "finished" and not (path / "checkpoints").exists()
    assert linnet.train(resume=path).metrics == run.metrics  # there is nothing to do


def test_a_run_stopped_twice_goes_on(tmp_path: Path, whole: linnet.Run) -> None:
    path = stopped(tmp_path / "r", 40)
    with pytest.raises(Interrupted):
        linnet.train(resume=path, stop=Asked(40))
    assert agrees(linnet.train(resume=path), whole)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, whole: linnet.Run
) -> None:
    path = stopped(tmp_path / "r", 100, checkpoint_every=10)
    one, two = sorted((path / "checkpoints").glob("0*.safetensors"))
    os.utime(one, (2e9, 2e9))  # clocks are not asked
    content = bytearray(two.read_bytes())
    content[-1] ^= 1
    two.write_bytes(content)
    with pytest.warns(LinnetWarning, match=f"{two.name}.*the checkpoint before it is used"):
        run = linnet.train(resume=path)
    assert agrees(run, whole)


def test_no_whole_checkpoint_is_a_new_start(tmp_path: Path, whole: linnet.Run) -> None:
    path = stopped(tmp_path / "r", 100)
    for file in (path / "checkpoints").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    with pytest.warns(LinnetWarning, match="damaged|safetensors|header|bytes"):
        run = linnet.train(resume=path)
    assert agrees(run, whole)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"seed": 5}, ["seed"]),
        ({"epochs": 5}, ["epochs"]),
        ({"lr": 0.5, "batch_size": 7}, ["lr", "batch_size"]),
    ],
)
def test_another_recipe_is_refused_by_name(
    tmp_path: Path, settings: dict[str, Any], names: list[str]
) -> None:
    path = stopped(tmp_path / "r")
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match="cannot continue with the same result") as told:
        linnet.train(resume=path, **settings)
    for name in names:
        assert f"--allow {name}" in str(told.value)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_what_is_allowed_is_recorded(tmp_path: Path) -> None:
    path = stopped(tmp_path / "r")
    with pytest.raises(RecipeError, match='did you mean "epochs"'):
        linnet.train(resume=path, epochs=6, allow=["epoch"])
    run = linnet.train(resume=path, epochs=6, allow=["epochs"])
    assert run.metrics["models"]["mlp"]["fit"]["epochs"] == 6
    assert run.info["resumed"][0]["changed"] == {"epochs": "6, and was 4"}
    assert read_recipe(run.path / "recipe.toml")["epochs"] == 6  # it alone repeats the run


def test_other_data_other_threads_other_versions_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stopped(tmp_path / "r")
    data = linnet.read("digits")
    other = (data.x.numpy()[::-1].copy(), data.y.numpy()[::-1].copy())
    with pytest.raises(InputError, match=r"data is not the data of the run.*train a new run"):
        linnet.train(other, resume=path)
    info = json.loads((path / "run.json").read_text())
    for change, name in (
        ({"threads": 99}, "threads"),
        ({"versions": {**info["versions"], "torch": "1.0"}}, "torch"),
        ({"versions": {**info["versions"], "linnet": "0.0.1"}}, "linnet"),
    ):
        (path / "run.json").write_text(json.dumps({**info, **change}))
        with pytest.raises(InputError, match=f"--allow {name}"):
            linnet.train(resume=path)
    now = info["threads"]
    (path / "run.json").write_text(json.dumps({**info, "threads": now + 1}))
    with pytest.raises(InputError, match=f"threads is {now}, and was {now + 1}"):
        linnet.train(resume=path)
    run = linnet.train(resume=path, allow=["threads"])
    assert run.info["resumed"][0]["changed"] == {"threads": f"{now}, and was {now + 1}"}


def test_a_run_has_one_writer(tmp_path: Path) -> None:
    path = stopped(tmp_path / "r")
    with (
        closing(Record(path / "events.jsonl", alone=True)),
        pytest.raises(InputError, match="another process writes to it"),
    ):
        linnet.train(resume=path)
    directory.write_status(path, "running")
    with pytest.raises(InputError, match=f"is being written by process {os.getpid()} on"):
        linnet.train(resume=path)


def test_what_is_no_run_cannot_go_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no run"):
        linnet.train(resume=tmp_path / "none")
    with pytest.raises(InputError, match=r"holds no recipe\.toml"):
        linnet.train(resume=tmp_path)


def test_a_run_of_data_in_memory_needs_it_again(tmp_path: Path) -> None:
    data = linnet.read("digits")
    arrays = (data.x.numpy(), data.y.numpy())
    with pytest.raises(Interrupted):
        linnet.train(arrays, out=tmp_path / "r", stop=Asked(60), **FAST)
    with pytest.raises(RecipeError, match="data in memory; give it"):
        linnet.train(resume=tmp_path / "r")
    assert linnet.train(arrays, resume=tmp_path / "r").state == "finished"


def test_a_module_of_your_own_goes_on(tmp_path: Path) -> None:
    def module() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 10)
        )

    settings: dict[str, Any] = {"model": ["custom"], "epochs": 3}
    alone = linnet.train("digits", network=module(), out=tmp_path / "a", **settings)
    with pytest.raises(Interrupted):
        linnet.train("digits", network=module(), out=tmp_path / "b", stop=Asked(40), **settings)
    run = linnet.train(resume=tmp_path / "b", network=module())
    assert agrees(run, alone)


def test_a_checkpoint_holds_plain_values_alone(tmp_path: Path) -> None:
    saves = Checkpoints(tmp_path)
    state = {
        "a": [1, 2.5, "x", None, True, (1, [2])],
        "b": {0: torch.ones(2, 3), "empty": torch.empty(0, 4), "inf": float("inf")},
    }
    saves.write(state)
    found = checkpoint.newest(tmp_path)
    assert found is not None
    assert found["a"] == state["a"] and found["b"]["inf"] == float("inf")
    assert torch.equal(found["b"][0], torch.ones(2, 3)) and found["b"]["empty"].shape == (0, 4)
    with pytest.raises(TypeError, match="a checkpoint cannot hold a"):
        saves.write({"a": object()})


def test_checkpoints_are_made_when_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("linnet.fit.checkpoint.time.monotonic", lambda: now)

    def due(saves: Checkpoints, at: float, index: int = 1, *, complete: bool = False) -> bool:
        nonlocal now
        now = at
        return saves.due(Step(index, complete=complete))

    auto, seconds, steps = (
        Checkpoints(tmp_path, EveryN.parse(value)) for value in ("auto", "3s", 4)
    )
    assert not due(auto, 4.9, complete=True) and due(auto, 5.0, complete=True)
    assert not due(auto, 29.9) and due(auto, 30.0)
    assert not due(seconds, 2.9, complete=True) and due(seconds, 3.0)
    assert [index for index in range(9) if due(steps, 0.0, index)] == [4, 8]


def test_a_run_starts_from_the_weights_of_another(tmp_path: Path, whole: linnet.Run) -> None:
    archive.pack(whole.path, tmp_path / "parent.zip")
    run = linnet.train(parent=tmp_path / "parent.zip", epochs=2, out=tmp_path / "child")
    assert run.info["parent"] == str(tmp_path / "parent.zip")
    begun = next(e for e in run.events() if e["event"] == "evaluate" and e["model"] == "mlp")
    before = whole.metrics["models"]["mlp"]
    assert begun["step"] == 0 and begun["valid"] == before["valid"]
    after = run.metrics["models"]["mlp"]
    assert after["valid"]["loss"] <= before["valid"]["loss"]
    one = whole.history().series()["mlp"]["valid"]
    both = next(
        t
        for t in run.curves().data
        if t.get("line", {}).get("dash") == "dash" and t["name"] == "perceptron, validation"
    )
    best = before["fit"]["best_epoch"]
    assert len(one["loss"]) == 5 and max(both["x"]) == pytest.approx(best + 2)
    with pytest.raises(InputError, match="needs the same columns"):
        linnet.train("wine", parent=whole.path, valid="auto", out=tmp_path / "other")


def test_a_run_that_names_itself_as_its_parent_has_curves(
    whole: linnet.Run, tmp_path: Path
) -> None:
    path = tmp_path / "own"
    shutil.copytree(whole.path, path)
    info = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**info, "parent": str(path)}))
    assert linnet.Run(path).curves().data
    (path / "run.json").unlink()
    assert linnet.Run(path).curves().plain()["data"]


SMALL: dict[str, Any] = {
    "model": ["linear", "mlp"], "epochs": 4, "widths": (8,), "penalty": [0.1], "folds": 1,
    "yardstick": "none",
}  # fmt: skip


def noise(seed: int = 0, columns: int = 4) -> tuple[Any, Any]:
    draws = np.random.default_rng(seed)
    return draws.normal(size=(150, columns)), draws.integers(0, 3, 150)


def halfway(path: Path, data: Any = None, **more: Any) -> Path:
    """A run that was stopped in the middle of its net."""
    settings = {**SMALL, "checkpoint_every": 3, **more}
    with pytest.raises(Interrupted):
        linnet.train(noise() if data is None else data, out=path, stop=Asked(16), **settings)
    found = checkpoint.newest(path / "checkpoints")
    assert found is not None and found["model"] == "mlp" and "linear" in found["done"]
    return path


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"seed": 5}, "run and split and recipe"),
        ({"widths": [16]}, "run and recipe"),
        ({"data": noise(seed=1)}, "run and data and split"),
        ({"data": noise(columns=7)}, "run and data and split"),
        ({}, "run"),
    ],
)
def test_checkpoints_of_another_run_are_refused_by_name(
    tmp_path: Path, other: dict[str, Any], named: str
) -> None:
    mine, theirs = halfway(tmp_path / "mine"), halfway(tmp_path / "theirs", **other)
    shutil.rmtree(mine / "checkpoints")
    shutil.copytree(theirs / "checkpoints", mine / "checkpoints")
    with pytest.raises(InputError, match=f"a checkpoint of another run: its {named} (is|are) not"):
        linnet.train(noise(), resume=mine)


@pytest.mark.parametrize("damage", ["missing", "cut", "another's"])
def test_a_finished_model_that_is_gone_is_fitted_again(tmp_path: Path, damage: str) -> None:
    whole = linnet.train(noise(), out=tmp_path / "whole", **SMALL)
    path = halfway(tmp_path / "r")
    file = path / "checkpoints" / "linear.safetensors"
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-9])
    else:
        other = linnet.train(noise(seed=1), out=tmp_path / "other", **SMALL)
        shutil.copy(other.path / "linear.safetensors", file)
    with pytest.warns(LinnetWarning, match=r"linear\.safetensors.*linear is fitted again"):
        run = linnet.train(noise(), resume=path)
    assert agrees(run, whole)


def test_a_change_that_no_checkpoint_can_take_is_refused_in_words(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"widths": [16], "optimizer": "sgd", "batch_norm": True}
    for name, value in changes.items():
        path = halfway(tmp_path / name)
        with pytest.raises(RecipeError, match=r"another network or optimizer") as told:
            linnet.train(noise(), resume=path, allow=[name, "lr"], **{name: value})
        assert "size mismatch" not in str(told.value)


def test_a_run_that_was_allowed_to_change_goes_on_twice(tmp_path: Path) -> None:
    """The checkpoint before the change still is the run's own, until the next one is written."""
    path = halfway(tmp_path / "r", epochs=20)
    with pytest.raises(Interrupted):
        linnet.train(noise(), resume=path, epochs=19, allow=["epochs"], stop=Asked(2))
    assert linnet.train(noise(), resume=path).state == "finished"


def test_a_checkpoint_of_a_later_linnet_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = halfway(tmp_path / "r")
    for file in (path / "checkpoints").glob("0*.safetensors"):
        content = file.read_bytes()
        file.write_bytes(content.replace(b'\\"format\\":1', b'\\"format\\":9'))
        assert file.read_bytes() != content
    with pytest.raises(InputError, match="written in format 9; this linnet reads up to 1"):
        linnet.train(noise(), resume=path)


@pytest.mark.parametrize("kept", [None, 0, 5])
def test_a_record_that_was_lost_or_cut_is_refused_by_name(tmp_path: Path, kept: int | None) -> None:
    path = halfway(tmp_path / "r")
    record = path / "events.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    if kept is None:
        record.unlink()
    else:
        record.write_text("".join(lines[:kept]))
    with pytest.raises(InputError, match=r"events\.jsonl.*(cut|lost)"):
        linnet.train(noise(), resume=path)
    record.write_text("".join(lines))
    assert linnet.train(noise(), resume=path).state == "finished"


def test_a_run_without_its_description_is_refused_by_name(tmp_path: Path) -> None:
    path = halfway(tmp_path / "r")
    (path / "run.json").unlink()
    with pytest.raises(InputError, match=r"holds no run\.json"):
        linnet.train(noise(), resume=path)
