"""The page about a data set: one offline file with its facts, a figure, and the findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.core import files
from linnet.core.html import Html, join, tag
from linnet.core.language import marked, tr, trn
from linnet.core.text import figure, stem
from linnet.data.table import LeftOut, Warned
from linnet.errors import WorkError
from linnet.figures import Figure
from linnet.figures._association import (
    MAX_SHOWN,
    Association,
    absent,
    associations,
    described,
    target_bars,
    with_target,
)
from linnet.figures._data import Variable
from linnet.insight.checks.words import told
from linnet.runs.directory import ROOT
from linnet.show.report.document import Document
from linnet.show.report.html import Long, shown, table

MAX_BESIDE = 8
"""Up to this many columns, their associations are beside those with the target."""

MAX_DESCRIBED = 2_000
"""The most columns whose mean and quartiles are told."""

KINDS = {
    "number": marked("number"), "category": marked("category"), "boolean": marked("boolean"),
    "date": marked("date"), "text": marked("text"), "identifier": marked("identifier"),
    "constant": marked("constant"),
}  # fmt: skip
"""The kinds of columns in words."""

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
    *,
    columns: Sequence[Variable] = (),
    target: Variable | None = None,
) -> None:
    """Write the page. ``facts`` is the output of ``linnet data show``; ``make`` returns the figure
    of the distributions. ``columns`` and ``target`` are described, and compared with each other.

    Raises ``WorkError`` if the page cannot be written.
    """
    document = Document()
    document.numbers = dict(facts)
    top = [
        tag("h1", facts["name"]),
        tag("p", tr("; ").join(_summary(facts))),
        _list("", [told(str(one)) for one in findings if one.severity != "note"], class_="reasons"),
    ]
    found = with_target(columns, target) if target is not None and columns else {}
    parts = [document.figure(tr("Distributions") if columns else tr("Samples"), make)]
    if "counts" in facts:
        total = sum(facts["counts"]) or 1
        rows = [
            [str(label), count, f"{100 * count / total:.2f} %"]
            for label, count in zip(facts["classes"], facts["counts"], strict=True)
        ]
        parts += [document.head(tr("Classes")), table([tr("class"), tr("rows"), tr("share")], rows)]
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
        heads = [tr("target"), tr("from"), tr("to"), tr("mean"), tr("standard deviation")]
        parts += [document.head(tr("Target")), table(heads, targets)]
    if "table" in facts or columns:
        parts += [document.head(tr("Columns")), _columns(facts, columns, found)]
    parts += _together(document, columns, found, target)
    notes = [told(str(one)) for one in findings if one.severity == "note"]
    # a finding of the doctor says the same, with the reason
    notes += [
        told(note)
        for note in facts["notes"]
        if not (findings and isinstance(note, (LeftOut, Warned)))
    ]
    parts.append(_list(tr("Notes"), notes))
    page = document.page(str(facts["name"]), tag("section", *top, document.contents(), *parts))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(f"{out.parent}: cannot make this folder: {error.strerror}") from error
    files.write(out, page.encode())


def _summary(facts: Mapping[str, Any]) -> list[str]:
    """The numbers of rows and columns, or the shape and values of pictures; and the target."""
    if "table" in facts:
        words = [_size(facts["rows"], len(facts["table"]))]
    else:
        shape, (low, high) = " x ".join(map(str, facts["shape"])), facts["range"]
        mean = _mean(facts["mean"], facts["deviation"])
        words = [
            trn("{n} picture", "{n} pictures", facts["rows"])
            if facts["example"] == "picture"
            else trn("{n} row", "{n} rows", facts["rows"])
        ]
        if facts["test_rows"]:
            words.append(tr("the last {rows} are its test part", rows=f"{facts['test_rows']:,}"))
        words += [
            tr("each {shape} {type}", shape=shape, type=facts["dtype"]),
            tr(
                "values {low} to {high}, mean {mean}, standard deviation {deviation}",
                low=figure(low), high=figure(high), mean=figure(mean),
                deviation=figure(facts["deviation"]),
            ),
        ]  # fmt: skip
    if "task" in facts:
        kinds = {"classification": tr("classification"), "regression": tr("regression")}
        names = ", ".join(facts["targets"])
        words.append(tr("target {names} ({task})", names=names, task=kinds[facts["task"]]))
    return words


def _size(rows: int, columns: int) -> str:
    return tr(
        "{rows}, {columns}",
        rows=trn("{n} row", "{n} rows", rows),
        columns=trn("{n} column", "{n} columns", columns),
    )


def _mean(mean: float, deviation: float) -> float:
    """A mean; 0 if it is only the rounding error of a sum."""
    return 0.0 if abs(mean) < 1e-12 * deviation else mean


def _columns(
    facts: Mapping[str, Any], columns: Sequence[Variable], found: Mapping[str, Association]
) -> Html:
    """Every column of a table, as ``linnet data show`` prints it, with its mean, its quartiles and
    how it goes with the target."""

    def value(one: Any) -> str:
        return figure(one, 6) if isinstance(one, float) else str(shown(one))

    by_name = {one.name: one for one in columns[:MAX_DESCRIBED]}
    every = facts.get("table") or [{"name": name, "kind": "number"} for name in by_name]
    more = [tr("mean"), tr("quartiles and median"), tr("zeros (share)")]
    more += [tr("with the target")] if found else []
    rows = []
    for column in every:
        name = column["name"]
        own = described(by_name[name], found.get(name)) if name in by_name else [None] * 4
        own[1] = None if own[1] is None else " · ".join(map(figure, own[1]))
        is_target = name in facts.get("targets", ())
        first = [name, tr("target") if is_target else tr(KINDS.get(column["kind"], column["kind"]))]
        if "table" in facts:
            ends = None
            if column["range"]:
                low, high = map(value, column["range"])
                ends = tr("{low} to {high}", low=low, high=high)
            first += [column["missing"], column["distinct"], ends]
        last = [Long(", ".join(map(value, column["examples"])))] if "table" in facts else []
        rows.append([*first, *own[: len(more)], *last])
    heads = [tr("column"), tr("kind")]
    heads += [tr("missing"), tr("distinct"), tr("range")] if "table" in facts else []
    shown_last = [tr("examples")] if "table" in facts else []
    return table([*heads, *more, *shown_last], rows, blocks=True)


def _together(
    document: Document,
    columns: Sequence[Variable],
    found: Mapping[str, Association],
    target: Variable | None,
) -> list[Html]:
    """How the columns go with the target and with each other, and where values are missing."""
    if not columns:
        return []
    parts: list[Html] = []
    if target is not None:
        title = tr("Which columns go with the target?")
        parts.append(document.figure(title, lambda: target_bars(dict(found), target.name)))
    strongest = sorted(columns, key=lambda one: -abs(found[one.name].value) if one.name in found
                       and found[one.name].value == found[one.name].value else 0)  # fmt: skip
    some = strongest if len(columns) > MAX_SHOWN else list(columns)
    if len(columns) > 1:
        title = tr("Which columns go together?")
        parts.append(document.figure(title, lambda: associations(some)))
    if len(columns) <= MAX_BESIDE:
        parts = [tag("div", *(tag("div", part) for part in parts), class_="pair")]
    return [*parts, document.figure(tr("What is missing?"), lambda: absent(columns))]


def _list(title: str, items: Sequence[str], **attributes: str) -> Html:
    """A list under its title; empty if there are no items."""
    if not items:
        return Html()
    head = tag("h2", title) if title else Html()
    return join([head, tag("ul", *(tag("li", item) for item in items), **attributes)])
