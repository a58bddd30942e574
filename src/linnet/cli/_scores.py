"""The scores of runs in the terminal."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from linnet.cli._output import in_flags, print_json, print_table
from linnet.core.events import number
from linnet.core.language import tr, trn
from linnet.core.text import percent, say

if TYPE_CHECKING:
    from linnet.experiment.sweep import Trial
    from linnet.runs.run import Run


def show(run: "Run") -> None:
    """Print a run: which model to use, the models with their intervals, the verdict, why each
    stopped, the files."""
    from linnet.insight.checks.words import told
    from linnet.insight.choice import by_folds, words
    from linnet.insight.pairs import YARDSTICK_ABOUT
    from linnet.insight.task import basis, folds_of

    metrics = run.metrics
    models, beside = metrics["models"], metrics.get("yardstick", {})
    if (answer := run.answer()) is not None and (line := answer.line()):
        say(answer.sentence)
        say(line)
    rows = [_row(name, scores, metrics["chosen"]) for name, scores in models.items()]
    folds = folds_of(models[metrics["chosen"]].get("test", {}))
    rows += [_row(f"({name})", scores, "") for name, scores in beside.items() if "fit" in scores]
    tested = tr("test (95 % interval)")
    if folds:
        tested = tr("{folds} folds (95 % interval)", folds=folds)
    held = tr("out of fold") if by_folds(metrics) else tr("validation")
    print_table([tr("model"), held, tested, tr("fitted in")], rows)
    say(run.verdict)
    how = words(metrics.get("choice") or {})
    say(tr("* {how}: {model}", how=how, model=metrics["chosen"]))
    for name, scores in beside.items():
        if "why" in scores:
            say(tr("note: no yardstick ({name}): {why}", name=name, why=scores["why"]))
        else:
            say(tr("({name}): the yardstick, {what}", name=name, what=tr(YARDSTICK_ABOUT)))
    _decides(models[metrics["chosen"]].get("test", {}).get("decision"))
    _stopped(models)
    if (rests := basis(models[metrics["chosen"]].get("test", {}))) is not None:
        say(tr("note: {text}", text=rests))
    about = run.info
    end = os.sep if run.path.is_dir() else ""
    for note in about["data"]["notes"]:
        say(tr("note: {text}", text=in_flags(told(note))))
    threads = trn("{n} thread", "{n} threads", about["threads"])
    files = f"{run.path}{end}"
    say(
        tr(
            "on {device}, {threads}; files: {files}",
            device=about["device"],
            threads=threads,
            files=files,
        )
    )


def _decides(told: Mapping[str, Any] | None) -> None:
    """Print by what threshold the chosen model decides between two classes, and how good that
    is."""
    if told is None:
        return
    say(told["rule"])
    say(
        tr(
            "by this threshold: {words}; accuracy {accuracy} (all scores above are of the more "
            "probable class)",
            words=told["words"],
            accuracy=percent(told["chosen"]["accuracy"]),
        )
    )


def _row(name: str, scores: Mapping[str, Any], chosen: str) -> list[str]:
    """A row of the table: a model's validation scores, test score and seconds."""
    from linnet.insight.task import task_in
    from linnet.insight.verdict import headline

    valid, test = scores.get("valid"), scores.get("test")
    held = "-"
    if valid and (task := task_in(valid)) is not None:
        held = task.shown(task.of(valid))
        if task.name == "classification":
            held = tr("loss {loss}, {score}", loss=f"{number(valid['loss']):.4f}", score=held)
    mark = name + (" *" if name == chosen else "")
    seconds = tr("{number} s", number=f"{scores['fit']['seconds']:.1f}")
    return [mark, held, headline(test) if test else "-", seconds]


def _stopped(models: Mapping[str, Any]) -> None:
    """Print why each fit stopped, and how pictures were scaled."""
    from linnet.insight.stopping import stopped
    from linnet.networks import BASELINE

    for name, scores in models.items():
        if name != BASELINE:
            say(f"{name}: {stopped(scores['fit'], short=True)}")
    scaling: dict[str, Any] = next(
        (s["fit"]["scaling"] for s in models.values() if "scaling" in s["fit"]), {}
    )
    if "mean" in scaling:
        mean, deviation = scaling["mean"], scaling["deviation"]
        told = {"mean": f"{mean:.4f}", "deviation": f"{deviation:.4f}"}
        say(tr("pixels / 255 scaled by mean {mean} and deviation {deviation}", **told))


def show_sweep(trials: "list[Trial]", *, json: bool) -> None:
    """Print the runs of a sweep, the lowest validation loss first, and the first one's scores."""
    folded = trials[0].valid.get("by") == "folds"
    loss = tr("out-of-fold loss") if folded else tr("validation loss")
    score = tr("out-of-fold score") if folded else tr("validation score")
    if json:
        best, *others = trials
        print_json([_plain(best), *(_untested(_plain(trial)) for trial in others)])
    else:
        keys = list(trials[0].settings)
        heads = [*keys, tr("chosen"), loss, score, tr("files")]
        print_table(heads, [_cells(trial) for trial in trials])
    best = trials[0]
    if best.error is not None:
        raise best.error
    if not json and best.run is not None:
        say(tr("the run with the lowest {loss}:", loss=loss))
        show(best.run)


def _plain(trial: "Trial") -> dict[str, Any]:
    if trial.run is None:
        return {**trial.settings, "error": str(trial.error)}
    return {**trial.settings, "path": str(trial.run.path), **trial.run.metrics}


def _untested(plain: dict[str, Any]) -> dict[str, Any]:
    """A trial that was not chosen, without its test scores: who sees them could choose by them."""
    tested = ("comparisons", "verdict", "yardstick")
    kept = {key: value for key, value in plain.items() if key not in tested}
    for name, scores in kept.get("models", {}).items():
        shown = {key: value for key, value in scores.items() if key != "test"}
        kept["models"] = {**kept["models"], name: shown}
    return kept


def _cells(trial: "Trial") -> list[Any]:
    from linnet.insight.task import task_in

    values = [str(value) for value in trial.settings.values()]
    if trial.run is None:
        return [*values, tr("diverged"), None, None, "-"]
    task = task_in(trial.valid)
    score = None if task is None else task.shown(task.of(trial.valid))
    return [*values, trial.run.chosen, trial.valid.get("loss"), score, str(trial.run.path)]
