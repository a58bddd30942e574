"""What a model looks at, for whom it fails, where to cut, and how its line was penalised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from linnet.core.language import tr, trn
from linnet.core.text import figure, percent
from linnet.errors import InputError
from linnet.figures._style import INK, Array, Json, axis, color, layout, note, short
from linnet.figures.figure import Figure
from linnet.figures.plotly import text

if TYPE_CHECKING:
    from linnet.insight.dependence import Dependence
    from linnet.insight.importance import Importances
    from linnet.insight.slices import Slices
    from linnet.insight.thresholds import Curves, Cut

MAX_BARS = 20
"""The most columns, or slices, that are shown."""

MAX_LINES = 5
"""The most classes, or values of a second column, with a line of their own."""

MAX_NAMED = 8
"""The most coefficients with a name and a colour of their own."""

MAX_POINTS = 5_000
"""The most residuals that are points."""

BINS = 40

GAP = 0.12
"""The space between panels, as a share of the figure."""

PALE = "#80808080"

DASHES = ("solid", "dot", "dash", "dashdot")


def importance(found: Mapping[str, Importances]) -> Figure:
    """The growth of the loss by column, with 95 % intervals, models beside each other; the columns
    are in the order of the last model's.

    ``columns``: ``model``, ``column``, ``loss``, ``low``, ``high``, ``score``, ``p_value``,
    ``p_adjusted``, ``significant``.
    """
    if not found:
        raise InputError("there is no importance to show")
    last = list(found.values())[-1]
    shown = [each.name for each in last][:MAX_BARS]
    places = {name: place for place, name in enumerate(shown)}
    thick = 0.8 / len(found)
    data: list[Json] = []
    for index, (model, every) in enumerate(found.items()):
        own = [each for each in every if each.name in places]
        at = [round(places[e.name] - 0.4 + thick * (index + 0.5), 4) for e in own]
        data.append(
            {
                "type": "bar", "orientation": "h", "name": text(model), "y": at, "width": thick,
                "x": short(np.array([each.loss for each in own])),
                "showlegend": len(found) > 1, "marker": {"color": color(index)},
                "hovertext": [" · ".join(map(text, every.cells(each))) for each in own],
                "hoverinfo": "text+name",
            }
        )  # fmt: skip
        data.append(_intervals([each.interval for each in own], at))
    measure = tr("log loss") if last.measure == "log loss" else tr("squared error")
    title = tr(
        "Growth of the {loss} when the values of a column are exchanged, 95 % intervals · {rows}",
        loss=measure,
        rows=_rows(last.rows, last.folds),
    )
    if len(last) > len(shown):
        title += tr(" · the {most} largest of {count}", most=len(shown), count=len(last))
    ticks = {
        "tickvals": list(places.values()), "ticktext": [text(name, 32) for name in shown],
        "range": [len(shown) - 0.5, -0.5], "showgrid": False, "zeroline": False,
    }  # fmt: skip
    unit = tr("unit of the target, squared")
    if last.measure == "log loss":
        unit = tr("nats")
    rows = [(model, each) for model, every in found.items() for each in every]
    return Figure(
        data,
        layout(
            title,
            xaxis=axis(
                tr("growth of the {loss} ({unit})", loss=measure, unit=unit),
                range=_around(data[1::2]),
            ),
            yaxis=axis(tr("column"), **ticks), height=150 + max(120, 26 * len(shown)),
            barmode="overlay",
        ),
        {
            "model": [model for model, _ in rows],
            "column": [each.name for _, each in rows],
            "loss": [each.loss for _, each in rows],
            "low": [each.interval[0] for _, each in rows],
            "high": [each.interval[1] for _, each in rows],
            "score": [each.score for _, each in rows],
            "p_value": [each.p_value for _, each in rows],
            "p_adjusted": [each.p_adjusted for _, each in rows],
            "significant": [each.significant for _, each in rows],
        },
    )  # fmt: skip


def _rows(rows: int, folds: int) -> str:
    """So many test rows, or rows of a cross-validation."""
    number = f"{rows:,}"
    if folds:
        return tr("{rows} rows, each predicted without its fold", rows=number)
    return tr("{rows} test rows", rows=number)


def _intervals(intervals: Sequence[tuple[float, float]], at: Sequence[float]) -> Json:
    """Intervals (low, high) as horizontal lines at the heights ``at``."""
    x = [end for low, high in intervals for end in (low, high, np.nan)]
    y = [height for place in at for height in (place, place, np.nan)]
    return {
        "type": "scatter", "mode": "lines", "x": short(np.array(x)), "y": short(np.array(y)),
        "line": {"color": INK, "width": 2}, "showlegend": False, "hoverinfo": "skip",
    }  # fmt: skip


def _around(traces: Sequence[Json]) -> list[float | None]:
    """The range of an axis that shows all of the traces' x, with some room."""
    x = np.array([v for trace in traces for v in trace["x"] if v is not None])
    low, high = (float(x.min()), float(x.max())) if len(x) else (0.0, 1.0)
    edge = 0.03 * (high - low) or 0.5
    return short(np.array([low - edge, high + edge]))


