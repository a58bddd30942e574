"""``linnet export``."""

from pathlib import Path
from typing import Annotated

import typer

from linnet.cli._network import Own, module_of
from linnet.cli._output import Json, Plugin, allow, command, print_json, set_threads
from linnet.core.text import say


@command
def export(
    run: Annotated[
        Path, typer.Argument(help="A run's folder, a zip of it, or a model file.", metavar="RUN")
    ],
    to: Annotated[
        str,
        typer.Option(
            help="onnx: one file that ONNX's runtimes take; mlflow: a folder for MLflow; page: one "
            "HTML file that predicts in the browser."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The file, or MLflow's folder; by default named by run and model."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="One model of the run, by name; by default the chosen one.")
    ] = None,
    network: Own = None,
    plugin: Plugin = None,
    json: Json = False,
) -> None:
    """Write the model to a file for use without linnet.

    The file takes raw columns or pixels, and gives probabilities.
    """
    allow(plugin)
    from linnet.integrations.export import PACKAGES
    from linnet.integrations.export.export import exported, require

    require(to, PACKAGES.get(to, ()))
    set_threads()
    found = exported(run, to, out=out, model=model, network=module_of(network))
    if json:
        print_json({"format": 1, "to": to, "path": str(found.path), **found.facts})
        return
    for sentence in found.told:
        say(sentence)
