"""What the record of a run says in words: each cause clearly there, and nearly."""

import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from helpers import ROOT
from linnet.core.events import of
from linnet.core.history import History
from linnet.insight import diagnosis
from linnet.insight.diagnosis import CAUSES, Claim, Predictions, typical_probability

UNIT = 2.3
"""The loss of the constant in the records below."""

Events = list[dict[str, Any]]


TITLES = {"mlp": "the perceptron", "custom": "your network", "linear": "the line"}


def diagnose(events: Events, *given: Any, **more: Any) -> list[Claim]:
    for event in events:
        if event["event"] == "begin" and event.get("model") in TITLES:
            event["title"] = TITLES[event["model"]]
    return diagnosis.diagnose(History.of(map(of, events)), *given, **more)


def fitted(
    model: str,
    train: list[float],
    valid: list[float],
    *,
    rate: float = 0.1,
    per_epoch: int = 10,
    ended: bool = True,
    **fit: Any,
) -> Events:
    """A net's events: the mean training loss of each epoch, validation losses from the start on."""
    events: Events = [{"event": "begin", "model": model, "steps": per_epoch * len(train)}]
    events.append({"event": "evaluate", "model": model, "step": 0, "epoch": 0, **loss(valid[0])})
    for epoch, (mean, held) in enumerate(zip(train, valid[1:], strict=True), start=1):
        for batch in range(1, per_epoch + 1):
            step = (epoch - 1) * per_epoch + batch
            done = epoch - (batch < per_epoch)
            event = {"event": "step", "model": model, "step": step, "epoch": done}
            events.append({**event, "loss": mean, "lr": rate, "gradient_max": 0.1})
        events.append({"event": "evaluate", "model": model, "step": step, "epoch": epoch})
        events[-1] |= loss(held)
    if ended:
        events.append({"event": "fit", "model": model, "converged": None, "reason": "done", **fit})
    return events


def loss(value: float) -> dict[str, Any]:
    return {"valid": {"loss": value, "accuracy": 0.5}}


def constant(unit: float = UNIT) -> Events:
    step = {"step": 0, "epoch": 0}
    return [
        {"event": "begin", "model": "constant", "steps": 1},
        {"event": "step", "model": "constant", **step, "loss": unit, "objective": unit},
        {"event": "evaluate", "model": "constant", **step, **loss(unit)},
        {"event": "fit", "model": "constant", "converged": True, "best_step": 0, "gap": 0.0},
    ]


def line(
    train: float = 0.25,
    valid: float = 0.28,
    *,
    penalty: float = 1e-4,
    tried: tuple[float, ...] = (10.0, 1e-2, 1e-4, 1e-5),
    objective: float | None = None,
    converged: bool = True,
    gap: float | None = 1e-7,
) -> Events:
    """The line's events: a path of penalties, of which ``penalty`` is the best."""
    events: Events = [{"event": "begin", "model": "linear"}]
    events.append({"event": "evaluate", "model": "linear", "step": 0, "epoch": 0, **loss(UNIT)})
    for step, alpha in enumerate(tried, start=1):
        best = alpha == penalty
        at = {"model": "linear", "step": step, "epoch": 0}
        values = {"loss": train, "objective": objective or train * 1.01, "penalty": alpha}
        events.append({"event": "step", **at, **values, "gradient_max": 1e-7})
        events.append({"event": "evaluate", **at, **loss(valid if best else valid + 0.1)})
    facts = {"converged": converged, "best_step": tried.index(penalty) + 1, "gap": gap}
    events.append({"event": "fit", "model": "linear", "reason": "done", **facts})
    return events


def scores(**accuracies: float) -> dict[str, Any]:
    """``metrics.json`` of accuracies on 1,000 test rows; the last model is the chosen one."""
    models = {
        name: {
            "valid": {"loss": 0.3, "accuracy": accuracy},
            "test": {
                "accuracy": accuracy,
                "accuracy_interval": [accuracy - 0.02, accuracy + 0.02],
                "rows": 1000,
            },
        }
        for name, accuracy in accuracies.items()
    }
    return {"chosen": [*models][-1], "models": models, "comparisons": []}


def compared(metrics: dict[str, Any], model: str, better: str, p: float) -> dict[str, Any]:
    found = {"test": "McNemar", "p_value": p, "significant": p < 0.05}
    found |= {"pair": [model, "linear"], "better": "linear" if better == "line" else model}
    return {**metrics, "comparisons": [found]}


