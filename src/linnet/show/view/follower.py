"""The viewer's copy of runs: each run is read on from the last position, and never written."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from linnet.core import files
from linnet.core.events import Event, Resume, Yardstick
from linnet.core.files import Place
from linnet.core.history import Fit, History, drop_undone
from linnet.core.language import tr
from linnet.errors import LinnetError
from linnet.insight.checks.words import told
from linnet.insight.stopping import stopped
from linnet.runs import archive, directory, events, query
from linnet.show.view import windows
from linnet.show.view.series import MAX_LETTERS, Bounded, Key, Series, number, shortened

Json = dict[str, Any]

MAX_RUNS = 2000
MAX_FITS = 100
MAX_MEMBERS = 100
MAX_FINDINGS = 50
MAX_FACTS = 150

MAX_MESSAGE_BYTES = 64 << 10

RARELY = 10
"""At every such look all folders are listed, and the files of runs that have ended are checked;
else a folder is listed only if it has changed."""

READ_BYTES = 1 << 20
READ_SECONDS = 0.2
"""A record is read for at most about this long before its new events are shown."""

SPENT = ("batches", "steps", "evaluate", "record")
"""The parts of a fit's time."""


class Folder:
    """The runs in a folder and in its subfolders, or the one run that the folder is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs: dict[str, Follower] = {}
        self._paths: dict[Path, Follower] = {}
        self._listed: dict[Path, float] = {}
        self._looks = 0

    def look(self) -> bool:
        """Find the runs and update their rows; their records are not read. Returns whether anything
        has changed."""
        all_of_them = self._looks % RARELY == 0
        self._looks += 1
        changed = False
        if all_of_them or any(_changed(path) != at for path, at in self._listed.items()):
            changed = self._find()
        for run in self._paths.values():
            if run.open or all_of_them or run.row is None:
                before = run.message
                run.look()
                changed |= run.message is not before
        if changed or not self.runs:
            self.runs = {run.id: run for run in self._paths.values()}
        return changed

    def _find(self) -> bool:
        """Find the runs; returns whether others are there than before."""
        self._listed = {}
        found = dict(_find(self.root, self._listed))
        if found.keys() == self._paths.keys():
            return False
        self._paths = {
            path: self._paths.get(path) or Follower(path, name) for path, name in found.items()
        }
        return True


def _find(root: Path, listed: dict[Path, float]) -> Iterator[tuple[Path, str]]:
    """The runs with their names; ``listed`` becomes the folders that were listed, with the time of
    their last change before that."""
    if root.is_file():  # the zip of a run
        yield root, root.stem
        return
    if (root / directory.STATUS).is_file():
        yield root, root.name
        return
    count = 0
    for path in _folders(root, listed):
        inner = [path] if (path / directory.STATUS).is_file() else _folders(path, listed)
        for run in inner:
            if run == path or (run / directory.STATUS).is_file():
                yield run, run.relative_to(root).as_posix()
                count += 1
                if count == MAX_RUNS:
                    return


def _folders(path: Path, listed: dict[Path, float]) -> list[Path]:
    listed[path] = _changed(path)
    try:
        with os.scandir(path) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return []


class Follower:
    """One run: its row of the table, and its curves so far."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.place: Place = archive.run_place(path)
        self.id = sha256(os.fsencode(path)).hexdigest()[:16]
        self.name = name
        self.row: Json | None = None
        self.message = b""
        """Its row as a message to the page; another object whenever the row has changed."""

        self.open = True
        """Whether it may still change."""

        self.version = 0
        """Counts the changes of its scores; after a change the page asks for them again."""

        self.windows = windows.Windows(path)
        """The windows that programs drew beside it with ``linnet.compat.visdom``."""

        self._seen: tuple[float, ...] = ()
        self._facts: Json = {}
        self._about: Json = {}
        self._batch: float | None = None
        self._inode = 0
        self._reset()

    def _reset(self) -> None:
        self.offset = 0
        self.began = 0
        """The end of the record when it was last read again from its beginning."""

        self.curves = Bounded()
        self.curves.batch = self._batch
        self.history = History(self.curves, fits=MAX_FITS, findings=MAX_FINDINGS)

    @property
    def series(self) -> dict[Key, Series]:
        """Its curves."""
        return self.curves.series

    @property
    def now(self) -> Json:
        """The model that is being fitted, its step, and its scores: "valid" are the last ones,
        "best" those with the lowest validation loss."""
        fit = self.history.now
        if fit is None:
            return {}
        model = shortened(fit.model)
        found: Json = {"model": model, "steps": fit.total, "step": fit.at, "epoch": fit.epoch}
        found["title"] = self.titles.get(model, model)
        if fit.begin is not None and fit.begin.members and fit.step is not None:
            found |= {"member": fit.step.member, "members": fit.begin.members}
        if fit.scores is not None:
            found["valid"] = _numbers(fit.scores.valid)
        if best := _best(fit):
            found["best"] = best
        if model in self.curves.samples:
            found["samples"] = self.curves.samples[model]
        if (left := self._left(fit)) is not None:
            found["left"] = left
        return found

    def _left(self, fit: Fit) -> float | None:
        """The seconds that the fit still takes if it goes on as before, and does not stop early."""
        if not fit.total or not fit.at or fit.end is not None:
            return None
        pace = fit.seconds / fit.at
        if self.began or not pace > 0:  # a resume starts the clock anew
            rate = self.curves.samples.get(shortened(fit.model))
            pace = self._batch / rate if rate and self._batch else math.nan
        return number(pace * max(0, fit.total - fit.at)) if math.isfinite(pace) else None

    @property
    def titles(self) -> dict[str, str]:
        """The titles of the models, such as perceptron."""
        return {shortened(name): _clip(title) for name, title in self.history.titles().items()}

    @property
    def units(self) -> dict[str, float]:
        """The number of steps of an epoch, by model."""
        fits = self.history.models.values()
        return {shortened(fit.model): fit.unit for fit in fits if fit.unit < math.inf}

    @property
    def folds(self) -> dict[str, Json]:
        """Of each model fitted by folds the ``starts``, the steps before each member's first one,
        and, when it has ended, the step that is ``kept``."""
        found: dict[str, Json] = {}
        for fit in self.history.models.values():
            told: Json = {"starts": sorted(fit.starts.values())[:MAX_MEMBERS]} if fit.starts else {}
            if fit.folded and fit.best is not None:
                told["kept"] = fit.best.step
            if told:
                found[shortened(fit.model)] = told
        return found

    @property
    def group(self) -> str:
        """What it is about: runs of the same data, target and task can be compared."""
        kinds = {"classification": tr("classification"), "regression": tr("regression")}
        task = self._facts.get("task")
        parts = [self._about.get("data"), self._facts.get("target"), kinds.get(str(task), task)]
        return " · ".join(_clip(part, 60) for part in parts if part)

    def look(self) -> None:
        """Update the row."""
        try:
            state, error = directory.state_of(self.place)
            self._look_at_files()
            problem = None
        except (LinnetError, OSError, TypeError, AttributeError, KeyError) as wrong:
            state, error, problem = None, None, f"cannot be read: {wrong}"
        self.open = state in ("running", None)
        row = {
            "id": self.id,
            "name": _clip(self.name),
            "state": _clip(state),
            "error": _clip(problem or error, 2000),
            **{key: _clip(self._about.get(key)) for key in ("created", "data", "chosen")},
            **{key: self._about.get(key) for key in ("metric", "value", "interval")},
            "facts": self._facts,
            "group": self.group,
            "windows": windows.size(self.path),
        }
        if row != self.row:
            self.row = row
            self.message = _row(row)

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
        self._batch = self.curves.batch = float(batch) if isinstance(batch, int) else None
        self._seen = seen
        self.version += 1

    def read(self) -> bool:
        """Read the new complete lines of the record, for at most about ``READ_SECONDS``; returns
        whether there is more."""
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
            if any(type(event) is Resume for event in found):
                self._read_anew(path)
                return False
            self._take(found, end)
            if time.monotonic() - began > READ_SECONDS:
                return about.size > self.offset
        return False

    def _read_anew(self, path: Place) -> None:
        """Read the whole record again, without the events that a resume has undone."""
        self._reset()
        found: list[Event] = []
        offset = 0
        while True:
            more, end = events.read_new(path, offset)
            if end <= offset:
                break
            found += more
            offset = end
        self._take(drop_undone(found), offset)
        self.began = offset

    def _take(self, found: list[Event], offset: int) -> None:
        """Add events; the last one ends at byte ``offset`` of the record."""
        before = self.history.changes
        self.history.extend(found)
        self.version += self.history.changes - before
        self.curves.settle(offset)
        self.offset = offset

    def detail(self) -> Json:
        """All scores, findings and times of the run, and its ``run.json``."""
        path = self.place
        fits = self.history.models.values()
        metrics: Json = {"models": {shortened(fit.model): _scores(fit) for fit in fits}}
        about: Json = {}
        problem = None
        try:
            if (path / directory.METRICS).is_file():
                metrics = directory.read_metrics(path)
            if (path / directory.RUN).is_file():
                about = directory.read_info(path)
        except (LinnetError, OSError) as error:
            problem = str(error)
        titles = {
            name: _clip(self.history.title(name))
            for name in [*metrics["models"], *metrics.get("yardstick", {})]
        }
        models = {}
        for name, scores in metrics["models"].items():
            given = {key: value for key, value in scores.items() if isinstance(value, dict)}
            if isinstance(test := given.get("test"), dict) and "confusion" in test:
                given["test"] = {**test, **_matrix(test)}
            if isinstance(fit := given.get("fit"), dict) and "reason" in fit:
                given["fit"] = {**fit, "reason": stopped(fit, short=True)}
            models[name] = given
        return {
            "id": self.id,
            "models": models,
            "yardstick": metrics.get("yardstick", _yardstick(self.history.yardstick)),
            "titles": {name: tr(title).removeprefix("the ") for name, title in titles.items()},
            **{key: metrics.get(key) for key in ("chosen", "choice", "comparisons")},
            **_answer(metrics, titles),
            "learning": (path / directory.LEARNING).is_file(),
            "findings": [
                {
                    "model": _clip(found.model, 2000),
                    "severity": _clip(found.severity, 2000),
                    "text": told(_clip(found.text, 2000)),
                }
                for found in self.history.findings
            ],
            "spent": {
                shortened(fit.model): _numbers({key: getattr(fit.spent, key) for key in SPENT})
                for fit in fits
                if fit.spent is not None
            },
            "about": about,
            "problem": problem,
        }


