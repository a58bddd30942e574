"""Figures: the numbers in them, names as text, and what a run shows from its files."""

import csv
import html
import importlib.util
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

import linnet
from linnet import figures
from linnet.core import files
from linnet.errors import DataError, InputError, WorkError
from linnet.figures import _style, plotly, static
from linnet.figures._curves import MAX_POINTS, decimate, smoothed
from linnet.figures.colors import COLORS

EVIL = (
    "<b>bold</b>",
    "<a href='https://evil.example'>x</a>",
    "$\\frac{1}{2}$ %{x} {y}",
    "</script><script>alert(1)</script>",
    '&lt;i&gt; & "q"',
    "_hidden",
    "a\nb\u202eabc",
    "long" * 500,
    "2020-01-01",
)
MARKUP = re.compile(r"<(?!br>|/?extra>)")
"""A tag that Plotly would read, beside those that figures use themselves."""

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed"
)
needs_plotly = pytest.mark.skipif(
    importlib.util.find_spec("plotly") is None, reason="plotly is not installed"
)


def training(
    steps: int = 90, epoch: int = 30, score: str = "accuracy", fall: float = 40.0
) -> dict[str, dict[str, list[Any]]]:
    """The series of a net whose validation loss is least at step 60."""
    at = list(range(1, steps + 1))
    held = list(range(0, steps + 1, epoch))
    return {
        "train": {
            "step": at,
            "epoch": [s // epoch for s in at],
            "time": [10 + s / 4 for s in at],
            "loss": [2 * np.exp(-s / fall) for s in at],
            "lr": [0.1] * steps,
        },
        "valid": {
            "step": held,
            "epoch": [s // epoch for s in held],
            "time": [10 + s / 4 for s in held],
            "loss": [1 + abs(s - 60) / 60 for s in held],
            score: [0.5 + s / 200 for s in held],
        },
    }


def path_of(penalties: tuple[float, ...] = (10.0, 1.0, 0.1)) -> dict[str, dict[str, list[Any]]]:
    """The series of a line with three steps at each penalty; the second penalty is best."""
    steps = list(range(3 * len(penalties)))
    ends = [0, *(3 * i + 2 for i in range(len(penalties)))]
    return {
        "train": {
            "step": steps,
            "epoch": [0] * len(steps),
            "time": [s / 100 for s in steps],
            "loss": [2.0 - 0.1 * s for s in steps],
            "objective": [2.0 - 0.1 * s for s in steps],
            "penalty": [penalties[s // 3] for s in steps],
        },
        "valid": {
            "step": ends,
            "epoch": [0] * len(ends),
            "time": [s / 100 for s in ends],
            "loss": [0.1, *(1.0 + abs(i - 1) for i in range(len(penalties)))],
            "accuracy": [0.1, *(0.8 + 0.01 * i for i in range(len(penalties)))],
        },
    }


def lines(figure: figures.Figure, axis: str = "y", dash: str = "") -> list[dict[str, Any]]:
    """The lines on the axes of one panel."""
    return [
        trace
        for trace in figure.data
        if trace["yaxis"] == axis
        and "lines" in trace["mode"]
        and trace["x"] != [None]
        and dash in ("", trace["line"]["dash"])
    ]


def stars(figure: figures.Figure) -> list[dict[str, Any]]:
    found = [t for t in figure.data if t.get("marker", {}).get("symbol") == "star"]
    return [star for star in found if star["x"] != [None]]


def legend(figure: figures.Figure) -> list[str]:
    """The samples of the legend."""
    return [trace["name"] for trace in figure.data if trace.get("showlegend")]


def texts(value: Any) -> list[str]:
    """Every text in a figure that Plotly could read as markup."""
    if isinstance(value, str):
        return [] if value.startswith("data:image/png;base64,") else [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return []


def check(figure: figures.Figure) -> None:
    """What every figure must be."""
    plain = figure.plain()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert len({len(values) for values in figure.columns.values()}) == 1
    for text in texts(plain):
        assert not MARKUP.search(text), text
    assert plain["layout"]["paper_bgcolor"] == plain["layout"]["plot_bgcolor"] == "rgba(0,0,0,0)"
    for key, axis in plain["layout"].items():
        if key[1:5] == "axis" and axis.get("visible", True):
            assert axis["title"]["text"]


# Colours


def linear(colors: tuple[str, ...]) -> Any:
    parts = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colors]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def test_colours_are_told_apart_by_every_eye_on_white_and_on_dark() -> None:
    """Severe forms of Machado et al. (2009); distances in OKLab (Ottosson 2020)."""
    eyes = [
        np.eye(3),
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ]
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    light = linear(COLORS)
    for eye in eyes:
        seen = np.cbrt(np.clip(light @ np.array(eye).T, 0, 1) @ np.array(cones).T) @ np.array(lab).T
        for a, b in itertools.combinations(seen, 2):
            assert np.linalg.norm(a - b) > 0.098
    for colors, least in ((COLORS, 3.0), ((_style.INK,), 4.0)):
        bright = linear(colors) @ [0.2126, 0.7152, 0.0722]
        dark = float(linear(("#111111",))[0, 0])
        assert (1.05 / (bright + 0.05)).min() > least
        assert ((bright + 0.05) / (dark + 0.05)).min() > least


# Names


@pytest.mark.parametrize("name", EVIL)
def test_a_name_is_shown_as_text_on_one_line(name: str) -> None:
    shown = plotly.text(name)
    assert "<" not in shown and "\n" not in shown and "\u202e" not in shown
    plain = html.unescape(shown)
    assert len(plain) <= plotly.MAX_NAME
    if len(name) <= plotly.MAX_NAME and name.isprintable():
        assert plain == name


def test_long_names_that_differ_at_their_ends_stay_different() -> None:
    assert plotly.text("run-" * 40 + "1") != plotly.text("run-" * 40 + "2")


def hostile() -> list[figures.Figure]:
    count = len(EVIL)
    matrix = (np.eye(count, dtype=int) * 9 + 1).tolist()
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (count, 3, 8, 8)).astype(np.uint8)
    rows: list[Any] = [range(count), EVIL, EVIL[::-1], [0.5] * count]
    weight = random.normal(size=(count, count))
    return [
        figures.confusion(EVIL, matrix),
        figures.curves({n: {m: training()} for n, m in zip(EVIL, EVIL[::-1], strict=True)}),
        figures.calibration([0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]], EVIL[:2]),
        figures.mistakes(*rows, table={name: EVIL for name in EVIL}, title=EVIL[0]),
        figures.mistakes(*rows, pictures=pictures, title=EVIL[0]),
        figures.mistakes([], [], [], [], title=EVIL[0]),
        figures.residuals(weight, weight.T, EVIL),
        figures.templates(random.normal(size=(count, 3, 4, 4)), EVIL, EVIL[0]),
        figures.coefficients(weight, EVIL, EVIL, EVIL[0], EVIL[1]),
        figures.coefficients(weight[:2], EVIL, EVIL[:2], EVIL[0], EVIL[1]),
    ]  # fmt: skip


def test_hostile_names_are_text_in_every_figure() -> None:
    for figure in hostile():
        check(figure)
        for template in [t["hovertemplate"] for t in figure.data if "hovertemplate" in t]:
            assert "alert" not in template and "frac" not in template  # %{...} would be read


@pytest.mark.slow
@needs_matplotlib
def test_hostile_names_are_drawn(tmp_path: Path) -> None:
    for index, figure in enumerate(hostile()):
        figure.save(tmp_path / f"{index}.png")
        with Image.open(tmp_path / f"{index}.png") as image:
            assert min(image.size) > 100 and max(image.size) < 4_000
            assert len(set(image.convert("L").resize((50, 50)).tobytes())) > 2


# Curves


def test_curves_are_loss_and_score_side_by_side_with_names() -> None:
    figure = figures.curves({"a": {"mlp": training()}})
    check(figure)
    layout = figure.layout
    assert layout["xaxis"]["domain"][1] < layout["xaxis2"]["domain"][0]
    titles = [layout[key]["title"]["text"] for key in ("xaxis", "yaxis", "xaxis2", "yaxis2")]
    assert titles == ["epoch", "log loss (nats)", "epoch", "error rate (%)"]
    (train,), (valid,) = lines(figure, dash="solid"), lines(figure, dash="dash")
    assert train["x"][:2] == [pytest.approx(1 / 30), pytest.approx(2 / 30)]  # within an epoch
    assert valid["x"] == [0, 1, 2, 3] and valid["y"] == [2, 1.5, 1, 1.5]
    assert train["line"]["color"] == valid["line"]["color"]
    (score,) = lines(figure, "y2")
    assert score["y"] == [50, 35, 20, 5] and score["line"]["dash"] == "dash"
    assert layout["yaxis2"]["type"] == "log" and "type" not in layout["yaxis"]
    assert legend(figure) == ["mlp", "training", "validation", "lowest validation loss"]
    named = figures.curves({"a": {"mlp": training()}}, titles={"mlp": "perceptron"})
    assert [t["name"] for t in lines(named, "y2")] == ["perceptron, validation"]
    assert layout["hovermode"] == "x unified"


def test_the_start_and_spikes_are_outside_until_all_is_asked_for() -> None:
    series = training(900, 30, fall=200)
    series["train"]["loss"][500] = 1e6
    series["valid"]["loss"][0] = 50.0
    figure = figures.curves({"a": {"mlp": series}})
    check(figure)
    low, high = figure.layout["yaxis"]["range"]
    ends = series["valid"]["loss"][1:], series["train"]["loss"][100:]
    assert low < min(map(min, ends)) and high < 20
    shut, every = figure.layout["updatemenus"][0]["buttons"]
    assert shut["args"][0]["yaxis.range"] == [low, high]
    assert every["args"][0]["yaxis.autorange"] is True
    tame: dict[str, dict[str, list[Any]]]
    tame = {"train": {}, "valid": {"step": [1, 2, 3], "loss": [3.0, 2.0, 1.0]}}
    whole = figures.curves({"a": {"mlp": tame}})
    assert "updatemenus" not in whole.layout and "range" not in whole.layout["yaxis"]


def test_an_error_rate_of_0_has_no_log_axis() -> None:
    series = training()
    series["valid"]["accuracy"] = [0.5, 0.9, 1.0, 1.0]
    figure = figures.curves({"a": {"mlp": series}})
    assert "type" not in figure.layout["yaxis2"] and stars(figure)[1]["y"] == [0]


def test_losses_of_classes_and_of_numbers_have_axes_of_their_own() -> None:
    runs = {"a": {"mlp": training()}, "b": {"mlp": training(score="rmse")}}
    figure = figures.curves(runs)
    check(figure)
    titles = [figure.layout[f"yaxis{end}"]["title"]["text"] for end in ("", "2", "3", "4")]
    assert titles[:2] == ["log loss (nats)", "loss (half the squared error)"]
    assert titles[2:] == ["error rate (%)", "RMSE (unit of the target)"]
    for axis, run in (("y", "a"), ("y2", "b"), ("y3", "a"), ("y4", "b")):
        assert {t["name"].split(" ")[0] for t in lines(figure, axis)} == {run}


def test_curves_of_numbers_have_their_rmse() -> None:
    figure = figures.curves({"a": {"mlp": training(score="rmse")}}, log=True)
    check(figure)
    assert figure.layout["yaxis2"]["title"]["text"].startswith("RMSE")
    assert figure.layout["yaxis"]["type"] == figure.layout["yaxis2"]["type"] == "log"


def test_the_best_epoch_is_marked_on_every_panel() -> None:
    figure = figures.curves({"a": {"mlp": training()}})
    assert [(s["x"], s["y"]) for s in stars(figure)] == [([2], [1]), ([2], [20])]
    assert stars(figure)[1]["text"] == ["epoch 2"]


def test_the_start_is_never_the_best() -> None:
    series = training()
    series["valid"]["loss"] = [0.1, 3.0, 2.0, 4.0]
    assert [s["x"] for s in stars(figures.curves({"a": {"mlp": series}}))] == [[2], [2]]


def test_several_runs_have_their_real_names_and_colours() -> None:
    runs = {name: {"mlp": training(), "linear": path_of()} for name in ("first", "second")}
    figure = figures.curves(runs)
    check(figure)
    assert legend(figure)[:4] == [
        "first · mlp", "first · linear", "second · mlp", "second · linear"
    ]  # fmt: skip
    assert len({t["line"]["color"] for t in lines(figure)}) == 4
    assert figure.columns["run"].count("second") == figure.columns["run"].count("first") > 0


def test_models_beyond_the_colours_have_dashes_of_their_own() -> None:
    most = 2 * len(COLORS)
    figure = figures.curves({"a": {f"net {index}": training() for index in range(most)}})
    check(figure)
    looks = {(t["line"]["color"], t["line"]["dash"]) for t in lines(figure)}
    assert len(looks) == 2 * most and figure.layout["hovermode"] == "closest"
    assert "training (colours used again)" in legend(figure)
    few = figures.curves({"a": {f"net {index}": training() for index in range(len(COLORS))}})
    assert {t["line"]["dash"] for t in lines(few)} == {"solid", "dash"}
    assert len(legend(few)) == len(COLORS) + 3


def test_the_line_has_no_epochs_and_is_a_level_at_its_best() -> None:
    figure = figures.curves({"a": {"linear": path_of(), "mlp": training()}})
    check(figure)
    level = [t for t in lines(figure) if t["name"].startswith("linear")]
    assert [t["x"] for t in level] == [[0, 3], [0, 3]]
    best = path_of()["train"]["loss"][5]  # where validation is best: the end of penalty 1
    assert level[0]["y"] == [pytest.approx(best)] * 2 and level[1]["y"] == [1, 1]
    assert len(stars(figure)) == 2


def test_the_line_alone_is_drawn_over_its_penalties() -> None:
    figure = figures.curves({"a": {"linear": path_of()}})
    check(figure)
    assert figure.layout["xaxis"]["title"]["text"] == "penalty"
    assert figure.layout["xaxis"]["type"] == "log"
    (valid,) = lines(figure, dash="dash")
    assert valid["x"] == [0.1, 1, 10] and valid["y"] == [2, 1, 2]
    (train,) = lines(figure, dash="solid")
    assert train["x"] == [0.1, 1, 10] and train["y"][0] == pytest.approx(1.2)
    assert stars(figure)[0]["x"] == [1] and stars(figure)[1]["text"] == ["penalty 1"]


def test_one_penalty_or_none_is_drawn_over_steps() -> None:
    for penalties in ((1.0,), (1.0, 0.0)):
        figure = figures.curves({"a": {"linear": path_of(penalties)}})
        assert figure.layout["xaxis"]["title"]["text"] == "step"
        check(figure)


def test_steps_and_seconds() -> None:
    runs = {"a": {"mlp": training()}}
    (valid,) = lines(figures.curves(runs, x="step"), dash="dash")
    assert valid["x"] == [0, 30, 60, 90]
    figure = figures.curves(runs, x="time")
    (valid,) = lines(figure, dash="dash")
    assert valid["x"] == [0, 7.5, 15, 22.5]
    assert figure.layout["xaxis"]["title"]["text"] == "time (s)"


def test_time_goes_on_after_a_resume() -> None:
    series = training()
    for part in series.values():
        part["time"] = [
            t if s <= 60 else (s - 60) / 4 for s, t in zip(part["step"], part["time"], strict=True)
        ]
    (train,) = lines(figures.curves({"a": {"mlp": series}}, x="time"), dash="solid")  # fmt: skip
    assert train["x"] == sorted(train["x"]) and train["x"][-1] == pytest.approx(22.25)


def test_a_run_in_its_first_epoch_is_drawn_over_steps() -> None:
    series = training(steps=20)
    figure = figures.curves({"a": {"mlp": series}})
    assert figure.layout["xaxis"]["title"]["text"] == "step"
    (train,) = lines(figure, dash="solid")
    assert len(train["x"]) == 20


def test_a_single_point_is_visible() -> None:
    series = training(steps=0)
    (valid,) = lines(figures.curves({"a": {"mlp": series}}), dash="dash")
    assert valid["mode"] == "lines+markers" and valid["marker"]["size"] >= 6


def test_the_baseline_is_left_out_beside_other_models() -> None:
    base: dict[str, dict[str, list[Any]]]
    base = {"train": {"step": [0], "epoch": [0], "loss": [2.3], "objective": [2.3]}, "valid": {}}
    both = figures.curves({"a": {"constant": base, "mlp": training()}})
    assert {t["name"] for t in lines(both)} == {"mlp, training", "mlp, validation"}
    assert lines(figures.curves({"a": {"constant": base}}))[0]["y"] == [2.3]


def test_smoothing_keeps_the_raw_line_in_the_shadow() -> None:
    figure = figures.curves({"a": {"mlp": training()}}, smoothing=0.9)
    shadow, smooth = lines(figure, dash="solid")
    raw = training()["train"]["loss"]
    assert shadow["opacity"] < 0.5 and shadow["y"] == pytest.approx(raw, rel=1e-5)
    assert smooth["y"] == pytest.approx(smoothed(np.array(raw), 0.9).tolist(), rel=1e-5)
    assert "opacity" not in smooth


def test_what_is_no_mean_of_batches_is_not_smoothed() -> None:
    plain = {"net": training(), "line": path_of()}
    plain["net"]["train"]["accuracy"] = list(plain["net"]["train"]["loss"])
    rough, smooth = (figures.curves({"a": plain}, x="step", smoothing=s) for s in (0.0, 0.9))
    changed = [t["name"] for t in smooth.data if t not in rough.data]
    assert changed == [
        "net, training",
        "net, training, smoothed",
    ]  # the raw line in the shadow, and the smoothed one
    assert all(t["yaxis"] == "y" for t in smooth.data if t not in rough.data)


def test_an_exponential_mean_has_no_bias_at_its_start() -> None:
    assert smoothed(np.full(5, 3.0), 0.99) == pytest.approx(np.full(5, 3.0))
    weights = 0.5 ** np.arange(3)[::-1]
    expected = (weights * [4.0, 1.0, 2.0]).sum() / weights.sum()
    assert smoothed(np.array([4.0, 1.0, 2.0]), 0.5)[2] == pytest.approx(expected)


@pytest.mark.parametrize("points", (1, 1_999, 2_000, 2_001, 20_000, 100_003))
def test_a_line_keeps_its_extremes_and_ends(points: int) -> None:
    values = np.random.default_rng(points).normal(size=points)
    kept = decimate(values)
    assert len(kept) <= MAX_POINTS and (np.diff(kept) > 0).all()
    assert kept[0] == 0 and kept[-1] == points - 1
    assert values[kept].min() == values.min() and values[kept].max() == values.max()
    if points > MAX_POINTS:
        edges = np.linspace(1, points - 1, (MAX_POINTS - 2) // 2 + 1).astype(int)
        for start, stop in itertools.pairwise(edges):
            within = values[kept[(kept >= start) & (kept < stop)]]
            assert within.min() == values[start:stop].min()
            assert within.max() == values[start:stop].max()


def test_a_long_curve_is_small_in_the_figure_and_whole_in_the_columns() -> None:
    figure = figures.curves({"a": {"mlp": training(20_000, 500, fall=5_000)}})
    (train,) = lines(figure, dash="solid")
    assert len(train["x"]) <= MAX_POINTS
    assert len(json.dumps(train)) < 64_000
    assert figure.columns["part"].count("train") == 20_000


def test_losses_that_are_no_numbers_leave_a_gap() -> None:
    series = training()
    series["train"]["loss"][5:8] = ["NaN", "Infinity", None]
    figure = figures.curves({"a": {"mlp": series}})
    check(figure)
    assert len(lines(figure, dash="solid")[0]["x"]) == 87


def test_curves_refuse_what_they_cannot_draw() -> None:
    with pytest.raises(InputError, match=r'x="epochs".*epoch, step, time, penalty'):
        figures.curves({}, x="epochs")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="smoothing=1"):
        figures.curves({}, smoothing=1)
    check(figures.curves({}))


# Confusion


def test_confusion_shows_shares_and_counts_and_clear_cells() -> None:
    figure = figures.confusion(["a", "b"], [[3, 1], [0, 4]])
    check(figure)
    (heat,) = figure.data
    assert heat["z"] == [[75, 25], [None, 100]] and heat["text"] == [["3", "1"], ["", "4"]]
    assert figure.layout["yaxis"]["range"] == [1.5, -0.5]  # the first class is on top
    assert figure.columns == {
        "true": ["a", "a", "b"],
        "predicted": ["a", "b", "b"],
        "rows": [3, 1, 4],
        "share": [0.75, 0.25, 1.0],
    }


def test_of_many_classes_those_with_errors_are_shown() -> None:
    matrix = np.eye(300, dtype=int) * 5
    matrix[250, 17] = 2
    figure = figures.confusion([f"class {i}" for i in range(300)], matrix.tolist())
    check(figure)
    names = figure.layout["xaxis"]["ticktext"]
    assert len(names) == 60 and {"class 250", "class 17"} <= set(names)
    assert "60 classes with the most errors of 300" in figure.title
    assert sum(figure.columns["rows"]) == matrix.sum()
    assert "texttemplate" not in figure.data[0]


def test_confusion_refuses_a_matrix_of_another_size() -> None:
    with pytest.raises(InputError, match="for 3 classes"):
        figures.confusion("abc", [[1, 2], [3, 4]])


# Calibration


def guessed(rows: int, classes: int, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.ones(classes), rows)
    return random.integers(0, classes, rows), p


@pytest.mark.parametrize("classes", (2, 3, 10))
def test_calibration_is_what_its_definition_says(classes: int) -> None:
    y, p = guessed(500, classes)
    total = 0.0
    for low, high in itertools.pairwise(np.arange(16) / 15):
        inside = (p.max(1) > low) & (p.max(1) <= high)
        if inside.any():
            gap = (p.argmax(1) == y)[inside].mean() - p.max(1)[inside].mean()
            total += inside.sum() * abs(gap)
    assert figures.expected_calibration_error(y, p) == pytest.approx(total / 500)
    onehot = np.eye(classes)[y]
    whole = np.square(p - onehot).sum() / 500
    assert figures.brier_score(y, p) == pytest.approx(whole / 2 if classes == 2 else whole)


def test_of_two_classes_the_second_ones_probability_is_judged() -> None:
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import brier_score_loss

    y, p = guessed(300, 2)
    assert figures.brier_score(y, p) == pytest.approx(brier_score_loss(y, p[:, 1]))
    found = figures.reliability(y, p, of=1)
    share, claimed = calibration_curve(y, p[:, 1], n_bins=15)
    filled = found.rows > 0
    assert found.accuracy[filled] == pytest.approx(share)
    assert found.probability[filled] == pytest.approx(claimed)
    figure = figures.calibration(y, p, ["no", "yes"])
    check(figure)
    assert figure.layout["xaxis"]["title"]["text"] == "P(yes)"
    assert figure.layout["yaxis"]["title"]["text"] == "share that is yes"
    assert "over all classes" not in figure.title and f"ECE {found.error:.4f}" in figure.title


def test_reliability_has_the_upper_edge_in_its_bin() -> None:
    found = figures.reliability([0, 0, 0], [[1.0, 0.0], [0.6, 0.4], [0.61, 0.39]], bins=5)
    assert found.rows.tolist() == [0, 0, 1, 1, 1]
    assert found.error == pytest.approx((0.4 + 0.39 + 0) / 3)


def test_intervals_of_bins_are_wilsons() -> None:
    from linnet.core.statistics import wilson

    y, p = guessed(200, 3)
    found = figures.reliability(y, p)
    low, high = found.interval()
    for rows, share, *interval in zip(found.rows, found.accuracy, low, high, strict=True):
        if rows:
            assert interval == pytest.approx(list(wilson(round(rows * share), int(rows))), abs=1e-9)


def test_calibration_shows_its_bins_and_scores() -> None:
    y, p = guessed(400, 4)
    figure = figures.calibration(y, p, "abcd")
    check(figure)
    assert f"ECE {figures.expected_calibration_error(y, p):.4f}" in figure.title
    assert f"{figures.brier_score(y, p):.4f} (over all classes)" in figure.title
    _, points, bars = figure.data
    assert sum(bars["y"]) == 400 == sum(figure.columns["rows"])
    assert len(points["x"]) == len(bars["x"]) == np.count_nonzero(figure.columns["rows"])
    assert len(figure.columns["rows"]) == 15


@pytest.mark.parametrize(
    ("y", "p"),
    (
        ([], np.empty((0, 2))),
        ([0, 1], [[0.5, 0.5]]),
        ([2], [[0.5, 0.5]]),
        ([0], [[1.5, -0.5]]),
        ([0], [[np.nan, 0.5]]),
    ),
)
def test_calibration_refuses_what_are_no_probabilities(y: Any, p: Any) -> None:
    with pytest.raises(InputError):
        figures.calibration(y, p, "ab")


# Mistakes


def test_the_surest_mistakes_come_first() -> None:
    p = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]]
    assert figures.worst([1, 1, 0, 1], [0, 1, 1, 0], p).tolist() == [0, 2, 3]
    assert figures.worst([1, 1, 0, 1], [0, 1, 1, 0], [0.1, 0.2, 0.3, 0.4]).tolist() == [3, 2, 0]
    assert figures.worst([1.0, 2.0, 3.0], [1.5, 5.0, 3.0]).tolist() == [1, 0, 2]
    assert figures.worst([[1.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [2.0, 0.0]]).tolist() == [1, 0]


def decoded(source: str) -> Any:
    import base64

    content = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(BytesIO(content), formats=["PNG"]))


