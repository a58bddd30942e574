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
from linnet.core.language import tr
from linnet.core.statistics import CONFIDENCE
from linnet.core.text import cut
from linnet.insight.choice import simplest
from linnet.insight.claims import Blocks, Folds, Groups, Number, Sentence, TestRows, within
from linnet.insight.pairs import YARDSTICK, YARDSTICK_TITLE, between, certainty, gain
from linnet.insight.task import CHANCE, Task, Told, folds_of, task_in
from linnet.networks import BASELINE, LINE

Kind = Literal[
    "better", "worse", "not shown", "no better", "score", "yardstick", "chosen", "no test"
]
"""What a sentence of the verdict is about."""

UNITS: dict[str, type[Groups | Blocks]] = {"group": Groups, "time": Blocks}
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
    return joined(judge(metrics, titles))


def joined(sentences: Sequence[Sentence]) -> str:
    """Sentences one after the other."""
    text = str(sentences[0]) if sentences else ""
    for sentence in sentences[1:]:
        text = tr("{one} {other}", one=text, other=sentence)
    return text


def judge(metrics: Mapping[str, Any], titles: Mapping[str, str]) -> list[Judgement]:
    """The sentences of the verdict, as claims."""
    task = task_in(metrics["models"][BASELINE].get("test") or {})
    if task is None:
        return [*_untested(metrics, titles), *_chosen(metrics, titles, {}, ())]
    tests = Tests(metrics, titles, task)
    found: dict[str, Found] = {}
    said: list[Judgement] = []
    for name in tests.models:
        if (comparison := between(tests.comparisons, name, LINE)) is None:
            continue
        first = not any("p" in sentence.evidence for sentence in said)
        found[name] = Found.of(tests, comparison, name, LINE, first)
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


class Tests:
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

    def interval(self, name: str) -> tuple[float, float] | None:
        """The 95 % interval of a model's headline score; None if it is not known."""
        scores = self.scores.get(name, {})
        ends = scores.get(f"{self.task.score}_interval") or ()
        low, high = map(number, ends) if len(ends) == 2 else (math.nan, math.nan)
        rests = scores.get("interval")
        one = isinstance(rests, dict) and rests.get("units") == 1
        return (low, high) if low <= high and not one else None

    def told(self, name: str) -> Told:
        """The headline score of a model."""
        told = self.task.told(self.scores[name], name)
        return told if told.form else Told(self.task.unknown(), {})

    def say(self, kind: Kind, model: str, form: str, *parts: Told) -> Judgement:
        """A sentence on the test rows, which stand at ``{where}``, with the figures of its
        parts."""
        names, where = _names(self.titles), self.where()
        if self.by() is not None:
            names["column"] = self.column()
        figures = {n: figure for part in (where, *parts) for n, figure in part.figures.items()}
        return Judgement(model, within(form, where=where.form), figures, names, kind)

    def where(self) -> Told:
        """On which rows the models were tested, and what of them counts as independent."""
        test = self.scores[BASELINE]
        if folds_of(test):
            folds = Folds.of(folds_of(test))
            rows = Told.of(tr("by cross-validation over {figure}"), "folds", folds)
        else:
            rows = Told.of(tr("on {figure}"), "test rows", TestRows.of(test.get("rows")))
        form, units = rows.form or tr("on the test rows"), self.units()
        if units is None:
            return Told(form, rows.figures)
        form = within(tr("{where} in {units} of {column}"), where=form)
        return Told(form, {**rows.figures, "units": units})

    def by(self) -> str | None:
        """Whether groups or blocks of time count as independent: "group", "time" or None."""
        rests = self.scores[BASELINE].get("interval")
        return rests["by"] if isinstance(rests, dict) and rests.get("by") in UNITS else None

    def column(self) -> str:
        """The column of the groups or times."""
        return cut(repr(self.scores[BASELINE]["interval"].get("column")), 80, "...")

    def units(self) -> Groups | Blocks | None:
        """The groups, or blocks of time, that count as independent, if single rows do not."""
        by = self.by()
        return None if by is None else UNITS[by].of(self.scores[BASELINE]["interval"].get("units"))


def _names(titles: Mapping[str, str]) -> dict[str, str]:
    return {f"title of {name}": tr(title) for name, title in titles.items()}


def _title(name: str) -> str:
    """The place of a model's title in a form."""
    return f"{{title of {name}}}"


@dataclass(frozen=True)
class Found:
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
        cls, tests: Tests, comparison: Mapping[str, Any], model: str, other: str, first: bool
    ) -> Found:
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


