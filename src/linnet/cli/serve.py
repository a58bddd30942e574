"""``linnet serve``."""

from typing import Annotated

import typer

from linnet.cli._network import Own, module_of
from linnet.cli._output import Plugin, allow, command


@command
def serve(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Runs, zips of runs or model files, each with a name of its own if you like: "
            "NAME=PATH. The first one answers /predict.",
            metavar="RUN...",
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="One model of the run, by name; by default the chosen one.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen at; by default only this machine can ask.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any free one.")] = (
        8000
    ),
    token: Annotated[
        str | None,
        typer.Option(
            help="A secret that requests must have; better in the variable LINNET_TOKEN, because "
            "others can read a command line."
        ),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="With another --host: let everyone ask.")
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allowed-host",
            help="A host name by which a proxy or other machines ask; may be repeated.",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Take newer files of the models as they come.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=256, help="How many processes serve.")] = 1,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=3600, help="The most seconds for an answer.")
    ] = 30.0,
    max_mb: Annotated[
        float, typer.Option("--max-mb", min=0.001, max=1024, help="The most megabytes of a body.")
    ] = 16.0,
    max_rows: Annotated[
        int, typer.Option("--max-rows", min=1, max=10_000_000, help="The most rows of a body.")
    ] = 100_000,
    max_waiting: Annotated[
        int,
        typer.Option(
            "--max-waiting", min=1, max=10_000, help="The most requests that wait for a thread."
        ),
    ] = 32,
    drain: Annotated[
        float,
        typer.Option(
            min=0, max=3600, help="Seconds between SIGTERM, when it is not ready, and its end."
        ),
    ] = 1.0,
    network: Own = None,
    plugin: Plugin = None,
) -> None:
    """Answer requests with a model over HTTP, until Ctrl-C or SIGTERM."""
    from linnet.serve.limits import Limits
    from linnet.serve.models import given
    from linnet.serve.settings import Settings, token_of

    allow(plugin)
    secret = token_of(token, no_token, host)
    settings = Settings(
        given(runs, model),
        host=host,
        port=port,
        token=secret,
        names=tuple(allowed_host or ()),
        watch=watch,
        workers=workers,
        drain=drain,
        limits=Limits(
            body=int(max_mb * (1 << 20)), rows=max_rows, seconds=timeout, waiting=max_waiting
        ),
        network=module_of(network),
    )
    from linnet.serve.server import run

    raise typer.Exit(run(settings))
