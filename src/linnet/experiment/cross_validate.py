"""Cross-validation: honest scores of every model from a table too small to set rows aside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from linnet.core import registry
from linnet.core.html import Html, put
from linnet.core.record import Event, Record
from linnet.core.text import counted
from linnet.errors import InputError, RecipeError, printable
from linnet.experiment.outer import OUTER, Outer, scored
from linnet.experiment.train import named
from linnet.fit.prepare import prepare
from linnet.fit.recipe import FOLDS, Recipe
from linnet.insight.task import Scores, basis, task_named
from linnet.insight.verdict import headline, verdict
from linnet.networks import find as find_network
from linnet.show import progress

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """The scores of models, each row predicted by models that have not seen it.

    ``models`` are the scores by model, those of ``metrics.json``: ``accuracy``,
    ``accuracy_interval``, ``log_loss`` and so on, or ``rmse``, ``rmse_interval``, ``r2``;
    ``folds`` in them is the headline score of each fold. ``yardstick`` are those of the boosted
    trees, and ``comparisons`` the paired tests. ``fold`` (rows,) is the fold of each row, from 0.
    """

    data: str
    rows: int
    task: str
    fold: Array
    models: Mapping[str, Scores]
    yardstick: Mapping[str, Scores]
    comparisons: Sequence[Scores]

    @property
    def folds(self) -> int:
        """The number of folds."""
        return int(self.fold.max()) + 1

    @property
    def verdict(self) -> str:
        """Is the net better than the line? The answer in words."""
        every = {"models": {name: {"test": each} for name, each in self.models.items()}}
        every |= {"yardstick": {name: {"test": each} for name, each in self.yardstick.items()}}
        titles = {name: find_network(name).title for name in self.models}
        return verdict({**every, "comparisons": self.comparisons}, titles)

    def table(self) -> list[dict[str, Any]]:
        """A row for each model, and the yardstick: its name, its headline score, the ``low`` and
        the ``high`` end of the 95 % interval, its further scores, and the score of each fold."""
        task, rows = task_named(self.task), []
        for name, each in {**self.models, **self.yardstick}.items():
            low, high = each[f"{task.score}_interval"]
            more = ("log_loss",) if task.name == "classification" else ("mae", "r2")
            ends = {"model": name, task.score: each[task.score], "low": low, "high": high}
            own = {**{key: each[key] for key in more}, **task.own(each)}
            rows.append({**ends, **own, "folds": list(each["folds"])})
        return rows

    def __repr__(self) -> str:
        best = "; ".join(f"{name} {headline(each)}" for name, each in self.models.items())
        rows = counted(self.rows, "row")
        return printable(f"CrossValidation({self.data!r}, {rows}, {self.folds} folds: {best})")

    def __str__(self) -> str:
        names = [*self.models, *(f"({name})" for name in self.yardstick)]
        width = max(map(len, names))
        lines = [
            f"{name:{width}}  {headline(each)}"
            for name, each in zip(
                names, [*self.models.values(), *self.yardstick.values()], strict=True
            )
        ]
        return "\n".join([f"{self._title()}:", *map(printable, lines), "", printable(self.verdict)])

    def _repr_html_(self) -> str:
        from linnet.figures.notebook import paragraph, table

        every = {**self.models, **{f"({name})": each for name, each in self.yardstick.items()}}
        rows = [[name, headline(each)] for name, each in every.items()]
        head = ("model", "95 % interval")
        rests = basis(next(iter(self.models.values())))
        note = "" if rests is None else paragraph(f"Note: {rests}.")
        title = paragraph(Html(f"<b>{put(self.data)}</b>: "), put(self.verdict))
        return f"<div>{title}{table(head, rows)}{note}{paragraph(self._title())}</div>"

    def _title(self) -> str:
        return f"cross-validation of {counted(self.rows, 'row')} over {self.folds} folds"


def cross_validate(
    data: Any,
    recipe: Recipe | None = None,
    *,
    folds: int = OUTER,
    echo: Callable[[Event], None] | bool | None = None,
    plugins: Sequence[str] = (),
    **settings: Any,
) -> CrossValidation:
    """Score the constant, the line and the net by cross-validation; nothing is saved.

    The rows are divided into ``folds`` parts, by the seed: each class is spread evenly; rows of one
    ``group``, and copies of a row, stay together. For each part, all models are fitted to the other
    rows and predict this one. Everything is learned from the other rows alone, also the encoding
    of columns, the penalty and the epochs; so no row takes part in what predicts it.

    ``data``, ``recipe``, ``settings`` and ``echo`` are as in ``linnet.train``. The ``folds`` of a
    recipe are another thing, the inner folds by which each fit makes its choices; set them by
    ``recipe=Recipe(folds=10)``.

    The 95 % intervals are for the error of the models that a run fits to all rows
    (``linnet.train(data, test="folds")``), on new rows. They are wider than those of as many test
    rows (``docs/intervals.md``).

    Raises ``RecipeError`` for pictures, data with ``time``, with a test part or a ``split`` column
    of its own, for a module of your own, fewer than 25 rows (at 5 folds), and more folds than
    rows or groups.
    """
    registry.allow([*plugins, *named(settings)])
    recipe = Recipe() if recipe is None else recipe
    if not isinstance(recipe, Recipe):
        raise RecipeError(
            f"the second argument is a {type(recipe).__name__}; expected a Recipe. Give arrays "
            'together, cross_validate((X, y)), and the target of a table by name, target="y"'
        )
    if type(folds) is not int:
        raise InputError(f"folds={folds!r}; expected a whole number from 2")
    if "test" in settings:
        raise InputError("cross_validate tests each row once: leave out test, or use linnet.train")
    ready = prepare(data, recipe.override({**settings, "test": FOLDS}))
    assert ready.draft is not None
    outer = Outer.of(ready.draft, ready.recipe, folds)
    with progress.shown(echo) as heard:
        tested = outer.tested(Record(echo=heard))
    found = scored(tested, outer, ready.data)
    return CrossValidation(
        ready.data.name, len(ready.data), ready.data.schema.task, outer.fold.numpy(), *found
    )
