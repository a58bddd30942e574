"""Compare runs: their settings and their scores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linnet.core import files
from linnet.core.files import Place
from linnet.errors import InputError
from linnet.runs import archive
from linnet.runs.query import COMPARED, facts
from linnet.runs.run import Run


def compare(*runs: Run | str | os.PathLike[str]) -> dict[str, list[Any]]:
    """The settings in which the recipes of runs differ, and the scores: for each key a value of
    each run.

    A run is a ``Run``, its folder or its zip. Raises ``InputError`` for fewer than two.
    """
    if len(runs) < 2:
        raise InputError("name two or more runs to compare")
    return dict(differing([_place(run) for run in runs]))


def _place(run: Run | str | os.PathLike[str]) -> Place:
    if isinstance(run, Run):
        return run.place
    place = archive.run_place(Path(run))
    if not Path(run).exists():
        raise InputError(f"there is no run {run}")
    return place


def differing(runs: Sequence[Place]) -> list[tuple[str, list[Any]]]:
    """Each key of the recipes in which the runs differ, and each score, with a value per run."""
    rows = [facts(path) for path in runs]
    recipes = [
        {k: v for k, v in row.items() if "." not in k and k not in (*COMPARED, "name", "created")}
        for row in rows
    ]
    keys = list(dict.fromkeys(key for recipe in recipes for key in recipe))
    unlike = [key for key in keys if len({files.dumps(r.get(key)) for r in recipes}) > 1]
    shown = [key for key in COMPARED if any(key in row for row in rows)]
    return [(key, [row.get(key) for row in rows]) for key in (*unlike, *shown)]
