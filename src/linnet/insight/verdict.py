"""The verdict in words: is the net better than the line, and is either better than the constant?

Its sentences are claims, made of the figures of ``metrics.json``:

- "better", "worse" or "not shown": a net against the line, by the paired test on the test rows.
- "no better": models whose scores on the test rows are not better than the best constant's.
- "score": the score of a model that is compared with no line.
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
from linnet.insight.claims import Blocks, Groups, Number, Sentence, TestRows
from linnet.insight.task import Task, Told, task_in
from linnet.networks import BASELINE, LINE

Kind = Literal["better", "worse", "not shown", "no better", "score", "chosen", "no test"]
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
    found = {
        name: _outcome(tests, name, comparison)
        for name, comparison in metrics.get("comparisons", {}).items()
    }
    said = [
        _compared(tests, name, outcome, metrics["comparisons"][name])
        for name, outcome in found.items()
        if not {LINE, name} <= set(tests.poor)
    ]
    if not found:
        behind = tests.poor + tests.inaccurate
        said += [_score(tests, name) for name in tests.models if name not in behind]
    said += _no_better(tests)
    said += [_inaccurate(tests, name) for name in tests.inaccurate]
    return [*said, *_chosen(metrics, titles, found, tests.poor)]


class _Tests:
    """The scores of test rows: of ``models``, all but the constant. ``poor`` are the models whose
    scores are not better than the constant's; of the ``inaccurate`` ones only the probabilities
    are."""

    def __init__(self, metrics: Mapping[str, Any], titles: Mapping[str, str], task: Task) -> None:
        self.task, self.titles = task, titles
        self.scores = {name: each.get("test") or {} for name, each in metrics["models"].items()}
        self.models = [name for name in self.scores if name != BASELINE]
        known = not math.isnan(number(self.scores[BASELINE].get(task.score)))
        behind = [name for name in self.models if known and not self.better(name, BASELINE)]
        self.inaccurate = [name for name in behind if self.likelier(name)]
        self.poor = [name for name in behind if name not in self.inaccurate]

    def better(self, one: str, other: str) -> bool:
        """Whether the headline score of a model is better than that of another one."""
        a, b = (number(self.scores[name].get(self.task.score)) for name in (one, other))
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


def _outcome(tests: _Tests, net: str, comparison: Mapping[str, Any]) -> Kind:
    """What the paired test shows. If the figures contradict it, it shows nothing."""
    ends = [number(end) for end in comparison.get("difference_interval") or ()]
    within = len(ends) == 2 and ends[0] <= 0 <= ends[1]
    chance = number(comparison.get("p_value", 0)) >= 1 - CONFIDENCE
    if not comparison.get("significant") or within or chance:
        return "not shown"
    if comparison.get("better") == "net" and tests.better(net, LINE):
        return "better"
    if comparison.get("better") == "line" and tests.better(LINE, net):
        return "worse"
    return "not shown"


def _compared(tests: _Tests, net: str, outcome: Kind, comparison: Mapping[str, Any]) -> Judgement:
    """A net against the line."""
    own, line = tests.told(net), tests.told(LINE)
    chance = tests.task.certainty(comparison)
    verb = {"better": "is better", "worse": "is worse", "not shown": "is not shown to be better"}
    form = f"{_title(net)} {verb[outcome]} than {_title(LINE)}: {own.form} against {line.form} "
    form += "on the test rows" + (f" ({chance.form})." if chance.form else ".")
    if outcome == "not shown":
        simpler = "" if LINE in tests.poor else f", and {_title(LINE)} is the simpler model"
        form += f" {_why(comparison)}{simpler}."
    return tests.say(outcome, net, form, own, line, chance)


def _why(comparison: Mapping[str, Any]) -> str:
    """Why a difference is not shown."""
    why = str(comparison.get("why", ""))
    if why.startswith("too few "):
        return f"There are {why} for a claim"
    if why.startswith("rests on one "):
        return f"The difference {why}"
    if why == "errors are not finite":
        return "Some errors are not finite"
    return "The difference may be chance"


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
    if chosen not in models or (len(models) == 1 and chosen not in poor):
        return []
    other = ""
    if outcomes.get(chosen, "better") != "better" and LINE not in poor:
        other = LINE
    elif chosen == LINE:
        other = next((name for name, outcome in outcomes.items() if outcome == "better"), "")
    losses = {m: number((metrics["models"][m].get("valid") or {}).get("loss")) for m in models}
    against = chosen in poor
    still = other or against
    form = f"predictions {'still ' if still else ''}come from {_title(chosen)}"
    if len(models) > 1 and all(losses[chosen] <= loss for loss in losses.values()):
        because = ", because its" if still else ", whose"
        form += f"{because} validation loss is the lowest"
    elif len(models) > 1 and all(math.isnan(loss) for loss in losses.values()):
        form += ", the first model: there are no validation rows to choose by"
    if against:
        form += "; its test score gives no reason to use them"
    elif other:
        form += f"; to use {_title(other)}: --model {other}"
    return [Judgement(chosen, f"{form}.", {}, _names(titles), "chosen")]
