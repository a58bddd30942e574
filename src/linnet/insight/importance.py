"""Which columns matter: permutation importance on rows from which no model learned.

The values of a column are exchanged among the rows, and the model predicts them again; how much its
loss grows is the importance of the column (Breiman 2001, "Random forests", Machine Learning 45,
5-32; Fisher, Rudin and Dominici 2019, "All models are wrong, but many are useful", JMLR 20, 177).
Encoded columns of one raw column are exchanged together, and so are raw columns that are strongly
correlated (``linnet.insight.fields.alike``), because a model can take the same from either.

Intervals. With h(i, j) the growth of the loss of row i when it gets the value of row j, the
importance is the mean of h over pairs of rows. A row takes part in it twice, as i and as j, and the
interval counts both (Hoeffding's 1948 projection of a U-statistic). The usual one, over the rows as
i alone, holds the importance of a strong column in 82 to 89 % instead of 95 %
(``benchmarks/importance.py``). What the random pairing adds is known from the differences between
repetitions, and taken off. Where rows depend on each other, in groups or in time, the interval is
over these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from linnet.core.randomness import derive
from linnet.core.statistics import CONFIDENCE, OUT_OF_FOLD_PAIR, paired
from linnet.core.text import figure, percent
from linnet.errors import InputError
from linnet.insight.evaluation import predict_raw
from linnet.insight.fields import Field, alike, exchanged, fields_of
from linnet.insight.pairs import holm
from linnet.insight.plain import count, pair, real, true, word, words
from linnet.insight.shares import by_rows
from linnet.insight.task import CHANCE, task_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from linnet.data.dataset import Dataset
    from linnet.objectives.base import Objective

Array = np.ndarray[Any, Any]

REPEATS = 5
"""How often the values of each column are exchanged."""

MOST_ROWS = 10_000
"""Of more rows, this many are drawn: enough for an interval, and a third of a second a column."""


class Importance(NamedTuple):
    """The importance of one column, or of strongly correlated ones together.

    ``loss`` is the growth of the mean loss, with its 95 % ``interval``; ``score`` how much worse
    the headline score becomes: the fall of the accuracy (0 to 1), or the growth of the RMSE (unit
    of the target). ``p_value`` is that of no growth, ``p_adjusted`` Holm's for all columns, on
    which ``significant`` rests; ``why`` says why it is not.
    """

    columns: tuple[str, ...]
    loss: float
    interval: tuple[float, float]
    score: float
    p_value: float
    p_adjusted: float
    significant: bool
    why: str | None = None

    @property
    def name(self) -> str:
        """The names of its columns: "education, education_num"."""
        return ", ".join(self.columns)

    def plain(self) -> dict[str, Any]:
        """As a dict for JSON."""
        return {**self._asdict(), "columns": list(self.columns), "interval": list(self.interval)}


@dataclass(frozen=True)
class Importances:
    """The importance of all columns of a model, the largest first.

    ``measure`` is "log loss" (nats) or "squared error" (unit of the target, squared), ``base`` its
    mean on the rows as they are; ``score`` is "accuracy" or "rmse". ``units`` says on what the
    intervals rest, if not on independent rows. ``folds`` is the number of folds, if each row is
    predicted without its own; else 0.
    """

    columns: tuple[Importance, ...]
    measure: str
    base: float
    score: str
    rows: int
    repeats: int
    units: dict[str, Any] | None = None
    folds: int = 0

    def __iter__(self) -> Any:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, name: str) -> Importance:
        """The importance of the column, or of the group that holds it."""
        for each in self.columns:
            if name in each.columns:
                return each
        raise KeyError(name)

    def __repr__(self) -> str:
        lines = [
            f"{each.name}: {figure(each.loss, 3)} "
            f"({figure(each.interval[0], 3)} to {figure(each.interval[1], 3)})"
            + ("" if each.significant else f", not shown: {each.why}")
            for each in self.columns
        ]
        head = f"growth of the {self.measure} ({figure(self.base)}) on {self.rows:,} rows, "
        return "\n".join([f"{head}{self.repeats} exchanges of each column", *lines])

    @property
    def fall(self) -> str:
        """What ``Importance.score`` is, for people."""
        return "fall of the accuracy" if self.score == "accuracy" else "growth of the RMSE"

    def cells(self, each: Importance) -> list[Any]:
        """One column as the cells of a table."""
        low, high = each.interval
        score = percent(each.score) if self.score == "accuracy" else figure(each.score)
        p = "< 0.001" if each.p_adjusted < 0.001 else figure(each.p_adjusted, 2)
        return [
            each.name, figure(each.loss), f"{figure(low, 3)} to {figure(high, 3)}", score,
            p if each.why in (None, CHANCE) else f"{p} ({each.why})",
        ]  # fmt: skip

    def plain(self) -> dict[str, Any]:
        """As a dict for JSON; ``Importances.parse`` is the inverse."""
        told = {key: getattr(self, key) for key in ("measure", "base", "score", "rows", "repeats")}
        more: dict[str, Any] = {"units": self.units, "folds": self.folds}
        told |= {key: value for key, value in more.items() if value}
        return {**told, "columns": [each.plain() for each in self.columns]}

    @classmethod
    def parse(cls, plain: dict[str, Any]) -> Importances:
        """From ``plain``, which may come from anyone; raises ``ValueError`` or another error of
        values if it is none."""
        found = []
        for each in plain["columns"]:
            loss, score, p, adjusted = (
                real(each[key]) for key in ("loss", "score", "p_value", "p_adjusted")
            )
            why = None if each.get("why") is None else word(each["why"])
            names, ends = words(each["columns"]), pair(each["interval"])
            shown = true(each["significant"])
            found.append(Importance(names, loss, ends, score, p, adjusted, shown, why))
        units = plain.get("units")
        if units is not None:
            by = word(units["by"], "group", "time")
            units = {"by": by, "column": word(units["column"]), "units": count(units["units"])}
        if not found:
            raise ValueError("no column has an importance")
        return cls(
            tuple(found), word(plain["measure"], "log loss", "squared error"), real(plain["base"]),
            word(plain["score"], "accuracy", "rmse"), count(plain["rows"]),
            count(plain["repeats"]), units, count(plain.get("folds", 0)),
        )  # fmt: skip


class Part(NamedTuple):
    """Rows of a data set, by their numbers ``rows``, that taught the ``network`` nothing; ``data``
    are these rows as they are encoded for it."""

    network: nn.Module
    data: Dataset
    rows: Array


def importance(
    network: nn.Module,
    objective: Objective,
    data: Dataset,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    most: int = MOST_ROWS,
    orders: Array | None = None,
    groups: Sequence[Sequence[Field]] | None = None,
) -> Importances:
    """The permutation importance of the columns of ``data``, encoded rows that taught nothing.

    ``orders`` (repeats, rows) are the permutations, by default drawn by ``seed``, the same for all
    columns; row i gets the value of row ``orders[r, i]``. ``groups`` are the fields that are
    exchanged together, by default ``alike(data.x, fields_of(data.schema))``. Raises ``InputError``
    for pictures and for fewer than two rows.
    """
    data = _drawn(data, most, seed)
    if len(data) < 2:
        raise InputError(f"importance needs two rows or more to exchange; there is {len(data)}")
    if orders is None:
        orders = permutations(len(data), repeats, seed)
    if orders.ndim != 2 or orders.shape[1] != len(data) or not len(orders):
        raise InputError(
            f"orders are {orders.shape}; expected (repeats, rows), with {len(data):,} rows"
        )
    part = Part(network, data, np.arange(len(data)))
    return _of_parts([part], objective, data, orders, groups)


def over_folds(
    parts: Sequence[Part],
    objective: Objective,
    data: Dataset,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    most: int = MOST_ROWS,
) -> Importances:
    """The permutation importance of the columns of ``data``, all rows of a cross-validation: each
    part of the rows is predicted by the network that has not seen it, and exchanges values among
    its own rows. Columns are grouped by ``data``, the rows as the model of all rows sees them.

    The standard errors are ``OUT_OF_FOLD_PAIR`` times as large as those of as many test rows: so
    the intervals hold the importance for the line that is fitted to all rows in 93 to 99 %, and lie
    above 0 for at most 1 % of columns of noise (50 and 200 rows; ``benchmarks/importance.py
    folds``). Raises ``InputError`` for pictures and for a part of fewer than two rows.
    """
    numbers = np.random.default_rng(derive(seed, "importance rows"))
    kept: list[Part] = []
    for part in parts:
        own = np.arange(len(part.data))
        if len(data) > most:
            own = np.sort(numbers.permutation(len(own))[: len(own) * most // len(data)])
        if len(own) < 2:
            raise InputError("importance needs two rows or more of each fold to exchange")
        kept.append(Part(part.network, part.data.take(torch.from_numpy(own)), part.rows[own]))
    chosen = np.sort(np.concatenate([part.rows for part in kept]))
    kept = [part._replace(rows=np.searchsorted(chosen, part.rows)) for part in kept]
    orders = np.empty((repeats, len(chosen)), np.int64)
    for number, part in enumerate(kept):
        own = permutations(len(part.rows), repeats, derive(seed, "fold", number))
        orders[:, part.rows] = part.rows[own]
    return _of_parts(
        kept, objective, data.take(torch.from_numpy(chosen)), orders, None, OUT_OF_FOLD_PAIR
    )


def _of_parts(
    parts: Sequence[Part],
    objective: Objective,
    data: Dataset,
    orders: Array,
    groups: Sequence[Sequence[Field]] | None,
    wider: float = 1.0,
) -> Importances:
    """The importance of the columns of ``data``, each part of whose rows has a network of its own;
    ``orders`` (repeats, rows) stay within the parts."""
    if groups is None:
        groups = alike(data.x, fields_of(data.schema))
    judge = _Judge(objective, data)
    units = data.units()
    codes = None if units is None else units.codes
    base, best = judge(predicted(parts, len(data)))
    found: list[tuple[tuple[str, ...], float, Any]] = []
    for group in groups:
        growth, fall = np.empty(orders.shape), []
        for number, order in enumerate(orders):
            loss, score = judge(predicted(parts, len(data), group, order))
            growth[number] = loss - base
            fall.append(best - score if judge.higher else score - best)
        values, spread = _roles(growth, orders)
        tested = paired(values, codes, "row" if units is None else units.word, wider * spread)
        found.append((tuple(field.name for field in group), float(np.mean(fall)), tested))
    adjusted = holm([tested.p_value for _, _, tested in found])
    every = [
        _one(names, fall, tested, p)
        for (names, fall, tested), p in zip(found, adjusted, strict=True)
    ]
    every.sort(key=lambda each: -each.loss)
    return Importances(
        tuple(every), judge.measure, float(base.mean()), judge.score, len(data), len(orders),
        None if units is None else units.facts(), len(parts) if len(parts) > 1 else 0,
    )  # fmt: skip


def predicted(
    parts: Sequence[Part], rows: int, group: Sequence[Field] = (), order: Array | None = None
) -> Tensor:
    """The raw predictions (rows, outputs) of all parts; with an ``order`` (rows,), row i has the
    values of row ``order[i]`` in the fields of ``group``."""
    found: Tensor | None = None
    names = {field.name for field in group}
    for network, data, places in parts:
        x = data.x
        if order is not None:
            own = group  # of several parts each is encoded in its own way
            if len(parts) > 1:
                own = [field for field in fields_of(data.schema) if field.name in names]
            x = exchanged(x, own, torch.from_numpy(np.searchsorted(places, order[places])))
        raw = predict_raw(network, x)
        if len(parts) == 1:
            return raw
        found = raw.new_empty((rows, *raw.shape[1:])) if found is None else found
        found[torch.from_numpy(places)] = raw
    assert found is not None
    return found


def permutations(rows: int, repeats: int, seed: int) -> Array:
    """Permutations of ``rows`` rows, int64 (repeats, rows)."""
    numbers = np.random.default_rng(derive(seed, "importance"))
    return np.stack([numbers.permutation(rows) for _ in range(repeats)])


def _drawn(data: Dataset, most: int, seed: int) -> Dataset:
    """At most ``most`` of the rows, in their order."""
    if len(data) <= most:
        return data
    numbers = np.random.default_rng(derive(seed, "importance rows"))
    return data.take(torch.from_numpy(np.sort(numbers.permutation(len(data))[:most])))


def _one(names: tuple[str, ...], fall: float, tested: Any, p: float) -> Importance:
    why = tested.why
    if why is None and (p >= 1 - CONFIDENCE or tested.mean <= 0):
        why = CHANCE
    low, high = tested.interval
    return Importance(
        names, tested.mean, (float(low), float(high)), fall, tested.p_value, p, why is None, why
    )


def _roles(growth: Array, orders: Array) -> tuple[Array, float]:
    """The part of each row in the importance (rows,), as the row that is predicted and as the one
    that gives its value; and by how much its standard error is to be taken smaller.

    ``growth`` (repeats, rows) is that of the loss of row i with the value of row ``orders[r, i]``.
    Of the variance of the mean over repetitions, what two repetitions have in common is due to the
    rows. The rest is due to the pairing: of that a mean of all pairs would have nothing, and a mean
    of permutations only what is neither of one row nor of the other.
    """
    repeats = len(growth)
    both = growth.copy()
    for number, order in enumerate(orders):
        both[number][order] += growth[number] - growth[number].mean()
    values = both.mean(0)
    whole = float(values.var(ddof=1))
    if repeats < 2 or not whole or not np.isfinite(whole):
        return values, 1.0
    each = float(both.var(1, ddof=1).mean())
    common = (repeats * whole - each) / (repeats - 1)
    pairing = max(0.0, each - common - float(growth.var(1, ddof=1).mean()))
    return values, float(np.sqrt(min(1.0, (max(0.0, common) + pairing / repeats) / whole)))


class _Judge:
    """The loss of each row (rows,), and the headline score, of raw predictions of ``data``."""

    def __init__(self, objective: Objective, data: Dataset) -> None:
        self.objective, self.data = objective, data
        self.task = task_of(objective)
        self.score: str = self.task.score
        self.higher = self.task.better == "higher"
        self.measure = "log loss" if objective.classifies else "squared error"

    def __call__(self, raw: Tensor) -> tuple[Array, float]:
        return row_losses(self.objective, raw, self.data), self.task.measure(
            self.objective, raw, self.data
        )


def row_losses(objective: Objective, raw: Tensor, data: Dataset) -> Array:
    """The loss of each row (rows,) for raw predictions (rows, outputs): the log loss in nats, or
    the squared error in the target's unit, squared, averaged over targets."""
    if objective.classifies:
        y = data.y.double() if data.soft else data.y
        return np.asarray(by_rows(objective.loss, raw, y).numpy())
    y = data.y.double().reshape(len(data), -1)
    return np.asarray((objective.mean(raw) - y).square().mean(1).numpy())


