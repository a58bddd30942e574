"""The verdict in words: is the net better than the line?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from linnet.insight.task import task_in
from linnet.networks import BASELINE, LINE


def headline(scores: dict[str, Any]) -> str:
    """The headline score of test rows with its 95 % confidence interval, as text."""
    task = task_in(scores)
    assert task is not None
    return task.headline(scores)


def verdict(metrics: dict[str, Any], titles: Mapping[str, str]) -> str:
    """One or more sentences on the models in ``metrics.json``; ``titles`` gives each model's
    title."""
    models = metrics["models"]
    if "test" not in models[BASELINE]:
        return "Too few rows to split: the model was fitted on all rows, and no score is claimed."
    sentences = []
    rows = models[BASELINE]["test"]["rows"]
    for name, comparison in metrics["comparisons"].items():
        line, net = (headline(models[key]["test"]) for key in (LINE, name))
        task = task_in(models[LINE]["test"])
        assert task is not None
        chance = task.certainty(comparison, models[LINE]["test"])
        what = f"{net} against {line} on {rows:,} test rows ({chance})"
        net_name = titles[name]
        if not comparison["significant"]:
            sentences.append(
                f"{net_name} is not shown to be better than the line: {what}. The difference may "
                "be chance, and the line is the simpler model."
            )
            if metrics.get("chosen") == name:
                sentences.append(
                    f"Predictions still come from {net_name}, because its validation loss is the "
                    "lowest; to use the line: --model linear."
                )
        elif comparison["better"] == "net":
            sentences.append(f"{net_name} is better than the line: {what}.")
        else:
            sentences.append(f"{net_name} is worse than the line: {what}.")
    if not sentences:
        for name in models:
            if name != BASELINE:
                sentences.append(
                    f"{titles[name]} has {headline(models[name]['test'])} on {rows:,} "
                    f"test rows; the best constant has {headline(models['constant']['test'])}."
                )
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