def dependence(found: Sequence[Dependence]) -> Figure:
    """The mean prediction by the value of a column, a panel for each column, models beside each
    other: of two classes the probability of the second, of more a line for each class.

    ``columns``: ``model``, ``column``, ``value``, ``output``, ``prediction``.
    """
    if not found or any(len(each.columns) != 1 for each in found):
        raise InputError("expected dependences on one column each")
    width = (1 - GAP * (len(found) - 1)) / len(found)
    first = found[0]
    figure_layout = layout(
        tr(
            "Mean prediction of {rows} rows, all with the same value of a column",
            rows=f"{first.rows:,}",
        ),
        height=400, hovermode="closest",
    )  # fmt: skip
    data: list[Json] = []
    for panel, each in enumerate(found):
        end = "" if panel == 0 else str(panel + 1)
        left = panel * (width + GAP)
        places, ticks = _places(each.values[0], ordered=each.ordered[0])
        figure_layout[f"xaxis{end}"] = axis(
            text(each.columns[0]), domain=[left, left + width], anchor=f"y{end}", **ticks
        )
        figure_layout[f"yaxis{end}"] = axis(_what(each), anchor=f"x{end}")
        for index, (model, curve) in enumerate(each.curves.items()):
            for number, output in enumerate(each.outputs[:MAX_LINES]):
                several = len(each.outputs) > 1
                shade = color(number if several else index)
                name = f"{text(model)}: {text(output)}" if several else text(model)
                data.append(
                    {
                        "type": "scatter", "name": name, "legendgroup": name,
                        "mode": "lines" if each.ordered[0] and len(places) > 12
                        else "lines+markers",
                        "showlegend": panel == 0, "xaxis": f"x{end}", "yaxis": f"y{end}",
                        "x": places, "y": short(curve[number]),
                        "line": {
                            "color": shade, "width": 2,
                            "dash": DASHES[index % len(DASHES)] if several else "solid",
                        },
                        "marker": {"color": shade, "size": 6},
                        "hovertext": [text(value) for value in _named(each.values[0])],
                        "hovertemplate": "%{hovertext}: %{y:,.4~r}",
                    }
                )  # fmt: skip
    rows = [
        (model, each.columns[0], value, output, curve[number][place])
        for each in found
        for model, curve in each.curves.items()
        for number, output in enumerate(each.outputs)
        for place, value in enumerate(each.values[0])
    ]
    names = ("model", "column", "value", "output", "prediction")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    columns["prediction"] = [float(value) for value in columns["prediction"]]
    return Figure(data, figure_layout, columns)


