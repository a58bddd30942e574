"""``linnet runs``: list, show."""

from pathlib import Path
from typing import Annotated

import typer

from linnet.cli._output import Json, command, print_json, print_table

app = typer.Typer(help="Runs: list, show.", no_args_is_help=True)


@app.command("list")
@command
def list_runs(
    root: Annotated[Path, typer.Argument(help="A folder of runs.", metavar="FOLDER")] = Path(
        "runs"
    ),
    json: Json = False,
) -> None:
    """Every run in a folder, oldest first."""
    from linnet.runs import directory

    rows = directory.list_runs(root)
    if json:
        print_json(rows)
    elif not rows:
        print(f"no runs in {root}")
    else:
        keys = ("name", "state", "created", "data", "chosen", "metric", "value")
        print_table(keys, [[row[key] for key in keys] for row in rows])


@app.command("show")
@command
def show(
    run: Annotated[Path, typer.Argument(help="A run's folder.", metavar="RUN")],
    json: Json = False,
) -> None:
    """The scores and the verdict of one run."""
    from linnet.cli.train import show as show_metrics
    from linnet.runs import directory

    metrics = directory.read_metrics(run)
    if json:
        print_json(metrics)
    else:
        show_metrics(metrics, run)
