"""Keras 3; the backend is KERAS_BACKEND, torch unless set."""

from __future__ import annotations

import keras
import numpy as np
from problem import BATCH, LR, MOMENTUM, WIDTHS, Predict, Task, Tick, scaled, unit


class Ticks(keras.callbacks.Callback):
    """Calls ``tick`` at the end of each epoch."""

    def __init__(self, tick: Tick, predict: Predict) -> None:
        super().__init__()
        self.tick, self.predict = tick, predict

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.tick(self.predict)


def train(task: Task, tick: Tick) -> Predict:
    """The shared recipe; the initial weights are Glorot's."""
    keras.utils.set_random_seed(task.seed)
    hidden = [keras.layers.Dense(width, activation="relu") for width in WIDTHS]
    model = keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10)])
    model.compile(
        optimizer=keras.optimizers.SGD(LR, momentum=MOMENTUM),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def predict(x: np.ndarray) -> np.ndarray:
        return model.predict(scaled(x), verbose=0).argmax(1)

    ticks = [Ticks(tick, predict)]
    model.fit(
        scaled(task.x), task.y, batch_size=BATCH, epochs=task.epochs, verbose=0, callbacks=ticks
    )
    return predict


def example(task: Task, tick: Tick) -> Predict:
    """Its example mnist_mlp: 512, 512, dropout 0.2, RMSprop, batches of 128.

    Without scoring the test rows after each epoch, as that does.
    """
    keras.utils.set_random_seed(task.seed)
    dense, dropout = keras.layers.Dense, keras.layers.Dropout
    layers = [dense(512, activation="relu"), dropout(0.2), dense(512, activation="relu")]
    layers += [dropout(0.2), dense(10, activation="softmax")]
    model = keras.Sequential([keras.Input((784,)), *layers])
    model.compile(
        optimizer=keras.optimizers.RMSprop(),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )

    def predict(x: np.ndarray) -> np.ndarray:
        return model.predict(unit(x), verbose=0).argmax(1)

    codes = keras.utils.to_categorical(task.y, 10)
    ticks = [Ticks(tick, predict)]
    model.fit(unit(task.x), codes, batch_size=128, epochs=task.epochs, verbose=0, callbacks=ticks)
    return predict
