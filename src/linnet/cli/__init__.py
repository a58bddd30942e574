"""The command line: each command builds objects, calls one function, and prints."""

import io
import os
import sys
from typing import Annotated

import typer

from linnet import __version__
from linnet.cli import (
    data,
    doctor,
    eject,
    evaluate,
    export,
    inspect,
    predict,
    recipe,
    report,
    runs,
    serve,
    sync,
    train,
    view,
)

app = typer.Typer(
    name="linnet",
    help="From a line to a net: regression and classification that you can trust.",
    epilog="Begin with: linnet train digits",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # its boxes leave little room for words
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("recipe")(recipe.recipe)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("doctor")(doctor.doctor)
app.command("inspect")(inspect.inspect)
app.add_typer(data.app, name="data")
runs.app.command("sync")(sync.sync)
app.add_typer(runs.app, name="runs")
app.command("report")(report.report)
app.command("eject")(eject.eject)
app.command("export")(export.export)
app.command("view")(view.view)
app.command("serve")(serve.serve)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"linnet {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None: ...


def main() -> None:
    """The entry point of ``linnet``."""
    mend_streams()
    app(prog_name="linnet")


def mend_streams() -> None:
    """Replace a closed standard stream by the null device, so that no file of a run gets its
    descriptor; escape characters that the encoding lacks."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
