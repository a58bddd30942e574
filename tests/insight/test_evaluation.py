"""Scores, intervals and comparisons against independent computations."""

import numpy as np
import pytest
import torch
from sklearn import metrics

import linnet
from linnet.core.statistics import wilson
from linnet.insight import evaluation
from linnet.insight.pairs import compare, gain, holm
from linnet.insight.task import Predicted
from linnet.objectives.softmax import Softmax
from linnet.objectives.squared import Squared


def test_scores_of_classes_equal_scikit_learns() -> None:
    data = linnet.read("iris")
    raw = torch.randn(150, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    raw[:, 2] -= 10  # the last class is never predicted
    scores = evaluation.score(Softmax(), raw, data)
    y, predicted = data.y.numpy(), raw.argmax(1).numpy()
    assert scores["accuracy"] == metrics.accuracy_score(y, predicted)
    assert scores["log_loss"] == pytest.approx(metrics.log_loss(y, raw.softmax(1).numpy()))
    assert scores["confusion"] == metrics.confusion_matrix(y, predicted).tolist()
    assert scores["f1"] == metrics.f1_score(y, predicted, average=None, zero_division=0).tolist()
    assert scores["precision"][2] == scores["recall"][2] == 0.0
    assert scores["classes"] == ["setosa", "versicolor", "virginica"]
    assert scores["support"] == [50, 50, 50]


def test_scores_of_numbers_equal_scikit_learns() -> None:
    data = linnet.read("diabetes")
    raw = data.y[:, None] + 20 * torch.randn(442, 1, dtype=torch.float64)
    scores = evaluation.score(Squared(), raw, data)
    y, predicted = data.y.numpy(), raw[:, 0].numpy()
    assert scores["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, predicted))
    assert scores["mae"] == pytest.approx(metrics.mean_absolute_error(y, predicted))
    assert scores["r2"] == pytest.approx(metrics.r2_score(y, predicted))
    low, high = scores["rmse_interval"]
    assert low < scores["rmse"] < high and 1.5 < high - low < 4
    assert scores == evaluation.score(Squared(), raw, data)


@pytest.mark.parametrize(("hits", "rows"), [(0, 10), (10, 10), (37, 50), (9848, 10000)])
def test_wilsons_interval_by_its_formula(hits: int, rows: int) -> None:
    z, p = 1.959963984540054, hits / rows
    centre = (p + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z / (1 + z**2 / rows) * np.sqrt(p * (1 - p) / rows + z**2 / (4 * rows**2))
    assert wilson(hits, rows) == pytest.approx((centre - half, centre + half), abs=1e-12)


def test_mcnemars_exact_test_by_hand() -> None:
    """Of 8 rows where one is right, the net has 7: p = 2 (C(8,0) + C(8,1)) / 2^8."""
    data = linnet.read("iris").take(torch.arange(20))
    right = torch.nn.functional.one_hot(data.y, 3).double()
    wrong = right.roll(1, dims=1)
    line, net = right.clone(), right.clone()
    line[:7], net[7] = wrong[:7], wrong[7]
    told = {"linear": Predicted(Softmax(), line), "mlp": Predicted(Softmax(), net)}
    (result,) = compare(data, told)
    assert result["pair"] == ["mlp", "linear"] and result["only_right"] == [7, 1]
    assert result["p_value"] == result["p_adjusted"] == pytest.approx(2 * 9 / 256)
    assert result["better"] == "mlp" and not result["significant"]
    (same,) = compare(data, {**told, "mlp": told["linear"]})
    assert same["p_value"] == 1.0 and "better" not in same


def test_the_paired_test_sees_what_is_the_same_in_both() -> None:
    data = linnet.read("diabetes")
    noise = 50 * torch.randn(442, 1, dtype=torch.float64)
    line = Predicted(Squared(), data.y[:, None] + noise)
    net = Predicted(Squared(), data.y[:, None] + 0.9 * noise)
    (result,) = compare(data, {"linear": line, "mlp": net})
    assert result["significant"] and result["better"] == "mlp"
    assert result["difference"] == pytest.approx(0.19 * noise.square().mean().item())
    (turned,) = compare(data, {"mlp": net, "linear": line})
    ends = turned["difference_interval"]
    assert turned["better"] == "mlp" and turned["pair"] == ["linear", "mlp"]
    assert gain(turned, "mlp")["difference"] == pytest.approx(result["difference"])
    assert [-end for end in ends[::-1]] == pytest.approx(result["difference_interval"])
    assert gain(turned, "mlp")["difference_interval"] == pytest.approx([-e for e in ends[::-1]])


def test_holms_p_values_equal_statsmodels() -> None:
    """Of 0.01, 0.04, 0.03: 3 x 0.01; 2 x 0.03; and 0.04 is no smaller than the one before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == [] and holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    multiple = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(0).random(20) ** 4
    theirs = multiple.multipletests(p_values, method="holm")[1]
    assert holm(p_values.tolist()) == pytest.approx(theirs)


def test_of_several_pairs_a_difference_must_hold_after_the_correction() -> None:
    """Three models; one alone would be found better at p = 0.02, and of three pairs it is not."""
    data = linnet.read("iris").take(torch.arange(40))
    right = torch.nn.functional.one_hot(data.y, 3).double()
    line, net, other = right.clone(), right.clone(), right.clone()
    line[:9] = right[:9].roll(1, dims=1)
    net[9:11] = right[9:11].roll(1, dims=1)
    other[11:14] = right[11:14].roll(1, dims=1)
    one = {name: Predicted(Softmax(), raw) for name, raw in (("linear", line), ("mlp", net))}
    (alone,) = compare(data, one)
    assert alone["p_value"] == alone["p_adjusted"] == pytest.approx(2 * (1 + 11 + 55) / 2**11)
    net[9:11] = right[9:11]
    net[9] = right[9].roll(1)
    found = compare(data, {**one, "trees": Predicted(Softmax(), other)})
    assert [each["pair"] for each in found] == [
        ["mlp", "linear"], ["trees", "linear"], ["trees", "mlp"],
    ]  # fmt: skip
    first = found[0]
    assert first["p_value"] == pytest.approx(2 * (1 + 10) / 2**10)
    assert first["p_adjusted"] == pytest.approx(3 * first["p_value"])
    assert first["p_adjusted"] > 0.05 > first["p_value"]
    assert not first["significant"] and first["why"] == "may be chance"


def test_evaluation_restores_the_mode_and_forgets_no_row() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5)).double().train()
    x = torch.randn(5000, 4, dtype=torch.float64)
    raw = evaluation.predict_raw(network, x)
    assert network.training and raw.shape == (5000, 3)
    assert torch.allclose(raw, network[0](x).detach())
