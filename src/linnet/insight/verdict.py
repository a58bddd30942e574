"""Scores in words: does the net earn its place?"""

from __future__ import annotations

from typing import Any

NAMES = {
    "constant": "the constant",
    "linear": "the line",
    "mlp": "the perceptron",
    "cnn": "the convolutional net",
    "custom": "your network",
}


def percent(share: float) -> str:
    """A share as a percentage with two decimals."""
    return f"{100 * share:.2f} %"


def headline(scores: dict[str, Any]) -> str:
    """The headline score with its 95 % interval, as text."""
    if "accuracy" in scores:
        low, high = scores["accuracy_interval"]
        return f"accuracy {percent(scores['accuracy'])} ({100 * low:.2f} to {100 * high:.2f})"
    low, high = scores["rmse_interval"]
    return f"RMSE {scores['rmse']:.4g} ({low:.4g} to {high:.4g}), R2 {scores['r2']:.3f}"


def certainty(comparison: dict[str, Any], line: dict[str, Any]) -> str:
    """How sure the difference of a net from the ``line``, by the line's test scores, is.

    Of numbers it is the interval of the difference of mean squared errors as a share of the
    line's: "mean squared error 12 % lower to 3 % higher"."""
    if comparison["test"] == "McNemar":
        p = comparison["p_value"]
        return "McNemar p < 0.001" if p < 0.001 else f"McNemar p = {p:.2g}"
    low, high = comparison["difference_interval"]
    whole = line["rmse"] ** 2
    if not whole:
        return f"difference of squared errors {low:.3g} to {high:.3g}"
    ends = (_change(-end / whole) for end in (high, low))  # of the net's from the line's
    return f"mean squared error {' to '.join(ends)}, 95 % interval"


def _change(share: float) -> str:
    return f"{abs(100 * share):,.1f} % {'higher' if share > 0 else 'lower'}"


def verdict(metrics: dict[str, Any]) -> str:
    """One or more sentences on the models of ``metrics.json``."""
    models = metrics["models"]
    if "test" not in models["constant"]:
        return (
            "Too few rows to hold any out: the model was fitted on all of them, and no score is "
            "claimed."
        )
    sentences = []
    rows = models["constant"]["test"]["rows"]
    for name, comparison in metrics["comparisons"].items():
        line, net = (headline(models[key]["test"]) for key in ("linear", name))
        chance = certainty(comparison, models["linear"]["test"])
        what = f"{net} against {line} on {rows:,} test rows ({chance})"
        net_name = NAMES.get(name, name)
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
            if name != "constant":
                sentences.append(
                    f"{NAMES.get(name, name)} has {headline(models[name]['test'])} on {rows:,} "
                    f"test rows; the best constant has {headline(models['constant']['test'])}."
                )
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)
