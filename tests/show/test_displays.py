"""Displays: scikit-learn's on linnet's estimators, and linnet's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.inspection import DecisionBoundaryDisplay, PartialDependenceDisplay
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    DetCurveDisplay,
    PrecisionRecallDisplay,
    PredictionErrorDisplay,
    RocCurveDisplay,
)
from sklearn.model_selection import GridSearchCV, LearningCurveDisplay, ValidationCurveDisplay
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import linnet
from linnet import LogisticRegression, MLPClassifier, MLPRegressor, Ridge, figures
from linnet.errors import InputError
from linnet.show.displays import CurvesDisplay, MistakesDisplay, ReliabilityDisplay, WeightsDisplay

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

EVIL = ("$\\frac{1}{2", "<b>bold</b>", "_hidden", "long" * 100)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def digits() -> tuple[LogisticRegression, Any, Any]:
    X, y = load_digits(return_X_y=True)
    return LogisticRegression(C=0.01).fit(X[:900], y[:900]), X[900:], y[900:]


@pytest.fixture(scope="module")
def cancer() -> tuple[Any, Any, Any]:
    X, y = load_breast_cancer(return_X_y=True)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:400], y[:400]), X, y


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    return linnet.train("digits", epochs=3, out=tmp_path_factory.mktemp("runs") / "r")


def written(shown: Any) -> list[Any]:
    """All texts on matplotlib's figure, which is drawn for it."""
    shown.canvas.draw()
    cells = [cell.get_text() for cell in shown.findobj(matplotlib.table.Cell)]
    return [t for t in shown.findobj(matplotlib.text.Text) + cells if t.get_text().strip()]


def texts(shown: Any) -> list[str]:
    return [text.get_text() for text in written(shown)]


# --- scikit-learn's ------------------------------------------------------------------------------


def test_displays_of_classes_take_the_estimators(digits: Any, cancer: Any) -> None:
    model, X, y = digits
    shown = ConfusionMatrixDisplay.from_estimator(model, X, y)
    assert shown.confusion_matrix.sum() == len(X)
    for estimator, X, y in (cancer, (LogisticRegression().fit(*cancer[1:]), *cancer[1:])):
        for display in (RocCurveDisplay, PrecisionRecallDisplay, DetCurveDisplay):
            assert display.from_estimator(estimator, X, y).ax_ is not None
        found = CalibrationDisplay.from_estimator(estimator, X, y)
        assert ((found.prob_pred >= 0) & (found.prob_pred <= 1)).all()


def test_displays_of_numbers_and_boundaries_take_the_estimators() -> None:
    X, y = load_diabetes(return_X_y=True)
    for model in (Ridge(), MLPRegressor((4,), tol=1.0, random_state=0)):
        shown = PredictionErrorDisplay.from_estimator(model.fit(X, y), X, y)
        assert np.array_equal(shown.y_true.shape, shown.y_pred.shape)
        assert PartialDependenceDisplay.from_estimator(model, X, [0]).axes_.shape == (1, 1)
    net = MLPClassifier((4,), tol=1.0, random_state=0).fit(X[:, :2], y > 140)
    shown = DecisionBoundaryDisplay.from_estimator(net, X[:, :2], response_method="predict_proba")
    assert shown.response.shape == shown.xx0.shape


def test_displays_that_fit_again_take_the_estimators() -> None:
    X, y = load_diabetes(return_X_y=True)
    shown = LearningCurveDisplay.from_estimator(Ridge(), X, y, cv=2, train_sizes=[0.5, 1.0])
    assert shown.test_scores.shape == (2, 2)
    among = {"param_name": "alpha", "param_range": [0.1, 1.0], "cv": 2}
    assert ValidationCurveDisplay.from_estimator(Ridge(), X, y, **among).test_scores.shape == (2, 2)


def test_displays_of_predictions_take_a_loaded_model(run: linnet.Run, tmp_path: Path) -> None:
    model, X = linnet.load(run.path), linnet.read("digits")
    labels = model.schema.decode(X.codes)
    shown = ConfusionMatrixDisplay.from_predictions(labels, model.predict(X.x))
    assert shown.confusion_matrix.sum() == len(X)
    table, y = load_breast_cancer(return_X_y=True)
    LogisticRegression().fit(table, y).save(tmp_path / "m.safetensors")
    back = LogisticRegression.load(tmp_path / "m.safetensors")
    assert RocCurveDisplay.from_estimator(back, table, y).roc_auc is not None


# --- linnet's own --------------------------------------------------------------------------------


