"""The page about a data set: one offline file with its facts, a figure, and the findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.core import files
from linnet.core.html import Html, join, tag
from linnet.core.text import figure, stem
from linnet.data.table import LeftOut, Warned
from linnet.errors import WorkError
from linnet.figures import Figure
from linnet.runs.directory import ROOT
from linnet.show.report.document import Document
from linnet.show.report.html import shown, table

if TYPE_CHECKING:
    from linnet.insight.checks.finding import Finding


def place(name: str) -> Path:
    """The default file of the page about the data ``name``: in the folder of the runs.

    It is not in the user's cache, because browsers from snap packages, as in Ubuntu, cannot open
    files in hidden folders. It is not beside the data, because linnet does not write there.
    """
    return ROOT / f"{stem(name) or 'some'}-data.html"


def write(
    facts: Mapping[str, Any],
    make: Callable[[], Figure],
    findings: Sequence[Finding],
    out: Path,
) -> None:
    """Write the page. ``facts`` is the output of ``linnet data show``; ``make`` returns the figure.

    Raises ``WorkError`` if the page cannot be written.
    """
    document = Document()
    document.numbers = dict(facts)
    parts = [
        tag("h1", facts["name"]),
        tag("p", "; ".join(_summary(facts))),
        _list("", [str(one) for one in findings if one.severity != "note"], class_="reasons"),
        document.figure("Distributions", make),
    ]
    if "counts" in facts:
        total = sum(facts["counts"]) or 1
        rows = [
            [str(label), count, f"{100 * count / total:.2f} %"]
            for label, count in zip(facts["classes"], facts["counts"], strict=True)
        ]
        parts += [tag("h2", "Classes"), table(["class", "rows", "share"], rows)]
    elif "task" in facts:
        targets = [
            (name, low, high, _mean(mean, deviation), deviation)
            for name, low, high, mean, deviation in zip(
                facts["targets"],
                *facts["target_range"],
                facts["target_mean"],
                facts["target_deviation"],
                strict=True,
            )
        ]
        heads = ["target", "from", "to", "mean", "deviation"]
        parts += [tag("h2", "Target"), table(heads, targets)]
    if "table" in facts:
        parts += [tag("h2", "Columns"), _columns(facts)]
    notes = [str(one) for one in findings if one.severity == "note"]
    # a finding of the doctor says the same, with the reason
    notes += [
        note for note in facts["notes"] if not (findings and isinstance(note, (LeftOut, Warned)))
    ]
    parts.append(_list("Notes", notes))
    page = document.page(str(facts["name"]), tag("section", *parts))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(f"{out.parent}: cannot make this folder: {error.strerror}") from error
    files.write(out, page.encode())


def _summary(facts: Mapping[str, Any]) -> list[str]:
    """The numbers of rows and columns, or the shape and values of pictures; and the target."""
    if "table" in facts:
        words = [f"{facts['rows']:,} rows, {len(facts['table']):,} columns"]
    else:
        own = f", the last {facts['test_rows']:,} its test part" if facts["test_rows"] else ""
        shape, (low, high) = " x ".join(map(str, facts["shape"])), facts["range"]
        mean = _mean(facts["mean"], facts["deviation"])
        words = [
            f"{facts['rows']:,} {facts['example']}s{own}",
            f"each {shape} {facts['dtype']}",
            f"values {figure(low)} to {figure(high)}, mean {figure(mean)}, "
            f"standard deviation {figure(facts['deviation'])}",
        ]
    if "task" in facts:
        words.append(f"target {', '.join(facts['targets'])} ({facts['task']})")
    return words


def _mean(mean: float, deviation: float) -> float:
    """A mean; 0 if it is only the rounding error of a sum."""
    return 0.0 if abs(mean) < 1e-12 * deviation else mean


def _columns(facts: Mapping[str, Any]) -> Html:
    """Every column of a table, as ``linnet data show`` prints it."""

    def value(found: Any) -> str:
        return figure(found, 6) if isinstance(found, float) else str(shown(found))

    rows = [
        [
            column["name"],
            "target" if column["name"] in facts.get("targets", ()) else column["kind"],
            column["missing"],
            column["distinct"],
            " to ".join(map(value, column["range"])) if column["range"] else None,
            ", ".join(map(value, column["examples"])),
        ]
        for column in facts["table"]
    ]
    return table(["column", "kind", "missing", "distinct", "range", "examples"], rows, blocks=True)


def _list(title: str, items: Sequence[str], **attributes: str) -> Html:
    """A list under its title; empty if there are no items."""
    if not items:
        return Html()
    head = tag("h2", title) if title else Html()
    return join([head, tag("ul", *(tag("li", item) for item in items), **attributes)])
