"""How columns go together and with the target, and where values are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from linnet.core.language import tr, trn
from linnet.core.randomness import derive
from linnet.core.text import percent
from linnet.errors import InputError
from linnet.figures._data import LARGEST, Variable
from linnet.figures._style import DIVERGING, INK, SEQUENTIAL, Array, Json, axis, layout, short
from linnet.figures.colors import COLORS
from linnet.figures.figure import Figure
from linnet.figures.plotly import text

MAX_SHOWN = 30
"""The most columns in a figure; of more, those that go most with the target."""

MAX_COLUMNS = 500
"""The most columns that are compared with the target."""

MAX_ROWS = 50_000
"""The most rows that are compared; of more, a random sample."""

PALE = 0.6
"""The opacity of a matrix whose cells have numbers, so that these can be read on light and dark."""

BLOCKS = 60
"""The blocks of rows in the picture of what is missing."""

FEWEST = 3
"""The fewest rows for a measure of association."""


class Association(NamedTuple):
    """How two columns go together: ``value`` from -1 to 1 for numbers, else from 0 to 1; NaN where
    one of them does not vary. ``measure`` names it."""

    value: float
    measure: str


def statistics(column: Variable) -> dict[str, float]:
    """Mean, deviation, median, quartiles and the share of zeros of a column of numbers, without
    missing values; empty for others."""
    values = column.values[np.isfinite(column.values)]
    values = values[np.abs(values) <= LARGEST]
    if column.discrete or column.kind == "date" or not len(values):
        return {}
    low, median, high = (float(each) for each in np.quantile(values, (0.25, 0.5, 0.75)))
    return {
        "mean": float(values.mean()),
        "deviation": float(values.std()),
        "low": low,
        "median": median,
        "high": high,
        "zeros": float((values == 0).mean()),
    }


def association(one: Variable, other: Variable) -> Association:
    """How two columns go together, on the rows where both are known.

    Of two columns of numbers Pearson's correlation (1895), of two of categories Cramér's V (1946)
    with Bergsma's correction for chance (2013, Journal of the Korean Statistical Society 42,
    323-328), of a number and categories Pearson's correlation ratio (1905): the root of the share
    of the variance that lies between the categories.
    """
    known = _known(one) & _known(other)
    a, b = one.values[known], other.values[known]
    if one.discrete and other.discrete:
        return Association(_cramer(a, b), tr("Cramér's V"))
    if one.discrete or other.discrete:
        codes, numbers = (a, b) if one.discrete else (b, a)
        return Association(_ratio(codes, numbers), tr("correlation ratio"))
    return Association(_pearson(a, b), tr("correlation"))


def _known(column: Variable) -> Array:
    found: Array = np.isfinite(column.values) & (np.abs(column.values) <= LARGEST)
    return found & (column.values >= 0) if column.discrete else found


def _pearson(a: Array, b: Array) -> float:
    if len(a) < FEWEST:
        return float("nan")
    a, b = a - a.mean(), b - b.mean()
    a, b = a / (np.abs(a).max() or 1.0), b / (np.abs(b).max() or 1.0)
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip((a @ b) / size, -1, 1)) if size else float("nan")


def _ratio(codes: Array, numbers: Array) -> float:
    if len(codes) < FEWEST:
        return float("nan")
    numbers = numbers - numbers.mean()
    numbers = numbers / (np.abs(numbers).max() or 1.0)
    _, place = np.unique(codes, return_inverse=True)
    rows = np.bincount(place)
    means = np.bincount(place, numbers) / rows
    whole = float(numbers @ numbers)
    if not whole or len(rows) < 2:
        return float("nan")
    return float(np.sqrt(np.clip((rows * means**2).sum() / whole, 0, 1)))


def _cramer(a: Array, b: Array) -> float:
    _, left = np.unique(a, return_inverse=True)
    _, right = np.unique(b, return_inverse=True)
    if len(a) < FEWEST or not left.any() or not right.any():
        return float("nan")
    down, across, rows = int(left.max()) + 1, int(right.max()) + 1, len(a)
    counts = np.bincount(left * across + right, minlength=down * across).reshape(down, across)
    expected = np.outer(counts.sum(1), counts.sum(0)) / rows
    square = float((counts**2 / expected).sum()) / rows - 1.0
    own = max(0.0, square - (down - 1) * (across - 1) / (rows - 1))
    least = min(size - (size - 1) ** 2 / (rows - 1) for size in (down, across)) - 1
    return float(np.sqrt(min(1.0, own / least))) if least > 0 else float("nan")


def _sampled(columns: Sequence[Variable], seed: int) -> list[Variable]:
    """The same columns, of at most ``MAX_ROWS`` rows."""
    rows = len(columns[0].values) if columns else 0
    if rows <= MAX_ROWS:
        return list(columns)
    draws = np.random.default_rng(derive(seed, "associations"))
    kept = np.sort(draws.choice(rows, MAX_ROWS, replace=False))
    return [
        Variable(one.name, one.kind, one.values[kept], one.categories, one.ordered)
        for one in columns
    ]


def with_target(
    columns: Sequence[Variable], target: Variable, *, seed: int = 0
) -> dict[str, Association]:
    """How each of the first ``MAX_COLUMNS`` columns goes with the target, by name."""
    *some, own = _sampled([*columns[:MAX_COLUMNS], target], seed)
    return {one.name: association(one, own) for one in some}


def target_bars(found: dict[str, Association], target: str) -> Figure:
    """How each column goes with the target, the strongest first.

    ``columns``: ``column``, ``association``, ``measure``.
    """
    kept = [(name, each) for name, each in found.items() if np.isfinite(each.value)]
    if not kept:
        raise InputError(tr("no column varies together with the target"))
    kept.sort(key=lambda pair: -abs(pair[1].value))
    shown = kept[:MAX_SHOWN]
    data = [
        {
            "type": "bar", "orientation": "h", "name": measure, "width": 0.75,
            "y": [place for place, (_, each) in enumerate(shown) if each.measure == measure],
            "x": short(np.array([each.value for _, each in shown if each.measure == measure]), 4),
            "marker": {"color": COLORS[index]}, "showlegend": True,
            "hovertext": [text(n) for n, each in shown if each.measure == measure],
            "hoverinfo": "text+x+name",
        }
        for index, measure in enumerate(dict.fromkeys(each.measure for _, each in shown))
    ]  # fmt: skip
    ticks = {
        "tickvals": list(range(len(shown))), "ticktext": [text(name, 28) for name, _ in shown],
        "range": [len(shown) - 0.5, -0.5], "showgrid": False, "zeroline": False,
    }  # fmt: skip
    title = tr("With {target}, the strongest first", target=text(target))
    if len(shown) < len(kept):
        title += tr(": the first {count} of {all}", count=len(shown), all=f"{len(kept):,}")
    low = -1.02 if any(each.value < 0 for _, each in shown) else 0
    return Figure(
        data,
        layout(
            title, xaxis=axis(tr("association"), range=[low, 1.02]), barmode="overlay",
            yaxis=axis(tr("column"), **ticks), height=150 + max(100, 22 * len(shown)),
        ),
        {
            "column": [name for name, _ in kept],
            "association": [each.value for _, each in kept],
            "measure": [each.measure for _, each in kept],
        },
    )  # fmt: skip


def associations(columns: Sequence[Variable], *, seed: int = 0) -> Figure:
    """How the columns go together, each with each: a matrix whose colour is the association.

    ``columns``: ``column``, ``other``, ``association``, ``measure``, for each pair.
    """
    if len(columns) < 2:
        raise InputError(tr("there are no two columns to compare"))
    some = _sampled(columns[:MAX_SHOWN], seed)
    count = len(some)
    names = [text(one.name, 20) for one in some]
    z: list[list[float | None]] = [[None] * count for _ in some]
    hover = [[names[i] if i == j else "" for j in range(count)] for i in range(count)]
    pairs = []
    for i, one in enumerate(some):
        for j, other in enumerate(some[:i]):
            found = association(one, other)
            value = float(found.value) if np.isfinite(found.value) else None
            pairs.append((one.name, other.name, value, found.measure))
            z[i][j] = z[j][i] = None if value is None else round(value, 4)
            told = "–" if value is None else f"{value:.3f}"
            hover[i][j] = hover[j][i] = f"{names[i]}<br>{names[j]}<br>{found.measure} {told}"
    signed = any(value is not None and value < 0 for _, _, value, _ in pairs)
    heat = {
        "type": "heatmap", "z": z, "zmin": -1 if signed else 0, "zmax": 1,
        "colorscale": DIVERGING if signed else SEQUENTIAL, "opacity": PALE, "xgap": 1, "ygap": 1,
        "colorbar": {"title": {"text": tr("association")}, "thickness": 12},
        "hovertext": hover, "hoverinfo": "text",
        "text": [["" if v is None else f"{v:.2f}" for v in row] for row in z],
        **({"texttemplate": "%{text}", "textfont": {"color": INK}} if count <= 12 else {}),
    }  # fmt: skip
    ticks = {
        "tickvals": list(range(count)), "ticktext": names, "showgrid": False, "zeroline": False,
    }  # fmt: skip
    title = tr("correlation of numbers, Cramér's V of categories, correlation ratio of both")
    if count < len(columns):
        title += tr(" · the first {count} of {all}", count=count, all=f"{len(columns):,}")
    side = 150 + max(200, min(760, (48 if count <= 12 else 30) * count))
    keys = ("column", "other", "association", "measure")
    return Figure(
        [heat],
        layout(
            title, height=side,
            xaxis=axis(tr("column"), range=[-0.5, count - 0.5], constrain="domain",
                       constraintoward="left", **ticks),
            yaxis=axis(
                tr("column"), range=[count - 0.5, -0.5], scaleanchor="x", constrain="domain",
                **ticks,
            ),
        ),
        {key: [pair[place] for pair in pairs] for place, key in enumerate(keys)},
    )  # fmt: skip


def absent(columns: Sequence[Variable]) -> Figure:
    """Where values are missing: a row for each column that has such, the rows of the data from left
    to right, in blocks; the colour is the share of a block that is missing.

    ``columns``: ``column``, ``from`` and ``to`` (rows), ``missing`` (share). Raises ``InputError``
    if nothing is missing.
    """
    shares = {one.name: float(np.isnan(one.values).mean()) for one in columns}
    holed = sorted((one for one in columns if shares[one.name]), key=lambda one: -shares[one.name])
    if not holed:
        raise InputError(tr("Nothing is missing."))
    shown = holed[:MAX_SHOWN]
    rows = len(columns[0].values)
    edges = np.unique(np.linspace(0, rows, min(BLOCKS, rows) + 1).astype(np.int64))
    spans = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    z = [[float(np.isnan(one.values[begin:end]).mean()) for begin, end in spans] for one in shown]
    names = [f"{text(one.name, 20)} · {percent(shares[one.name])}" for one in shown]
    heat: Json = {
        "type": "heatmap", "zmin": 0, "zmax": 1,
        "colorscale": [[0, f"{COLORS[0]}00"], [1, f"{COLORS[0]}ff"]],
        "z": [[round(value, 4) for value in line] for line in z], "xgap": 0, "ygap": 2,
        "x": [round((begin + end) / 2, 1) for begin, end in spans],
        "colorbar": {"title": {"text": tr("share missing")}, "thickness": 12},
        "hovertext": [
            [f"{name}<br>{begin:,} – {end - 1:,}: {percent(value)}"
             for value, (begin, end) in zip(line, spans, strict=True)]
            for name, line in zip(names, z, strict=True)
        ],
        "hoverinfo": "text",
    }  # fmt: skip
    ticks = {
        "tickvals": list(range(len(shown))), "ticktext": names, "showgrid": False,
        "range": [len(shown) - 0.5, -0.5], "zeroline": False,
    }  # fmt: skip
    title = tr(
        "{columns} of {all} have missing values",
        columns=trn("{n} column", "{n} columns", len(holed)), all=f"{len(columns):,}",
    )  # fmt: skip
    return Figure(
        [heat],
        layout(
            title, height=150 + 26 * len(shown),
            xaxis=axis(tr("row"), range=[0, rows], showgrid=False, zeroline=False),
            yaxis=axis(tr("column"), **ticks),
        ),
        {
            "column": [one.name for one in shown for _ in spans],
            "from": [begin for _ in shown for begin, _ in spans],
            "to": [end for _ in shown for _, end in spans],
            "missing": [value for line in z for value in line],
        },
    )  # fmt: skip


def described(column: Variable, found: Association | None) -> list[Any]:
    """Cells for a table of columns: mean, quartiles with the median, zeros, and how it goes with
    the target."""
    told = statistics(column)
    cells: list[Any] = [None, None, None]
    if told:
        quartiles = [told["low"], told["median"], told["high"]]
        cells = [told["mean"], quartiles, percent(told["zeros"])]
    known = found is not None and np.isfinite(found.value)
    return [*cells, f"{found.value:.3f} ({found.measure})" if known and found else None]
