"""scikit-learn's ``MLPClassifier``, an epoch for each ``partial_fit``, in float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from problem import BATCH, LR, MOMENTUM, WIDTHS, Predict, Task, Tick, scaled, unit
from sklearn.neural_network import MLPClassifier

Prepare = Callable[[np.ndarray], np.ndarray]


def run(task: Task, tick: Tick, model: MLPClassifier, prepare: Prepare) -> Predict:
    """The fit."""
    data = prepare(task.x)

    def predict(x: np.ndarray) -> np.ndarray:
        return model.predict(prepare(x))

    for _ in range(task.epochs):
        model.partial_fit(data, task.y, classes=np.arange(10))
        tick(predict)
    return predict


def train(task: Task, tick: Tick) -> Predict:
    """The shared recipe; the initial weights are Glorot's."""
    model = MLPClassifier(
        WIDTHS,
        solver="sgd",
        alpha=0.0,
        batch_size=BATCH,
        learning_rate="constant",
        learning_rate_init=LR,
        momentum=MOMENTUM,
        nesterovs_momentum=False,
        random_state=task.seed,
    )
    return run(task, tick, model, scaled)


def example(task: Task, tick: Tick, hidden: int) -> Predict:
    """One hidden layer and otherwise the defaults: Adam at 0.001, batches of 200."""
    model = MLPClassifier(hidden, random_state=task.seed)
    return run(task, tick, model, unit)
