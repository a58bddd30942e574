"""``linnet report``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from linnet.cli._output import Lang, Plugin, allow, command, set_threads
from linnet.core.text import say


@command
def report(
    runs: Annotated[
        list[Path], typer.Argument(help="One run, or several: folders or zips.", metavar="RUN...")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default report.html in the run.")
    ] = None,
    static: Annotated[
        bool,
        typer.Option("--static", help="Static pictures without scripts, small enough to mail."),
    ] = False,
    learning_curve: Annotated[
        bool,
        typer.Option(
            "--learning-curve",
            help="Also fit the models on 1/8, 1/4 and 1/2 of the rows: would more data help?",
        ),
    ] = False,
    plugin: Plugin = None,
    lang: Lang = None,
) -> None:
    """Write one offline HTML file: verdict, reasons, curves, mistakes."""
    allow(plugin)
    if learning_curve:
        _learn(runs)
    from linnet.show.report.page import write

    first = runs[0]
    beside = first / "report.html" if os.path.isdir(first) else first.with_suffix(".html")
    target = out or (beside if len(runs) == 1 else Path("report.html"))
    write(runs, target, static=static)
    say(f"{target}: {target.stat().st_size:,} bytes")


def _learn(runs: list[Path]) -> None:
    """Make missing learning curves, and print what they show."""
    from typing import get_args

    from linnet.insight.diagnosis import Prospect
    from linnet.runs.curve import read
    from linnet.runs.run import Run

    for path in runs:
        run = Run(path)
        if read(run.place) is None:
            from linnet.experiment import learning_curve as learning

            set_threads()
            if len(runs) > 1:
                say(path, error=True)
            learning.learning_curve(run, echo=True)
        for claim in run.reasons():
            if claim.cause in get_args(Prospect):
                about = f"{path}: " if len(runs) > 1 else ""
                say(f"{about}{claim}")
