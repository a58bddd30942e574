"""linnet: from a line to a net.

``train`` fits a linear model and a net on the same rows and tests both; ``load`` opens a model.

The rooms of the package, from the ground up; a module imports only from its own room and from those
above it in this list: errors, core, objectives, data, networks, line, net, insight, fit, figures,
runs, integrations, show, experiment, serve, estimators, cli.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linnet.core.parallel import ranks
    from linnet.data.dataset import Dataset
    from linnet.data.read import read
    from linnet.errors import LinnetError
    from linnet.estimators.linear import LinearRegression, Ridge
    from linnet.estimators.logistic import LogisticRegression
    from linnet.estimators.mlp import MLPClassifier, MLPRegressor
    from linnet.experiment.cross_validate import cross_validate
    from linnet.experiment.predict import predict
    from linnet.experiment.sweep import sweep
    from linnet.experiment.train import train
    from linnet.fit.artifact import Artifact
    from linnet.fit.recipe import Recipe
    from linnet.integrations.eject.eject import eject
    from linnet.integrations.export.export import export
    from linnet.runs.compare import compare
    from linnet.runs.run import Run, load

__version__ = "0.1.0"

__all__ = [
    "Artifact",
    "Dataset",
    "LinearRegression",
    "LinnetError",
    "LogisticRegression",
    "MLPClassifier",
    "MLPRegressor",
    "Recipe",
    "Ridge",
    "Run",
    "compare",
    "cross_validate",
    "eject",
    "export",
    "load",
    "predict",
    "ranks",
    "read",
    "sweep",
    "train",
]

_HOMES = {
    "Artifact": "linnet.fit.artifact",
    "Dataset": "linnet.data.dataset",
    "LinearRegression": "linnet.estimators.linear",
    "LinnetError": "linnet.errors",
    "LogisticRegression": "linnet.estimators.logistic",
    "MLPClassifier": "linnet.estimators.mlp",
    "MLPRegressor": "linnet.estimators.mlp",
    "Recipe": "linnet.fit.recipe",
    "Ridge": "linnet.estimators.linear",
    "Run": "linnet.runs.run",
    "compare": "linnet.runs.compare",
    "cross_validate": "linnet.experiment.cross_validate",
    "eject": "linnet.integrations.eject.eject",
    "export": "linnet.integrations.export.export",
    "load": "linnet.runs.run",
    "predict": "linnet.experiment.predict",
    "ranks": "linnet.core.parallel",
    "read": "linnet.data.read",
    "sweep": "linnet.experiment.sweep",
    "train": "linnet.experiment.train",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that importing linnet is quick and quiet."""
    if name not in _HOMES:
        raise AttributeError(f"module 'linnet' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
