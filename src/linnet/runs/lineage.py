"""No run tests on rows that its weights have seen, also if they come from another run.

A run keeps a fingerprint of each row by its part (``rows.safetensors``), together with those of the
rows on which the runs before it were trained, or by which they chose. A run that starts from its
weights has the same parts if its data is the same. On other data:

- parts that are drawn at random: a row that is known stays in its part, and new rows are drawn;
- parts that the data gives (a column of parts, groups or times, an own test part): a row that the
  weights have seen goes from the test into the training part, with all rows of its group.

A run that goes on keeps its parts as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from linnet.core import files
from linnet.core.files import Place
from linnet.core.language import marked
from linnet.core.text import counted
from linnet.data.dataset import Dataset
from linnet.data.fingerprints import fingerprints
from linnet.data.read import read_draft
from linnet.data.schema import Schema
from linnet.data.split import Split
from linnet.errors import DataError, InputError, RecipeError
from linnet.fit.artifact import read_manifest
from linnet.fit.prepare import Divided, divide, drawn
from linnet.fit.recipe import AUTO, FOLDS, Recipe
from linnet.insight.checks.finding import Finding
from linnet.networks import BASELINE
from linnet.runs import directory
from linnet.runs.resume import DIVIDING, recipe_of
from linnet.runs.run import Run

UNTESTED = marked(
    "The weights that this run starts from have seen every row that was set aside for the test: no "
    "score is claimed. Test it on other rows: linnet evaluate RUN DATA."
)
"""The verdict on a run that no row is left to test."""


def inherited(recipe: Recipe) -> dict[str, Any]:
    """The settings that a run takes over from a run with this recipe; its data and its held-out
    rows are found anew."""
    alone = ("data", "valid", "folds", *(["test"] if recipe.test == FOLDS else []))
    return {key: value for key, value in recipe.plain().items() if key not in alone}


MOST_ROWS = 1 << 23
"""A run with more rows keeps no fingerprints of them, and none can start from its weights."""


class Inherited(Finding):
    """A finding about rows that the weights of the parent run have seen."""


class Untested(Inherited):
    """They have seen every row: none is left to test."""


PARTS = ("train", "valid", "test")

SHAPES = ("widths", "channels", "batch_norm")
"""Settings that change the shapes of a network's weights."""


@dataclass(frozen=True)
class Rows:
    """The fingerprints of the rows of a run by part, int64 (rows,), sorted: those that its weights,
    or weights before them, were trained on, those that chose among them, and those that tested
    them."""

    train: Tensor
    valid: Tensor
    test: Tensor

    @classmethod
    def of(cls, data: Dataset, parts: Mapping[str, Tensor], before: Rows | None = None) -> Rows:
        """The rows of a run that started from the weights of the run with the rows ``before``."""
        found = fingerprints(data)
        train, valid, test = (found[parts[part]] for part in PARTS)
        if before is not None:
            train, valid = torch.cat([train, before.train]), torch.cat([valid, before.valid])
        return cls(train.unique(), valid.unique(), test.unique())

    @classmethod
    def read(cls, place: Place) -> Rows | None:
        """Those of the run in ``place``; None if it keeps none."""
        path = place / directory.ROWS
        if not path.is_file():
            return None
        found = directory.read_tensors(path)
        whole = all(rows.dtype == torch.int64 and rows.dim() == 1 for rows in found.values())
        if set(found) != set(PARTS) or not whole:
            raise InputError(f"{path}: expected the fingerprints of rows, train, valid and test")
        return cls(**found)

    def write(self, place: Path) -> None:
        """Write them into the run in ``place``: eight bytes a row."""
        tensors = {part: getattr(self, part) for part in PARTS}
        files.write(place / directory.ROWS, save(tensors, {"linnet": '{"format":1}'}))

    def among(self, data: Dataset) -> Tensor:
        """For each row of ``data`` the number of its part in ``PARTS``, -1 if it is in none, int64
        (rows,). A row that is in several, such as a copy, counts for the first."""
        rows = fingerprints(data).numpy()
        found = torch.full((len(rows),), -1)
        for number, part in reversed(list(enumerate(PARTS))):
            found[torch.from_numpy(np.isin(rows, getattr(self, part).numpy()))] = number
        return found