def test_a_sheet_shows_the_pictures_in_order() -> None:
    pictures = np.zeros((8, 1, 8, 8), np.uint8)
    pictures[:, 0, 0, 0] = np.arange(8) * 30 + 20
    pictures[0, 0, 7, 7] = 255
    figure = figures.mistakes(
        range(8), "abcdefgh", "hgfedcba", (np.arange(8) / 8).tolist(), pictures=pictures
    )
    check(figure)
    images = figure.layout["images"]
    assert [decoded(i["source"])[0, 0] for i in images] == [20, 50, 80, 110, 140, 170, 200, 230]
    assert [(i["x"], i["y"]) for i in images[5:7]] == [(5.05, 0), (0.05, -1.35)]
    captions = next(t["text"] for t in figure.data if t["mode"] == "text")
    assert captions[1] == "b → g<br>12 %"
    assert figure.columns["probability"][1] == 0.125


def test_small_pictures_keep_their_pixels_and_large_ones_shrink() -> None:
    small = np.arange(64, dtype=np.uint8).reshape(1, 8, 8) * 4
    shown = decoded(figures.data_uri(figures.picture_png(small)))
    assert shown.shape == (56, 56) and (shown[::7, ::7] == small[0]).all()
    large = np.zeros((3, 500, 300), np.uint8)
    assert decoded(figures.data_uri(figures.picture_png(large))).shape == (96, 58, 3)
    faint = np.full((1, 8, 8), 8, np.uint8)
    assert decoded(figures.data_uri(figures.picture_png(faint, brightest=16))).max() == 127