def test_reliability_of_many_classes_shows_the_figures_numbers(digits: Any) -> None:
    model, X, y = digits
    p = model.predict_proba(X)
    shown = ReliabilityDisplay.from_estimator(model, X, y)
    assert shown.shown == figures.calibration(y, p, list(range(10)))
    told = " ".join(texts(shown.figure_))
    assert f"ECE {figures.expected_calibration_error(y, p):.4f}" in told
    assert f"Brier score {figures.brier_score(y, p):.4f}" in told
    assert len(shown.axes_) == 2 and shown.figure_ is shown.ax_.get_figure()
    lines = [line.get_xydata() for line in shown.axes_[0].get_lines()]
    held = figures.reliability(y, p)
    kept = held.rows > 0
    expected = np.stack([held.probability[kept], held.accuracy[kept]], 1)
    assert any(line.shape == expected.shape and np.allclose(line, expected) for line in lines)


def test_reliability_knows_labels_and_two_classes(cancer: Any, run: linnet.Run) -> None:
    model, X, y = cancer
    p = model.predict_proba(X)
    whole = ReliabilityDisplay.from_estimator(model, X, y).shown
    second = ReliabilityDisplay.from_predictions(y, p[:, 1]).shown
    assert second.columns["rows"] == whole.columns["rows"]
    assert second.title == whole.title
    named = np.array(["malign", "benign"])[y]
    odd = ReliabilityDisplay.from_predictions(named, p, labels=["malign", "benign"])
    assert odd.shown.columns == whole.columns
    assert odd.shown.layout["xaxis"]["title"]["text"] == "P(benign)"
    loaded, data = linnet.load(run.path), linnet.read("digits")
    truth = loaded.schema.decode(data.codes)
    assert ReliabilityDisplay.from_estimator(loaded, data.x, truth).shown.columns["rows"]
    with pytest.raises(InputError, match="labels="):
        ReliabilityDisplay.from_predictions([0, 1], np.full((2, 3), 1 / 3))
    with pytest.raises(InputError, match="not among the classes"):
        ReliabilityDisplay.from_predictions(["x", "y"], np.full((2, 2), 0.5), labels=["x", "z"])
    with pytest.raises(InputError, match="must be a classifier"):
        ReliabilityDisplay.from_estimator(Unclassed(), X, y)


class Unclassed:
    def predict_proba(self, X: Any) -> Any:
        return np.full((len(X), 2), 0.5)


def test_mistakes_are_pictures_the_surest_first(digits: Any) -> None:
    model, X, y = digits
    shown = MistakesDisplay.from_estimator(model, X, y, image_shape=(8, 8), count=12)
    columns = shown.shown.columns
    sure = columns["probability"]
    assert len(sure) == 12 and sure == sorted(sure, reverse=True)
    wrong = np.nonzero(model.predict(X) != y)[0]
    assert set(columns["row"]) <= set(wrong.tolist())
    assert columns["true"] == y[columns["row"]].tolist()
    assert len(shown.ax_.images) == 12 and len(shown.axes_) == 1
    assert any(f"12 of {len(wrong)} mistakes in {len(X)} rows" in t for t in texts(shown.figure_))
    bright = shown.ax_.images[0].get_array()
    assert bright.min() == 0 and bright.max() == 255  # 16 shades of grey are stretched
    with pytest.raises(InputError, match="does not fit 64 columns"):
        MistakesDisplay.from_estimator(model, X, y, image_shape=(8, 9))


def test_mistakes_of_tables_and_numbers_are_rows() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = Ridge().fit(X, y)
    shown = MistakesDisplay.from_estimator(model, X, y, count=5)
    errors = np.abs(model.predict(X) - y.to_numpy())
    assert shown.shown.columns["row"] == np.argsort(-errors, kind="stable")[:5].tolist()
    assert shown.shown.columns["bmi"] == X["bmi"].iloc[shown.shown.columns["row"]].tolist()
    assert "The largest errors of 442 rows" in texts(shown.figure_)
    labels = np.array(["a", "b", "a"])
    bare = MistakesDisplay.from_predictions(labels, np.array(["a", "a", "b"]), X=np.eye(3))
    assert bare.shown.columns["row"] == [1, 2] and bare.shown.columns["x1"] == [1.0, 0.0]
    assert "2 mistakes in 3 rows" in texts(bare.figure_)
    perfect = MistakesDisplay.from_predictions(labels, labels)
    assert "No mistakes in 3 rows" in texts(perfect.figure_)
    with pytest.raises(InputError, match="expected equal"):
        MistakesDisplay.from_predictions(labels, labels[:2])
    with pytest.raises(InputError, match="X has 2 rows"):
        MistakesDisplay.from_predictions(labels, labels[::-1].repeat(1)[[1, 0, 0]], X=np.eye(2))