def _answer(metrics: Json, titles: Mapping[str, str]) -> Json:
    """Which model to use, the verdict, and why comparisons show nothing, of a run that has
    ended."""
    if "verdict" not in metrics:
        return {}
    from linnet.insight.answer import answer, spoken
    from linnet.insight.verdict import reason

    compared = [
        {**each, "why": reason(str(each["why"]))} if each.get("why") else each
        for each in metrics.get("comparisons") or ()
    ]
    told = answer(metrics, titles)
    verdict = spoken(metrics, lambda: titles)
    answered = None if told is None else told.plain()
    return {"answer": answered, "verdict": verdict, "comparisons": compared}


MAX_CLASSES = 60
"""With more classes, the confusion matrix shows those with the most errors."""


def _matrix(test: Json) -> Json:
    """The confusion matrix of at most ``MAX_CLASSES`` classes; ``shown`` are their class codes."""
    counts = test["confusion"]
    shown = list(range(len(counts)))
    if len(counts) > MAX_CLASSES:
        errors = [
            sum(row) + sum(other[index] for other in counts) - 2 * row[index]
            for index, row in enumerate(counts)
        ]
        shown = sorted(sorted(shown, key=lambda index: -errors[index])[:MAX_CLASSES])
    return {"confusion": [[counts[i][j] for j in shown] for i in shown], "shown": shown}