def test_a_table_of_mistakes_has_the_columns_and_keeps_a_name_it_uses_itself() -> None:
    figure = figures.mistakes(
        [4, 7], [1, 2], [2, 1], [0.9, 0.8], table={"row": [5, 6], "z": [1.5, None]}
    )
    check(figure)
    (table,) = figure.data
    assert table["header"]["values"] == ["row", "true", "predicted", "probability", "row ", "z"]
    assert table["cells"]["values"][-1] == ["1.5", ""]
    assert figure.columns["row"] == [4, 7] and figure.columns["row "] == [5, 6]


def test_mistakes_refuse_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="differ in length"):
        figures.mistakes([1, 2], [1], [1])
    with pytest.raises(InputError, match="1 pictures for 2 rows"):
        figures.mistakes([1, 2], [1, 2], [1, 2], pictures=np.zeros((1, 1, 8, 8), np.uint8))
    with pytest.raises(InputError, match="is not uint8"):
        figures.picture_png(np.zeros((8, 8)))


def test_residuals_are_true_less_predicted() -> None:
    figure = figures.residuals([1.0, 2.0], [1.5, 1.0], ["y"], row=[7, 9])
    check(figure)
    assert figure.columns["residual"] == [-0.5, 1.0] and figure.columns["row"] == [7, 9]
    assert figure.layout["xaxis"]["title"]["text"] == "true y"
    big = figures.residuals(np.arange(20_000.0), np.arange(20_000.0), ["y"])
    assert len(big.data[1]["x"]) == 5_000 and "1 in 4 of 20,000 rows" in big.title
    assert len(big.columns["true"]) == 20_000


