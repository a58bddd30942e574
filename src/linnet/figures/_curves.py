"""Training curves: loss and score over epochs, steps, time, or the penalties of the line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from linnet.core.language import marked, tr
from linnet.errors import InputError
from linnet.figures._style import CLEAR, GRID, INK, Array, Json, axis, color, layout, numbers, short
from linnet.figures.colors import COLORS
from linnet.figures.figure import Figure
from linnet.figures.plotly import text
from linnet.networks import BASELINE

Series = Mapping[str, Mapping[str, Mapping[str, list[Any]]]]
"""One run as ``History.series`` gives it: by model, "train" or "valid", and name."""

Axis = Literal["epoch", "step", "time", "penalty"]

"""Left out if there are other models: its single point would flatten their curves."""

MAX_POINTS = 2_000
"""The most points of a drawn line."""

FEW_POINTS = 30
"""A line with at most this many points shows markers."""

MAX_LABELLED = 3
"""Up to this many models, the best step is written at its star; else it shows on hover."""

MAX_READ = 24
"""Up to this many lines, one readout tells the values of all of them."""

FAR = 1.5
"""How many times the distance of its quartiles a value may be away from them."""

STAR = "star"

SWITCH = 36
"""Pixels for the buttons above the panels."""

GAP = 0.14
"""The space between panels, as a share of the figure."""

MAX_ACROSS = 3
"""Up to this many panels are beside each other; more are in rows of two."""

ROW = 320
"""Pixels for each further row of panels."""

DASHES = (("solid", "dash"), ("dot", "dashdot"))
"""The line styles of training and validation: for the first use of a colour, and for the next."""

PARTS = {"train": "training", "valid": "validation"}
TITLES = {
    "epoch": marked("epoch"), "step": marked("step"), "time": marked("time (s)"),
    "penalty": marked("penalty"),
}  # fmt: skip


def curves(
    runs: Mapping[str, Series],
    *,
    x: Axis = "epoch",
    log: bool = False,
    smoothing: float = 0.0,
    titles: Mapping[str, str] | None = None,
) -> Figure:
    """Loss and error rate (or RMSE) of runs by name, side by side.

    Training is solid, validation dashed; if there are more models than colours, the others are
    dotted and dash-dotted. A star marks the lowest validation loss. The training loss is the mean
    over the steps, with dropout, as they were made. The training score is that of at most 2,000
    training rows with the network at that time. Losses of classes and of numbers are on axes of
    their own.

    The vertical axes leave out the start and spikes: values more than ``FAR`` times the distance
    of a line's quartiles away from them (Tukey 1977). A button shows all. The error rate is on a
    log axis, unless it is 0 somewhere.

    ``x`` is the horizontal axis. "time" is in seconds since the first event of the model's fit;
    "penalty" is the path of the line's penalties. A model without such values (the line has no
    epochs) is drawn as a horizontal line: its best loss and score. If no model has epochs, "epoch"
    means the penalty, or else the step.

    ``log`` draws loss and RMSE on a log axis too. ``smoothing``, from 0 to below 1, is the weight
    of the past in an exponential mean of the training losses of a net, corrected for the bias of
    its start; the raw line stays, faint. ``titles`` are the names of models in the figure, such as
    "perceptron" for mlp. ``columns`` has a row for each event, with the times of the events.
    """
    if x not in TITLES:
        raise InputError(f'unknown axis x="{x}"; known: {", ".join(TITLES)}')
    if not 0 <= smoothing < 1:
        raise InputError(f"smoothing={smoothing} must be from 0 to below 1")
    found = [
        _Curve(run, model, parts.get("train", {}), parts.get("valid", {}))
        for run, series in runs.items()
        for model, parts in series.items()
        if model != BASELINE or len(series) == 1
    ]
    kind = _axis(found, x)
    drawn = [curve.places(kind) for curve in found]
    reach = np.concatenate([np.empty(0), *(part for places in drawn for part in places.values())])
    reach = reach[np.isfinite(reach)]
    ends = (float(reach.min()), float(reach.max())) if len(reach) else (0.0, 1.0)
    looks = _looks(found, titles or {}, several=len(runs) > 1)
    panels = _panels(found)
    lines: list[list[_Line]] = [[] for _ in panels]
    stars: list[Json] = []
    for curve, look, places in zip(found, looks, drawn, strict=True):
        for panel, own in zip(panels, lines, strict=True):
            if panel.task in (None, curve.task):
                own += _lines(curve, look, panel, places, ends, smoothing)
                stars += _star(curve, look, panel, places, last=panel is panels[-1])
    data = [line.trace for own in lines for line in own]
    samples = _samples(found, looks, starred=bool(stars))
    figure_layout = layout(
        tr("Training and validation"), height=430 + 10 * len(found), hovermode=_hover(len(data))
    )
    figure_layout["hoverdistance"] = -1  # also lines that have no point here
    across, down = _grid(len(panels))
    if down > 1:
        figure_layout["height"] += ROW * (down - 1)
        figure_layout["meta"] = {"grid": True}
    width, height = ((1 - GAP * (many - 1)) / many for many in (across, down))
    ranges: Json = {}
    for index, (panel, own) in enumerate(zip(panels, lines, strict=True)):
        row, column = divmod(index, across)
        left, end = column * (width + GAP), panel.end
        top = 1 - row * (height + GAP)
        within = {"domain": [max(0.0, top - height), top]} if down > 1 else {}
        logged = {"type": "log", "exponentformat": "power"} if kind == "penalty" else {}
        figure_layout[f"xaxis{end}"] = axis(
            tr(TITLES[kind]), domain=[left, left + width], anchor=f"y{end}", hoverformat=".4~g",
            **logged,
        )  # fmt: skip
        scaled = panel.logarithmic(own, asked=log)
        if window := _window(own, scaled=scaled):
            ranges[f"yaxis{end}"] = window
        figure_layout[f"yaxis{end}"] = axis(
            panel.title, anchor=f"x{end}", **within, **_scale(window, scaled=scaled)
        )
    if ranges:
        figure_layout["updatemenus"] = [_switch(ranges)]
        figure_layout["margin"]["t"] += SWITCH
    return Figure([*samples, *data, *stars], figure_layout, _columns(found))


@dataclass(frozen=True)
class _Panel:
    """The axes of one value. ``task`` is the score of the curves whose loss is on them, None for
    all; ``end`` the end of Plotly's names of the axes."""

    name: str
    title: str
    task: str | None
    end: str

    def values(self, part: Mapping[str, list[Any]]) -> Array:
        """The values of a part; for the accuracy the error rate in per cent."""
        values = numbers(part.get(self.name, ()))
        return 100.0 * (1.0 - values) if self.name == "accuracy" else values

    def logarithmic(self, lines: Sequence[_Line], *, asked: bool) -> bool:
        """Whether the vertical axis is logarithmic: the error rate, unless it is 0 for validation
        rows somewhere. There what is 0 for training rows is below the axis."""
        if self.name != "accuracy":
            return asked
        held = [line.typical for line in lines if line.part == "valid"] or [
            one.typical for one in lines
        ]
        return bool(held) and min(float(values.min()) for values in held) > 0


