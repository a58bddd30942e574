"""One run for each combination of settings."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnet.core import registry
from linnet.errors import Diverged, InputError
from linnet.experiment.train import named, train
from linnet.fit.recipe import Recipe
from linnet.fit.settings import sweep as combinations
from linnet.runs.archive import run_place
from linnet.runs.lineage import inherited
from linnet.runs.resume import recipe_of
from linnet.runs.run import Run


@dataclass
class Trial:
    """One run of a sweep: the ``settings`` in which it differs from the others, and the result: a
    ``run``, or an ``error`` if the loss was no longer finite."""

    settings: dict[str, Any]
    recipe: Recipe
    run: Run | None = None
    error: Diverged | None = None

    @property
    def name(self) -> str:
        """The settings as the name of its folder: "lr=0.01,epochs=5"."""
        found = ",".join(f"{key}={value}" for key, value in self.settings.items())
        return found.replace("/", "_") or "run"

    @property
    def valid(self) -> dict[str, Any]:
        """The validation scores of the chosen model; none without a run or validation rows."""
        if self.run is None:
            return {}
        scores: dict[str, Any] = self.run.metrics["models"][self.run.chosen].get("valid", {})
        return scores


def trials(settings: dict[str, Any], source: str = "recipe") -> list[Trial]:
    """A trial for each combination of values, where a setting that takes one value has a list of
    them; errors name ``source``."""
    recipes = [Recipe.make(each, source) for each in combinations(settings)]
    plain = [recipe.plain() for recipe in recipes]
    differ = [key for key in settings if any(p[key] != plain[0][key] for p in plain)]
    return [
        Trial({key: p[key] for key in differ}, recipe)
        for p, recipe in zip(plain, recipes, strict=True)
    ]


def sweep(
    data: Any = None,
    *,
    out: str | os.PathLike[str] | None = None,
    tell: Callable[[Trial], None] | None = None,
    among: list[Trial] | None = None,
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> list[Trial]:
    """Train once for each combination of the ``settings`` that are lists: ``lr=[1e-3, 1e-2]``.

    Returns the trials: the lowest validation loss first, trials that diverged last. The trials are
    compared on validation rows; read the test scores of the first one only. ``data`` is as in
    ``linnet.train``. ``out`` is the folder for the runs' folders, by default ``runs/``. ``tell`` is
    called with each trial before it begins and after it has ended. ``options`` are further
    arguments of ``linnet.train``, such as ``{"to": ["mlflow"]}``. ``among`` are trials to run
    instead of the combinations of ``settings``.
    """
    if among is not None and settings:
        raise InputError(f"sweep: give either among or settings ({', '.join(settings)})")
    for key in {"data", "recipe", "out", "resume"} & (options or {}).keys():
        raise InputError(f"sweep: {key} cannot be among options: each trial is a run of its own")
    registry.allow(named(settings))
    parent = (options or {}).get("parent")
    usual = {} if parent is None else inherited(recipe_of(run_place(Path(parent))))
    tried = trials({**usual, **settings}) if among is None else among
    given = dict(options or {})
    for trial in tried:
        if tell is not None:
            tell(trial)
        where = None if out is None else Path(out) / trial.name
        try:
            trial.run = train(data, trial.recipe, out=where, **given)
        except Diverged as error:
            trial.error = error
        given.pop("view", None)  # the page of the first trial shows the others too
        if tell is not None:
            tell(trial)
    return sorted(tried, key=lambda trial: trial.valid.get("loss", math.inf))
