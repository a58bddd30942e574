"""Draw the same figures with matplotlib: the traces, axes and annotations of this package."""

from __future__ import annotations

import base64
import html
import warnings
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import Any, Protocol

import numpy as np

from linnet.errors import WorkError
from linnet.figures._style import INK, Json
from linnet.figures.colors import COLORS

DOTS = 100
"""Plotly's pixels per inch; a .png has twice as many dots."""

WIDTH = 9.0
"""Inches."""

DARK = "#333333"
"""Darker colours on white paper for text and lines that are grey on a page."""

MOST_LETTERS, TABLE_LETTERS = 24, 150
"""The most characters of a cell, and of a row; a note counts the columns that do not fit."""

DASHES = {"dash": (0, (5, 3)), "dot": (0, (1, 2)), "dashdot": (0, (5, 2, 1, 2)), "solid": "solid"}
MARKERS = {"star": "*", "square": "s"}


class Drawable(Protocol):
    """A figure."""

    @property
    def data(self) -> list[Json]: ...

    @property
    def layout(self) -> Json: ...


CHINESE = (
    "Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
    "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "SimHei",
)  # fmt: skip
"""Fonts with Chinese letters, which matplotlib's own lacks."""


@cache
def _chinese() -> tuple[str, ...]:
    """The first of these fonts that is installed."""
    manager = import_module("matplotlib.font_manager").fontManager
    installed = set(manager.get_font_names())
    return next(((name,) for name in CHINESE if name in installed), ())


def draw(figure: Drawable, kind: str) -> bytes:
    """The figure as "png", "svg" or "pdf"; raises if matplotlib is missing."""
    try:
        matplotlib = import_module("matplotlib")
        module = import_module("matplotlib.figure")
    except ImportError as error:
        raise WorkError(
            f"a .{kind} is drawn by matplotlib, which is missing: pip install 'linnet[static]' "
            "(or: pip install matplotlib)"
        ) from error
    out = BytesIO()
    look = {
        "font.family": ["sans-serif", *_chinese()],
        "font.size": 9,
        "text.color": DARK,
        "axes.labelcolor": DARK,
        "axes.edgecolor": INK,
        "xtick.color": DARK,
        "ytick.color": DARK,
        "svg.hashsalt": "linnet",
        "text.parse_math": False,  # a dollar sign in a name starts no formula
    }
    with matplotlib.rc_context(look), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        wide, height = size(figure)
        canvas = module.Figure(figsize=(wide, height), dpi=2 * DOTS, facecolor="white")
        _Drawing(figure, canvas, height).draw()
        about = {} if kind == "png" else {"Date": None} if kind == "svg" else {"CreationDate": None}
        canvas.savefig(out, format=kind, metadata=about, bbox_inches="tight", pad_inches=0.15)
    return out.getvalue()


def size(figure: Drawable) -> tuple[float, float]:
    """The width and height of the figure, in inches."""
    height = figure.layout.get("height", 420) / DOTS
    return _width(figure.layout, height), height


def plot(figure: Drawable, axes: Any) -> list[Any]:
    """Draw the figure into matplotlib's ``axes``, in the user's own style.

    Returns the axes of its panels: ``axes`` itself for one panel; for several panels, new axes
    inside it.
    """
    matplotlib = import_module("matplotlib")
    canvas = axes.get_figure(root=False)
    height = axes.get_window_extent().height / canvas.dpi
    with matplotlib.rc_context({"text.parse_math": False}):
        drawing = _Drawing(figure, canvas, height, axes)
        drawing.draw()
    return list(drawing.axes.values())


