"""Thresholds against a brute-force search, curves and scores against scikit-learn's."""

import json
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from linnet.errors import InputError
from linnet.insight.thresholds import Costs, Curves, choose, curves, cut_at, score, table


def drawn(rows: int, seed: int, digits: int = 6) -> tuple[Any, Any]:
    """Rows, a fifth of them positive, and probabilities, some of which are equal."""
    numbers = np.random.default_rng(seed)
    y = numbers.random(rows) < 0.2
    p = 1 / (1 + np.exp(-(numbers.normal(size=rows) + 2 * y - 2)))
    return y, p.round(digits)


def brute(y: Any, p: Any, by: str, costs: Costs) -> float:
    """The best F1, or the least mean cost, of all thresholds."""
    every = [cut_at(y, p, at, costs) for at in [*np.unique(p), 2.0]]
    return max(each.f1 for each in every) if by == "f1" else min(each.cost for each in every)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("by", ["f1", "cost"])
def test_the_choice_is_that_of_a_brute_force_search(seed: int, by: Any) -> None:
    costs = [Costs(), Costs(1, 5), Costs(10, 1), Costs(0, 1)][seed % 4]
    y, p = drawn([12, 50, 300][seed % 3], seed, digits=[1, 2, 6][seed % 3])
    if not y.any():
        y[0] = True
    found = choose(y, p, by, costs)
    mine = found.chosen.f1 if by == "f1" else found.chosen.cost
    assert mine == pytest.approx(brute(y, p, by, costs), abs=1e-12)
    assert 0 <= found.chosen.threshold <= 1
    assert found.half == cut_at(y, p, 0.5, costs) and found.rows == len(y)
    if (found.half.f1 if by == "f1" else found.half.cost) == pytest.approx(mine, abs=1e-12):
        assert found.chosen.threshold == 0.5  # nothing is gained by another one


def test_a_threshold_lies_between_two_probabilities() -> None:
    y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    assert choose(y, p).chosen.threshold == pytest.approx(0.25)
    assert choose(y, 1 - p, "cost", Costs(1, 9)).chosen.threshold == pytest.approx(0.5)
    assert choose(1 - y, p, "cost", Costs(9, 1)).chosen.threshold == pytest.approx(0.5)


def test_the_scores_of_a_threshold_equal_scikit_learns() -> None:
    y, p = drawn(400, 1)
    for cut in table(y, p, Costs(1, 3)):
        called = p >= cut.threshold
        assert cut.precision == metrics.precision_score(y, called, zero_division=0)
        assert cut.recall == metrics.recall_score(y, called)
        assert cut.f1 == pytest.approx(metrics.f1_score(y, called))
        assert cut.accuracy == metrics.accuracy_score(y, called)
        assert cut.cost == pytest.approx(((called & ~y) + 3 * (~called & y)).mean())
        plain = json.loads(json.dumps(cut.plain()))
        assert plain["f1"] == cut.f1 and plain["threshold"] == cut.threshold


def test_the_curves_equal_scikit_learns() -> None:
    y, p = drawn(300, 2)
    found = curves(y, p, most=10_000)
    wrong, right, _ = metrics.roc_curve(y, p)
    assert np.array_equal(found.false_positive_rate, wrong)
    assert np.array_equal(found.true_positive_rate, right)
    precision, recall, _ = metrics.precision_recall_curve(y, p)
    assert np.array_equal(found.precision, precision) and np.array_equal(found.recall, recall)
    assert found.area == pytest.approx(metrics.auc(wrong, right))
    assert found.average == pytest.approx(metrics.average_precision_score(y, p))
    fewer = curves(y, p, most=50)
    assert len(fewer.precision) <= 50 and fewer.recall[0] == 1 and fewer.recall[-1] == 0
    assert fewer.true_positive_rate[[0, -1]].tolist() == [0, 1]
    again = Curves.parse(json.loads(json.dumps(found.plain())))
    assert again.plain() == found.plain() and (again.precision == found.precision).all()


def test_the_interval_of_f1_holds_it() -> None:
    """Over 300 draws of 400 rows: 95 % of the intervals hold the F1 of 100,000 rows."""
    y, p = drawn(100_000, 99)
    truth = cut_at(y, p, 0.4, Costs(1, 4))
    f1 = cost = 0
    for seed in range(300):
        found = score(*drawn(400, seed), 0.4, Costs(1, 4))
        f1 += found.f1_interval[0] <= truth.f1 <= found.f1_interval[1]
        cost += found.cost_interval[0] <= truth.cost <= found.cost_interval[1]
    assert 276 <= f1 <= 295 and 276 <= cost <= 295
    y, p = drawn(400, 0)
    grouped = score(y, p, 0.4, groups=np.arange(400) // 20)
    assert grouped.f1_interval != score(y, p, 0.4).f1_interval
    assert "F1 " in grouped.words("f1") and " at 0.4, " in grouped.words("cost")
    assert json.loads(json.dumps(grouped.plain()))["half"]["threshold"] == 0.5


def test_what_cannot_be_is_refused() -> None:
    y, p = drawn(50, 0)
    with pytest.raises(InputError, match="needs rows of both classes"):
        choose(np.zeros(50), p)
    with pytest.raises(InputError, match="ROC curve needs rows of both classes"):
        curves(np.ones(50), p)
    with pytest.raises(InputError, match="numbers from 0, one of them above; these are 0, 0"):
        choose(y, p, "cost", Costs(0, 0))
    with pytest.raises(InputError, match='by "f1" or "cost", not by "recall"'):
        choose(y, p, "recall")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"y is \(50,\) and p \(50, 1\)"):
        cut_at(y, p[:, None], 0.5)
