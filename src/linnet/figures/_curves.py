"""Training curves: loss and score over epochs, steps, time, or the penalties of the line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from linnet.errors import InputError
from linnet.figures._style import Array, Json, axis, color, layout, numbers, short
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

GAP = 0.14
"""The space between panels, as a share of the figure."""

DASHES = (("solid", "dash"), ("dot", "dashdot"))
"""The line styles of training and validation: for the first use of a colour, and for the next."""

PARTS = {"train": "training", "valid": "validation"}
TITLES = {"epoch": "epoch", "step": "step", "time": "time (s)", "penalty": "penalty"}


def curves(
    runs: Mapping[str, Series],
    *,
    x: Axis = "epoch",
    log: bool = False,
    smoothing: float = 0.0,
) -> Figure:
    """Loss and accuracy (or RMSE) of runs by name, side by side.

    Training is solid, validation dashed; if there are more models than colours, the others are
    dotted and dash-dotted. A star marks the lowest validation loss. The training loss is the mean
    over the steps, with dropout, as they were made. The training score is that of at most 2,000
    training rows with the network at that time.

    ``x`` is the horizontal axis. "time" is in seconds since the first event of the model's fit;
    "penalty" is the path of the line's penalties. A model without such values (the line has no
    epochs) is drawn as a horizontal line: its best loss and score. If no model has epochs, "epoch"
    means the penalty, or else the step.

    ``log`` draws loss and RMSE on a log axis. ``smoothing``, from 0 to below 1, is the weight of
    the past in an exponential mean of the training losses of a net, corrected for the bias of its
    start; the raw line stays, faint. ``columns`` has a row for each event, with the times of the
    events.
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
    panels = ["loss"]
    panels += [s for s in ("accuracy", "rmse") if any(s in c.valid or s in c.train for c in found)]
    several = len(runs) > 1
    titles = {
        "loss": "log loss (nats)" if panels == ["loss", "accuracy"] else "loss",
        "accuracy": "accuracy (%)",
        "rmse": "RMSE (unit of the target)",
    }
    if panels == ["loss", "rmse"]:
        titles["loss"] = "loss (half the squared error)"
    data: list[Json] = []
    drawn = [curve.places(kind) for curve in found]
    reach = np.concatenate([np.empty(0), *(part for places in drawn for part in places.values())])
    reach = reach[np.isfinite(reach)]
    ends = (float(reach.min()), float(reach.max())) if len(reach) else (0.0, 1.0)
    for index, (curve, places) in enumerate(zip(found, drawn, strict=True)):
        data += _traces(curve, places, panels, index, ends, smoothing, several, len(found))
    dotted = len(found) > len(COLORS)
    solid, dashed = ("solid or dotted", "dashed or dash-dotted") if dotted else ("solid", "dashed")
    held, star = "validation", "best"
    if any(curve.folded for curve in found):
        alone = all(curve.folded for curve in found)
        held, star = "out of fold" if alone else "validation, or out of fold", "kept"
    figure_layout = layout(
        f"{solid}: training · {dashed}: {held} · ★ {star}",
        height=400 + 10 * len(found),
        hovermode="closest",
    )
    width = (1 - GAP * (len(panels) - 1)) / len(panels)
    for index, panel in enumerate(panels):
        end = "" if index == 0 else str(index + 1)
        left = index * (width + GAP)
        logged = {"type": "log", "exponentformat": "power"} if kind == "penalty" else {}
        figure_layout[f"xaxis{end}"] = axis(
            TITLES[kind], domain=[left, left + width], anchor=f"y{end}", **logged
        )
        scaled = {"type": "log"} if log and panel != "accuracy" else {}
        figure_layout[f"yaxis{end}"] = axis(titles[panel], anchor=f"x{end}", **scaled)
    return Figure(data, figure_layout, _columns(found))


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
    def star(self) -> str:
        """What a star says of the weights there."""
        return "kept" if self.folded else "least validation loss"

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


def _traces(
    curve: _Curve,
    places: Mapping[str, Array],
    panels: list[str],
    index: int,
    ends: tuple[float, float],
    smoothing: float,
    several: bool,
    models: int,
) -> list[Json]:
    """The lines of one model, and its star, on every panel."""
    name = text(curve.model)
    name = f"{text(curve.run)} · {name}" if several else name
    shade = color(index)
    dash = dict(zip(PARTS, DASHES[index // len(COLORS) % len(DASHES)], strict=True))
    best = curve.best()
    level = not any(len(place) for place in places.values())
    traces: list[Json] = []
    named = False
    for panel_index, panel in enumerate(panels):
        end = "" if panel_index == 0 else str(panel_index + 1)
        unit = 100.0 if panel == "accuracy" else 1.0
        for part in PARTS:
            values = numbers(curve.part(part).get(panel, ())) * unit
            if level:
                at, values = _level(curve, part, values, best, ends)
            else:
                at = places[part]
            if len(at) != len(values):  # this part does not have the score
                continue
            kept = np.isfinite(at) & np.isfinite(values)
            at, values = at[kept], values[kept]
            if not len(at):
                continue
            order = np.argsort(at, kind="stable")
            at, values = at[order], values[order]
            what = PARTS[part] + (" (level of its best)" if level else "")
            trace: Json = {
                "type": "scatter",
                "name": name,
                "legendgroup": str(index),
                "showlegend": not named,
                "xaxis": f"x{end}",
                "yaxis": f"y{end}",
                "line": {
                    "color": shade,
                    "width": 2,
                    "dash": dash[part],
                },
                "hovertemplate": what + "<br>%{x}: %{y:.5g}",
            }
            named = True
            smooth = smoothing > 0 and part == "train" and panel == "loss" and len(values) > 1
            smooth = smooth and not curve.solved and not level
            if smooth:
                shadow = {**trace, "showlegend": False, "opacity": 0.25, "hoverinfo": "skip"}
                del shadow["hovertemplate"]
                traces.append(shadow | _points(at, values, level))
                values = smoothed(values, smoothing)
                trace["hovertemplate"] = "smoothed " + trace["hovertemplate"]
            traces.append(trace | _points(at, values, level))
        if best is None or level or "step" not in curve.valid:
            continue
        score = numbers(curve.valid.get(panel, ()))
        if best >= len(places["valid"]):  # a part of the record is missing
            continue
        where = places["valid"][best]
        if best < len(score) and np.isfinite(score[best]) and np.isfinite(where):
            epoch = curve.valid.get("epoch", [None])[best] if not curve.solved else None
            known = curve.penalties().get(curve.valid["step"][best])
            words = f"epoch {epoch}" if epoch else f"step {curve.valid['step'][best]}"
            words = f"penalty {known:g}" if known is not None else words
            labelled = models <= MAX_LABELLED and panel == panels[-1]
            star = {
                "type": "scatter",
                "name": name,
                "legendgroup": str(index),
                "showlegend": False,
                "xaxis": f"x{end}",
                "yaxis": f"y{end}",
                "x": short(np.array([where]), 8),
                "y": short(score[[best]] * unit),
                "mode": "markers+text" if labelled else "markers",
                "text": [words],
                "textposition": "top center" if panel == "accuracy" else "bottom center",
                "marker": {"symbol": "star", "size": 13, "color": shade},
                "hovertemplate": f"{curve.star}: {words}<br>%{{x}}: %{{y:.5g}}",
            }
            traces.append(star)
    return traces


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
