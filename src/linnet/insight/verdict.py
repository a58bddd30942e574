"""The verdict in words: is the net better than the line, and is either better than the constant?

Its sentences are claims, made of the figures of ``metrics.json``:

- "better", "worse" or "not shown": a net against the line, by the paired test on the test rows.
- "no better": models whose scores on the test rows are not better than the best constant's.
- "score": the score of a model that is compared with no line.
- "yardstick": boosted trees against the chosen model.
- "chosen": whose predictions are used, and why.
- "no test": there is no score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from linnet.core.events import number
from linnet.core.statistics import CONFIDENCE
from linnet.core.text import cut
from linnet.insight.choice import simplest
from linnet.insight.claims import Blocks, Folds, Groups, Number, Sentence, TestRows
from linnet.insight.pairs import YARDSTICK, YARDSTICK_TITLE, between, certainty, gain
from linnet.insight.task import Task, Told, folds_of, task_in
from linnet.networks import BASELINE, LINE

Kind = Literal[
    "better", "worse", "not shown", "no better", "score", "yardstick", "chosen", "no test"
]
"""What a sentence of the verdict is about."""

UNITS = {"group": Groups, "time": Blocks}
"""What counts as independent, by how the rows were divided."""


def headline(scores: dict[str, Any]) -> str:
    """The headline score of test rows with its 95 % confidence interval, as text."""
    task = task_in(scores)
    assert task is not None
    return task.headline(scores)


@dataclass(frozen=True)
class Judgement(Sentence):
    """A sentence of the verdict."""

    kind: Kind = "score"


def verdict(metrics: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """One or more sentences on the models in ``metrics.json``; ``titles`` gives each model's
    title."""
    return " ".join(map(str, judge(metrics, titles)))


def judge(metrics: Mapping[str, Any], titles: Mapping[str, str]) -> list[Judgement]:
    """The sentences of the verdict, as claims."""
    task = task_in(metrics["models"][BASELINE].get("test") or {})
    if task is None:
        return [*_untested(metrics, titles), *_chosen(metrics, titles, {}, ())]
    tests = _Tests(metrics, titles, task)
    found: dict[str, _Found] = {}
    said: list[Judgement] = []
    for name in tests.models:
        if (comparison := between(tests.comparisons, name, LINE)) is None:
            continue
        first = not any("p" in sentence.evidence for sentence in said)
        found[name] = _Found.of(tests, comparison, name, LINE, first)
        if not {LINE, name} <= set(tests.poor):
            said.append(_compared(tests, name, found[name]))
    if not found:
        behind = tests.poor + tests.inaccurate
        said += [_score(tests, name) for name in tests.models if name not in behind]
    said += _no_better(tests)
    said += [_inaccurate(tests, name) for name in tests.inaccurate]
    first = not any("p" in sentence.evidence for sentence in said)
    said += _yardstick(tests, str(metrics.get("chosen")), first)
    outcomes = {name: each.outcome for name, each in found.items()}
    return [*said, *_chosen(metrics, titles, outcomes, tests.poor)]


class _Tests:
    """The scores of test rows: of ``models``, all but the constant. ``poor`` are the models whose
    scores are not better than the constant's; of the ``inaccurate`` ones only the probabilities
    are."""

    def __init__(self, metrics: Mapping[str, Any], titles: Mapping[str, str], task: Task) -> None:
        self.task, self.titles = task, {**titles, YARDSTICK: YARDSTICK_TITLE}
        self.comparisons: Sequence[Mapping[str, Any]] = metrics.get("comparisons", [])
        every = {**metrics["models"], **metrics.get("yardstick", {})}
        self.scores = {name: each.get("test") or {} for name, each in every.items()}
        self.models = [name for name in metrics["models"] if name != BASELINE]
        known = not math.isnan(number(self.scores[BASELINE].get(task.score)))
        behind = [name for name in self.models if known and not self.better(name, BASELINE)]
        self.inaccurate = [name for name in behind if self.likelier(name)]
        self.poor = [name for name in behind if name not in self.inaccurate]

    def score(self, name: str) -> float:
        """The headline score of a model; NaN if it is not known."""
        return number(self.scores.get(name, {}).get(self.task.score))

    def better(self, one: str, other: str) -> bool:
        """Whether the headline score of a model is better than that of another one."""
        a, b = self.score(one), self.score(other)
        return a > b if self.task.better == "higher" else a < b

    def likelier(self, name: str) -> bool:
        """Whether the log loss of a model is lower than the constant's."""
        a, b = (number(self.scores[each].get("log_loss")) for each in (name, BASELINE))
        return a < b

    def told(self, name: str) -> Told:
        """The headline score of a model."""
        told = self.task.told(self.scores[name], name)
        return told if told.form else Told(f"{self.task.title} not finite", {})

    def say(self, kind: Kind, model: str, form: str, *parts: Told) -> Judgement:
        """A sentence on the test rows with the figures of its parts."""
        test, names = self.scores[BASELINE], _names(self.titles)
        rows = Told.of("on", "test rows", TestRows.of(test.get("rows")))
        if folds_of(test):
            rows = Told.of("by cross-validation over", "folds", Folds.of(folds_of(test)))
        where, units = rows.form or "on the test rows", self.units()
        if units.form:
            where += f" in {units.form}"
            names["column"] = cut(repr(test["interval"].get("column")), 80, "...")
        form = form.replace("on the test rows", where)
        every = (rows, units, *parts)
        figures = {name: figure for part in every for name, figure in part.figures.items()}
        return Judgement(model, form, figures, names, kind)

    def units(self) -> Told:
        """The groups, or blocks of time, that count as independent, if single rows do not."""
        rests = self.scores[BASELINE].get("interval")
        if not isinstance(rests, dict) or rests.get("by") not in UNITS:
            return Told("", {})
        units = UNITS[rests["by"]].of(rests.get("units"))
        if units is None:
            return Told("", {})
        return Told("{units} of {column}", {"units": units})


