"""The figures of importance, dependence, slices, thresholds, residuals, penalties and intervals."""

from typing import Any

import numpy as np
import pytest
from test_figures import EVIL, check

from linnet import figures
from linnet.errors import InputError
from linnet.figures.static import draw
from linnet.insight.dependence import Dependence
from linnet.insight.importance import Importance, Importances
from linnet.insight.slices import Cut, of_errors
from linnet.insight.thresholds import curves, table

NUMBERS = np.random.default_rng(0)


def importances(names: tuple[str, ...]) -> Importances:
    return Importances(
        tuple(
            Importance((name,), 1 / (place + 1), (0.1, 1.5), 0.01, 0.01, 0.04, place == 0, None)
            for place, name in enumerate(names)
        ),
        "log loss", 0.4, "accuracy", 100, 5,
    )  # fmt: skip


def dependent(columns: tuple[str, ...], outputs: tuple[str, ...]) -> Dependence:
    values: tuple[Any, ...] = ((0.5, 1.0, 2.5), ("a", EVIL[0], "b"))[: len(columns)]
    shape = (len(outputs), *(3 for _ in columns))
    curve = np.arange(float(np.prod(shape))).reshape(shape) / 30
    return Dependence(
        columns, values, (True, False)[: len(columns)], outputs, {"linear": curve, "mlp": curve},
        50, True,
    )  # fmt: skip


def shown(figure: figures.Figure) -> figures.Figure:
    """What every figure must be; it is also drawn with matplotlib, and written as CSV."""
    check(figure)
    assert draw(figure, "png").startswith(b"\x89PNG")
    lines = figure.csv().splitlines()
    assert len(lines) >= 1 + len(next(iter(figure.columns.values())))
    return figure


def test_importance_shows_the_largest_columns_of_each_model() -> None:
    names = tuple(f"{name}{i}" for i, name in enumerate([*EVIL[:2], *["x"] * 28]))
    figure = shown(figures.importance({"linear": importances(names), "mlp": importances(names)}))
    bars = [trace for trace in figure.data if trace["type"] == "bar"]
    assert [len(bar["x"]) for bar in bars] == [20, 20]
    assert "the 20 largest of 30" in figure.title and len(figure.columns["loss"]) == 60
    low, high = figure.layout["xaxis"]["range"]
    assert low < 0.1 and high > 1.5
    with pytest.raises(InputError):
        figures.importance({})


def test_dependence_has_a_panel_for_each_column() -> None:
    one = dependent((EVIL[0],), ("yes",))
    several = dependent(("other",), tuple("abc"))
    figure = shown(figures.dependence([one, several]))
    assert {trace["xaxis"] for trace in figure.data} == {"x", "x2"}
    assert len(figure.data) == 2 + 6 and len(figure.columns["value"]) == 2 * 3 + 2 * 9
    pair = shown(figures.dependence_pair(dependent((EVIL[0], "b"), ("yes",))))
    assert {trace["xaxis"] for trace in pair.data} == {"x", "x2"} and len(pair.data) == 6
    assert len(pair.columns["prediction"]) == 18
    for wrong in ([], [dependent(("a", "b"), ("y",))]):
        with pytest.raises(InputError):
            figures.dependence(wrong)
    with pytest.raises(InputError):
        figures.dependence_pair(one)


@pytest.mark.parametrize("classifies", [True, False])
def test_slices_are_points_with_intervals(classifies: bool) -> None:
    errors = (NUMBERS.random(400) < 0.2).astype(float)
    errors[:100] = NUMBERS.random(100) < 0.7
    cut = Cut(EVIL[0], ("bad", EVIL[1], "few"), np.array([0] * 100 + [1] * 290 + [2] * 10))
    found = of_errors(errors, [cut], classifies=classifies)
    figure = shown(figures.slices(found, EVIL[0]))
    worse = [t for t in figure.data if t.get("name") == "worse than the rest (Holm)"]
    assert [len(trace["x"]) for trace in worse] == [1]
    assert figure.columns["worse"] == [True, False, False] and "Worst of 2 slices" in figure.title
    few = of_errors(errors[:20], [Cut("c", ("a",), np.zeros(20, int))], classifies=classifies)
    with pytest.raises(InputError, match="no slice has rows enough"):
        figures.slices(few)