# Weights


def test_templates_are_centred_at_zero_and_full_at_the_99th_percentile() -> None:
    weight = np.random.default_rng(0).normal(size=(3, 1, 8, 8))
    weight[0, 0, 0, 0] = 1e6
    figure = figures.templates(weight, "abc")
    check(figure)
    (heat,) = figure.data
    clear = {color[-2:] for at, color in heat["colorscale"] if at == 0.5}
    assert clear == {"00"}  # as light or dark as the page
    assert heat["zmid"] == 0 and heat["zmin"] == -heat["zmax"]
    assert heat["zmax"] == pytest.approx(np.percentile(np.abs(weight), 99))
    shown = [v for row in heat["z"] for v in row if v is not None]
    assert sorted(shown) == pytest.approx(np.sort(weight.ravel()), rel=5e-3)
    assert [a["text"] for a in figure.layout["annotations"]] == ["a", "b", "c"]
    assert figure.columns["weight"] == weight.ravel().tolist()


def test_many_templates_are_the_largest_and_large_ones_are_averaged() -> None:
    weight = (
        np.random.default_rng(0).normal(size=(100, 1, 5, 5))
        * np.arange(1, 101)[:, None, None, None]
    )
    figure = figures.templates(weight, range(100))
    names = {int(a["text"]) for a in figure.layout["annotations"]}
    assert len(names) == 36 and min(names) > 40 and "the 36 largest of 100" in figure.title
    large = figures.templates(np.ones((2, 3, 100, 64)), "ab")
    tops = [a["text"] for a in large.layout["annotations"]]
    assert tops == ["a, red", "a, green", "a, blue", "b, red", "b, green", "b, blue"]
    assert len(large.data[0]["z"]) < 80


