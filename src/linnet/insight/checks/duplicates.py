"""Duplicate rows and pictures: within a part, in two parts, under two labels."""

from __future__ import annotations

import numpy as np
import torch

from linnet.core.text import counted, listed
from linnet.data.dataset import Dataset
from linnet.data.split import Split
from linnet.insight.checks._look import CHANCE, Array, features, sample
from linnet.insight.checks.finding import Finding

BLOCK = 1 << 17
"""The words that are hashed together, so that they stay in the cache."""

SPOILED = 0.01
"""A larger share of copies among test rows changes more than the last digit of a score."""

TOGETHER = 100
"""Dependent columns make at most this many times as many equal rows as independent columns: 12
times on Titanic's passengers, 21 times on Adult without fnlwgt (measured)."""

TRIED = 10_000
"""The rows that give the frequencies of values, and the rows whose chance is computed."""


def duplicates(data: Dataset, split: Split | None) -> list[Finding]:
    """Duplicates, found by a 64-bit hash of each row.

    The probability that two different rows among n have the same hash is n^2 / 2^65: 3e-8 for a
    million. Rows with few possible values repeat by chance; only more copies than that are a
    warning.
    """
    examples = keys(_words_of(data.x.detach().cpu().numpy()))
    if not _repeats(examples):
        return []
    whole = examples
    if data.y.numel():
        y = keys(_words_of(data.y.detach().cpu().numpy()))
        whole = keys(np.stack([examples, y], 1))
    group, first = _groups(whole)
    found = [] if split is None else _across(data, split, group, first)
    found += _labelled_twice(data, examples)
    if len(first) < len(group):
        found.append(_within(data, group, first))
    return found


def _within(data: Dataset, group: Array, first: Array) -> Finding:
    twins = first[group]
    copies = np.nonzero(twins != np.arange(len(twins)))[0]
    shown = listed([f"{row} is {twins[row]}" for row in copies[:4]], 3)
    count, each = len(copies), _example(data)
    target = ", including the target" if data.y.numel() else ""
    return Finding(
        f"{count:,} of {counted(len(data), each)} {'repeats' if count == 1 else 'repeat'} an "
        f"earlier one{target}",
        f"remove them, unless they are independent {each}s that happen to be equal",
        "note",
        where=f"{each}s, counted from 0 among those used: {shown}",
        count=count,
        why="duplicates count twice and may be in both training and test",
    )


def _across(data: Dataset, split: Split, group: Array, first: Array) -> list[Finding]:
    """Validation and test rows that are copies of training rows."""
    train, valid, test = (rows.numpy() for rows in split)
    both = "training or validation" if len(valid) else "training"
    target = ", including the target" if data.y.numel() else ""
    together = ", or split so that copies stay together (group=COLUMN)"
    together = together if data.schema.example == "record" else ""
    found = []
    for name, rows, others, known in (
        ("test", test, both, np.concatenate([train, valid])),
        ("validation", valid, "training", train),
    ):
        there = np.zeros(len(first), dtype=bool)
        there[group[known]] = True
        copies = rows[there[group[rows]]]
        count, each = len(copies), _example(data)
        if not count:
            continue
        few = count <= SPOILED * len(rows)
        chance = few or _by_chance(data, count, rows, first[there])
        if few:
            why = "so few hardly change a score"
        elif chance:
            why = "with such values, as many rows are equal by chance"
        else:
            why = "a model may have memorised them, so its score there is too good"
        found.append(
            Finding(
                f"{count:,} of {counted(len(rows), f'{name} {each}')} "
                f"{'is' if count == 1 else 'are'} in {others} too{target}",
                f"nothing to do, if they are independent {each}s"
                if chance
                else f"remove the copies{together}",
                "note" if chance else "warning",
                where=f"{name} part; {each}s, counted from 0 among those used: {listed(copies, 5)}",
                count=count,
                why=why,
            )
        )
    return found