def test_thresholds_and_their_curves() -> None:
    y = NUMBERS.random(300) < 0.3
    p = NUMBERS.random(300) * 0.5 + 0.4 * y
    figure = shown(figures.roc({"linear": curves(y, p), EVIL[0]: curves(y, p)}, EVIL[1]))
    assert set(figure.columns["curve"]) == {"roc", "precision-recall"}
    figure = shown(figures.thresholds(table(y, p), chosen=0.42))
    assert "0.420, chosen by F1 on other rows" in figure.title
    assert figure.columns["f1"][0] == pytest.approx(table(y, p)[0].f1)
    assert len(shown(figures.thresholds(table(y, p))).data) == 4
    with pytest.raises(InputError):
        figures.roc({})
    with pytest.raises(InputError):
        figures.thresholds([])


def test_residuals_and_how_they_lie() -> None:
    true = NUMBERS.normal(size=6000)
    predicted = true + 0.1 * NUMBERS.normal(size=6000)
    figure = shown(figures.errors(true, predicted, EVIL[0]))
    assert f"MAE {np.abs(true - predicted).mean():.4g}"[:9] in figure.title
    assert sum(figure.data[2]["y"]) == 6000 and len(figure.data[0]["x"]) == 3000
    assert figure.columns["residual"] == (true - predicted).tolist()
    shown(figures.errors([1.0, 2.0], [1.0, 2.0]))
    with pytest.raises(InputError):
        figures.errors([1.0], [1.0, 2.0])


def test_the_path_of_penalties_marks_the_chosen_one() -> None:
    figure = shown(figures.penalties([10, 1, 0.1], [0.7, 0.5, 0.6], 1))
    assert figure.columns == {
        "penalty": [0.1, 1, 10], "loss": [0.6, 0.5, 0.7], "chosen": [False, True, False],
    }  # fmt: skip
    assert figure.data[1]["x"] == [1, 1] and figure.data[1]["line"]["dash"] == "dot"
    coefficients = NUMBERS.normal(size=(3, 12))
    coefficients[2, 0], coefficients[:, 7], coefficients[:, 8] = np.nan, [0, 9, 0], [99, 0, 99]
    names = ["a", "b", EVIL[0], *"cdefghijk"]
    figure = shown(
        figures.penalties(
            [10, 1, 0.1], [0.7, 0.5, 0.6], 1, coefficients=coefficients, names=names, folds=True
        )
    )
    assert figure.columns["coefficient a"] == [None, *coefficients[1::-1, 0].tolist()]
    lines = [each for each in figure.data if each["xaxis"] == "x2" and each["mode"] == "lines"]
    named = [each["name"] for each in lines if each["showlegend"]]
    assert len(lines) == 12 + 1 and len(named) == 8 and named[0] == "g" and "h" not in named
    assert "means over the folds" in figure.title
    for wrong in ([1.0], [1.0, 0.0]):
        with pytest.raises(InputError, match="two penalties or more, each above 0"):
            figures.penalties(wrong, [1.0] * len(wrong), None)


def test_intervals_by_level() -> None:
    levels: list[dict[str, Any]] = [
        {"level": each, "share": each + 0.01, "width": 2.0} for each in (0.5, 0.9)
    ]
    figure = shown(figures.intervals(levels, EVIL[0]))
    assert figure.columns == {"level": [0.5, 0.9], "share": [0.51, 0.91], "width": [2.0, 2.0]}
    levels = [{"level": 0.9, "share": 0.9, "width": None, "size": 1.4}]
    assert figures.intervals(levels).columns["size"] == [1.4]
    with pytest.raises(InputError):
        figures.intervals([])