class _Look(NamedTuple):
    """How the lines of a model look; ``name`` is text in Plotly's form."""

    name: str
    group: str
    shade: str
    dash: Mapping[str, str]
    labelled: bool


class _Line(NamedTuple):
    """A line, its values after the start (or all, if there are no others), and its part."""

    trace: Json
    typical: Array
    part: str


def _panels(found: Sequence[_Curve]) -> list[_Panel]:
    """The panels that have something to show: losses, then scores."""
    tasks = list(dict.fromkeys(task for curve in found if (task := curve.task)))
    losses = {
        "accuracy": tr("log loss (nats)"),
        "rmse": tr("loss (half the squared error)"),
        "": tr("loss"),
    }
    scores = {"accuracy": tr("error rate (%)"), "rmse": tr("RMSE (unit of the target)")}
    named: list[tuple[str, str, str | None]]
    if len(tasks) > 1:
        unknown = [""] if any(not curve.task for curve in found) else []
        named = [("loss", losses[task], task) for task in (*tasks, *unknown)]
    else:
        named = [("loss", losses[tasks[0] if tasks else ""], None)]
    named += [(task, scores[task], None) for task in ("accuracy", "rmse") if task in tasks]
    return [_Panel(*each, str(i + 1) if i else "") for i, each in enumerate(named)]


