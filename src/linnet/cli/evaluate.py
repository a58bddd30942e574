"""``linnet evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from linnet.cli._output import Json, Plugin, allow, command, print_json, print_table, set_threads
from linnet.core.text import say
from linnet.data.table import Warned


@command
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a model file.", metavar="RUN")],
    data: Annotated[str, typer.Argument(help="A known name, a file or a folder.", metavar="DATA")],
    model: Annotated[str | None, typer.Option(help="One model of the run, by name.")] = None,
    part: Annotated[
        str, typer.Option(help="auto (the test part, where one is known), all, train, test.")
    ] = "auto",
    plugin: Plugin = None,
    json: Json = False,
) -> None:
    """Score a saved model, or all models of a run, on data."""
    allow(plugin)
    set_threads()
    from linnet.experiment import evaluate as work
    from linnet.insight.verdict import headline

    result = work.evaluate(run, data, model=model, part=part)
    if json:
        print_json(result)
        return
    rows = [[name, headline(scores["test"])] for name, scores in result["models"].items()]
    print_table(["model", "score (95 % interval)"], rows)
    about = result["data"]
    say(f"{about['rows']:,} rows: {about['part']} of {about['name']}")
    for note in about["notes"]:
        if not isinstance(note, Warned):  # it was a warning already
            say(f"note: {note}")
