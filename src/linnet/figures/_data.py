"""Pictures of the data: samples of each class, or the distributions of columns."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from linnet.core.language import tr, trn
from linnet.core.randomness import derive
from linnet.core.text import figure
from linnet.errors import InputError
from linnet.figures._mistakes import data_uri, picture_png
from linnet.figures._style import GRID, Array, Json, color, layout, note, short
from linnet.figures.colors import COLORS
from linnet.figures.figure import Figure
from linnet.figures.plotly import text

if TYPE_CHECKING:
    from linnet.data.column import Column
    from linnet.data.dataset import Dataset

ACROSS = 10
"""Pictures per class."""

HALVED, BESIDE = 5, 0.6
"""From so many classes on, half of them are beside the others, so many pictures away. A page puts
them one below the other where there is little room."""

PAPER = 1160
"""The width in pixels that a sheet fills."""

MAX_SHEET = 20
"""The most classes of pictures shown; of more, the most frequent."""

MAX_BYTES = 1_500_000
"""The most pixels of a sheet; of large pictures it shows fewer per class."""

RANGES = 5
"""The number of ranges of a numeric target that take the place of classes for pictures."""

MAX_PANELS = 24
"""The most columns shown; of more, those that say most about the target."""

MAX_COLUMNS = 500
"""The most columns that are compared with the target."""

MAX_ROWS, MAX_VALUES = 200_000, 10_000_000
"""The most rows, and the most values in all columns; of more rows, a random sample."""

BINS = 24
"""The bins for the numbers of a column."""

FEW = 10
"""Up to this many whole numbers, each has a tick on the axis."""

LARGEST = 1e100
"""Larger numbers are not drawn: their differences may overflow."""

FAR = 10
"""Outliers are not drawn if they make the range this many times as wide as that of 98 %."""

MAX_GROUPS = 8
"""The most classes shown separately; of more, the others are one group."""

LINES = {1: 6, 2: 6, 3: 5, 4: 5}
"""The most categories of a column shown, by the number of classes."""

LEAST_ROWS = 5
"""The rows that the mean of a target needs."""

LETTERS = 50
"""The characters in a line above a figure: the width of a phone."""

FACTS = 32
"""The characters in a line of facts above a panel."""

HEAD, PANEL, FOOT, BETWEEN = 34, 150, 24, 18
"""Heights in pixels: name and facts of a column, its panel, the axis labels inside it, and the
space to the next panel."""

GUTTER = 0.06
"""The space between two columns of panels, as a share of the width."""

QUIET = {"fixedrange": True, "linecolor": GRID, "gridcolor": GRID, "tickfont": {"size": 10}}
"""The settings of the axes of all panels."""

YES = ("no", "yes")

ON_PAPER = {"xref": "paper", "yref": "paper", "xanchor": "left", "align": "left", "borderpad": 0}


@dataclass(frozen=True)
class Variable:
    """A column, or the target: ``values`` (rows,) in float64, NaN where missing.

    For the kinds "category" and "boolean" the values are indices into ``categories``, for "date"
    seconds since 1970. ``ordered`` categories are shown in their order.
    """

    name: str
    kind: str
    values: Array
    categories: tuple[str, ...] = ()
    ordered: bool = False

    @property
    def discrete(self) -> bool:
        """Whether the values are categories."""
        return self.kind in ("category", "boolean")


def look(data: Dataset) -> Figure:
    """A figure of ``data``: ``samples`` of pictures, else ``distributions`` of columns."""
    columns, target, left = columns_of(data)
    if data.schema.example == "picture":
        return samples(data.x.detach().cpu().numpy(), *_sorted(target, len(data)))
    return distributions(columns, target, left_out=left)


def columns_of(data: Dataset) -> tuple[list[Variable], Variable | None, list[str]]:
    """The columns of ``data`` (none of pictures), its target (the first of several), and the names
    of the columns that are left out."""
    schema = data.schema
    x, y = data.x.detach().cpu().numpy(), data.codes.detach().cpu().numpy()
    target = None
    if schema.task == "classification":
        target = Variable(schema.targets[0], "category", y.astype(np.float64), schema.names)
    elif y.size:
        numbers = y.reshape(len(y), -1)[:, 0].astype(np.float64)
        target = Variable(schema.targets[0], "number", numbers)
    if schema.example == "picture":
        return [], target, []
    if schema.example == "record":
        columns, left = variables(schema.fields, x)
        return columns, target, left
    columns = [
        Variable(name, "number", x[:, i].astype(np.float64))
        for i, name in enumerate(schema.columns)
    ]
    return columns, target, []


def variables(fields: Sequence[Column], records: Array) -> tuple[list[Variable], list[str]]:
    """The used columns of a table with ``records`` (rows, used columns), and the names of the
    other columns."""
    used = [field for field in fields if field.used]
    found = [
        Variable(
            field.name,
            field.kind,
            records[:, index],
            YES if field.kind == "boolean" else field.categories,
            field.numeric,
        )
        for index, field in enumerate(used)
    ]
    return found, [field.name for field in fields if not field.used]


# ---- pictures


def samples(pictures: Any, codes: Any, classes: Sequence[Any], *, seed: int = 0) -> Figure:
    """A row of pictures for each class, drawn at random by ``seed``.

    ``pictures`` are uint8 (rows, channels, height, width), ``codes`` (rows,) indices into
    ``classes``. ``columns``, for every class: its ``rows``, their ``share``, and the row numbers of
    those ``shown``, as text.
    """
    pictures, codes = np.asarray(pictures), np.asarray(codes)
    if len(pictures) != len(codes) or not len(codes):
        raise InputError(f"{len(pictures)} pictures for {len(codes)} codes of classes")
    counts = np.bincount(codes, minlength=len(classes))
    order = np.random.default_rng(derive(seed, "samples")).permutation(len(codes))
    there = np.nonzero(counts)[0]
    kept = np.sort(there[np.argsort(-counts[there], kind="stable")[:MAX_SHEET]]).tolist()
    chosen = {code: order[codes[order] == code][:ACROSS].tolist() for code in kept}
    brightest = max(int(pictures[rows].max()) for rows in chosen.values())
    sources: dict[int, str] = {}
    size = 0
    for place in range(ACROSS):
        some = [rows[place] for rows in chosen.values() if place < len(rows)]
        made = {row: data_uri(picture_png(pictures[row], brightest)) for row in some}
        size += sum(map(len, made.values()))
        if place and size > MAX_BYTES:
            break
        sources |= made
    chosen = {code: [r for r in rows if r in sources] for code, rows in chosen.items()}
    step, wide = 1.42, max(map(len, chosen.values()))
    lines = len(chosen) if len(chosen) < HALVED else -(-len(chosen) // 2)
    right = wide + BESIDE
    images, hover, xs, ys, names = [], [], [], [], []
    for line, (code, rows) in enumerate(chosen.items()):
        left, top = right * (line // lines), -step * (line % lines) - 0.42
        name = text(classes[code], 30)
        number = int(counts[code])
        what = f"{name} · {_rows(number)}, {_percent(counts[code] / len(codes))}"
        names.append(
            note(
                what, x=left, y=round(top + 0.03, 2), xref="x", yref="y", xanchor="left",
                yanchor="bottom", borderpad=0, font={"size": 11},
            )
        )  # fmt: skip
        for place, row in enumerate(rows):
            images.append(
                {
                    "source": sources[row],
                    "xref": "x", "yref": "y", "x": left + place, "y": top,
                    "sizex": 0.94, "sizey": 0.94,
                    "xanchor": "left", "yanchor": "top", "sizing": "contain", "layer": "below",
                }
            )  # fmt: skip
            xs.append(left + place + 0.47)
            ys.append(round(top - 0.47, 2))
            hover.append(tr("row {row}", row=row) + f"<br>{name}")
    points = {
        "type": "scatter", "x": xs, "y": ys, "mode": "markers", "hovertext": hover,
        "marker": {"size": 30, "opacity": 0, "symbol": "square"}, "hoverinfo": "text",
        "showlegend": False,
    }  # fmt: skip
    told = [tr("{count} of each class, drawn at random", count=wide)]
    if len(kept) < len(there):
        total = f"{len(there):,}"
        told.append(
            tr("the {count} most frequent of {total} classes", count=len(kept), total=total)
        )
    if len(there) < len(classes):
        absent = len(classes) - len(there)
        told.append(trn("{n} class has no row", "{n} classes have no row", absent))
    head = trn("Samples of {n} picture", "Samples of {n} pictures", len(codes))
    title, below, above = _head(head, told)
    hidden = {"visible": False, "fixedrange": True, "constrain": "domain"}
    across = wide if lines == len(chosen) else right + wide
    pixels = min(100, PAPER // across)
    halves = {} if across == wide else {"meta": {"halves": [wide, right, step * lines]}}
    return Figure(
        [points],
        layout(
            "",
            images=images,
            annotations=[below, *names],
            xaxis={**hidden, "range": [0, across], "constraintoward": "left"},
            yaxis={
                **hidden, "range": [-step * lines, 0], "scaleanchor": "x",
                "constraintoward": "top",
            },
            height=above + 8 + round(pixels * step * lines), **halves,
            margin={"l": 8, "r": 8, "t": above, "b": 8},
        )
        | {"title": title},
        {
            "class": list(classes),
            "rows": counts.tolist(),
            "share": (counts / len(codes)).tolist(),
            "shown": [" ".join(map(str, chosen.get(code, ()))) for code in range(len(classes))],
        },
    )  # fmt: skip


def _sorted(target: Variable | None, rows: int) -> tuple[Array, Sequence[str]]:
    """Codes (rows,) for the target's classes, or for ranges of its numbers; and their names."""
    if target is None:
        return np.zeros(rows, np.int64), [tr("all")]
    if target.discrete:
        return target.values.astype(np.int64), target.categories
    ends = np.unique(np.quantile(target.values, np.linspace(0, 1, RANGES + 1)))
    codes = np.searchsorted(ends[1:-1], target.values, side="right")
    low = ends[:-1] if len(ends) > 1 else ends
    return codes, [
        f"{text(target.name, 20)} {_between(figure(a), figure(b))}"
        for a, b in zip(low, ends[-len(low) :], strict=True)
    ]


