"""Progress of a fit: a bar in a terminal, a table that changes in place in a notebook, a line for
each model in a script, or a line every few seconds. All show the same events in the same words."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from linnet.core.events import Begin, Evaluate, Event, Finding, Fold, Plain, Resume, Step, of
from linnet.core.events import Fit as Ended
from linnet.core.history import Columns, Fit, History, Part, loss
from linnet.core.html import Html, put
from linnet.core.text import fixed, say
from linnet.errors import LinnetWarning, printable
from linnet.figures.notebook import paragraph, table
from linnet.insight.task import task_in

if TYPE_CHECKING:
    from linnet.show.bars import Bars

Echo = Callable[[Plain], None]

SECONDS_BETWEEN_LINES = 5.0
SECONDS_BETWEEN_UPDATES = 0.25
"""The least time between two updates of a notebook's table."""

MOST_WARNINGS = 20

OF_A_FIT = (Step, Evaluate, Ended)
"""The events that show the progress of a fit."""


def shown(
    echo: Echo | bool | None, address: str | None = None, past: Sequence[Event] = ()
) -> AbstractContextManager[Echo | None]:
    """The receiver of the events. If ``echo`` is a function, it is ``echo`` itself; for True it is
    a display, for False there is none. For None it is a display in a notebook and where standard
    error is a terminal, and elsewhere one line for each model.

    ``address`` is the address of a live page, which is shown. ``past`` are the events so far of a
    record that is resumed.
    """
    here = in_notebook()
    lines = echo is None and not here and not sys.stderr.isatty()
    if lines or callable(echo) or echo is False:
        if address is not None:
            say(f"live page: {address}", error=True)
        return Brief(past) if lines else nullcontext(echo if callable(echo) else None)
    return Notebook(address, past) if here else Terminal(address, past)


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in type(shell).__mro__)


def learned(step: Step) -> str:
    """The values of a step, in words."""
    values = step.values
    if "penalty" in values:
        return f"penalty {values['penalty']:.0e}, gradient {values['gradient_max']:.1e}"
    return f"training loss {fixed(values['loss'])}" if "loss" in values else ""


def scored(event: Evaluate) -> str:
    """The validation scores, in words."""
    valid = event.valid or {}
    found = f"validation loss {fixed(loss(event))}"
    task = task_in(valid)
    return found if task is None else f"{found}, {task.words(task.of(valid))}"


def place(fit: Fit, event: Step | Evaluate) -> str:
    """The epoch or step of an event, in words; in a fit by folds with the number of the member."""
    members = None if fit.begin is None else fit.begin.members
    whole = f" of {members}" if members else ""
    member = "" if event.member is None else f"member {event.member + 1}{whole}, "
    return member + (f"epoch {event.epoch}" if event.epoch else f"step {event.step}")


def words_of(fit: Fit, event: Event) -> str:
    """The words for ``event``, the last event of a fit; empty if another event shows the same."""
    match event:
        case Ended():
            return str(event.reason)
        case Step() if "penalty" in event.values:
            return f"step {event.step}, {learned(event)}"
        case Step():
            return f"{place(fit, event)}: {learned(event)}" if fit.scores is None else ""
        case Evaluate():
            step = fit.step
            told = "" if step is None or "penalty" in step.values else f"{learned(step)}, "
            return f"{place(fit, event)}: {told}{scored(event)}"
    return ""


def tested(event: Fold) -> str:
    """How far a cross-validation is, in words."""
    return f"fold {event.fold} of {event.folds}: {event.model}"


def brief(fit: Fit, event: Event) -> str:
    """The words for ``event`` in at most about 40 letters; empty if nothing new is to be said."""
    match event:
        case Begin():
            return ""
        case Resume():
            return f"resumed at {_reached(fit, event.step or 0)}"
        case Ended():
            if fit.best is None or not (event.converged or fit.best.epoch):
                return "converged" if event.converged else str(event.reason)
            ended = "converged" if event.converged else f"best at {place(fit, fit.best)}"
            if "members" in event.values:
                ended = f"{event.values['members']} members"
            return f"{ended}{_score(fit.best)}"
        case Step() if "penalty" in event.values:
            return f"step {event.step} · gradient {event.values['gradient_max']:.1e}"
        case Step() if fit.scores is None or not fit.scores.step:
            loss_so_far = f" · loss {fixed(event.values['loss'])}" if "loss" in event.values else ""
            return _reached(fit, event.step) + loss_so_far
        case Evaluate() if event.epoch or not (fit.step and "penalty" in fit.step.values):
            return _reached(fit, event.step) + _score(event)
    return ""


def _reached(fit: Fit, step: int) -> str:
    """How far a fit is: "epoch 4 of 12", or its step if no epoch is done. Of a fit by folds the
    member and its own epoch: "2 of 5, epoch 4"."""
    if not fit.epoch:
        return f"step {step:,}"
    members = fit.begin.members if fit.begin is not None else None
    if members and fit.step is not None and fit.step.member is not None:
        return f"{fit.step.member + 1} of {members}, epoch {fit.epoch}"
    known = fit.total is not None and math.isfinite(fit.unit)
    epochs = math.ceil((fit.total or 0) / fit.unit) if known else 0
    return f"epoch {fit.epoch}" + (f" of {epochs}" if known else "")