def dependence_pair(found: Dependence) -> Figure:
    """The mean prediction by the values of two columns: a panel for each model, the first column
    across, a line for some values of the second. Lines of equal shape are no interaction.

    ``columns``: ``model``, the names of both columns, ``output``, ``prediction``.
    """
    if len(found.columns) != 2:
        raise InputError("expected the dependence on two columns")
    width = (1 - GAP * (len(found.curves) - 1)) / len(found.curves)
    one, other = found.columns
    figure_layout = layout(
        tr(
            "Mean prediction by {one} and {other}, {rows} rows",
            one=text(one),
            other=text(other),
            rows=f"{found.rows:,}",
        ),
        height=400, hovermode="closest",
    )  # fmt: skip
    places, ticks = _places(found.values[0], ordered=found.ordered[0])
    count = len(found.values[1])
    chosen = np.unique(np.linspace(0, count - 1, min(count, MAX_LINES)).round().astype(int))
    told = _named(found.values[1])
    ends = [float(end(curve[-1])) for curve in found.curves.values() for end in (np.min, np.max)]
    low, high = min(ends), max(ends)
    edge = 0.05 * (high - low) or 0.05
    data: list[Json] = []
    for panel, (model, curve) in enumerate(found.curves.items()):
        end, left = "" if panel == 0 else str(panel + 1), panel * (width + GAP)
        figure_layout[f"xaxis{end}"] = axis(
            f"{text(one)} ({text(model)})", domain=[left, left + width], anchor=f"y{end}", **ticks
        )
        figure_layout[f"yaxis{end}"] = axis(
            _what(found), anchor=f"x{end}", range=short(np.array([low - edge, high + edge]))
        )
        for index, place in enumerate(chosen.tolist()):
            data.append(
                {
                    "type": "scatter", "mode": "lines+markers", "showlegend": panel == 0,
                    "name": f"{text(other)} {text(told[place])}", "legendgroup": str(index),
                    "x": places, "y": short(curve[-1][:, place]),
                    "xaxis": f"x{end}", "yaxis": f"y{end}",
                    "line": {"color": color(index), "width": 2},
                    "marker": {"color": color(index), "size": 6},
                    "hovertemplate": "%{y:,.4~r}",
                }
            )  # fmt: skip
    rows = [
        (model, a, b, output, float(curve[number][i][j]))
        for model, curve in found.curves.items()
        for number, output in enumerate(found.outputs)
        for i, a in enumerate(found.values[0])
        for j, b in enumerate(found.values[1])
    ]
    names = ("model", one, other, "output", "prediction")
    return Figure(data, figure_layout, {n: [row[i] for row in rows] for i, n in enumerate(names)})


def _what(found: Dependence) -> str:
    """The title of an axis of mean predictions."""
    last = text(found.outputs[-1], 24)
    if not found.classifies:
        return tr("mean {name}", name=last) if len(found.outputs) == 1 else tr("mean prediction")
    return tr("mean P({name})", name=last) if len(found.outputs) == 1 else tr("mean probability")


def _named(values: Sequence[Any]) -> list[str]:
    return [figure(v) if isinstance(v, float) else str(v) for v in values]


def _places(values: Sequence[Any], *, ordered: bool) -> tuple[list[Any], Json]:
    """The places of values on an axis, and its ticks if they are no numbers."""
    if ordered:
        return short(np.array(values, np.float64)), {}
    places = list(range(len(values)))
    names = [text(value, 16) for value in values]
    return places, {"tickvals": places, "ticktext": names, "range": [-0.5, len(places) - 0.5]}


def slices(found: Slices, model: str = "", most: int = MAX_BARS) -> Figure:
    """The score of the worst slices, with 95 % intervals, and a line at that of all rows; filled
    points are significantly worse than all other rows.

    ``columns``: every slice, ``column``, ``value``, ``rows``, ``score``, ``low``, ``high``,
    ``rest``, ``p_adjusted``, ``worse``.
    """
    shown = [each for each in found if each.rest is not None][:most]
    if not shown:
        raise InputError("no slice has rows enough to be tested")
    accuracy = found.score == "accuracy"
    unit = 100.0 if accuracy else 1.0
    labels = [f"{text(e.column, 20)}: {text(e.value, 22)}" for e in shown]
    places = list(range(len(shown)))
    ends = [(unit * each.interval[0], unit * each.interval[1]) for each in shown]
    data: list[Json] = [_intervals(ends, places)]
    for worse in (True, False):
        own = [place for place in places if shown[place].worse == worse]
        if not own:
            continue
        name = tr("worse than the rest (Holm)") if worse else tr("not shown to be worse")
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": name, "showlegend": True, "y": own,
                "x": short(unit * np.array([shown[place].score for place in own])),
                "marker": {"color": color(1 if worse else 0), "size": 10},
                "hovertext": [
                    f"{labels[p]}<br>{trn('{n} row', '{n} rows', shown[p].rows)}<br>"
                    f"{text(found.words(shown[p]), 90)}"
                    for p in own
                ],
                "hoverinfo": "text",
            }
        )  # fmt: skip
    data.append(_upright(unit * found.whole, (-0.5, len(shown) - 0.5)))
    told = percent(found.whole) if accuracy else figure(found.whole)
    title = tr(
        "Worst of {tested} slices of {rows}",
        tested=found.tested,
        rows=_rows(found.rows, found.folds),
    )
    title += tr(", {model}", model=text(model)) if model else ""
    score = tr("accuracy {number}", number=told) if accuracy else f"RMSE {told}"
    title += tr(" · dotted: all rows, {score}", score=score)
    ticks = {"tickvals": places, "ticktext": labels, "range": [len(shown) - 0.5, -0.5]}
    every = list(found)
    return Figure(
        data,
        layout(
            title,
            xaxis=axis(
                tr("accuracy (%)") if accuracy else tr("RMSE (unit of the target)"),
                range=_around([data[0], data[-1]]),
            ),
            yaxis=axis(tr("slice"), showgrid=False, zeroline=False, **ticks),
            height=150 + max(120, 22 * len(shown)), hovermode="closest",
        ),
        {
            "column": [each.column for each in every], "value": [each.value for each in every],
            "rows": [each.rows for each in every], "score": [each.score for each in every],
            "low": [each.interval[0] for each in every],
            "high": [each.interval[1] for each in every],
            "rest": [each.rest for each in every],
            "p_adjusted": [each.p_adjusted for each in every],
            "worse": [each.worse for each in every],
        },
    )  # fmt: skip