def one(claims: list[Claim], cause: str, model: str) -> Claim:
    assert [(claim.cause, claim.model) for claim in claims] == [(cause, model)]
    (claim,) = claims
    assert claim.cause in CAUSES and claim.remedy and claim.figures
    assert all(type(value) is float for value in claim.figures.values())
    return claim


def test_typical_probability_is_the_geometric_mean() -> None:
    p = np.array([0.9, 0.5, 0.2])
    mean = typical_probability(float(-np.log(p).mean()))
    assert math.isclose(mean, float(p.prod() ** (1 / 3)))


def test_nothing_to_say_of_no_record() -> None:
    assert diagnose([]) == []
    assert diagnose([{"event": "start"}, {"event": "begin", "model": "mlp"}]) == []
    assert diagnose(constant() + line()) == []


# nets


def test_a_healthy_net_is_told_nothing() -> None:
    train = [1.0, 0.4, 0.3, 0.26, 0.24, 0.23]
    valid = [2.4, 0.6, 0.4, 0.3, 0.29, 0.285, 0.287]
    metrics = compared(scores(linear=0.924, custom=0.923), "custom", "line", 0.6)
    assert diagnose(constant() + line() + fitted("custom", train, valid), metrics) == []


def test_a_loss_in_the_hundreds_is_a_rate_too_high() -> None:
    train, valid = [3000.0, 900.0, 400.0, 250.0], [2.4, 176.0, 439.0, 243.0, 182.0]
    events = constant() + line() + fitted("custom", train, valid, rate=1000.0)
    metrics = compared(scores(custom=0.91, linear=0.924), "custom", "line", 1e-11)
    claim = one(diagnose(events, metrics), "rate too high", "custom")
    assert "the learning rate of your network (1,000) is too high" in claim.text.lower()
    assert "250" in claim.text and "2.3" in claim.text
    assert "lr=find" in claim.remedy
    assert claim.figures["training loss at the end"] == 250.0
    assert claim.figures["highest training loss"] == 3000.0
    assert claim.figures["learning rate"] == 1000.0


def test_an_oscillating_validation_loss_is_a_rate_too_high() -> None:
    train = [0.8] * 10
    high = [2.4, *([0.7, 1.6] * 5)]
    claim = one(diagnose(constant() + line() + fitted("mlp", train, high)), "rate too high", "mlp")
    assert "goes up and down by 0.9" in claim.text
    assert math.isclose(claim.figures["swing of the validation loss"], 0.9)
    low = [2.4, *([0.30, 0.33] * 5)]
    assert diagnose(constant() + line() + fitted("mlp", [0.3] * 10, low)) == []


def test_a_loss_thrown_up_that_came_down_to_the_constant_is_a_rate_too_high() -> None:
    thrown = fitted("mlp", [80.0, 2.4, 2.31, 2.31], [2.4, 2.5, 2.31, 2.3, 2.3])
    recovered = fitted("mlp", [80.0, 0.5, 0.3, 0.25], [2.4, 0.6, 0.3, 0.28, 0.27])
    for events in (thrown, recovered):
        events[2]["loss"] = 2.4
    claim = one(diagnose(constant() + line() + thrown), "rate too high", "mlp")
    assert "jumped to 80" in claim.text
    assert diagnose(constant() + line() + recovered) == []


def test_a_run_that_diverged_has_a_rate_too_high() -> None:
    events = constant() + line() + fitted("mlp", [5.0], [2.4, 9.0], ended=False)
    events += [{"event": "step", "model": "mlp", "step": 11, "epoch": 1, "loss": "Infinity"}]
    error = "Diverged: the training losses are no longer finite at step 12"
    claim = one(diagnose(events, error=error), "rate too high", "mlp")
    assert "no longer finite after step 11" in claim.text
    endless = fitted("mlp", [math.inf] * 4, [2.4, *[math.inf] * 4])
    assert one(diagnose(constant() + line() + endless), "rate too high", "mlp")
    assert diagnose(constant() + line() + fitted("mlp", [2.0], [2.4, 2.0], ended=False)) == []


