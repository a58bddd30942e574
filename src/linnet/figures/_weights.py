"""Weights: as pictures if the inputs are pixels, as bars if they are columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linnet.core.language import tr
from linnet.errors import InputError
from linnet.figures._style import DIVERGING, Array, axis, color, layout, note, short
from linnet.figures.figure import Figure
from linnet.figures.plotly import text

MAX_TILES = 36
"""The most templates shown; of more, those with the largest weights."""

MAX_PIXELS = 48
"""The largest height and width of a shown template: larger ones are averaged over blocks."""

SIDE, WIDE = 190, 960
"""The pixels of a template, and of all templates in a row, if there is room."""

MAX_BESIDE = 8
"""The most outputs whose coefficients are bars side by side."""

MAX_BARS = 30
"""The most columns shown; of more, those with the largest coefficients."""

CHANNELS = {1: ("",), 3: (", red", ", green", ", blue")}


def templates(weight: Any, names: Sequence[Any], title: str = "Weights") -> Figure:
    """One picture for each row of ``weight`` (templates, channels, height, width): positive weights
    are red, negative ones blue, 0 has no colour.

    The colour is full at the 99th percentile of the absolute weights, so that a few pixels which
    are hardly ever lit do not hide the rest. ``columns`` has every weight, also those not shown,
    with ``name``, ``channel``, ``row``, ``column``. ``title`` is plain text.
    """
    weight = np.asarray(weight, dtype=np.float64)
    if weight.ndim != 4 or len(weight) != len(names) or not weight.size:
        raise InputError(
            f"weights of shape {weight.shape} for {len(names)} names; expected (templates, "
            "channels, height, width)"
        )
    count, channels, height, width = weight.shape
    place = np.indices(weight.shape).reshape(4, -1)
    columns = {
        "name": [names[i] for i in place[0]], "channel": place[1].tolist(),
        "row": place[2].tolist(), "column": place[3].tolist(), "weight": weight.ravel().tolist(),
    }  # fmt: skip
    most = max(1, MAX_TILES // channels)
    shown = np.arange(count)
    if count > most:
        size = np.square(weight).sum((1, 2, 3))
        shown = np.argsort(-size, kind="stable")[:most]
        title += tr(", the {most} largest of {count}", most=most, count=f"{count:,}")
    suffixes = CHANNELS.get(channels) or tuple(tr(", channel {i}", i=i) for i in range(channels))
    tiles = [
        (text(names[i], 17 - len(suffix)) + suffix, _blocks(weight[i, channel]))
        for i in shown
        for channel, suffix in enumerate(suffixes)
    ]
    height, width = tiles[0][1].shape
    across = channels * 2 if channels > 1 else min(len(tiles), 6 if len(tiles) > 10 else 5)
    across = min(across, len(tiles))
    down = -(-len(tiles) // across)
    gap, head = max(1, width // 10), max(2, height // 5)
    sheet = np.full((down * (height + head), across * (width + gap) - gap), np.nan)
    captions = []
    for index, (name, values) in enumerate(tiles):
        top, left = (index // across) * (height + head) + head, (index % across) * (width + gap)
        sheet[top : top + height, left : left + width] = values
        captions.append(
            note(
                name, x=left + (width - 1) / 2, y=top - 0.5, xref="x", yref="y",
                xanchor="center", yanchor="bottom", font={"size": 11},
            )
        )  # fmt: skip
    full = float(np.percentile(np.abs(weight), 99)) or float(np.abs(weight).max()) or 1.0
    heat = {
        "type": "heatmap",
        "z": [short(line, 3) for line in sheet],
        "zmin": -full,
        "zmid": 0,
        "zmax": full,
        "colorscale": DIVERGING,
        "colorbar": {
            "title": {"text": tr("weight"), "side": "top"}, "thickness": 10, "orientation": "h",
            "x": 0, "xanchor": "left", "len": 0.5, "nticks": 5,
            "y": 0, "yanchor": "top", "outlinewidth": 0,
        },
        "hoverongaps": False,
        "hovertemplate": "weight %{z:.3g}<extra></extra>",
    }  # fmt: skip
    hidden = {"visible": False, "constrain": "domain"}
    tall = min(WIDE, SIDE * across) * sheet.shape[0] / sheet.shape[1]
    return Figure(
        [heat],
        layout(
            text(title, 200),
            annotations=captions,
            xaxis={**hidden, "range": [-0.5, sheet.shape[1] - 0.5], "constraintoward": "left"},
            yaxis={
                **hidden, "range": [sheet.shape[0] - 0.5, -0.5], "scaleanchor": "x",
                "constraintoward": "top",
            },
            height=48 + 64 + round(tall),
            margin={"l": 8, "r": 8, "t": 48, "b": 64},
        ),
        columns,
    )  # fmt: skip


def coefficients(
    weight: Any, columns: Sequence[str], names: Sequence[Any], title: str, unit: str
) -> Figure:
    """The coefficients ``weight`` (outputs, columns) of a linear model, the largest first: bars,
    side by side for up to eight outputs, a heatmap for more.

    ``names`` are the names of the outputs, ``unit`` is the unit of a coefficient; both and
    ``title`` are plain text. The figure's ``columns``: ``output``, ``column``, ``coefficient``.
    """
    weight = np.asarray(weight, dtype=np.float64)
    if weight.shape != (len(names), len(columns)) or not weight.size:
        raise InputError(
            f"coefficients of shape {weight.shape} for {len(names)} outputs, {len(columns)} columns"
        )
    order = np.argsort(-np.abs(weight).max(0), kind="stable")
    whole = {
        "output": [name for name in names for _ in order],
        "column": [columns[i] for _ in names for i in order],
        "coefficient": weight[:, order].ravel().tolist(),
    }
    if len(order) > MAX_BARS:
        title += tr(", the {most} largest of {count}", most=MAX_BARS, count=f"{len(order):,}")
        order = order[:MAX_BARS]
    kept = weight[:, order]
    places = list(range(len(order)))
    ticks = {
        "tickvals": places,
        "ticktext": [text(columns[i], 32) for i in order],
        "range": [len(order) - 0.5, -0.5],
        "showgrid": False,
        "zeroline": False,
    }
    data: list[dict[str, Any]]
    if len(names) <= MAX_BESIDE:
        thick = 0.8 / len(names)
        data = [
            {
                "type": "bar",
                "orientation": "h",
                "name": text(name),
                "showlegend": len(names) > 1,
                "y": [round(p - 0.4 + thick * (index + 0.5), 4) for p in places],
                "x": short(kept[index]),
                "width": thick,
                "marker": {"color": color(index)},
                "hovertext": [
                    f"{text(columns[i])}<br>{kept[index, p]:.4g}" for p, i in enumerate(order)
                ],
                "hoverinfo": "text+name",
            }
            for index, name in enumerate(names)
        ]
        across = axis(text(unit))
    else:
        full = float(np.abs(kept).max()) or 1.0
        data = [
            {
                "type": "heatmap",
                "z": [short(line, 4) for line in kept.T],
                "zmin": -full,
                "zmid": 0,
                "zmax": full,
                "colorscale": DIVERGING,
                "colorbar": {"title": {"text": tr("coefficient")}, "thickness": 12},
                "hovertemplate": "%{y}<br>%{x}<br>%{z:.4g}<extra></extra>",
            }
        ]
        across = axis(
            text(unit),
            tickvals=list(range(len(names))),
            ticktext=[text(name, 18) for name in names],
        )
    height = 150 + max(120, (14 if len(names) < 3 else 8 * min(len(names), 8) + 6) * len(order))
    return Figure(
        data,
        layout(
            text(title, 200), xaxis=across, yaxis=axis(tr("column"), **ticks), height=height,
            barmode="overlay",
        ),
        whole,
    )  # fmt: skip


def _blocks(values: Array) -> Array:
    """A template of at most ``MAX_PIXELS`` per side: a larger one is averaged over blocks."""
    factor = -(-max(values.shape) // MAX_PIXELS)
    if factor == 1:
        return values
    height, width = (-(-size // factor) * factor for size in values.shape)
    padded = np.full((height, width), np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    blocks = padded.reshape(height // factor, factor, width // factor, factor)
    mean: Array = np.nanmean(blocks, axis=(1, 3))
    return mean
