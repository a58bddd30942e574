"""``linnet predict``."""

from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import typer

from linnet.cli._output import Json, Plugin, allow, command, print_json, print_table, set_threads
from linnet.core.text import say
from linnet.errors import InputError

FORMULA = tuple("=+-@\t\r\n")
MAX_JSON_NUMBERS = 5_000_000
"""The most values that are printed as JSON: each takes a hundred bytes of memory."""

PICTURES = (".png", ".jpg", ".jpeg")


@command
def predict(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a model file.", metavar="RUN")],
    inputs: Annotated[
        list[str], typer.Argument(help="Pictures, or one data set.", metavar="DATA|IMAGE...")
    ],
    model: Annotated[str | None, typer.Option(help="One model of the run, by name.")] = None,
    rows: Annotated[str | None, typer.Option(help="Row numbers, such as 0,10,193.")] = None,
    part: Annotated[
        str, typer.Option(help="all, train or test; row numbers count within this part.")
    ] = "all",
    out: Annotated[
        Path | None,
        typer.Option(help="Write row, y, prediction, p_<class> to a .csv or .parquet file."),
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
    if all(name.lower().endswith(PICTURES) and Path(name).is_file() for name in inputs):
        if rows is not None or out is not None:
            raise InputError("--rows and --out go with a data set, not with single pictures")
        _pictures(run, [Path(name) for name in inputs], model, resize, invert, json)
        return
    if len(inputs) != 1:
        missing = next((n for n in inputs if not Path(n).exists()), inputs[0])
        raise InputError(f"there is no picture {missing}; give pictures, or one data set")
    from linnet.experiment.predict import predict

    found = predict(run, inputs[0], model=model, part=part, rows=_numbers(rows))
    columns = found.columns()
    for note in found.notes:
        say(f"note: {note}", error=True)
    if out is not None:
        from linnet.core import files

        parquet = out.suffix.lower() == ".parquet"
        files.write(out, _parquet(columns) if parquet else _csv(columns))
        say(f"{out}: {len(found.row):,} rows")
    elif json:
        if len(columns) * len(found.row) > MAX_JSON_NUMBERS:
            raise InputError(
                f"{len(found.row):,} rows of {len(columns):,} values as JSON; at most "
                f"{MAX_JSON_NUMBERS:,} values (MAX_JSON_NUMBERS): give --out FILE.parquet or --rows"
            )
        lists = {name: column.tolist() for name, column in columns.items()}
        records = [
            dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)
        ]
        print_json({"format": 1, "rows": records})
    else:
        shown = 20 if rows is None else len(found.row)
        first = (column[:shown].tolist() for column in columns.values())
        print_table(list(columns), [list(values) for values in zip(*first, strict=True)])
        if len(found.row) > shown:
            say(f"the first {shown} of {len(found.row):,} rows; --out FILE.csv writes them all")


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
    run: Path, paths: list[Path], model: str | None, resize: bool, invert: bool, json: bool
) -> None:
    import numpy as np

    from linnet.data.pictures.folder import open_picture
    from linnet.runs.run import load

    artifact = load(run, model)
    schema = artifact.schema
    if schema.example != "picture":
        raise InputError(f"{run} takes rows of {len(schema.columns)} columns, not pictures")
    channels, height, width = schema.shape
    pictures = []
    for path in paths:
        picture = open_picture(path, channels)
        if picture.shape != schema.shape:
            if not resize:
                raise InputError(
                    f"{path} is {picture.shape[2]} x {picture.shape[1]} pixels, the model takes "
                    f"{width} x {height}; --resize makes it fit"
                )
            picture = _resized(picture, width, height)
        pictures.append(255 - picture if invert else picture)
    batch = np.stack(pictures)
    labels = artifact.predict(batch)
    shares = artifact.predict_proba(batch) if artifact.objective.classifies else None
    records = []
    for index, path in enumerate(paths):
        record: dict[str, Any] = {"file": str(path), "prediction": labels[index].tolist()}
        if shares is not None:
            record["probability"] = float(shares[index].max())
            record["probabilities"] = shares[index].tolist()
        records.append(record)
    if json:
        print_json({"format": 1, "classes": list(schema.classes), "pictures": records})
    else:
        keys = ["file", "prediction", *(["probability"] if shares is not None else [])]
        print_table(keys, [[record[key] for key in keys] for record in records])


def _resized(picture: Any, width: int, height: int) -> Any:
    """A picture (channels, height, width) resampled to another size, each channel separately."""
    import numpy as np
    from PIL import Image

    method = Image.Resampling.BILINEAR
    return np.stack(
        [np.asarray(Image.fromarray(layer).resize((width, height), method)) for layer in picture]
    )
