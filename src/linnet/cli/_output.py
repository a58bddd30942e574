"""What all commands share: errors in one line, JSON, tables, the number of threads."""

import inspect
import math
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from json import dumps
from shlex import quote
from typing import Annotated, Any, Literal, NoReturn

import typer

from linnet.core import files, memory
from linnet.core.language import current, language
from linnet.core.text import cell, columns, numeric, say, width_of
from linnet.errors import (
    DataError,
    Interrupted,
    LinnetError,
    LinnetWarning,
    RecipeError,
    WorkError,
    printable,
)

Json = Annotated[bool, typer.Option("--json", help="Print strict JSON.")]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="The column to predict, or several columns of numbers: apples,oranges.",
    ),
]
Task = Annotated[
    str | None,
    typer.Option(
        metavar="TASK", help="classification or regression; by default decided from the target."
    ),
]
SplitColumn = Annotated[
    str | None,
    typer.Option(
        "--split-column", metavar="COLUMN", help="A column with train, valid or test for each row."
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN", help="A column of groups: all rows of a group stay in one part."
    ),
]
Time = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Time column: train on the past, test on the latest rows."),
]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="The first line is data; columns are c0, c1, ...")
]
OnBad = Annotated[
    str | None,
    typer.Option(metavar="fail|skip", help="What to do with an invalid row or picture."),
]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A setting, such as epochs=5; may be repeated. linnet recipe lists all keys.",
    ),
]
Plugin = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="NAME",
        help="Allow a part of another package by its name; may be repeated.",
    ),
]
Lang = Annotated[
    str | None,
    typer.Option(
        metavar="en|zh",
        help="The language of verdict, reasons, tables and pages; by default LINNET_LANG, or en.",
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """``function`` as a command: linnet's own errors become one line and an exit code. If it has
    the option ``lang``, that language is in force.

    The codes are 0: done, 1: the work failed, 2: the request or its input was wrong, 130: stopped
    by Ctrl-C.
    """

    @wraps(function)
    def guarded(*args: Any, debug: bool = False, **options: Any) -> None:
        try:
            memory.require_space()
            with language(options.get("lang")), warnings.catch_warnings():
                current()  # an unknown language is refused before anything is done
                warnings.showwarning = _warn  # type: ignore[assignment]
                function(*args, **options)
        except LinnetError as error:
            if error.silent:  # another process tells it
                raise typer.Exit(error.exit_code) from None
            if isinstance(error, Interrupted):
                _fail(str(error), error.exit_code, debug)
            told = isinstance(error, (DataError, RecipeError, WorkError))
            _fail(f"error: {in_flags(str(error)) if told else error}", error.exit_code, debug)
        except KeyboardInterrupt:
            _fail("stopped", 130, debug)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone: end quietly
            raise typer.Exit(1) from None
        except OSError as error:  # a file error that no other code handled
            _fail(f"error: {error.filename or 'a file'}: {error.strerror or error}", 1, debug)
        except MemoryError:
            _fail("error: out of memory; give fewer rows, or a smaller model", 1, debug)
        except ImportError as error:  # under a limit of memory a library cannot be mapped
            _fail(
                f"error: a library cannot be loaded: {error}; allow more memory (ulimit -v), or "
                "install linnet again",
                1,
                debug,
            )

    signature = inspect.signature(function)
    extra = inspect.Parameter(
        "debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug
    )
    guarded.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), extra]
    )
    guarded.__annotations__ = {**function.__annotations__, "debug": Debug}
    return guarded


def in_flags(message: str) -> str:
    """A message about data or a recipe, with its settings as the command line takes them.

    ``(drop=alive)`` becomes ``(--set drop=alive)``: the same messages are raised in Python, where
    it is ``drop="alive"``.
    """
    if "=" not in message:
        return message
    from linnet.fit.recipe import Recipe  # pydantic takes a while to import

    keys = "|".join(Recipe.model_fields.keys() - {"data"})
    setting = rf"(?:{keys})(?:\.\w+)?=(?=[^\s=\"'])"  # a value in quotes is Python's
    spaced = re.compile(rf"(?<!\w)\(({setting}[^(),]* [^(),]*)\)")
    message = spaced.sub(lambda found: f"(--set {quote(found[1])})", message)
    plain = r"(?<!--set )(?<!\w\()(?<![\w.\"'`=-])"  # not told already
    return re.sub(rf"{plain}(?:set )?({setting})", r"--set \1", message)


