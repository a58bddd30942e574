"""The answer of a run, for its head: which model to use, how good it is, and how sure that is.

It says what verdict, choice and table say, because it is made of the same figures: the model is the
chosen one, its score that of the test rows, and whether it is better is the outcome of the paired
test that the verdict tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from linnet.core.language import LANGUAGES, current, tr
from linnet.core.text import figure, up
from linnet.insight.claims import Chance, Folds, TestRows, within
from linnet.insight.pairs import between, tested
from linnet.insight.task import CLASSES, Told, folds_of, task_in
from linnet.insight.verdict import Found, Tests, judge, loss_of, reason, together, verdict
from linnet.networks import BASELINE, LINE

MINUS = "\N{MINUS SIGN}"


class Answer(NamedTuple):
    """Which model to use, in the language that was in force. What is not known is a dash.

    ``model`` is its name and ``title`` what people call it; ``score`` has the 95 % interval;
    ``gain`` says by how much it is better than ``over``, the line or the best constant; ``rows``
    the rows on which it was tested; ``sure`` how sure it is that it is better; ``sentence`` all of
    it in short. They are texts: escape them in HTML.
    """

    model: str
    title: str
    score: str
    gain: str
    over: str
    rows: str
    sure: str
    sentence: str

    def facts(self) -> list[tuple[str, str]]:
        """The parts, each with its name."""
        return [
            (tr("model to use"), self.title),
            (tr("test score (95 % interval)"), self.score),
            (tr("gain over {model}", model=self.over), self.gain),
            (tr("tested on"), self.rows),
            (tr("how sure"), self.sure),
        ]

    def line(self) -> str:
        """Score, rows, gain and how sure it is, in one line; empty without a test."""
        if self.rows == "–":
            return ""
        return tr(
            "{score} on {rows}; against the {model}: {gain} ({sure})",
            score=self.score,
            rows=self.rows,
            model=self.over,
            gain=self.gain,
            sure=self.sure,
        )

    def plain(self) -> dict[str, Any]:
        """The answer as JSON: its parts and its sentence."""
        return {"model": self.model, "facts": self.facts(), "sentence": self.sentence}


def answer(metrics: Mapping[str, Any], titles: Mapping[str, str]) -> Answer | None:
    """The answer that ``metrics.json`` gives; ``titles`` gives each model's title. None if it names
    no chosen model."""
    chosen = str(metrics.get("chosen"))
    if not {chosen, BASELINE} <= set(metrics["models"]):
        return None
    task = task_in(metrics["models"][BASELINE].get("test") or {})
    if task is None:
        sentence = str(judge(metrics, titles)[0])
        known = title(titles, chosen), "–", "–", title(titles, BASELINE), "–", "–"
        return Answer(chosen, *known, sentence)
    return _tested(metrics, Tests(metrics, titles, task))


def title(titles: Mapping[str, str], model: str) -> str:
    """The title of a model, as it stands alone."""
    return tr(titles.get(model, model)).removeprefix("the ")


def _tested(metrics: Mapping[str, Any], tests: Tests) -> Answer:
    chosen = str(metrics["chosen"])
    nets = {
        name: Found.of(tests, comparison, name, LINE, first=False)
        for name in tests.models
        if (comparison := between(tests.comparisons, name, LINE)) is not None
    }
    over = LINE if chosen in nets else BASELINE
    loss = loss_of(metrics.get("choice") or {})
    if chosen in nets and chosen not in tests.poor:
        sentence = _net(nets[chosen])
    elif nets and chosen not in tests.poor:
        sentence = _line(nets)
    else:
        sentence = _alone(tests, chosen)
    names = {name: tr(text) for name, text in tests.titles.items()}
    parts = {"model": names.get(chosen, chosen), "line": names.get(LINE, LINE), "loss": loss}
    better = [names[name] for name, found in nets.items() if found.outcome == "better"]
    parts["better"] = together(better, tr("{one} and {other}")) if better else ""
    parts["nets"] = (
        together([names[name] for name in nets], tr("{one} nor {other}")) if nets else ""
    )
    sentence = within(sentence, **parts)
    return Answer(
        chosen,
        tr("none yet") if chosen in tests.poor else title(tests.titles, chosen),
        str(tests.told(chosen)),
        _gain(tests, chosen, over),
        title(tests.titles, over),
        _rows(tests),
        _sure(tests, chosen) if over == LINE else _beside(tests, chosen),
        sentence[0].upper() + sentence[1:],
    )


def _rows(tests: Tests) -> str:
    """The rows of the test, or its folds; and the groups or blocks that count as independent."""
    test = tests.scores[BASELINE]
    folds, rows = Folds.of(folds_of(test) or None), TestRows.of(test.get("rows"))
    told = str(folds or rows or "–")
    units = tests.units()
    return told if units is None else tr("{one}, {other}", one=told, other=units)


def _net(found: Found) -> str:
    if found.outcome == "better":
        return tr("use {model}: it is better than {line}.")
    if found.outcome == "worse":
        return tr("use {model}, chosen by {loss}, with care: on the test rows {line} is better.")
    if found.equal:
        return tr("use {model}, chosen by {loss}; on the test rows {line} is as good.")
    return tr(
        "use {model}, chosen by {loss}; the test rows do not show that it is better than {line}."
    )


def _alone(tests: Tests, chosen: str) -> str:
    """A model beside the best constant alone, or one that is no better."""
    if chosen == BASELINE:
        return tr("only the best constant was fitted: it is what a model has to beat.")
    if chosen in tests.poor:
        return tr("{model} is not better than the best constant: do not use it yet.")
    if chosen in tests.inaccurate:
        return tr(
            "use the probabilities of {model} alone: it is right no more often than the best "
            "constant."
        )
    if not _apart(tests, chosen):
        return tr("use {model} with care: it is not shown to be better than the best constant.")
    if LINE in tests.models:
        return tr("use {model}: it is better than the best constant.")
    return tr(
        "use {model}: it is better than the best constant; no line was fitted to compare it with."
    )


def _line(nets: Mapping[str, Found]) -> str:
    if any(each.outcome == "better" for each in nets.values()):
        return tr("use {line}, chosen by {loss}, with care: on the test rows {better} is better.")
    if len(nets) > 1:
        return tr("use {line}: neither {nets} is shown to be better.")
    found = next(iter(nets.values()))
    if found.outcome == "worse":
        return tr("use {line}: it is better than {nets}.")
    if found.equal:
        return tr("use {line}: it is as good as {nets}, and simpler.")
    return tr("use {line}: {nets} is not shown to be better.")


def _gain(tests: Tests, model: str, over: str) -> str:
    """By how much the headline score of a model is better: in points, or as a share of the
    error."""
    own, other = tests.score(model), tests.score(over)
    if tests.task is CLASSES:
        points = up(100 * (own - other))
        if not math.isfinite(points):
            return "–"
        sign = "+" if points > 0 else MINUS if round(points, 2) < 0 else ""
        return tr("{number} points", number=f"{sign}{abs(points):.2f}")
    change = abs(100 * (own - other) / other) if other > 0 else math.nan
    if not math.isfinite(change):
        return "–"
    share = f"{figure(change, 3)} %"
    if own < other:
        return tr("RMSE lower by {number}", number=share)
    return tr("RMSE higher by {number}", number=share) if own > other else tr("equal")


def _sure(tests: Tests, model: str) -> str:
    """The paired test against the line."""
    comparison = between(tests.comparisons, model, LINE) or {}
    several = len(tests.comparisons) > 1 and "p_adjusted" in comparison
    p = Chance.of(comparison.get("p_adjusted" if several else "p_value"))
    told = "" if p is None else str(Told.of(tested(comparison), "p", p))
    found = Found.of(tests, comparison, model, LINE, first=False)
    if found.outcome in ("better", "worse"):
        return told
    why = reason(str(comparison.get("why") or "may be chance"))
    return tr("{why} ({test})", why=why, test=told) if told else why


def _beside(tests: Tests, model: str) -> str:
    """Whether the interval of a score leaves out the score of the constant; there is no paired test
    of the two."""
    constant = tests.score(BASELINE)
    if not math.isfinite(constant) or tests.interval(model) is None:
        return "–"
    score = tests.task.shown(constant)
    if _apart(tests, model):
        return tr("the best constant, {score}, is outside the interval", score=score)
    return tr("may be chance: the best constant, {score}, is in the interval", score=score)


def _apart(tests: Tests, model: str) -> bool:
    """Whether a model's interval is on the better side of the constant's score."""
    constant, ends = tests.score(BASELINE), tests.interval(model)
    if ends is None or not tests.better(model, BASELINE):
        return False
    return not min(ends) <= constant <= max(ends)


def spoken(metrics: Mapping[str, Any], titles: Callable[[], Mapping[str, str]]) -> str:
    """The verdict of ``metrics.json`` in the language that is in force: made anew of its figures,
    with the ``titles`` of the models. In English, or where there are no figures, it is as it was
    written."""
    stored = str(metrics["verdict"])
    if current() == LANGUAGES[0]:
        return stored
    known = tr(stored)
    if known != stored or BASELINE not in metrics["models"]:
        return known
    return verdict(metrics, titles())
