"""``linnet view``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from linnet.cli._output import Lang, command
from linnet.core.language import VARIABLE, current, tr
from linnet.core.text import say
from linnet.errors import InputError


@command
def view(
    runs: Annotated[
        Path, typer.Argument(help="A folder of runs, one run, or the zip of one.", metavar="[RUNS]")
    ] = Path("runs"),
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="The port; by default one that belongs to the folder."),
    ] = 0,
    lang: Lang = None,
) -> None:
    """Show runs in a browser, finished and running ones.

    Ctrl-C ends it.
    """
    from linnet.runs.archive import run_place

    if not runs.is_dir() and run_place(runs) == runs:
        raise InputError(
            f"there is no folder {runs}; name a folder of runs, or one run, or its zip"
        )
    from linnet.show.view.launch import address_of, bind, token_of
    from linnet.show.view.server import serve

    os.environ[VARIABLE] = current()  # the server's threads speak it too
    root = runs.resolve()
    with bind(root, port) as listener:
        token = token_of(root, listener.getsockname()[1])
        say(tr("live page: {address}", address=address_of(listener, token)))
        serve(root, listener, token)