def _score(event: Evaluate) -> str:
    """The validation score."""
    task = task_in(event.valid or {})
    return "" if task is None else f" · val {task.shown(task.of(event.valid or {}))}"


class _Display:
    """A display. It shows linnet's warnings itself; meanwhile Python does not print them, unless a
    filter asks for it."""

    def __init__(self, past: Sequence[Event]) -> None:
        self._quiet = ExitStack()
        self._past = past
        self._history = History(_Nowhere())

    def __enter__(self) -> Self:
        self._quiet.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", LinnetWarning, append=True)
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(error)
        self._quiet.close()

    def _begin(self) -> None:
        raise NotImplementedError

    def _end(self, error: BaseException | None) -> None:
        raise NotImplementedError

    def __call__(self, line: Plain) -> None:
        raise NotImplementedError

    def _take(self, line: Plain) -> tuple[Event, Fit | None]:
        """The event of a line; and its fit, if it is the event of a fit."""
        event = of(line)
        if isinstance(event, Resume):
            self._history.extend(self._past[: event.events])
            self._past = ()
            return event, None if event.model is None else self._history.models.get(event.model)
        self._history.take(event)
        return event, self._history.now if isinstance(event, (Begin, *OF_A_FIT)) else None


class _Nowhere:
    """Stores no points: a display only shows the last one."""

    def put(self, model: str, part: Part, columns: Columns) -> None:
        """Do nothing."""


class Terminal(_Display):
    """Shows the events of a record on standard error as they come."""

    def __init__(self, address: str | None = None, past: Sequence[Event] = ()) -> None:
        super().__init__(past)
        self._printed = time.monotonic()
        self._bars: Bars | None = None
        self._line: Any = None
        self._folds: Any = None
        self._fit: Fit | None = None
        self._broken = False
        if address is not None:
            say(f"live page: {address}", error=True)
        if sys.stderr.isatty():
            from linnet.show.bars import Bars

            self._bars = Bars()

    def _begin(self) -> None:
        if self._bars:
            self._bars.start()

    def _end(self, error: BaseException | None) -> None:
        if self._bars:
            with suppress(OSError):
                self._bars.stop()

    def __call__(self, line: Plain) -> None:
        if self._broken:
            return
        try:
            self._show(*self._take(line))
        except OSError:  # a closed pipe or terminal: the fit continues
            self._broken = True

    def _show(self, event: Event, fit: Fit | None) -> None:
        if isinstance(event, Finding) and event.severity == "warning":
            warning = f"warning: {_found(event)}"
            if self._bars:
                self._bars.print(warning)
            else:
                say(warning, error=True)
        elif isinstance(event, Fold):
            self._test(event)
        elif fit is not None and self._bars:
            self._draw(self._bars, event, fit)
        elif fit is not None:
            self._tell(event, fit)

    def _tell(self, event: Event, fit: Fit) -> None:
        """Print a line at the begin and the end of a fit, and every few seconds."""
        words = brief(fit, event) if isinstance(event, Resume) else words_of(fit, event)
        late = time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES
        late = late and "penalty" not in event.values
        if words and (late or isinstance(event, (Resume, Ended))):
            if not isinstance(event, Ended):
                self._printed = time.monotonic()
            say(f"{fit.model}: {words}", error=True)

    def _test(self, event: Fold) -> None:
        """Show how far a cross-validation is."""
        done, fits = event.done or 0, event.fits or 0
        if self._bars:
            if self._folds is None:
                self._folds = self._bars.add("folds", fits, 0)
            self._bars.update(self._folds, tested(event), done, ended=done == fits)
        elif done == fits or time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES:
            self._printed = time.monotonic()
            say(tested(event), error=True)

    def _draw(self, bars: Bars, event: Event, fit: Fit) -> None:
        if isinstance(event, Resume):
            bars.print(f"{fit.model}: {brief(fit, event)}")
        if fit is not self._fit:
            self._fit, self._line = fit, bars.add(fit.model, fit.total, fit.at)
        done, ended = None, isinstance(event, Ended)
        if isinstance(event, Ended):
            done = max(1, event.steps or 0)
        elif isinstance(event, Step) and "penalty" not in event.values:
            done = event.step
        bars.update(self._line, brief(fit, event), done, ended=ended)


class Brief(_Display):
    """Tells one line for each model on standard error, when its fit ends; of a cross-validation one
    every few seconds. Python prints the warnings."""

    def __enter__(self) -> Self:
        self._printed = time.monotonic()
        return self

    def _end(self, error: BaseException | None) -> None:
        pass

    def __call__(self, line: Plain) -> None:
        event, fit = self._take(line)
        with suppress(OSError):  # a closed pipe: the fit continues
            if isinstance(event, Ended) and fit is not None:
                say(f"{fit.model}: {brief(fit, event)} · {_seconds(fit)}", error=True)
            elif isinstance(event, Fold):
                late = time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES
                if late or event.done == event.fits:
                    self._printed = time.monotonic()
                    say(tested(event), error=True)


