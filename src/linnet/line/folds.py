"""The line's penalty by folds of the training rows; then one fit to all of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from linnet.core.record import Reason, Step
from linnet.data.dataset import Dataset
from linnet.networks.base import Network
from linnet.networks.method import Member, Method
from linnet.objectives.base import Objective


def begin(
    network: Network, objective: Objective, train: Dataset, fold: Tensor, member: Member
) -> Folds:
    """The fit of a line, or of the constant, to the rows ``train``; ``fold`` (rows,) is each row's
    fold."""
    return Folds(network, objective, train, fold, member)


class Folds(Method):
    """A path of penalties for each fold, fitted to the other rows; then a fit to all rows with the
    penalty that has the lowest mean loss of held-out rows.

    The paths are walked side by side: a complete step is one penalty of all of them. They end after
    a penalty that is no better than the one before. ``held`` is honest: the prediction of a row
    comes from the penalty that the rows of the *other* folds choose, so no row takes part in the
    choice by which it is then scored (Varma and Simon, 2006, measured what that choice costs).
    """

    chooses = False
    steps: int | None = None  # the number of steps is not known
    patience = 1

    def __init__(
        self,
        network: Network,
        objective: Objective,
        train: Dataset,
        fold: Tensor,
        member: Member,
    ) -> None:
        self.network = self.scored = network
        self.objective, self.train, self.fold = objective, train, fold
        self._make = member
        self.count = int(fold.max()) + 1
        self._networks = [copy.deepcopy(network) for _ in range(self.count)]
        self._members = [member(number, one) for number, one in enumerate(self._networks)]
        for one in self._members:
            one.certify = False
        self._index = 0
        self._raws: list[Tensor] = []
        """The raw predictions (rows, outputs) of held-out rows at each complete step so far."""
        self._penalties: list[float | None] = []
        self._done = False
        """Whether the paths have ended."""
        self._whole: Method | None = None
        """The fit to all rows, with the steps before it."""
        self._before = 0
        self.facts = {"folds": self.count}

    def state(self) -> dict[str, Any]:
        return {
            "index": self._index,
            "raws": list(self._raws),
            "penalties": list(self._penalties),
            "done": self._done,
            "members": [one.state() for one in self._members],
            "before": self._before,
            "whole": None if self._whole is None else self._whole.state(),
            "network": dict(self.network.state_dict()),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._index, self._before, self._done = state["index"], state["before"], state["done"]
        self._raws, self._penalties = list(state["raws"]), list(state["penalties"])
        for one, held in zip(self._members, state["members"], strict=True):
            one.restore(held)
        if state["whole"] is not None:
            self._whole = self._begin_whole()
            self._whole.restore(state["whole"])
            self.network.load_state_dict(state["network"])

    def held(self) -> Tensor:
        """While the paths are walked, the raw predictions of this penalty; at the end the honest
        ones."""
        if self._whole is None:
            return self._raws[-1]
        losses = self._losses()
        found = self._raws[0].clone()
        for number in range(self.count):
            own = self.fold == number
            found[own] = self._raws[_least(losses[:, ~own].sum(1))][own]
        return found

    def watch(self) -> dict[str, float]:
        return {} if self._whole is None else self._whole.watch()

    def __iter__(self) -> Iterator[Step]:
        if self._whole is None:
            yield from self._walk()
            self._before = self._index
            self._whole = self._begin_whole()
        self._whole.certify = self.certify
        for step in self._whole:
            if not step.index and step.reason is None:
                continue  # the start
            self._index = self._before + step.index
            yield replace(step, index=self._index)

    def _walk(self) -> Iterator[Step]:
        """One step for each penalty: the paths of all folds side by side."""
        paths = [iter(one) for one in self._members]
        while not self._done:
            steps = [self._stretch(path) for path in paths]
            found = [step for step in steps if step is not None]
            if len(found) < len(steps):
                break  # a path has no further penalty
            self._raws.append(self._held_out())
            penalty = found[0].values.get("penalty")
            self._penalties.append(None if penalty is None else float(penalty))
            self._done = self._ended()
            values = _mean([step.values for step in found])
            yield Step(self._index, values, complete=True, reason=_reason(found))
        self._done = True

    def _stretch(self, path: Iterator[Step]) -> Step | None:
        """Walk to the next complete step of one path."""
        for step in path:
            self._index += bool(step.index)
            if step.complete:
                return step
        return None

    @torch.no_grad()
    def _held_out(self) -> Tensor:
        """The raw predictions of each row by the network that its fold has not taught."""
        found: Tensor | None = None
        for number, network in enumerate(self._networks):
            own = (self.fold == number).nonzero().flatten()
            device = next(network.parameters()).device
            raw = network(self.train.x[own].to(device)).cpu().double()
            found = raw.new_zeros((len(self.fold), raw.shape[1])) if found is None else found
            found[own] = raw
        assert found is not None
        return found

    def _losses(self) -> Tensor:
        """The weighted losses (complete steps, rows) of held-out rows; a path's start counts only
        where there is no penalty after it."""
        raws = self._raws
        y = self.train.y.double() if self.train.y.is_floating_point() else self.train.y
        losses = torch.stack([self.objective.loss(raw, y) for raw in raws])
        if self.train.weight is not None:
            losses = losses * self.train.weight.double()
        if len(raws) > 1:
            losses[0] = math.inf
        return losses

    def _ended(self) -> bool:
        """Whether the last penalty was no better than the best before it."""
        losses = self._losses().sum(1)
        return len(losses) > 2 and not bool(losses[-1] < losses[:-1].min())

    def _begin_whole(self) -> Method:
        """The fit to all rows, with the penalty of the lowest mean loss."""
        best = _least(self._losses().sum(1))
        penalty = self._penalties[best]
        settings = {} if penalty is None else {"penalty": (penalty,)}
        return self._make(None, self.network, **settings)


def _least(losses: Tensor) -> int:
    """The place of the lowest loss; that of the last one if none is finite."""
    finite = losses.nan_to_num(nan=math.inf)
    return int(finite.argmin()) if bool(finite.isfinite().any()) else len(losses) - 1


def _mean(every: list[Mapping[str, Tensor | float]]) -> dict[str, Tensor | float]:
    """The means of the values of several fits; of gradients the largest, of "converged" the
    least."""
    found: dict[str, Tensor | float] = {}
    for key in every[0]:
        values = [float(each[key]) for each in every if key in each]
        kind = {"gradient_max": max, "converged": min}.get(key)
        found[key] = kind(values) if kind is not None else sum(values) / len(values)
    return found


def _reason(steps: list[Step]) -> Reason | None:
    """The reason of the fit that did not converge, if one did not; else that of the first."""
    reasons = [step.reason for step in steps if step.reason is not None]
    return next((one for one in reasons if not one.converged), reasons[0] if reasons else None)
