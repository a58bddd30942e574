"""The scores of runs in the terminal."""

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from linnet.cli._output import in_flags, print_json, print_table
from linnet.core.events import number
from linnet.core.text import percent, plural, say

if TYPE_CHECKING:
    from linnet.experiment.sweep import Trial
    from linnet.runs.run import Run


def show(run: "Run") -> None:
    """Print a run: the models with their intervals, the verdict, why each stopped, the files."""
    from linnet.insight.choice import by_folds, words
    from linnet.insight.pairs import YARDSTICK_ABOUT
    from linnet.insight.task import basis, folds_of

    metrics = run.metrics
    models, beside = metrics["models"], metrics.get("yardstick", {})
    rows = [_row(name, scores, metrics["chosen"]) for name, scores in models.items()]
    folds = folds_of(models[metrics["chosen"]].get("test", {}))
    tested = f"{folds} folds" if folds else "test"
    rows += [_row(f"({name})", scores, "") for name, scores in beside.items() if "fit" in scores]
    held = "out of fold" if by_folds(metrics) else "validation"
    print_table(["model", held, f"{tested} (95 % interval)", "fitted in"], rows)
    say(metrics["verdict"])
    say(f"* {words(metrics.get('choice') or {})}: {metrics['chosen']}")
    for name, scores in beside.items():
        if "why" in scores:
            say(f"note: no yardstick ({name}): {scores['why']}")
        else:
            say(f"({name}): the yardstick, {YARDSTICK_ABOUT}")
    _decides(models[metrics["chosen"]].get("test", {}).get("decision"))
    _stopped(models)
    if (rests := basis(models[metrics["chosen"]].get("test", {}))) is not None:
        say(f"note: {rests}")
    about = run.info
    end = os.sep if run.path.is_dir() else ""
    for note in about["data"]["notes"]:
        say(f"note: {in_flags(note)}")
    threads = f"{about['threads']} {plural(about['threads'], 'thread')}"
    say(f"on {about['device']}, {threads}; files: {run.path}{end}")


def _decides(told: Mapping[str, Any] | None) -> None:
    """Print by what threshold the chosen model decides between two classes, and how good that
    is."""
    if told is None:
        return
    say(told["rule"])
    say(
        f"by this threshold: {told['words']}; accuracy {percent(told['chosen']['accuracy'])} (all "
        "scores above are of the more probable class)"
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
            held = f"loss {number(valid['loss']):.4f}, {held}"
    mark = name + (" *" if name == chosen else "")
    return [mark, held, headline(test) if test else "-", f"{scores['fit']['seconds']:.1f} s"]


def _stopped(models: Mapping[str, Any]) -> None:
    """Print why each fit stopped, and how pictures were scaled."""
    from linnet.networks import BASELINE

    for name, scores in models.items():
        gap = number(scores["fit"].get("gap"))
        bound = f"; at most {gap:.1e} above the optimum" if 0 < gap < math.inf else ""
        if name != BASELINE:
            say(f"{name} stopped: {scores['fit']['reason']}{bound}")
    scaling: dict[str, Any] = next(
        (s["fit"]["scaling"] for s in models.values() if "scaling" in s["fit"]), {}
    )
    if "mean" in scaling:
        mean, deviation = scaling["mean"], scaling["deviation"]
        say(f"pixels / 255 scaled by mean {mean:.4f} and deviation {deviation:.4f}")


def show_sweep(trials: "list[Trial]", *, json: bool) -> None:
    """Print the runs of a sweep, the lowest validation loss first, and the first one's scores."""
    held = "out-of-fold" if trials[0].valid.get("by") == "folds" else "validation"
    if json:
        best, *others = trials
        print_json([_plain(best), *(_untested(_plain(trial)) for trial in others)])
    else:
        keys = list(trials[0].settings)
        heads = [*keys, "chosen", f"{held} loss", f"{held} score", "files"]
        print_table(heads, [_cells(trial) for trial in trials])
    best = trials[0]
    if best.error is not None:
        raise best.error
    if not json and best.run is not None:
        say(f"the run with the lowest {held} loss:")
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
        return [*values, "diverged", None, None, "-"]
    task = task_in(trial.valid)
    score = None if task is None else task.shown(task.of(trial.valid))
    return [*values, trial.run.chosen, trial.valid.get("loss"), score, str(trial.run.path)]
