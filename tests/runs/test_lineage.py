"""No run tests on rows that its weights have seen: children, chains of them, resumed runs."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch
from torch import nn

import linnet
from helpers import command
from linnet.data.fingerprints import fingerprints
from linnet.errors import InputError, Interrupted, LinnetWarning, RecipeError
from linnet.experiment.train import repeat
from linnet.fit.checkpoint import Stop
from linnet.runs import archive
from linnet.runs.lineage import UNTESTED, Rows

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

NET: dict[str, Any] = {"model": "mlp", "epochs": 2, "widths": [8], "echo": False}


def noise(rows: int = 200, seed: int = 0) -> Arrays:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, 5)), random.integers(0, 2, rows)


def rows_of(data: Arrays, numbers: torch.Tensor) -> set[bytes]:
    """The content of some rows, example and target."""
    x, y = data
    return {x[row].tobytes() + bytes([int(y[row])]) for row in numbers.tolist()}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    return linnet.train(noise(), out=tmp_path_factory.mktemp("lineage") / "parent", **NET)


# fingerprints


def test_a_row_has_one_fingerprint_wherever_it_stands() -> None:
    x, y = noise(9000)
    whole = fingerprints(linnet.read((x, y)))
    assert len(whole.unique()) == 9000
    order = np.random.default_rng(1).permutation(9000)
    assert torch.equal(fingerprints(linnet.read((x[order], y[order]))), whole[order])
    assert not torch.isin(fingerprints(linnet.read((x, 1 - y))), whole).any()  # the target counts
    zero, minus = (linnet.read((np.full((2, 1), value), [0.0, 1.0])) for value in (0.0, -0.0))
    assert torch.equal(fingerprints(zero), fingerprints(minus))


def test_pictures_have_fingerprints_of_every_byte() -> None:
    digits = linnet.read("digits")
    assert len(fingerprints(digits).unique()) > 1700
    changed = digits.x.clone()
    changed[:, 0, 7, 7] += 1
    other = linnet.read((changed.numpy(), digits.y.numpy()))
    assert (fingerprints(other) != fingerprints(digits)).all()


# children


def permuted(data: Arrays) -> Arrays:
    order = np.random.default_rng(5).permutation(len(data[0]))
    return data[0][order], data[1][order]


def repeated(data: Arrays) -> Arrays:
    """Every row three times."""
    return np.repeat(data[0], 3, 0), np.repeat(data[1], 3)


def longer(data: Arrays) -> Arrays:
    """The rows among as many new ones."""
    x, y = noise(200, seed=9)
    return permuted((np.concatenate([data[0], x]), np.concatenate([data[1], y])))


def halved(data: Arrays) -> Arrays:
    return data[0][::2], data[1][::2]


CHANGES: dict[str, Callable[[Arrays], Arrays]] = {
    "the same": lambda data: data,
    "permuted": permuted,
    "repeated": repeated,
    "longer": longer,
    "halved": halved,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_child_never_tests_on_its_parents_rows(
    parent: linnet.Run, tmp_path: Path, name: str
) -> None:
    data = CHANGES[name](noise())
    child = linnet.train(data, parent=parent.path, seed=7, out=tmp_path / "child", echo=False)
    before, after = parent.split(), child.split()
    trained, chosen = (rows_of(noise(), before[part]) for part in ("train", "valid"))
    assert not rows_of(data, after["test"]) & (trained | chosen)
    assert not rows_of(data, after["valid"]) & trained
    assert len(after["test"]) >= 15 and child.metrics["models"]["mlp"]["test"]
    every = torch.cat(list(after.values())).sort().values
    assert torch.equal(every, torch.arange(len(data[0])))
    assert child.info["data"]["notes"]  # it says so
    if name != "longer":  # no row changes sides
        assert rows_of(data, after["test"]) <= rows_of(noise(), before["test"])


def test_a_grandchild_tests_on_rows_of_neither(parent: linnet.Run, tmp_path: Path) -> None:
    other = noise(200, seed=3)
    child = linnet.train(other, parent=parent.path, out=tmp_path / "child", echo=False)
    archive.pack(child.path, tmp_path / "child.zip")
    x, y = noise()
    both = permuted((np.concatenate([x, other[0]]), np.concatenate([y, other[1]])))
    grandchild = linnet.train(both, parent=tmp_path / "child.zip", out=tmp_path / "g", echo=False)
    tested = rows_of(both, grandchild.split()["test"])
    for run, data in ((parent, noise()), (child, other)):
        for part in ("train", "valid"):
            assert not tested & rows_of(data, run.split()[part])
    assert tested


def test_without_a_row_to_test_no_score_is_claimed(parent: linnet.Run, tmp_path: Path) -> None:
    x, y = noise()
    trained = parent.split()["train"].numpy()
    with pytest.warns(LinnetWarning, match="160 rows|128 rows"):
        child = linnet.train((x[trained], y[trained]), parent=parent.path, out=tmp_path / "child")
    assert child.verdict == UNTESTED
    assert all("test" not in scores for scores in child.metrics["models"].values())
    assert child.reasons() is not None and "no score" in child._repr_html_()


@pytest.mark.parametrize("settings", [{"test": 0.5}, {"valid": 3}, {"test": 7, "seed": 2}])
def test_another_division_of_the_same_rows_is_refused(
    parent: linnet.Run, tmp_path: Path, settings: dict[str, Any]
) -> None:
    with pytest.raises(RecipeError, match=r"divides the rows anew.*train without a parent"):
        linnet.train(noise(), parent=parent.path, out=tmp_path / "child", **settings)
    assert not (tmp_path / "child").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "linear"}, "has no model linear to start from; it has mlp"),
        ({"scaling": "none"}, "belongs to the weights"),
        ({"widths": [4]}, r"of another network, with widths=\[8\]"),
        ({"batch_norm": True}, "of another network, with batch_norm=False"),
    ],
)
def test_what_the_parents_weights_cannot_take_is_refused(
    parent: linnet.Run, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        linnet.train(noise(), parent=parent.path, out=tmp_path / "child", echo=False, **settings)
    assert not (tmp_path / "child").exists()


def test_every_child_of_a_sweep_has_its_parents_parts(parent: linnet.Run, tmp_path: Path) -> None:
    trials = linnet.sweep(
        noise(), out=tmp_path, lr=[1e-3, 1e-2], options={"parent": parent.path, "echo": False}
    )
    for trial in trials:
        assert trial.run is not None and trial.run.path.parent == tmp_path
        assert torch.equal(trial.run.split()["test"], parent.split()["test"])
        assert trial.recipe.widths == (8,)  # as the parent's, as nothing else is named


# tables


def table(rows: int, seed: int) -> polars.DataFrame:
    random = np.random.default_rng(seed)
    return polars.DataFrame(
        {
            "size": [None if row % 9 == 0 else float(row) + seed / 7 for row in range(rows)],
            "kind": random.choice(["a", "b", "c"], rows),
            "day": [f"20{10 + row % 20}-03-{1 + row % 28:02d}" for row in range(rows)],
            "who": random.integers(0, rows // 8, rows),
            "y": random.choice(["no", "yes"], rows),
        }
    )


LINE: dict[str, Any] = {"target": "y", "model": "linear", "penalty": [0.01], "echo": False}


def test_a_child_of_a_table_trains_on_the_table_that_is_named(tmp_path: Path) -> None:
    """It is encoded as the parent's, whatever its own means and categories."""
    old, new = table(160, 1), table(80, 2).with_columns(kind=polars.lit("b"), more=polars.lit(1.5))
    old.write_csv(tmp_path / "old.csv")
    polars.concat([new, old[:60].with_columns(more=polars.lit(2.5))]).sample(
        fraction=1, shuffle=True, seed=0
    ).write_csv(tmp_path / "new.csv")
    linnet.train(str(tmp_path / "old.csv"), out=tmp_path / "p", drop="who", **LINE)
    done = command(
        "train", "new.csv", "--from", "p", "--out", "c", "--no-report", "--no-view", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    parent, child = linnet.Run(tmp_path / "p"), linnet.Run(tmp_path / "c")
    assert child.info["data"]["rows"] == 140 and child.info["data"]["name"] == "new"
    assert child.model.schema == parent.model.schema
    assert re.match("6[01] rows of new are known", child.info["data"]["notes"][-1])


def test_groups_of_which_a_row_is_known_move_together(tmp_path: Path) -> None:
    old = table(240, 1)
    old.write_csv(tmp_path / "old.csv")
    parent = linnet.train(str(tmp_path / "old.csv"), out=tmp_path / "p", group="who", **LINE)
    known = old[parent.split()["train"].tolist()]
    some = known[::3]
    sisters = known.with_columns(size=polars.col("size") + 0.5)  # of the same groups, not known
    new = table(120, 3).with_columns(who=polars.col("who") + 1000)
    polars.concat([some, sisters, new]).write_csv(tmp_path / "new.csv")
    with pytest.warns(LinnetWarning, match="went from the test or validation"):
        child = linnet.train(
            str(tmp_path / "new.csv"), parent=parent.path, out=tmp_path / "c", echo=False
        )
    who = polars.read_csv(tmp_path / "new.csv")["who"].to_numpy()
    groups = {part: set(who[rows.numpy()].tolist()) for part, rows in child.split().items()}
    assert not groups["test"] & (groups["train"] | groups["valid"])
    assert groups["test"] and min(groups["test"]) >= 1000


def test_other_columns_and_classes_are_refused_by_name(tmp_path: Path) -> None:
    table(160, 1).write_csv(tmp_path / "old.csv")
    linnet.train(str(tmp_path / "old.csv"), out=tmp_path / "p", **LINE)
    for change, message in (
        ({"y": polars.lit("maybe")}, "classes"),
        ({"kind": polars.lit(None).cast(polars.String)}, "kind"),
    ):
        some = table(60, 2)
        half = polars.concat([some[:30], some[30:].with_columns(**change)])
        half = half.drop("kind") if "kind" in change else half
        half.write_csv(tmp_path / "new.csv")
        with pytest.raises(InputError, match=message):
            linnet.train(str(tmp_path / "new.csv"), parent=tmp_path / "p", out=tmp_path / "c")


# going on


class AtOnce(Stop):
    """Wishes to stop after ``count`` looks."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    @property
    def signal(self) -> int | None:
        self.count -= 1
        return 15 if self.count < 0 else None

    @signal.setter
    def signal(self, value: int | None) -> None: ...


def stopped(path: Path, **more: Any) -> Path:
    with pytest.raises(Interrupted):
        linnet.train(noise(), out=path, stop=AtOnce(12), **{**NET, "epochs": 4, **more})
    return path


def test_another_seed_leaves_the_parts_as_they_are(tmp_path: Path) -> None:
    path = stopped(tmp_path / "r")
    before = (path / "split.safetensors").read_bytes()
    run = linnet.train(noise(), resume=path, seed=9, allow=["seed"], echo=False)
    assert (path / "split.safetensors").read_bytes() == before
    assert run.metrics["models"]["mlp"]["test"]["rows"] == len(run.split()["test"]) == 40
    data = linnet.read(noise())
    rows = Rows.read(path)
    assert rows is not None
    tested = rows.among(data.take(run.split()["test"]))
    assert (tested == 2).all()  # known as test rows, and as nothing else


@pytest.mark.parametrize("name", ["data", "split", "test", "valid", "group", "time"])
def test_data_and_parts_cannot_be_allowed_to_differ(tmp_path: Path, name: str) -> None:
    path = stopped(tmp_path / "r")
    with pytest.raises(
        RecipeError, match=f'cannot allow "{name}": .* keeps its data and its parts'
    ):
        linnet.train(noise(), resume=path, allow=[name])
    with pytest.raises(InputError, match=r"test is 0\.4, and was 0\.2.*train a new run"):
        linnet.train(noise(), resume=path, test=0.4, allow=[])


def test_a_child_that_was_stopped_goes_on_from_its_parent(
    parent: linnet.Run, tmp_path: Path
) -> None:
    """Also if it was stopped before its net began, which starts from the parent's weights."""
    more: dict[str, Any] = {"parent": parent.path, "echo": False, "epochs": 2}
    whole = linnet.train(noise(), out=tmp_path / "whole", **more)
    with pytest.raises(Interrupted):
        linnet.train(noise(), out=tmp_path / "r", stop=AtOnce(0), **more)
    run = linnet.train(noise(), resume=tmp_path / "r", echo=False)
    for key, tensor in whole.model.module.state_dict().items():
        assert torch.equal(tensor, run.model.module.state_dict()[key]), key
    assert run.info["parent"] == str(parent.path)


def test_a_child_is_repeated_from_its_parent(parent: linnet.Run, tmp_path: Path) -> None:
    child = linnet.train(noise(), parent=parent.path, seed=4, out=tmp_path / "c", echo=False)
    again = repeat(child.path, data=noise(), out=tmp_path / "again", echo=False)
    assert again.info["parent"] == child.info["parent"]
    assert again.metrics["models"]["mlp"]["test"] == child.metrics["models"]["mlp"]["test"]


# what is named on a run that has finished


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": 3}, "seed is 3, and was 0"),
        ({"epochs": 9}, "epochs is 9, and was 2"),
        ({"data": noise(seed=4)}, "data is not the data of the run"),
        ({"to": ["mlflow"]}, "linnet runs sync"),
    ],
)
def test_a_finished_run_is_not_asked_in_vain(
    parent: linnet.Run, given: dict[str, Any], message: str
) -> None:
    words = {"data": noise(), "resume": parent.path, **given}
    with pytest.raises(InputError, match=message):
        linnet.train(words.pop("data"), **words)
    assert linnet.train(noise(), resume=parent.path).metrics == parent.metrics