def _compared(tests: Tests, net: str, found: Found) -> Judgement:
    """A net against the line."""
    own, line, chance = tests.told(net), tests.told(LINE), found.chance
    titles = {"net": _title(net), "line": _title(LINE)}
    if found.equal:
        form = tr("{net} is not better than {line}: both have {own} {where}.")
        return tests.say("not shown", net, within(form, **titles, own=own.form), own)
    if found.outcome == "better":
        form = tr("{net} is better than {line}: {own} against {other} {where}{how_sure}.")
    elif found.outcome == "worse":
        form = tr("{net} is worse than {line}: {own} against {other} {where}{how_sure}.")
    else:
        form = tr(
            "{net} is not shown to be better than {line}: {own} against {other} {where}"
            "{how_sure}. {why}."
        )
    form = within(form, **titles, own=own.form, other=line.form, why=found.why)
    return tests.say(found.outcome, net, _sure(form, chance), own, line, chance)


def _sure(form: str, chance: Told) -> str:
    """``form`` with how certain it is in brackets, at ``{how_sure}``."""
    told = within(tr(" ({chance})"), chance=chance.form) if chance.form else ""
    return within(form, how_sure=told)


def _why(comparison: Mapping[str, Any], model: str, other: str) -> str:
    """Why a difference is not shown, as a sentence without its point."""
    why = str(comparison.get("why", ""))
    yardstick = model == YARDSTICK
    if why.startswith("too few "):
        return _few(why)
    if why == "errors are not finite":
        return tr("Some errors are not finite")
    if why.startswith("rests on one "):
        form = tr("The difference from {other} {why}") if yardstick else tr("The difference {why}")
        return within(form, other=_title(other), why=_one(why))
    form = tr("The difference from {other} may be chance")
    return within(form, other=_title(other)) if yardstick else tr("The difference may be chance")


def _few(why: str) -> str:
    unit = why.removeprefix("too few ")
    if unit == "rows":
        return tr("There are too few rows for a claim")
    if unit == "groups":
        return tr("There are too few groups for a claim")
    if unit == "blocks":
        return tr("There are too few blocks for a claim")
    return f"There are {why} for a claim"


def _one(why: str) -> str:
    unit = why.removeprefix("rests on one ")
    if unit == "row":
        return tr("rests on one row")
    if unit == "group":
        return tr("rests on one group")
    return tr("rests on one block") if unit == "block" else why


def reason(why: str) -> str:
    """Why a comparison shows no difference, as a phrase in the language that is in force."""
    if why == CHANCE:
        return tr("may be chance")
    if why == "errors are not finite":
        return tr("errors are not finite")
    if why.startswith("rests on one "):
        return _one(why)
    few = {"too few rows": tr("too few rows"), "too few groups": tr("too few groups")}
    return {**few, "too few blocks": tr("too few blocks")}.get(why, why)


def _yardstick(tests: Tests, chosen: str, first: bool) -> list[Judgement]:
    """Boosted trees against the chosen model, of which nothing good is said if it is not better
    than the constant."""
    comparison = between(tests.comparisons, YARDSTICK, chosen)
    if comparison is None or not tests.scores.get(YARDSTICK) or chosen not in tests.models:
        return []
    found = Found.of(tests, comparison, YARDSTICK, chosen, first)
    own, title, other = tests.told(YARDSTICK), _title(YARDSTICK), _title(chosen)
    if found.equal or (found.outcome == "worse" and chosen in tests.poor + tests.inaccurate):
        form = tr("{trees}, the yardstick, have {own}.")
        return [tests.say("yardstick", YARDSTICK, within(form, trees=title, own=own.form), own)]
    if found.outcome == "better":
        form = tr("{trees}, the yardstick, have {own}: better than {other}{how_sure}.")
    elif found.outcome == "worse":
        form = tr("{trees}, the yardstick, have {own}: worse than {other}{how_sure}.")
    else:
        form = tr("{trees}, the yardstick, have {own}; {why}{how_sure}.")
    why = f"{found.why[0].lower()}{found.why[1:]}"
    form = within(form, trees=title, own=own.form, other=other, why=why)
    return [tests.say("yardstick", YARDSTICK, _sure(form, found.chance), own, found.chance)]


def _score(tests: Tests, name: str) -> Judgement:
    own, constant = tests.told(name), tests.told(BASELINE)
    form = tr("{model} has {own} {where}; the best constant has {constant}.")
    form = within(form, model=_title(name), own=own.form, constant=constant.form)
    return tests.say("score", name, form, own, constant)


