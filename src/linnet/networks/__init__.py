"""Modules that map examples to raw predictions."""

from typing import TYPE_CHECKING, Literal

from linnet.core.registry import lookup

if TYPE_CHECKING:
    from linnet.networks.base import Network

NETWORKS = {
    "constant": "linnet.networks.constant:Constant",
    "linear": "linnet.networks.linear:Linear",
    "mlp": "linnet.networks.mlp:MLP",
    "cnn": "linnet.networks.cnn:CNN",
    "custom": "linnet.networks.custom:Custom",
}
GROUP = "linnet.networks"
"""The entry points by which other packages add networks."""

BASELINE, LINE, OWN = "constant", "linear", "custom"
"""The models with a part of their own in every run: the baseline, the line that a net is compared
with, and the one that is a module of the user's own."""

Embedding = Literal["none", "piecewise", "periodic"]
"""How a net on a table sees numbers; see ``linnet.networks.embedding``."""


def find(name: str) -> "type[Network]":
    """The network class of that name; raises ``RecipeError``."""
    network: type[Network] = lookup(NETWORKS, name, "network", GROUP)
    return network