def test_words_without_meaning_together_are_refused(parent: linnet.Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"allow .* give it with resume"):
        linnet.train(noise(), allow=["seed"])
    with pytest.raises(InputError, match="either among or settings"):
        linnet.sweep(noise(), among=[], lr=[1e-3])
    with pytest.raises(InputError, match="resume cannot be among options"):
        linnet.sweep(noise(), options={"resume": parent.path})
    with pytest.raises(InputError, match='is the model "mlp", and not "constant"'):
        linnet.load(parent.path / "mlp.safetensors", "constant")
    single = linnet.sweep(
        noise(), out=tmp_path, options={"echo": False}, model=["mlp"], epochs=2, widths=[8]
    )
    assert single[0].run is not None and single[0].run.path.parent == tmp_path


def test_a_module_that_was_trained_before_is_not_tested_on_its_rows(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    settings: dict[str, Any] = {"network": module, "model": ["custom"], "epochs": 2, "echo": False}
    first = linnet.train(noise(), out=tmp_path / "a", **settings)
    linnet.train(noise(), out=tmp_path / "b", **settings)  # the same seed, the same parts
    with pytest.raises(InputError, match=r"module has been trained in .*a, on \d+ of the 40 rows"):
        linnet.train(noise(), out=tmp_path / "c", seed=7, **settings)
    child = linnet.train(noise(), out=tmp_path / "d", seed=7, parent=first.path, **settings)
    assert torch.equal(child.split()["test"], first.split()["test"])


def test_data_in_memory_wins_over_the_place_in_a_recipe(tmp_path: Path) -> None:
    recipe = linnet.Recipe(data="iris", model=("linear",), penalty=(0.1,))
    run = linnet.train(noise(), recipe, out=tmp_path / "r", echo=False)
    assert run.info["data"]["place"] is None and run.info["data"]["rows"] == 200