def allow(plugin: list[str] | None) -> None:
    """Allow imports of the parts that ``--plugin`` names."""
    from linnet.core import registry

    registry.allow(plugin or ())


def _warn(message: Warning | str, category: type[Warning], *_: Any) -> None:
    """Print a warning in one line, without its place in the code."""
    kind = "warning" if issubclass(category, LinnetWarning) else category.__name__
    say(f"{kind}: {message}", error=True)


def _fail(message: str, code: int, debug: bool) -> NoReturn:
    for line in traceback.format_exc().splitlines() if debug else ():
        say(line, error=True)
    say(message, error=True)
    raise typer.Exit(code)


def names(text: str | None) -> list[str] | None:
    """The value of ``--target`` as a list of column names."""
    return None if text is None else text.split(",")


def print_json(value: Any) -> None:
    """Print strict JSON; characters that do not print are escaped, and all beyond ASCII if the
    output's encoding lacks some of them."""
    text = files.pretty(value)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = files.pretty(value, ascii=True)
    _write(text, lambda character: dumps(character)[1:-1])


def print_toml(text: str) -> None:
    """Print TOML; characters that do not print are escaped."""
    _write(text, lambda character: f"\\U{ord(character):08x}")


def _write(text: str, escaped: Callable[[str], str]) -> None:
    """Print JSON or TOML; what does not print can only be inside a text, where it is ``escaped``
    and means the same."""
    if not text.replace("\n", "").isprintable():
        text = "".join(c if c.isprintable() or c == "\n" else escaped(c) for c in text)
    sys.stdout.write(text)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; numbers and percentages are aligned right.

    Where it is wider than the terminal, the widest columns are folded, and the others stay whole.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [list(row) for row in rows]
    texts = [[printable(text(cell)) for cell in row] for row in rows]
    heads = [printable(heading) for heading in headings]
    widths = [max(map(columns, column)) for column in zip(heads, *texts, strict=True)]
    console = Console(highlight=False, width=room())
    whole = _whole(widths, console.width)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for index, heading in enumerate(heads):
        right = bool(rows) and all(numeric(row[index]) for row in rows)
        justify: Literal["left", "right"] = "right" if right else "left"
        table.add_column(Text(heading), justify=justify, overflow="fold", no_wrap=index in whole)
    for row in texts:
        table.add_row(*map(Text, row))
    console.print(Text(), table, Text(), sep="\n")


GAP = 2
"""The columns of a terminal between two columns of a table."""

FOLDED = 12
"""A column of a table is folded to no fewer columns of a terminal, if there is room."""


def room() -> int:
    """The columns of the terminal; 200 if the output is piped."""
    return width_of(sys.stdout) if sys.stdout.isatty() else 200


def fits(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
    """Whether a table has room without folds."""
    if len(headings) * (GAP + 1) > room():
        return False
    cells = [headings, *([text(cell) for cell in row] for row in rows)]
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    return sum(widths) + GAP * (len(widths) - 1) <= room()


def _whole(widths: Sequence[int], width: int) -> set[int]:
    """The columns of a table that are not folded: the narrowest ones, as many as leave room for
    the others."""
    found: set[int] = set()
    left = width - GAP * (len(widths) - 1)
    by_width = sorted(range(len(widths)), key=lambda index: widths[index])
    for place, index in enumerate(by_width):
        others = sum(min(FOLDED, widths[other]) for other in by_width[place + 1 :])
        if widths[index] + others > left:
            break
        found.add(index)
        left -= widths[index]
    return found


def text(value: Any) -> str:
    """A cell of a table."""
    if isinstance(value, (list, tuple)):
        return " x ".join(map(str, value))
    return str(cell(value))


def set_threads() -> None:
    """Set the number of PyTorch's threads to what this process may use: the smallest of its cores,
    the quota of its control group, and ``OMP_NUM_THREADS``."""
    bound = getattr(os, "sched_getaffinity", None)
    count = len(bound(0)) if bound else os.cpu_count() or 1
    limits = [count, math.ceil(memory.cores() or count)]
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        limits.append(int(given))
    import torch

    torch.set_num_threads(max(1, min(limits)))
