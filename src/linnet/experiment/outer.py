"""The outer folds of cross-validation: each fold is tested by models that are fitted to the others.

Everything that is learned is learned from the other rows alone: how columns are encoded, scaling,
penalty and epochs (by inner folds or validation rows), the weights, and the yardstick. So each
row has one prediction by models that have not seen it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor

from linnet.core import files
from linnet.core.events import Fold
from linnet.core.parallel import World
from linnet.core.record import Record
from linnet.data.dataset import Dataset
from linnet.data.fingerprints import copies
from linnet.data.split import MIN_ROWS_TO_HOLD_OUT, Split, folds
from linnet.errors import Diverged, LinnetWarning, ModelError, RecipeError
from linnet.experiment.measured import Measured, decision, measured
from linnet.fit import artifact
from linnet.fit import folds as inner
from linnet.fit.checkpoint import Owner
from linnet.fit.fit import fit
from linnet.fit.prepare import Prepared, drawn
from linnet.fit.recipe import FOLDS, Recipe
from linnet.fit.resolve import only
from linnet.insight import evaluation
from linnet.insight.choice import simplest
from linnet.insight.decision import ARGMAX, Decision
from linnet.insight.pairs import YARDSTICK, compare
from linnet.insight.task import Predicted, Scores
from linnet.networks import BASELINE, LINE
from linnet.networks import find as find_network
from linnet.objectives import choose
from linnet.objectives import find as find_objective

OUTER = 5
"""The outer folds of ``test=folds``. Ten would train on nine tenths of the rows, in twice the
time."""


CUTS = "cuts."
"""How the names of thresholds begin in the file of a fold."""


class Tested(NamedTuple):
    """The raw predictions (rows, outputs) of the rows of some folds by model, with the yardstick's
    under its own name, and the seconds of the yardstick's fits. If a threshold decides between two
    classes, ``cuts`` has for each model that of each row, (rows,), which the other folds chose."""

    raws: Mapping[str, Tensor]
    seconds: float = 0.0
    cuts: Mapping[str, Tensor] = MappingProxyType({})

    def decision(self, name: str, recipe: Recipe) -> Decision | None:
        """The rule of a model: the mean of its thresholds."""
        cuts = self.cuts.get(name)
        if cuts is None or recipe.decide == ARGMAX:
            return None
        return Decision(
            by=recipe.decide, costs=recipe.costs or (1.0, 1.0), threshold=float(cuts.mean()),
            rows=len(cuts), of="out-of-fold",
        )  # fmt: skip


@dataclass(frozen=True)
class Outer:
    """Data as read, the resolved recipe of its models, and the fold of each row, int8 (rows,)."""

    draft: Dataset
    recipe: Recipe
    fold: Tensor

    @classmethod
    def of(cls, draft: Dataset, recipe: Recipe, count: int) -> Outer:
        """Draw ``count`` folds of all rows by the seed; raises ``RecipeError`` if the data cannot
        be tested by folds."""
        if (why := _hindrance(draft, recipe, count)) is not None:
            raise RecipeError(f"{count} folds to test on: {why}; give test=0.2, or leave test out")
        units = draft.units()
        fold = folds(
            draft.codes if draft.schema.task == "classification" else None, len(draft),
            units=None if units is None else torch.from_numpy(units.codes),
            copies=copies(draft), k=count, seed=recipe.seed, purpose=FOLDS,
        )  # fmt: skip
        return cls(draft, recipe, fold)

    @property
    def count(self) -> int:
        """The number of folds."""
        return int(self.fold.max()) + 1

    @property
    def _models(self) -> tuple[str, ...]:
        return (BASELINE, *self.recipe.model)

    def _event(self, model: str, number: int) -> Fold:
        """What the record says of a model that has predicted fold ``number``."""
        models = self._models
        return Fold(
            model=model, fold=number + 1, folds=self.count,
            done=number * len(models) + models.index(model) + 1, fits=self.count * len(models),
        )  # fmt: skip

    def ready(self, number: int) -> Prepared:
        """The rows of fold ``number`` as the test part, and the others divided and encoded as in a
        run of their own."""
        rest = (self.fold != number).nonzero().flatten()
        part = self.draft.take(rest)
        recipe = self.recipe
        if isinstance(recipe.valid, int) and recipe.valid >= 1:  # as many of these fewer rows
            held = round(recipe.valid * len(rest) / len(self.draft))
            recipe = recipe.override({"valid": held})
        train, valid, _ = drawn(part, recipe)
        split = Split(rest[train], rest[valid], (self.fold == number).nonzero().flatten())
        data = self.draft.learn(split.train, recipe.max_categories, recipe.seed)
        several = recipe.folds != 1
        fold = inner.drawn(data.take(split.train), recipe) if several else None
        return Prepared(data, recipe, split._asdict(), [], fold)

    def test(self, number: int, record: Record | None = None) -> Tested:
        """Fit all models, and the yardstick, to the other folds; predict the rows of this one.

        ``record`` gets one event for each model; the steps of these fits are not written.
        """
        record = record or Record()
        ready = self.ready(number)
        train, valid, test = (ready.data.take(rows) for rows in ready.parts.values())
        chooses = valid if ready.fold is None else ready.fold
        world = World(device=torch.device(ready.recipe.device))
        raws, cuts = {}, {}
        with _quiet(number, self.count):
            for name in self._models:
                model = fit(only(ready.recipe, name), train, chooses, world=world)
                raws[name] = evaluation.predict_raw(model.module, test.x)
                cuts[name] = decision(model, ready)
                record.write(self._event(name, number))
            trees = measured(ready)
        seconds = 0.0
        if trees.raw is not None:
            raws[YARDSTICK], seconds = trees.raw, trees.scores["fit"]["seconds"]
        return Tested(raws, seconds, {
            name: torch.full((len(test),), cut.threshold, dtype=torch.float64)
            for name, cut in cuts.items() if cut is not None
        })  # fmt: skip

    def joined(self, every: Mapping[int, Tested]) -> Tested:
        """The predictions of all rows from those of each fold. A model that is missing in a fold is
        left out."""

        def whole(parts: Mapping[int, Mapping[str, Tensor]]) -> dict[str, Tensor]:
            found = {}
            for name, first in parts[0].items():
                if all(name in part for part in parts.values()):
                    found[name] = first.new_empty((len(self.fold), *first.shape[1:]))
                    for number, part in parts.items():
                        found[name][self.fold == number] = part[name]
            return found

        seconds = sum(one.seconds for one in every.values())
        raws, cuts = (
            whole({number: getattr(one, key) for number, one in every.items()})
            for key in ("raws", "cuts")
        )
        return Tested(raws, seconds, cuts)

    def tested(
        self, record: Record | None = None, folder: Path | None = None, owner: Owner | None = None
    ) -> Tested:
        """Test each fold. With a ``folder``, each is kept there when it is done, in the name of
        ``owner``, and one that is there already is not fitted again."""
        every = {}
        for number in range(self.count):
            path = None if folder is None else folder / f"fold-{number}.safetensors"
            found = None if path is None else _kept(path, owner or Owner())
            if found is None:
                found = self.test(number, record)
                if path is not None:
                    _keep(path, found, owner or Owner())
            elif record is not None:
                for name in self._models:
                    record.write(self._event(name, number))
            every[number] = found
        return self.joined(every)


def yardstick(tested: Tested, outer: Outer, data: Dataset) -> Measured:
    """The yardstick of the folds, scored on all rows of ``data``."""
    raw = tested.raws.get(YARDSTICK)
    if raw is None:
        return Measured(None, None, {})
    objective = find_objective(choose(data.schema))
    scores: dict[str, Any] = {"test": evaluation.score(objective, raw, data, outer.fold)}
    threads = torch.get_num_threads()
    scores["fit"] = {"seconds": round(tested.seconds, 3), "threads": threads}
    return Measured(None, raw, scores)


class Scored(NamedTuple):
    """The scores of the models and of the yardstick, and the comparisons, as in
    ``metrics.json``."""

    models: dict[str, Scores]
    yardstick: dict[str, Scores]
    comparisons: list[Scores]


def told_of(tested: Tested, recipe: Recipe) -> dict[str, Predicted]:
    """The out-of-fold predictions that are compared in pairs, the simplest model first."""
    objective = find_objective(recipe.objective)
    names = simplest([name for name in tested.raws if name not in (BASELINE, YARDSTICK)], LINE)
    names += [YARDSTICK] if YARDSTICK in tested.raws else []
    return {name: Predicted(objective, tested.raws[name]) for name in names}


def scored(tested: Tested, outer: Outer, data: Dataset) -> Scored:
    """Score the predictions of all rows of ``data``."""
    objective = find_objective(outer.recipe.objective)
    scores = {
        name: evaluation.score(
            objective,
            raw,
            data,
            outer.fold,
            tested.decision(name, outer.recipe),
            tested.cuts.get(name),
        )
        for name, raw in tested.raws.items()
    }
    trees = scores.pop(YARDSTICK, None)
    yardstick = {} if trees is None else {YARDSTICK: trees}
    return Scored(scores, yardstick, compare(data, told_of(tested, outer.recipe), outer.fold))


def _hindrance(draft: Dataset, recipe: Recipe, count: int) -> str | None:
    """Why the data cannot be tested by folds, in words."""
    division = draft.division
    if draft.schema.example == "picture":
        return "they are for tables, and these are pictures"
    if any(find_network(name).own for name in recipe.model):
        return "a module of your own is trained once, in place"
    if draft.test_rows or (division is not None and division.kind == "split"):
        return "the data names its own parts"
    if division is not None and division.kind == "time":
        return "with time the rows that test must be later than those that are trained on"
    least = -(-MIN_ROWS_TO_HOLD_OUT * count // (count - 1)) if count > 1 else 0
    if len(draft) < least:
        return f"there are {len(draft):,} rows, and they need {least:,}"
    return None


@contextmanager
def _quiet(number: int, count: int) -> Iterator[None]:
    """Fits whose warnings the fits to all rows have given already; an error names the fold."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LinnetWarning)
            yield
    except Diverged as error:
        raise Diverged(f"fold {number + 1} of {count}: {error}") from error


