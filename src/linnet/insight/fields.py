"""The fields of encoded rows: which encoded columns belong to one column of the raw table, and
which fields say nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from linnet.core.registry import suggest
from linnet.data import columns
from linnet.data.coded import Coded
from linnet.data.column import MISSING, OTHER, Column
from linnet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from linnet.data.schema import Schema

Array = np.ndarray[Any, Any]

STRONG = 0.9
"""From this association on two fields count as strongly correlated."""

MOST_RANKED = 5_000
"""The associations of fields are those of at most this many rows."""


@dataclass(frozen=True)
class Field:
    """A column of the raw data: the encoded columns from ``start`` up to, not including, ``end``.

    ``column`` says how it is encoded; None for rows that came as numbers. ``code`` is its place
    among the codes of ``Coded`` rows; None if its columns are plain numbers.
    """

    name: str
    start: int
    end: int
    column: Column | None = None
    code: int | None = None

    @property
    def kind(self) -> str:
        """number, boolean, category or date."""
        return "number" if self.column is None else self.column.kind

    @property
    def labels(self) -> tuple[str, ...]:
        """The values of a category, one for each of its encoded columns."""
        if self.column is None or self.column.kind != "category":
            return ()
        other = (OTHER,) * self.column.other
        return (*self.column.categories, *other, *((MISSING,) * self.column.missing))

    def block(self, x: Tensor) -> Array:
        """The field's encoded columns, float64 (rows, columns); not for a field with ``code``."""
        if isinstance(x, Coded):
            inside = (x.places >= self.start) & (x.places < self.end)
            return np.asarray(x.numbers[:, inside].double().numpy())
        return np.asarray(x[:, self.start : self.end].double().numpy())

    def codes(self, x: Tensor) -> Array:
        """Which of its ``labels`` each row has, int64 (rows,); -1 for none. For categories."""
        if self.code is not None and isinstance(x, Coded):
            held = x.codes[:, self.code].numpy().astype(np.int64)
            return np.asarray(np.where(held < x.width, held - self.start, -1))
        block = self.block(x)
        found: Array = np.where(block.any(1), block.argmax(1), -1)
        return found

    def numbers(self, x: Tensor) -> Array:
        """Its numbers, float64 (rows, parts), without the 0/1 column that marks missing values:
        one part, or those of a date. A missing value is the number that was imputed."""
        block = self.block(x)
        return block[:, : len(self.column.fill)] if self.column is not None else block

    def absent(self, x: Tensor) -> Array:
        """Whether the value of each row is missing, (rows,), by the mark of missing values."""
        if self.column is None or not self.column.missing:
            return np.zeros(len(x), bool)
        if self.kind == "category":
            return np.asarray(self.codes(x) == len(self.labels) - 1)
        return np.asarray(self.block(x)[:, -1] > 0)


def fields_of(schema: Schema) -> tuple[Field, ...]:
    """The fields of encoded rows, in order. Rows that came as numbers have a field for each column.
    Raises ``InputError`` for pictures: their pixels are no columns."""
    if schema.example != "row":
        raise InputError(
            f"the model takes {schema.example}s; importance, dependence and slices are for the "
            "columns of a table"
        )
    if not schema.fields:
        return tuple(Field(name, at, at + 1) for at, name in enumerate(schema.columns))
    found, start, coded = [], 0, 0
    used = [column for column in schema.fields if column.used]
    for column, several in zip(used, columns.coded(schema.fields), strict=True):
        end = start + len(column.names)
        found.append(Field(column.name, start, end, column, coded if several else None))
        start, coded = end, coded + several
    return tuple(found)


def named(fields: Sequence[Field], name: str) -> Field:
    """The field with this name; raises ``InputError`` with the nearest names if there is none."""
    found = next((field for field in fields if field.name == name), None)
    if found is None:
        known = [field.name for field in fields]
        raise InputError(f'the model has no column "{name}"; {suggest(name, known)}')
    return found


def exchanged(x: Tensor, fields: Sequence[Field], order: Tensor) -> Tensor:
    """Rows whose ``fields`` come from other rows: those of row ``order[i]`` (rows,) in row i.

    Encoding takes each row and column by itself, so this is what the encoded rows would be if the
    columns of the raw table had been exchanged.
    """
    if not isinstance(x, Coded):
        result = x.clone()
        for field in fields:
            result[:, field.start : field.end] = x[order, field.start : field.end]
        return result
    numbers, codes = x.numbers.clone(), x.codes.clone()
    for field in fields:
        if field.code is not None:
            codes[:, field.code] = x.codes[order, field.code]
        else:
            inside = (x.places >= field.start) & (x.places < field.end)
            numbers[:, inside] = x.numbers[order][:, inside]
    return x.changed(numbers, codes)


def fixed(x: Tensor, field: Field, block: Array) -> Tensor:
    """Rows that all have the same value in ``field``: its encoded columns are ``block``
    (columns,)."""
    values = torch.from_numpy(block).to(x.dtype)
    if not isinstance(x, Coded):
        result = x.clone()
        result[:, field.start : field.end] = values
        return result
    numbers, codes = x.numbers.clone(), x.codes.clone()
    if field.code is not None:
        codes[:, field.code] = field.start + int(block.argmax()) if block.any() else x.width
    else:
        numbers[:, (x.places >= field.start) & (x.places < field.end)] = values
    return x.changed(numbers, codes)