def test_a_loss_that_hardly_moved_is_a_rate_too_low() -> None:
    train = [2.39, 2.38, 2.37, 2.36, 2.35, 2.34]
    valid = [2.4, 2.39, 2.38, 2.37, 2.36, 2.35, 2.34]
    events = constant() + line() + fitted("mlp", train, valid, rate=1e-6)
    claim = one(diagnose(events), "rate too low", "mlp")
    assert "(1e-06) is too low" in claim.text and "only from 2.4 to 2.34" in claim.text
    assert "lr=find" in claim.remedy
    assert claim.figures["fall in the last third"] == pytest.approx(0.02)
    alone = constant() + fitted("mlp", train, valid, rate=1e-6)
    assert one(diagnose(alone), "rate too low", "mlp")
    going_on = constant() + line() + fitted("mlp", train, valid, rate=1e-6, ended=False)
    assert diagnose(going_on) == []


def test_a_loss_still_falling_above_the_line_stopped_short() -> None:
    valid = [2.4, 1.2, 0.9, 0.75, 0.68, 0.63, 0.6]
    events = constant() + line() + fitted("custom", valid[1:], valid, rate=1e-3)
    metrics = compared(scores(custom=0.873, linear=0.924), "custom", "line", 1e-75)
    claim = one(diagnose(events, metrics), "stopped short", "custom")
    assert "stopped short, at 87.30 % accuracy, 5.1 points below that of the line" in claim.text
    assert "still falling" in claim.text and "epochs" in claim.remedy
    assert claim.figures["points"] == pytest.approx(5.1)
    assert claim.figures["validation loss of the line"] == 0.28
    without_test = diagnose(events)
    assert (
        "at a validation loss of 0.6, 0.32 above"
        in one(without_test, "stopped short", "custom").text
    )


def test_a_small_shortfall_counts_only_where_the_paired_test_is_sure() -> None:
    valid = [2.4, 0.8, 0.5, 0.4, 0.36, 0.345, 0.335]
    events = constant() + line() + fitted("custom", valid[1:], valid, rate=1e-3)
    metrics = scores(custom=0.91, linear=0.924)
    assert diagnose(events, compared(metrics, "custom", "line", 0.02)) == []
    sure = diagnose(events, compared(metrics, "custom", "line", 1e-9))
    assert "1.4 points below" in one(sure, "stopped short", "custom").text


def test_a_falling_rate_is_not_a_loss_that_settled() -> None:
    valid = [2.4, 1.5, 1.1, 0.9, 0.9, 0.9, 0.9]
    events = fitted("custom", valid[1:], valid)
    for event in events:
        if event["event"] == "step" and event["step"] > 30:
            event["lr"] = 1e-9
    assert one(diagnose(constant() + line() + events), "stopped short", "custom")
    steady = constant() + line() + fitted("custom", valid[1:], valid)
    assert one(diagnose(steady), "under-fitting", "custom")


def test_a_settled_loss_above_the_line_is_under_fitting() -> None:
    train = [1.9, 1.75, 1.7, 1.7, 1.7, 1.7]
    valid = [2.4, 1.8, 1.72, 1.7, 1.7, 1.7, 1.7]
    events = constant() + line() + fitted("mlp", train, valid)
    metrics = compared(scores(mlp=0.4, linear=0.924), "mlp", "line", 1e-80)
    claim = one(diagnose(events, metrics), "under-fitting", "mlp")
    assert "52.4 points below that of the line" in claim.text
    assert "(1.7)" in claim.text and "widths" in claim.remedy
    learnt = constant() + line() + fitted("mlp", [0.1] * 6, [2.4, *[0.5] * 6])
    assert "under-fitting" not in [claim.cause for claim in diagnose(learnt)]


def test_over_fitting_is_told_with_its_epoch() -> None:
    train = [1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01]
    valid = [2.4, 0.8, 0.5, 0.4, 0.5, 0.6, 0.75, 0.85, 0.9]
    events = constant() + fitted("mlp", train, valid)
    claim = one(diagnose(events), "over-fitting", "mlp")
    assert "over-fits since epoch 3" in claim.text
    assert "from 0.3 to 0.01" in claim.text and "has risen from 0.4 to 0.85" in claim.text
    assert claim.figures["epoch"] == 3.0
    near = [2.4, 0.8, 0.5, 0.4, 0.4, 0.41, 0.42, 0.43, 0.43]
    assert diagnose(constant() + fitted("mlp", train, near)) == []
    running = diagnose(constant() + fitted("mlp", train, valid, ended=False))
    assert "kept" not in one(running, "over-fitting", "mlp").text


