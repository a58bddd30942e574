"""Modules that map examples to raw predictions."""

from typing import Literal

NETWORKS = {
    "constant": "linnet.networks.constant:Constant",
    "linear": "linnet.networks.linear:Linear",
    "mlp": "linnet.networks.mlp:MLP",
    "cnn": "linnet.networks.cnn:CNN",
    "custom": "linnet.networks.custom:Custom",
}

Activation = Literal[
    "relu", "leaky_relu", "tanh", "sigmoid", "selu", "gelu", "silu", "softplus", "identity"
]