@dataclass(frozen=True)
class Origin:
    """The run from whose weights another one starts."""

    run: Run

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of the run."""
        return recipe_of(self.run.place)

    @cached_property
    def schema(self) -> Schema:
        """The schema of its models."""
        return read_manifest(self.run.place / f"{self.run.chosen}.safetensors").schema_

    @cached_property
    def rows(self) -> Rows:
        """The rows of the run."""
        found = Rows.read(self.run.place)
        if found is None:
            raise InputError(
                f"{self.run.path} holds no {directory.ROWS}, so nothing says which rows its "
                f"weights have seen; train it again, with at most {MOST_ROWS:,} rows"
            )
        return found

    def divide(self, place: Any, recipe: Recipe) -> Divided:
        """Read the data and split its rows; see the module."""
        self._start(recipe)
        if recipe.store is not None:
            raise RecipeError(
                f"store={recipe.store}: a run that starts from the weights of another one encodes "
                "its rows as that one, in memory; leave store out"
            )
        draft = read_draft(place, recipe)
        data = self._same(draft)
        if data is not None:
            split = Split(**self.run.split())
            self._agree(recipe, split)
            words = f"the rows are divided as in {self.run.path}, whose weights it starts from"
            note = Inherited(words, "so no row changes from training to test", "note")
            return Divided(draft, split, data, (note,))
        if self.schema.fields:
            draft = read_draft(place, self.schema.reading(recipe))
        data = self._conform(draft)
        known = self.rows.among(data)
        if draft.division is None and not draft.test_rows:
            split, moved = keep_sides(draft, recipe, known), 0
        else:
            split, moved = keep_apart(draft, drawn(draft, recipe), known)
        return Divided(draft, split, data, self._told(draft, split, known, moved))

    def _start(self, recipe: Recipe) -> None:
        """Raise ``InputError`` if no model of ``recipe`` can start from the run's weights."""
        known = [name for name in self.run.scores.models if name != BASELINE]
        if recipe.model != (AUTO,) and not set(known) & set(recipe.model):
            raise InputError(
                f"{self.run.path} has no model {' or '.join(recipe.model)} to start from; it has "
                f"{', '.join(known)}: name one of these, or train without a parent"
            )
        plain = recipe.plain()
        for name in set(known) & set(recipe.model):
            spec = read_manifest(self.run.place / f"{name}.safetensors").network
            spec = spec.get("member", spec)  # type: ignore[assignment]
            for key in SHAPES:
                if key in spec and plain[key] not in ("auto", spec[key]):
                    raise RecipeError(
                        f"{key}={plain[key]}: the weights of {self.run.path} that {name} starts "
                        f"from are of another network, with {key}={spec[key]}; leave it out, or "
                        "train without a parent"
                    )
        if recipe.scaling not in ("auto", self.recipe.scaling):
            raise RecipeError(
                f"scaling={recipe.scaling}: the scaling of inputs belongs to the weights that the "
                f"run starts from, and is {self.recipe.scaling} there; leave it out, or train "
                "without a parent"
            )

    def _same(self, draft: Dataset) -> Dataset | None:
        """The encoded data if it is the data of the run; else None."""
        about, split = self.run.info.get("data", {}), self.run.split()
        if about.get("rows") != len(draft) or any(
            len(rows) and int(rows.max()) >= len(draft) for rows in split.values()
        ):
            return None
        try:
            data = draft.conform(self.schema)
        except DataError:
            return None
        return data if data.fingerprint() == about.get("fingerprint") else None

    def _agree(self, recipe: Recipe, split: Split) -> None:
        """Raise ``RecipeError`` if ``recipe`` asks for another division of the same rows."""
        before = self.recipe
        for key in DIVIDING:
            given, there = getattr(recipe, key), getattr(before, key)
            if key == "folds" or there == FOLDS:  # none are drawn; or all rows were trained on
                continue
            same = ("auto", len(split.valid), there) if key == "valid" else (there,)
            if given not in same:
                raise RecipeError(
                    f"{key}={given} divides the rows anew, and the weights of {self.run.path} have "
                    f"seen some of them, which cannot test it: leave it out (there it is {there}), "
                    "or train without a parent"
                )

    def _conform(self, draft: Dataset) -> Dataset:
        try:
            return draft.conform(self.schema)
        except DataError as error:
            raise InputError(
                f"{self.run.path} was trained on other examples or classes than {draft.name} has; "
                "a run that starts from it needs the same columns, or shape, and the same classes: "
                f"{error}"
            ) from error

    def _told(self, draft: Dataset, split: Split, known: Tensor, moved: int) -> tuple[Finding, ...]:
        count = int((known >= 0).sum())
        if not count:
            return ()
        what = f"{counted(count, 'row')} of {draft.name} {'is' if count == 1 else 'are'} known to "
        what += f"the run that this one starts from, {self.run.path}"
        remedy = "what its weights have seen is not tested on"
        if moved:
            remedy = f"{counted(moved, 'row')} went from the test or validation into the training "
            remedy += "part, as its weights have seen them or their group; "
            remedy += f"{counted(len(split.test), 'row')} test"
        kind = Inherited if len(split.test) else Untested
        loud = moved or not len(split.test)
        found = kind(what, remedy, "warning" if loud else "note", draft.name, count)
        return (found,)


