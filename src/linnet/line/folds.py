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
from linnet.line.settings import LineSettings
from linnet.networks.base import Network
from linnet.networks.method import Member, Method
from linnet.objectives.base import Objective

TOL = 1e-5
"""The largest gradient entry at which a penalty of a path counts as solved, if the recipe asks for
a smaller one: losses are then right to 1e-8 or better, and a path takes half as long. The fit to
all rows has the tolerance of the recipe."""


class Folds(Method):
    """The fit of a line, or of the constant, to the rows ``train``; ``fold`` (rows,) is each row's
    fold. A path of penalties for each fold, fitted to the other rows; then a fit to all rows with
    the penalty that has the lowest mean loss of held-out rows.

    A penalty stands beside a mean of losses, and is worth less the more rows there are: the fits to
    fewer rows have a penalty that is larger by as much, so that the same *sum* of losses stands
    beside it (scikit-learn's ``C``).

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
        settings: LineSettings,
    ) -> None:
        self.network = self.scored = network
        self.objective, self.train, self.fold = objective, train, fold
        self._make = member
        assert settings.penalty != "auto" and settings.tol != "auto"
        self._path = settings.penalty
        self.count = int(fold.max()) + 1
        self._networks = [copy.deepcopy(network) for _ in range(self.count)]
        weight = torch.ones(len(train)) if train.weight is None else train.weight
        self._shares = [
            float(weight[fold != number].double().sum() / weight.double().sum())
            for number in range(self.count)
        ]
        self._members = [
            member(number, one, **_settings(settings, share))
            for (number, one), share in zip(enumerate(self._networks), self._shares, strict=True)
        ]
        for one in self._members:
            one.certify = False
        self._index = 0
        self._raws: list[Tensor] = []
        """The raw predictions (rows, outputs) of held-out rows at each complete step so far."""
        self._penalties: list[float | None] = []
        """Those of the fit to all rows."""
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
            found[own] = self._raws[_least(losses, ~own)][own]
        return found

    def coefficients(self) -> Tensor | None:
        """While the paths are walked, the mean over the folds."""
        every = [one.coefficients() for one in self._members]
        found = [one for one in every if one is not None]
        return torch.stack(found).mean(0) if found and self._whole is None else None

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
            self._penalties.append(self._full(penalty))
            self._done = self._ended()
            values = _mean([step.values for step in found])
            if self._penalties[-1] is not None:
                values["penalty"] = self._penalties[-1]
            yield Step(self._index, values, complete=True, reason=_reason(found))
        self._done = True

    def _full(self, penalty: Tensor | float | None) -> float | None:
        """The penalty of all rows to one of the first fold's path."""
        if penalty is None:
            return None
        near = float(penalty) * self._shares[0]
        return min(self._path, key=lambda one: abs(one - near))

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
        """The weighted losses (complete steps, rows + 1) of held-out rows, and last the loss of one
        row more; a path's start counts only where there is no penalty after it.

        The row more is wrong: the second of its classes is the right one. Laplace's rule of
        succession expects it, and no number of rows that are all right says that there is none.
        Without it the penalty of few rows that are well divided ends at the weakest of the path:
        the log loss of new rows was then a tenth higher (wine, mean of 10 seeds).
        """
        raws = self._raws
        y = self.train.y.double() if self.train.y.is_floating_point() else self.train.y
        losses = torch.stack([self.objective.loss(raw, y) for raw in raws])
        if self.train.weight is not None:
            losses = losses * self.train.weight.double()
        more = losses.new_zeros(len(raws))
        if self.objective.classifies:
            more = torch.stack([_of_the_second(self.objective, raw) for raw in raws])
        losses = torch.cat([losses, more[:, None]], 1)
        if len(raws) > 1:
            losses[0] = math.inf
        return losses

    def _ended(self) -> bool:
        """Whether the last penalty was no better than the best before it."""
        losses = self._losses().sum(1)
        return len(losses) > 2 and not bool(losses[-1] < losses[:-1].min())

    def _begin_whole(self) -> Method:
        """The fit to all rows, with the penalty of the lowest mean loss."""
        best = _least(self._losses())
        penalty = self._penalties[best]
        settings = {} if penalty is None else {"penalty": (penalty,)}
        return self._make(None, self.network, **settings)


def _settings(settings: LineSettings, share: float) -> dict[str, Any]:
    """What is different in the fit to a ``share`` of the rows."""
    assert settings.penalty != "auto" and settings.tol != "auto"
    return {
        "penalty": tuple(penalty / share for penalty in settings.penalty),
        "tol": max(settings.tol, TOL),
    }


def _of_the_second(objective: Objective, raw: Tensor) -> Tensor:
    """The mean loss of rows whose second class is the right one; those of a row that is certain are
    counted as the smallest number allows."""
    second = objective.probabilities(raw).topk(2, 1).values[:, 1]
    return -second.double().clamp(min=1e-300).log().mean()


def _least(every: Tensor, rows: Tensor | None = None) -> int:
    """The place of the lowest sum of losses (steps, rows + 1), of some ``rows`` (rows,) and the one
    more; that of the last step if none is finite."""
    losses = every.sum(1) if rows is None else every[:, :-1][:, rows].sum(1) + every[:, -1]
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
