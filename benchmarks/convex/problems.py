"""The problems of the convex benchmark: data only, the same for every rival."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np

SHARES = np.array([0.365, 0.488, 0.062, 0.005, 0.016, 0.030, 0.034])
"""Class shares of the forest cover type data."""

SIGNAL = 1.17
"""Scale of the true coefficients: the best linear model is right for 72 % of the rows."""


def forest(rows: int = 581_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Made like the forest cover type data: (rows, 54) and codes of 7 classes.

    Ten correlated numeric columns with deviations from 1 to 1,500, then one-hot blocks of 4 and 40
    with Zipf frequencies; labels drawn from a softmax whose shares are ``SHARES``.
    """
    random = np.random.default_rng(seed)
    mix = random.normal(size=(10, 10)) / np.sqrt(10) + np.eye(10)
    numeric = random.normal(size=(rows, 10)) @ mix
    numeric /= numeric.std(0)
    blocks, effects = [], []
    for width in (4, 40):
        frequency = 1 / np.arange(1, width + 1)
        code = random.choice(width, size=rows, p=frequency / frequency.sum())
        blocks.append(np.eye(width)[code])
        effects.append(random.normal(size=(width, 7)) * 0.8)
    coefficients = np.concatenate([random.normal(size=(10, 7)) * 0.6, *effects]) * SIGNAL
    standard = np.concatenate([numeric, *blocks], axis=1)
    logits = standard @ coefficients
    bias = np.log(SHARES)
    for _ in range(100):  # until the mean probabilities are the shares
        p = np.exp(logits + bias - (logits + bias).max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        bias += np.log(SHARES) - np.log(p.mean(0))
    y = (random.random(rows)[:, None] > p.cumsum(1)[:, :-1]).sum(1)
    deviations = np.geomspace(1, 1500, 10)
    means = deviations * random.uniform(0, 3, 10)
    x = np.concatenate([numeric * deviations + means, *blocks], axis=1)
    return x, y


def mnist(scale: float = 255.0) -> tuple[np.ndarray, np.ndarray]:
    """MNIST's 60,000 training pictures as rows of 784 numbers, pixels over ``scale``, float32."""

    def read(name: str, header: int) -> np.ndarray:
        with gzip.open(data() / "mnist" / name) as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    x = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 784).astype(np.float32)
    return x / np.float32(scale), read("train-labels-idx1-ubyte.gz", 8).astype(np.int64)


def adult() -> tuple[np.ndarray, np.ndarray]:
    """The census table: six numeric columns as they are, the rest one-hot ("?" a category)."""
    with open(data() / "adult.data", newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    columns = list(zip(*rows, strict=True))
    parts = []
    for column in columns[:-1]:
        if all(cell.lstrip("-").isdecimal() for cell in column):
            parts.append(np.array(column, dtype=np.float64)[:, None])
        else:
            parts.append((np.array(column)[:, None] == np.unique(column)).astype(np.float64))
    return np.concatenate(parts, axis=1), np.array([cell == ">50K" for cell in columns[-1]])


def gaussian(rows: int, columns: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Independent normal columns, labels drawn from a softmax with logits of deviation 2."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, columns))
    logits = x @ random.normal(size=(columns, classes)) * (2 / np.sqrt(columns))
    y = (logits + random.gumbel(size=logits.shape)).argmax(1)
    y[:classes] = np.arange(classes)  # every class is there
    return x, y


def numbers(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Normal columns with means up to 3 deviations and a linear target with noise, float32."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((rows, columns), dtype=np.float32)
    x += random.uniform(-3, 3, columns).astype(np.float32)
    y = x @ random.standard_normal(columns, dtype=np.float32)
    return x, y + random.standard_normal(rows, dtype=np.float32)


def data() -> Path:
    """The folder of real data that ``LINNET_DATA`` names."""
    return Path(os.environ["LINNET_DATA"])
