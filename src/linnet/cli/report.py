"""``linnet report``."""

from pathlib import Path
from typing import Annotated

import typer

from linnet.cli._output import command


@command
def report(
    runs: Annotated[list[Path], typer.Argument(help="One run, or several.", metavar="RUN...")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default report.html in the run.")
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", help="Pictures without script, small enough to mail.")
    ] = False,
) -> None:
    """One offline HTML file: the verdict, its reasons, curves, mistakes, how to do it again."""
    from linnet.report.page import write

    target = out or (runs[0] / "report.html" if len(runs) == 1 else Path("report.html"))
    write(runs, target, static=static)
    print(f"{target}: {target.stat().st_size:,} bytes")
