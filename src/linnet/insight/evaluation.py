"""How good a model is on new rows: predictions, scores, a paired comparison."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from linnet.core import memory
from linnet.core.parallel import World, threads_for
from linnet.data.dataset import Dataset
from linnet.insight.decision import Decision, second
from linnet.insight.shares import by_rows
from linnet.insight.task import Scores, spread_of, task_of
from linnet.networks.base import Network
from linnet.objectives.base import Objective

BATCH = 2048
"""How many rows are predicted at once: the same number everywhere, so that the same rows give the
same bits."""

ASKED_BYTES = 64 << 20
"""Before more than this is allocated, it is asked whether it is there."""


@torch.no_grad()
def predict_raw(network: nn.Module, x: Tensor, world: World | None = None) -> Tensor:
    """Raw predictions (rows, outputs) in evaluation mode, in float64; the mode is restored.

    Of several ranks, which all have ``x``, each predicts some of the batches of ``BATCH`` rows, and
    all get the predictions of all rows.
    """
    if world is not None and world.size > 1:
        held = world.held(-(-len(x) // BATCH))
        return world.gather(predict_raw(network, x[held.start * BATCH : held.stop * BATCH]))
    raw: Tensor | None = None
    for start, part in raw_parts(network, x):
        if raw is None:
            need = len(x) * part[:1].numel() * part.element_size()
            if need > ASKED_BYTES:
                memory.require(need, f"predictions of {len(x):,} rows", "fewer rows, or classes")
            raw = part.new_empty((len(x), *part.shape[1:]))
        raw[start : start + len(part)] = part
    assert raw is not None
    return raw


@torch.no_grad()
def raw_parts(network: nn.Module, x: Tensor) -> Iterator[tuple[int, Tensor]]:
    """The raw predictions of ``BATCH`` rows at a time, as ``predict_raw`` gives them, each with the
    number of its first row; one part at least."""
    device = next(network.parameters()).device
    home = "cpu" if device.type == "mps" else device  # MPS has no float64
    training = network.training
    network.eval()
    each = network.multiplications if isinstance(network, Network) else math.inf
    for start in range(0, max(1, len(x)), BATCH):
        with threads_for(each * min(len(x), BATCH)):
            part = network(x[start : start + BATCH].to(device)).to(home).double()
        yield start, part
    network.train(training)


def measure(
    network: nn.Module, objective: Objective, data: Dataset, world: World | None = None
) -> dict[str, float]:
    """The quick scores after an epoch: ``loss``, and ``accuracy`` or ``rmse``; of several ranks, as
    rank 0 computes them."""
    found = measure_raw(objective, predict_raw(network, data.x, world), data)
    if world is None or world.size == 1:
        return found
    told: dict[str, float] = world.tell(found)
    return told


def measure_raw(objective: Objective, raw: Tensor, data: Dataset) -> dict[str, float]:
    """The quick scores of raw predictions (rows, outputs) in float64."""
    y = data.y.to(raw.device)
    weight = None if data.weight is None else data.weight.to(raw.device).double()
    loss = by_rows(objective.loss, raw, y.double() if y.is_floating_point() else y)
    mean = loss.mean() if weight is None else (loss @ weight) / weight.sum()
    task = task_of(objective)
    return {"loss": mean.item(), task.score: task.measure(objective, raw, data)}


def score(
    objective: Objective,
    raw: Tensor,
    data: Dataset,
    fold: Tensor | None = None,
    decision: Decision | None = None,
    cut: Tensor | None = None,
) -> Scores:
    """All scores of raw predictions (rows, outputs) against the targets of ``data``; the headline
    score has a 95 % confidence interval. If ``data`` is divided by group or time, it rests on the
    groups, or on blocks of consecutive times, and ``interval`` says on how many. ``fold`` (rows,)
    are the folds of out-of-fold predictions: ``by`` is then "folds", and ``folds`` has the headline
    score of each.

    ``decision`` is the rule by which a model gives labels, if that is not the most probable class:
    ``decision`` among the scores says what its threshold does. All other scores are those of the
    most probable class, as of any model. ``cut`` (rows,) are the thresholds of the rows' folds, if
    it is tested by folds."""
    found = task_of(objective).test(objective, raw, data, fold)
    if decision is not None:
        units, y, p = data.units(), data.codes.numpy() == 1, second(objective, raw)
        groups = None if units is None else units.codes
        at = decision.threshold if cut is None else cut.numpy()
        told = decision.test(y, p, at, groups, spread_of(fold))
        found["decision"] = {"rule": decision.words(data.schema.names[1]), **told}
    return found