def test_coefficients_are_sorted_by_size() -> None:
    figure = figures.coefficients([[1.0, -3.0, 2.0]], ["a", "b", "c"], ["y"], "t", "unit")
    check(figure)
    assert figure.layout["yaxis"]["ticktext"] == ["b", "c", "a"]
    assert figure.data[0]["x"] == [-3, 2, 1]
    assert figure.columns["coefficient"] == [-3, 2, 1]
    many = figures.coefficients(np.eye(40), [f"c{i}" for i in range(40)], range(40), "t", "u")
    check(many)
    assert many.data[0]["type"] == "heatmap" and "30 largest of 40" in many.title
    assert len(many.columns["coefficient"]) == 1600


# Saving


def test_a_figure_is_saved_as_numbers(tmp_path: Path) -> None:
    figure = figures.mistakes([4], ["a,b"], ["<b>\n"], [1 / 3])
    figure.save(tmp_path / "x.csv")
    rows = list(csv.reader(StringIO((tmp_path / "x.csv").read_text())))
    assert rows == [["row", "true", "predicted", "probability"], ["4", "a,b", "<b>\n", repr(1 / 3)]]
    figure.save(tmp_path / "x.json")
    assert files.read_json(tmp_path / "x.json") == figure.plain()
    with pytest.raises(InputError, match=r"\.png, \.svg"):
        figure.save(tmp_path / "x.exe")