def test_a_wide_gap_to_training_is_over_fitting_though_nothing_rises() -> None:
    train = [1.5, 0.9, 0.4, 0.1, 0.01, 0.001]
    valid = [2.4, 1.6, 1.2, 1.0, 1.0, 1.0, 1.0]
    claim = one(diagnose(constant() + fitted("mlp", train, valid)), "over-fitting", "mlp")
    assert "since" not in claim.text and "stays at 1" in claim.text  # it is lowest at the end
    close = [2.4, 1.6, 1.0, 0.5, 0.4, 0.4, 0.4]
    assert diagnose(constant() + fitted("mlp", train, close)) == []


def rated(events: Events, rate: Callable[[int], float]) -> Events:
    """The events, with a learning rate by step."""
    for event in events:
        if event["event"] == "step":
            event["lr"] = rate(event["step"])
    return events


def test_a_net_that_was_stopped_in_its_warm_up_does_not_over_fit() -> None:
    train = [1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01]
    valid = [2.4, 0.8, 0.5, 0.4, 0.5, 0.6, 0.75, 0.85, 0.9]
    for stopped in ("early_stopping", "no_progress"):
        net = rated(fitted("mlp", train, valid, stopped=stopped), lambda step: 1e-5 * step)
        claim = one(diagnose(constant() + net), "stopped short", "mlp")
        assert "in its warm-up: its learning rate was still rising, to 0.0008" in claim.text
        assert "after epoch 8" in claim.text and "patience" in claim.remedy
        assert "over-fits" not in claim.text and "more epochs" not in claim.remedy
    going_on = rated(fitted("mlp", train, valid, ended=False), lambda step: 1e-5 * step)
    assert diagnose(constant() + going_on) == []


def test_over_fitting_begins_when_the_rate_has_been_high() -> None:
    """The validation loss is lowest in epoch 3, at a hundredth of the highest rate."""
    train = [1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01]
    valid = [2.4, 0.8, 0.5, 0.4, 0.42, 0.45, 0.6, 0.85, 1.1]
    net = rated(fitted("mlp", train, valid), lambda step: 0.001 if step <= 40 else 0.1)
    claim = one(diagnose(constant() + net), "over-fitting", "mlp")
    assert "since epoch 5" in claim.text and claim.figures["training loss then"] == 0.1


def test_remedies_name_nothing_that_the_run_has() -> None:
    high = fitted("mlp", [3000.0, 900.0, 400.0, 250.0], [2.4, 176.0, 439.0, 243.0, 182.0])
    found = {"mlp": {"lr": "find"}}
    claim = one(diagnose(constant() + line() + high, recipes=found), "rate too high", "mlp")
    assert "lr=find" not in claim.remedy
    small = fitted("mlp", [1.9, 1.75, *[1.7] * 4], [2.4, 1.8, 1.72, *[1.7] * 4])
    plain = {"mlp": {"dropout": 0.0, "weight_decay": 0.0}}
    claim = one(diagnose(constant() + line() + small, recipes=plain), "under-fitting", "mlp")
    assert claim.remedy == "give it larger widths"
    own = fitted("custom", [1.9, 1.75, *[1.7] * 4], [2.4, 1.8, 1.72, *[1.7] * 4])
    assert (
        "a larger network"
        in one(diagnose(constant() + line() + own), "under-fitting", "custom").remedy
    )
    falling = [2.4, 1.2, 0.9, 0.75, 0.68, 0.63, 0.6]
    early = fitted("mlp", falling[1:], falling, rate=1e-3, stopped="early_stopping")
    claim = one(diagnose(constant() + line() + early), "stopped short", "mlp")
    assert "patience" in claim.remedy and "epochs" not in claim.remedy
    balanced = {"linear": {"class_weight": "balanced"}}
    few = confused([2, 1, 50, 2, 3, 1, 45, 2, 0, 1])
    assert (
        "balanced" not in one(diagnose([], few, recipes=balanced), "few classes", "linear").remedy
    )


def test_numbers_are_judged_like_classes() -> None:
    unit, k = 3000.0, 1300.0
    train = [k * value for value in (1.0, 0.5, 0.3, 0.2, 0.1, 0.05)]
    valid = [k * value for value in (2.4, 0.8, 0.4, 0.5, 0.7, 0.9, 1.0)]
    claim = one(diagnose(constant(unit) + fitted("mlp", train, valid)), "over-fitting", "mlp")
    assert "since epoch 2" in claim.text


