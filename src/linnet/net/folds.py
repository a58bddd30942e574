"""A net for each fold of the training rows, fitted to the other rows; the model is their mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from linnet.core.record import Reason, Step
from linnet.data.batches import Batches
from linnet.data.dataset import Dataset
from linnet.networks.mean import Mean
from linnet.networks.method import Member, Method
from linnet.objectives.base import Objective


def begin(
    network: Mean,
    objective: Objective,
    train: Dataset,
    fold: Tensor,
    member: Member,
    settings: object,
) -> Folds:
    """The fit of a mean of networks to the rows ``train``; ``fold`` (rows,) is each row's fold."""
    return Folds(network, fold, member)


class Folds(Method):
    """The fits of the members, one after the other; each is a method of its own.

    A member goes through all its epochs, and its last weights are kept: its scores on its own fold
    choose nothing, so they are honest. The state is the number of the member, the weights of those
    before it, and the state of its method.
    """

    chooses = False

    def __init__(self, network: Mean, fold: Tensor, member: Member) -> None:
        self.network = network
        self.fold = fold
        self._make = member
        self._before = self._reached = 0
        self._enter(0)
        sizes = [int((fold != number).sum()) for number in range(len(network.members))]
        steps = [self.method.steps_of(size) for size in sizes]
        known = [one for one in steps if one is not None]
        self.steps = sum(known) if len(known) == len(steps) else None
        self.patience = self.method.patience
        self.facts = {**self.method.facts, "members": len(network.members)}

    @property
    def batches(self) -> Batches | None:
        """The batches of the member; their seconds are those of all members so far."""
        found = getattr(self.method, "batches", None)
        return found if isinstance(found, Batches) else None

    def _enter(self, number: int) -> None:
        """Begin the fit of a member."""
        seconds = 0.0 if not number or self.batches is None else self.batches.seconds
        self.member = number
        self.method = self._make(number, self.network.each[number])
        self.scored = self.method.scored
        if self.batches is not None:
            self.batches.seconds = seconds

    def state(self) -> dict[str, Any]:
        return {
            "member": self.member,
            "before": self._before,
            "reached": self._reached,
            "network": dict(self.network.state_dict()),
            "method": self.method.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self._before, self._reached = state["before"], state["reached"]
        if state["member"]:
            self._enter(state["member"])
        self.method.restore(state["method"])

    def observe(self, loss: float) -> None:
        self.method.observe(loss)

    def watch(self) -> dict[str, float]:
        return self.method.watch()

    def batch(self, step: int) -> list[int]:
        assert self.member is not None
        own = self.method.batch(step - self._before)
        rows: list[int] = (self.fold != self.member).nonzero().flatten()[list(own)].tolist()
        return rows

    def __iter__(self) -> Iterator[Step]:
        assert self.member is not None
        last = len(self.network.members) - 1
        for number in range(self.member, last + 1):
            if number > self.member:
                self._enter(number)
            for step in self.method:
                if number and not step.index:
                    continue  # the weights before the first step are scored once
                self._reached = self._before + step.index
                yield replace(
                    step,
                    index=self._reached,
                    member=number,
                    before=self._before,
                    reason=self._reason(step, last=number == last),
                    last=step.ended,
                )
            self._keep(number)
            self._before = self._reached

    def _reason(self, step: Step, *, last: bool) -> Reason | None:
        """Why the whole fit stops."""
        if step.reason is None or not last:
            return None
        return Reason(f"{len(self.network.members)} members: {step.reason}", step.reason.kind)

    def _keep(self, number: int) -> None:
        """Keep the weights that the fit of a member has ended with."""
        network = self.network.each[number]
        if self.method.scored is not network:
            network.load_state_dict(self.method.scored.state_dict())
        self.method.finish(network)