def _names(titles: Mapping[str, str]) -> dict[str, str]:
    return {f"title of {name}": title for name, title in titles.items()}


def _title(name: str) -> str:
    """The place of a model's title in a form."""
    return f"{{title of {name}}}"


@dataclass(frozen=True)
class _Found:
    """What the paired test shows of a model against ``other``, as figures of a sentence."""

    outcome: Kind
    chance: Told
    why: str
    """Why a difference is not shown, as the begin of a sentence."""
    other: str
    equal: bool
    """Whether the two have the same score."""

    @classmethod
    def of(
        cls, tests: _Tests, comparison: Mapping[str, Any], model: str, other: str, first: bool
    ) -> _Found:
        """Of this comparison. If its figures contradict it, it shows nothing."""
        gained = gain(comparison, model)
        ends = [number(end) for end in gained.get("difference_interval") or ()]
        within = len(ends) == 2 and ends[0] <= 0 <= ends[1]
        p_values = [number(comparison.get(key, 0)) for key in ("p_value", "p_adjusted")]
        shown = comparison.get("significant") and not within
        shown = shown and not any(p >= 1 - CONFIDENCE for p in p_values)
        outcome: Kind = "not shown"
        if shown and comparison.get("better") == model and tests.better(model, other):
            outcome = "better"
        elif shown and comparison.get("better") == other and tests.better(other, model):
            outcome = "worse"
        known = not any(math.isnan(tests.score(name)) for name in (model, other))
        equal = known and not tests.better(model, other) and not tests.better(other, model)
        chance = certainty(tests.task, gained, len(tests.comparisons), first=first)
        return cls(outcome, chance, _why(comparison, model, other), other, equal)


def _compared(tests: _Tests, net: str, found: _Found) -> Judgement:
    """A net against the line."""
    own, line, chance = tests.told(net), tests.told(LINE), found.chance
    titles = _title(net), _title(LINE)
    if found.equal:
        form = f"{titles[0]} is not better than {titles[1]}: both have {own.form} on the test rows."
        return tests.say("not shown", net, form, own)
    verb = {"better": "is better", "worse": "is worse", "not shown": "is not shown to be better"}
    form = f"{titles[0]} {verb[found.outcome]} than {titles[1]}: {own.form} against {line.form} "
    form += "on the test rows" + (f" ({chance.form})." if chance.form else ".")
    if found.outcome == "not shown":
        form += f" {found.why}."
    return tests.say(found.outcome, net, form, own, line, chance)


def _why(comparison: Mapping[str, Any], model: str, other: str) -> str:
    """Why a difference is not shown."""
    why = str(comparison.get("why", ""))
    what = "The difference" if model != YARDSTICK else f"The difference from {_title(other)}"
    if why.startswith("too few "):
        return f"There are {why} for a claim"
    if why.startswith("rests on one "):
        return f"{what} {why}"
    if why == "errors are not finite":
        return "Some errors are not finite"
    return f"{what} may be chance"


def _yardstick(tests: _Tests, chosen: str, first: bool) -> list[Judgement]:
    """Boosted trees against the chosen model, of which nothing good is said if it is not better
    than the constant."""
    comparison = between(tests.comparisons, YARDSTICK, chosen)
    if comparison is None or not tests.scores.get(YARDSTICK) or chosen not in tests.models:
        return []
    found = _Found.of(tests, comparison, YARDSTICK, chosen, first)
    own, title, other = tests.told(YARDSTICK), _title(YARDSTICK), _title(chosen)
    form = f"{title}, the yardstick, have {own.form}"
    if found.equal or (found.outcome == "worse" and chosen in tests.poor + tests.inaccurate):
        return [tests.say("yardstick", YARDSTICK, f"{form}.", own)]
    if found.outcome == "not shown":
        form += f"; {found.why[0].lower()}{found.why[1:]}"
    else:
        form += f": {found.outcome} than {other}"
    form += f" ({found.chance.form})." if found.chance.form else "."
    return [tests.say("yardstick", YARDSTICK, form, own, found.chance)]