def keep_sides(draft: Dataset, recipe: Recipe, known: Tensor) -> Split:
    """A split drawn at random in which rows of a ``known`` part (rows,) stay in it."""
    new = torch.nonzero(known < 0).flatten()
    fresh = drawn(draft.take(new), recipe) if len(new) else Split(new, new, new)
    parts = [
        torch.cat([torch.nonzero(known == number).flatten(), new[rows]]).sort().values
        for number, rows in enumerate(fresh)
    ]
    return Split(*parts)


def keep_apart(draft: Dataset, split: Split, known: Tensor) -> tuple[Split, int]:
    """The split without test rows of a ``known`` training or validation part (rows,), and without
    validation rows of a training part; and how many rows have moved into the training part.

    If the rows are split by group, all rows of such a group move.
    """
    division = draft.division
    groups = division.values if division is not None and division.kind == "group" else None

    def apart(rows: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
        if groups is not None:
            found = torch.isin(groups, groups[found])
        return rows[~found[rows]], rows[found[rows]]

    test, tested = apart(split.test, (known == 0) | (known == 1))
    valid, chosen = apart(split.valid, known == 0)
    moved = torch.cat([tested, chosen])
    train = torch.cat([split.train, moved]).sort().values
    return Split(train, valid, test), len(moved)


_TRAINED: WeakKeyDictionary[nn.Module, list[Path]] = WeakKeyDictionary()
"""The runs in which a module of the user's own was trained by this process."""


def remember(network: nn.Module | None, path: Path) -> None:
    """Note that a module of the user's own is trained in the run in ``path``."""
    if network is not None:
        _TRAINED.setdefault(network, []).append(path)


def check_module(network: nn.Module | None, data: Dataset, test: Tensor) -> None:
    """Raise ``InputError`` if a module of the user's own was trained by this process on some of the
    rows ``test`` that are to test it."""
    for path in [] if network is None else _TRAINED.get(network, []):
        rows = Rows.read(path) if path.is_dir() else None
        if rows is None:
            continue
        known = rows.among(data.take(test))
        count = int(((known == 0) | (known == 1)).sum())
        if count:
            raise InputError(
                f"the module has been trained in {path}, on {count:,} of the "
                f"{counted(len(test), 'row')} that would test it; give a new module, or "
                f"parent={str(path)!r}, to start from its weights with its parts"
            )


@dataclass(frozen=True)
class GoingOn:
    """A run that goes on, in ``path``: its rows are divided as they were, whatever the seed."""

    path: Path
    origin: Origin | None = None
    read: Callable[[Any, Recipe], Divided] = divide
    """What reads data without an origin, and divides it as a new run."""

    def divide(self, place: Any, recipe: Recipe) -> Divided:
        """Read the data; its parts are those of the run."""
        read = self.read if self.origin is None else self.origin.divide
        found = read(place, recipe)
        split = Split(**directory.read_split(self.path))
        if any(len(rows) and int(rows.max()) >= len(found.draft) for rows in split):
            raise InputError(
                f"{self.path}: {found.draft.name} is not the data of the run: it has "
                f"{len(found.draft):,} rows; a run that goes on keeps its data"
            )
        return found._replace(split=split, fold=directory.read_fold(self.path))
