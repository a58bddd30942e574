"""``linnet predict``."""

from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import typer

from linnet.cli._output import Json, Plugin, allow, command, print_json, print_table, set_threads
from linnet.core.text import say
from linnet.data.table import Warned
from linnet.errors import InputError

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
    resize: Annotated[
        bool, typer.Option("--resize", help="Resize pictures to the model's shape.")
    ] = False,
    invert: Annotated[
        bool, typer.Option("--invert", help="Swap dark and light, for dark ink on white paper.")
    ] = False,
    plugin: Plugin = None,
    json: Json = False,
) -> None:
    """Predict pictures, or rows of a data set."""
    allow(plugin)
    set_threads()
    if out is not None and out.suffix.lower() not in ENDINGS:
        raise InputError(f"--out {out}: expected a name that ends in {', '.join(ENDINGS)}")
    pictures = _paths(inputs)
    if pictures:
        if rows is not None or part != "all":
            raise InputError("--rows and --part go with a data set, not with single pictures")
        _pictures(run, pictures, model, resize, invert, json, out)
        return
    if len(inputs) != 1:
        missing = next((n for n in inputs if not Path(n).exists()), inputs[0])
        raise InputError(f"there is no picture {missing}; give pictures, or one data set")
    if resize or invert:
        raise InputError("--resize and --invert go with single pictures, not with a data set")
    if out is not None and json:
        raise InputError("--out writes a file, --json prints: give one of the two")
    from linnet.experiment.predict import predict

    found = predict(run, inputs[0], model=model, part=part, rows=_numbers(rows))
    columns = found.columns()
    for note in found.notes:
        if not isinstance(note, Warned):  # it was a warning already
            say(f"note: {note}", error=True)
    if out is not None:
        _write(out, columns)
    elif json:
        print_json(_plain(columns))
    else:
        shown = 20 if rows is None else len(found.row)
        first = (column[:shown].tolist() for column in columns.values())
        print_table(list(columns), [list(values) for values in zip(*first, strict=True)])
        if len(found.row) > shown:
            say(f"the first {shown} of {len(found.row):,} rows; --out FILE.csv writes them all")


def _paths(inputs: list[str]) -> list[Path]:
    """The pictures that are named, alone or by a folder of pictures without classes; else none."""
    from linnet.data.pictures.folder import loose
    from linnet.data.pictures.picture import ENDINGS as PICTURES

    paths = [Path(name) for name in inputs]
    if all(path.suffix.lower() in PICTURES and path.is_file() for path in paths):
        return paths
    return loose(paths[0]) if len(paths) == 1 and paths[0].is_dir() else []


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


def _pictures(
    run: Path,
    paths: list[Path],
    model: str | None,
    resize: bool,
    invert: bool,
    json: bool,
    out: Path | None,
) -> None:
    import numpy as np

    from linnet.core.text import of_path
    from linnet.runs.run import load

    artifact = load(run, model)
    batch = _opened(run, artifact.schema, paths, resize)
    batch = 255 - batch if invert else batch
    labels = artifact.predict(batch)
    names = np.array([of_path(path) for path in paths], object)
    columns: dict[str, Any] = {"file": names, "prediction": labels}
    shares = artifact.predict_proba(batch) if artifact.objective.classifies else None
    if shares is not None:
        columns["probability"] = shares.max(1)
    if out is not None:
        columns.pop("probability", None)
        each: Any = () if shares is None else zip(artifact.schema.names, shares.T, strict=True)
        _write(out, columns | {f"p_{name}": share for name, share in each})
        return
    lists = {name: column.tolist() for name, column in columns.items()}
    rows = list(zip(*lists.values(), strict=True))
    if not json:
        print_table(list(lists), rows)
        return
    records = [dict(zip(lists, row, strict=True)) for row in rows]
    if shares is not None:
        records = [
            {**record, "probabilities": each.tolist()}
            for record, each in zip(records, shares, strict=True)
        ]
    print_json({"format": 1, "classes": list(artifact.schema.classes), "pictures": records})


def _opened(run: Path, schema: Any, paths: list[Path], resize: bool) -> Any:
    """The pictures as uint8 (rows, *schema.shape); warns of what a model cannot see in them."""
    import numpy as np

    from linnet.core.text import counted, of_path
    from linnet.data.pictures.picture import open_grey, open_picture
    from linnet.data.source import blank
    from linnet.data.table import warn_of

    if schema.example != "picture":
        raise InputError(f"{run} takes rows of {len(schema.columns)} columns, not pictures")
    if schema.dtype != "uint8":
        raise InputError(
            f"{run} learned from pictures of {schema.dtype}, not of whole numbers 0 to 255 as "
            "files hold them; prepare them as in training, and give arrays: load(RUN).predict(x)"
        )
    channels, height, width = schema.shape
    found, coloured = [], []
    for path in paths:
        if channels == 1:
            picture, colour = open_grey(path)
            coloured += [path] if colour else []
        else:
            picture = open_picture(path, channels)
        if picture.shape != schema.shape:
            if not resize:
                raise InputError(
                    f"{of_path(path)} is {picture.shape[2]} x {picture.shape[1]} pixels, the model "
                    f"takes {width} x {height}; --resize makes it fit"
                )
            picture = _resized(picture, width, height)
        found.append(picture)
    if coloured:
        what = f"{counted(len(coloured), 'picture')} in colour, the first {of_path(coloured[0])}"
        told = Warned(f"{what}: the model takes grey", "their luminance is used")
        warn_of([told])
    batch = np.stack(found)
    warn_of(blank(batch, lambda row: of_path(paths[row])))
    return batch


def _resized(picture: Any, width: int, height: int) -> Any:
    """A picture (channels, height, width) resampled to another size, each channel separately."""
    import numpy as np
    from PIL import Image

    method = Image.Resampling.BILINEAR
    return np.stack(
        [np.asarray(Image.fromarray(layer).resize((width, height), method)) for layer in picture]
    )