def alike(x: Tensor, fields: Sequence[Field], strong: float = STRONG) -> list[tuple[Field, ...]]:
    """The fields in groups: those that are strongly correlated with each other are together, in the
    order of their first field.

    A model can take what it needs from either of two such columns, so exchanging one alone says
    little. Groups are those of complete linkage: any two fields of a group have an ``association``
    of at least ``strong``.
    """
    near = association(x, fields)
    np.fill_diagonal(near, 0.0)
    groups: list[list[int]] = [[place] for place in range(len(fields))]
    while len(groups) > 1:
        one, other = sorted(np.unravel_index(near.argmax(), near.shape))
        if near[one, other] < strong:
            break
        near[one] = near[:, one] = np.minimum(near[one], near[other])
        near[one, one] = 0.0
        near = np.delete(np.delete(near, other, 0), other, 1)
        groups[one] += groups.pop(other)
    return [tuple(fields[place] for place in sorted(group)) for group in groups]


def association(x: Tensor, fields: Sequence[Field]) -> Array:
    """How strongly each two fields are associated, 0 to 1, symmetric (fields, fields).

    Numbers, booleans and dates: the absolute value of Spearman's rank correlation (of dates that of
    the parts that are most alike). Two categories: Cramér's V without its bias (Bergsma 2013, "A
    bias-correction for Cramér's V and Tschuprow's T", J. Korean Stat. Soc. 42, 323-328). A category
    and a number: the correlation ratio of the number's ranks without its bias (Kelley 1935, "An
    unbiased correlation ratio measure", PNAS 21, 554-559).
    """
    rows = x[:: -(-len(x) // MOST_RANKED)]
    names = [place for place, field in enumerate(fields) if field.kind == "category"]
    result = np.zeros((len(fields), len(fields)))
    ranks, owner = _ranks(rows, fields)
    if len(owner):
        near = np.abs(ranks.T @ ranks)
        for one, other in np.argwhere(near > 0):
            places = owner[one], owner[other]
            result[places] = max(result[places], min(1.0, near[one, other]))
    codes = {place: fields[place].codes(rows) for place in names}
    for at, place in enumerate(names):
        ratios = _ratios(codes[place], ranks)
        for part, ratio in enumerate(ratios.tolist()):
            here = place, owner[part]
            result[here] = result[here[::-1]] = max(result[here], ratio)
        for other in names[:at]:
            v = _cramer(codes[place], codes[other])
            result[place, other] = result[other, place] = v
    np.fill_diagonal(result, 1.0)
    return result


def _ranks(x: Tensor, fields: Sequence[Field]) -> tuple[Array, list[int]]:
    """The ranks of all numbers, each column with mean 0 and length 1 (rows, parts), and the number
    of the field of each part; constant columns are 0."""
    parts, owner = [], []
    for place, field in enumerate(fields):
        if field.kind != "category":
            for part in field.numbers(x).T:
                _, at, counts = np.unique(part, return_inverse=True, return_counts=True)
                parts.append((counts.cumsum() - counts / 2)[at])  # equal numbers share a rank
                owner.append(place)
    if not parts:
        return np.zeros((len(x), 0)), []
    ranks = np.column_stack(parts)
    ranks -= ranks.mean(0)
    length = np.sqrt((ranks**2).sum(0))
    return ranks / np.where(length > 0, length, 1.0), owner


def _ratios(codes: Array, ranks: Array) -> Array:
    """The correlation ratio of each column of ``ranks`` (rows, parts) by ``codes`` (rows,),
    (parts,)."""
    _, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
    rows, groups = len(codes), len(counts)
    if groups < 2 or rows <= groups or not ranks.shape[1]:
        return np.zeros(ranks.shape[1])
    sums = np.stack([np.bincount(place, part, groups) for part in ranks.T], 1)
    between = (sums**2 / counts[:, None]).sum(0)  # the whole is 1
    share = 1 - (1 - between) * (rows - 1) / (rows - groups)
    return np.where(ranks.any(0), np.sqrt(share.clip(0.0, 1.0)), 0.0)


def _cramer(one: Array, other: Array) -> float:
    """Cramér's V of two categories, codes (rows,) each, without its bias."""
    rows = len(one)
    _, one = np.unique(one, return_inverse=True)
    _, other = np.unique(other, return_inverse=True)
    r, c = int(one.max()) + 1, int(other.max()) + 1
    if min(r, c) < 2 or rows < 2:
        return 0.0
    table = np.bincount(one * c + other, minlength=r * c).reshape(r, c) / rows
    product = np.outer(table.sum(1), table.sum(0))
    phi = float(((table - product) ** 2 / product).sum())
    phi = max(0.0, phi - (r - 1) * (c - 1) / (rows - 1))
    least = min(r - (r - 1) ** 2 / (rows - 1), c - (c - 1) ** 2 / (rows - 1))
    return float(min(1.0, np.sqrt(phi / (least - 1)))) if least > 1 else 0.0