def _no_better(tests: Tests) -> list[Judgement]:
    """The models that are not better than the constant, in one sentence."""
    if not tests.poor:
        return []
    own, constant = [tests.told(name) for name in tests.poor], tests.told(BASELINE)
    titles = [_title(name) for name in tests.poor]
    if len(titles) == 1:
        form = tr(
            "{models} is not better than the best constant: {own} against {constant} {where}."
        )
    else:
        form = tr(
            "neither {models} is better than the best constant: {own} against {constant} {where}."
        )
    form = within(
        form,
        models=together(titles, tr("{one} nor {other}")),
        own=together([each.form for each in own], tr("{one} and {other}")),
        constant=constant.form,
    )
    return [tests.say("no better", tests.poor[0], form, *own, constant)]


def together(parts: Sequence[str], pair: str) -> str:
    """All parts by the form of a pair: ``{one} and {other}``."""
    text = parts[0]
    for part in parts[1:]:
        text = within(pair, one=text, other=part)
    return text


def _inaccurate(tests: Tests, name: str) -> Judgement:
    """A classifier that is right no more often than the constant, with better probabilities."""
    own, constant = tests.told(name), tests.told(BASELINE)
    losses = [
        Told.of("{figure}", f"{each} log loss", Number.of(tests.scores[each].get("log_loss")))
        for each in (name, BASELINE)
    ]
    form = tr(
        "{model} is not more accurate than the best constant, which always predicts the most "
        "frequent class: {own} against {constant} {where}; but its probabilities are better{by}."
    )
    by = tr(": log loss {loss} against {other}")
    by = within(by, loss=losses[0].form, other=losses[1].form)
    by = by if all(each.form for each in losses) else ""
    form = within(form, model=_title(name), own=own.form, constant=constant.form, by=by)
    return tests.say("no better", name, form, own, constant, *losses)


def _untested(metrics: Mapping[str, Any], titles: Mapping[str, str]) -> list[Judgement]:
    form = tr("No rows were kept for a test, so no score is claimed.")
    if not any(each.get("valid") for each in metrics["models"].values()):
        form = tr(
            "No rows were kept for a test, so no score is claimed; the models were fitted on all "
            "rows."
        )
    return [Judgement(BASELINE, form, {}, _names(titles), "no test")]


def _chosen(
    metrics: Mapping[str, Any],
    titles: Mapping[str, str],
    outcomes: Mapping[str, Kind],
    poor: Sequence[str],
) -> list[Judgement]:
    """Whose predictions are used, and why; nothing if there is one model, and it is good."""
    chosen, models = str(metrics.get("chosen")), [m for m in metrics["models"] if m != BASELINE]
    choice = metrics.get("choice") or {}
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
    still = bool(other or against)
    form = tr("predictions still come from {model}{because}{but}.")
    form = form if still else tr("predictions come from {model}{because}{but}.")
    because = _because(choice, chosen, models, losses) if len(models) > 1 else ""
    but = _but(choice, other, against=against, weak=weak)
    form = within(form, because=because, but=but, model=_title(chosen))
    return [Judgement(chosen, form, {}, _names(titles), "chosen")]


def _but(choice: Mapping[str, Any], other: str, *, against: bool, weak: bool) -> str:
    """What speaks against the chosen model, or how to use the ``other`` one."""
    loss = loss_of(choice)
    if against and weak:
        form = tr("; neither its {loss} nor its test score is better than the best constant's")
        return within(form, loss=loss)
    if against:
        return tr("; its test score gives no reason to use them")
    if weak:
        return within(tr("; its {loss} is not better than the best constant's"), loss=loss)
    if not other:
        return ""
    return within(tr("; to use {other}: --model {name}"), other=_title(other), name=other)


def _because(
    choice: Mapping[str, Any], chosen: str, models: Sequence[str], losses: Mapping[str, float]
) -> str:
    """Why a model was chosen among several, by the rule of ``linnet.insight.choice``."""
    loss, lowest = loss_of(choice), choice.get("lowest")
    if lowest in models and lowest != chosen:
        form = tr(
            ", the simpler model: its {loss} is within one standard error of that of {lowest}"
        )
        return within(form, loss=loss, lowest=_title(str(lowest)))
    if lowest == chosen and chosen != simplest(models, LINE)[0]:
        form = tr(", because its {loss} is the lowest, by more than one standard error")
        return within(form, loss=loss)
    if lowest == chosen or all(losses[chosen] <= losses[name] for name in models):
        return within(tr(", because its {loss} is the lowest"), loss=loss)
    if all(math.isnan(losses[name]) for name in models):
        return tr(", the first model: there are no validation rows to choose by")
    return ""


def loss_of(choice: Mapping[str, Any]) -> str:
    """The loss by which a model was chosen."""
    return tr("out-of-fold loss") if choice.get("by") == "folds" else tr("validation loss")
