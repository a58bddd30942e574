"""The choice of a model by one standard error, against the rule written out."""

import numpy as np
import pytest

from linnet.core.statistics import of_error
from linnet.insight.choice import Choice, choose, simplest, words


def losses(
    *means: float, noise: float = 0.5, rows: int = 400, seed: int = 0
) -> dict[str, np.ndarray]:
    """Paired losses: what all models share, and each one's own part, with exactly these means."""
    random = np.random.default_rng(seed)
    shared = random.gamma(1.0, 1.0, rows)
    found = {}
    for name, mean in zip(("linear", "mlp", "cnn"), means, strict=False):
        own = noise * random.normal(size=rows)
        each = shared + own
        found[name] = each - each.mean() + mean
    return found


def test_the_standard_error_is_that_of_independent_rows() -> None:
    values = np.random.default_rng(1).normal(size=50)
    assert of_error(values) == pytest.approx(values.std(ddof=1) / np.sqrt(50))
    pairs = np.repeat(values, 2)
    assert of_error(pairs, np.repeat(np.arange(50), 2)) == pytest.approx(of_error(values))
    assert of_error(values[:1]) == np.inf


def test_a_simpler_model_within_one_standard_error_is_chosen() -> None:
    error = of_error(np.subtract(*losses(1.0, 1.0).values()))
    near, far = (choose(losses(1.0 + share * error, 1.0)) for share in (0.99, 1.01))
    assert near[:2] == ("linear", "mlp")
    assert (near.behind, near.error) == pytest.approx((0.99 * error, error))
    assert far == Choice("mlp", "mlp", 0.0, 0.0)
    assert choose(losses(1.0, 1.2)) == Choice("linear", "linear", 0.0, 0.0)


def test_the_shared_part_of_the_losses_counts_for_nothing() -> None:
    """The models' losses vary by 1, their difference by a tenth: 0.02 is more than it varies."""
    found = losses(1.02, 1.0, noise=0.05)
    assert choose(found).model == "mlp"
    shuffled = {"linear": np.roll(found["linear"], 1), "mlp": found["mlp"]}
    assert choose(shuffled).model == "linear"


def test_of_three_models_the_simplest_of_the_good_ones_is_chosen() -> None:
    assert choose(losses(1.3, 1.0, 0.99)).model == "mlp"
    assert choose(losses(1.3, 1.3, 0.99)).model == "cnn"
    assert choose(losses(1.0, 1.0, 1.0)).model == "linear"


def test_rows_of_one_group_count_once() -> None:
    """Each of 5 groups repeats one difference 80 times."""
    found = losses(1.1, 1.0)
    gap = np.repeat([0.4, -0.3, 0.5, -0.2, 0.1], 80)
    found["linear"] = found["mlp"] + gap
    assert choose(found).model == "mlp"
    assert choose(found, np.repeat(np.arange(5), 80)).model == "linear"


def test_weights_are_those_of_the_rows() -> None:
    weight = np.zeros(400)
    weight[:200] = 1.0
    found = losses(1.0, 1.0)
    found["linear"][:200] += 0.5
    found["linear"][200:] -= 0.6
    assert choose(found).model == "linear" and choose(found, weight=weight).model == "mlp"


def test_losses_that_are_not_finite_are_not_chosen() -> None:
    found = losses(1.0, 1.2)
    found["linear"][3] = np.inf
    assert choose(found).model == "mlp"
    found["mlp"][3] = np.nan
    assert choose(found) == Choice("linear", "linear", 0.0, 0.0)


def test_the_line_is_the_simplest() -> None:
    assert simplest(["mlp", "cnn", "linear"], "linear") == ["linear", "mlp", "cnn"]
    assert words({"by": "folds"}) == "chosen by out-of-fold loss"
    assert words({}) == "chosen as the first model"
