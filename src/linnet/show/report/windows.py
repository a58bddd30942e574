"""The windows of programs that draw with ``linnet.compat.visdom``, as a part of a report."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from linnet.core import files
from linnet.core.files import Place
from linnet.core.html import Html, join, tag
from linnet.errors import LinnetError
from linnet.figures import Figure
from linnet.figures._style import GRID, INK, SEQUENTIAL, color, layout, note
from linnet.integrations.compat import draw
from linnet.integrations.compat import windows as kept
from linnet.integrations.compat.windows import Picture, Window
from linnet.runs import archive, directory
from linnet.show.report.document import Document
from linnet.show.report.html import shown, table

Json = dict[str, Any]

MAX_WINDOWS = 50
MAX_SLIDES = 12
"""The last pictures of a window that the slider can show."""

MAX_PICTURE_BYTES, MAX_STATIC_BYTES = 3 << 20, 150 << 10
"""The most bytes of all pictures of a run, in a report and in a static report."""

STATIC_SIDE = 480
MAX_TEXT = 20_000
PNG = b"\x89PNG\r\n\x1a\n"

SLIDE = """
"use strict";
for (const box of document.querySelectorAll(".slides")) {
  const slider = box.querySelector("input");
  const pictures = [...box.querySelectorAll("figure")];
  const show = () => pictures.forEach((one, place) => { one.hidden = place !== slider.value - 1; });
  slider.addEventListener("input", show);
  show();
}
"""


def alone(path: Path) -> bool:
    """Whether the run in ``path`` has windows but no metrics."""
    try:
        place = archive.run_place(path)
        return place.is_dir() and not (place / directory.METRICS).is_file() and has(place)
    except (OSError, LinnetError):
        return False


def has(run: Place) -> bool:
    """Whether a program drew windows beside the run."""
    return bool(kept.records(run))


def program(document: Document, name: str, path: Path) -> Html:
    """The section about a run that has only the windows of a program."""
    place = archive.run_place(path)
    state, error = directory.state_of(place)
    info = directory.read_info(place) if (place / directory.RUN).is_file() else {}
    rows: list[list[Any]] = [
        ["state", state if error is None else f"{state}: {error}"],
        ["command", shlex.join(str(word) for word in info.get("command", []))],
        ["made", info.get("created")],
        ["versions", ", ".join(f"{k} {v}" for k, v in info.get("versions", {}).items())],
    ]
    again = [tag("h2", "How it was made"), table(["", ""], rows)]
    return tag("section", tag("h1", name), windows(document, place), *again)


def windows(document: Document, run: Place) -> Html:
    """The final content of the windows of each environment."""
    left = MAX_STATIC_BYTES if document.static else MAX_PICTURE_BYTES
    parts: list[Html] = []
    slides = False
    for env, path in kept.environments(run).items():
        found = list(kept.windows(path).values())
        parts.append(tag("h2", f"Windows of the environment {env}"))
        for window in found[:MAX_WINDOWS]:
            if window.kind == "pictures":
                pictures, left = _contents(run, window, left, static=document.static)
                slides = slides or len(pictures) > 1
                parts += [tag("h3", window.title), _slides(window, pictures)]
            elif window.kind == "text":
                text = window.text
                cut = "…" if len(text) > MAX_TEXT else ""
                parts += [tag("h3", window.title), tag("pre", cut + text[-MAX_TEXT:])]
            else:
                parts.append(document.figure(window.title, _maker(window, static=document.static)))
        if len(found) > MAX_WINDOWS:
            parts.append(tag("p", f"and {len(found) - MAX_WINDOWS:,} more windows", class_="none"))
    if slides:
        parts.append(tag("script", Html(SLIDE)))
    return join(parts)


def _maker(window: Window, *, static: bool) -> Callable[[], Figure]:
    return lambda: figure(window, static=static)


def figure(window: Window, *, static: bool = False) -> Figure:
    """A window of lines, points, bars or a heatmap as a figure."""
    plain = draw.figure(window)
    axes = {key: plain["layout"][key] for key in ("xaxis", "yaxis")}
    for axis in axes.values():
        axis |= {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": INK, "automargin": True}
    data: list[Json] = plain["data"]
    more: Json = {"showlegend": plain["layout"].get("showlegend", False), "height": 380}
    if plain["left_out"]:
        place = {"xref": "paper", "yref": "paper", "x": 1, "y": 1, "yanchor": "bottom"}
        more["annotations"] = [note(plain["left_out"], xanchor="right", **place)]
    if window.kind == "heatmap":
        data = [_shaded(trace) for trace in data]
        if static:  # matplotlib's first row is at the top
            data = [{k: v[::-1] if k in "yz" else v for k, v in trace.items()} for trace in data]
        for side, axis in zip("xy", axes.values(), strict=True):
            _ticks(axis, data[0].pop(side, None))
    elif window.kind == "bars":
        data = _placed(data, axes["xaxis"], stacked=bool(window.opts.get("stacked")))
        more["barmode"] = "overlay"
    else:
        data = [_inked(trace, index, static=static) for index, trace in enumerate(data)]
    shown = {"showlegend": more["showlegend"]}
    return Figure([{**trace, **shown} for trace in data], layout("", **axes, **more))


def _inked(trace: Json, index: int, *, static: bool) -> Json:
    shade = trace.get("line", {}).get("color", color(index))
    marker = {"color": shade, **trace.get("marker", {})}
    if static and not isinstance(marker["color"], str):
        marker = {"color": shade, "size": marker["size"]}
    return {
        **trace,
        "line": {"width": 2, **trace.get("line", {}), "color": shade},
        "marker": marker,
    }


def _placed(data: list[Json], axis: Json, *, stacked: bool) -> list[Json]:
    """Bars side by side or stacked, each with a number as its place, and a width."""
    names = data[0]["x"] if data else []
    numbers = [x for x in names if isinstance(x, (int, float))]
    if len(numbers) < len(names):
        numbers = list(range(len(names)))
        axis |= {"tickvals": numbers, "ticktext": names}
    places = sorted(set(numbers))
    gap = min((b - a for a, b in pairwise(places)), default=1)
    width = 0.85 * gap / (1 if stacked else max(1, len(data)))
    base = [0.0] * len(numbers)
    made = []
    for index, trace in enumerate(data):
        heights = [y or 0 for y in trace["y"]]
        shift = 0 if stacked else (index - (len(data) - 1) / 2) * width
        more = {"base": list(base)} if stacked else {}
        at = [x + shift for x in numbers[: len(heights)]]
        marker = {"color": color(index)}
        made.append({**trace, "x": at, "y": heights, "width": width, "marker": marker, **more})
        base = [b + y for b, y in zip(base, heights, strict=False)]
    return made


def _shaded(trace: Json) -> Json:
    found = [value for row in trace["z"] for value in row if value is not None]
    limits = {"zmin": min(found, default=0), "zmax": max(found, default=1)}
    bar = {"title": {"text": ""}, "thickness": 12, "outlinewidth": 0}
    return {**limits, **trace, "colorscale": SEQUENTIAL, "colorbar": bar}


def _ticks(axis: Json, places: list[Any] | None) -> None:
    """Set the ticks of an axis of a heatmap: names or numbers of its rows or columns."""
    axis.pop("type", None)
    if places and isinstance(places[0], str):
        axis |= {"tickvals": list(range(len(places))), "ticktext": places}
    elif places:
        some = list(range(0, len(places), max(1, len(places) // 6)))
        axis |= {"tickvals": some, "ticktext": [f"{places[i]:g}" for i in some]}


def _contents(
    run: Place, window: Window, left: int, *, static: bool
) -> tuple[list[tuple[Picture, bytes]], int]:
    """The last pictures that fit into ``left`` bytes, oldest first, and how many bytes are left."""
    found: list[tuple[Picture, bytes]] = []
    for picture in reversed(window.pictures[-1:] if static else window.pictures[-MAX_SLIDES:]):
        try:
            content = files.read(run / picture.file)
        except OSError:
            continue
        if not content.startswith(PNG):
            continue
        if static:
            content = _smaller(content)
        if len(content) > left:
            break
        left -= len(content)
        found.append((picture, content))
    return found[::-1], left


def _smaller(png: bytes) -> bytes:
    from PIL import Image

    with Image.open(BytesIO(png), formats=["PNG"]) as image:
        picture = image.convert("RGB")
    picture.thumbnail((STATIC_SIDE, STATIC_SIDE))
    out = BytesIO()
    picture.quantize(32).save(out, "PNG", optimize=True)
    return out.getvalue()


def _slides(window: Window, pictures: list[tuple[Picture, bytes]]) -> Html:
    """The last picture, and a slider to the earlier ones."""
    if not pictures:
        return tag("p", "too large to show, or missing", class_="none")
    made = []
    for place, (picture, content) in enumerate(pictures, start=1):
        source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        words = [f"after {shown(picture.time)} s", picture.caption]
        if len(pictures) > 1:
            words.insert(0, f"{place} of {len(pictures)}")
        caption = tag("figcaption", " · ".join(word for word in words if word))
        width = str(min(900, max(picture.width, 256)))
        image = tag("img", src=source, alt=window.title, width=width, class_="picture")
        hidden = None if place == len(pictures) else "hidden"
        made.append(tag("figure", image, caption, hidden=hidden))
    if len(pictures) == 1:
        return made[0]
    last = str(len(pictures))
    label = f"pictures shown in {window.title}"
    slider = tag("input", type="range", min="1", max=last, value=last, aria_label=label)
    return tag("div", *made, slider, class_="slides")
