"""The learning curve: scores by the number of training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from linnet.core.language import tr
from linnet.errors import InputError
from linnet.figures._style import Json, axis, color, layout, numbers, short
from linnet.figures.figure import Figure
from linnet.figures.plotly import text
from linnet.networks import BASELINE

"""Left out if there are other models: its level would flatten their curves."""

GAP = 0.14
"""The space between the panels, as a share of the figure."""

APART = 0.012
"""Models are shifted by this power of ten, so that their bars do not overlap."""


def learning_curve(
    points: Mapping[str, Sequence[Mapping[str, Any]]],
    score: Literal["accuracy", "rmse"],
    valid_rows: int,
    interval: Mapping[str, Any] | None = None,
) -> Figure:
    """Validation loss and accuracy (or RMSE) by training rows, with 95 % confidence intervals.

    ``points`` are by model, each with ``rows, loss, loss_interval, score, score_interval``; an
    interval may be None. ``interval`` says on what they rest, if not on independent rows.
    ``columns`` has a row for each point.
    """
    shown = [name for name in points if points[name] and (name != BASELINE or len(points) == 1)]
    if not shown:
        raise InputError("the learning curve has no points")
    classifies = score == "accuracy"
    titles = {
        "loss": tr("log loss (nats)") if classifies else tr("loss (half the squared error)"),
        "score": tr("accuracy (%)") if classifies else tr("RMSE (unit of the target)"),
    }
    rows = sorted({int(point["rows"]) for name in shown for point in points[name]})
    ticks = {"tickvals": rows, "ticktext": [f"{number:,}" for number in rows]}
    told = {"rows": f"{valid_rows:,}"}
    title = tr("{rows} validation rows, 95 % intervals", **told)
    if interval is not None:
        told["count"] = f"{interval['units']:,}"
        if interval["units"] == 1:
            title = tr(
                "{rows} validation rows of one group or time: no intervals", rows=told["rows"]
            )
        elif interval["by"] == "group":
            title = tr("{rows} validation rows, 95 % intervals over {count} groups", **told)
        else:
            title = tr("{rows} validation rows, 95 % intervals over {count} blocks of time", **told)
    figure_layout = layout(title, height=420, hovermode="closest")
    width = (1 - GAP) / 2
    data: list[Json] = []
    for panel, key in enumerate(titles):
        end, left = ("", 0.0) if panel == 0 else ("2", width + GAP)
        unit = 100.0 if key == "score" and classifies else 1.0
        figure_layout[f"xaxis{end}"] = axis(
            tr("training rows"), domain=[left, left + width], anchor=f"y{end}", type="log",
            **ticks,
        )  # fmt: skip
        figure_layout[f"yaxis{end}"] = axis(titles[key], anchor=f"x{end}")
        for index, name in enumerate(shown):
            curve = sorted(points[name], key=lambda point: int(point["rows"]))
            at = [int(point["rows"]) for point in curve]
            beside = 10 ** (APART * (index - (len(shown) - 1) / 2))
            value = unit * numbers(point[key] for point in curve)
            low, high = (
                unit * numbers((point[f"{key}_interval"] or (None, None))[side] for point in curve)
                for side in (0, 1)
            )
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": text(name),
                    "legendgroup": str(index),
                    "showlegend": panel == 0,
                    "x": short(beside * numbers(at)),
                    "customdata": at,
                    "y": short(value),
                    "xaxis": f"x{end}",
                    "yaxis": f"y{end}",
                    "line": {"color": color(index), "width": 2},
                    "marker": {"color": color(index), "size": 7},
                    "error_y": {
                        "type": "data", "symmetric": False, "thickness": 1, "width": 3,
                        "array": short(high - value), "arrayminus": short(value - low),
                    },
                    "hovertemplate": "%{customdata:,} " + tr("rows") + ": %{y:.5~r}",
                }
            )  # fmt: skip
    return Figure(data, figure_layout, _columns(points, score))


def _columns(points: Mapping[str, Sequence[Mapping[str, Any]]], score: str) -> dict[str, list[Any]]:
    """Every point: model, rows, scores, and the line's penalty."""
    every = [(name, point) for name, curve in points.items() for point in curve]
    columns: dict[str, list[Any]] = {
        "model": [name for name, _ in every],
        "rows": [point["rows"] for _, point in every],
    }
    for key, title in (("loss", "loss"), ("score", score)):
        columns[title] = [point[key] for _, point in every]
        for side, end in enumerate(("low", "high")):
            columns[f"{title}_{end}"] = [
                (point[f"{key}_interval"] or (None, None))[side] for _, point in every
            ]
    return {**columns, "penalty": [point.get("penalty") for _, point in every]}