def _labelled_twice(data: Dataset, examples: Array) -> list[Finding]:
    """The same example under two classes."""
    if data.schema.task != "classification" or data.soft or not data.y.numel():
        return []
    group, first = _groups(examples)
    codes = data.y.numpy()
    torn = np.zeros(len(first), dtype=bool)
    torn[group[codes != codes[first[group]]]] = True
    rows = np.nonzero(torn[group])[0]
    if not len(rows):
        return []
    one = int(first[group[rows[0]]])
    other = int(rows[(group[rows] == group[one]) & (codes[rows] != codes[one])][0])
    names, each = data.schema.names, _example(data)
    picture = data.schema.example == "picture"
    grave = picture or (
        len(rows) > SPOILED * len(data)
        and not _by_chance(data, len(rows), np.arange(len(data)), first)
    )
    return [
        Finding(
            f"{counted(len(rows), each)} of {len(data):,} are equal to a {each} of another class: "
            f"{one} is {names[codes[one]]!r} and {other} is {names[codes[other]]!r}",
            "look at them, and correct or remove those with a wrong label"
            if grave
            else "nothing to do, if the class also depends on things that are not in the columns",
            "warning" if grave else "note",
            where=f"{each}s, counted from 0 among those used: {listed(rows, 5)}",
            count=len(rows),
            why="no model can be right about both",
        )
    ]


def _example(data: Dataset) -> str:
    return "picture" if data.schema.example == "picture" else "row"


def _by_chance(data: Dataset, count: int, rows: Array, others: Array) -> bool:
    """Whether chance can explain that ``count`` of ``rows`` are equal to one of ``others``.

    The expected number assumes independent columns, with the frequencies of their values among
    different rows; for a value without a frequency, the probability that two rows have the same
    value. The number of equal rows is then Poisson distributed, with ``TOGETHER`` times that mean.
    For pictures none is expected.
    """
    if data.schema.example == "picture":
        return False
    total, rows = len(rows), rows[sample(len(rows), TRIED)]
    drawn = others[sample(len(others), TRIED)]
    expected = np.full(len(rows), float(len(others)))
    for feature in features(data):
        there, here = (
            np.where(np.isnan(values), np.inf, values)
            for values in (np.sort(feature.values[drawn]), feature.values[rows])
        )
        times = np.searchsorted(there, here, "right") - np.searchsorted(there, here, "left") - 1
        _, counts = np.unique(there, return_counts=True)
        pairs = len(drawn) * (len(drawn) - 1) / 2
        alike = (float(counts @ (counts - 1)) / 2 + 1) / (pairs + 1)
        unseen = min(1 / len(drawn), alike)
        expected *= np.where(times > 0, times / len(drawn), unseen)
    mean = TOGETHER * float(np.minimum(expected, 1).mean()) * total
    tail = torch.special.gammainc(torch.tensor(float(count)).double(), torch.tensor(mean).double())
    return bool(tail > CHANCE)


def keys(words: Array) -> Array:
    """A hash (rows,) of ``words`` (rows, words), bytes or 64-bit numbers.

    Each word is mixed by shifts and odd factors that depend on its position. This is invertible, so
    it loses nothing. The hash is the sum modulo 2^64.
    """
    rows, width = words.shape
    if words.dtype == np.uint8:
        width = -(-width // 8)
    draws = np.random.default_rng(width)
    one, two = draws.integers(0, 2**64, (2, width), dtype=np.uint64) | np.uint64(1)
    half = np.uint64(32)
    result = np.empty(rows, np.uint64)
    step = max(1, BLOCK // max(1, width))
    for start in range(0, rows, step):
        mixed = _as_64_bits(words[start : start + step])
        mixed = mixed ^ (mixed >> half)
        mixed *= one
        mixed ^= mixed >> half
        mixed *= two
        mixed ^= mixed >> half
        result[start : start + step] = mixed.sum(axis=1, dtype=np.uint64)
    return result


def _words_of(values: Array) -> Array:
    return values.reshape(len(values), -1) if values.ndim != 2 else values


def _as_64_bits(block: Array) -> Array:
    """The bits of numbers as 64-bit words, with one form of 0 (for -0) and of NaN."""
    if block.dtype == np.uint8:
        spare = -block.shape[1] % 8
        padded = np.pad(block, ((0, 0), (0, spare))) if spare else np.ascontiguousarray(block)
        return padded.view(np.uint64)
    if block.dtype.kind == "f":
        block = block.astype(np.float64) + 0.0
        block[np.isnan(block)] = np.nan
    return block.view(np.uint64)


def _repeats(keys: Array) -> bool:
    ordered = np.sort(keys)
    return bool((ordered[1:] == ordered[:-1]).any())


def _groups(keys: Array) -> tuple[Array, Array]:
    """The group (rows,) of equal keys for each row, and the first row of each group."""
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return group, first