class _Drawing:
    """Draws on a whole canvas, or into the axes ``into``."""

    def __init__(self, figure: Drawable, canvas: Any, height: float, into: Any = None) -> None:
        self.data, self.layout = figure.data, figure.layout
        self.canvas, self.height, self.into = canvas, height, into
        self.axes: dict[str, Any] = {}
        self.paper = 0.02, 0.02, 0.95, 0.95  # shares of the canvas: left, bottom, width, height
        shifts = [one.get("yshift", 0) for one in self.layout.get("annotations", ())]
        self.lift = max([0, *(shift - 8 for shift in shifts)])  # for a legend, which is below here
        self.several = len({t.get("xaxis", "x") + t.get("yaxis", "y") for t in self.data}) > 1
        if into is not None and self.several:
            into.set_axis_off()

    def draw(self) -> None:
        layout = self.layout
        tables = [trace for trace in self.data if trace["type"] == "table"]
        plotted = [trace for trace in self.data if trace["type"] != "table"]
        for trace in plotted:
            getattr(self, f"_{trace['type']}")(self._axes(trace), trace)
        if layout.get("images") or (layout.get("annotations") and not plotted):
            self._axes({})
        for trace in tables:
            self._table(self._axes({}), trace)
        for image in layout.get("images", ()):
            self._image(image)
        for one in layout.get("annotations", ()):
            self._annotation(one)
        for key, axes in self.axes.items():
            self._finish(key, axes)
        handles = {
            label: handle
            for axes in self.axes.values()
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        if handles:
            across = max(1, min(4, 110 // (8 + max(map(len, handles)))))
            place = self.canvas if self.into is None else self.into
            below = 0.02 if self.into is None else -0.5
            place.legend(
                handles.values(), handles, loc="upper center", frameon=False, ncols=across,
                bbox_to_anchor=(0.5, below / self.height), fontsize=8,
            )  # fmt: skip
        words = _words(layout.get("title", {}).get("text", ""))
        if words and self.into is None:
            top = layout.get("margin", {}).get("t", 0)
            lines = top - 48 - self.lift if top > 48 else 0  # between the title and the panels
            self.canvas.text(0.02, 1 + lines / DOTS / self.height, words, fontsize=10, va="bottom")
        elif words:
            self.into.set_title(words, fontsize=10, loc="left")

    def _axes(self, trace: Json) -> Any:
        """The axes of a trace, created on first use at the place given by the layout."""
        x, y = trace.get("xaxis", "x"), trace.get("yaxis", "y")
        if x + y not in self.axes:
            layout = self.layout
            left, right = self._axis(x).get("domain", (0, 1))
            low, high = self._axis(y).get("domain", (0, 1))
            if self.into is not None:
                place = (left, low, right - left, high - low)
                self.axes[x + y] = self.into.inset_axes(place) if self.several else self.into
                return self.axes[x + y]
            titled = bool(layout.get("xaxis", {}).get("title"))
            edge, foot = (0.09, 0.6 / self.height) if titled else (0.02, 0.02)
            wide, tall = 0.97 - edge, 0.97 - foot
            self.paper = edge, foot, wide, tall
            place = (
                edge + wide * left,
                foot + tall * low,
                wide * (right - left),
                tall * (high - low),
            )
            self.axes[x + y] = self.canvas.add_axes(place)
        return self.axes[x + y]

    def _axis(self, name: str) -> Json:
        found: Json = self.layout.get(name[0] + "axis" + name[1:], {})
        return found

    def _finish(self, key: str, axes: Any) -> None:
        """Apply the scales, ranges, ticks and titles of the layout."""
        x, y = key[: key.index("y")], key[key.index("y") :]
        axes.spines[["top", "right"]].set_visible(False)
        for side, name in (("x", x), ("y", y)):
            plain = self._axis(name)
            if plain.get("visible") is False or not plain:
                axes.set_axis_off()
            if plain.get("type") == "log":
                getattr(axes, f"set_{side}scale")("log", nonpositive="mask")
                ticker = import_module("matplotlib.ticker")
                scale = getattr(axes, f"{side}axis")
                scale.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
                low, high = getattr(axes, f"get_{side}lim")()
                few = high < 100 * low  # else the powers of ten are enough
                scale.set_minor_formatter(
                    ticker.FuncFormatter(_minor) if few else ticker.NullFormatter()
                )
            if "range" in plain:
                ends = plain["range"]
                ends = [10**end for end in ends] if plain.get("type") == "log" else ends
                getattr(axes, f"set_{side}lim")(*ends)
            if plain.get("showgrid", True):
                axes.grid(axis=side, color=INK, alpha=0.2, linewidth=0.6)
            axes.set_axisbelow(True)
            if "nticks" in plain:
                axes.locator_params(axis=side, nbins=plain["nticks"])
                axes.tick_params(axis=side, labelsize=7)
            if "tickvals" in plain:
                names = [_words(name) for name in plain["ticktext"]]
                size = plain.get("tickfont", {}).get("size", 9 if len(names) <= 15 else 7)
                size = 7 if "nticks" in plain else size  # as those without names
                upright = side == "x" and sum(map(len, names)) > 60
                getattr(axes, f"set_{side}ticks")([], minor=True)
                getattr(axes, f"set_{side}ticks")(
                    plain["tickvals"], names, fontsize=size, rotation=90 if upright else 0
                )
            if side == "x" and plain.get("anchor", y) != y:  # the axes below have its numbers
                axes.tick_params(labelbottom=False)
            elif not plain.get("showticklabels", True):
                edge = "bottom" if side == "x" else "left"
                axes.tick_params(**{edge: False, f"label{edge}": False})
                axes.spines[edge].set_visible(plain.get("showline", True))
            else:
                words = _words(plain.get("title", {}).get("text", ""))
                getattr(axes, f"set_{side}label")(words)
        if self._axis(y).get("scaleanchor"):
            axes.set_aspect("equal", anchor="W")

    def _scatter(self, axes: Any, trace: Json) -> None:
        marker, line = trace.get("marker", {}), trace.get("line", {})
        mode = trace.get("mode", "lines").split("+")
        x, y = ([np.nan if v is None else v for v in trace[key]] for key in ("x", "y"))
        shade = _ink(marker.get("color", line.get("color", COLORS[0])))
        if "lines" in mode or ("markers" in mode and marker.get("opacity", 1)):
            axes.plot(
                x, y,
                color=_ink(line.get("color", shade)),
                linestyle=DASHES[line.get("dash", "solid")] if "lines" in mode else "none",
                linewidth=0.75 * line.get("width", 2),
                marker=MARKERS.get(marker.get("symbol", ""), "o") if "markers" in mode else None,
                markersize=0.75 * marker.get("size", 6),
                markeredgewidth=0,
                alpha=trace.get("opacity", marker.get("opacity", 1)),
                label=_label(trace),
            )  # fmt: skip
        if "fillcolor" in trace:
            axes.fill_between(x, y, color=trace["fillcolor"], linewidth=0)
        bars = trace.get("error_y")
        if bars:
            gaps = [bars["arrayminus"], bars["array"]]
            axes.errorbar(x, y, np.maximum(gaps, 0), fmt="none", ecolor=shade, elinewidth=1)
        if "text" in mode:
            above = trace.get("textposition", "").startswith("top")
            side = "left" if trace.get("textposition", "").endswith("right") else "center"
            lift = -4 if not above else 1 if side == "left" else 6
            size = 0.72 * trace.get("textfont", {}).get("size", 10)
            for at, height, words in zip(x, y, trace["text"], strict=True):
                axes.annotate(
                    _words(words), (at, height), xytext=(0, lift), ha=side,
                    textcoords="offset points", va="bottom" if above else "top", fontsize=size,
                    annotation_clip=False,
                )  # fmt: skip

    def _bar(self, axes: Any, trace: Json) -> None:
        shade, name = trace["marker"]["color"], _label(trace)
        if trace.get("orientation") == "h":
            axes.barh(
                trace["y"], trace["x"], height=trace["width"], color=shade, label=name,
                left=trace.get("base", 0), alpha=trace["marker"].get("opacity", 1),
            )  # fmt: skip
        else:
            axes.bar(
                trace["x"], trace["y"], width=trace["width"], color=shade, label=name,
                bottom=trace.get("base", 0), alpha=trace["marker"].get("opacity", 1),
            )  # fmt: skip

    def _heatmap(self, axes: Any, trace: Json) -> None:
        colors = import_module("matplotlib.colors")
        z = np.array([[np.nan if v is None else v for v in row] for row in trace["z"]], np.float64)
        scale = colors.LinearSegmentedColormap.from_list("scale", trace["colorscale"])
        shown = axes.imshow(
            z, cmap=scale, vmin=trace["zmin"], vmax=trace["zmax"], aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        bar = self.canvas.colorbar(shown, ax=axes, fraction=0.04, pad=0.02)
        bar.set_label(_words(trace["colorbar"]["title"]["text"]).replace("\n", " "))
        bar.outline.set_visible(False)
        if "texttemplate" in trace:
            for row, line in enumerate(trace["text"]):
                for column, words in enumerate(line):
                    if words:
                        dark = z[row, column] > 0.55 * trace["zmax"]
                        axes.text(
                            column, row, words, ha="center", va="center", fontsize=7.5,
                            color="white" if dark else DARK,
                        )  # fmt: skip

    def _table(self, axes: Any, trace: Json) -> None:
        axes.set_axis_off()
        columns = [
            [_words(value)[:MOST_LETTERS] for value in (name, *values)]
            for name, values in zip(
                trace["header"]["values"], trace["cells"]["values"], strict=True
            )
        ]
        wide = np.cumsum([2 + max(map(len, column)) for column in columns])
        fit = int(np.searchsorted(wide, TABLE_LETTERS))
        if fit < len(columns):
            more = [f"+ {len(columns) - fit}", *["…"] * (len(columns[0]) - 1)]
            columns = [*columns[:fit], more]
        names, *rows = [list(row) for row in zip(*columns, strict=True)]
        drawn = axes.table(rows, colLabels=names, cellLoc="left", loc="upper left")
        drawn.auto_set_font_size(False)
        drawn.set_fontsize(7)
        drawn.auto_set_column_width(range(len(names)))
        for (row, _), cell in drawn.get_celld().items():
            cell.set_facecolor("none")
            cell.set_edgecolor("#cccccc")
            cell.set_height(0.22 / self.height)
            if row == 0:
                cell.get_text().set_fontweight("bold")

    def _image(self, image: Json) -> None:
        from PIL import Image

        axes = self.axes[image["xref"] + image["yref"]]
        content = base64.b64decode(image["source"].partition(",")[2])
        pixels = np.asarray(Image.open(BytesIO(content), formats=["PNG"]).convert("RGB"))
        tall, wide = pixels.shape[:2]
        factor = min(image["sizex"] / wide, image["sizey"] / tall)
        left = image["x"] + (image["sizex"] - factor * wide) / 2
        top = image["y"] - (image["sizey"] - factor * tall) / 2
        extent = (left, left + factor * wide, top - factor * tall, top)
        axes.imshow(pixels, extent=extent, interpolation="nearest")

    def _annotation(self, one: Json) -> None:
        across = {"center": "center", "left": "left", "right": "right"}[
            one.get("xanchor", "center")
        ]
        up = {"bottom": "bottom", "top": "top", "middle": "center"}[one.get("yanchor", "middle")]
        key = one.get("xref", "x") + one.get("yref", "y")
        font = one.get("font", {})
        look = {
            "ha": across, "va": up, "fontsize": 0.75 * font.get("size", 12),
            "fontweight": "bold" if font.get("weight", 400) > 500 else "normal",
        }  # fmt: skip
        x, y, words = one["x"], one["y"], _words(one["text"])
        if one.get("xref") != "paper":
            self.axes[key].text(x, y, words, **look)
        elif self.into is not None:
            self.into.text(x, y, words, transform=self.into.transAxes, **look)
        else:
            left, bottom, wide, tall = self.paper
            y = bottom + tall * y + max(0, one.get("yshift", 0) - self.lift) / DOTS / self.height
            self.canvas.text(left + wide * x, y, words, **look)


def _width(layout: Json, height: float) -> float:
    """The width in inches; for a sheet with equal units on both axes, the width that it needs."""
    x, y = layout.get("xaxis", {}), layout.get("yaxis", {})
    if not y.get("scaleanchor") or "xaxis2" in layout:
        return WIDTH
    across, down = (abs(ends[1] - ends[0]) for ends in (x["range"], y["range"]))
    return float(np.clip((height - 0.8) * across / down + 1.8, 4.0, WIDTH))


def _minor(value: float, _: Any) -> str:
    """The label at a minor tick of a log axis, only for numbers that begin with 2 or 5."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def _words(text: str) -> str:
    """Plotly's text as plain text."""
    return html.unescape(text.replace("<br>", "\n"))


def _label(trace: Json) -> str | None:
    """The legend entry of a trace; a leading underscore would hide it."""
    if not trace.get("showlegend", True) or "name" not in trace:
        return None
    name = _words(trace["name"])
    return f"\u200b{name}" if name.startswith("_") else name


def _ink(shade: str) -> str:
    ink: str = import_module("matplotlib").rcParams["text.color"]
    return ink if shade == INK else shade
