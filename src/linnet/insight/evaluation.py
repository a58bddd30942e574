"""Scores, intervals and paired comparison: what a model is worth on rows it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from linnet.core.randomness import derive
from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.objectives.base import Objective

BATCH = 2048
"""Rows that are predicted at once: the same everywhere, so the same rows give the same bits."""

RESAMPLES = 2000
CONFIDENCE = 0.95

Scores = dict[str, Any]


@torch.no_grad()
def predict_raw(network: nn.Module, x: Tensor) -> Tensor:
    """Raw predictions (rows, outputs) in evaluation mode, in float64; the mode is restored."""
    device = next(network.parameters()).device
    home = "cpu" if device.type == "mps" else device  # MPS has no float64
    training = network.training
    network.eval()
    parts = [network(part.to(device)).to(home).double() for part in x.split(BATCH)]
    network.train(training)
    return torch.cat(parts)


def measure(network: nn.Module, objective: Objective, data: Dataset) -> dict[str, float]:
    """The quick scores of an epoch: ``loss``, and ``accuracy`` or ``rmse``; sums, divided once."""
    raw = predict_raw(network, data.x)
    y = data.y.to(raw.device)
    weight = None if data.weight is None else data.weight.to(raw.device).double()
    loss = objective.loss(raw, y.double() if y.is_floating_point() else y)
    mean = loss.mean() if weight is None else (loss @ weight) / weight.sum()
    scores = {"loss": mean.item()}
    if objective.classifies:
        hits = (objective.probabilities(raw).argmax(1) == data.codes.to(raw.device)).sum()
        scores["accuracy"] = hits.item() / len(data)
    else:
        scores["rmse"] = (objective.mean(raw) - y.reshape(raw.shape)).square().mean().sqrt().item()
    return scores


def score(objective: Objective, schema: Schema, raw: Tensor, data: Dataset, seed: int) -> Scores:
    """All scores of raw predictions (rows, outputs) against the targets of ``data``.

    The headline has a 95 % interval: Wilson's for accuracy, a bootstrap's for RMSE.
    """
    from sklearn import metrics

    if not objective.classifies:
        y = data.y.double().reshape(raw.shape).numpy()
        predicted = objective.mean(raw).numpy()
        errors = ((predicted - y) ** 2).mean(axis=1)
        low, high = bootstrap(errors, seed)
        return {
            "rmse": float(np.sqrt(errors.mean())),
            "rmse_interval": [float(np.sqrt(max(low, 0.0))), float(np.sqrt(high))],
            "mae": float(metrics.mean_absolute_error(y, predicted)),
            "r2": float(metrics.r2_score(y, predicted)) if len(y) > 1 else float("nan"),
            "rows": len(y),
        }
    codes = data.codes.numpy()
    predicted = objective.probabilities(raw).argmax(1).numpy()
    labels = np.arange(len(schema.classes))
    hits = int((codes == predicted).sum())
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        codes, predicted, labels=labels, zero_division=0.0
    )
    loss = objective.loss(raw, data.y.double() if data.soft else data.y)
    return {
        "accuracy": hits / len(codes),
        "accuracy_interval": list(wilson(hits, len(codes))),
        "log_loss": loss.mean().item(),
        "rows": len(codes),
        "classes": list(schema.classes),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "confusion": metrics.confusion_matrix(codes, predicted, labels=labels).tolist(),
    }


def wilson(hits: int, rows: int) -> tuple[float, float]:
    """Wilson's (1927) interval of a proportion, as scipy computes it."""
    from scipy.stats import binomtest

    interval = binomtest(hits, rows).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap(values: np.ndarray[Any, Any], seed: int) -> tuple[float, float]:
    """The percentile interval of the mean of ``values`` (rows,) over ``RESAMPLES`` resamples."""
    random = np.random.default_rng(derive(seed, "bootstrap"))
    size = max(1, 4_000_000 // len(values))
    means = [
        values[random.integers(0, len(values), (min(size, RESAMPLES - done), len(values)))].mean(1)
        for done in range(0, RESAMPLES, size)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def compare(objective: Objective, data: Dataset, line: Tensor, net: Tensor, seed: int) -> Scores:
    """Is the net better than the line on these rows? Raw predictions (rows, outputs) of both.

    Classes: McNemar's exact test on the rows where just one is right. Numbers: the paired bootstrap
    interval of the difference of squared errors.
    """
    if objective.classifies:
        from scipy.stats import binomtest

        codes = data.codes
        right = [objective.probabilities(raw).argmax(1) == codes for raw in (line, net)]
        only_line = int((right[0] & ~right[1]).sum())
        only_net = int((right[1] & ~right[0]).sum())
        discordant = only_line + only_net
        p = binomtest(only_net, discordant).pvalue if discordant else 1.0
        return {
            "test": "McNemar",
            "only_line_right": only_line,
            "only_net_right": only_net,
            "p_value": float(p),
            "significant": bool(p < 1 - CONFIDENCE),
            "better": "net" if only_net > only_line else "line",
        }
    y = data.y.double().reshape(line.shape)
    errors = [(objective.mean(raw) - y).square().mean(1).numpy() for raw in (line, net)]
    difference = errors[0] - errors[1]
    low, high = bootstrap(difference, seed)
    return {
        "test": "paired bootstrap",
        "difference": float(difference.mean()),
        "difference_interval": [low, high],
        "significant": bool(low > 0 or high < 0),
        "better": "net" if difference.mean() > 0 else "line",
    }
