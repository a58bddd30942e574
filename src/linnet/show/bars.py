"""Progress bars in a terminal, a line for each fit, in any width of the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from linnet.errors import printable

NAME, BAR, WIDE = 9, 16, 80
"""The columns that a name and a bar take, and those of the narrowest terminal with bars."""

MIN_LEFT = 1.0
"""A shorter time is not announced, in seconds."""


class Bars:
    """A line for each fit: its name, a bar, a few words, and the time.

    The words are cut where they are too long; the other parts never are. A terminal of less than
    ``WIDE`` columns has no bar, and no time left.
    """

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        wide = console.width >= WIDE
        self._progress = Progress(
            TextColumn("{task.fields[model]}", markup=False, table_column=_whole(NAME)),
            *([BarColumn(BAR, table_column=_whole(BAR))] if wide else []),
            _Words(),
            _Clock(wide),
            console=console,
        )
        self.start, self.stop = self._progress.start, self._progress.stop

    def print(self, text: str) -> None:
        """Print a message above the lines."""
        self._progress.console.print(printable(text), markup=False)

    def add(self, model: str, total: int | None, done: int) -> TaskID:
        """A new line; ``total`` is the number of steps, if it is known."""
        return self._progress.add_task("", total=total, completed=done, model=printable(model))

    def update(self, line: TaskID, words: str, done: int | None, *, ended: bool = False) -> None:
        """Show ``words``, unless they are empty, and how many steps are done, if it is known."""
        if words:
            self._progress.update(line, description=printable(words))
        if done is not None:
            self._progress.update(line, completed=done, total=done if ended else None)


def _whole(width: int | None = None) -> Column:
    return Column(no_wrap=True, min_width=width)


class _Words(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Clock(ProgressColumn):
    """The time since the line began, and the time left if all steps are done: a fit may stop
    earlier. For people only: nothing depends on it."""

    def __init__(self, left: bool) -> None:
        super().__init__(_whole())
        self._left = left

    def render(self, task: Task) -> Text:
        spent = task.finished_time if task.finished else task.elapsed
        left = task.time_remaining if self._left and not task.finished else None
        more = f", up to {_clock(left)} left" if left is not None and left >= MIN_LEFT else ""
        return Text(f"{_clock(spent or 0.0)}{more}")


def _clock(seconds: float) -> str:
    """``0:07``, ``12:34``, ``1:02:03``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
