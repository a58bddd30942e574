"""linnet's own fit, as ``linnet.train`` calls it, with its record written to a file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from problem import BATCH, LR, MEAN, MOMENTUM, SD, WIDTHS, Predict, Task, Tick

from linnet.core.record import Event, Record
from linnet.experiment.train import prepare
from linnet.fit.fit import fit
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import only
from linnet.insight import evaluation

SETTINGS = {
    "model": "mlp",
    "widths": list(WIDTHS),
    "dropout": 0.0,
    "scaling": [MEAN, SD],
    "shift": 0,
    "optimizer": "sgd",
    "lr": LR,
    "momentum": MOMENTUM,
    "weight_decay": 0.0,
    "batch_size": BATCH,
    "schedule": "constant",
    "valid": 0,
}


def train(task: Task, tick: Tick) -> Predict:
    """An epoch lies between the records of two epochs' last steps, inside one ``fit``."""
    steps = -(-len(task.x) // BATCH)

    def echo(event: Event) -> None:
        if event["event"] == "step" and event["step"] % steps == 0:
            tick(None)

    with tempfile.TemporaryDirectory() as folder:
        record = Record(Path(folder) / "events.jsonl", echo)
        predict = fitted(task, {}, record)
        record.close()
    return predict


def fitted(task: Task, settings: dict[str, Any], record: Record | None = None) -> Predict:
    """The fit of SETTINGS with some replaced, on all rows."""
    recipe = Recipe.make({**SETTINGS, "epochs": task.epochs, "seed": task.seed, **settings})
    arrays = {"x_train": task.x, "y_train": task.y, "x_test": task.x_test, "y_test": task.y_test}
    data, recipe, parts = prepare(arrays, recipe)
    train, valid = data.take(parts["train"]), data.take(parts["valid"])
    module = fit(only(recipe, "mlp"), train, valid, record=record).module

    def predict(x: np.ndarray) -> np.ndarray:
        return evaluation.predict_raw(module, torch.from_numpy(x)[:, None]).argmax(1).numpy()

    return predict
