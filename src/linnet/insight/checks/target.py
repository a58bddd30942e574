"""Checks of the target itself: rare classes, and classes that are not in training."""

from __future__ import annotations

import torch

from linnet.core.text import counted, listed
from linnet.data.dataset import Dataset
from linnet.data.split import Split
from linnet.insight.checks._look import quoted
from linnet.insight.checks.finding import Finding

RARE = 0.02
"""A class with less than this share of an equal part is a warning: of two, one below 1 %."""

UNEVEN = 0.2
"""A class with less than this share of an equal part is a note: of two, one below 10 %."""


def target(data: Dataset, split: Split | None) -> list[Finding]:
    """Findings about classes; numbers have none."""
    if data.schema.task != "classification" or not data.y.numel():
        return []
    codes, names = data.codes.cpu(), data.schema.names
    return [*_unknown(codes, names, split), *_uneven(codes, names)]


def _unknown(codes: torch.Tensor, names: tuple[str, ...], split: Split | None) -> list[Finding]:
    """Classes of validation and test rows that no training row has."""
    found: list[Finding] = []
    if split is None or not len(split.train):
        return found
    learned = torch.bincount(codes[split.train], minlength=len(names)) > 0
    for part, rows in (("test", split.test), ("validation", split.valid)):
        counts = torch.bincount(codes[rows], minlength=len(names)).masked_fill(learned, 0)
        count = int(counts.sum())
        if not count:
            continue
        classes = [names[code] for code in counts.nonzero().flatten().tolist()]
        found.append(
            Finding(
                f"{count:,} of {counted(len(rows), f'{part} row')} are of "
                f"{'a class' if len(classes) == 1 else f'{len(classes):,} classes'} that training "
                f"lacks: {quoted(classes)}",
                "split the rows in another way, or leave such rows out",
                where=f"{part} part",
                count=count,
                why="no model can predict a class that was not in training",
            )
        )
    return found


def _uneven(codes: torch.Tensor, names: tuple[str, ...]) -> list[Finding]:
    counts = torch.bincount(codes, minlength=len(names))
    total, even = int(counts.sum()), float(counts.sum()) / len(names)
    few = ((counts > 0) & (counts < UNEVEN * even)).nonzero().flatten()
    if not len(few):
        return []
    few = few[counts[few].argsort(stable=True)]
    rare = [code for code in few.tolist() if counts[code] < RARE * even]
    codes_ = rare or few.tolist()
    largest = int(counts.argmax())
    share = 100 * int(counts[largest]) / total
    shown = listed([f"{names[c]!r} {counts[c]:,}" for c in codes_[:6]], 5)
    return [
        Finding(
            f"{counted(len(codes_), 'class')} with few of the {total:,} rows: {shown}",
            "look at the recall of each class, and set class_weight=balanced if all classes matter "
            "equally",
            "warning" if rare else "note",
            where=f"{'class' if len(codes_) == 1 else 'classes'} "
            f"{quoted([names[c] for c in codes_])}",
            count=len(codes_),
            why=f"always predicting {names[largest]!r} is right for {share:.4g} % of the rows, so "
            "accuracy says little about the others",
        )
    ]