def message(event: str, data: Mapping[str, Any], id: str | None = None) -> bytes:
    """A server-sent event; its JSON contains no line breaks."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    line = "" if id is None else f"id: {id}\n"
    return f"event: {event}\n{line}data: {text}\n\n".encode()


def _row(row: Json) -> bytes:
    """A row of the table as a message; with fewer facts if it is too long for one."""
    while len(made := message("run", row)) > MAX_MESSAGE_BYTES:
        facts = list(row["facts"].items())
        row = {**row, "facts": dict(facts[: len(facts) // 2])}
    return made


def _changed(path: Place) -> float:
    try:
        return files.about(path).changed
    except OSError:
        return 0


def _numbers(values: Mapping[str, Any] | None) -> dict[str, float]:
    """Those of some values that are finite numbers."""
    found = {key: number(value) for key, value in (values or {}).items()}
    return {key: value for key, value in found.items() if value is not None}


def _best(fit: Fit) -> dict[str, float]:
    """The scores with the lowest validation loss, without the start unless nothing followed (the
    constant); empty if there are none. Those of one member of a mean are not the model's."""
    if fit.best is not None and fit.best.member is not None:
        return {}
    counts = fit.best is not None and (fit.best.step or fit.end is not None)
    scores = _numbers(fit.best.valid) if fit.best is not None and counts else {}
    return scores if "loss" in scores else {}


def _scores(fit: Fit) -> Json:
    """The scores of a model before the run has ended."""
    found: Json = {}
    if best := _best(fit):
        found["valid"] = {**best, "by": "folds"} if fit.folded else best
    if fit.end is not None:
        ended = {"reason": _clip(fit.end.reason, 2000), "stopped": fit.end.stopped}
        told = stopped({**fit.end.values, **ended}, short=True)
        found["fit"] = {"reason": told, **_numbers({"seconds": fit.seconds})}
    if fit.test is not None:
        found["test"] = fit.test.test
    return found


def _yardstick(found: Yardstick | None) -> Json:
    """The yardstick before the run has ended."""
    if found is None or found.model is None:
        return {}
    told: Json = {"valid": _numbers(found.valid), "test": found.test, "why": _clip(found.why)}
    told["fit"] = None if found.seconds is None else {"seconds": found.seconds}
    return {shortened(found.model): {key: value for key, value in told.items() if value}}


def _clip(value: Any, most: int = MAX_LETTERS) -> Any:
    """A number, or a text, cut if it is too long."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return files.plain(value)
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    return shortened(str(value), most)
