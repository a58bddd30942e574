"""The parts of a report that say what the model looks at, for whom it fails, where to cut, and how
wide its predictions are."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from linnet.core.html import Html, tag
from linnet.core.language import tr, trn
from linnet.core.text import figure, percent
from linnet.errors import InputError, LinnetError
from linnet.figures import (
    Figure,
    dependence,
    dependence_pair,
    importance,
    intervals,
    slices,
    thresholds,
)
from linnet.insight.checks.words import told as retold
from linnet.insight.claims import Chance
from linnet.insight.slices import Slices
from linnet.insight.thresholds import table as cuts_of
from linnet.insight.verdict import reason
from linnet.runs import insights
from linnet.runs.run import Run
from linnet.show.report.document import Document
from linnet.show.report.html import Fixed, table

Item = TypeVar("Item")

MOST_ROWS = 12
"""The most slices in the table of the worst."""

FINE = tuple(number / 100 for number in range(1, 100))
"""The thresholds of the figure."""

ROUGH = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""The thresholds of the table."""

SHOWN_LEVELS = (0.8, 0.9, 0.95, 0.99)


def keep(run: Run) -> None:
    """Keep in the run what its rows tell, for reports when its data is gone; where that cannot be,
    the report says why."""
    with contextlib.suppress(LinnetError, OSError):
        insights.keep(run)


def found(run: Run) -> dict[str, Any] | str:
    """What the run keeps of its rows, or computes again from its data; or why it cannot."""
    try:
        return insights.found(run)
    except (LinnetError, OSError) as error:
        return str(error)


def drawn(run: Run, kind: str) -> Figure:
    """One of the figures of this module, as the live page shows it. Raises ``InputError`` if the
    run has none of this ``kind``."""
    make = {
        "dependence": _dependence, "importance": _importance, "intervals": _intervals,
        "slices": _slices, "thresholds": _thresholds,
    }[kind]  # fmt: skip
    return make(run)


def _kept(run: Run) -> dict[str, Any]:
    """What the run keeps of its rows, or computes again; raises ``InputError`` if it cannot."""
    kept = found(run)
    if isinstance(kept, str):
        raise InputError(kept)
    return kept


def _titled(run: Run, found: Mapping[str, Item]) -> dict[str, Item]:
    """By the titles of the models, such as perceptron, in place of their names."""
    titles = run.history().titles()
    return {titles.get(name, name): each for name, each in found.items()}


def _dependence(run: Run) -> Figure:
    curves = _kept(run)["dependence"]
    if not curves:
        raise InputError("no column changes the predictions")
    return dependence([replace(each, curves=_titled(run, each.curves)) for each in curves])


def _importance(run: Run) -> Figure:
    kept = _kept(run)
    if not kept.get("importance"):
        raise InputError(kept["why"].get("importance") or "not computed")
    return importance(_titled(run, kept["importance"]))


def _slices(run: Run) -> Figure:
    told = _kept(run).get("slices", {}).get(run.chosen)
    if not isinstance(told, Slices):
        raise InputError("no slice has rows enough to be tested")
    return slices(told, run.history().titles().get(run.chosen, run.chosen), MOST_ROWS)


def _thresholds(run: Run) -> Figure:
    y, p, _, _ = insights.positive(run, run.chosen)
    return thresholds(cuts_of(y, p, thresholds=FINE), _chosen_at(_kept(run)))


def _chosen_at(kept: Mapping[str, Any]) -> float | None:
    """The chosen threshold."""
    told = kept.get("threshold")
    return None if told is None else float(told["choice"]["chosen"]["threshold"])


def _intervals(run: Run) -> Figure:
    plain = insights.calibration(run, run.chosen, scaled=False)
    every = insights.coverage(run, run.chosen, scaled=not plain.classifies)
    levels = [{"level": c.level, "share": c.share, "width": c.width, "size": c.size} for c in every]
    return intervals(levels, "" if plain.classifies else ", ".join(plain.names))


def thresholds_part(document: Document, run: Run, kept: dict[str, Any] | str) -> list[Html]:
    """For two classes: the curves, the table of thresholds, and the chosen one."""
    chosen = run.chosen
    try:
        y, p, _, positive = insights.positive(run, chosen)
        made = insights.roc(run)
    except LinnetError:  # of another task, or the test rows are of one class
        return []
    told = kept.get("threshold") if isinstance(kept, dict) else None
    at = _chosen_at(kept) if isinstance(kept, dict) else None
    by = "F1" if told is None or told["choice"]["by"] == "f1" else tr("mean cost")
    rows = [
        [
            f"{cut.threshold:.3g}"
            + (tr(" (chosen by {score})", score=by) if cut.threshold == at else ""),
            *(Fixed(getattr(cut, key)) for key in ("precision", "recall", "f1", "accuracy")),
            cut.false_positive, cut.false_negative,
        ]
        for cut in cuts_of(y, p, thresholds=tuple(sorted({*ROUGH, *([] if at is None else [at])})))
    ]  # fmt: skip
    heads = [
        tr("threshold"), tr("precision"), tr("recall"), "F1", tr("accuracy"), tr("false +"),
        tr("false -"),
    ]  # fmt: skip
    words = tr(
        "A row counts as {name} if its probability is at least the threshold.", name=positive
    )
    if told is not None:
        words += tr(
            " Chosen by {score} on {count} {which} rows, once tested: {result}. Another cost of "
            'the two mistakes has another threshold: run.threshold(by="cost", costs=(1, 5)).',
            score=by,
            count=f"{told['choice']['rows']:,}",
            which=tr("validation") if told["by_rows"] == "validation" else tr("out-of-fold"),
            result=retold(told["words"]),
        )
    return (
        [
            document.figure(tr("ROC, and precision against recall"), run.roc),
            document.figure(
                tr("Thresholds"), lambda: thresholds(cuts_of(y, p, thresholds=FINE), at, by)
            ),
            tag("p", words, class_="none"),
            table(heads, rows, blocks=True),
        ]
        if made
        else []
    )