def _upright(x: float, ends: tuple[float, float], **more: Any) -> Json:
    """A dotted upright line at ``x``."""
    return {
        "type": "scatter", "mode": "lines", "x": short(np.array([x, x])), "y": list(ends),
        "line": {"color": INK, "width": 1, "dash": "dot"}, "showlegend": False,
        "hoverinfo": "skip", **more,
    }  # fmt: skip


def roc(found: Mapping[str, Curves], positive: str = "the second class") -> Figure:
    """The ROC curve and precision against recall, models beside each other; ``positive`` is the
    name of the positive class.

    ``columns``: ``model``, ``curve`` ("roc" or "precision-recall"), ``threshold``, ``x``, ``y``.
    """
    if not found:
        raise InputError("there is no curve to show")
    width = (1 - GAP) / 2
    first = next(iter(found.values()))
    line = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
    dotted = {"color": INK, "width": 1, "dash": "dot"}
    share = first.positive
    data: list[Json] = [
        {**line, "x": [0, 1], "y": [0, 1], "line": dotted, "xaxis": "x", "yaxis": "y"},
        {
            **line, "x": [0, 1], "y": short(np.array([share, share])), "line": dotted,
            "xaxis": "x2", "yaxis": "y2",
        },
    ]  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for index, (model, each) in enumerate(found.items()):
        parts = (
            ("roc", each.false_positive_rate, each.true_positive_rate, each.roc_thresholds),
            ("precision-recall", each.recall, each.precision, each.thresholds),
        )
        score = tr(
            "{model}: AUC {area}, average precision {average}",
            model=text(model),
            area=f"{each.area:.4f}",
            average=f"{each.average:.4f}",
        )
        for panel, (curve, x, y, at) in enumerate(parts):
            end = "" if panel == 0 else "2"
            data.append(
                {
                    "type": "scatter", "mode": "lines", "name": score, "legendgroup": str(index),
                    "showlegend": panel == 0, "x": short(x, 5), "y": short(y, 5),
                    "customdata": short(at, 4), "xaxis": f"x{end}", "yaxis": f"y{end}",
                    "line": {"color": color(index), "width": 2},
                    "hovertemplate": tr("threshold") + " %{customdata}<br>%{x:.4f}, %{y:.4f}",
                }
            )  # fmt: skip
            rows += [
                (model, curve, *row)
                for row in zip(at.tolist(), x.tolist(), y.tolist(), strict=True)
            ]
    names = ("model", "curve", "threshold", "x", "y")
    unit = {"range": [-0.02, 1.02]}
    return Figure(
        data,
        layout(
            tr(
                "{rows} test rows, {share} of them {name}",
                rows=f"{first.rows:,}", share=percent(share), name=text(positive),
            ), height=430,
            xaxis=axis(tr("false positive rate"), domain=[0, width], anchor="y", **unit),
            yaxis=axis(tr("true positive rate (recall)"), anchor="x", **unit),
            xaxis2=axis(tr("recall"), domain=[width + GAP, 1], anchor="y2", **unit),
            yaxis2=axis(tr("precision"), anchor="x2", **unit),
        ),
        {name: [row[i] for row in rows] for i, name in enumerate(names)},
    )  # fmt: skip


