"""``linnet runs``: list, show, compare, zip, repeat."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from linnet.cli._output import Json, Lang, command, print_json, print_table, set_threads
from linnet.core.text import say

app = typer.Typer(help="Runs: list, show, compare, zip, repeat.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="A folder of runs.", metavar="FOLDER")]
TESTED = "value"
"""What a list of runs leaves out: the test score."""

OneRun = Annotated[Path, typer.Argument(help="A run's folder, or its zip.", metavar="RUN")]


@app.command("list")
@command
def list_runs(
    root: Folder = Path("runs"),
    where: Annotated[
        str | None,
        typer.Option(
            help="Only these runs: comparisons joined by and: chosen=mlp and test.accuracy>0.98; "
            "mlp.test.accuracy is a model's own score."
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(help="The keys to sort by: -test.accuracy,created (- means largest first)."),
    ] = None,
    json: Json = False,
) -> None:
    """List the runs in a folder, oldest first, with validation scores.

    Test scores are in runs show: a run that is chosen by its test score looks better than it is.
    """
    from linnet.runs import directory, query

    rows = directory.list_runs(root)
    if where is not None or sort is not None:
        chosen = query.select([Path(row["path"]) for row in rows], where, sort)
        by_path = {row["path"]: row for row in rows}
        rows = [by_path[str(path)] for path, _ in chosen]
    for row in rows:
        if row["state"] == "unreadable":
            say(f"warning: {row['error']}", error=True)
    if json:
        print_json([{k: v for k, v in row.items() if k != TESTED} for row in rows])
    elif not rows:
        say(f"no runs in {root}" + (f" where {where}" if where else ""))
    else:
        keys = ("name", "state", "created", "data", "chosen", "validation")
        more = ({"created": _local(row["created"]), "validation": _held(row)} for row in rows)
        shown = [{**row, **new} for row, new in zip(rows, more, strict=True)]
        print_table(keys, [[row[key] for key in keys] for row in shown])


def _held(row: Mapping[str, Any]) -> str | None:
    """The score of a run on its validation rows, in words."""
    from linnet.insight.task import task_in

    task = task_in({row["metric"]: row["valid"]})
    return None if task is None or row["valid"] is None else task.words(row["valid"])


def _local(created: str | None) -> str | None:
    """A date and time in UTC as people here write it, to the minute."""
    try:
        there = None if created is None else datetime.fromisoformat(created).astimezone()
    except (ValueError, OverflowError):
        return created
    return None if there is None else there.strftime("%Y-%m-%d %H:%M")


@app.command("show")
@command
def show(run: OneRun, lang: Lang = None, json: Json = False) -> None:
    """Show the scores and the verdict of one run."""
    from linnet.cli._scores import show as show_metrics
    from linnet.runs.run import Run

    found = Run(run)
    if json:
        print_json(found.metrics)
    else:
        show_metrics(found)


@app.command("compare")
@command
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two runs or more.", metavar="RUN RUN...")],
    json: Json = False,
) -> None:
    """Show how the recipes of runs differ, and their scores."""
    from linnet.runs.compare import compare as beside

    rows = beside(*runs)
    if json:
        print_json({"format": 1, "runs": [str(run) for run in runs], "rows": rows})
        return
    cells = [[key, *(_cell(value) for value in values)] for key, values in rows.items()]
    print_table(["", *(run.name for run in runs)], cells)


def _cell(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


@app.command("zip")
@command
def pack(
    run: OneRun,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default RUN.zip beside it.")
    ] = None,
    notebook: Annotated[Path | None, typer.Option(help="A notebook or script to include.")] = None,
) -> None:
    """Pack a whole run into one zip.

    It holds models, scores, record, recipe and exact requirements.
    """
    from linnet.runs import archive

    target = out or run.resolve().with_name(run.resolve().name + ".zip")
    count = archive.pack(run, target, notebook)
    say(f"{target}: {count} files, {target.stat().st_size:,} bytes")


@app.command("repeat")
@command
def repeat(
    run: OneRun,
    out: Annotated[
        Path | None, typer.Option(help="The new run's folder; by default the next in runs/.")
    ] = None,
    json: Json = False,
) -> None:
    """Train a run's recipe again, and say whether the numbers agree.

    Exit code 0 if they agree, 1 if not.
    """
    from linnet.errors import InputError
    from linnet.experiment.train import repeat as train_again
    from linnet.runs import directory
    from linnet.runs.archive import run_place
    from linnet.runs.repeat import agreement

    first = run_place(run)
    if (first / directory.RUN).is_file() and not (first / directory.METRICS).is_file():
        state = directory.state_of(first)[0] or "unfinished"
        then = f"finish it: linnet train --resume {quote(str(run))}"
        then = "wait for its end" if state == "running" else then
        raise InputError(f"{run} is {state}, so it has no scores to compare with; {then}")
    set_threads()
    again = train_again(run, out=out, echo=True)
    found = agreement(first, again.path)
    if json:
        print_json(found)
    else:
        for line in found["differences"]:
            say(line)
        say(found["verdict"])
    if not found["agrees"]:
        raise typer.Exit(1)
