"""What the viewer knows of runs: each is read from where it was left, and never written to."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

from linnet.core import files
from linnet.core.files import Place
from linnet.core.record import Event
from linnet.errors import LinnetError
from linnet.runs import archive, directory, events, query
from linnet.show.view import windows
from linnet.show.view.series import Series

Json = dict[str, Any]
Key = tuple[str, str, str]
"""Of a curve: the model, "train" or "valid", and the name of the value."""

MAX_RUNS = 2000
MAX_SERIES = 100
"""Curves of one run."""

MAX_FINDINGS = 50
MAX_FACTS = 150
MAX_LETTERS = 300
"""Of a name or of a value that is shown in a row."""

MAX_STEP = 2**53
LARGE = 1e300

RARELY = 10
"""How many looks apart the files of runs that have ended are looked at again."""

READ_BYTES = 1 << 20
READ_SECONDS = 0.5
"""For how long a record is read on before what was found is shown."""

RATE_SECONDS = 0.05
"""The least time over which samples a second are counted."""

SPENT = ("batches", "steps", "evaluate", "record")
"""Parts of a fit's time."""

PLACE = ("event", "model", "step", "epoch", "time", "valid", "converged")
"""What is no value of a curve."""


class Folder:
    """The runs in a folder (and in folders of runs in it), or the one run that it is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs: dict[str, Follower] = {}
        self._paths: dict[Path, Follower] = {}
        self._looks = 0

    def look(self) -> None:
        """Find the runs there are, and how each is doing; their records are not read."""
        found = list(_find(self.root))
        for path, name in found:
            if path not in self._paths:
                self._paths[path] = Follower(path, name)
        there = {path for path, _ in found}
        self._paths = {path: run for path, run in self._paths.items() if path in there}
        for run in self._paths.values():
            if run.open or self._looks % RARELY == 0 or run.row is None:
                run.look()
        self.runs = {run.id: run for run in self._paths.values()}
        self._looks += 1


def _find(root: Path) -> Iterator[tuple[Path, str]]:
    if root.is_file():  # the zip of a run
        yield root, root.stem
        return
    if (root / directory.STATUS).is_file():
        yield root, root.name
        return
    count = 0
    for path in _folders(root):
        inner = [path] if (path / directory.STATUS).is_file() else _folders(path)
        for run in inner:
            if run == path or (run / directory.STATUS).is_file():
                yield run, run.relative_to(root).as_posix()
                count += 1
                if count == MAX_RUNS:
                    return


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return []


class Follower:
    """One run: its row in the table, and its curves so far."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.place: Place = archive.run_place(path)
        self.id = sha256(os.fsencode(path)).hexdigest()[:16]
        self.name = name
        self.row: Json | None = None
        self.open = True
        """Whether it may still change."""

        self.version = 0
        """Counts the changes of its scores, which the page then asks for."""

        self.windows = windows.Windows(path)
        """What programs showed beside it with ``linnet.compat.visdom``."""

        self._seen: tuple[float, ...] = ()
        self._facts: Json = {}
        self._about: Json = {}
        self._batch: float | None = None
        self._inode = 0
        self._reset()

    def _reset(self) -> None:
        self.offset = 0
        self.began = 0
        """Where the record ended when its reading began anew."""

        self.series: dict[Key, Series] = {}
        self.models: dict[str, Json] = {}
        self.spent: dict[str, Json] = {}
        """Where the seconds of each fit went so far."""

        self.findings: list[Json] = []
        self.now: Json = {}
        """What is being fitted, at which step, and its scores: the last, "valid", and those of the
        least validation loss, "best"."""

        self.units: dict[str, float] = {}
        """Steps of an epoch, by model."""

        self._rates: dict[str, tuple[float, int]] = {}

    def look(self) -> None:
        """Bring the row up to date."""
        try:
            state, error = directory.state_of(self.place)
            self._look_at_files()
            problem = None
        except (LinnetError, OSError, TypeError, AttributeError, KeyError) as wrong:
            state, error, problem = None, None, f"cannot be read: {wrong}"
        self.open = state in ("running", None)
        self.row = {
            "id": self.id,
            "name": _clip(self.name),
            "state": _clip(state),
            "error": _clip(problem or error, 2000),
            **{key: _clip(self._about.get(key)) for key in ("created", "data", "chosen")},
            **{key: self._about.get(key) for key in ("metric", "value", "interval")},
            "facts": self._facts,
            "windows": windows.size(self.path),
        }

    def _look_at_files(self) -> None:
        names = (directory.RECIPE, directory.RUN, directory.METRICS, directory.LEARNING)
        seen = tuple(_changed(self.place / name) for name in names)
        if seen == self._seen:
            return
        facts = query.facts(self.place)
        about = directory.describe(self.place)
        plain = {
            _clip(key): _clip(value)
            for key, value in facts.items()
            if key not in ("name", "state", "data", "created", "chosen") and value is not None
        }
        self._facts = dict(list(plain.items())[:MAX_FACTS])
        test = facts.get(f"test.{about['metric']}_interval")
        self._about = {**about, "interval": test}
        batch = facts.get("batch_size")
        self._batch = float(batch) if isinstance(batch, int) else None
        self._seen = seen
        self.version += 1

    def read(self) -> bool:
        """Take in what is new in the record, whole lines from the byte where it was left, for at
        most about ``READ_SECONDS``; whether there is more."""
        path = self.place / directory.EVENTS
        began = time.monotonic()
        try:
            about = files.about(path)
        except OSError:
            return False
        if about.inode != self._inode or about.size < self.offset:  # another file in its place
            again, self._inode = self._inode != 0, about.inode
            self._reset()
            self.began = about.size if again else 0
        while about.size > self.offset:
            try:
                found, end = events.read_new(path, self.offset, READ_BYTES)
            except LinnetError:
                return False
            if end <= self.offset:
                return False
            if any(event["event"] == "resume" for event in found):
                self._read_anew(path)
                return False
            self._take_all(found, end)
            if time.monotonic() - began > READ_SECONDS:
                return about.size > self.offset
        return False

    def _read_anew(self, path: Place) -> None:
        """The whole record again, without what a resume took back."""
        self._reset()
        found: list[Event] = []
        offset = 0
        while True:
            more, end = events.read_new(path, offset)
            if end <= offset:
                break
            found += more
            offset = end
        self._take_all(events.without_undone(found), offset)
        self.began = offset

    def _take_all(self, found: list[Event], offset: int) -> None:
        """Events that end at byte ``offset`` of the record."""
        for _, alike in groupby(found, lambda event: (event["event"], event.get("model"), *event)):
            self._take_alike(list(alike))
        for series in self.series.values():
            series.settle(offset)
        self.offset = offset

    def _take_alike(self, alike: list[Event]) -> None:
        """Events of one kind, of one model, with the same keys."""
        model = alike[0].get("model")
        if alike[0]["event"] == "step" and isinstance(model, str):
            self._steps(model if len(model) <= MAX_LETTERS else str(_clip(model)), alike)
            return
        for event in alike:
            self._take(event)

    def _take(self, event: Event) -> None:
        kind, model = event["event"], event.get("model")
        if kind == "finding":
            if len(self.findings) < MAX_FINDINGS:
                keys = ("model", "severity", "text")
                self.findings.append({key: _clip(event.get(key), 2000) for key in keys})
                self.version += 1
            return
        if not isinstance(model, str):
            return
        if len(model) > MAX_LETTERS:
            model = str(_clip(model))
        if kind == "evaluate":
            self._evaluate(model, event)
        elif kind == "spent":
            self._spent(model, event)
        elif kind == "begin":
            self.now = {"model": model, "steps": _number(event.get("steps")), "step": 0}
            self._scores(model)
        elif kind == "fit":
            self._scores(model)["fit"] = {"reason": _clip(event.get("reason"), 2000)}
            self.version += 1
        elif kind == "test":
            self._scores(model)["test"] = event.get("test")
            self.version += 1

    def _scores(self, model: str) -> Json:
        if model not in self.models and len(self.models) < MAX_SERIES:
            self.models[model] = {}
        return self.models.get(model, {})

    def _steps(self, model: str, alike: list[Event]) -> None:
        """Steps with the same keys, column by column: there may be very many."""
        columns = dict(zip(alike[0], zip(*map(dict.values, alike), strict=True), strict=True))
        steps, times, epochs = (columns.get(key, ()) for key in ("step", "time", "epoch"))
        whole = set(map(type, steps)) == {int} and min(steps) >= 0 and max(steps) < MAX_STEP
        if not whole or not times or not _numbers(times):
            for event in alike if len(alike) > 1 else ():
                self._steps(model, [event])
            return
        self.now |= {"model": model, "step": steps[-1]}
        if set(map(type, epochs)) == {int}:
            self._place_epoch(model, steps, epochs)
        for name, values in columns.items():
            series = self._series(model, "train", name, values)
            if series is None:
                continue
            points = zip(steps, times, values, strict=True)
            if _numbers(values):
                series.extend(points)
            else:
                series.extend(point for point in points if _number(point[2]) is not None)
        if "lr" in columns and self._batch is not None:
            self._rate(model, steps, times)

    def _evaluate(self, model: str, event: Event) -> None:
        place, valid = self._place(model, event), event.get("valid")
        if place is None or not isinstance(valid, dict):
            return
        step, time = place
        self._add(model, "valid", valid, step, time)
        if isinstance(
            seen := event.get("train"), dict
        ):  # the loss of training is that of its steps
            learned = {key: value for key, value in seen.items() if key != "loss"}
            self._add(model, "train", learned, step, time)
        self._rates[model] = (time, step)
        held = {k: n for k, value in valid.items() if (n := _number(value)) is not None}
        self.now["valid"] = held
        scores = self._scores(model)
        best = scores.get("valid")
        if step > 0 and "loss" in held and (best is None or held["loss"] < best["loss"]):
            scores["valid"] = self.now["best"] = held
            self.version += 1

    def _spent(self, model: str, event: Event) -> None:
        """Where the seconds of a fit went so far, and the memory it holds."""
        place = self._place(model, event)
        if place is None:
            return
        self._add(model, "train", {"memory": event.get("memory")}, *place)
        parts = {key: n for key in SPENT if (n := _number(event.get(key))) is not None}
        if len(self.spent) < MAX_SERIES or model in self.spent:
            self.spent[model] = parts
            self.version += 1

    def _place(self, model: str, event: Event) -> tuple[int, float] | None:
        """The step and the seconds of an event; None where it has none."""
        step, time, epoch = event.get("step"), _number(event.get("time")), event.get("epoch")
        if type(step) is not int or not 0 <= step < MAX_STEP or time is None:
            return None
        self.now |= {"model": model, "step": step}
        if type(epoch) is int:
            self._place_epoch(model, (step,), (epoch,))
        return step, time

    def _place_epoch(self, model: str, steps: tuple[int, ...], epochs: tuple[int, ...]) -> None:
        """Steps of an epoch; the least is exact: it is that of a step that ends one."""
        self.now["epoch"] = epochs[-1] if abs(epochs[-1]) < MAX_STEP else None
        found = [s / e for s, e in zip(steps, epochs, strict=True) if s and 0 < e < MAX_STEP]
        if found:
            self.units[model] = min(*found, self.units.get(model, math.inf))

    def _add(self, model: str, part: str, values: Json, step: int, time: float) -> None:
        for name, value in values.items():
            series = self._series(model, part, name, (value,))
            if series is not None and _number(value) is not None:
                series.extend([(step, time, value)])

    def _series(self, model: str, part: str, name: str, values: tuple[Any, ...]) -> Series | None:
        """The curve of a value; None for what is not the value of a curve, or no number so far."""
        key = (model, part, name if len(name) <= MAX_LETTERS else str(_clip(name)))
        if key in self.series:
            return self.series[key]
        if name in PLACE or len(self.series) >= MAX_SERIES:
            return None
        if all(_number(value) is None for value in values):
            return None
        return self.series.setdefault(key, Series())

    def _rate(self, model: str, steps: tuple[int, ...], times: tuple[float, ...]) -> None:
        """Samples a second since the last time it was known, evaluation left out."""
        before, done = self._rates.get(model, (times[0], steps[0]))
        for step, at in zip(steps, times, strict=True):
            if at - before >= RATE_SECONDS:
                if step > done and self._batch:
                    rate = self._batch * (step - done) / (at - before)
                    self.now["samples"] = rate
                    self._add(model, "train", {"samples": rate}, step, at)
                before, done = at, step
        self._rates[model] = (before, done)

    def detail(self) -> Json:
        """All scores, the recipe, and where it was made."""
        path = self.place
        metrics: Json = {"models": {name: dict(scores) for name, scores in self.models.items()}}
        about: Json = {}
        problem = None
        try:
            if (path / directory.METRICS).is_file():
                metrics = directory.read_metrics(path)
            if (path / directory.RUN).is_file():
                about = directory.read_info(path)
        except (LinnetError, OSError) as error:
            problem = str(error)
        models = {}
        for name, scores in metrics["models"].items():
            given = {key: value for key, value in scores.items() if isinstance(value, dict)}
            if isinstance(test := given.get("test"), dict) and "confusion" in test:
                given["test"] = {**test, **_matrix(test)}
            models[name] = given
        return {
            "id": self.id,
            "models": models,
            **{key: metrics.get(key) for key in ("chosen", "comparisons", "verdict")},
            "learning": (path / directory.LEARNING).is_file(),
            "findings": self.findings,
            "spent": self.spent,
            "about": about,
            "problem": problem,
        }


