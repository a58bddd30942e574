"""The yardstick: boosted trees on the rows of a table, to which the scores of the models compare.

Boosted trees find steps and interactions without being told of them, so their score says how much
of a table a line and a net leave unused. They are scikit-learn's ``HistGradientBoostingClassifier``
or ``...Regressor`` with their default settings, fitted to the training rows alone, with the weights
of the models. They are no model of linnet's: nothing of them is saved but scores and predictions,
and they are never chosen.

They see the columns as they were before encoding: numbers with the missing ones missing, dates as
their parts, and a category as one column of codes. scikit-learn takes at most ``MOST_CATEGORIES``
categories a column: of more, the rarest of the training rows share the last code.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from linnet.core.randomness import derive
from linnet.core.text import counted
from linnet.data import columns
from linnet.data.coded import Coded
from linnet.data.column import Column
from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.insight.evaluation import BATCH, measure_raw
from linnet.insight.pairs import YARDSTICK
from linnet.objectives import choose, find
from linnet.objectives.base import Objective

Array = np.ndarray[Any, Any]


MOST_CATEGORIES = 255
"""The most categories of a column that scikit-learn takes."""

MOST_OUTPUTS = 100
"""Of more classes, or more targets, there is no yardstick: each needs its own 100 trees."""

MOST_CELLS = 1e8
"""The most numbers, rows times columns times outputs, of which "auto" fits a yardstick: about two
minutes of one thread."""


SHARED = 2e6
"""From this many numbers on the trees compute in as many threads as PyTorch does, below in one:
threads wait for each other at each split, beside other processes for a whole slice of time. On a
busy machine of two cores the trees of iris took 14 seconds in two threads, and 0.4 in one."""


def auto(schema: Schema, train: int, test: int) -> Literal["trees", "none"]:
    """What ``yardstick="auto"`` means: trees for a table with test rows, if they take not too
    long."""
    if schema.example != "row" or not test:
        return "none"
    cells = train * _width(schema) * _outputs(schema)
    return "trees" if cells <= MOST_CELLS else "none"


def _width(schema: Schema) -> int:
    """The number of columns that the trees see."""
    used = [field for field in schema.fields if field.used]
    return sum(max(1, len(field.parts)) for field in used) or schema.shape[0]


def _outputs(schema: Schema) -> int:
    """How many trees each round adds: one a class, of two classes one, or one a target."""
    if schema.task == "regression":
        return len(schema.targets)
    return len(schema.classes) if len(schema.classes) > 2 else 1


MOST_STORED = 200_000
"""Of rows in a store, which need not fit into memory, trees are fitted to at most this many."""


def why_not(train: Dataset) -> str | None:
    """Why there can be no yardstick for these training rows; None if there can."""
    if train.mapped is not None and len(train) > MOST_STORED:
        return f"the training rows are in a store, and more than {MOST_STORED:,} (MOST_STORED)"
    if train.soft:
        return "the targets are probabilities, and boosted trees take classes"
    if _outputs(train.schema) > MOST_OUTPUTS:
        what = "class" if train.schema.task == "classification" else "target"
        told = counted(_outputs(train.schema), what)
        return f"{told}; boosted trees are fitted for at most {MOST_OUTPUTS} (MOST_OUTPUTS)"
    if train.schema.task == "classification" and len(train.y.unique()) < 2:
        return "the training rows are of one class"
    if len(train) < 2:
        return f"there is {counted(len(train), 'training row')}"
    return None


@dataclass(frozen=True)
class Trees:
    """Fitted boosted trees: one estimator, or for numbers one for each target; ``seen`` are their
    columns, ``objective`` says what their raw predictions mean."""

    estimators: tuple[Any, ...]
    seen: _Columns
    objective: Objective
    classes: int
    threads: int
    seconds: float

    def predict_raw(self, data: Dataset) -> Tensor:
        """Raw predictions (rows, outputs) in float64: log-odds, logarithms of probabilities, or
        numbers. As in scikit-learn's ``log_loss``, no probability counts as less than 2.2e-16."""
        parts = [self._raw(part) for part in data.x.split(BATCH)]
        return torch.cat(parts) if parts else torch.empty(0, 1, dtype=torch.float64)

    def _raw(self, x: Tensor) -> Tensor:
        table = self.seen.of(x)
        with _threads(self.threads):
            if not self.objective.classifies:
                found = np.column_stack([each.predict(table) for each in self.estimators])
                return torch.from_numpy(found)
            (estimator,) = self.estimators
            p = np.zeros((len(table), self.classes))
            p[:, estimator.classes_] = estimator.predict_proba(table)
        logs = np.log(p.clip(min=np.finfo(np.float64).eps))
        return torch.from_numpy(logs[:, 1:] - logs[:, :1] if self.classes == 2 else logs)

    def measure(self, data: Dataset) -> dict[str, float]:
        """The ``loss`` of the rows, and their ``accuracy`` or ``rmse``."""
        return measure_raw(self.objective, self.predict_raw(data), data)


