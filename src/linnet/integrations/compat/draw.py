"""A window as Plotly's traces and layout: plain dicts of limited size.

Texts are escaped and numbers are finite. Whoever shows the window chooses colours, fonts and
margins. ``opts`` may contain anything; only valid settings about drawing are used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from linnet.figures.plotly import text
from linnet.integrations.compat.windows import Line, Window

Json = dict[str, Any]

MAX_LINES = 50
MAX_POINTS = 1500
"""The most points in all lines of a window."""

MAX_LABEL = 30
DASHES = ("solid", "dash", "dot")
MARKER = 6


def figure(window: Window, most: int = MAX_POINTS) -> Json:
    """``data`` and ``layout`` of lines, points, bars or a heatmap, with at most about ``most``
    points (a heatmap: 4 times as many cells); ``left_out`` is a note about omitted parts."""
    if window.kind == "heatmap":
        return _heatmap(window, 4 * most)
    shown = window.lines[:MAX_LINES]
    share = max(2, most // max(1, len(shown)))
    make = _bars if window.kind == "bars" else _line
    data = [make(window, line, index, share) for index, line in enumerate(shown)]
    layout: Json = {"xaxis": _axis(window.opts, "x"), "yaxis": _axis(window.opts, "y")}
    if window.kind == "bars":
        layout["barmode"] = "stack" if window.opts.get("stacked") else "group"
    named = len(shown) > 1 or bool(window.opts.get("legend"))
    layout["showlegend"] = bool(window.opts.get("showlegend", named)) and bool(shown)
    left = len(window.lines) - len(shown)
    return {"data": data, "layout": layout, "left_out": f"{left} more lines" if left else None}


def _line(window: Window, line: Line, index: int, most: int) -> Json:
    count = min(len(line.x), len(line.y))
    if line.points:
        kept = _even(count, min(most, 300) if line.labels else most)
    else:
        kept = thin(line.y[:count], most)
    trace: Json = {
        "type": "scatter",
        "name": text(line.name),
        "x": [number(line.x[i], 12) for i in kept],
        "y": [number(line.y[i]) for i in kept],
    }
    opts = window.opts
    dots = bool(opts.get("markers", line.points)) or len(kept) < 30
    trace["mode"] = "markers" if line.points else "lines+markers" if dots else "lines"
    size = opts.get("markersize")
    if dots:
        small = MARKER if line.points or len(kept) < 2 else 4
        trace["marker"] = {"size": size if _small(size) else small}
    if line.labels and len(line.labels) >= count:
        trace["mode"] = "markers+text"
        trace["text"] = [text(line.labels[i], MAX_LABEL) for i in kept]
        trace["textposition"] = "top center"
    if line.z is not None and len(line.z) >= count:
        title = {"title": {"text": text(opts.get("zlabel") or "z")}}
        trace["marker"] |= {"color": [number(line.z[i]) for i in kept], "showscale": index == 0}
        trace["marker"]["colorbar"] = title
    elif color := _color(opts.get("linecolor"), index):
        trace |= {"line": {"color": color}, "marker": {**trace.get("marker", {}), "color": color}}
    if (dash := _item(opts.get("dash"), index)) in DASHES:
        trace["line"] = {**trace.get("line", {}), "dash": dash}
    if opts.get("fillarea"):
        trace["fill"] = "tozeroy"
    return trace


def _bars(window: Window, line: Line, index: int, most: int) -> Json:
    kept = range(min(len(line.x), len(line.y), most))
    x = [text(v) if isinstance(v, str) else number(v, 12) for v in (line.x[i] for i in kept)]
    return {"type": "bar", "name": text(line.name), "x": x, "y": [number(line.y[i]) for i in kept]}


def _heatmap(window: Window, most: int) -> Json:
    """A heatmap; a larger matrix is averaged over blocks."""
    rows, columns = len(window.matrix), len(window.matrix[0]) if window.matrix else 0
    block = max(1, math.ceil(math.sqrt(rows * columns / most))) if rows * columns > most else 1
    down, across = range(0, rows, block), range(0, columns, block)
    z = [[_mean(window.matrix[i : i + block], j, block) for j in across] for i in down]
    trace: Json = {"type": "heatmap", "z": z}
    layout = {"xaxis": _axis(window.opts, "x"), "yaxis": _axis(window.opts, "y")}
    for axis, names in (("x", window.columns), ("y", window.rows)):
        if isinstance(names, list) and block == 1:
            trace[axis] = _apart([text(name, MAX_LABEL) for name in names])
            layout[f"{axis}axis"]["type"] = "category"
        elif block > 1:
            trace[axis] = [place + (block - 1) / 2 for place in (across if axis == "x" else down)]
    for key, limit in (("zmin", "xmin"), ("zmax", "xmax")):
        if (value := number(window.opts.get(limit))) is not None:
            trace[key] = value
    note = f"each cell is the mean of {block} x {block}" if block > 1 else None
    return {"data": [trace], "layout": layout, "left_out": note}


def _mean(rows: Sequence[Sequence[float]], start: int, block: int) -> float | None:
    found = [v for row in rows for v in row[start : start + block] if math.isfinite(v)]
    return number(sum(found) / len(found)) if found else None


def _axis(opts: Json, side: str) -> Json:
    axis: Json = {"title": {"text": text(opts.get(f"{side}label") or "")}}
    if opts.get(f"{side}type") == "log":
        axis["type"] = "log"
    limits = [number(opts.get(f"{side}tick{end}"), 12) for end in ("min", "max")]
    if None not in limits and "type" not in axis:
        axis["range"] = limits
    return axis


def thin(values: Sequence[float], most: int) -> Sequence[int]:
    """The positions of at most ``most`` points (or 4) that keep the peaks of ``values``: the ends,
    and the smallest and the largest value of each stretch."""
    count = len(values)
    if count <= most:
        return range(count)
    kept = [0]
    stretches = max(1, (most - 2) // 2)
    for number_ in range(stretches):
        begin = 1 + number_ * (count - 2) // stretches
        places = range(begin, 1 + (number_ + 1) * (count - 2) // stretches)
        if not places:
            continue
        found = [place for place in places if values[place] == values[place]] or places[:1]
        ends = {min(found, key=values.__getitem__), max(found, key=values.__getitem__)}
        kept += sorted(ends)
    return [*kept, count - 1]


def _even(count: int, most: int) -> Sequence[int]:
    return range(count) if count <= most else [i * count // most for i in range(most)]


def number(value: Any, digits: int = 6) -> float | int | None:
    """A finite number with this many significant digits; else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        short = float(f"{value:.{digits}g}")
    except OverflowError:
        return None
    if not math.isfinite(short):
        return None
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _apart(names: list[str]) -> list[str]:
    """The names of an axis, made different: Plotly would put equal names at one position."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name + "\u200b" * (seen[name] - 1))
    return found


def _item(value: Any, index: int) -> Any:
    if isinstance(value, (list, tuple)):
        return value[index % len(value)] if value else None
    return value


def _small(size: Any) -> bool:
    return isinstance(size, (int, float)) and not isinstance(size, bool) and 0 < size <= 50


def _color(given: Any, index: int) -> str | None:
    """The colour of a line from ``opts["linecolor"]``: a row [red, green, blue] for each line."""
    row = _item(given, index)
    if not isinstance(row, (list, tuple)) or len(row) != 3:
        return None
    parts = [number(part) for part in row]
    if any(part is None or not 0 <= part <= 255 for part in parts):
        return None
    return "#" + "".join(f"{int(part or 0):02x}" for part in parts)
