"""The mistakes of a model: sheets of pictures, rows of a table, residuals."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from linnet.core.language import tr, trn
from linnet.core.text import figure, likely
from linnet.errors import InputError
from linnet.figures._style import CLEAR, GRID, INK, Array, axis, layout, note, short
from linnet.figures.colors import COLORS
from linnet.figures.figure import Figure
from linnet.figures.plotly import text

ACROSS = 6
"""The pictures in a row of a sheet."""

CAPTION = 14
"""The characters in a line below a picture."""

LEAST_PIXELS, MOST_PIXELS = 56, 96
"""The height and width of a shown picture: small pictures are enlarged."""

MAX_COLUMNS = 20
"""The most columns of a table shown beside the prediction."""

MAX_POINTS = 5_000
"""The most points of a scatter plot; of more, every second, third, ... is shown."""


def worst(y: Any, prediction: Any, p: Any = None) -> Array:
    """The positions of the wrong predictions, most confident first; for numbers all positions, the
    largest error first.

    For classes, ``y`` and ``prediction`` are codes (rows,), and ``p`` is (rows, classes) or the
    probability of the predicted class (rows,). Without ``p`` they are numbers, (rows,) or (rows,
    targets).
    """
    y, prediction = np.asarray(y), np.asarray(prediction)
    if p is None:
        with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest float
            error = np.square(prediction - y).reshape(len(y), -1).sum(1)
        return np.argsort(-error, kind="stable")
    p = np.asarray(p)
    sure = p.max(1) if p.ndim == 2 else p
    wrong = np.nonzero(y != prediction)[0]
    return wrong[np.argsort(-sure[wrong], kind="stable")]


def mistakes(
    row: Sequence[int],
    true: Sequence[Any],
    predicted: Sequence[Any],
    probability: Sequence[float] | None = None,
    *,
    pictures: Any = None,
    table: Mapping[str, Sequence[Any]] | None = None,
    title: str = "Mistakes, the surest first",
) -> Figure:
    """These rows in this order: a sheet of pictures, or else a table.

    ``true`` and ``predicted`` are labels or numbers, ``probability`` is that of the prediction.
    ``pictures`` are uint8 (rows, channels, height, width), ``table`` has further columns by name.
    ``title`` is plain text.
    """
    columns: dict[str, list[Any]] = {
        "row": [int(n) for n in row],
        "true": list(true),
        "predicted": list(predicted),
    }
    if probability is not None:
        columns["probability"] = [float(value) for value in probability]
    if len({len(values) for values in columns.values()}) != 1:
        raise InputError("row, true, predicted and probability differ in length")
    if not columns["row"]:
        words = note(text(title, 300), x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 14})
        hidden = {"visible": False}
        nothing = layout("", height=160, xaxis=hidden, yaxis=hidden, annotations=[words])
        return Figure([], nothing, columns)
    if pictures is not None:
        return _sheet(columns, np.asarray(pictures), title)
    more = {name: list(values) for name, values in (table or {}).items()}
    return _table(columns, more, title)


def residuals(true: Any, predicted: Any, targets: Sequence[str], row: Any = None) -> Figure:
    """Predicted against true numbers, (rows,) or (rows, targets), with the diagonal of no error.

    ``columns``: ``row``, ``target``, ``true``, ``predicted``, ``residual`` (true - predicted).
    """
    true, predicted = np.asarray(true, np.float64), np.asarray(predicted, np.float64)
    if true.shape != predicted.shape or not len(true):
        raise InputError(f"true is {true.shape}, predicted {predicted.shape}; expected one shape")
    true, predicted = true.reshape(len(true), -1), predicted.reshape(len(true), -1)
    if true.shape[1] != len(targets):
        raise InputError(f"{true.shape[1]} columns of numbers for {len(targets)} targets")
    numbers = list(range(len(true))) if row is None else [int(n) for n in row]
    stride = -(-true.size // MAX_POINTS)
    both = np.concatenate([true, predicted])
    ends = short(np.array([both.min(), both.max()]))
    diagonal = {
        "type": "scatter", "x": ends, "y": ends, "mode": "lines", "hoverinfo": "skip",
        "line": {"color": INK, "width": 1, "dash": "dot"}, "showlegend": False,
    }  # fmt: skip
    data: list[dict[str, Any]] = [diagonal]
    columns: dict[str, list[Any]] = {
        key: [] for key in ("row", "target", "true", "predicted", "residual")
    }
    for index, target in enumerate(targets):
        data.append(
            {
                "type": "scatter",
                "name": text(target),
                "showlegend": len(targets) > 1,
                "x": short(true[::stride, index]),
                "y": short(predicted[::stride, index]),
                "customdata": numbers[::stride],
                "mode": "markers",
                "marker": {"size": 6, "color": COLORS[index % len(COLORS)], "opacity": 0.6},
                "hovertemplate": tr("row {row}", row="%{customdata}")
                + f"<br>{tr('true')} %{{x:,.6~r}}<br>{tr('predicted')} %{{y:,.6~r}}",
            }
        )
        columns["row"] += numbers
        columns["target"] += [target] * len(true)
        columns["true"] += true[:, index].tolist()
        columns["predicted"] += predicted[:, index].tolist()
        columns["residual"] += (true - predicted)[:, index].tolist()
    told = trn("{n} row", "{n} rows", len(true))
    if stride > 1:
        told = tr("1 in {stride} of {rows} rows", stride=stride, rows=f"{len(true):,}")
    name = text(targets[0]) if len(targets) == 1 else "target"
    return Figure(
        data,
        layout(
            tr("Predicted against true, {rows}", rows=told),
            xaxis=axis(tr("true {name}", name=name)),
            yaxis=axis(tr("predicted {name}", name=name)),
            height=460,
        ),
        columns,
    )


def picture_png(picture: Any, brightest: int = 255) -> bytes:
    """A picture, uint8 (channels, height, width), as a small PNG. If ``brightest`` is below 128, as
    in data with 16 shades of grey, the picture is stretched to white."""
    from PIL import Image

    pixels = np.asarray(picture)
    if pixels.ndim != 3 or pixels.dtype != np.uint8:
        raise InputError(f"{pixels.dtype} {pixels.shape} is not uint8 (channels, height, width)")
    if 0 < brightest < 128:
        pixels = np.minimum(pixels.astype(np.float64) * (255 / brightest), 255).astype(np.uint8)
    pixels = pixels.transpose(1, 2, 0)
    pixels = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., 0]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    larger = max(image.size)
    if larger < LEAST_PIXELS:
        factor = -(-LEAST_PIXELS // larger)
        image = image.resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
    elif larger > MOST_PIXELS:
        image.thumbnail((MOST_PIXELS, MOST_PIXELS))
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def data_uri(png: bytes) -> str:
    """A PNG as a ``data:`` address."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _sheet(columns: dict[str, list[Any]], pictures: Array, title: str) -> Figure:
    """Pictures on a grid, one unit wide each, with a caption below."""
    count = len(columns["row"])
    if len(pictures) != count:
        raise InputError(f"{len(pictures)} pictures for {count} rows")
    pairs = [
        (_shown(true), _shown(predicted))
        for true, predicted in zip(columns["true"], columns["predicted"], strict=True)
    ]
    long = max(len(true) + len(predicted) for true, predicted in pairs) > CAPTION - 3
    across, step = min(ACROSS, count), 1.55 if long else 1.35
    down = -(-count // across)
    brightest = int(pictures.max())
    images, captions, hover, xs, ys = [], [], [], [], []
    for index in range(count):
        left, top = float(index % across), -step * (index // across)
        images.append(
            {
                "source": data_uri(picture_png(pictures[index], brightest)),
                "xref": "x", "yref": "y", "x": left + 0.05, "y": top, "sizex": 0.9, "sizey": 0.9,
                "xanchor": "left", "yanchor": "top", "sizing": "contain", "layer": "below",
            }
        )  # fmt: skip
        true, predicted = pairs[index]
        sure = columns["probability"][index] if "probability" in columns else None
        what = f"{text(true, CAPTION)}{'<br>' if long else ' '}→ {text(predicted, CAPTION - 2)}"
        captions.append(what if sure is None else f"{what}<br>{100 * sure:.0f} %")
        label = tr("row {row}", row=columns["row"][index]) + f"<br>{tr('true')} {text(true)}"
        label += f"<br>{tr('predicted')} {text(predicted)}"
        label += "" if sure is None else f"<br>{tr('probability')} {likely(sure)}"
        hover.append(label)
        xs.append(left + 0.5)
        ys.append(top - 0.9)
    points = {
        "type": "scatter", "x": xs, "y": [y + 0.45 for y in ys], "mode": "markers",
        "marker": {"size": 48, "opacity": 0, "symbol": "square"}, "hovertext": hover,
        "hoverinfo": "text", "showlegend": False,
    }  # fmt: skip
    words = {
        "type": "scatter", "x": xs, "y": ys, "mode": "text", "text": captions, "hoverinfo": "skip",
        "textposition": "bottom center", "textfont": {"size": 11}, "showlegend": False,
    }  # fmt: skip
    hidden = {"visible": False, "fixedrange": True}
    return Figure(
        [points, words],
        layout(
            tr("{title}: true → predicted, probability", title=text(title, 200)),
            images=images,
            xaxis={**hidden, "range": [0, across], "constrain": "domain"},
            yaxis={**hidden, "range": [-step * down, 0.05], "scaleanchor": "x"},
            height=70 + 120 * down,
            margin={"l": 8, "r": 8, "t": 48, "b": 8},
        ),
        columns,
    )


def _table(columns: dict[str, list[Any]], more: dict[str, list[Any]], title: str) -> Figure:
    """Rows of a table; the prediction comes first."""
    shown = dict(list(more.items())[:MAX_COLUMNS])
    hidden = len(more) - len(shown)
    parts = {**columns, **{f"{name} " if name in columns else name: v for name, v in shown.items()}}
    title += tr(" ({count} more columns are in the numbers)", count=hidden) if hidden else ""
    cells = [[text(_shown(value), 60) for value in values] for values in parts.values()]
    style = {"line": {"color": GRID}, "fill": {"color": CLEAR}, "align": "left"}
    table = {
        "type": "table",
        "header": {"values": [text(name) for name in parts], **style, "fill": {"color": GRID}},
        "cells": {"values": cells, **style, "height": 24},
    }
    whole = {**columns, **{f"{name} " if name in columns else name: v for name, v in more.items()}}
    height = 120 + 24 * min(len(columns["row"]), 25)
    return Figure([table], layout(text(title, 200), height=height), whole)


def _shown(value: Any) -> str:
    """A value as text for people."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(map(_shown, value))
    return figure(float(value)) if isinstance(value, (float, np.floating)) else str(value)
