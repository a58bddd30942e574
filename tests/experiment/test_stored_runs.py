"""A run from a store: the models of the data in memory, and what a store cannot do by name."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import linnet
from linnet.cli import app
from linnet.data import store
from linnet.errors import DataError, InputError, LinnetError, RecipeError
from linnet.fit.settings import read_recipe

ROWS = 9_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of numbers and words in two files, sorted by their class."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(ROWS, 4))
    word = draws.integers(0, 3, ROWS)
    y = x @ [1.0, -2.0, 0.5, 0.0] + word + 0.3 * draws.normal(size=ROWS)
    table = pl.DataFrame({f"x{k}": x[:, k] for k in range(4)}).with_columns(
        w=pl.Series([f"word {k}" for k in word]), number=pl.Series(y),
        label=pl.Series(np.where(y > 1, "high", "low")),
    ).sort("label")  # fmt: skip
    folder: Path = tmp_path_factory.mktemp("data") / "rows"
    folder.mkdir()
    table[:5000].write_parquet(folder / "0.parquet")
    table[5000:].write_parquet(folder / "1.parquet")
    return folder


def trained(place: Path, out: Path, **settings: Any) -> linnet.Run:
    settings = {"echo": False, "yardstick": "none", "folds": 1, **settings}
    return linnet.train(place, out=out, **settings)


@pytest.mark.parametrize(("target", "drop"), [("number", "label"), ("label", "number")])
def test_the_line_is_that_of_the_rows_in_memory(
    place: Path, tmp_path: Path, target: str, drop: str
) -> None:
    settings: dict[str, Any] = {"target": target, "drop": drop, "model": "linear"}
    one = trained(place, tmp_path / "one", dtype="float64", tol=1e-11, **settings)
    other = trained(place, tmp_path / "other", dtype="float64", tol=1e-11,
                    store=str(tmp_path / "s"), **settings)  # fmt: skip
    assert other.models["linear"].schema == one.models["linear"].schema
    for key, tensor in one.models["linear"].module.state_dict().items():
        theirs = other.models["linear"].module.state_dict()[key]
        assert torch.allclose(theirs.double(), tensor.double(), rtol=1e-7, atol=1e-8), key
    before, after = (run.metrics["models"]["linear"]["test"] for run in (one, other))
    numbers = {key for key, value in before.items() if type(value) is float}
    assert len(numbers) > 1
    for key in numbers:
        assert after[key] == pytest.approx(before[key], rel=1e-6), key
    assert read_recipe(other.path / "recipe.toml")["store"] == str(tmp_path / "s")
    assert not list((tmp_path / "s").rglob("*.scratch"))
    with pytest.raises(InputError, match="its rows are in the store"):
        other.draft()
    if target == "label":
        looks_at_rows_it_has_seen(other, tmp_path / "s")


def looks_at_rows_it_has_seen(run: linnet.Run, stores: Path) -> None:
    """What looks at rows as they were read looks at those that the store kept."""
    seen = run.seen()
    assert seen is not None
    draft, split = seen
    assert len(draft) == ROWS  # fewer than it keeps at most
    assert [len(part) for part in split] == [len(part) for part in run.split().values()]
    assert "on 1,800 rows" in str(run.importance())
    assert len(run.slices())
    assert run.examples()
    assert "without the examples" in run.mistakes().title
    shutil.rmtree(stores)
    with pytest.raises(DataError, match="no such store: it was removed"):
        run.importance()
    assert not stores.exists()


def test_a_net_learns_from_a_store_as_from_memory_and_resumes(place: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"target": "label", "drop": "number", "model": "mlp", "epochs": 4,
                                "widths": [16]}  # fmt: skip
    one = trained(place, tmp_path / "one", **settings)
    other = trained(place, tmp_path / "other", store=str(tmp_path / "s"), **settings)
    scores = [run.metrics["models"]["mlp"]["test"]["accuracy"] for run in (one, other)]
    assert abs(scores[0] - scores[1]) < 0.01
    again = trained(place, tmp_path / "again", store=str(tmp_path / "s"), **settings)
    pairs = zip(
        again.models["mlp"].module.parameters(),
        other.models["mlp"].module.parameters(),
        strict=True,
    )
    assert all(a.equal(b) for a, b in pairs)


def test_a_store_is_chosen_where_the_rows_would_not_fit(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(store, "fits", lambda _: False)
    run = trained(place, tmp_path / "run", target="number", drop="label", model="linear")
    assert read_recipe(run.path / "recipe.toml")["store"] == str(tmp_path / "linnet" / "store")


def test_the_command_line_takes_the_folder(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(place), "--target", "label", "--store", str(tmp_path / "s")]
    app([*words, "--print-recipe"], standalone_mode=False)
    assert f'store = "{tmp_path / "s"}"' in capsys.readouterr().out
    assert len(list((tmp_path / "s").iterdir())) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"test": "folds"}, "folds are for rows in memory"),
        ({"folds": 5}, "folds are for rows in memory"),
    ],
)
def test_folds_are_refused_by_name(
    place: Path, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(RecipeError, match=words):
        trained(place, tmp_path / "run", target="label", store=str(tmp_path / "s"), **settings)
    assert not (tmp_path / "s").exists()


def test_a_store_is_made_of_files_alone(tmp_path: Path) -> None:
    with pytest.raises(LinnetError, match="a store is made of files of Parquet or CSV"):
        linnet.train("digits", store=str(tmp_path), echo=False)


def test_the_yardstick_of_many_rows_says_why_there_is_none(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from linnet.insight import yardstick

    monkeypatch.setattr(yardstick, "MOST_STORED", 1000)
    run = trained(place, tmp_path / "run", target="number", drop="label", model="linear",
                  store=str(tmp_path / "s"), yardstick="trees")  # fmt: skip
    assert "are in a store" in str(run.metrics)