# the line


def test_a_penalty_that_holds_the_line_is_under_fitting() -> None:
    held = line(1.6, 1.62, penalty=3.0, tried=(3.0,), objective=1.85)
    claim = one(diagnose(constant() + held, scores(linear=0.8)), "under-fitting", "linear")
    assert "its penalty (3) is too large" in claim.text and "penalty=auto" in claim.remedy
    assert claim.figures["share of the penalty in what is gained"] == pytest.approx(0.25 / 0.7)
    light = line(0.3, 0.32, penalty=1e-3, tried=(1e-3,), objective=0.33)
    assert diagnose(constant() + light, scores(linear=0.96)) == []
    chosen = line(1.6, 1.62, penalty=10.0, objective=1.85)  # smaller ones were tried
    assert "under-fitting" not in [c.cause for c in diagnose(constant() + chosen)]


def test_a_line_without_a_penalty_over_fits() -> None:
    free = line(0.01, 1.9, penalty=1e-7, tried=(1e-7,))
    claim = one(diagnose(constant() + free, scores(linear=0.8)), "over-fitting", "linear")
    assert "training loss is 0.01" in claim.text and "penalty" in claim.remedy
    best = line(0.01, 1.9, penalty=1e-2)  # and larger ones were tried
    assert diagnose(constant() + best, scores(linear=0.8)) == []


def test_a_path_of_penalties_is_not_told_to_choose_one_of_its_own() -> None:
    """The largest that was tried is the best one, and the line still over-fits."""
    events = constant() + line(0.01, 1.9, penalty=10.0)
    claim = one(diagnose(events, scores(linear=0.8)), "over-fitting", "linear")
    assert "the largest of the penalties that were tried (10)" in claim.text
    assert "auto" not in claim.remedy and "penalties above it" in claim.remedy
    held = line(1.6, 1.62, penalty=3.0, tried=(10.0, 3.0), objective=1.85)
    claim = one(diagnose(constant() + held, scores(linear=0.8)), "under-fitting", "linear")
    assert "auto" not in claim.remedy


def test_a_best_penalty_at_the_end_of_its_path_is_told() -> None:
    def told(penalty: float, losses: list[float]) -> list[Claim]:
        events = line(0.25, 0.28, penalty=penalty, tried=(10.0, 1.0, 0.1)[: len(losses)])
        found = [event for event in events if event["event"] == "evaluate"][1:]
        for event, value in zip(found, losses, strict=True):
            event["valid"]["loss"] = value
        return diagnose(constant() + events, scores(linear=0.97))

    largest = one_notice(told(10.0, [0.28, 0.3]))
    assert largest.text.endswith(
        "(10) is the largest of those that were tried: a larger one may be better"
    )
    smallest = one_notice(told(0.1, [0.5, 0.35, 0.28]))
    assert "(0.1) is the smallest" in smallest.text and "smaller ones" in smallest.remedy
    assert told(0.1, [0.5, 0.281, 0.28]) == []  # it has settled
    assert told(1.0, [0.5, 0.28, 0.3]) == []
    assert told(10.0, [0.28]) == []  # no path


def one_notice(claims: list[Claim]) -> Claim:
    (claim,) = claims
    assert (claim.cause, claim.model) == ("penalty at the end", "linear")
    return claim


def test_a_cnn_is_named_where_only_a_perceptron_saw_pictures() -> None:
    curve = [1.0, 0.5, 0.3, 0.28], [2.3, 0.6, 0.4, 0.3, 0.28]
    events = constant() + line() + fitted("mlp", *curve)
    metrics = scores(linear=0.9, mlp=0.97)
    (claim,) = diagnose(events, metrics, pictures=True)
    assert (claim.cause, claim.model) == ("no net for pictures", "mlp")
    assert "--model linear,cnn" in claim.remedy and "neighbours" in claim.text
    assert diagnose(events, metrics) == []  # a table
    assert diagnose(events + fitted("cnn", *curve), metrics, pictures=True) == []
    assert diagnose(constant() + line() + fitted("custom", *curve), metrics, pictures=True) == []
    assert diagnose(constant() + line(), scores(linear=0.97), pictures=True) == []
    assert diagnose(events, scores(linear=0.9, mlp=0.996), pictures=True) == []