def thresholds(cuts: Sequence[Cut], chosen: float | None = None, by: str = "F1") -> Figure:
    """Precision, recall and F1 by the threshold, and the mean cost of a row below them; ``chosen``
    is marked, and ``by`` says how it was chosen.

    ``columns``: ``threshold``, ``precision``, ``recall``, ``f1``, ``accuracy``, ``cost`` and the
    four counts.
    """
    if not cuts:
        raise InputError("there is no threshold to show")
    at = np.array([cut.threshold for cut in cuts])
    series = {
        tr("precision"): [cut.precision for cut in cuts], tr("recall"): [c.recall for c in cuts],
        "F1": [cut.f1 for cut in cuts],
    }  # fmt: skip
    data: list[Json] = [
        {
            "type": "scatter", "mode": "lines", "name": name, "x": short(at),
            "y": short(np.array(values)), "line": {"color": color(index), "width": 2},
            "xaxis": "x", "yaxis": "y", "hovertemplate": "%{x:.3f}: %{y:.4f}",
        }
        for index, (name, values) in enumerate(series.items())
    ]  # fmt: skip
    costs = np.array([cut.cost for cut in cuts])
    data.append(
        {
            "type": "scatter", "mode": "lines", "name": tr("mean cost of a row"), "x": short(at),
            "y": short(costs), "line": {"color": color(3), "width": 2}, "xaxis": "x",
            "yaxis": "y2", "hovertemplate": "%{x:.3f}: %{y:.4g}",
        }
    )  # fmt: skip
    title = tr(
        "{rows} test rows by the threshold of the probability", rows=f"{sum(cuts[0][1:5]):,}"
    )
    if chosen is not None:
        top = float(costs.max()) or 1.0
        data.append(_upright(chosen, (0, 1), xaxis="x", yaxis="y"))
        data.append(_upright(chosen, (0, top), xaxis="x", yaxis="y2"))
        title += tr(
            " · dotted: {threshold}, chosen by {by} on other rows", threshold=f"{chosen:.3f}", by=by
        )
    keys = (
        "threshold", "precision", "recall", "f1", "accuracy", "cost", "true_positive",
        "false_positive", "false_negative", "true_negative",
    )  # fmt: skip
    return Figure(
        data,
        layout(
            title, height=460,
            xaxis=axis(tr("threshold"), range=[0, 1], anchor="y2"),
            yaxis=axis(tr("share"), range=[-0.02, 1.02], domain=[0.36, 1]),
            yaxis2=axis(tr("mean cost"), domain=[0, 0.26], anchor="x", rangemode="tozero"),
        ),
        {key: [getattr(cut, key) for cut in cuts] for key in keys},
    )  # fmt: skip


