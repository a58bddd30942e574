"""Services that a run's record is sent to, each by a process of its own (``linnet runs sync``).

A sink is a subclass of `linnet.sinks.base.Sink`; other packages add theirs with an entry point of
the group ``linnet.sinks``, name = "module:Class". What is listed here is loaded when asked for.
"""

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from linnet.registry import lookup

if TYPE_CHECKING:
    from linnet.sinks.base import Sink

SINKS = {
    "mlflow": "linnet.sinks.mlflow:MLflow",
    "tensorboard": "linnet.sinks.tensorboard:TensorBoard",
    "trackio": "linnet.sinks.trackio:Trackio",
    "visdom": "linnet.sinks.visdom:VisdomServer",
    "wandb": "linnet.sinks.wandb:WeightsAndBiases",
}


def find(name: str) -> "type[Sink]":
    """The sink of that name: one of linnet's, else one that an installed package brings."""
    others = {point.name: point.value for point in entry_points(group="linnet.sinks")}
    sink: type[Sink] = lookup({**others, **SINKS}, name, "sink")
    return sink
