"""Progress of a fit: a bar in a terminal, a table that changes in place in a notebook, or else a
line every few seconds. All show the same events in the same words."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from linnet.core.events import Begin, Evaluate, Event, Finding, Plain, Step, of
from linnet.core.events import Fit as Ended
from linnet.core.history import Columns, Fit, History, Part, loss
from linnet.core.html import Html, put
from linnet.core.text import say
from linnet.errors import LinnetWarning, printable
from linnet.figures.notebook import paragraph, table
from linnet.insight.task import task_in

Echo = Callable[[Plain], None]

SECONDS_BETWEEN_LINES = 5.0
SECONDS_BETWEEN_UPDATES = 0.25
"""The least time between two updates of a notebook's table."""

MOST_WARNINGS = 20

OF_A_FIT = (Step, Evaluate, Ended)
"""The events that show the progress of a fit."""


def shown(
    echo: Echo | bool | None, address: str | None = None
) -> AbstractContextManager[Echo | None]:
    """The receiver of the events. If ``echo`` is a function, it is ``echo`` itself; for True it is
    a display, for False there is none, and for None it is a display in a notebook only.

    ``address`` is the address of a live page, which is shown.
    """
    here = in_notebook()
    if callable(echo) or not (here if echo is None else echo):
        if address is not None:
            say(f"live page: {address}", error=True)
        return nullcontext(echo if callable(echo) else None)
    return Notebook(address) if here else Terminal(address)


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
    return f"training loss {values['loss']:.4f}" if "loss" in values else ""


def scored(event: Evaluate) -> str:
    """The validation scores, in words."""
    valid = event.valid or {}
    found = f"validation loss {loss(event):.4f}"
    task = task_in(valid)
    return found if task is None else f"{found}, {task.words(task.of(valid))}"


def place(event: Step | Evaluate) -> str:
    """The epoch or step of an event, in words."""
    return f"epoch {event.epoch}" if event.epoch else f"step {event.step}"


def words_of(fit: Fit, event: Event) -> str:
    """The words for ``event``, the last event of a fit; empty if another event shows the same."""
    match event:
        case Ended():
            return str(event.reason)
        case Step() if "penalty" in event.values:
            return f"step {event.step}, {learned(event)}"
        case Step():
            return f"{place(event)}: {learned(event)}" if fit.scores is None else ""
        case Evaluate():
            step = fit.step
            told = "" if step is None or "penalty" in step.values else f"{learned(step)}, "
            return f"{place(event)}: {told}{scored(event)}"
    return ""


class _Display:
    """A display. It shows linnet's warnings itself; meanwhile Python does not print them, unless a
    filter asks for it."""

    def __init__(self) -> None:
        self._quiet = ExitStack()
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
        """The event of a line; and its fit, if the display has the begin of this fit."""
        event = of(line)
        self._history.take(event)
        fit = self._history.now
        shows = fit is not None and fit.begin is not None
        return event, fit if shows and isinstance(event, (Begin, *OF_A_FIT)) else None


class _Nowhere:
    """Stores no points: a display only shows the last one."""

    def put(self, model: str, part: Part, columns: Columns) -> None:
        """Do nothing."""


class Terminal(_Display):
    """Shows the events of a record on standard error as they come."""

    def __init__(self, address: str | None = None) -> None:
        super().__init__()
        self._printed = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._broken = False
        if address is not None:
            say(f"live page: {address}", error=True)
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.fields[model]:<9}", markup=False),
                BarColumn(bar_width=24),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )

    def _begin(self) -> None:
        if self._bar:
            self._bar.start()

    def _end(self, error: BaseException | None) -> None:
        if self._bar:
            with suppress(OSError):
                self._bar.stop()

    def __call__(self, line: Plain) -> None:
        if self._broken:
            return
        try:
            self._show(*self._take(line))
        except OSError:  # a closed pipe or terminal: the fit continues
            self._broken = True

    def _show(self, event: Event, fit: Fit | None) -> None:
        if isinstance(event, Finding) and event.severity == "warning":
            warning = printable(f"warning: {_found(event)}")
            if self._bar:
                self._bar.console.print(warning, markup=False, highlight=False)
            else:
                say(warning, error=True)
        elif fit is None:
            return
        elif isinstance(event, Begin):
            if self._bar:
                self._task = self._bar.add_task("", total=fit.total, model=printable(fit.model))
        else:
            words = words_of(fit, event)
            if self._bar:
                self._draw(event, words)
            elif isinstance(event, Ended):
                say(f"{fit.model}: {words}", error=True)
            elif words and "penalty" not in event.values and self._due():
                self._printed = time.monotonic()
                say(f"{fit.model}: {words}", error=True)

    def _due(self) -> bool:
        return time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES

    def _draw(self, event: Event, words: str) -> None:
        changed: dict[str, Any] = {"description": printable(words)} if words else {}
        if isinstance(event, Ended):
            done = max(1, event.steps or 0)
            changed |= {"completed": done, "total": done}
        elif isinstance(event, Step) and "penalty" not in event.values:
            changed["completed"] = event.step
        self._bar.update(self._task, **changed)


class Notebook(_Display):
    """Shows the events of a record as a table in a notebook, which changes in place.

    It is drawn again at most four times a second, and when a fit begins. If the notebook cannot be
    reached, there is a warning, and the fit continues.
    """

    def __init__(self, address: str | None = None) -> None:
        super().__init__()
        self._address = address
        self._fault = ""
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
        if fit is None and not (isinstance(event, Finding) and event.severity == "warning"):
            return
        late = time.monotonic() - self._drawn >= SECONDS_BETWEEN_UPDATES
        if isinstance(event, Begin) or late:
            self._draw()

    def _fits(self) -> list[Fit]:
        """The fits that are shown."""
        return [fit for fit in self._history.fits if fit.begin is not None]

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
        fits, findings = self._fits(), self._findings()
        rows = [
            [fit.model, _bar(fit, bool(self._fault)), *_told(fit), f"{fit.seconds:.1f} s"]
            for fit in fits
        ]
        head = ["model", "step", "training", "validation", "time"]
        parts = [table(head, rows)] if rows else [paragraph("linnet: the data is ready")]
        parts += [paragraph(f"{f.model} stopped: {f.end.reason}") for f in fits if f.end]
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
            for fit in self._fits()
        ]
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
