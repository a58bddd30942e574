"""``linnet predict``."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linnet.cli._output import (
    Json,
    Plugin,
    allow,
    command,
    fits,
    print_json,
    print_table,
    set_threads,
)
from linnet.core.text import say
from linnet.data.table import Warned
from linnet.errors import InputError

if TYPE_CHECKING:
    from linnet.experiment.predictions import Predictions

FORMULA = tuple("=+-@\t\r\n")
MAX_JSON_NUMBERS = 5_000_000
"""The most values that are written as JSON: each takes a hundred bytes of memory."""

ENDINGS = (".csv", ".parquet", ".json")
"""The kinds of file that --out writes."""


@command
def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a model file.", metavar="RUN")],
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Pictures, a folder of pictures, or one data set.", metavar="DATA|IMAGE..."
        ),
    ],
    model: Annotated[str | None, typer.Option(help="One model of the run, by name.")] = None,
    rows: Annotated[str | None, typer.Option(help="Row numbers, such as 0,10,193.")] = None,
    part: Annotated[
        str, typer.Option(help="all, train or test; row numbers count within this part.")
    ] = "all",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write row (or file), y, prediction, p_<class> (of more than 200 classes the most "
            "probable ones) to a .csv, .parquet or .json file."
        ),
    ] = None,
    invert: Annotated[
        bool, typer.Option("--invert", help="Swap dark and light in all pictures.")
    ] = False,
    plugin: Plugin = None,
    json: Json = False,
) -> None:
    """Predict pictures, or rows of a data set."""
    allow(plugin)
    if out is not None and out.suffix.lower() not in ENDINGS:
        raise InputError(f"--out {out}: expected a name that ends in {', '.join(ENDINGS)}")
    if out is not None and json:
        raise InputError("--out writes a file, --json prints: give one of the two")
    from linnet.experiment.few import few

    data = inputs[0] if len(inputs) == 1 else _pictures(inputs)
    numbers, found = _numbers(rows), None
    if part == "all":
        found = few(run, data, model=model, rows=numbers, invert=invert)
    if found is None:
        set_threads()
        from linnet.experiment.predict import predict

        found = predict(run, data, model=model, part=part, rows=numbers, invert=invert)
    for note in found.notes:
        if not isinstance(note, Warned):  # it was a warning already
            say(f"note: {note}", error=True)
    columns = found.columns()
    if out is not None:
        _write(out, columns)
    elif json:
        print_json(_files(found) if found.files else _plain(columns))
    else:
        shown = len(found.row) if rows is not None or len(inputs) > 1 else 20
        plain = ("row", "file", "y", "prediction")
        known = {k: v[:shown] for k, v in columns.items() if k.partition("_")[0] in plain}
        shares = None if found.p is None else found.p[:shown]
        if found.top is not None and shares is not None:
            print_table(*_two(known, found.top[:shown], shares))
        else:
            _print(known, shares, found.classes)
        if len(found.row) > shown:
            say(f"the first {shown} of {len(found.row):,} rows; --out FILE.csv writes them all")


def _print(columns: dict[str, Any], shares: Any, names: Sequence[str]) -> None:
    """Print predictions as a table. ``shares`` (rows, classes) are the probabilities: all of them
    where the terminal is wide enough, else the two largest."""
    import numpy as np

    from linnet.core.text import likely

    def rows(columns: dict[str, list[Any]]) -> list[tuple[Any, ...]]:
        return list(zip(*columns.values(), strict=True))

    known = {name: column.tolist() for name, column in columns.items()}
    if shares is None:
        print_table(list(known), rows(known))
        return
    every = {f"p_{name}": list(map(likely, p)) for name, p in zip(names, shares.T, strict=True)}
    table = {**known, **every}
    if fits(list(table), rows(table)):
        print_table(list(table), rows(table))
        return
    order = (-shares).argsort(1, kind="stable")[:, :2]
    best = np.array(names, object)[order]
    print_table(*_two(columns, best, np.take_along_axis(shares, order, 1)))


def _two(
    columns: dict[str, Any], classes: Any, shares: Any
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The head and the rows of a table with the two most probable ``classes`` (rows, 2 or more) and
    their ``shares``."""
    from linnet.core.text import likely

    table = {name: column.tolist() for name, column in columns.items()}
    table["probability"] = list(map(likely, shares[:, 0]))
    table["runner-up"] = classes[:, 1].tolist()
    table["its probability"] = list(map(likely, shares[:, 1]))
    return list(table), list(zip(*table.values(), strict=True))


def _pictures(inputs: list[str]) -> list[str]:
    """The names of several pictures."""
    from linnet.data.pictures.picture import ENDINGS as PICTURES

    for name in inputs:
        if not name.lower().endswith(PICTURES):
            raise InputError(f"{name} is not a picture; give pictures, or one data set")
    return inputs


def _short(found: "Predictions") -> dict[str, Any]:
    """A line for each picture: its file, its label, the prediction and its probability."""
    columns = {key: value for key, value in found.columns().items() if not key.startswith("p_")}
    return columns if found.p is None else {**columns, "probability": found.p.max(1)}


def _files(found: "Predictions") -> dict[str, Any]:
    """Predictions of pictures as JSON."""
    lists = {name: column.tolist() for name, column in _short(found).items()}
    if found.p is not None:
        lists["probabilities"] = found.p.tolist()
    if found.top is not None:  # of many classes, these are the ones
        lists["classes"] = found.top.tolist()
    each = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    return {"format": 1, "classes": list(found.classes), "pictures": each}


def _write(out: Path, columns: dict[str, Any]) -> None:
    """Write the columns as the ending of ``out`` says."""
    from linnet.core import files

    kind = out.suffix.lower()
    if kind == ".json":
        content = files.pretty(_plain(columns)).encode()
    else:
        content = _parquet(columns) if kind == ".parquet" else _csv(columns)
    files.write(out, content)
    say(f"{out}: {len(next(iter(columns.values()))):,} rows")


def _plain(columns: dict[str, Any]) -> dict[str, Any]:
    """The columns as JSON: an object for each row."""
    rows = len(next(iter(columns.values())))
    if len(columns) * rows > MAX_JSON_NUMBERS:
        raise InputError(
            f"{rows:,} rows of {len(columns):,} values as JSON; at most {MAX_JSON_NUMBERS:,} "
            "values (MAX_JSON_NUMBERS): give --out FILE.parquet or --rows"
        )
    lists = {name: column.tolist() for name, column in columns.items()}
    each = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    return {"format": 1, "rows": each}


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--rows {text}: expected row numbers such as 0,10,193") from None


def _csv(columns: dict[str, Any]) -> bytes:
    """The columns as CSV; text that a spreadsheet would run as a formula gets an apostrophe."""
    import polars

    safe = {
        _harmless(name): [_harmless(value) for value in column.tolist()]
        if column.dtype.kind in "UO"
        else column
        for name, column in columns.items()
    }
    return polars.DataFrame(safe).write_csv().encode()


def _harmless(value: Any) -> Any:
    """Text that no spreadsheet runs: some run a formula also after spaces."""
    return (
        f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA) else value
    )


def _parquet(columns: dict[str, Any]) -> bytes:
    import polars

    buffer = BytesIO()
    plain = {k: v.tolist() if v.dtype.kind == "O" else v for k, v in columns.items()}
    polars.DataFrame(plain).write_parquet(buffer)
    return buffer.getvalue()