def _grid(panels: int) -> tuple[int, int]:
    """How many panels are beside each other, and how many rows of them there are."""
    across = panels if panels <= MAX_ACROSS else 2
    return across, -(-panels // across)


def _looks(found: Sequence[_Curve], titles: Mapping[str, str], *, several: bool) -> list[_Look]:
    """How each curve looks."""
    made = []
    for index, curve in enumerate(found):
        name = text(titles.get(curve.model, curve.model))
        name = f"{text(curve.run)} · {name}" if several else name
        dash = dict(zip(PARTS, DASHES[index // len(COLORS) % len(DASHES)], strict=True))
        made.append(_Look(name, str(index), color(index), dash, len(found) <= MAX_LABELLED))
    return made


def _hover(lines: int) -> str:
    """One readout for all lines; of very many lines only the nearest."""
    return "x unified" if lines <= MAX_READ else "closest"


def _switch(ranges: Mapping[str, list[float]]) -> Json:
    """Two buttons: the ranges of the axes as they are, and all that there is."""
    own = {f"{name}.range": window for name, window in ranges.items()}
    every = {f"{name}.autorange": True for name in ranges}
    return {
        "type": "buttons", "direction": "right", "showactive": False, "x": 0, "xanchor": "left",
        "y": 1, "yanchor": "bottom", "pad": {"b": 6}, "bgcolor": CLEAR, "bordercolor": GRID,
        "buttons": [
            {"method": "relayout", "label": tr("without start and spikes"), "args": [own]},
            {"method": "relayout", "label": tr("show all"), "args": [every]},
        ],
    }  # fmt: skip


def _samples(found: Sequence[_Curve], looks: Sequence[_Look], *, starred: bool) -> list[Json]:
    """The legend: a sample of each model's line, then of each stroke."""
    bare = {"type": "scatter", "x": [None], "y": [None], "hoverinfo": "skip", "showlegend": True}
    made = [
        {
            **bare, "mode": "lines", "name": look.name, "legendgroup": look.group,
            "line": {"color": look.shade, "width": 3, "dash": look.dash["train"]},
        }
        for look in looks
    ]  # fmt: skip
    folded = {curve.folded for curve in found}
    held = tr("validation") if folded == {False} else tr("out of fold")
    held = tr("validation or out of fold") if len(folded) > 1 else held
    star = tr("lowest validation loss") if folded == {False} else tr("kept")
    star = tr("lowest validation loss, or kept") if len(folded) > 1 else star
    strokes = dict.fromkeys((look.dash["train"], look.dash["valid"]) for look in looks)
    for index, pair in enumerate(strokes):
        again = tr(" (colours used again)") if index else ""
        for name, dash in zip((tr("training"), held), pair, strict=True):
            line = {"color": INK, "width": 2, "dash": dash}
            made.append({**bare, "mode": "lines", "name": name + again, "line": line})
    if starred:
        marker = {"symbol": STAR, "size": 11, "color": INK}
        made.append({**bare, "mode": "markers", "name": star, "marker": marker})
    return [{**one, "xaxis": "x", "yaxis": "y"} for one in made]


def _window(lines: Sequence[_Line], *, scaled: bool) -> list[float] | None:
    """The range of an axis that leaves out the start and spikes; None if that is nothing."""
    held = [line.typical[line.typical > 0] if scaled else line.typical for line in lines]
    held = [values for values in held if len(values)]
    if not held:
        return None
    parts = [_usual(values) for values in held]
    low, high = min(part[0] for part in parts), max(part[1] for part in parts)
    every = [value for line in lines for value in line.trace["y"] if value is not None]
    every = [value for value in every if value > 0 or not scaled]
    if min(every) >= low and max(every) <= high:
        return None
    if scaled and low > 0:
        low, high = math.log10(low), math.log10(high)
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return [round(float(low - pad), 6), round(float(high + pad), 6)]


TICKS = [float(f"{digit}e{power}") for power in range(-9, 13) for digit in (1, 2, 5)]
"""The ticks of a log axis. Plotly's own leave out the zeros: 5, 2, 1, 5."""


def _scale(window: list[float] | None, *, scaled: bool) -> Json:
    """The type and the range of a vertical axis. On a log axis of a decade or more the ticks are
    ``TICKS``; on a shorter one they are all that Plotly takes."""
    found: Json = {"range": window} if window else {}
    if scaled:
        found["type"] = "log"
        if window is None or window[1] - window[0] >= 1:
            found["tickvals"], found["ticktext"] = TICKS, [f"{tick:g}" for tick in TICKS]
    return found


def _usual(values: Array) -> tuple[float, float]:
    """The smallest and largest of the values that are not far from the quartiles."""
    low, high = np.quantile(values, (0.25, 0.75))
    far = FAR * (high - low)
    near = values[(values >= low - far) & (values <= high + far)]
    return float(near.min()), float(near.max())


@dataclass(frozen=True)
class _Curve:
    """One model of one run."""

    run: str
    model: str
    train: Mapping[str, list[Any]]
    valid: Mapping[str, list[Any]]

    def part(self, name: str) -> Mapping[str, list[Any]]:
        return self.train if name == "train" else self.valid

    @property
    def solved(self) -> bool:
        """Whether a solver fitted it: then there is an objective, but no epochs."""
        return "objective" in self.train or "penalty" in self.train

    def penalties(self) -> dict[int, float]:
        """The penalty of each step that is the last step of a penalty."""
        last: dict[float, int] = {}
        values = numbers(self.train.get("penalty", ()))
        for step, penalty in zip(self.train.get("step", ()), values.tolist(), strict=False):
            if np.isfinite(penalty):
                last[penalty] = step
        return {step: penalty for penalty, step in last.items()}

    def best(self) -> int | None:
        """The position of the lowest validation loss, as the fit chooses it: not the start. A fit
        by folds keeps what it ends with."""
        loss = numbers(self.valid.get("loss", ()))
        steps = numbers(self.valid.get("step", ()))
        if len(loss) > 1 and self.folded:
            return len(loss) - 1
        if len(loss) > 1:
            loss = np.where(steps > 0, loss, np.nan)
        return int(np.nanargmin(loss)) if np.isfinite(loss).any() else None

    @property
    def task(self) -> str:
        """The name of its score, which says what kind of loss it has; empty if it has none yet."""
        has = [
            score for score in ("accuracy", "rmse") if score in self.valid or score in self.train
        ]
        return has[0] if has else ""

    @property
    def folded(self) -> bool:
        """Whether it was fitted by folds: it has members; or its path of penalties ends with one
        that it had before, that of a last fit to all rows."""
        if self.valid.get("members"):
            return True
        steps = numbers(self.valid.get("step", ()))
        penalties = numbers(self.train.get("penalty", ()))
        at = dict(zip(self.train.get("step", ()), penalties.tolist(), strict=False))
        found = [penalty for step in steps.tolist() if (penalty := at.get(step)) is not None]
        return len(found) > 1 and found[-1] in found[1:-1]

    def places(self, kind: Axis) -> dict[str, Array]:
        """The positions of each part's events on the axis, NaN for an event without a position;
        arrays of length 0 for a model without such an axis."""
        if kind in ("step", "time"):
            given = {part: numbers(self.part(part).get(kind, ())) for part in PARTS}
            return given if kind == "step" else self._elapsed(given)
        if kind == "penalty":
            known = self.penalties()
            if len(known) < 2:
                return {part: np.empty(0) for part in PARTS}
            return {
                part: numbers(map(known.get, self.part(part).get("step", ()))) for part in PARTS
            }
        steps = {part: numbers(self.part(part).get("step", ())) for part in PARTS}
        if self.solved:
            return {part: np.empty(0) for part in PARTS}
        knots = self._epochs(steps)
        if len(knots) < 2:  # the length of an epoch is known only after the first
            return {part: np.where(steps[part] == 0, 0.0, np.nan) for part in PARTS}
        at, epoch = np.array(knots).T
        slope = (epoch[-1] - epoch[-2]) / (at[-1] - at[-2])
        return {
            part: np.where(s > at[-1], epoch[-1] + (s - at[-1]) * slope, np.interp(s, at, epoch))
            for part, s in steps.items()
        }

    def _epochs(self, steps: Mapping[str, Array]) -> list[tuple[float, float]]:
        """(step, epoch) of the first recorded step of each epoch, including the start."""
        first: dict[float, float] = {0.0: 0.0}
        for part in PARTS:
            epochs = numbers(self.part(part).get("epoch", ()))
            if len(epochs) != len(steps[part]):
                continue
            begun = (epochs > 0) & (steps[part] > 0)
            known, at = np.unique(epochs[begun], return_index=True)
            for epoch, step in zip(known.tolist(), steps[part][begun][at].tolist(), strict=True):
                first[epoch] = min(step, first.get(epoch, step))
        rising = sorted((step, epoch) for epoch, step in first.items())
        return [rising[0], *(b for a, b in pairwise(rising) if b[0] > a[0])]

    def _elapsed(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """Seconds since the first event; they continue after a resume, which restarts the clock."""
        times = np.concatenate([given["train"], given["valid"]])
        steps = np.concatenate([numbers(self.part(part).get("step", ())) for part in PARTS])
        if not len(times) or len(times) != len(steps):  # a part of the record is missing
            return dict(given)
        order = np.argsort(steps, kind="stable")
        passed = np.diff(times[order], prepend=times[order][0])
        elapsed = np.empty_like(times)
        elapsed[order] = np.cumsum(np.where(passed > 0, passed, 0.0))
        cut = len(given["train"])
        return {"train": elapsed[:cut], "valid": elapsed[cut:]}


def _axis(found: list[_Curve], x: Axis) -> Axis:
    """The axis on which there is something to draw."""

    def moves(curve: _Curve) -> bool:
        if curve.solved:
            return False
        return any(max(numbers(curve.part(part).get("epoch", ())), default=0) > 0 for part in PARTS)

    if x == "epoch" and not any(map(moves, found)):
        x = "penalty" if found and all(curve.solved for curve in found) else "step"
    if x == "penalty":
        paths = [list(curve.penalties().values()) for curve in found]
        if not any(len(path) > 1 for path in paths) or min(min(p) for p in paths if p) <= 0:
            return "step"
    return x


def _lines(
    curve: _Curve,
    look: _Look,
    panel: _Panel,
    places: Mapping[str, Array],
    ends: tuple[float, float],
    smoothing: float,
) -> list[_Line]:
    """The lines of one model on a panel."""
    best = curve.best()
    level = not any(len(place) for place in places.values())
    made: list[_Line] = []
    for part in PARTS:
        values, steps = panel.values(curve.part(part)), numbers(curve.part(part).get("step", ()))
        if level:
            at, values = _level(curve, part, values, best, ends)
            steps = at
        else:
            at = places[part]
        if not len(at) == len(values) == len(steps):  # this part does not have the score
            continue
        kept = np.isfinite(at) & np.isfinite(values)
        at, values, steps = at[kept], values[kept], steps[kept]
        if not len(at):
            continue
        order = np.argsort(at, kind="stable")
        at, values, steps = at[order], values[order], steps[order]
        what = (tr("training") if part == "train" else tr("validation")) + (
            tr(" (level of its best)") if level else ""
        )
        trace: Json = {
            "type": "scatter",
            "name": f"{look.name}, {what}",
            "legendgroup": look.group,
            "showlegend": False,
            "xaxis": f"x{panel.end}",
            "yaxis": f"y{panel.end}",
            "line": {"color": look.shade, "width": 2, "dash": look.dash[part]},
            "hovertemplate": "%{y:,.4~r}",
        }
        smooth = smoothing > 0 and part == "train" and panel.name == "loss" and len(values) > 1
        if smooth and not curve.solved and not level:
            shadow = {**trace, "opacity": 0.25, "hoverinfo": "skip"}
            del shadow["hovertemplate"]
            made.append(_Line(shadow | _points(at, values, level), np.empty(0), part))
            values = smoothed(values, smoothing)
            trace["name"] += tr(", smoothed")
        begun = values if level or not (steps > 0).any() else values[steps > 0]
        made.append(_Line(trace | _points(at, values, level), begun, part))
    return made


def _star(
    curve: _Curve, look: _Look, panel: _Panel, places: Mapping[str, Array], *, last: bool
) -> list[Json]:
    """The star where a model was best on a panel; with words on the ``last`` one."""
    best = curve.best()
    if best is None or "step" not in curve.valid:
        return []
    score = panel.values(curve.valid)
    if best >= len(places["valid"]) or best >= len(score):  # a level; or the record lacks a part
        return []
    where = places["valid"][best]
    if not (np.isfinite(score[best]) and np.isfinite(where)):
        return []
    epochs = () if curve.solved else curve.valid.get("epoch", ())
    epoch = epochs[best] if best < len(epochs) else None
    known = curve.penalties().get(curve.valid["step"][best])
    words = tr("epoch {epoch}", epoch=epoch)
    if not epoch:
        words = tr("step {step}", step=curve.valid["step"][best])
    words = tr("penalty {number}", number=f"{known:g}") if known is not None else words
    return [
        {
            "type": "scatter",
            "name": look.name,
            "legendgroup": look.group,
            "showlegend": False,
            "xaxis": f"x{panel.end}",
            "yaxis": f"y{panel.end}",
            "x": short(np.array([where]), 8),
            "y": short(score[[best]]),
            "mode": "markers+text" if look.labelled and last else "markers",
            "text": [words],
            "textposition": "top center",
            "marker": {"symbol": STAR, "size": 13, "color": look.shade},
            "hoverinfo": "skip",
        }
    ]


def _level(
    curve: _Curve, part: str, values: Array, best: int | None, ends: tuple[float, float]
) -> tuple[Array, Array]:
    """The value at the best step, as a horizontal line over the whole axis."""
    steps = numbers(curve.part(part).get("step", ()))
    if len(values) == len(steps):
        known = np.isfinite(values)
        steps, values = steps[known], values[known]
    if not len(values) or len(values) != len(steps):
        return np.empty(0), np.empty(0)
    place = len(values) - 1
    if best is not None:
        at = numbers(curve.valid["step"])[best]
        earlier = np.nonzero(steps <= at)[0]
        place = int(earlier[-1]) if len(earlier) else place
    return np.array(ends), np.full(2, values[place])


def _points(at: Array, values: Array, level: bool) -> Json:
    """The decimated points of a line, with markers if there are few."""
    kept = decimate(values)
    few = len(kept) <= FEW_POINTS and not level
    return {
        "x": short(at[kept], 8),
        "y": short(values[kept]),
        "mode": "lines+markers" if few else "lines",
        **({"marker": {"size": 7 if len(kept) == 1 else 4}} if few else {}),
    }


def decimate(values: Array, most: int = MAX_POINTS) -> Array:
    """The positions (at most ``most``, rising) of the ``values`` (points,) that a line shows: the
    first, the last, and the smallest and largest of each stretch of equal length."""
    if len(values) <= most:
        return np.arange(len(values))
    edges = np.linspace(1, len(values) - 1, (most - 2) // 2 + 1).astype(np.int64)
    kept = [0, len(values) - 1]
    for start, stop in pairwise(edges.tolist()):
        stretch = values[start:stop]
        kept += [start + int(stretch.argmin()), start + int(stretch.argmax())]
    return np.unique(kept)


def smoothed(values: Array, weight: float) -> Array:
    """The exponential mean of ``values`` (points,): ``weight`` times the mean before plus
    ``1 - weight`` times the value, divided by the sum of the weights (the bias correction of Adam;
    Kingma and Ba 2015)."""
    result, mean, total = np.empty_like(values), 0.0, 0.0
    for index, value in enumerate(values.tolist()):
        mean = weight * mean + (1 - weight) * value
        total = weight * total + (1 - weight)
        result[index] = mean / total
    return result


def _columns(found: list[_Curve]) -> dict[str, list[Any]]:
    """Every event of every model: run, model, part, then the recorded numbers."""
    names = dict.fromkeys(key for curve in found for part in PARTS for key in curve.part(part))
    columns: dict[str, list[Any]] = {key: [] for key in ("run", "model", "part", *names)}
    for curve in found:
        for part in PARTS:
            values = curve.part(part)
            rows = len(next(iter(values.values()), []))
            columns["run"] += [curve.run] * rows
            columns["model"] += [curve.model] * rows
            columns["part"] += [part] * rows
            for key in names:
                columns[key] += values.get(key, [None] * rows)
    return columns