def _score(tests: _Tests, name: str) -> Judgement:
    own, constant = tests.told(name), tests.told(BASELINE)
    form = f"{_title(name)} has {own.form} on the test rows; the best constant has {constant.form}."
    return tests.say("score", name, form, own, constant)


def _no_better(tests: _Tests) -> list[Judgement]:
    """The models that are not better than the constant, in one sentence."""
    if not tests.poor:
        return []
    own, constant = [tests.told(name) for name in tests.poor], tests.told(BASELINE)
    titles = [_title(name) for name in tests.poor]
    who = f"{titles[0]} is not" if len(titles) == 1 else f"neither {' nor '.join(titles)} is"
    form = f"{who} better than the best constant: {' and '.join(each.form for each in own)} "
    form += f"against {constant.form} on the test rows."
    return [tests.say("no better", tests.poor[0], form, *own, constant)]


def _inaccurate(tests: _Tests, name: str) -> Judgement:
    """A classifier that is right no more often than the constant, with better probabilities."""
    own, constant = tests.told(name), tests.told(BASELINE)
    losses = [
        Told.of("", f"{each} log loss", Number.of(tests.scores[each].get("log_loss")))
        for each in (name, BASELINE)
    ]
    form = (
        f"{_title(name)} is not more accurate than the best constant, which always predicts the "
        f"most frequent class: {own.form} against {constant.form} on the test rows; but its "
        f"probabilities are better: log loss{losses[0].form} against{losses[1].form}."
    )
    return tests.say("no better", name, form, own, constant, *losses)


def _untested(metrics: Mapping[str, Any], titles: Mapping[str, str]) -> list[Judgement]:
    form = "no rows were kept for a test, so no score is claimed"
    if not any(each.get("valid") for each in metrics["models"].values()):
        form += "; the models were fitted on all rows"
    return [Judgement(BASELINE, f"{form}.", {}, _names(titles), "no test")]


def _chosen(
    metrics: Mapping[str, Any],
    titles: Mapping[str, str],
    outcomes: Mapping[str, Kind],
    poor: Sequence[str],
) -> list[Judgement]:
    """Whose predictions are used, and why; nothing if there is one model, and it is good."""
    chosen, models = str(metrics.get("chosen")), [m for m in metrics["models"] if m != BASELINE]
    losses = {
        name: number((each.get("valid") or {}).get("loss"))
        for name, each in metrics["models"].items()
    }
    if chosen not in models:
        return []
    against, weak = chosen in poor, losses[chosen] >= losses.get(BASELINE, math.nan)
    if len(models) == 1 and not against and not weak:
        return []
    other = ""
    if outcomes.get(chosen, "better") != "better" and LINE not in poor:
        other = LINE
    elif chosen == LINE:
        other = next((name for name, outcome in outcomes.items() if outcome == "better"), "")
    form = f"predictions {'still ' if other or against else ''}come from {_title(chosen)}"
    if len(models) > 1:
        form += _because(metrics.get("choice") or {}, chosen, models, losses)
    loss = _loss(metrics.get("choice") or {})
    if against and weak:
        form += f"; neither its {loss} nor its test score is better than the best constant's"
    elif against:
        form += "; its test score gives no reason to use them"
    elif weak:
        form += f"; its {loss} is not better than the best constant's"
    elif other:
        form += f"; to use {_title(other)}: --model {other}"
    return [Judgement(chosen, f"{form}.", {}, _names(titles), "chosen")]


def _because(
    choice: Mapping[str, Any], chosen: str, models: Sequence[str], losses: Mapping[str, float]
) -> str:
    """Why a model was chosen among several, by the rule of ``linnet.insight.choice``."""
    loss, lowest = _loss(choice), choice.get("lowest")
    if lowest in models and lowest != chosen:
        return f", the simpler model: its {loss} is within one standard error of that of " + _title(
            str(lowest)
        )
    if lowest == chosen and chosen != simplest(models, LINE)[0]:
        return f", because its {loss} is the lowest, by more than one standard error"
    if lowest == chosen or all(losses[chosen] <= losses[name] for name in models):
        return f", because its {loss} is the lowest"
    if all(math.isnan(losses[name]) for name in models):
        return ", the first model: there are no validation rows to choose by"
    return ""


def _loss(choice: Mapping[str, Any]) -> str:
    return "out-of-fold loss" if choice.get("by") == "folds" else "validation loss"
