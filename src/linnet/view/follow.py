"""What the viewer knows of runs: each is read from where it was left, and never written to."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from linnet import files
from linnet.errors import LinnetError
from linnet.record import Event
from linnet.runs import directory, events, query
from linnet.view.series import Series

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

RARELY = 10
"""How many looks apart the files of runs that have ended are looked at again."""

RATE_SECONDS = 0.05
"""The least time over which samples a second are counted."""

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
        self.id = sha256(os.fsencode(path)).hexdigest()[:16]
        self.name = name
        self.row: Json | None = None
        self.open = True
        """Whether it may still change."""

        self.version = 0
        """Counts the changes of its scores, which the page then asks for."""

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
        self.findings: list[Json] = []
        self.now: Json = {}
        """What is being fitted, at which step, and its last scores."""

        self.units: dict[str, float] = {}
        """Steps of an epoch, by model."""

        self._curves: dict[tuple[str, str], dict[str, Series | None]] = {}
        self._rates: dict[str, tuple[float, int]] = {}

    def look(self) -> None:
        """Bring the row up to date."""
        try:
            state, error = directory.state_of(self.path)
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
        }

    def _look_at_files(self) -> None:
        names = (directory.RECIPE, directory.RUN, directory.METRICS)
        seen = tuple(_changed(self.path / name) for name in names)
        if seen == self._seen:
            return
        facts = query.facts(self.path)
        about = directory.describe(self.path)
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

    def read(self) -> None:
        """Take in what is new in the record: whole lines from the byte where it was left."""
        path = self.path / directory.EVENTS
        try:
            about = path.stat()
        except OSError:
            return
        if about.st_ino != self._inode or about.st_size < self.offset:  # another file in its place
            again, self._inode = self._inode != 0, about.st_ino
            self._reset()
            self.began = about.st_size if again else 0
        while about.st_size > self.offset:
            try:
                found, end = events.read_new(path, self.offset)
            except LinnetError:
                return
            if end <= self.offset:
                return
            if any(event["event"] == "resume" for event in found):
                self._read_anew(path)
                return
            self._take_all(found, end)

    def _read_anew(self, path: Path) -> None:
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
        for event in found:
            self._take(event)
        for series in self.series.values():
            series.settle(offset)
        self.offset = offset

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
        if kind == "step":
            self._step(model, event)
        elif kind == "evaluate":
            self._evaluate(model, event)
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

    def _step(self, model: str, event: Event) -> None:
        place = self._place(model, event)
        if place is None:
            return
        self._add(model, "train", event, *place)
        if "lr" in event and (rate := self._rate(model, *place)) is not None:
            self.now["samples"] = rate
            self._add(model, "train", {"samples": rate}, *place)

    def _evaluate(self, model: str, event: Event) -> None:
        place, valid = self._place(model, event), event.get("valid")
        if place is None or not isinstance(valid, dict):
            return
        step, time = place
        self._add(model, "valid", valid, step, time)
        self._rates[model] = (time, step)
        held = {k: n for k, value in valid.items() if (n := _number(value)) is not None}
        self.now["valid"] = held
        scores = self._scores(model)
        best = scores.get("valid")
        if step > 0 and "loss" in held and (best is None or held["loss"] < best["loss"]):
            scores["valid"] = held
            self.version += 1

    def _place(self, model: str, event: Event) -> tuple[int, float] | None:
        """The step and the seconds of an event; None where it has none."""
        step, time, epoch = event.get("step"), _number(event.get("time")), event.get("epoch")
        if type(step) is not int or not 0 <= step < MAX_STEP or time is None:
            return None
        if type(epoch) is int and epoch > 0 and step:  # the least is exact: a step that ends one
            units = self.units
            units[model] = min(step / epoch, units.get(model, math.inf))
        self.now |= {"model": model, "step": step, "epoch": epoch}
        return step, time

    def _add(self, model: str, part: str, values: Json, step: int, time: float) -> None:
        curves = self._curves.get((model, part))
        if curves is None:
            curves = self._curves[model, part] = dict.fromkeys(PLACE)
        for name, value in values.items():
            if name not in curves:
                curves[name] = None
                if len(self.series) < MAX_SERIES and _number(value) is not None:
                    key = (model, part, str(_clip(name)))
                    curves[name] = self.series.setdefault(key, Series())
            series = curves[name]
            if series is not None and _number(value) is not None:
                series.add(step, time, value)

    def _rate(self, model: str, step: int, time: float) -> float | None:
        """Samples a second since the last time it was known, evaluation left out."""
        if self._batch is None:
            return None
        before, done = self._rates.setdefault(model, (time, step))
        if time - before < RATE_SECONDS:
            return None
        self._rates[model] = (time, step)
        return self._batch * (step - done) / (time - before) if step > done else None

    def detail(self) -> Json:
        """All scores, the recipe, and where it was made."""
        path = self.path
        metrics: Json = {"models": {name: dict(scores) for name, scores in self.models.items()}}
        about: Json = {}
        problem = None
        try:
            if (path / directory.METRICS).is_file():
                metrics = directory.read_metrics(path)
            if (path / directory.RUN).is_file():
                about = files.read_json(path / directory.RUN)
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
            "findings": self.findings,
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


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    if (type(value) is float and math.isfinite(value)) or type(value) is int:
        return value
    return None


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
