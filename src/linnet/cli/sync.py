"""``linnet runs sync``."""

from pathlib import Path
from typing import Annotated

import typer

from linnet.cli._output import command
from linnet.core.text import say


@command
def sync(
    run: Annotated[Path, typer.Argument(help="A run's folder.", metavar="RUN")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="mlflow, tensorboard, trackio, visdom, wandb, or a sink of another package.",
        ),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", help="Continue until the run has ended.")
    ] = False,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="A setting of the service, as key=value; may be repeated."),
    ] = None,
) -> None:
    """Send a run's record to a service such as TensorBoard or MLflow.

    It continues where the last call stopped.
    """
    from linnet.errors import InputError
    from linnet.integrations.sinks import follower

    options = {}
    for text in option or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--option {text}: expected key=value, such as port=8097")
        options[key] = value
    count = follower.follow(run, to, options, live=follow)
    say(f"{count:,} events of {run} sent to {to}")