# ---- columns


@dataclass(frozen=True)
class _Counted:
    """The distribution of a column: ``rows`` (groups, bins) and, for a numeric target, its
    ``means`` (bins,). A bin is a category, named in ``labels``, or lies between two ``edges``."""

    of: Variable
    facts: list[str]
    labels: list[str]
    edges: Array | None
    rows: Array
    means: Array | None

    @property
    def empty(self) -> bool:
        return not self.rows.size or not self.rows.sum()

    def spans(self) -> list[tuple[float | None, float | None]]:
        """The lower and upper end of each bin."""
        if self.edges is None:
            return [(None, None)] * len(self.labels)
        ends = self.edges.tolist()
        return list(pairwise(ends))

    def tells(self, target: Array | None) -> float:
        """How much the column says about the target, minus the expected value by chance.

        For classes this is Pearson's mean square contingency (1904), for numbers (``target``) his
        correlation ratio (1905).
        """
        rows = self.rows[:, self.rows.sum(0) > 0].astype(np.float64)
        total = rows.sum()
        if not total or rows.shape[1] < 2:
            return 0.0
        if self.means is not None and target is not None:
            known = target[np.abs(target) <= LARGEST]
            spread = float(np.square(known - known.mean()).sum()) or 1.0
            within = np.nan_to_num(self.means - known.mean())
            between = (self.rows.sum(0) * np.square(within)).sum()
            return float(between / spread - (rows.shape[1] - 1) / total)
        rows = rows[rows.sum(1) > 0]
        square = (rows**2 / np.outer(rows.sum(1), rows.sum(0))).sum() - 1
        return float(square - (rows.shape[0] - 1) * (rows.shape[1] - 1) / total)


