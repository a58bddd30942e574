"""``linnet data``: list, show, fetch."""

from pathlib import Path
from typing import Annotated

import typer

from linnet.cli._output import Json, command, print_json, print_table, text

app = typer.Typer(help="Data sets: list, show, fetch.", no_args_is_help=True)


@app.command("list")
@command
def list_data(json: Json = False) -> None:
    """The data sets that are known by name, and where each is."""
    from linnet.data import BUILTIN, known
    from linnet.errors import DataError

    rows = [[name, summary, "with scikit-learn"] for name, summary in BUILTIN.items()]
    for name, entry in known.KNOWN.items():
        try:
            place = str(known.find(name))
        except DataError:
            place = f"not here: linnet data fetch {name}"
        rows.append([name, entry.summary, place])
    if json:
        keys = ("name", "summary", "place")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        print_table(["name", "what", "where"], rows)


@app.command("show")
@command
def show(
    data: Annotated[str, typer.Argument(help="A known name, a file or a folder.", metavar="DATA")],
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    json: Json = False,
) -> None:
    """Counts per class, shape, dtype, range, mean and standard deviation."""
    from linnet.data.read import read

    facts = read(data, target).describe()
    if json:
        print_json(facts)
        return
    own = f", the last {facts['test_rows']:,} its test part" if facts["test_rows"] else ""
    print(f"{facts['name']}: {facts['rows']:,} {facts['example']}s{own}")
    print(f"each: {text(facts['shape'])} {facts['dtype']}")
    low, high = facts["range"]
    print(
        f"values: {low:g} to {high:g}, mean {facts['mean']:.6g}, standard deviation "
        f"{facts['deviation']:.6g}"
    )
    if facts["columns"]:
        print(f"columns: {', '.join(facts['columns'])}")
    print(f"target: {', '.join(facts['targets'])} ({facts['task']})")
    for note in facts["notes"]:
        print(f"note: {note}")
    if "counts" in facts:
        total = facts["rows"]
        rows = zip(facts["classes"], facts["counts"], strict=True)
        print_table(
            ["class", "rows", "share"],
            [[str(label), count, f"{100 * count / total:.2f} %"] for label, count in rows],
        )
    else:
        rows = zip(
            facts["targets"], *facts["target_range"], facts["target_mean"],
            facts["target_deviation"], strict=True,
        )  # fmt: skip
        print_table(["target", "from", "to", "mean", "deviation"], rows)


@app.command("fetch")
@command
def fetch(
    name: Annotated[str, typer.Argument(help="A known name.", metavar="NAME")],
    mirror: Annotated[
        list[str] | None, typer.Option(help="Fetch from this address instead; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder to put it in; by default the user's cache.")
    ] = None,
) -> None:
    """Download a data set and check it: the only command that uses the network."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from linnet.data.fetch import fetch as download

    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    ) as bar:
        tasks: dict[str, object] = {}

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(file, total=total)
            bar.update(tasks[file], completed=done)  # type: ignore[arg-type]

        folder = download(name, mirrors=mirror, folder=out, progress=show)
    print(f"{name}: {folder}")