def fit(train: Dataset, seed: int) -> Trees:
    """Boosted trees for these training rows and their weights; ``why_not`` must be None.

    The same rows, seed and threads (``SHARED``) give the same trees.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    begun = time.perf_counter()
    classifies = train.schema.task == "classification"
    kind = HistGradientBoostingClassifier if classifies else HistGradientBoostingRegressor
    seen = _Columns.learnt(train)
    table = seen.of(train.x)
    y = train.y.numpy() if classifies else train.y.double().reshape(len(train), -1).numpy()
    weight = None if train.weight is None else train.weight.double().numpy()
    targets = [y] if classifies else list(y.T)
    cells = table.size * _outputs(train.schema)
    threads = torch.get_num_threads() if cells >= SHARED else 1
    estimators = []
    with _threads(threads):
        for target in targets:
            made = kind(categorical_features=seen.categorical, random_state=_state(seed))
            estimators.append(made.fit(table, target, sample_weight=weight))
    return Trees(
        tuple(estimators), seen, find(choose(train.schema)), len(train.schema.classes), threads,
        time.perf_counter() - begun,
    )  # fmt: skip


def _state(seed: int) -> int:
    """scikit-learn's ``random_state``: the seed itself, or a number made of one that is larger than
    scikit-learn takes."""
    return seed if seed < 2**32 else derive(seed, YARDSTICK) % 2**32


def _threads(count: int) -> Any:
    """A block in which scikit-learn's trees compute in ``count`` threads."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=count, user_api="openmp")


@dataclass(frozen=True)
class _Columns:
    """The columns that the trees see, by the encoded ones. ``codes`` are, for each used field, the
    code of each of its categories (categories,) if it has too many; else None."""

    schema: Schema
    codes: tuple[Array | None, ...]

    @classmethod
    def learnt(cls, train: Dataset) -> _Columns:
        """The columns of these training rows."""
        fields = _used(train.schema)
        bare = cls(train.schema, (None,) * len(fields))
        return cls(
            train.schema,
            tuple(
                _fewer(bare._category(train.x, place, field)) if _many(field) else None
                for place, field in enumerate(fields)
            ),
        )

    @property
    def categorical(self) -> list[bool] | None:
        """Which columns are codes of categories; None if none is."""
        flags = [
            field.kind == "category"
            for field in _used(self.schema)
            for _ in range(max(1, len(field.parts)))
        ]
        return flags if any(flags) else None

    def of(self, x: Tensor) -> Array:
        """The columns of encoded rows, float64 (rows, columns); NaN is missing."""
        fields = _used(self.schema)
        if not fields:
            return np.asarray(x.double().numpy())
        found: list[Array] = []
        for place, field in enumerate(fields):
            if field.kind == "category":
                values, codes = self._category(x, place, field), self.codes[place]
                if codes is not None:
                    known = ~np.isnan(values)
                    values[known] = codes[values[known].astype(np.int64)]
                found.append(values)
                continue
            block = _block(x, *self._places(place))
            count = max(1, len(field.parts))
            absent = block[:, count] > 0 if field.missing else np.zeros(len(block), bool)
            found += [np.where(absent, np.nan, block[:, part]) for part in range(count)]
        return np.column_stack(found)

    def _places(self, place: int) -> tuple[int, int]:
        """The encoded columns of a field: the first, and the one after the last."""
        widths = [len(field.names) for field in _used(self.schema)]
        return sum(widths[:place]), sum(widths[: place + 1])

    def _category(self, x: Tensor, place: int, field: Column) -> Array:
        """The code of each row's category (rows,); NaN if it is missing, or not known."""
        start, end = self._places(place)
        several = columns.coded(self.schema.fields)
        if isinstance(x, Coded) and several[place]:
            codes = x.codes[:, sum(several[:place])].numpy().astype(np.float64)
            codes = np.where(codes < x.width, codes - start, np.nan)
        else:
            block = _block(x, start, end)
            codes = np.where(block.any(1), block.argmax(1), np.nan)
        return np.where(codes < end - start - field.missing, codes, np.nan)


def _used(schema: Schema) -> list[Column]:
    return [field for field in schema.fields if field.used]


def _many(field: Column) -> bool:
    """Whether a field has more categories than scikit-learn takes."""
    return field.kind == "category" and len(field.categories) + field.other > MOST_CATEGORIES


def _fewer(values: Array) -> Array:
    """The new code of each category (categories,) by the codes of the training rows (rows,): the
    most frequent ones have codes of their own, the others share the last one."""
    counts = np.bincount(values[~np.isnan(values)].astype(np.int64))
    codes = np.full(len(counts), MOST_CATEGORIES - 1)
    own = np.argsort(-counts, kind="stable")[: MOST_CATEGORIES - 1]
    codes[own] = np.arange(len(own))
    return codes


def _block(x: Tensor, start: int, end: int) -> Array:
    """Encoded columns as float64 (rows, columns); of ``Coded`` rows those that are numbers."""
    if isinstance(x, Coded):
        inside = (x.places >= start) & (x.places < end)
        return np.asarray(x.numbers[:, inside].double().numpy())
    return np.asarray(x[:, start:end].double().numpy())
