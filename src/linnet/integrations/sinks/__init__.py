"""Services that can receive the record of a run, each by its own process (``linnet runs sync``).

A sink is a subclass of `linnet.integrations.sinks.base.Sink`. Other packages add sinks with an
entry point of the group ``linnet.sinks``, name = "module:Class". A sink is imported when it is
used.
"""

from typing import TYPE_CHECKING

from linnet.core.registry import lookup, others

if TYPE_CHECKING:
    from linnet.integrations.sinks.base import Sink

SINKS = {
    "mlflow": "linnet.integrations.sinks.mlflow:MLflow",
    "tensorboard": "linnet.integrations.sinks.tensorboard:TensorBoard",
    "trackio": "linnet.integrations.sinks.trackio:Trackio",
    "visdom": "linnet.integrations.sinks.visdom:VisdomServer",
    "wandb": "linnet.integrations.sinks.wandb:WeightsAndBiases",
}


def find(name: str) -> "type[Sink]":
    """The sink called ``name``: one of linnet's, else one from an installed package."""
    sink: type[Sink] = lookup({**others("linnet.sinks"), **SINKS}, name, "sink")
    return sink