@needs_matplotlib
@pytest.mark.parametrize(
    ("kind", "magic"), (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"))
)
def test_a_figure_is_saved_as_a_picture(tmp_path: Path, kind: str, magic: bytes) -> None:
    for name, figure in (
        ("curves", figures.curves({"a": {"mlp": training(), "linear": path_of()}}, log=True)),
        ("path", figures.curves({"a": {"linear": path_of()}})),
    ):
        figure.save(tmp_path / f"{name}.{kind}")
        first = (tmp_path / f"{name}.{kind}").read_bytes()
        assert first.startswith(magic)
        figure.save(tmp_path / f"{name}.{kind}")
        assert (tmp_path / f"{name}.{kind}").read_bytes() == first


@needs_matplotlib
def test_a_drawn_figure_has_the_same_numbers_and_axes() -> None:
    figure = figures.curves({"a": {"mlp": training()}})
    canvas = import_module("matplotlib.figure").Figure()
    drawing = static._Drawing(figure, canvas, 4.2)
    drawing.draw()
    left, right = drawing.axes.values()
    for axes, key in ((left, "y"), (right, "y2")):
        drawn = [line for line in axes.get_lines() if line.get_linestyle() != "None"]
        drawn = [line for line in drawn if np.isfinite(line.get_xdata()).any()]  # no samples
        for line, trace in zip(drawn, lines(figure, key), strict=True):
            assert list(line.get_xdata()) == trace["x"] and list(line.get_ydata()) == trace["y"]
        assert axes.get_xlabel() == "epoch"
    assert (left.get_ylabel(), right.get_ylabel()) == ("log loss (nats)", "error rate (%)")


def test_a_missing_package_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = figures.confusion("ab", [[1, 0], [0, 1]])
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(WorkError, match=r"pip install 'linnet\[static\]'"):
        figure.save(tmp_path / "x.png")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WorkError, match="pip install plotly"):
        figure.save(tmp_path / "x.html")
    assert list(tmp_path.iterdir()) == []


