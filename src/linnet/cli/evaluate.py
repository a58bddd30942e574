"""``linnet evaluate``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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
    by: Annotated[
        list[str] | None,
        typer.Option(help="Also score each value of this column; may be repeated."),
    ] = None,
    plugin: Plugin = None,
    json: Json = False,
) -> None:
    """Score a saved model, or all models of a run, on data."""
    allow(plugin)
    set_threads()
    from linnet.experiment import evaluate as work
    from linnet.insight.verdict import headline
    from linnet.networks import BASELINE

    result = work.evaluate(run, data, model=model, part=part, by=by or ())
    if json:
        print_json(result)
        return
    rows = [[name, headline(scores["test"])] for name, scores in result["models"].items()]
    print_table(["model", "score (95 % interval)"], rows)
    for name, scores in result["models"].items():
        if (rule := scores["test"].get("decision")) is not None and name != BASELINE:
            say(f"{name}, by its threshold: {rule['words']}")
    for column in dict.fromkeys(by or ()):
        models = {name: each for name, each in result["models"].items() if name != BASELINE}
        models = models or result["models"]
        print_table([column, "rows", *models], _slices(models, column))
    about = result["data"]
    say(f"{about['rows']:,} rows: {about['part']} of {about['name']}")
    for note in about["notes"]:
        if not isinstance(note, Warned):  # it was a warning already
            say(f"note: {note}")


def _slices(models: Mapping[str, Mapping[str, Any]], column: str) -> list[list[Any]]:
    """A row for each slice of a column, the worst of the last model first: its value, its rows, and
    the score by each model, with a mark where it is significantly worse than the rest."""
    from linnet.insight.slices import Slices

    found = {name: Slices.parse(each["slices"]) for name, each in models.items()}
    order = [each.value for each in list(found.values())[-1] if each.column == column]
    cells: dict[str, list[Any]] = {value: [value] for value in order}
    for every in found.values():
        for each in every:
            if each.column == column:
                own = cells[each.value]
                own += [each.rows] * (len(own) == 1)
                own.append(every.words(each))
    return list(cells.values())
