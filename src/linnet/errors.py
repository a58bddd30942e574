"""All errors and warnings that linnet raises on purpose.

LinnetError
├── InputError (ValueError)      the request or its input was wrong; exit code 2
│   ├── DataError                a data set or a raw example is invalid
│   │   ├── ColumnError          a column of numbers is invalid
│   │   └── CellError            one value of a row of a table is invalid
│   ├── RecipeError              a setting is unknown or impossible
│   └── ModelError               a file is not a model that linnet can load
└── WorkError (RuntimeError)     the request was right, the work failed; exit code 1
    ├── Diverged                 the loss or a weight is no longer finite
    ├── Blocked                  a check found a problem that would make every result wrong
    ├── Interrupted              a signal asked the work to stop; exit code 130 or 143
    ├── LostRank                 one of several processes has ended or is silent; exit code 2
    └── FetchError               a download failed or has the wrong content

LinnetWarning (UserWarning)      linnet did what was asked, but it may be a mistake

Every message says what was given, what was expected, and what to do. It may quote names from files
of anyone, so as text it is always ``printable``, and of bounded length.
"""

from collections.abc import Sequence
from typing import Any

MAX_MESSAGE = 4000
"""The most letters of a message; of a longer one its begin and its end are shown."""


def printable(text: object, *, spaces: bool = True) -> str:
    """``text`` as one line that no terminal obeys: the one place that makes text safe to print.

    Line ends, tabs and odd spaces become ``spaces``. Other characters that do not print are
    shown as Python writes them: controls (``\\x1b``, also C1), marks that turn the direction of
    text (``\\u202e``), letters without width (``\\u200b``), half characters (``\\udc80``).
    """
    found = text if type(text) is str else str(text)
    if found.isprintable():
        return found
    return "".join(
        c if c.isprintable() else " " if spaces and c.isspace() else repr(c)[1:-1] for c in found
    )


def _message(text: str) -> str:
    """A message, printable and not too long."""
    half = MAX_MESSAGE // 2
    return printable(text if len(text) <= MAX_MESSAGE else f"{text[:half]} ... {text[-half:]}")


class _Missing:
    """The value of a column that a row does not have."""

    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()
"""What ``CellError`` has as the ``given`` value where the row has no such column."""


class LinnetError(Exception):
    """Any error that linnet raises on purpose."""

    exit_code = 1
    silent = False
    """Whether another process that failed with this one tells it."""

    def __str__(self) -> str:
        return _message(super().__str__())


class InputError(LinnetError, ValueError):
    """The request or its input was wrong."""

    exit_code = 2


class DataError(InputError):
    """A data set or a raw example is invalid."""


class ColumnError(DataError):
    """A column of numbers is invalid: its number among the inputs is ``column``."""

    def __init__(self, column: int, what: str) -> None:
        super().__init__(f"column {column}: {what}")
        self.column, self.what = column, what

    def named(self, name: str) -> DataError:
        """The same error, for a column that has a name."""
        return DataError(f'column "{name}": {self.what}')


class CellError(DataError):
    """A value of a row of a table is invalid: that of the ``column`` in the ``row``, from 0. It is
    ``given``, and ``expected`` says in words what would be right."""

    def __init__(self, row: int, column: str, given: Any, expected: str, remedy: str = "") -> None:
        shown = repr(given)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        what = "the value is missing" if given is MISSING else f"the value is {shown}"
        told = f"row {row}, column {column!r}: {what}; expected {expected}"
        super().__init__(f"{told}; {remedy}" if remedy else told)
        self.row, self.column, self.given, self.expected = row, column, given, expected


class RecipeError(InputError):
    """A setting is unknown, impossible, or does not fit the data."""


class ModelError(InputError):
    """A file is not a model that linnet can load."""


class WorkError(LinnetError, RuntimeError):
    """The request was right, but the work failed."""


class Diverged(WorkError):
    """The loss or a weight is no longer finite.

    ``rows`` are the rows of the batch with the first loss that is not finite, as positions among
    the training rows; None if there is no such batch.
    """

    rows: Sequence[int] = ()


class Blocked(WorkError):
    """A check found a problem that would make every result wrong."""


class Interrupted(WorkError):
    """A signal (SIGINT or SIGTERM) asked the work to stop."""

    def __init__(self, signal: int, message: str = "stopped") -> None:
        super().__init__(message)
        self.signal = signal
        self.exit_code = 128 + signal


class LostRank(WorkError):
    """One of the processes that train together has ended, or does not answer.

    ``killed`` are the numbers of the ranks that have ended.
    """

    exit_code = 2
    killed: Sequence[int] = ()

    def add(self, words: str) -> None:
        """Add words to the message."""
        self.args = (f"{self}; {words}",)


class FetchError(WorkError):
    """A download failed, or has the wrong content."""


class LinnetWarning(UserWarning):
    """linnet did what was asked, but it may be a mistake."""

    def __str__(self) -> str:
        return _message(super().__str__())