def test_a_gap_that_is_large_beside_the_loss_is_no_optimum() -> None:
    """A fit in float32 may "converge" where all of its loss could still be gained."""
    metrics = scores(linear=0.7)
    assert diagnose(constant() + line(0.02, 0.03, gap=0.001), metrics) == []
    far = diagnose(constant() + line(0.0175, 0.03, gap=0.0175), metrics)
    claim = one(far, "stopped short", "linear")
    assert "up to 0.0175 above the optimum" in claim.text and "max_iter" in claim.remedy
    rounded = constant() + line(0.0175, 0.03, gap=0.0175)
    rounded[-1]["stopped"] = "rounding"
    assert "float64" in one(diagnose(rounded, metrics), "stopped short", "linear").remedy
    unknown = diagnose(constant() + line(1.2, 1.25, gap=None), metrics)
    assert unknown == []  # without a certificate nothing is said of the optimum


def test_columns_that_were_left_out_are_named_first() -> None:
    events, left = constant() + line(1.2, 1.25), {"identifier": ["price", "when"], "text": ["note"]}
    first, second = diagnose(events, scores(linear=0.7), left_out=left)
    assert (first.cause, second.cause) == ("columns left out", "line at its optimum")
    assert first.text == (
        "3 columns were left out, so no model has seen them: 'price', 'when' (identifier), "
        "'note' (text)"
    )
    assert "columns.NAME=number" in first.remedy
    assert diagnose(events, scores(linear=0.97), left_out=left) == []
    test = {"rmse": 2.0, "rmse_interval": [1.9, 2.1], "r2": 0.01, "rows": 100}
    low = {"chosen": "mlp", "models": {"mlp": {"test": test}}}
    assert [claim.cause for claim in diagnose([], low, left_out=left)] == ["columns left out"]
    test["r2"] = 0.9
    assert diagnose([], low, left_out=left) == []


def test_a_line_that_was_stopped_says_what_is_left() -> None:
    short = line(converged=False, gap=0.2)
    claim = one(diagnose(constant() + short), "stopped short", "linear")
    assert "up to 0.2 above the optimum" in claim.text and "max_iter" in claim.remedy
    assert diagnose(constant() + line(converged=False, gap=1e-6)) == []


def test_the_line_at_its_optimum_where_a_net_does_far_better() -> None:
    metrics = scores(linear=0.60, mlp=0.96)
    net = fitted("mlp", [0.5, 0.2, 0.1], [2.4, 0.4, 0.2, 0.1])
    events = constant() + line(1.2, 1.25) + net
    claim = one(
        diagnose(events, compared(metrics, "mlp", "net", 1e-50)), "line at its optimum", "linear"
    )
    assert "its training loss, with the penalty, is at most 1e-07 above the lowest" in claim.text
    assert (
        "on the test rows the line has accuracy 60.00 %, and the perceptron has 96.00 %"
        in claim.text
    )
    assert claim.figures["gap"] == 1e-7
    assert claim.figures["test error of mlp"] == pytest.approx(0.04)
    near = compared(scores(linear=0.94, mlp=0.96), "mlp", "net", 0.01)
    assert diagnose(events, near) == []


def test_a_line_alone_says_that_no_solver_helps_it() -> None:
    events = constant() + line(1.2, 1.25)
    claim = one(diagnose(events, scores(linear=0.7)), "line at its optimum", "linear")
    assert "at most 1e-07" in claim.text and "model=mlp" in claim.remedy
    assert diagnose(events, scores(linear=0.97)) == []
    uncertain = constant() + line(1.2, 1.25, converged=False, gap=None)
    assert diagnose(uncertain, scores(linear=0.7)) == []


# held-out rows


def confused(wrong: list[int], support: int = 100) -> dict[str, Any]:
    """A confusion matrix with so many mistakes in each class, all taken for the next one."""
    count = len(wrong)
    matrix = np.diag([support - mistakes for mistakes in wrong])
    for code, mistakes in enumerate(wrong):
        matrix[code, (code + 1) % count] += mistakes
    metrics = scores(linear=1 - sum(wrong) / (support * count))
    metrics["models"]["linear"]["test"] |= {
        "classes": [f"class {code}" for code in range(count)],
        "recall": [1 - mistakes / support for mistakes in wrong],
        "confusion": matrix.tolist(),
    }
    return metrics


