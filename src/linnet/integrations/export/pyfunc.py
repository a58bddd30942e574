"""What MLflow imports to predict with a folder that ``linnet export --to mlflow`` wrote.

It imports neither MLflow nor, where the model needs none, PyTorch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from linnet.errors import InputError
from linnet.fit import runtime
from linnet.fit.runtime import Answers, Encoded, Runtime
from linnet.insight.shares import MANY


class Model:
    """A model of linnet for MLflow."""

    def __init__(self, model: Runtime) -> None:
        self.runtime = model

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """A pandas frame with ``prediction`` and ``p_<class>`` (of more than 200 classes ``p``, the
        largest), or a column for each of several targets."""
        import pandas as pd

        if params:
            raise InputError(f"linnet's models take no params; given: {', '.join(params)}")
        return pd.DataFrame(self.columns(self.runtime.answers(self.encoded(model_input))))

    def encoded(self, given: Any) -> Encoded:
        """Rows as MLflow gives them: a pandas frame, an array, a list, or a dict of columns."""
        schema = self.runtime.schema
        if not schema.tabular:
            if isinstance(given, Mapping):
                given = next(iter(given.values()))
            return self.runtime.arrays(_numbers(given, schema.columns))
        if isinstance(given, Mapping):
            import pandas as pd

            given = pd.DataFrame(dict(given))
        if not hasattr(given, "to_dict"):
            return self.runtime.arrays(np.asarray(given))
        return self.runtime.rows(records(given))

    def columns(self, answers: Answers) -> dict[str, Any]:
        """Answers by the name of a column."""
        schema = self.runtime.schema
        if len(schema.targets) > 1:
            found = zip(schema.targets, zip(*answers.prediction, strict=True), strict=True)
            return {name: list(values) for name, values in found}
        columns: dict[str, Any] = {"prediction": answers.prediction}
        if answers.p is not None and len(schema.classes) > MANY:
            columns["p"] = answers.p.max(1)
        elif answers.p is not None:
            columns |= {f"p_{name}": answers.p[:, i] for i, name in enumerate(schema.names)}
        return columns


def _numbers(given: Any, columns: tuple[str, ...]) -> Any:
    """A frame as an array, its columns in the order of the model's, if they have its names."""
    if not hasattr(given, "to_numpy"):
        return np.asarray(given)
    if columns and set(columns) <= set(given.columns):
        given = given[list(columns)]
    return given.to_numpy()


def records(frame: Any) -> list[dict[str, Any]]:
    """The rows of a pandas frame, with values as JSON has them: None for missing, text for
    times."""
    columns = {str(name): list(map(_value, frame[name])) for name in frame.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _value(value: Any) -> Any:
    if value is None or value != value:  # NaN and NaT differ from themselves
        return None
    if type(value).__name__ == "NAType":
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat(" ")
    return value.item() if isinstance(value, np.generic) else value


def _load_pyfunc(path: str | os.PathLike[str]) -> Model:
    """What MLflow calls with the path of the model's file."""
    return Model(runtime.load(Path(path)))