def intervals_part(document: Document, run: Run) -> list[Html]:
    """How wide prediction intervals, or sets of classes, are, and how often they hold."""
    title = tr("How sure is each prediction?")
    chosen = run.chosen
    try:
        plain = insights.calibration(run, chosen, scaled=False)
        every = insights.coverage(run, chosen, scaled=not plain.classifies)
    except LinnetError as error:
        return [document.head(title), tag("p", str(error), class_="none")]
    if plain.classifies:
        rows = [[percent(c.level), percent(c.share), c.size] for c in every]
        heads = [tr("asked"), tr("held on other rows"), tr("classes in a set, mean")]
        words = tr(
            "Sets of classes that hold the true one with the probability asked for, class by class "
            "(conformal prediction): run.intervals().sets(p, 0.9)."
        )
    else:
        rows = []
        with_scale = {c.level: c for c in every}
        for each in insights.coverage(run, chosen, scaled=False):
            other = with_scale.get(each.level)
            rows.append(
                [
                    percent(each.level), percent(each.share), each.width,
                    None if other is None else percent(other.share),
                    None if other is None else other.width,
                ]
            )  # fmt: skip
        heads = [
            tr("asked"), tr("held"), tr("width"), tr("held, scaled"), tr("mean width, scaled"),
        ]  # fmt: skip
        words = tr(
            "Intervals that hold the true number with the probability asked for (conformal "
            "prediction), of one width, or scaled: wider where residuals of such predictions are "
            "larger: run.intervals(scaled=True).interval(prediction, 0.9)."
        )
    kept = [row for row, c in zip(rows, every, strict=False) if c.level in SHOWN_LEVELS]
    notes = [tag("p", each, class_="none") for each in plain.notes]
    return [
        document.figure(title, lambda: _intervals(run)),
        tag("p", words, class_="none"),
        table(heads, kept, blocks=True),
        *notes,
    ]


def slices_part(document: Document, run: Run, kept: dict[str, Any] | str) -> list[Html]:
    """For whom the chosen model fails."""
    found = kept.get("slices", {}).get(run.chosen) if isinstance(kept, dict) else None
    if not isinstance(found, Slices):
        return []
    told = found
    worst = [each for each in told if each.rest is not None][:MOST_ROWS]
    if not worst:
        return []
    accuracy = told.score == "accuracy"
    rows = [
        [
            f"{each.column}: {each.value}", each.rows, told.told(each),
            percent(each.rest or 0) if accuracy else figure(each.rest or 0),
            None if each.p_adjusted is None else Chance(each.p_adjusted).bare.removeprefix("= "),
            tr("worse than the rest")
            if each.worse
            else tr("not shown: {why}", why=reason(str(each.why))),
        ]
        for each in worst
    ]  # fmt: skip
    score = tr("accuracy (95 % interval)") if accuracy else tr("RMSE (95 % interval)")
    heads = [
        tr("slice"), tr("rows"), score, tr("all other rows"), tr("p (Holm)"), tr("result"),
    ]  # fmt: skip
    words = trn(
        "{n} of {tested} slices of at least 30 rows is significantly worse than all other rows, "
        "after Holm's correction. Columns that the model does not know: linnet evaluate RUN DATA "
        "--by COLUMN.",
        "{n} of {tested} slices of at least 30 rows are significantly worse than all other rows, "
        "after Holm's correction. Columns that the model does not know: linnet evaluate RUN DATA "
        "--by COLUMN.",
        len(told.worse),
        tested=told.tested,
    )
    return [
        document.figure(tr("For whom does it fail?"), lambda: _slices(run)),
        tag("p", words, class_="none"),
        table(heads, rows, blocks=True),
    ]


def importance_part(document: Document, run: Run, kept: dict[str, Any] | str) -> list[Html]:
    """Which columns matter, and how predictions depend on them."""
    title = tr("Which columns matter?")
    why = kept if isinstance(kept, str) else kept["why"].get("importance")
    if run._manifest(run.chosen).schema_.example != "row":
        return []
    if isinstance(kept, str) or not kept.get("importance"):
        return [document.head(title), tag("p", str(why or tr("not computed")), class_="none")]
    parts = [document.figure(title, lambda: _importance(run))]
    grouped = [each.name for each in kept["importance"][run.chosen] if len(each.columns) > 1]
    if grouped:
        words = tr(
            "Strongly correlated, so exchanged together: {columns}.", columns="; ".join(grouped)
        )
        parts.append(tag("p", words, class_="none"))
    curves = kept["dependence"]
    if curves:
        title = tr("How do predictions depend on them?")
        parts.append(document.figure(title, lambda: _dependence(run)))
        if grouped:
            words = tr("Each changes alone here; the columns that are correlated with it stay.")
            parts.append(tag("p", words, class_="none"))
    pair = kept["pair"]
    if pair is not None:
        head = tr("The two columns that interact most")
        named = replace(pair, curves=_titled(run, pair.curves))
        parts.append(document.figure(head, lambda: dependence_pair(named)))
    return parts


def penalties_part(document: Document, run: Run) -> list[Html]:
    """The path of penalties of the line; nothing if it has none."""
    try:
        made = run.penalties()
    except InputError:
        return []
    return [document.figure(tr("The path of penalties of the line"), lambda: made)]