def test_weights_are_bars_or_pictures(digits: Any, cancer: Any, run: linnet.Run) -> None:
    model = digits[0]
    pictures = WeightsDisplay.from_estimator(model, image_shape=(8, 8)).shown
    assert np.allclose(pictures.columns["weight"], model.coef_.ravel())
    pipeline, X, y = cancer
    search = GridSearchCV(pipeline, {"logisticregression__C": [1.0]}, cv=2).fit(X, y)
    bars = WeightsDisplay.from_estimator(search)
    assert sorted(bars.shown.columns["column"]) == sorted(f"x{i}" for i in range(30))
    assert set(bars.shown.columns["output"]) == {1}
    coef = search.best_estimator_[-1].coef_[0]
    assert np.allclose(np.sort(bars.shown.columns["coefficient"]), np.sort(coef))
    assert bars.ax_.get_xlabel() == "log-odds per unit of the column"
    loaded = WeightsDisplay.from_estimator(linnet.load(run.path, "linear"))
    assert loaded.shown.columns == run.weights("linear").columns
    net = WeightsDisplay.from_estimator(linnet.load(run.path, "mlp"))
    assert net.shown.columns == run.weights("mlp").columns
    perceptron = MLPClassifier((5,), tol=1.0, random_state=0).fit(digits[1], digits[2])
    units = WeightsDisplay.from_estimator(perceptron, image_shape=(8, 8))
    assert set(units.shown.columns["name"]) == {f"unit {i}" for i in range(5)}
    with pytest.raises(InputError, match="have no meaning"):
        WeightsDisplay.from_estimator(perceptron)
    with pytest.raises(InputError, match="expected a fitted line or perceptron"):
        WeightsDisplay.from_estimator(StandardScaler())


def test_curves_of_an_estimator_and_of_a_run(digits: Any, run: linnet.Run, tmp_path: Path) -> None:
    _, X, y = digits
    net = MLPClassifier((5,), early_stopping=True, random_state=0, n_iter_no_change=1).fit(X, y)
    shown = CurvesDisplay.from_estimator(net)
    assert len(shown.axes_) == 2
    drawn = [line.get_ydata() for line in shown.axes_[0].get_lines()]
    assert any(np.allclose(line, net.loss_curve_) for line in drawn if len(line) == net.n_iter_)
    assert CurvesDisplay.from_run(run).shown == run.curves()
    assert CurvesDisplay.from_run(run, log=True).axes_[0].get_yscale() == "log"
    net.save(tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="no record of its fit"):
        CurvesDisplay.from_estimator(MLPClassifier.load(tmp_path / "m.safetensors"))


def test_a_display_is_drawn_into_the_given_axes(digits: Any) -> None:
    shown, (left, right) = plt.subplots(1, 2)
    one = ReliabilityDisplay.from_estimator(*digits, ax=left)
    two = WeightsDisplay.from_estimator(digits[0], ax=right)
    assert one.figure_ is two.figure_ is shown and (one.ax_, two.ax_) == (left, right)
    assert all(inner.get_figure() is shown for inner in one.axes_) and two.axes_ == [right]
    assert set(left.child_axes) == set(one.axes_)
    again = one.plot()
    assert again is one and one.figure_ is not shown
    texts(shown)


def test_a_dark_style_keeps_words_readable() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = Ridge().fit(X, y)
    with plt.style.context("dark_background"):
        for shown in (
            WeightsDisplay.from_estimator(model),
            MistakesDisplay.from_estimator(model, X, y, count=3),
        ):
            words = written(shown.figure_)
            assert len(words) > 5
            assert {matplotlib.colors.to_hex(t.get_color()) for t in words} == {"#ffffff"}
            for cell in shown.figure_.findobj(matplotlib.table.Cell):
                assert cell.get_facecolor()[3] == 0  # clear


def test_hostile_names_are_drawn_as_they_are() -> None:
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(60, 4)), columns=list(EVIL))
    y = np.array(EVIL[:3])[np.arange(60) % 3]
    model = LogisticRegression().fit(X, y)
    told = texts(WeightsDisplay.from_estimator(model).figure_)
    assert {EVIL[0], EVIL[1]} <= set(told) and "\u200b_hidden" in told
    assert max(map(len, told)) < 100
    rows = " ".join(texts(MistakesDisplay.from_estimator(model, X, y, count=3).figure_))
    assert EVIL[0] in rows