def errors(true: Any, predicted: Any, target: str = "target") -> Figure:
    """Residuals (true - predicted) of numbers (rows,): against the prediction, and how they lie;
    with their MAE, RMSE and mean.

    ``columns``: ``true``, ``predicted``, ``residual``.
    """
    true, predicted = (np.asarray(each, np.float64).ravel() for each in (true, predicted))
    if true.shape != predicted.shape or not len(true):
        raise InputError(f"true is {true.shape}, predicted {predicted.shape}; expected one shape")
    left = true - predicted
    width = (1 - GAP) / 2
    stride = -(-len(left) // MAX_POINTS)
    low, high = np.quantile(left, [0.001, 0.999]) if len(left) > 1000 else (left.min(), left.max())
    edges = np.linspace(low, high, BINS + 1) if low < high else np.array([low - 0.5, low + 0.5])
    counts = np.histogram(left.clip(edges[0], edges[-1]), edges)[0]
    ends = np.array([predicted.min(), predicted.max()])
    mae, rmse = float(np.abs(left).mean()), float(np.sqrt((left**2).mean()))
    data: list[Json] = [
        {
            "type": "scatter", "mode": "markers", "x": short(predicted[::stride]),
            "y": short(left[::stride]), "showlegend": False, "xaxis": "x", "yaxis": "y",
            "marker": {"size": 5, "color": color(0), "opacity": 0.5},
            "hovertemplate": f"{tr('predicted')} %{{x:,.6~r}}<br>{tr('residual')} %{{y:,.6~r}}",
        },
        {
            "type": "scatter", "mode": "lines", "x": short(ends), "y": [0, 0], "xaxis": "x",
            "yaxis": "y", "line": {"color": INK, "width": 1, "dash": "dot"},
            "showlegend": False, "hoverinfo": "skip",
        },
        {
            "type": "bar", "x": short((edges[:-1] + edges[1:]) / 2), "y": counts.tolist(),
            "width": float(edges[1] - edges[0]) * 0.95, "marker": {"color": color(0)},
            "showlegend": False, "xaxis": "x2", "yaxis": "y2",
            "hovertemplate": "%{x:,.4~r}: %{y:,}",
        },
    ]  # fmt: skip
    more = tr(", 1 in {stride} as a point", stride=stride) if stride > 1 else ""
    title = tr(
        "MAE {mae}, RMSE {rmse}, mean {mean} · {rows} test rows{more}",
        mae=figure(mae),
        rmse=figure(rmse),
        mean=figure(float(left.mean()), 3),
        rows=f"{len(left):,}",
        more=more,
    )
    return Figure(
        data,
        layout(
            title, height=420, hovermode="closest", bargap=0,
            xaxis=axis(tr("predicted {name}", name=text(target)), domain=[0, width], anchor="y"),
            yaxis=axis(tr("residual (true - predicted)"), anchor="x"),
            xaxis2=axis(tr("residual"), domain=[width + GAP, 1], anchor="y2"),
            yaxis2=axis(tr("rows"), anchor="x2"),
        ),
        {"true": true.tolist(), "predicted": predicted.tolist(), "residual": left.tolist()},
    )  # fmt: skip


def penalties(
    penalty: Sequence[float],
    loss: Sequence[float],
    chosen: float | None,
    *,
    folds: bool = False,
    coefficients: Array | None = None,
    names: Sequence[str] = (),
    unit: str = "per deviation",
) -> Figure:
    """The path of penalties of the line: its validation loss (or that of the folds) by the penalty,
    the chosen one marked, and where they are known its ``coefficients`` (penalties, coefficients)
    in their ``unit``, with their ``names``: the ``MAX_NAMED`` largest at the chosen penalty in
    colour, NaN where one is not known.

    ``columns``: ``penalty``, ``loss``, ``chosen``, and the coefficients by name.
    """
    order = np.argsort(np.asarray(penalty, np.float64))
    at, value = np.asarray(penalty, np.float64)[order], np.asarray(loss, np.float64)[order]
    if len(at) < 2 or len(at) != len(value) or (at <= 0).any():
        raise InputError("a path has two penalties or more, each above 0, with a loss each")
    called = tr("out-of-fold loss") if folds else tr("validation loss")
    width = (1 - GAP) / 2 if coefficients is not None else 1.0
    data: list[Json] = [
        {
            "type": "scatter", "mode": "lines+markers", "name": called, "x": short(at),
            "y": short(value), "line": {"color": color(0), "width": 2}, "showlegend": False,
            "marker": {"color": color(0), "size": 7}, "xaxis": "x", "yaxis": "y",
            "hovertemplate": tr("penalty") + " %{x:.3~r}: %{y:.5~r}",
        }
    ]  # fmt: skip
    title = tr("Loss by penalty, {count} penalties", count=len(at))
    mark = at == chosen if chosen is not None else np.zeros(len(at), bool)
    scale = {"type": "log", "exponentformat": "power", "dtick": 1}
    figure_layout = layout(
        title, height=380, hovermode="closest",
        xaxis=axis(tr("penalty"), domain=[0, width], anchor="y", **scale),
        yaxis=axis(called, anchor="x"),
    )  # fmt: skip
    if mark.any():
        number = figure(float(chosen or 0))
        title += tr(" · dotted: {number}, chosen by {loss}", number=number, loss=called)
        ends = float(value.min()), float(value.max())
        data.append(_upright(float(chosen or 0), ends, xaxis="x", yaxis="y"))
    columns: dict[str, list[Any]] = {
        "penalty": at.tolist(), "loss": value.tolist(), "chosen": mark.tolist(),
    }  # fmt: skip
    if coefficients is not None:
        own = np.asarray(coefficients, np.float64)[order]
        figure_layout["xaxis2"] = axis(tr("penalty"), domain=[width + GAP, 1], anchor="y2", **scale)
        title += tr("; coefficients: {unit}", unit=unit)
        head = tr("coefficient")
        if folds:
            head = tr("mean coefficient")
            title += tr(", means over the folds")
        figure_layout["yaxis2"] = axis(head, anchor="x2")
        told = np.abs(np.nan_to_num(own))
        data += _coefficients(at, own, names, told[mark][0] if mark.any() else told.max(0))
        if mark.any():
            ends = min(0.0, float(np.nanmin(own))), max(0.0, float(np.nanmax(own)))
            data.append(_upright(float(chosen or 0), ends, xaxis="x2", yaxis="y2"))
        for column, name in enumerate(names):
            columns[f"coefficient {name}"] = [
                None if np.isnan(one) else float(one) for one in own[:, column]
            ]
    figure_layout["title"]["text"] = title
    return Figure(data, figure_layout, columns)


def _coefficients(at: Array, own: Array, names: Sequence[str], sizes: Array) -> list[Json]:
    """Coefficients (penalties, coefficients) by the penalty: those of the largest ``sizes``
    (coefficients,) named, in colour, above the others in grey."""
    order = np.argsort(-sizes, kind="stable").tolist()
    named = order[:MAX_NAMED]
    common = {
        "type": "scatter", "mode": "lines", "x": short(at), "xaxis": "x2", "yaxis": "y2",
        "hovertemplate": tr("penalty") + " %{x:.3~r}: %{y:.4~r}",
    }  # fmt: skip
    return [
        {
            **common, "name": text(names[column], 32), "y": short(own[:, column]),
            "showlegend": column in named,
            "line": {"color": color(named.index(column)), "width": 2}
            if column in named else {"color": PALE, "width": 1},
        }
        for column in (*reversed(order[MAX_NAMED:]), *named)
    ]  # fmt: skip


def intervals(levels: Sequence[Mapping[str, Any]], unit: str = "") -> Figure:
    """How often prediction intervals, or sets, held on rows that did not calibrate them, by the
    level that was asked for; and how wide they are. ``levels`` are dicts with ``level``, ``share``
    and ``width`` (in ``unit``), or ``size`` (classes).

    ``columns``: ``level``, ``share``, ``width`` or ``size``.
    """
    if not levels:
        raise InputError("there is no level to show")
    key = "size" if levels[0].get("size") is not None else "width"
    asked = np.array([each["level"] for each in levels])
    held = np.array([each["share"] for each in levels])
    size = np.array([each[key] for each in levels])
    width = (1 - GAP) / 2
    common = {"type": "scatter", "mode": "lines+markers", "showlegend": False}
    look = {"line": {"color": color(0), "width": 2}, "marker": {"color": color(0), "size": 7}}
    start = float(min(asked.min(), held.min())) - 0.03
    data: list[Json] = [
        {
            "type": "scatter", "mode": "lines", "x": short(np.array([start, 1])),
            "y": short(np.array([start, 1])), "line": {"color": INK, "width": 1, "dash": "dot"},
            "showlegend": False, "hoverinfo": "skip", "xaxis": "x", "yaxis": "y",
        },
        {
            **common, **look, "x": short(asked), "y": short(held), "xaxis": "x", "yaxis": "y",
            "hovertemplate": f"{tr('asked')} %{{x:.2f}}, {tr('held')} %{{y:.4f}}",
        },
        {
            **common, **look, "x": short(asked), "y": short(size), "xaxis": "x2", "yaxis": "y2",
            "hovertemplate": "%{x:.2f}: %{y:,.4~r}",
        },
    ]  # fmt: skip
    what = (
        tr("mean width") + (f" ({text(unit)})" if unit else "")
        if key == "width"
        else tr("mean number of classes")
    )
    over = note(
        tr("below the dotted line: too narrow"), x=1, y=start, xref="x", yref="y", xanchor="right",
        yanchor="bottom", font={"size": 10},
    )  # fmt: skip
    return Figure(
        data,
        {
            **layout(
                tr("Each half of the test rows judged by sets that the other half calibrates")
                if key == "size"
                else tr(
                    "Each half of the test rows judged by intervals that the other half calibrates"
                ),
                height=380,
                xaxis=axis(
                    tr("level asked for"), domain=[0, width], anchor="y", range=[start, 1.005]
                ),
                yaxis=axis(tr("share that is inside"), anchor="x", range=[start, 1.005]),
                xaxis2=axis(
                    tr("level asked for"),
                    domain=[width + GAP, 1],
                    anchor="y2",
                    range=[start, 1.005],
                ),
                yaxis2=axis(what, anchor="x2", rangemode="tozero"),
            ),
            "annotations": [over],
        },
        {"level": asked.tolist(), "share": held.tolist(), key: size.tolist()},
    )  # fmt: skip
