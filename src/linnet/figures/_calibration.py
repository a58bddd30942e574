"""Calibration: are predictions with a probability of 0.8 right in 80 % of the cases?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from linnet.core.language import tr, trn
from linnet.core.statistics import of_share, wilson
from linnet.errors import InputError
from linnet.figures._style import INK, Array, axis, layout, note, short
from linnet.figures.colors import COLORS
from linnet.figures.figure import Figure
from linnet.figures.plotly import text

BINS = 15

EDGES = [-0.02, 1.02]
"""The range of an axis of probabilities, with room for the points at its ends."""


@dataclass(frozen=True)
class Reliability:
    """Claimed probability and accuracy, in bins of equal width of the predicted probability.

    The probability is that of the predicted class, or of the class ``of``; ``accuracy`` is then the
    share of rows that are of it. Each array is (bins,), NaN for an empty bin.
    ``spread`` are the ends of each bin's interval, if rows depend on each other within groups.
    """

    low: Array
    high: Array
    rows: Array
    probability: Array
    accuracy: Array
    spread: tuple[Array, Array] | None = None

    @property
    def error(self) -> float:
        """The expected calibration error: the mean over all rows of the error of their bin."""
        gap = np.abs(self.accuracy - self.probability)
        return float(np.nansum(gap * self.rows) / self.rows.sum())

    def interval(self) -> tuple[Array, Array]:
        """The 95 % interval of each bin's accuracy: Wilson's (1927), or the one over groups."""
        if self.spread is not None:
            return self.spread
        n = np.where(self.rows > 0, self.rows, np.nan)
        return wilson(self.accuracy * n, n)


def reliability(
    y: Any, p: Any, bins: int = BINS, groups: Any = None, of: int | None = None
) -> Reliability:
    """The bins of class codes ``y`` (rows,) and probabilities ``p`` (rows, classes). ``groups``
    (rows,) are the groups within which rows may depend on each other. ``of`` is the code of the
    class whose probability is judged, by default the predicted one of each row.

    The m-th of M bins holds probabilities above (m - 1) / M up to m / M (Guo et al. 2017), and the
    first one also 0.
    """
    y, p = _checked(y, p)
    claimed, right = (p.max(1), p.argmax(1) == y) if of is None else (p[:, of], y == of)
    edges = np.arange(bins + 1) / bins
    place = np.clip(np.searchsorted(edges, claimed, side="left") - 1, 0, bins - 1)
    rows = np.bincount(place, minlength=bins)
    n = np.where(rows > 0, rows, np.nan)
    spread = None
    if groups is not None:
        groups, low, high = np.asarray(groups), np.full(bins, np.nan), np.full(bins, np.nan)
        for each in np.flatnonzero(rows):
            low[each], high[each] = of_share(right[place == each], groups[place == each])
        spread = low, high
    return Reliability(
        edges[:-1],
        edges[1:],
        rows,
        np.bincount(place, claimed, bins) / n,
        np.bincount(place, right, bins) / n,
        spread,
    )


def expected_calibration_error(y: Any, p: Any, bins: int = BINS) -> float:
    """The mean over rows of |accuracy - probability| of their bin (Guo et al. 2017), 0 to 1.

    ``y`` are class codes (rows,), ``p`` probabilities (rows, classes).
    """
    return reliability(y, p, bins).error


def brier_score(y: Any, p: Any) -> float:
    """Brier's score: of two classes the mean of (P(second class) - [it is of it])², 0 to 1, as in
    scikit-learn; of more Brier's (1950) own, 0 to 2: (p - 1)² for the true class plus p² for each
    other class, averaged over rows, which for two would be twice as much."""
    y, p = _checked(y, p)
    if p.shape[1] == 2:
        return float(((p[:, 1] - (y == 1)) ** 2).mean())
    return float(((p - np.eye(p.shape[1])[y]) ** 2).sum(1).mean())


def calibration(
    y: Any, p: Any, classes: Sequence[Any], groups: Any = None, others: float = 0.0
) -> Figure:
    """How often the predicted class is right, by its probability, with 95 % confidence intervals;
    of two classes how many rows are of the second one, by its probability.

    Below that the number of rows; in the title ECE (15 bins) and Brier's score.

    ``y`` are class codes (rows,), ``p`` probabilities (rows, classes). If rows depend on each other
    within ``groups`` (rows,), the intervals are over groups. ``others`` is the part of Brier's
    score of classes that ``p`` leaves out.
    """
    if np.asarray(p).shape[1:] != (len(classes),):
        raise InputError(f"p is {np.asarray(p).shape} for {len(classes)} classes")
    two = len(classes) == 2 and not others
    found = reliability(y, p, groups=groups, of=1 if two else None)
    score = brier_score(y, p) + others
    low, high = found.interval()
    filled = found.rows > 0
    rows = found.rows[filled]
    hover = [
        tr("probability {low} to {high}", low=f"{a:.2f}", high=f"{b:.2f}")
        + f"<br>{trn('{n} row', '{n} rows', int(n))}<br>"
        + (
            tr("predicted {share}, true {held}", share=f"{100 * c:.1f} %", held=f"{100 * r:.1f} %")
            if two
            else tr("said {share}, right {held}", share=f"{100 * c:.1f} %", held=f"{100 * r:.1f} %")
        )
        + "<br>"
        + tr("95 % interval {low} to {high} %", low=f"{100 * u:.0f}", high=f"{100 * v:.0f}")
        for a, b, n, c, r, u, v in zip(
            found.low[filled], found.high[filled], rows, found.probability[filled],
            found.accuracy[filled], low[filled], high[filled], strict=True,
        )
    ]  # fmt: skip
    line = {"color": INK, "width": 1, "dash": "dot"}
    claimed = short(found.probability[filled])
    common = {"hovertext": hover, "hoverinfo": "text", "showlegend": False}
    data = [
        {
            "type": "scatter", "x": [0, 1], "y": [0, 1], "mode": "lines", "line": line,
            "hoverinfo": "skip", "showlegend": False, "xaxis": "x", "yaxis": "y",
        },
        {
            "type": "scatter", "x": claimed, "y": short(found.accuracy[filled]), "xaxis": "x",
            "yaxis": "y", "mode": "lines+markers", "line": {"color": COLORS[0], "width": 2},
            "marker": {"size": 8, "color": COLORS[0]},
            "error_y": {
                "type": "data", "symmetric": False, "thickness": 1, "width": 3,
                "array": short((high - found.accuracy)[filled]),
                "arrayminus": short((found.accuracy - low)[filled]),
            },
            **common,
        },
        {
            "type": "bar", "x": short(((found.low + found.high) / 2)[filled]), "y": rows.tolist(),
            "width": 0.9 / BINS, "marker": {"color": COLORS[0]}, "xaxis": "x2", "yaxis": "y2",
            **common,
        },
    ]  # fmt: skip
    total = int(found.rows.sum())
    told = {"error": f"{found.error:.4f}", "score": f"{score:.4f}", "rows": f"{total:,}"}
    title = tr("ECE {error} · Brier score {score} (over all classes) · {rows} rows", **told)
    if two:
        title = tr("ECE {error} · Brier score {score} · {rows} rows", **told)
    if groups is not None:
        title += tr(" in {count} groups", count=f"{len(np.unique(groups)):,}")
    columns = {
        "low": found.low.tolist(), "high": found.high.tolist(), "rows": found.rows.tolist(),
        "probability": _listed(found.probability), "accuracy": _listed(found.accuracy),
        "accuracy_low": _listed(low), "accuracy_high": _listed(high),
    }  # fmt: skip
    words = f"P({text(classes[1], 24)})" if two else tr("probability of the predicted class")
    share = tr("share that is right")
    if two:
        share = tr("share that is {name}", name=text(classes[1], 24))
    figure_layout = layout(
        title,
        xaxis=axis(
            words,
            range=EDGES,
            domain=[0, 0.5],
            anchor="y",
            constrain="domain",
            constraintoward="left",
        ),
        yaxis=axis(share, range=EDGES, anchor="x", scaleanchor="x", constrain="domain"),
        xaxis2=axis(words, range=EDGES, domain=[0.62, 1], anchor="y2"),
        yaxis2=axis(tr("rows"), anchor="x2"),
        height=430,
        bargap=0,
    )
    away = {"xref": "x", "yref": "y", "xanchor": "right", "yanchor": "top", "font": {"size": 10}}
    over = note(
        tr("below the dotted line: too high") if two else tr("below the dotted line: too sure"),
        x=1, y=0.06, **away,
    )  # fmt: skip
    return Figure(data, {**figure_layout, "annotations": [over]}, columns)


def _checked(y: Any, p: Any) -> tuple[Array, Array]:
    """Class codes (rows,) and probabilities (rows, classes); raises if they do not fit."""
    y, p = np.asarray(y, dtype=np.int64), np.asarray(p, dtype=np.float64)
    if p.ndim != 2 or y.shape != p.shape[:1] or not len(y):
        raise InputError(
            f"y is {y.shape} and p {p.shape}; expected class codes (rows,) and probabilities "
            "(rows, classes), one row or more"
        )
    if not np.isfinite(p).all() or p.min() < 0 or p.max() > 1 + 1e-9:
        raise InputError("p holds values that are not probabilities; expected numbers from 0 to 1")
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise InputError(f"a class code is not from 0 to {p.shape[1] - 1}")
    return y, p


def _listed(values: Array) -> list[float | None]:
    """Numbers as they are, None for NaN."""
    return [v if np.isfinite(v) else None for v in values.tolist()]