def _keep(path: Path, tested: Tested, owner: Owner) -> None:
    """Write the predictions of a fold."""
    raws = {name: raw.contiguous() for name, raw in tested.raws.items()}
    plain: dict[str, Any] = {"of": owner.plain(), "seconds": tested.seconds, "provenance": {}}
    raws |= {f"{CUTS}{name}": cuts for name, cuts in tested.cuts.items()}
    content = {name: artifact.bytes_of(raw) for name, raw in raws.items()}
    plain["provenance"] = {"sha256": artifact.digest(plain, content)}
    files.make_folder(path.parent)
    files.write(path, save(raws, {"linnet": files.canonical(plain).decode()}))


def _kept(path: Path, owner: Owner) -> Tested | None:
    """The predictions of a fold that is done; None if there are none of this run, or if they are
    damaged: then they are made again, to the same bits."""
    if not path.is_file():
        return None
    try:
        plain, entries, begin, size = artifact.read_header(path)
        parts = artifact.read_parts(path, entries, begin, size)
        made = plain["provenance"]["sha256"]
        if plain["of"] != owner.plain() or artifact.digest(plain, parts) != made:
            return None
        found = artifact.tensors_of(entries, parts)
        cuts = {name.removeprefix(CUTS): found.pop(name) for name in entries if CUTS in name}
        return Tested(found, float(plain["seconds"]), cuts)
    except (ModelError, OSError, KeyError, TypeError, ValueError):
        return None