def test_few_classes_that_carry_the_error_are_named() -> None:
    claim = one(diagnose([], confused([2, 1, 50, 2, 3, 1, 45, 2, 0, 1])), "few classes", "linear")
    assert "'class 2' and 'class 6' have 88.79 % of the mistakes" in claim.text
    assert claim.figures["recall of 'class 2'"] == 0.5
    assert claim.figures["their error"] == pytest.approx(0.475)
    assert diagnose([], confused([8, 4, 14, 9, 7, 14, 5, 8, 13, 11])) == []
    assert diagnose([], confused([0, 0, 3, 0, 0, 0, 0, 0, 0, 0])) == []


def test_of_two_classes_only_one_that_is_mostly_missed_carries_the_error() -> None:
    def two(missed: int) -> dict[str, Any]:
        metrics = confused([0, 0])
        metrics["models"]["linear"]["test"] |= {
            "confusion": [[750, 30], [missed, 220 - missed]],
            "recall": [750 / 780, 1 - missed / 220],
        }
        return metrics

    assert "'class 1' has" in one(diagnose([], two(200)), "few classes", "linear").text
    assert diagnose([], two(90)) == []


def predicted(rows: int, share: float) -> Predictions:
    """Five classes, most certain, some mixed with a neighbour; of ``share`` the label is wrong."""
    random = np.random.default_rng(0)
    truth = random.integers(5, size=rows)
    mixed = random.random(rows) < 0.2
    sure = np.where(mixed, random.uniform(0.5, 0.8, rows), random.uniform(0.93, 0.99, rows))
    p = np.full((rows, 5), 0.0)
    p[np.arange(rows), (truth + 1) % 5] = 1 - sure
    p[np.arange(rows), truth] = sure
    neighbour = random.random(rows) > sure
    y = np.where(neighbour, (truth + 1) % 5, truth)
    wrong = random.random(rows) < share
    y = np.where(wrong, (truth + 2) % 5, y)
    return Predictions(np.arange(rows) + 1000, y, p)


def test_labels_that_look_wrong_are_listed() -> None:
    held, metrics = predicted(500, 0.1), scores(linear=0.8)
    claim = one(diagnose([], metrics, {"linear": held}), "wrong labels", "linear")
    flipped = {
        int(row)
        for row, y, p in zip(*held, strict=True)
        if (p.argmax() + 2) % 5 == y  # as ``predicted`` did
    }
    assert len(set(claim.rows[:20]) & flipped) >= 18
    assert len(set(claim.rows) & flipped) > 0.7 * len(flipped)
    assert claim.figures["suspicious rows"] == len(claim.rows)
    assert f"{len(claim.rows)} of 500 test rows may be wrongly labelled" in claim.text


def test_classes_that_overlap_are_no_wrong_labels() -> None:
    assert diagnose([], scores(linear=0.93), {"linear": predicted(500, 0.0)}) == []
    assert diagnose([], scores(linear=0.8), {"linear": predicted(60, 0.1)}) == []
    unsure = predicted(500, 0.3)._replace(p=np.full((500, 5), 0.2))
    assert diagnose([], scores(linear=0.2), {"linear": unsure}) == []


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_wrong_labels_of_real_digits_are_found(share: float) -> None:
    told = [by_a_line(seed, wrong=share)[1] for seed in range(5)]
    assert sum(told) >= 4


def test_a_model_that_is_not_good_enough_is_no_judge_of_labels() -> None:
    """Of digits in noise, whose labels are right, it is sure of many that it gets wrong."""
    for seed in range(3):
        for noise, low, high in ((0.5, 0.55, 0.75), (1.0, 0.25, 0.45), (0.0, 0.9, 1.0)):
            accuracy, told = by_a_line(seed, noise=noise)
            assert low < accuracy < high and not told


