"""Scores in words: does the net earn its place?"""

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
    """One or more sentences on the models of ``metrics.json``, which have these titles."""
    models = metrics["models"]
    if "test" not in models[BASELINE]:
        return (
            "Too few rows to hold any out: the model was fitted on all of them, and no score is "
            "claimed."
        )
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
                f"{net_name} does not earn its place: {what}: the difference may be chance, and "
                "the line is the simpler model."
            )
            if metrics.get("chosen") == name:
                sentences.append(
                    "Its validation loss is the lowest all the same, so predictions are its own; "
                    "--model linear takes the line."
                )
        elif comparison["better"] == "net":
            sentences.append(f"{net_name} earns its place: {what}.")
        else:
            sentences.append(f"{net_name} does not earn its place, the line is better: {what}.")
    if not sentences:
        for name in models:
            if name != BASELINE:
                sentences.append(
                    f"{titles[name]} has {headline(models[name]['test'])} on {rows:,} "
                    f"test rows; the best constant has {headline(models['constant']['test'])}."
                )
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