MAX_CLASSES = 60
"""Of more classes the confusion matrix has those with the most errors."""


def _matrix(test: Json) -> Json:
    """The confusion matrix, ``shown`` (the class codes it has), cut to ``MAX_CLASSES``."""
    counts = test["confusion"]
    shown = list(range(len(counts)))
    if len(counts) > MAX_CLASSES:
        errors = [
            sum(row) + sum(other[index] for other in counts) - 2 * row[index]
            for index, row in enumerate(counts)
        ]
        shown = sorted(sorted(shown, key=lambda index: -errors[index])[:MAX_CLASSES])
    return {"confusion": [[counts[i][j] for j in shown] for i in shown], "shown": shown}


def _changed(path: Place) -> float:
    try:
        return files.about(path).changed
    except OSError:
        return 0


def _number(value: Any) -> float | None:
    """A number that is not beyond all measure, or None."""
    number = type(value) in (int, float) and -LARGE < value < LARGE
    return value if number else None


def _numbers(values: tuple[Any, ...]) -> bool:
    """Whether each is such a number; none of them is NaN, which strict JSON does not have."""
    plain = {int, float}.issuperset(map(type, values))
    return plain and min(values) > -LARGE and max(values) < LARGE


def _clip(value: Any, most: int = MAX_LETTERS) -> Any:
    """A number, or text that is not too long."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return files.plain(value)
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + "…"