def by_a_line(seed: int, wrong: float = 0.0, noise: float = 0.0) -> tuple[float, bool]:
    """The accuracy of logistic regression on half of the digits, with wrong labels or noise in the
    pictures, and whether the diagnosis takes its test labels for wrong."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(seed)
    x, y = load_digits(return_X_y=True)
    rows = random.permutation(len(x))
    x = x / 16 + noise * random.normal(size=x.shape)
    y = np.where(random.random(len(y)) < wrong, (y + random.integers(1, 10, len(y))) % 10, y)
    train, test = rows[:900], rows[900:]
    p = LogisticRegression(C=0.3, max_iter=500).fit(x[train], y[train]).predict_proba(x[test])
    accuracy = float((p.argmax(1) == y[test]).mean())
    claims = diagnose([], scores(linear=accuracy), {"linear": Predictions(test, y[test], p)})
    return accuracy, "wrong labels" in [claim.cause for claim in claims]


def test_no_labels_are_judged_by_a_model_in_trouble() -> None:
    events = constant() + line(1.6, 1.62, penalty=3.0, tried=(3.0,), objective=1.85)
    claims = diagnose(events, scores(linear=0.8), {"linear": predicted(500, 0.1)})
    assert one(claims, "under-fitting", "linear")


def test_validation_and_test_that_differ_are_told_with_their_intervals() -> None:
    metrics = scores(linear=0.70)
    metrics["models"]["linear"]["valid"]["accuracy"] = 0.95
    claim = one(diagnose([], metrics, valid_rows=400), "parts differ", "linear")
    from scipy.stats import binomtest

    wilson = binomtest(380, 400).proportion_ci(0.95, method="wilson")
    assert claim.figures["validation accuracy low"] == pytest.approx(wilson.low, abs=1e-6)
    assert claim.figures["validation accuracy high"] == pytest.approx(wilson.high, abs=1e-6)
    assert "95.00 % (92.40 to 96.74) on 400 validation rows" in claim.text
    assert "70.00 % (68.00 to 72.00) on 1,000 test rows" in claim.text
    assert diagnose([], metrics) == []  # of how many rows is not known
    metrics["models"]["linear"]["valid"]["accuracy"] = 0.74
    assert diagnose([], metrics, valid_rows=400) == []


def test_parts_of_numbers_that_differ_are_told() -> None:
    def numbers(valid: float) -> dict[str, Any]:
        test = {"rmse": 2.0, "rmse_interval": [1.85, 2.14], "r2": 0.95, "rows": 400}
        models = {"linear": {"valid": {"loss": 1.0, "rmse": valid}, "test": test}}
        return {"chosen": "linear", "models": models, "comparisons": []}

    claim = one(diagnose([], numbers(1.0), valid_rows=400), "parts differ", "linear")
    assert "RMSE 1 (" in claim.text and "2 (1.85 to 2.14) on 400 test rows" in claim.text
    assert diagnose([], numbers(1.75), valid_rows=400) == []


# the package, and what is told of whole runs


def test_diagnosis_imports_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys, linnet.insight.diagnosis;"
        "sys.exit(bool({'torch', 'sklearn', 'scipy', 'polars'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


def benchmark() -> ModuleType:
    place = ROOT / "benchmarks" / "diagnosis.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_diagnosis", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look there
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_causes_are_told_rightly_and_healthy_runs_nothing() -> None:
    cases = benchmark()
    right = dict.fromkeys(CAUSES, 0)
    for cause in CAUSES:
        for case in cases.cases(cause, 8):
            claims = cases.run(case).claims()
            right[cause] += bool(claims) and claims[0].cause == cause
    assert sum(right.values()) >= 0.9 * 8 * len(CAUSES), right
    assert min(right.values()) >= 6, right
    told = [cases.run(case).claims() for case in cases.cases(cases.HEALTHY, 20)]
    assert sum(map(bool, told)) <= 1, [claims for claims in told if claims]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "epochs", "told"),
    [(1e-3, 25, ["stopped short"]), (0.1, 25, []), (1000.0, 5, ["rate too high"])],
)
def test_three_lines_of_mnist_are_told_apart(
    tmp_path: Path, mnist_folder: Path, rate: float, epochs: int, told: list[str]
) -> None:
    from torch import nn

    import linnet

    cases = benchmark()
    place = tmp_path / "run"
    settings: dict[str, Any] = {"optimizer": "sgd", "lr": rate, "schedule": "constant"}
    settings |= {"scaling": [0.0, 1.0]}
    with pytest.warns(linnet.errors.LinnetWarning) if rate > 10 else cases.quiet():
        linnet.train(
            "mnist",
            network=nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
            out=place,
            **{**settings, "batch_size": 100, "epochs": epochs, "valid": 12_000, "shift": 0},
        )
    claims = cases.read(place).claims()
    assert [(claim.cause, claim.model) for claim in claims] == [(cause, "custom") for cause in told]
    for claim in claims:
        assert ("points below that of the line" in claim.text) == (told == ["stopped short"])
