"""The split of rows into training, validation and test."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from linnet.core.limits import MAX_FOLDS
from linnet.core.randomness import generator
from linnet.core.statistics import blocks
from linnet.errors import RecipeError

MIN_ROWS_TO_HOLD_OUT = 20
"""With fewer rows there is no split: a score on two or three rows would say nothing."""

MAX_VALID_ROWS = 10_000
"""The default validation part is a fifth of the training rows, but at most this many."""

MANY = 1 << 23
"""With more rows parts are drawn block by block, so that a byte a row is enough."""

BLOCK = 1 << 20
"""The rows of such a block."""

PARTS = {
    "train": 0, "training": 0,
    "valid": 1, "validation": 1, "val": 1, "dev": 1, "development": 1,
    "test": 2, "testing": 2,
}  # fmt: skip
"""The words for the parts, as values of a split column and as names of folders."""

NAMED = re.compile("(.+?)[ _-]?(?:set|data|split|images)?", re.DOTALL)
"""A word for a part, with what people write after it: ``test_set``, ``train-images``."""


def part_of(word: str) -> int | None:
    """The part that ``word`` names, in any case of letters: 0, 1 or 2 for train, valid and test."""
    match = NAMED.fullmatch(word.strip().lower())
    return None if match is None else PARTS.get(match[1])


class Split(NamedTuple):
    """Row numbers (int64, sorted) of the training, validation and test part, without overlap."""

    train: Tensor
    valid: Tensor
    test: Tensor


@dataclass(frozen=True)
class Division:
    """The split that a column of a table, or the folders of pictures, define, by its ``values``
    (rows,).

    Kind "split": 0, 1 or 2 for train, valid and test. Kind "group": the number of the row's group;
    each group stays in one part. Kind "time": the time of the row; each part is later than the one
    before, and rows of the same time stay together.
    """

    kind: Literal["split", "group", "time"]
    column: str
    values: Tensor

    def take(self, rows: Tensor) -> Division:
        """The division of these rows only."""
        return Division(self.kind, self.column, self.values[rows])

    def units(self) -> Units | None:
        """What of the rows is independent: groups, or blocks of consecutive times; None if each row
        is."""
        if self.kind == "split":
            return None
        values = self.values.cpu().numpy()
        codes = values if self.kind == "group" else blocks(values)
        return Units(self.kind, self.column, codes.astype(np.int64))


class Units(NamedTuple):
    """The group, or the block of consecutive times, of each row: ``codes`` (rows,), int64. Rows of
    one unit may depend on each other."""

    by: Literal["group", "time"]
    column: str
    codes: np.ndarray[Any, Any]

    @property
    def word(self) -> str:
        """The word for one unit: "group" or "block"."""
        return "group" if self.by == "group" else "block"

    def facts(self) -> dict[str, Any]:
        """On what intervals rest: the column, and the number of units."""
        return {"by": self.by, "column": self.column, "units": len(np.unique(self.codes))}


def split(
    codes: Tensor | None,
    rows: int,
    *,
    own: int,
    division: Division | None,
    test: float | int,
    valid: float | int | None,
    seed: int,
) -> Split:
    """Split ``rows`` rows by seed, stratified by the class ``codes`` (rows,) if there are any.

    The last ``own`` rows are the data's own test part; without one, ``test`` of the rows are drawn.
    The validation part is ``valid`` of the other rows. Both are fractions below 1 or numbers of
    rows; ``valid=None`` is the default. With fewer than ``MIN_ROWS_TO_HOLD_OUT`` rows there is no
    split, except by a division of kind "split"; a part that it lacks is drawn from its training
    rows.
    """
    if rows > MANY and (division is None or division.kind == "split"):
        return _of_many(codes, rows, own, division, test, valid, seed)
    everything = torch.arange(rows)
    train, test_rows = everything[: rows - own], everything[rows - own :]
    nothing = everything[:0]
    if division is not None and division.kind == "split":
        train, valid_rows, test_rows = (everything[division.values == part] for part in range(3))
        if len(train) < MIN_ROWS_TO_HOLD_OUT:
            return Split(train, valid_rows, test_rows)
        if not len(test_rows):
            train, test_rows = _hold_out(train, test, "test", codes, None, seed)
        if len(valid_rows):
            return Split(train, valid_rows, test_rows)
        division = None
    elif len(train) < MIN_ROWS_TO_HOLD_OUT:
        return Split(train, nothing, test_rows)
    elif not own:
        train, test_rows = _hold_out(train, test, "test", codes, division, seed)
    if valid is None:
        valid = min(round(0.2 * len(train)), MAX_VALID_ROWS)
    train, valid_rows = _hold_out(train, valid, "valid", codes, division, seed)
    return Split(train, valid_rows, test_rows)


def folds(
    codes: Tensor | None,
    rows: int,
    *,
    units: Tensor | None = None,
    copies: Tensor | None = None,
    k: int,
    seed: int,
    purpose: str,
) -> Tensor:
    """The fold of each row, 0 to k - 1, int8 (rows,), drawn by (``seed``, ``purpose``).

    Each class of ``codes`` (rows,) is spread as evenly as its rows allow. Rows with the same number
    in ``units`` (rows,), such as those of one group, or in ``copies`` (rows,), are in one fold. The
    largest such sets are placed first, each where it disturbs the balance of classes and sizes
    least; single rows then fill up what is missing. Without sets, the numbers of rows differ by at
    most 1 between folds, and so do those of each class.

    No fold is empty: fewer sets than folds raise ``RecipeError``.
    """
    place = _sets(rows, units, copies)
    sizes = np.bincount(place)
    if not 2 <= k <= min(MAX_FOLDS, len(sizes)):
        what = "different rows" if units is None else "different groups"
        raise RecipeError(
            f"{k} folds of {rows:,} rows: expected 2 to {MAX_FOLDS} folds, and no more than there "
            f"are {what} ({len(sizes):,})"
        )
    labels = np.zeros(rows, np.int64) if codes is None else codes.cpu().numpy()
    totals = np.bincount(labels)
    counts = np.zeros((k, len(totals)))  # rows of each class in each fold
    found = np.empty(rows, np.int8)
    drawn = torch.randperm(len(sizes), generator=generator(seed, "folds", purpose)).numpy()
    order = np.lexsort((drawn[place], -sizes[place]))  # the largest sets first
    alone = int((sizes == 1).sum())
    several, single = order[: rows - alone], order[rows - alone :]
    ends = np.flatnonzero(np.diff(place[several], append=-1)) + 1
    for members in np.split(several, ends)[:-1]:
        own, many = np.unique(labels[members], return_counts=True)
        classes = ((2 * counts[:, own] + many) * many / totals[own]).sum(1)
        whole = (2 * counts.sum(1) + len(members)) * len(members) / rows
        fold = int((classes + whole).argmin())  # the least growth of the sum of squares
        counts[fold, own] += many
        found[members] = fold
    for label in np.unique(labels[single]):
        members = single[labels[single] == label]
        level = counts[:, label, None] + np.arange(len(members))  # of each fold, row by row
        smaller = np.broadcast_to(counts.sum(1)[:, None], level.shape)
        lowest = np.lexsort((smaller.ravel(), level.ravel()))[: len(members)]
        found[members] = lowest // len(members)
        counts[:, label] += np.bincount(found[members], minlength=k)
    return torch.from_numpy(found)


def _sets(rows: int, *numbers: Tensor | None) -> np.ndarray[Any, Any]:
    """The number of the set of each row, from 0, (rows,): rows that share one of the ``numbers``
    (rows,) are in one set, and so are rows that are linked by others."""
    given = [
        np.unique(each.cpu().numpy(), return_inverse=True)[1]
        for each in numbers
        if each is not None
    ]
    found = np.arange(rows)
    while given:
        before = found
        for number in given:
            lowest = np.full(rows, rows)
            np.minimum.at(lowest, number, found)
            found = lowest[number]
        if (found == before).all():
            break
    return np.unique(found, return_inverse=True)[1]


def _hold_out(
    rows: Tensor,
    size: float | int,
    purpose: str,
    codes: Tensor | None,
    division: Division | None,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Split ``rows`` into (rest, part)."""
    count = _count(size, len(rows), purpose)
    draws = generator(seed, "split", purpose)
    if not count:
        return rows, rows[:0]
    if division is None:
        shuffled = rows[torch.randperm(len(rows), generator=draws)]
        out = shuffled[:count] if codes is None else _stratified(shuffled, codes, count)
    else:
        values, place, sizes = division.values[rows].unique(return_inverse=True, return_counts=True)
        if len(values) < 2:
            raise RecipeError(
                f"{division.kind}={division.column}: {len(values)} different value in the rows to "
                f"split; expected more, to set some aside for {purpose}"
            )
        if division.kind == "group":
            order = torch.randperm(len(values), generator=draws)
        else:
            order = torch.arange(len(values)).flip(0)  # the latest go into the part
        reached = sizes[order].cumsum(0)
        taken = int((reached - count).abs()[:-1].argmin()) + 1  # at least one group is left
        chosen = torch.zeros(len(values), dtype=torch.bool)
        chosen[order[:taken]] = True
        out = rows[chosen[place]]
    kept = torch.ones(int(rows.max()) + 1, dtype=torch.bool)
    kept[out] = False
    return rows[kept[rows]], out.sort().values


