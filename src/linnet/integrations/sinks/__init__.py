"""Services that can receive the record of a run, each by its own process (``linnet runs sync``).

A sink is a subclass of `linnet.integrations.sinks.base.Sink`. Other packages add sinks with an
entry point of the group ``linnet.sinks``, name = "module:Class". A sink is imported when it is
used.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from linnet.core.registry import lookup, others
from linnet.errors import InputError, RecipeError

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


def named(to: str | Sequence[str] | None) -> tuple[str, ...]:
    """The sinks in ``to``: a name, several with commas between them, or a list of names.

    So a run that cannot be logged is refused before it begins: raises ``RecipeError`` for a sink
    that is unknown, and ``InputError`` for one whose package is missing.
    """
    parts = [to] if isinstance(to, str) else list(to or ())
    if not all(isinstance(part, str) for part in parts):
        raise RecipeError(f'to={to!r}: expected names of sinks, such as to="tensorboard"')
    names = tuple(dict.fromkeys(name.strip() for part in parts for name in part.split(",")))
    for name in names:
        try:
            absent = next((each for each in find(name).packages if not _installed(each)), None)
        except ModuleNotFoundError as error:  # of another package's sink
            absent = str(error.name)
        if absent is not None:
            raise InputError(missing(name, absent))
    return names


def missing(name: str, package: str) -> str:
    """The error of a sink whose package is missing, with what to do."""
    wanted = f'"linnet[{name}]"' if name in SINKS else package
    return f'the sink "{name}" needs the package {package}: pip install {wanted}'


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # imported, and nobody knows from where
        return True
