"""The mean of networks of one kind, each fitted without one fold of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from linnet.networks.base import Network
from linnet.networks.specs import MeanSpec


class Mean(Network):
    """``raw`` (rows, outputs) is the mean of the members' raw predictions.

    For classes this is the mean of logits or scores, so the odds are the geometric mean of the
    members' odds. The members are ``members.0``, ``members.1`` and so on in the state.
    """

    Spec = MeanSpec

    def __init__(self, spec: MeanSpec, members: Sequence[Network]) -> None:
        super().__init__(spec)
        self.members = nn.ModuleList(members)
        self.title = members[0].title  # type: ignore[misc]  # reports speak of it as of one

    @property
    def each(self) -> list[Network]:
        """The members."""
        return list(self.members)  # type: ignore[arg-type]

    @property
    def units(self) -> Tensor | None:
        """Those of the first member."""
        return self.each[0].units

    def start(
        self, x: Tensor, y: Tensor | None, weight: Tensor | None, generator: torch.Generator
    ) -> None:
        """Start each member; the weights are drawn one member after the other."""
        for member in self.each:
            member.start(x, y, weight, generator)

    def forward(self, x: Tensor) -> Tensor:
        raw: Tensor = self.members[0](x)
        for member in self.each[1:]:
            raw = raw + member(x)
        return raw / len(self.members)


def spec_of(member: dict[str, Any], members: int) -> dict[str, Any]:
    """The specification of the mean of so many networks, each of the specification ``member``."""
    return {
        "inputs": member["inputs"],
        "outputs": member["outputs"],
        "members": members,
        "member": member,
    }