def _of_many(
    codes: Tensor | None,
    rows: int,
    own: int,
    division: Division | None,
    test: float | int,
    valid: float | int | None,
    seed: int,
) -> Split:
    """``split`` for very many rows: each block gives its share of each class."""
    part = torch.zeros(rows, dtype=torch.int8)
    part[rows - own :] = 2
    if division is not None:
        part = division.values.to(torch.int8, copy=True)
    if not own and not (part == 2).any():
        _mark(part, 2, test, "test", codes, seed)
    if not (part == 1).any():
        if valid is None:
            valid = min(round(0.2 * int((part == 0).sum())), MAX_VALID_ROWS)
        _mark(part, 1, valid, "valid", codes, seed)
    return Split(*((part == number).nonzero().flatten() for number in range(3)))


def _mark(
    part: Tensor, number: int, size: float | int, purpose: str, codes: Tensor | None, seed: int
) -> None:
    """Set ``number`` in ``part`` (rows,) for ``size`` of the rows that are 0 there: in each block
    as many of each class as make the right share of all rows so far."""

    def classes(start: int) -> tuple[Tensor, Tensor]:
        left = (part[start : start + BLOCK] == 0).nonzero().flatten() + start
        return left, torch.zeros_like(left) if codes is None else codes[left].long()

    blocks, most = range(0, len(part), BLOCK), 1 if codes is None else int(codes.max()) + 1
    sizes = sum(
        (torch.bincount(classes(start)[1], minlength=most) for start in blocks),
        torch.zeros(most, dtype=torch.int64),
    )
    take = _quota(sizes, _count(size, int(sizes.sum()), purpose), spare=codes is not None)
    passed, done = torch.zeros_like(sizes), torch.zeros_like(sizes)
    for start in blocks:
        left, own = classes(start)
        draws = generator(seed, "split", purpose, start)
        for code in own.unique().tolist():
            members = left[own == code]
            passed[code] += len(members)
            some = int(take[code] * passed[code] // sizes[code] - done[code])
            part[members[torch.randperm(len(members), generator=draws)[:some]]] = number
            done[code] += some


def _quota(sizes: Tensor, count: int, *, spare: bool = True) -> Tensor:
    """How many of ``count`` rows each class of these sizes gives (classes,); with ``spare`` one row
    of every class is left."""
    quota = sizes.double() * count / sizes.sum()
    take = quota.floor().long()
    order = torch.argsort(quota - take, descending=True, stable=True)
    take[order[: count - int(take.sum())]] += 1
    return torch.minimum(take, (sizes - 1).clamp(min=0)) if spare else take


def _stratified(shuffled: Tensor, codes: Tensor, count: int) -> Tensor:
    """``count`` of the rows, with each class in proportion; one row of every class is left."""
    codes = codes[shuffled]
    sizes = torch.bincount(codes)
    take = _quota(sizes, count)
    by_class = shuffled[torch.argsort(codes, stable=True)]
    starts = sizes.cumsum(0) - sizes
    return torch.cat(
        [by_class[s : s + t] for s, t in zip(starts.tolist(), take.tolist(), strict=True)]
    )


def _count(size: float | int, rows: int, name: str) -> int:
    """``size``, a fraction below 1 or a number of rows, as a number of rows; rounded up, as
    scikit-learn does."""
    count = math.ceil(size * rows - 1e-9) if size < 1 else int(size)
    if size < 0 or count >= rows:
        raise RecipeError(
            f"{name}={size} of {rows:,} rows leaves none to train on; give a fraction below 1, or "
            "a number of rows below that"
        )
    return count
