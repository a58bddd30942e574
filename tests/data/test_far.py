"""Numbers far from all others count as missing; other columns stay as they are."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import polars
import pytest
import torch
from safetensors.torch import load_file

import linnet
from linnet.core import randomness
from linnet.core.randomness import drawn
from linnet.data import far
from linnet.data.schema import Schema
from linnet.errors import LinnetWarning

ROWS = 4_000
CLEAN: dict[str, Any] = {
    "normal": lambda draw: draw.normal(size=ROWS),
    "positive": lambda draw: 12 + 2 * draw.normal(size=ROWS),
    "negative": lambda draw: -12 - 2 * draw.normal(size=ROWS),
    "uniform": lambda draw: draw.random(ROWS),
    "exponential": lambda draw: draw.exponential(size=ROWS),
    "incomes": lambda draw: np.exp(draw.normal(10, 1, ROWS)),
    "wealth": lambda draw: np.exp(draw.normal(8, 2, ROWS)),
    "t": lambda draw: draw.standard_t(3, ROWS),
    "counts": lambda draw: draw.poisson(3, ROWS) * 1.0,
    "gains": lambda draw: np.where(draw.random(ROWS) < 0.92, 0, 99_999 * draw.random(ROWS) ** 4),
    "flag": lambda draw: draw.integers(0, 2, ROWS) * 1.0,
    "constant": lambda draw: np.full(ROWS, 7.0),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CLEAN)
def test_numbers_as_they_are_measured_are_not_far(name: str, seed: int) -> None:
    values = CLEAN[name](np.random.default_rng(seed))
    assert far.ends(values, 0, name) is None
    values[7] *= 1e6  # one number alone changes nothing
    assert far.ends(values, 0, name) is None


@pytest.mark.parametrize("factor", [100, 1_000, -100])
@pytest.mark.parametrize("name", [*list(CLEAN)[:6], "t", "counts"])
def test_lost_decimal_points_are_far(name: str, factor: float) -> None:
    draw = np.random.default_rng(1)
    values = CLEAN[name](draw)
    clean, lost = values.copy(), draw.random(ROWS) < 0.015
    values[lost] *= factor
    found = far.ends(values, 0, name)
    assert found is not None
    low, high, centre = found
    outside = (values < low) | (values > high)
    assert outside[~lost].mean() < 0.005
    assert outside[lost].mean() > 0.6
    assert abs(centre - np.median(clean)) < 0.1 * clean.std()


def test_few_rows_have_no_far_numbers() -> None:
    assert far.ends(np.array([]), 0, "x") is None
    assert far.ends(np.array([1.0, 2.0]), 0, "x") is None
    assert far.ends(np.array([1.0, 2.0, 3.0, 2.5, 1.5, 1e9]), 0, "x") is None
    with_zeros = np.array([0.0] * 5 + [1.0, 2.0, 3.0, 2.5, 1.5] * 4)
    assert far.ends(with_zeros, 0, "x") is None


def test_some_of_very_many_rows_are_drawn_by_their_numbers(monkeypatch: Any) -> None:
    assert np.array_equal(drawn(100_000, 0, "x"), np.arange(100_000))
    rows = drawn(250_000, 0, "x")
    assert len(set(rows.tolist())) == 100_000 and (np.diff(rows) > 0).all()
    assert rows.min() >= 0 and rows.max() < 250_000
    assert abs(rows.mean() / 125_000 - 1) < 0.01
    counts = np.histogram(rows, 50, (0, 250_000))[0]
    assert abs(counts - 2_000).max() < 6 * 2_000**0.5
    assert np.array_equal(rows, drawn(250_000, 0, "x"))
    monkeypatch.setattr(randomness, "AT_ONCE", 40_000)  # however many are looked at together
    assert np.array_equal(rows, drawn(250_000, 0, "x"))
    for other in (drawn(250_000, 1, "x"), drawn(250_000, 0, "y")):
        assert 0.35 < np.isin(rows, other).mean() < 0.45
    # a row's place does not depend on how many there are: of fewer rows, more of the same are in
    fewer = drawn(200_000, 0, "x")
    assert np.isin(rows[rows < 200_000], fewer).all()
    monkeypatch.setattr(randomness, "SAMPLE", 50)
    values = np.random.default_rng(0).normal(size=10_000)
    values[drawn(10_000, 3, "far", "x")] = np.r_[np.full(5, 1e6), np.linspace(-1, 1, 45)]
    assert far.ends(values, 3, "x") is not None
    assert far.ends(values, 4, "x") is None


def measured(share: float) -> polars.DataFrame:
    """Four measurements, and a number that depends on them by lines and a bend; in ``share`` of the
    rows the decimal point of the most important one is lost."""
    draw = np.random.default_rng(0)
    z = draw.normal(size=(ROWS, 4))
    y = 0.6 * z[:, 0] + 0.3 * z[:, 1] - 0.2 * z[:, 2] + 0.4 * np.abs(z[:, 3])
    y += 0.6 * draw.normal(size=ROWS)
    values = np.round(12 + 2 * z, 2)
    lost = draw.random(ROWS) < share
    values[lost, 0] = np.round(values[lost, 0] * 100)
    return polars.DataFrame({f"m{i}": values[:, i] for i in range(4)} | {"y": y})


def test_a_line_and_a_net_hardly_suffer_from_lost_decimal_points(tmp_path: Any) -> None:
    scores = {}
    runs = {}
    for share in (0.0, 0.015):
        settings = {"folds": 1, "epochs": 6, "yardstick": "none", "out": tmp_path / str(share)}
        with pytest.warns(LinnetWarning) if share else nullcontext():
            run = linnet.train(measured(share), target="y", **settings)
        runs[share] = run
        scores[share] = {
            name: run.metrics["models"][name]["test"]["r2"] for name in ("linear", "mlp")
        }
    for name, clean in scores[0.0].items():
        assert clean > 0.4
        assert scores[0.015][name] > clean - 0.03, scores
    run = runs[0.015]
    schema = run.models["linear"].schema
    assert isinstance(schema, Schema)
    first, *others = schema.fields
    assert first.ends is not None and first.missing and first.ends[1] < 100
    assert all(field.ends is None and not field.missing for field in others)
    clean_schema = runs[0.0].models["linear"].schema
    assert clean_schema.columns == ("m0", "m1", "m2", "m3")
    assert schema.columns == ("m0", "m0 (missing)", "m1", "m2", "m3")
    assert any("count as missing" in str(event.get("text")) for event in run.events())
    # new rows, and the model of a file, see them in the same way
    new = measured(0.0).drop("y").head(3)
    wrong, none = (new.with_columns(polars.lit(v, polars.Float64).alias("m0")) for v in (1e5, None))
    loaded = linnet.load(run.path / "linear.safetensors")
    assert np.array_equal(loaded.predict(wrong), loaded.predict(none))
    median = np.median(measured(0.0)["m0"].to_numpy())
    assert abs(first.fill[0] - median) < 0.1
    encoded = schema.encode(wrong)
    assert encoded[:, 0].tolist() == [np.float32(first.fill[0])] * 3
    assert encoded[:, 1].tolist() == [1.0] * 3
    assert len(run.draft(measured(0.015))) == ROWS  # its fingerprint is the run's
    assert load_file(run.path / "linear.safetensors")["linear.weight"].shape == (1, 5)


def test_bins_of_very_many_rows_are_those_of_the_rows_drawn(monkeypatch: Any) -> None:
    from linnet.core.randomness import generator
    from linnet.networks.embedding import Piecewise
    from linnet.networks.specs import PiecewiseSpec

    monkeypatch.setattr(randomness, "SAMPLE", 64)
    x = torch.randn(1_000, 1, generator=torch.Generator().manual_seed(0))
    layers = [Piecewise(PiecewiseSpec(kind="piecewise", numbers=(0,), size=2, bins=4))
              for _ in range(2)]  # fmt: skip
    draws = generator(5, "weights", "mlp")
    layers[0].fit(x, draws)
    rows = drawn(1_000, draws.initial_seed(), "bins")
    assert len(rows) == 64
    layers[1].fit(x[rows], generator(6, "weights", "mlp"))
    assert torch.equal(layers[0].low, layers[1].low)
    edges = np.quantile(x[rows, 0].double().numpy(), [0, 0.25, 0.5, 0.75])
    assert layers[0].low[0].numpy() == pytest.approx(edges, abs=1e-6)
