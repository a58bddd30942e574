"""The parts of a report that say what the model looks at, for whom it fails, where to cut, and how
wide its predictions are."""

from __future__ import annotations

import contextlib
from typing import Any

from linnet.core.html import Html, tag
from linnet.core.text import figure, percent
from linnet.errors import InputError, LinnetError
from linnet.figures import dependence, dependence_pair, importance, intervals, slices, thresholds
from linnet.insight.claims import Chance
from linnet.insight.slices import Slices
from linnet.insight.thresholds import table as cuts_of
from linnet.runs import insights
from linnet.runs.run import Run
from linnet.show.report.document import Document
from linnet.show.report.html import Fixed, table

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


def thresholds_part(document: Document, run: Run, kept: dict[str, Any] | str) -> list[Html]:
    """For two classes: the curves, the table of thresholds, and the chosen one."""
    chosen = run.chosen
    try:
        y, p, _, positive = insights.positive(run, chosen)
        made = insights.roc(run)
    except LinnetError:  # of another task, or the test rows are of one class
        return []
    told = kept.get("threshold") if isinstance(kept, dict) else None
    at = None if told is None else float(told["choice"]["chosen"]["threshold"])
    by = "F1" if told is None or told["choice"]["by"] == "f1" else "mean cost"
    rows = [
        [
            f"{cut.threshold:.3g}" + (f" (chosen by {by})" if cut.threshold == at else ""),
            *(Fixed(getattr(cut, key)) for key in ("precision", "recall", "f1", "accuracy")),
            cut.false_positive, cut.false_negative,
        ]
        for cut in cuts_of(y, p, thresholds=tuple(sorted({*ROUGH, *([] if at is None else [at])})))
    ]  # fmt: skip
    heads = ["threshold", "precision", "recall", "F1", "accuracy", "false +", "false -"]
    words = f"A row counts as {positive} if its probability is at least the threshold."
    if told is not None:
        words += (
            f" Chosen by {by} on {told['choice']['rows']:,} {told['by_rows']} rows, once tested: "
            f"{told['words']}. Another cost of the two mistakes has another threshold: "
            'run.threshold(by="cost", costs=(1, 5)).'
        )
    return (
        [
            document.figure("ROC, and precision against recall", run.roc),
            document.figure(
                "Thresholds", lambda: thresholds(cuts_of(y, p, thresholds=FINE), at, by)
            ),
            tag("p", words, class_="none"),
            table(heads, rows, blocks=True),
        ]
        if made
        else []
    )


def intervals_part(document: Document, run: Run) -> list[Html]:
    """How wide prediction intervals, or sets of classes, are, and how often they hold."""
    title = "How sure is each prediction?"
    chosen = run.chosen
    try:
        plain = insights.calibration(run, chosen, scaled=False)
        every = insights.coverage(run, chosen, scaled=not plain.classifies)
    except LinnetError as error:
        return [tag("h2", title), tag("p", str(error), class_="none")]
    levels = [{"level": c.level, "share": c.share, "width": c.width, "size": c.size} for c in every]
    if plain.classifies:
        rows = [[percent(c.level), percent(c.share), c.size] for c in every]
        heads = ["asked", "held on other rows", "classes in a set, mean"]
        words = (
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
        heads = ["asked", "held", "width", "held, scaled", "mean width, scaled"]
        words = (
            "Intervals that hold the true number with the probability asked for (conformal "
            "prediction), of one width, or scaled: wider where residuals of such predictions are "
            "larger: run.intervals(scaled=True).interval(prediction, 0.9)."
        )
    kept = [row for row, c in zip(rows, every, strict=False) if c.level in SHOWN_LEVELS]
    unit = "" if plain.classifies else ", ".join(plain.names)
    notes = [tag("p", each, class_="none") for each in plain.notes]
    return [
        document.figure(title, lambda: intervals(levels, unit)),
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
            f"{each.column}: {each.value}", each.rows, told.words(each).split(";")[0],
            percent(each.rest or 0) if accuracy else figure(each.rest or 0),
            None if each.p_adjusted is None else Chance(each.p_adjusted).bare.removeprefix("= "),
            "worse than the rest" if each.worse else f"not shown: {each.why}",
        ]
        for each in worst
    ]  # fmt: skip
    score = "accuracy" if accuracy else "RMSE"
    heads = ["slice", "rows", f"{score} (95 % interval)", "all other rows", "p (Holm)", "result"]
    number = len(told.worse)
    words = (
        f"{number} of {told.tested} slices of at least 30 rows "
        f"{'is' if number == 1 else 'are'} significantly worse than all other rows, after Holm's "
        "correction. Columns that the model does not know: linnet evaluate RUN DATA --by COLUMN."
    )
    return [
        document.figure("For whom does it fail?", lambda: slices(told, run.chosen, MOST_ROWS)),
        tag("p", words, class_="none"),
        table(heads, rows, blocks=True),
    ]


def importance_part(document: Document, run: Run, kept: dict[str, Any] | str) -> list[Html]:
    """Which columns matter, and how predictions depend on them."""
    title = "Which columns matter?"
    why = kept if isinstance(kept, str) else kept["why"].get("importance")
    if run._manifest(run.chosen).schema_.example != "row":
        return []
    if isinstance(kept, str) or not kept.get("importance"):
        return [tag("h2", title), tag("p", str(why or "not computed"), class_="none")]
    parts = [document.figure(title, lambda: importance(kept["importance"]))]
    grouped = [each.name for each in kept["importance"][run.chosen] if len(each.columns) > 1]
    if grouped:
        words = "Strongly correlated, so exchanged together: " + "; ".join(grouped) + "."
        parts.append(tag("p", words, class_="none"))
    curves = kept["dependence"]
    if curves:
        title = "How do predictions depend on them?"
        parts.append(document.figure(title, lambda: dependence(curves)))
        if grouped:
            words = "Each changes alone here; the columns that are correlated with it stay."
            parts.append(tag("p", words, class_="none"))
    pair = kept["pair"]
    if pair is not None:
        head = "The two columns that interact most"
        parts.append(document.figure(head, lambda: dependence_pair(pair)))
    return parts


def penalties_part(document: Document, run: Run) -> list[Html]:
    """The path of penalties of the line; nothing if it has none."""
    try:
        made = run.penalties()
    except InputError:
        return []
    return [document.figure("The path of penalties of the line", lambda: made)]