class Terms(NamedTuple):
    """What each column adds to the raw predictions of a line: ``values`` (rows, outputs, fields),
    in log-odds or in the unit of the target; ``base`` (outputs,) is the raw prediction of a row of
    means. ``base + values.sum(2)`` are the raw predictions."""

    columns: tuple[str, ...]
    values: Array
    base: Array

    def plain(self) -> dict[str, Any]:
        """As a dict for JSON."""
        base, values = self.base.tolist(), self.values.tolist()
        return {"columns": list(self.columns), "base": base, "values": values}


def terms(network: nn.Module, x: Tensor, mean: Tensor, fields: Iterable[Field]) -> Terms:
    """The terms ``coef * (x - mean)`` of a line's raw prediction for encoded rows ``x`` (rows,
    columns): of a raw column the sum over its encoded columns. ``mean`` (columns,) are the means of
    the encoded columns. Raises ``InputError`` if the model is no line.

    For a linear model with independent columns these are its Shapley values (Štrumbelj and
    Kononenko 2014, "Explaining prediction models and individual predictions with feature
    contributions", Knowl. Inf. Syst. 41, 647-665).
    """
    from linnet.networks.linear import Linear

    if not isinstance(network, Linear):
        raise InputError(
            f"{getattr(network, 'title', 'the model')} is no line: its raw prediction is no sum of "
            "terms; importance and dependence are for every model"
        )
    with torch.no_grad():
        own = network.features(x).double() - network.features(mean[None].to(x.dtype)).double()
        weight = network.linear.weight.double()
        kept = tuple(fields)
        values = [
            own[:, field.start : field.end] @ weight[:, field.start : field.end].T for field in kept
        ]
        base = predict_raw(network, mean[None].to(x.dtype))[0]
    return Terms(
        tuple(field.name for field in kept), torch.stack(values, 2).numpy(), base.cpu().numpy()
    )
