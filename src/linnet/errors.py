"""Everything linnet raises on purpose.

LinnetError
├── InputError (ValueError)      the request or its input was wrong; exit code 2
│   ├── DataError                a data set, or a raw example, is not what it must be
│   ├── RecipeError              a setting is unknown or impossible
│   └── ModelError               a file is not a model that linnet can load
└── WorkError (RuntimeError)     the request was right, the work failed; exit code 1
    ├── Diverged                 the loss or a weight is no longer finite
    ├── Blocked                  a check found what would make every result wrong
    ├── Interrupted              somebody asked it to stop; exit code 130 or 143
    └── FetchError               a download failed or did not hold what it should

LinnetWarning (UserWarning)      what was done, but is hardly meant

Every message says what was given, what was expected, and what to do.
"""

from collections.abc import Sequence


class LinnetError(Exception):
    """Any error that linnet raises on purpose."""

    exit_code = 1


class InputError(LinnetError, ValueError):
    """The request or its input was wrong."""

    exit_code = 2


class DataError(InputError):
    """A data set, or a raw example, is not what it must be."""


class RecipeError(InputError):
    """A setting is unknown, impossible, or does not fit the data."""


class ModelError(InputError):
    """A file is not a model that linnet can load."""


class WorkError(LinnetError, RuntimeError):
    """The request was right, but the work failed."""


class Diverged(WorkError):
    """The loss or a weight is no longer finite; ``rows`` are those of the batch at which a loss was
    it first, by their places among the training rows, where there was one."""

    rows: Sequence[int] = ()


class Blocked(WorkError):
    """A check found what would make every result wrong."""


class Interrupted(WorkError):
    """Somebody asked it to stop, by SIGINT or SIGTERM."""

    def __init__(self, signal: int, message: str = "stopped") -> None:
        super().__init__(message)
        self.signal = signal
        self.exit_code = 128 + signal


class FetchError(WorkError):
    """A download failed, or did not hold what it should."""


class LinnetWarning(UserWarning):
    """What was done, but is hardly meant."""