@needs_plotly
def test_a_saved_page_holds_all_it_needs_and_no_markup_of_names(tmp_path: Path) -> None:
    figure = figures.confusion(EVIL, np.eye(len(EVIL), dtype=int).tolist())
    figure.save(tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text()
    head, _, rest = page.partition('id="numbers">')
    numbers, _, rest = rest.partition("</script>")
    assert json.loads(numbers)["data"] == figure.data and "<" not in numbers
    assert "src=" not in head and "default-src 'none'" in head and "Plotly.newPlot" in rest


def test_notebooks_are_given_the_figure_and_no_formulas() -> None:
    figure = figures.confusion("ab", [[1, 0], [0, 1]])
    bundle = figure._repr_mimebundle_()
    assert set(bundle) - {"image/png"} == {"application/vnd.plotly.v1+json", "text/plain"}
    shown = bundle["application/vnd.plotly.v1+json"]
    assert shown["data"] == figure.data and shown["config"]["typesetMath"] is False
    assert bundle["text/plain"].startswith("Figure('Confusion matrix', 2 rows of true")


@needs_plotly
def test_plotly_takes_every_figure() -> None:
    graph_objects = import_module("plotly.graph_objects")
    for figure in [*hostile(), figures.curves({"a": {"linear": path_of()}}, smoothing=0.5)]:
        graph_objects.Figure(figure.plain())  # refuses a key or a value that is none of Plotly's


def test_figures_need_neither_torch_nor_plotly() -> None:
    code = (
        "import sys; from linnet import figures; figures.confusion('ab', [[1, 0], [0, 1]]);"
        "heavy = {'torch', 'sklearn', 'plotly', 'matplotlib', 'scipy', 'PIL'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Runs


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., linnet.Run]:
    """Trains a small run once for each set of arguments."""
    made: dict[str, linnet.Run] = {}

    def small(data: Any, name: str, **settings: Any) -> linnet.Run:
        if name not in made:
            out = tmp_path_factory.mktemp("runs") / name
            usual = {"model": ["linear", "mlp"], "widths": [8], "epochs": 2}
            made[name] = linnet.train(data, out=out, **{**usual, **settings})
        return linnet.Run(made[name].path)

    return small


CALLS = ("curves", "confusion", "calibration", "mistakes", "weights", "residuals")


def test_a_run_of_pictures_shows_everything(make: Callable[..., linnet.Run]) -> None:
    run = make("digits", "digits")
    for model in ("linear", "mlp"):
        test = run.metrics["models"][model]["test"]
        confusion = run.confusion(model)
        assert sum(confusion.columns["rows"]) == test["rows"]
        mistakes = run.mistakes(model)
        wrong = test["rows"] - round(test["accuracy"] * test["rows"])
        assert len(mistakes.columns["row"]) == min(wrong, 36) == len(mistakes.layout["images"])
        assert mistakes.columns["probability"] == sorted(mistakes.columns["probability"])[::-1]
        assert sum(run.calibration(model).columns["rows"]) == test["rows"]
        for figure in (
            run.curves(),
            confusion,
            mistakes,
            run.calibration(model),
            run.weights(model),
        ):
            check(figure)
    assert len(run.mistakes("mlp", count=2).columns["row"]) <= 2


def test_pictures_of_mistakes_are_those_of_their_rows(make: Callable[..., linnet.Run]) -> None:
    run = make("digits", "digits")
    figure = run.mistakes("mlp")
    data = linnet.read("digits")
    scale = 255 / int(data.x[figure.columns["row"]].max())
    for row, image in zip(figure.columns["row"], figure.layout["images"], strict=True):
        pixels = decoded(image["source"])[::7, ::7]
        assert (pixels == (data.x[row, 0].numpy() * scale).astype(np.uint8)).all()
        assert figure.columns["true"][figure.columns["row"].index(row)] == int(data.y[row])


def test_weights_of_a_run_are_those_of_its_model(make: Callable[..., linnet.Run]) -> None:
    run = make("digits", "digits")
    weight = run.models["linear"].module.state_dict()["linear.weight"].double()
    assert run.weights("linear").columns["weight"] == weight.flatten().tolist()
    assert run.weights("linear").columns["name"][::64] == [str(i) for i in range(10)]
    with pytest.raises(InputError, match=r'"constant".*linear, mlp'):
        run.weights("constant")
    with pytest.raises(InputError, match=r'no model "cnn".*constant, linear, mlp'):
        run.weights("cnn")


def test_a_run_of_a_table_shows_its_rows(make: Callable[..., linnet.Run]) -> None:
    run = make("iris", "iris", epochs=1)
    for call in CALLS[:5]:
        check(getattr(run, call)())
    figure = run.mistakes("mlp")
    data = linnet.read("iris")
    place = data.schema.columns.index("petal width (cm)")
    values = data.x[figure.columns["row"], place].tolist()
    shown = [float(value) for value in figure.columns["petal width (cm)"]]
    assert len(shown) == len(values) > 0 and shown == pytest.approx(values)
    weights = run.weights()
    assert set(weights.columns["output"]) == {"setosa", "versicolor", "virginica"}
    with pytest.raises(InputError, match=r'weights of "mlp" on rows have no meaning.*linear'):
        run.weights("mlp")


def test_a_run_of_one_epoch_has_curves(make: Callable[..., linnet.Run]) -> None:
    figure = make("iris", "iris", epochs=1).curves()
    (valid,) = [t for t in lines(figure, dash="dash") if "perceptron" in t["name"]]
    assert valid["x"] == [0, 1]
    assert figure.layout["xaxis"]["title"]["text"] == "epoch"


def test_a_regression_has_residuals_and_no_confusion(make: Callable[..., linnet.Run]) -> None:
    run = make("diabetes", "diabetes")
    figure = run.residuals("linear")
    check(figure)
    rmse = np.sqrt(np.mean(np.square(figure.columns["residual"])))
    assert rmse == pytest.approx(run.metrics["models"]["linear"]["test"]["rmse"])
    mistakes = run.mistakes()
    sizes = np.abs(np.subtract(mistakes.columns["true"], mistakes.columns["predicted"]))
    assert len(sizes) == 36 and (np.diff(sizes) <= 0).all() and "bmi" in mistakes.columns
    for figure in (mistakes, run.curves(), run.weights("linear")):
        check(figure)
    assert run.curves().layout["yaxis2"]["title"]["text"].startswith("RMSE")
    for call in (run.confusion, run.calibration):
        with pytest.raises(InputError, match=r"regression; it has residuals\(\) and mistakes\(\)"):
            call()
    with pytest.raises(InputError, match=r"classes; it has confusion\(\), mistakes\(\)"):
        make("iris", "iris", epochs=1).residuals()


def test_several_targets_have_residuals_each(make: Callable[..., linnet.Run]) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 3))
    run = make((x, x @ random.normal(size=(3, 2)) + 0.1), "two", model=["linear"])
    figure = run.residuals()
    check(figure)
    assert len(set(figure.columns["target"])) == 2
    check(run.mistakes(count=5))
    check(run.weights())


