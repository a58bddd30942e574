"""Duplicate rows and pictures: within a part, in two parts, under two labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from linnet.core.text import counted, listed
from linnet.data.dataset import Dataset
from linnet.data.fingerprints import TOGETHER
from linnet.data.split import Split
from linnet.insight.checks._look import CHANCE, Array, features, sample
from linnet.insight.checks.finding import Finding

BLOCK = 1 << 17
"""The words that are hashed together, so that they stay in the cache."""

SPOILED = 0.01
"""A larger share of copies among test rows changes more than the last digit of a score."""

MANY = 0.25
"""That dependent columns explain a larger share of copies is not taken for granted: several rows of
one person do so as well."""

SATURATED = 1.25
"""A larger share is no more than chance if independent columns of so few values would make almost
as many: at most this many times fewer."""

NEAR, NEAR_COLUMNS = 10_000_000, 200
"""Rows that are equal but for one column are not looked for among more numbers than this, nor among
more columns: each column takes a look at all rows."""

TRIED = 10_000
"""The rows that give the frequencies of values, and the rows whose chance is computed."""


def duplicates(data: Dataset, split: Split | None) -> list[Finding]:
    """Duplicates, found by a 64-bit hash of each row, and rows of two parts that are equal in all
    columns but one.

    The probability that two different rows among n have the same hash is n^2 / 2^65: 3e-8 for a
    million. Rows with few possible values repeat by chance; only more copies than that are a
    warning.
    """
    examples = keys(_words_of(data.x.detach().cpu().numpy()))
    near = [] if split is None else _near(data, split, examples)
    if not _repeats(examples):
        return near
    whole = examples
    if data.y.numel():
        y = keys(_words_of(data.y.detach().cpu().numpy()))
        whole = keys(np.stack([examples, y], 1))
    group, first = _groups(whole)
    found = [] if split is None else _across(data, split, group, first)
    if not any(finding.severity == "warning" for finding in found):
        found += near
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
        mean = 0.0 if few else _by_chance(data, rows, first[there])
        chance = few or _explains(TOGETHER * mean, count)
        many = count > MANY * len(rows) and count > SATURATED * mean
        if few:
            why = "so few hardly change a score"
        elif chance and many:
            why = (
                "if they are of one person or thing, a model may have memorised it, and its score "
            )
            why += "there is too good"
        elif chance:
            why = "rows with so few possible values are often equal by chance"
        else:
            why = "a model may have memorised them, so its score there is too good"
        share = "" if few else f" ({100 * count / len(rows):.0f} %)"
        independent = f"nothing to do, if they are independent {each}s; if not, "
        found.append(
            Finding(
                f"{count:,} of {counted(len(rows), f'{name} {each}')}{share} "
                f"{'is' if count == 1 else 'are'} in {others} too{target}",
                (independent if chance else "") + _together(data),
                "note" if chance and not many else "warning",
                where=f"{name} part; {each}s, counted from 0 among those used: {listed(copies, 5)}",
                count=count,
                why=why,
            )
        )
    return found


def _together(data: Dataset) -> str:
    """The remedy for copies in two parts."""
    if data.schema.example != "record" or (data.division and data.division.kind == "group"):
        return "remove the copies"
    return "remove the copies, or keep the rows of one person or thing in one part (group=COLUMN)"


def _near(data: Dataset, split: Split, examples: Array) -> list[Finding]:
    """Test rows that are equal to a row of another part but for the target, or but for one column,
    such as a date: they may be of one person or thing. Only the case with the most rows is told."""
    known = np.concatenate([split.train.numpy(), split.valid.numpy()])
    rows = split.test.numpy()[sample(len(split.test), TRIED)]
    x = data.x.detach().cpu().numpy()
    if data.schema.example == "picture" or not len(rows):
        return []
    equal = int(np.isin(examples[rows], examples[known]).sum())
    cases: list[tuple[int, int | None, Array]] = [(equal, None, examples)]
    if not data.y.numel():
        cases = [(0, None, examples)]
    if 1 < x.shape[1] <= NEAR_COLUMNS and x.size <= NEAR:
        for column, words in enumerate(_mixed_columns(x)):
            others = examples - words
            cases.append((int(np.isin(others[rows], others[known]).sum()), column, others))
    most = max(cases, key=lambda case: case[0])
    count, index, rest = cases[0] if 2 * cases[0][0] > most[0] else most
    there = np.unique(rest[known], return_index=True)[1]
    if count <= MANY * len(rows) or _explains(
        TOGETHER * _by_chance(data, rows, known[there], without=index), count
    ):
        return []
    but = "the target" if index is None else f"the column {data.schema.columns[index]!r}"
    return [
        Finding(
            f"{count:,} of {counted(len(rows), 'test row')} ({100 * count / len(rows):.0f} %) "
            f"{'is' if count == 1 else 'are'} equal to a training or validation row in all but "
            f"{but}",
            _together(data),
            where="test part; rows, counted from 0 among those used: "
            + listed(rows[np.isin(rest[rows], rest[known])], 5),
            count=count,
            why="they may be of one person or thing, which a model may have memorised, so its "
            "score there is too good",
        )
    ]


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
        and not _explains(TOGETHER * _by_chance(data, np.arange(len(data)), first), len(rows))
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


def _by_chance(data: Dataset, rows: Array, others: Array, without: int | None = None) -> float:
    """How many of ``rows`` would be equal to one of ``others`` by chance, in all columns or in all
    but the column ``without``.

    The expected number assumes independent columns, with the frequencies of their values among
    different rows; for a value without a frequency, the probability that two rows have the same
    value. For pictures none is expected.
    """
    if data.schema.example == "picture":
        return 0.0
    total, rows = len(rows), rows[sample(len(rows), TRIED)]
    drawn = others[sample(len(others), TRIED)]
    expected = np.full(len(rows), float(len(others)))
    for index, feature in enumerate(features(data)):
        if index == without:
            continue
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
    return float(np.minimum(expected, 1).mean()) * total


def _explains(mean: float, count: int) -> bool:
    """Whether chance can explain ``count`` equal rows, as a Poisson number with this mean."""
    if not mean:
        return not count
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
    factors = _factors(width)
    result = np.empty(rows, np.uint64)
    step = max(1, BLOCK // max(1, width))
    for start in range(0, rows, step):
        block = _mix(_as_64_bits(words[start : start + step]), factors)
        result[start : start + step] = block.sum(axis=1, dtype=np.uint64)
    return result


def _factors(width: int) -> Array:
    """Two odd factors (2, width) for each word."""
    draws = np.random.default_rng(width)
    return draws.integers(0, 2**64, (2, width), dtype=np.uint64) | np.uint64(1)


def _mix(words: Array, factors: Array) -> Array:
    half = np.uint64(32)
    mixed = words ^ (words >> half)
    mixed *= factors[0]
    mixed ^= mixed >> half
    mixed *= factors[1]
    mixed ^= mixed >> half
    return np.asarray(mixed)


def _mixed_columns(x: Array) -> Iterator[Array]:
    """What each column (rows,) adds to the hashes of ``keys``."""
    factors = _factors(x.shape[1])
    for index in range(x.shape[1]):
        column = _as_64_bits(np.ascontiguousarray(x[:, index : index + 1]))
        yield _mix(column, factors[:, index : index + 1])[:, 0]


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
