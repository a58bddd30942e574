"""``linnet doctor``."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from linnet.cli._output import (
    Group,
    Json,
    NoHeader,
    OnBad,
    Setting,
    SplitColumn,
    Target,
    Task,
    Time,
    command,
    in_flags,
    names,
    print_json,
    set_threads,
)
from linnet.core.text import counted, say

if TYPE_CHECKING:
    from linnet.data.dataset import Dataset
    from linnet.fit.recipe import Recipe
    from linnet.insight.checks.finding import Finding

FORMAT = 1
"""The version of the ``--json`` output."""


@command
def doctor(
    data: Annotated[str, typer.Argument(help="A known name, a file or a folder.", metavar="DATA")],
    target: Target = None,
    task: Task = None,
    no_header: NoHeader = False,
    split: SplitColumn = None,
    group: Group = None,
    time: Time = None,
    on_bad: OnBad = None,
    seed: Annotated[int | None, typer.Option(help="The seed of the split.")] = None,
    setting: Setting = None,
    json: Json = False,
) -> None:
    """Check the data for leaks, duplicates and errors before training.

    Exit code 1 if a finding would stop training.
    """
    from linnet.fit.recipe import Recipe
    from linnet.fit.settings import read_settings

    flags: dict[str, Any] = {"data": data, "target": names(target), "task": task, "seed": seed}
    flags |= {"split": split, "group": group, "time": time, "on_bad": on_bad}
    flags["header"] = False if no_header else None
    settings = {key: value for key, value in flags.items() if value is not None}
    recipe = Recipe.make({**settings, **read_settings(setting or [])}, "doctor")
    set_threads()

    from linnet.fit.prepare import drawn
    from linnet.insight.checks.doctor import CHECKS, GRAVITY, examine

    draft, findings = _read(recipe)
    parts = drawn(draft, recipe)
    findings = sorted(
        [*findings, *examine(draft, parts)], key=lambda finding: GRAVITY.index(finding.severity)
    )
    if json:
        keys = ("severity", "what", "where", "count", "why", "remedy")
        print_json(
            {
                "format": FORMAT,
                "data": draft.name,
                "rows": len(draft),
                "parts": {name: len(rows) for name, rows in parts._asdict().items()},
                "checks": list(CHECKS),
                "findings": [{key: getattr(found, key) for key in keys} for found in findings],
            }
        )
    else:
        pictures = draft.schema.example == "picture"
        show(draft.name, len(draft), list(CHECKS), findings, pictures=pictures)
    if any(finding.blocks for finding in findings):
        raise typer.Exit(1)


def _read(recipe: "Recipe") -> "tuple[Dataset, list[Finding]]":
    """The data before it is encoded, and findings from reading it.

    An error is a finding that stops training, if the rest can be read without it.
    """
    from linnet.data.read import read_draft
    from linnet.data.table import LeftOut, Warned
    from linnet.errors import DataError
    from linnet.insight.checks.finding import Finding

    refused = ""
    try:
        data = read_draft(recipe.data, recipe)
    except DataError as error:
        refused = str(error)
        if recipe.on_bad != "fail":
            raise
        try:
            data = read_draft(recipe.data, recipe.override({"on_bad": "skip"}))
        except DataError:
            raise error from None
    notes = [note for note in data.notes if not isinstance(note, (LeftOut, Warned))]
    stops = [note for note in notes if refused and refused in note] or [refused] * bool(refused)
    remedy = "correct it, or leave such rows or pictures out (on_bad=skip)"
    findings = [Finding(text, remedy, "stop", where=data.name) for text in stops]
    remedy = "nothing to do, if this is intended"
    others = [note for note in notes if note not in stops]
    return data, findings + [Finding(note, remedy, "note", where=data.name) for note in others]


def show(
    name: str, rows: int, checks: list[str], findings: "list[Finding]", *, pictures: bool
) -> None:
    """Print the findings as a list, the most severe first, in the width of the terminal."""
    looked = f"{name}: {rows:,} {'picture' if pictures else 'row'}s checked for {', '.join(checks)}"
    if not findings:
        say(f"nothing found in {looked}")
        return
    for finding in findings:
        lines = [("", finding.what), ("where: ", finding.where)]
        lines += [("how many: ", "" if finding.count is None else f"{finding.count:,}")]
        lines += [("why: ", finding.why), ("remedy: ", in_flags(finding.remedy))]
        for index, (label, words) in enumerate(lines):
            if words:
                first = f"{finding.severity if index == 0 else '':<9}{label}"
                say(f"{first}{words}", indent=9 + len(label))
        say()
    counts = {kind: sum(f.severity == kind for f in findings) for kind in ("warning", "note")}
    stops = sum(finding.blocks for finding in findings)
    result = f"{stops:,} would stop training, " if stops else "nothing would stop training; "
    result += ", ".join(counted(n, kind) for kind, n in counts.items())
    say(f"{looked}: {result}")
