"""The confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linnet.core.language import tr, trn
from linnet.errors import InputError
from linnet.figures._style import GRID, SEQUENTIAL, axis, layout
from linnet.figures.figure import Figure
from linnet.figures.plotly import text

MAX_SHOWN = 60
"""The most classes shown; of more, those with the most errors."""

MAX_COUNTED = 25
"""Up to this many classes, each cell shows its count."""


def confusion(classes: Sequence[Any], matrix: Sequence[Sequence[int]]) -> Figure:
    """The confusion matrix: counts by true class (down) and predicted class (across).

    The colour is the share of the true class; empty cells have no colour.

    ``matrix`` is (classes, classes), true class first. ``columns`` has every cell that is not
    empty: ``true``, ``predicted``, ``rows``, ``share`` of the true class.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    if counts.shape != (len(classes), len(classes)):
        raise InputError(f"a matrix of shape {counts.shape} for {len(classes)} classes")
    support = counts.sum(1)
    share = counts / np.maximum(support, 1)[:, None]
    true, predicted = (places.tolist() for places in np.nonzero(counts))
    columns = {
        "true": [classes[i] for i in true],
        "predicted": [classes[j] for j in predicted],
        "rows": counts[true, predicted].tolist(),
        "share": share[true, predicted].tolist(),
    }
    shown = np.arange(len(classes))
    title = tr("Confusion matrix")
    if len(classes) > MAX_SHOWN:
        off = counts - np.diag(np.diag(counts))
        errors = off.sum(0) + off.sum(1)
        shown = np.sort(np.argsort(-errors, kind="stable")[:MAX_SHOWN])
        title += tr(
            ", the {count} classes with the most errors of {all}",
            count=MAX_SHOWN,
            all=f"{len(classes):,}",
        )
    counts, share = counts[np.ix_(shown, shown)], share[np.ix_(shown, shown)]
    names = [text(classes[i], 24) for i in shown.tolist()]
    cells = range(len(shown))
    written = len(shown) <= MAX_COUNTED
    hover = [
        [
            f"{tr('true')} {names[i]}<br>{tr('predicted')} {names[j]}<br>"
            + tr(
                "{rows}, {share} of the true class",
                rows=trn("{n} row", "{n} rows", int(counts[i, j])),
                share=f"{100 * share[i, j]:.1f} %",
            )
            for j in cells
        ]
        for i in cells
    ]
    heat = {
        "type": "heatmap",
        "z": [
            [round(100 * share[i, j], 2) if counts[i, j] else None for j in cells] for i in cells
        ],
        "zmin": 0,
        "zmax": 100,
        "colorscale": SEQUENTIAL,
        "colorbar": {"title": {"text": tr("% of the<br>true class")}, "thickness": 12},
        "xgap": 1,
        "ygap": 1,
        "hovertext": hover,
        "hoverinfo": "text",
        "text": [[f"{counts[i, j]}" if counts[i, j] else "" for j in cells] for i in cells],
        **({"texttemplate": "%{text}"} if written else {}),
    }
    ticks = {
        "tickvals": list(cells),
        "ticktext": names,
        "range": [-0.5, len(names) - 0.5],
        "showgrid": False,
        "zeroline": False,
        "linecolor": GRID,
        "mirror": True,
        **({"tickfont": {"size": 8}} if len(names) > 30 else {}),
    }
    down = {**ticks, "range": [len(names) - 0.5, -0.5]}
    size = 170 + min(640, max(230, 34 * len(names)))
    return Figure(
        [heat],
        layout(
            title,
            xaxis=axis("predicted class", constrain="domain", **ticks),
            yaxis=axis("true class", scaleanchor="x", constrain="domain", **down),
            height=size,
        ),
        columns,
    )