def distributions(
    columns: Sequence[Variable],
    target: Variable | None = None,
    *,
    left_out: Sequence[str] = (),
    seed: int = 0,
) -> Figure:
    """The distribution of each column, in a small panel.

    If the target is classes, each class has a line (or a bar for each category) in its colour: the
    shares of its own rows, so a rare class is as visible as a frequent one. If the target is
    numbers, bars count the rows, and a line (or dots) is the mean of the target, on one scale for
    all columns. ``left_out`` names columns that the caller left out. If there are too many rows,
    ``seed`` draws a sample. ``columns`` of the figure: ``column``, ``value`` or ``from`` and
    ``to``, ``class``, ``rows``, ``mean`` of the target.
    """
    number = len(columns[0].values) if columns else 0
    every = [*columns, *([] if target is None else [target])]
    if not number or any(len(one.values) != number for one in every):
        raise InputError("expected columns of equal length, and a row or more")
    looked: Array | slice = slice(None)
    most = min(number, MAX_ROWS, MAX_VALUES // min(len(columns), MAX_COLUMNS))
    if most < number:
        draws = np.random.default_rng(derive(seed, "distributions"))
        looked = np.sort(draws.choice(number, most, replace=False))
    names, groups, told = _groups(target, looked, most)
    numbers = None
    if target is not None and not target.discrete:
        numbers = target.values[looked]
    some = [_count(one, looked, groups, len(names), numbers) for one in columns[:MAX_COLUMNS]]
    if len(some) > MAX_PANELS:
        told.append(
            tr("{count} of {total} columns: the first", count=MAX_PANELS, total=f"{len(columns):,}")
        )
        if target is not None:
            weight = np.array([one.tells(numbers) for one in some])
            best = np.sort(np.argsort(-weight, kind="stable")[:MAX_PANELS])
            some = [some[index] for index in best.tolist()]
            told[-1] = tr(
                "{count} of {total} columns: those that say most about the target",
                count=MAX_PANELS, total=f"{len(columns):,}",
            )  # fmt: skip
            if len(weight) < len(columns):
                told[-1] += tr(" among the first {count}", count=len(weight))
        some = some[:MAX_PANELS]
    if target is not None and not target.discrete:
        some.insert(0, _count(target, looked, groups, 1, None))
    if most < number:
        few, total = f"{most:,}", f"{number:,}"
        told.append(tr("from {few} of {every} rows, drawn at random", few=few, every=total))
    if left_out:
        some_left = ", ".join(_raw(name, 20) for name in left_out[:3])
        told.append(tr("left out: {names}", names=some_left))
        if len(left_out) > 3:
            told[-1] += tr(" and {count} more", count=f"{len(left_out) - 3:,}")
    title = tr(
        "{columns} of {rows}",
        columns=trn("{n} column", "{n} columns", len(columns)), rows=_rows(number),
    )  # fmt: skip
    return _panels(
        some, names, title, told, None if numbers is None else str(target and target.name)
    )


def _groups(target: Variable | None, looked: Any, rows: int) -> tuple[list[str], Array, list[str]]:
    """The names of the groups of classes, the group of each row (rows,), and notes for the head."""
    if target is None:
        return [""], np.zeros(rows, np.int64), []
    if not target.discrete:
        told = [tr("bars: rows; line and dots: mean {name}", name=_raw(target.name, 18))]
        return [""], np.zeros(rows, np.int64), told
    codes = target.values[looked].astype(np.int64)
    counts = np.bincount(codes, minlength=len(target.categories))
    there = np.nonzero(counts)[0]
    told = [tr("by {name}: shares of each class's rows", name=_raw(target.name, 20))]
    kept = there
    if len(there) > MAX_GROUPS:
        kept = np.sort(there[np.argsort(-counts[there], kind="stable")[: MAX_GROUPS - 1]])
        few, every = len(kept), f"{len(there):,}"
        told.append(
            tr("{few} most frequent of {every} classes, others as one", few=few, every=every)
        )
    place = np.full(len(counts), len(kept))
    place[kept] = np.arange(len(kept))
    groups = place[codes]
    names = [_raw(target.categories[code], 18 if len(kept) < 4 else 12) for code in kept.tolist()]
    names += (
        [tr("{count} others", count=f"{len(there) - len(kept):,}")]
        if len(kept) < len(there)
        else []
    )
    shares = np.bincount(groups, minlength=len(names)) / rows
    return [f"{n} · {_percent(s)}" for n, s in zip(names, shares, strict=True)], groups, told


def _count(
    variable: Variable, looked: Any, groups: Array, many: int, target: Array | None
) -> _Counted:
    """The rows in each bin of a column, by group, and the mean of the ``target`` in the bin."""
    values = np.asarray(variable.values[looked], np.float64)
    absent = np.isnan(values)
    lost = [tr("{share} missing", share=_percent(absent.mean()))] if absent.any() else []
    if variable.discrete:
        labels, places, different = _categories(variable, values, LINES.get(many, 4))
        facts = [trn("{n} value", "{n} values", different), *lost]
        edges = None
        inside = np.ones(len(values), bool)
    else:
        finite = np.isfinite(values)
        endless = int((~finite & ~absent).sum())
        facts = []
        edges, beyond = _edges(values[finite])
        labels = [""] * (len(edges) - 1)
        inside = finite & (values >= edges[0]) & (values <= edges[-1]) if labels else finite & False
        places = np.clip(np.searchsorted(edges, values, "right") - 1, 0, max(len(labels) - 1, 0))
        if labels:
            low, high = values[finite].min(), values[finite].max()
            show = _dated(low, high) if variable.kind == "date" else figure
            facts = [show(low) if low == high else _between(show(low), show(high))]
        lost += [tr("{count} not drawn", count=f"{beyond:,}")] if beyond else []
        facts += lost + ([tr("{count} infinite", count=f"{endless:,}")] if endless else [])
    shape = (many, len(labels))
    rows = np.bincount(
        groups[inside] * len(labels) + places[inside], minlength=many * len(labels)
    ).reshape(shape)
    means = None
    if target is not None and labels:
        good = inside & (np.abs(target) <= LARGEST)
        held = np.bincount(places[good], minlength=len(labels))
        sums = np.bincount(places[good], target[good], len(labels))
        least = LEAST_ROWS if len(values) >= 40 * LEAST_ROWS else 1
        means = np.where(held >= least, sums / np.maximum(held, 1), np.nan)
    return _Counted(variable, facts, labels, edges, rows, means)


def _categories(variable: Variable, values: Array, most: int) -> tuple[list[str], Array, int]:
    """The categories that are shown, the index of each row's category, and their number."""
    size = len(variable.categories)
    known = np.where(np.isnan(values), size + 1, np.where(values < 0, size, values))
    codes = known.astype(np.int64)
    counts = np.bincount(codes, minlength=size + 2)
    there = np.nonzero(counts[:size])[0]
    frequent = there[np.argsort(-counts[there], kind="stable")]
    unknown, missing = int(counts[size] > 0), int(counts[size + 1] > 0)
    free = most - missing
    if len(there) + unknown <= free:
        kept = there if variable.ordered else frequent
    else:
        kept = frequent[: free - 1]
    others = len(there) + unknown - len(kept)
    place = np.full(size + 2, len(kept))
    place[kept] = np.arange(len(kept))
    place[size + 1] = len(kept) + (others > 0)
    labels = [_raw(variable.categories[code], 18) for code in kept.tolist()]
    rest = tr("{count} others", count=f"{others:,}") if others > 1 or not unknown else ""
    labels += [rest or tr("(unknown)")] * (others > 0)
    return labels + [tr("(missing)")] * missing, place[codes], len(there)


def _edges(values: Array) -> tuple[Array, int]:
    """The edges of the bins (for whole numbers half way between them), and the number of outliers
    outside all bins."""
    drawn = values[np.abs(values) <= LARGEST]
    if not len(drawn):
        return np.zeros(0), len(values)
    low, high = drawn.min(), drawn.max()
    near, far = np.quantile(drawn, (0.01, 0.99), method="nearest")
    if near < far and high - low > FAR * (far - near):
        low, high = max(low, near - (far - near) / 2), min(high, far + (far - near) / 2)
    beyond = int(((values < low) | (values > high)).sum())
    if low == high:
        pad = max(0.5, abs(low) / 1000)
        return np.array([low - pad, low + pad]), beyond
    if high - low < 1e9 and (drawn % 1 == 0).all():
        low, high = np.ceil(low), np.floor(high)
        step = 1 if high - low < 1.5 * BINS else int(-(-(high - low + 1) // BINS))
        return np.arange(low - 0.5, high + 0.5 + step, step), beyond
    share = np.linspace(0, 1, BINS + 1)
    edges: Array = low + (high - low) * share
    return edges, beyond


def _panels(
    counted: list[_Counted], names: list[str], title: str, told: list[str], mean: str | None
) -> Figure:
    """The panels on a grid; ``names`` are those of the groups, ``mean`` is the name of the target
    if its means are shown."""
    across = min(2, len(counted))
    gutter = GUTTER if mean is None else 2 * GUTTER  # it contains the labels of an axis
    wide = (1 - gutter * (across - 1)) / across
    many = len(names) > 1
    entries = 0
    if many:  # pixels that the legend takes on a phone: as many columns as the longest name allows
        beside = max(1, 334 // (40 + 5.4 * max(map(len, names))))
        entries = 29 * -(-len(names) // int(beside))
    words, below, above = _head(title, told, entries + 8)
    shown = [_fitted(one.facts) for one in counted]
    head = HEAD + 12 * (max(map(len, shown)) - 1)
    cell = head + PANEL + BETWEEN
    whole = -(-len(counted) // across) * cell - BETWEEN
    lowest, highest = 0.0, 1.0
    if mean is not None:
        means = np.concatenate([one.means for one in counted if one.means is not None])
        means = means[np.isfinite(means)]
        lowest, highest = (means.min(), means.max()) if len(means) else (0.0, 1.0)
        pad = 0.06 * (highest - lowest) or abs(lowest) / 10 or 1.0
        lowest, highest = float(lowest - pad), float(highest + pad)
    data: list[Json] = []
    axes: Json = {}
    notes = [below]
    for index, one in enumerate(counted):
        row, column = divmod(index, across)
        left, top = column * (wide + gutter), row * cell
        at = {"x": left, "yanchor": "top", **ON_PAPER}
        facts = "<br>".join(text(line, FACTS) for line in shown[index])
        notes += [
            note(text(one.of.name, 24), y=1 - top / whole, **at, font={"size": 12, "weight": 600}),
            note(facts, y=1 - (top + 15) / whole, **at, font={"size": 10}),
        ]
        if one.empty:
            continue
        numbers = one.edges is not None
        draw = _lines if numbers else _bars
        scale = None if one.means is None else (lowest, highest)
        traces, x, y = draw(one, names, scale)
        tail = str(index + 1) if index else ""
        data += [{**trace, "xaxis": f"x{tail}", "yaxis": f"y{tail}"} for trace in traces]
        bottom = top + head + PANEL - (FOOT if numbers else 0)
        across_page = {"domain": [left, left + wide], "anchor": f"y{tail}"}
        down_page = {"domain": [1 - bottom / whole, 1 - (top + head) / whole], "anchor": f"x{tail}"}
        axes[f"xaxis{tail}"] = {**QUIET, **across_page, **x}
        axes[f"yaxis{tail}"] = {**QUIET, **down_page, **y}
    seen: set[str] = set()
    for trace in data:  # each class is in the legend once
        group = trace.get("legendgroup", "")
        trace["showlegend"] = many and bool(group) and group not in seen
        seen.add(group)
    height = above + whole + 16
    place = {
        "orientation": "h", "x": 0, "xref": "paper", "xanchor": "left", "yref": "container",
        "yanchor": "bottom", "y": 1 - (above - 8) / height, "font": {"size": 11},
    }  # fmt: skip
    return Figure(
        data,
        layout(
            "", annotations=notes, height=height, barmode="overlay", hovermode="closest",
            margin={"l": 12 if mean is None else 40, "r": 12, "t": above, "b": 16}, **axes,
        )
        | {"title": words, "legend": place},
        _numbers(counted, names, mean is not None),
    )  # fmt: skip


def _lines(one: _Counted, names: list[str], scale: Any) -> tuple[list[Json], Json, Json]:
    """Numbers: a step line for each class; or bars and, on ``scale``, a line of the means."""
    assert one.edges is not None
    edges, totals = one.edges, np.maximum(one.rows.sum(1, keepdims=True), 1)
    shares = 100 * one.rows / totals
    x: Json = {"showgrid": False, "zeroline": False, "nticks": 5, "tickangle": 0}
    y: Json = {"showgrid": False, "showticklabels": False, "zeroline": False, "nticks": 4}
    first, last = edges[0], edges[-1]
    pad = last / 100 - first / 100
    x["range"] = [first - pad, last + pad]
    form = "%{x:.4g}<br>"
    digits = 6 + int(max(0, np.log10(np.abs(edges).max() / (last - first))))
    middle = short(edges[:-1] / 2 + edges[1:] / 2, digits)
    if len(middle) <= FEW and edges[1] - edges[0] == 1:  # whole numbers, one by one
        x |= {"tickvals": middle, "ticktext": [figure(value or 0) for value in middle]}
    if one.of.kind == "date":
        ticks = [first * (1 - share) + last * share for share in (0.18, 0.82)]
        show = _dated(first, last)
        x |= {"tickvals": ticks, "ticktext": [show(tick) for tick in ticks]}
        form = ""
    if len(names) > 1:
        found = []
        for index, line in enumerate(shares):
            shade = color(index)
            found.append(
                {
                    "type": "scatter", "mode": "lines", "name": text(names[index]),
                    "legendgroup": str(index), "x": short(np.repeat(edges, 2), digits),
                    "y": short(np.concatenate([[0], np.repeat(line, 2), [0]]), 3),
                    "line": {"color": shade, "width": 1.5}, "hovertemplate": form + "%{y:.3g} %",
                    **({"fill": "tozeroy", "fillcolor": f"{shade}30"} if len(names) <= 3 else {}),
                }
            )  # fmt: skip
        y["range"] = [0, 1.05 * float(shares.max())]
        return found, x, y
    base, full = (0.0, 1.05 * float(shares.max())) if scale is None else scale
    height = (full - base) * 0.95 / float(shares.max() or 1)
    show = _dated(first, last) if one.of.kind == "date" else figure
    hover = [
        f"{_between(show(a), show(b))}<br>{_rows(int(rows))}, {_percent(rows / totals[0, 0])}"
        for (a, b), rows in zip(pairwise(edges), one.rows[0], strict=True)
    ]
    bars = {
        "type": "bar", "x": middle, "y": short(shares[0] * height, 4), "base": base,
        "width": float(f"{edges[1] - edges[0]:.6g}") * 0.94, "hovertext": hover,
        "hoverinfo": "text",
        "marker": {"color": COLORS[0], "opacity": 1 if scale is None else 0.35},
    }  # fmt: skip
    y["range"] = [base, full]
    if one.means is None:
        return [bars], x, y
    y |= {"showticklabels": True, "showgrid": True}
    means = {
        "type": "scatter", "mode": "lines+markers", "x": middle, "y": short(one.means, 5),
        "line": {"color": COLORS[1], "width": 2}, "marker": {"color": COLORS[1], "size": 4},
        "hovertext": [
            f"{words}<br>{_average(mean)}" for words, mean in zip(hover, one.means, strict=True)
        ],
        "hoverinfo": "text",
    }  # fmt: skip
    return [bars, means], x, y


def _bars(one: _Counted, names: list[str], scale: Any) -> tuple[list[Json], Json, Json]:
    """Categories, one below the other: the name with its share of all rows, and below it a bar for
    each class; or a bar of the rows, and a dot for the mean on ``scale``."""
    totals = np.maximum(one.rows.sum(1, keepdims=True), 1)
    shares = 100 * one.rows / totals
    every = one.rows.sum(0) / max(one.rows.sum(), 1)
    base, full = (0.0, 1.05 * float(shares.max())) if scale is None else scale
    height = (full - base) * 0.95 / float(shares.max() or 1)
    lines = np.arange(len(one.labels))
    tall = max(len(lines), 3)  # so that two bars are not as thick as six
    thick = 0.42 / len(names)
    above = [
        f"{text(name, 24)} · {_percent(share)}"
        for name, share in zip(one.labels, every, strict=True)
    ]
    if one.means is not None:
        above = [
            words if np.isnan(mean) else f"{words} · {_average(mean)}"
            for words, mean in zip(above, one.means, strict=True)
        ]
    found: list[Json] = [
        {
            "type": "bar", "orientation": "h", "name": text(names[index]),
            "legendgroup": str(index), "base": base, "x": short(line * height, 4),
            "y": short(-lines - 0.5 - thick * (index + 0.5)), "width": 0.94 * thick,
            "marker": {"color": color(index), "opacity": 1 if scale is None else 0.35},
            "hovertext": [
                f"{text(name, 24)}<br>{_rows(int(rows))}, {_percent(share / 100)}"
                for name, rows, share in zip(one.labels, one.rows[index], line, strict=True)
            ],
            "hoverinfo": "text+name" if len(names) > 1 else "text",
        }
        for index, line in enumerate(shares)
    ]  # fmt: skip
    if one.means is not None:
        found.append(
            {
                "type": "scatter", "mode": "markers", "x": short(one.means, 5),
                "y": short(-lines - 0.71), "hoverinfo": "skip",
                "marker": {"color": COLORS[1], "size": 8},
            }
        )  # fmt: skip
    found.append(
        {
            "type": "scatter", "mode": "text", "x": [base] * len(lines), "y": short(-lines - 0.5),
            "text": above, "textposition": "top right", "textfont": {"size": 10},
            "hoverinfo": "skip", "cliponaxis": False,
        }
    )  # fmt: skip
    bare = {"showgrid": False, "zeroline": False, "showticklabels": False, "showline": False}
    return found, {**bare, "range": [base, full]}, {**bare, "range": [-tall, 0]}


def _numbers(counted: list[_Counted], names: list[str], means: bool) -> dict[str, list[Any]]:
    """All counts, one row for each value and class."""
    keys = ("column", "value", "from", "to", "class", "rows", *(["mean"] if means else []))
    found: dict[str, list[Any]] = {key: [] for key in keys}
    for one in counted:
        for place, (label, (low, high)) in enumerate(zip(one.labels, one.spans(), strict=True)):
            for group, name in enumerate(names):
                mean = None if one.means is None else float(one.means[place])
                line = (one.of.name, label or None, low, high, name.rpartition(" · ")[0] or None,
                        int(one.rows[group, place]), mean)  # fmt: skip
                for key, value in zip(keys, line, strict=False):
                    found[key].append(value)
    return found


# ---- words


def _rows(count: int) -> str:
    return trn("{n} row", "{n} rows", count)


def _between(low: str, high: str) -> str:
    return tr("{low} to {high}", low=low, high=high)


def _average(mean: float) -> str:
    return tr("mean {number}", number=figure(mean))


def _head(title: str, told: Iterable[str], between: int = 0) -> tuple[Json, Json, int]:
    """A title, lines below it (both plain text), and their height in pixels, with ``between``
    pixels of space below."""
    lines = [text(line, 2 * LETTERS) for part in told for line in wrap(part, LETTERS)]
    words: Json = {
        "text": text(title, LETTERS), "x": 0, "xref": "paper", "y": 1, "yref": "container",
        "yanchor": "top", "pad": {"t": 10}, "font": {"size": 14},
    }  # fmt: skip
    below = note(
        "<br>".join(lines), x=0, y=1, yshift=between + 4, **ON_PAPER, yanchor="bottom",
        font={"size": 11},
    )  # fmt: skip
    return words, below, 34 + 15 * len(lines) + 6 + between


def _fitted(facts: Sequence[str]) -> list[str]:
    """Facts in lines; no fact is broken."""
    whole = " · ".join(fact.replace(" ", "\u00a0") for fact in facts)
    return [line.strip(" ·") for line in wrap(whole, FACTS)]


def _raw(name: object, most: int) -> str:
    """A name as plain text, cut like in figures."""
    return html.unescape(text(name, most))


def _percent(share: float) -> str:
    value = 100 * float(share)
    if 0 < value < 0.1:
        return "< 0.1 %"
    return f"{value:.0f} %" if value >= 9.95 or value == 0 else f"{value:#.2g} %"


def _dated(low: float, high: float) -> Any:
    """A function that shows seconds between ``low`` and ``high`` as months, days or minutes."""
    days = (high - low) / 86_400
    cut = slice(0, 7) if days > 1000 else slice(0, 10) if days > 3 else slice(5, 16)

    def show(seconds: float) -> str:
        return str(np.datetime64(int(seconds), "s"))[cut].replace("T", " ")

    return show
