"""``linnet data``: list, show, fetch."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linnet.cli._output import (
    Json,
    NoHeader,
    OnBad,
    Setting,
    Target,
    command,
    names,
    print_json,
    print_table,
    text,
)
from linnet.core.text import cut, figure, say
from linnet.data.table import Warned

if TYPE_CHECKING:
    from linnet.data.dataset import Dataset
    from linnet.data.table import Table
    from linnet.fit.recipe import Recipe

WIDTH = 20
"""The most letters of a value that are shown."""

TOLD = (
    "task", "targets", "classes", "class_kind", "counts", "target_range", "target_mean",
    "target_deviation", "notes",
)  # fmt: skip

app = typer.Typer(help="Data sets: list, show, fetch.", no_args_is_help=True)


@app.command("list")
@command
def list_data(json: Json = False) -> None:
    """List the data sets that linnet knows by name, and where each is."""
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
    target: Target = None,
    no_header: NoHeader = False,
    on_bad: OnBad = None,
    setting: Setting = None,
    view: Annotated[
        bool, typer.Option("--view", help="Make a page: samples per class, or distributions.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="The page to write; by default runs/NAME-data.html.", metavar="FILE"),
    ] = None,
    json: Json = False,
) -> None:
    """Show how linnet reads data: columns, kinds, classes, ranges.

    For a table it shows each column: its kind, the number of missing and of different values.
    --view writes a page with the same facts, samples of each class or the distribution of each
    column, and the findings of the doctor; at a terminal the page opens in a browser.
    """
    from linnet.data.dataset import Dataset
    from linnet.data.draft import draft, overview
    from linnet.data.read import read_raw
    from linnet.fit.recipe import Recipe
    from linnet.fit.settings import read_settings

    given: dict[str, Any] = {
        "target": names(target),
        "on_bad": on_bad,
        **read_settings(setting or []),
    }
    given |= {"header": False} if no_header else {}
    recipe = Recipe.make({key: value for key, value in given.items() if value is not None})
    found = read_raw(data, recipe)
    facts: dict[str, Any] = {}
    rows: Dataset | Table = found
    if isinstance(found, Dataset):
        rows = found.select(recipe.classes, recipe.positive)
        facts = rows.describe()
    elif recipe.pictures and recipe.target:
        rows = draft(found, recipe).select(recipe.classes, recipe.positive)
        facts = rows.describe() | {"columns": []}
    else:
        table = overview(found, recipe)
        notes = [*found.notes, *(note for column in table for note in column["notes"])]
        facts = {"name": found.name, "rows": len(found), "table": table, "notes": notes}
        if recipe.target:
            rows = draft(found, recipe).select(recipe.classes, recipe.positive)
            described = rows.describe()
            facts |= {key: described[key] for key in TOLD if key in described}
    if json:
        print_json(facts)
    else:
        _print(facts, recipe.target or ())
    if view or out is not None:
        _page(facts, rows, recipe, out)


def _page(
    facts: Mapping[str, Any], rows: "Dataset | Table", recipe: "Recipe", out: Path | None
) -> None:
    """Write the page, print its path, and open it if there is a terminal and a screen."""
    from linnet.data.dataset import Dataset
    from linnet.data.draft import features
    from linnet.errors import LinnetError
    from linnet.figures import Figure, Variable, distributions, look, variables
    from linnet.figures._data import columns_of
    from linnet.insight.checks.doctor import examine
    from linnet.show.report.data import place, write

    columns: list[Variable] = []
    left: list[str] = []
    goal, wrong = None, None
    if isinstance(rows, Dataset):
        columns, goal, left = columns_of(rows)
    else:
        try:
            fields, records = features(rows, recipe)
            columns, left = variables(fields, records.numpy())
        except LinnetError as error:  # the page says it in place of the figure
            wrong = error

    def figure() -> Figure:
        if wrong is not None:
            raise wrong
        return look(rows) if isinstance(rows, Dataset) else distributions(columns, left_out=left)

    target = out or place(str(facts["name"]))
    findings = examine(rows) if isinstance(rows, Dataset) else []
    write(facts, figure, findings, target, columns=columns, target=goal)
    say(f"page: {target}", error=True)
    if sys.stdout.isatty() and _has_screen():
        import webbrowser

        webbrowser.open(target.resolve().as_uri())


def _has_screen() -> bool:
    """Whether a browser can open a window: else it would run in the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _print(facts: Mapping[str, Any], targets: Sequence[str]) -> None:
    """The facts as lines and tables."""
    if "table" in facts:
        say(f"{facts['name']}: {facts['rows']:,} rows, {len(facts['table'])} columns")
        _print_columns(facts["table"], targets)
    else:
        own = f", the last {facts['test_rows']:,} its test part" if facts["test_rows"] else ""
        say(f"{facts['name']}: {facts['rows']:,} {facts['example']}s{own}")
        say(f"each: {text(facts['shape'])} {facts['dtype']}")
        low, high = facts["range"]
        say(
            f"values: {figure(low)} to {figure(high)}, mean {figure(facts['mean'], 6)}, standard "
            f"deviation {figure(facts['deviation'], 6)}"
        )
        if facts["columns"]:
            say(f"columns: {', '.join(facts['columns'])}")
    if "task" in facts:
        say(f"target: {', '.join(facts['targets'])} ({facts['task']})")
    for note in facts["notes"]:
        say(f"{'warning' if isinstance(note, Warned) else 'note'}: {note}")
    if "counts" in facts:
        total = sum(facts["counts"])
        rows = zip(facts["classes"], facts["counts"], strict=True)
        print_table(
            ["class", "rows", "share"],
            [[str(label), count, f"{100 * count / total:.2f} %"] for label, count in rows],
        )
    elif "task" in facts:
        rows = zip(
            facts["targets"], *facts["target_range"], facts["target_mean"],
            facts["target_deviation"], strict=True,
        )  # fmt: skip
        print_table(["target", "from", "to", "mean", "deviation"], rows)


def _print_columns(table: list[dict[str, Any]], targets: Sequence[str]) -> None:
    def short(value: Any) -> str:
        shown = figure(value, 6) if isinstance(value, float) else text(value)
        if isinstance(value, (int, float)) and abs(value) < 10_000:
            shown = shown.replace(",", "")  # it may be a year
        return cut(shown, WIDTH, "...")

    print_table(
        ["column", "kind", "missing", "distinct", "range", "examples"],
        [
            [
                column["name"],
                "target" if column["name"] in targets else column["kind"],
                column["missing"],
                column["distinct"],
                " to ".join(map(short, column["range"])) if column["range"] else "-",
                ", ".join(map(short, column["examples"])),
            ]
            for column in table
        ],
    )


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
    """Download a known data set and check it."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from linnet.data.fetch import fetch as download

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    ) as bar:
        tasks: dict[str, object] = {}

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(file, total=total)
            bar.update(tasks[file], completed=done)  # type: ignore[arg-type]

        folder = download(name, mirrors=mirror, folder=out, progress=show)
    say(f"{name}: {folder}")
