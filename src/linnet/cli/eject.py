"""``linnet eject``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from linnet.cli._output import command
from linnet.core.text import say


@command
def eject(
    run: Annotated[Path, typer.Argument(help="A run's folder.", metavar="RUN")],
    style: Annotated[
        str, typer.Option(help="The style of the network: tensors, module or sequential.")
    ] = "module",
    model: Annotated[
        str | None, typer.Option(help="One model of the run, by name; by default the chosen one.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Write the encoded rows to this .npz, for the script to read: for tables, folders "
            "of pictures, and all other data that NumPy cannot read."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the script to this file; by default it is printed.")
    ] = None,
) -> None:
    """Write a script that trains the model again without linnet.

    The script needs torch and numpy alone.
    """
    from linnet.core import files
    from linnet.integrations.eject.eject import eject as write

    script = write(run, style, model=model, encoded=data)  # type: ignore[arg-type]
    if out is None:
        sys.stdout.write(script)
        return
    files.write(out, script.encode())
    say(f"{out}: {script.count(chr(10)):,} lines")