def test_two_classes_with_hostile_names(make: Callable[..., linnet.Run], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    table = pl.DataFrame(
        {
            "<b>x</b>": x,
            "$y$ %{x}": random.choice(["<i>", "</script>"], 200),
            "when": [f"2024-01-{1 + i % 28:02}" for i in range(200)],
            "on": random.choice([True, False], 200),
            "class<br>": np.where(x + random.normal(size=200) > 0, EVIL[0], EVIL[3]),
        }
    )
    table.write_csv(tmp_path / "<img src=x>.csv")
    run = make(str(tmp_path / "<img src=x>.csv"), "evil", target="class<br>")
    for call in CALLS[:5]:
        check(getattr(run, call)())
    mistakes = run.mistakes("linear")
    kept = mistakes.columns["row"]
    assert mistakes.columns["$y$ %{x}"] == table["$y$ %{x}"].gather(kept).to_list()
    assert mistakes.columns["when"] == table["when"].gather(kept).to_list()
    assert mistakes.columns["on"] == [str(v).lower() for v in table["on"].gather(kept)]
    assert run.weights("linear").columns["output"][0] == EVIL[0]  # the second of the two
    shown = run._repr_html_()
    assert EVIL[0] not in shown and "<img" not in shown and "linear" in shown


def test_without_its_data_a_run_still_tells_its_mistakes(
    make: Callable[..., linnet.Run], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(150, 3))
    y = (x[:, 0] + random.normal(size=150) > 0).astype(int)
    place = tmp_path / "t.csv"
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y})
    frame.write_csv(place)
    run = make(str(place), "gone", target="y", model=["linear"])
    whole = run.mistakes()
    assert "a" in whole.columns and "without" not in whole.title
    place.unlink()
    bare = run.mistakes()
    assert "a" not in bare.columns and "without the examples" in bare.title
    assert bare.columns == {name: whole.columns[name] for name in bare.columns}
    frame.with_columns(a=-frame["a"]).write_csv(place)
    assert "its fingerprint differs" in run.mistakes().title
    with pytest.raises(DataError, match="its fingerprint differs"):
        run.mistakes(data=str(place))
    other = tmp_path / "moved.csv"
    frame.write_csv(other)
    with pytest.raises(DataError, match="there is no file"):
        run.mistakes(data=str(tmp_path / "never.csv"))
    assert run.mistakes(data=str(other)).columns == whole.columns


def test_a_place_counts_from_where_the_run_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=100)
    there, away = tmp_path / "there", tmp_path / "away"
    there.mkdir()
    away.mkdir()
    pl.DataFrame({"a": x, "y": x * 2 + random.normal(size=100)}).write_csv(there / "t.csv")
    monkeypatch.chdir(there)
    linnet.train("t.csv", target="y", model="linear", out=tmp_path / "run")
    monkeypatch.chdir(away)
    assert "a" in linnet.Run(tmp_path / "run").mistakes().columns


def test_data_from_python_is_asked_for(make: Callable[..., linnet.Run]) -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(150, 3))
    y = (x[:, 0] + random.normal(size=150) > 0).astype(int)
    run = make((x, y), "arrays", model=["linear"])
    assert "give it as data=" in run.mistakes().title
    assert len(run.mistakes(data=(x, y)).columns) > len(run.mistakes().columns)


def test_a_run_without_test_rows_says_so(make: Callable[..., linnet.Run]) -> None:
    x = np.arange(10.0).reshape(-1, 1)
    run = make((x, np.array([0, 1] * 5)), "few", model=["linear"])
    for call in ("confusion", "calibration", "mistakes", "residuals"):
        with pytest.raises(InputError, match=rf"{call}\(\) shows test rows.*has none"):
            getattr(run, call)()
    for figure in (run.curves(), run.curves("step"), run.weights()):
        check(figure)
    assert "no test rows" in run._repr_html_()


def test_damaged_files_of_a_run_are_told(tmp_path: Path) -> None:
    run = linnet.train("wine", model="linear", out=tmp_path / "r")
    assert len(run.mistakes().data)  # of a run without mistakes no row is looked up
    place = tmp_path / "r" / "predictions" / "linear.parquet"
    content = place.read_bytes()
    place.write_bytes(content[:50])
    with pytest.raises(InputError, match=r"linear\.parquet: cut short"):
        run.calibration()
    pl.read_parquet(BytesIO(content)).drop("y").write_parquet(place)
    with pytest.raises(InputError, match="the columns y are missing"):
        run.mistakes()
    frame = pl.read_parquet(BytesIO(content))
    frame.with_columns(y=pl.lit("other")).write_parquet(place)
    with pytest.raises(InputError, match="'other' is not among the classes"):
        run.calibration()
    frame.with_columns(p=pl.lit("0.5")).write_parquet(place)
    with pytest.raises(InputError, match="the column p must hold a list"):
        run.calibration()
    frame.with_columns(row=pl.col("row") + 1_000).write_parquet(place)
    assert "is not from 0 to 177" in run.mistakes().title
    place.unlink()
    with pytest.raises(InputError, match=r"linear\.parquet: cannot read"):
        run.calibration()
    assert run.events()[0]["event"] == "start"


def test_a_convolutional_net_shows_its_first_filters(make: Callable[..., linnet.Run]) -> None:
    run = make("digits", "cnn", model=["cnn"], epochs=1, channels=[4])
    figure = run.weights()
    check(figure)
    assert len(figure.columns["weight"]) == 4 * 9


@pytest.mark.slow
def test_titanic_shows_its_rows_as_they_are(tmp_path: Path) -> None:
    place = Path(os.environ.get("LINNET_DATA", "")) / "titanic.csv"
    if not place.is_file():
        pytest.skip("LINNET_DATA holds no titanic.csv")
    run = linnet.train(str(place), target="survived", out=tmp_path / "r", epochs=3)
    figure = run.mistakes()
    table = pl.read_csv(place)
    assert figure.columns["sex"] == table["sex"].gather(figure.columns["row"]).to_list()
    for call in CALLS[:5]:
        check(getattr(run, call)())
