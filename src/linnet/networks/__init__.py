"""Modules that map examples to raw predictions."""

NETWORKS = {
    "constant": "linnet.networks.constant:Constant",
    "linear": "linnet.networks.linear:Linear",
    "mlp": "linnet.networks.mlp:MLP",
}