class Notebook(_Display):
    """Shows the events of a record as a table in a notebook, which changes in place.

    It is drawn again at most four times a second, and when a fit begins. If the notebook cannot be
    reached, there is a warning, and the fit continues.
    """

    def __init__(self, address: str | None = None, past: Sequence[Event] = ()) -> None:
        super().__init__(past)
        self._address = address
        self._fault = ""
        self._fold: Fold | None = None
        self._handle: Any = None
        self._broken = False
        self._drawn = 0.0

    def _begin(self) -> None:
        self._draw()

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            ended = "failed" if isinstance(error, Exception) else "stopped"
            self._fault = f"{ended}: {type(error).__name__} {error}"
        self._draw()

    def __call__(self, line: Plain) -> None:
        event, fit = self._take(line)
        if isinstance(event, Fold):
            self._fold = event
        elif fit is None and not (isinstance(event, Finding) and event.severity == "warning"):
            return
        late = time.monotonic() - self._drawn >= SECONDS_BETWEEN_UPDATES
        if isinstance(event, (Begin, Resume)) or late:
            self._draw()

    def _findings(self) -> list[str]:
        """The warnings among the findings."""
        return [_found(each) for each in self._history.findings if each.severity == "warning"]

    def _draw(self) -> None:
        if self._broken:
            return
        self._drawn = time.monotonic()
        try:
            bundle = {"text/html": self.html(), "text/plain": self.text()}
            if self._handle is None:
                display = import_module("IPython.display").display
                self._handle = display(bundle, raw=True, display_id=True)
            else:
                self._handle.update(bundle, raw=True)
        except Exception as error:  # an error of the display must not stop the fit
            self._broken = True
            self._quiet.close()
            warnings.warn(f"no live progress: {error!r}", LinnetWarning, stacklevel=2)

    def html(self) -> str:
        """The display as HTML."""
        fits, findings = self._history.fits, self._findings()
        rows = [
            [fit.model, _bar(fit, bool(self._fault)), *_told(fit), _seconds(fit)] for fit in fits
        ]
        head = ["model", "step", "training", "validation", "time"]
        parts = [table(head, rows)] if rows else [paragraph("linnet: the data is ready")]
        parts += [paragraph(f"{f.model} stopped: {f.end.reason}") for f in fits if f.end]
        parts += [] if self._fold is None else [paragraph(tested(self._fold))]
        parts += [paragraph("⚠ ", found) for found in findings[:MOST_WARNINGS]]
        if len(findings) > MOST_WARNINGS:
            parts.append(paragraph(f"… and {len(findings) - MOST_WARNINGS} more warnings"))
        if self._fault:
            parts.append(paragraph("✗ ", self._fault))
        if self._address is not None:
            link = f'<a href="{put(self._address)}" target="_blank" rel="noopener">live page</a>'
            parts.append(paragraph(Html(link)))
        return f"<div>{''.join(parts)}</div>"

    def text(self) -> str:
        """The display as plain text."""
        lines = [
            f"{fit.model}: " + (str(fit.end.reason) if fit.end else ", ".join(_told(fit)))
            for fit in self._history.fits
        ]
        lines += [] if self._fold is None else [tested(self._fold)]
        lines += [f"warning: {found}" for found in self._findings()[:MOST_WARNINGS]]
        lines += [self._fault] if self._fault else []
        lines += [f"live page: {self._address}"] if self._address is not None else []
        return "\n".join(map(printable, lines)) or "linnet: the data is ready"


def _told(fit: Fit) -> tuple[str, str]:
    """The last training and validation scores, in words; the best validation scores at the end."""
    held = fit.best if fit.end is not None else fit.scores
    return (
        learned(fit.step).removeprefix("training ") if fit.step is not None else "",
        scored(held).removeprefix("validation ") if held is not None else "",
    )


def _seconds(fit: Fit) -> str:
    """How long a fit has taken so far; of one whose begin is not known, nothing."""
    return f"{fit.seconds:.1f} s" if math.isfinite(fit.seconds) else ""


def _bar(fit: Fit, broken: bool) -> Html:
    """The progress bar of a fit; without a value if the number of steps is not known."""
    done = fit.at
    words = f"{done:,}" + (f" of {fit.total:,}" if fit.total and fit.end is None else "")
    words += f", epoch {fit.epoch}" if fit.epoch else ""
    total = fit.total or max(1, done)
    if fit.end is not None:
        done = total
    known = fit.total or fit.end is not None or broken
    state = f' value="{min(done, total)}" max="{total}"' if known else ""
    bar = f'<progress style="width:90px;vertical-align:middle"{state}></progress>'
    return Html(f"{bar} {put(words)}")


def _found(finding: Finding) -> str:
    return finding.text if finding.model is None else f"{finding.model}: {finding.text}"
