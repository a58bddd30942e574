"""The two tasks: classification and regression.

A task says how models are measured, tested and compared, whether higher or lower scores are better,
and how a score is shown. All differences between classes and numbers are here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from linnet.core.events import number
from linnet.core.language import tr
from linnet.core.text import cut, figure, percent
from linnet.insight.claims import R2, Change, Difference, Estimate, Figure, Share, Size, within
from linnet.insight.shares import MANY, by_rows, decided

if TYPE_CHECKING:
    from torch import Tensor

    from linnet.data.dataset import Dataset
    from linnet.data.split import Units
    from linnet.objectives.base import Objective

Scores = dict[str, Any]

CHANCE = "may be chance"
"""Why a difference is not significant, in most cases."""


class Predicted(NamedTuple):
    """The raw predictions (rows, outputs) of a model, and the objective that gives them a
    meaning."""

    objective: Objective
    raw: Tensor


class Told(NamedTuple):
    """A part of a sentence: its form, and the figures for the names in it."""

    form: str
    figures: Mapping[str, Figure | Estimate]

    @classmethod
    def of(cls, form: str, name: str, figure: Figure | Estimate | None) -> Told:
        """``form``, where the figure stands at ``{figure}``; nothing if it is not known."""
        if figure is None:
            return cls("", {})
        return cls(within(form, figure=f"{{{name}}}"), {name: figure})

    def and_(self, other: Told) -> Told:
        """Both parts, with a comma."""
        form = self.form or other.form
        if self.form and other.form:
            form = within(tr("{one}, {other}"), one=self.form, other=other.form)
        return Told(form, {**self.figures, **other.figures})

    def __str__(self) -> str:
        return self.form.format_map(self.figures)


class Task(ABC):
    """What is predicted, classes or numbers, and so how models are scored."""

    name: Literal["classification", "regression"]
    score: Literal["accuracy", "rmse"]
    """The headline score."""
    title: str
    """The name of the headline score for people."""
    common: frozenset[str]
    """The test scores that all models of this task have."""
    better: Literal["higher", "lower"]

    @abstractmethod
    def measure(self, objective: Objective, raw: Tensor, data: Dataset) -> float:
        """The headline score of raw predictions (rows, outputs)."""

    @abstractmethod
    def test(
        self, objective: Objective, raw: Tensor, data: Dataset, fold: Tensor | None = None
    ) -> Scores:
        """All scores of raw predictions (rows, outputs) against the targets of ``data``; ``fold``
        (rows,) are the folds of out-of-fold predictions."""

    @abstractmethod
    def compare(
        self, data: Dataset, one: Predicted, other: Predicted, fold: Tensor | None = None
    ) -> Scores:
        """The paired test of two models on these rows; ``sign`` is 1 if ``one`` has the better
        score, -1 if the ``other`` has, and 0 if both are equal. ``fold`` (rows,) are the folds of
        out-of-fold predictions."""

    @abstractmethod
    def told(self, test: Mapping[str, Any], of: str = "test") -> Told:
        """The headline score of test rows with its 95 % confidence interval, as figures of a
        sentence; ``of`` begins their names. What is not known is left out."""

    def headline(self, test: Mapping[str, Any]) -> str:
        """The headline score of test rows with its 95 % confidence interval, as text."""
        return str(self.told(test)) or self.unknown()

    @abstractmethod
    def unknown(self) -> str:
        """That the headline score is not finite."""

    @abstractmethod
    def shown(self, score: float) -> str:
        """The headline score alone: "97.51 %", "RMSE 54.2"."""

    @abstractmethod
    def words(self, score: float) -> str:
        """The headline score with its name: "accuracy 97.51 %", "RMSE 54.2"."""

    @abstractmethod
    def change(self, comparison: Mapping[str, Any]) -> Told:
        """How large a difference between two models is, as figures of a sentence; empty for
        classes, whose scores tell it."""

    def of(self, scores: Mapping[str, Any]) -> float:
        """The headline score in ``scores``."""
        return float(scores[self.score])

    def own(self, test: Mapping[str, Any]) -> dict[str, float]:
        """The additional scores of the objective among the test scores."""
        return {
            name: value
            for name, value in test.items()
            if name not in self.common and type(value) in (int, float)
        }


MAX_CONFUSION = MANY
"""The confusion matrix of more classes is left out: it would be most of a run's files."""


def _confusion(codes: Any, predicted: Any, classes: int) -> Scores:
    """The confusion matrix; of very many classes, why there is none."""
    import numpy as np
    from sklearn import metrics

    if classes > MAX_CONFUSION:
        why = f"{classes:,} classes; at most {MAX_CONFUSION} (MAX_CONFUSION)"
        return {"confusion_left_out": why}
    matrix = metrics.confusion_matrix(codes, predicted, labels=np.arange(classes))
    return {"confusion": matrix.tolist()}


class Classes(Task):
    """Classification: accuracy, with Wilson's interval and McNemar's test; by groups or blocks of
    time, if rows depend on each other, with intervals and a test over these."""

    name = "classification"
    score = "accuracy"
    title = "accuracy"
    better = "higher"
    common = frozenset(
        [
            "by",
            "folds",
            "accuracy",
            "accuracy_interval",
            "interval",
            "log_loss",
            "rows",
            "classes",
            "precision",
            "recall",
            "f1",
            "support",
            "confusion",
            "confusion_left_out",
        ]
    )

    def measure(self, objective: Objective, raw: Tensor, data: Dataset) -> float:
        hits = (decided(objective, raw) == data.codes.to(raw.device)).sum()
        return float(hits.item() / len(data))

    def test(
        self, objective: Objective, raw: Tensor, data: Dataset, fold: Tensor | None = None
    ) -> Scores:
        import numpy as np
        from sklearn import metrics

        from linnet.core.statistics import of_share

        classes = data.schema.classes
        codes = data.codes.numpy()
        predicted = decided(objective, raw).numpy()
        labels = np.arange(len(classes))
        right = codes == predicted
        units = data.units()
        precision, recall, f1, support = metrics.precision_recall_fscore_support(
            codes, predicted, labels=labels, zero_division=0.0
        )
        loss = by_rows(objective.loss, raw, data.y.double() if data.soft else data.y)
        return {
            **_by_fold(fold, lambda own: float(right[own].mean())),
            "accuracy": int(right.sum()) / len(codes),
            "accuracy_interval": list(of_share(right, _codes(units), _spread(fold))),
            **_rests(units),
            "log_loss": loss.mean().item(),
            "rows": len(codes),
            "classes": list(classes),
            "precision": precision.tolist(),
            "recall": recall.tolist(),
            "f1": f1.tolist(),
            "support": support.tolist(),
            **_confusion(codes, predicted, len(classes)),
            **_own(objective, codes, raw),
        }

    def compare(
        self, data: Dataset, one: Predicted, other: Predicted, fold: Tensor | None = None
    ) -> Scores:
        """McNemar's exact test on the rows where exactly one of the two models is right. If rows
        depend on each other, or are out of fold, a paired t test instead. ``only_right`` are the
        numbers of rows where one model alone is right, in the order of the pair."""
        from scipy.stats import binomtest

        from linnet.core.statistics import CONFIDENCE, MIN_ROWS, too_few

        right = [decided(*each) == data.codes for each in (one, other)]
        alone = [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())]
        counts = {"only_right": alone, "sign": (alone[0] > alone[1]) - (alone[0] < alone[1])}
        if data.units() is not None or fold is not None:
            return _paired(right[0].double() - right[1].double(), data, fold) | counts
        p = binomtest(alone[0], sum(alone)).pvalue if sum(alone) else 1.0
        chance = CHANCE if p >= 1 - CONFIDENCE else None
        why = too_few("row") if len(data) < MIN_ROWS else chance
        return {"test": "McNemar", **counts, "p_value": float(p), **claimed(why)}

    def told(self, test: Mapping[str, Any], of: str = "test") -> Told:
        found = Estimate.of(Share, test.get("accuracy"), _interval(test, "accuracy_interval"))
        return Told.of(tr("accuracy {figure}"), f"{of} accuracy", found)

    def unknown(self) -> str:
        return tr("accuracy not finite")

    def shown(self, score: float) -> str:
        return percent(score)

    def words(self, score: float) -> str:
        return tr("accuracy {number}", number=percent(score))

    def change(self, comparison: Mapping[str, Any]) -> Told:
        return Told("", {})


class Numbers(Task):
    """Regression: the root mean squared error with an interval, and a paired t test of the squared
    errors to compare two models; by groups or blocks of time, if rows depend on each other."""

    name = "regression"
    score = "rmse"
    title = "RMSE"
    better = "lower"
    common = frozenset(["by", "folds", "rmse", "rmse_interval", "interval", "mae", "r2", "rows"])

    def measure(self, objective: Objective, raw: Tensor, data: Dataset) -> float:
        errors = objective.mean(raw) - data.y.to(raw.device).reshape(raw.shape)
        return float(errors.square().mean().sqrt().item())

    def test(
        self, objective: Objective, raw: Tensor, data: Dataset, fold: Tensor | None = None
    ) -> Scores:
        import numpy as np
        from sklearn import metrics

        from linnet.core.statistics import of_size

        y = data.y.double().reshape(raw.shape).numpy()
        predicted = objective.mean(raw).numpy()
        errors = ((predicted - y) ** 2).mean(axis=1)
        units, spread = data.units(), _spread(fold)
        interval = of_size(errors, _codes(units), spread=spread)
        return {
            **_by_fold(fold, lambda own: float(np.sqrt(errors[own].mean()))),
            "rmse": float(np.sqrt(errors.mean())),
            "rmse_interval": [float(np.sqrt(end)) for end in interval],
            **_rests(units),
            "mae": float(metrics.mean_absolute_error(y, predicted)),
            "r2": float(metrics.r2_score(y, predicted)) if len(y) > 1 else float("nan"),
            "rows": len(y),
            **_own(objective, y, raw),
        }

    def compare(
        self, data: Dataset, one: Predicted, other: Predicted, fold: Tensor | None = None
    ) -> Scores:
        """A paired t test of the difference between the squared errors, and its interval:
        ``difference`` is above 0 if the first of the pair has the smaller ones."""
        errors = [
            (objective.mean(raw) - data.y.double().reshape(raw.shape)).square().mean(1)
            for objective, raw in (one, other)
        ]
        found = _paired(errors[1] - errors[0], data, fold)
        gained = found["difference"]
        return found | {"sign": (gained > 0) - (gained < 0)}

    def told(self, test: Mapping[str, Any], of: str = "test") -> Told:
        found = Estimate.of(Size, test.get("rmse"), _interval(test, "rmse_interval"))
        error = Told.of("RMSE {figure}", f"{of} RMSE", found)
        return error.and_(Told.of("R2 {figure}", f"{of} R2", R2.of(test.get("r2"))))

    def unknown(self) -> str:
        return tr("RMSE not finite")

    def shown(self, score: float) -> str:
        return f"RMSE {figure(score)}"

    def words(self, score: float) -> str:
        return self.shown(score)

    def change(self, comparison: Mapping[str, Any]) -> Told:
        """By how much the mean squared error of the first of the pair is lower or higher than the
        second's, in squared units of the target. As a share of the second's it could be lower by
        more than all of it: that error is not certain either."""
        ends = [-number(end) for end in comparison.get("difference_interval") or ()][::-1]
        found = Difference.of(Change, -number(comparison.get("difference")), ends)
        return Told.of(tr("mean squared error {figure}"), "difference", found)


def _interval(test: Mapping[str, Any], key: str) -> Any:
    """The interval of a score; None if the rows are of one group, which tells nothing of others."""
    rests = test.get("interval")
    return None if isinstance(rests, dict) and rests.get("units") == 1 else test.get(key)


def _paired(differences: Tensor, data: Dataset, fold: Tensor | None) -> Scores:
    """The paired t test of differences (rows,), above 0 where the first model is better."""
    from linnet.core.statistics import OUT_OF_FOLD_PAIR, paired

    units, spread = data.units(), 1.0 if fold is None else OUT_OF_FOLD_PAIR
    word = "row" if units is None else units.word
    mean, interval, p, why = paired(differences.cpu().numpy(), _codes(units), word, spread)
    return {
        "test": "paired t",
        "difference": mean,
        "difference_interval": list(interval),
        "p_value": p,
        **claimed(why),
        **_rests(units),
    }


def _spread(fold: Tensor | None) -> float:
    """By how much the standard errors of out-of-fold rows are larger."""
    from linnet.core.statistics import out_of_fold

    return 1.0 if fold is None else out_of_fold(int(fold.max()) + 1)


def _by_fold(fold: Tensor | None, score: Callable[[Any], float]) -> Scores:
    """How out-of-fold rows were scored: the number of folds, and the headline score of each;
    ``score`` gives that of some rows, (rows,) true or false."""
    if fold is None:
        return {}
    folds = [score((fold == number).numpy()) for number in range(int(fold.max()) + 1)]
    return {"by": "folds", "folds": folds}


def claimed(why: str | None) -> Scores:
    """Whether a difference is significant, and why not."""
    return {"significant": why is None, **({} if why is None else {"why": why})}


def _codes(units: Units | None) -> Any:
    return None if units is None else units.codes


def _rests(units: Units | None) -> Scores:
    """On what an interval rests, if not on independent rows."""
    return {} if units is None else {"interval": units.facts()}


def _own(objective: Objective, y: Any, raw: Tensor) -> dict[str, float]:
    """The additional scores of the objective; ``y`` are class codes (rows,) or numbers (rows,
    outputs)."""
    if not objective.scores:
        return {}
    mean = objective.mean(raw).numpy()
    return {name: float(score.function(y, mean)) for name, score in objective.scores.items()}


CLASSES, NUMBERS = Classes(), Numbers()


def basis(test: Mapping[str, Any]) -> str | None:
    """On what the intervals and the paired tests of test scores rest, in words; None if each row is
    independent."""
    by_folds, by_units = _by_folds(test), _by_units(test)
    if by_folds and by_units:
        return tr("{one}; {other}", one=by_folds, other=by_units)
    return by_folds or by_units


def tested(test: object) -> str:
    """Test scores in words, with the rows that they rest on: "accuracy 98.06 % (96.04 to 99.05) on
    360 test rows"; "" where there are none."""
    task = task_in(test) if isinstance(test, Mapping) else None
    if not isinstance(test, Mapping) or task is None:
        return ""
    rows, what = test.get("rows"), "rows by folds" if folds_of(test) else "test rows"
    return task.headline(test) + (f" on {rows:,} {what}" if isinstance(rows, int) else "")


def folds_of(test: Mapping[str, Any]) -> int:
    """The number of folds of a cross-validation, if test scores are of one; else 0."""
    return len(test.get("folds") or ()) if test.get("by") == "folds" else 0


def _by_folds(test: Mapping[str, Any]) -> str | None:
    from linnet.core.statistics import out_of_fold

    count = folds_of(test)
    if count < 2:
        return None
    return tr(
        "each row is tested by models that were fitted without its fold, one of {count}, and the "
        "models of the run are fitted to all rows; the 95 % intervals are {times} times as wide as "
        "those of as many test rows",
        count=count,
        times=f"{out_of_fold(count):.2g}",
    )


def _by_units(test: Mapping[str, Any]) -> str | None:
    rests = test.get("interval")
    if rests is None:
        return None
    units, grouped = rests["units"], rests["by"] == "group"
    column = cut(repr(rests["column"]), 80, "...")
    if units == 1 and grouped:
        return tr(
            "there is no 95 % interval: all these rows are of one group of {column}, which says "
            "nothing of others",
            column=column,
        )
    if units == 1:
        return tr(
            "there is no 95 % interval: all these rows are of one value of {column}, which says "
            "nothing of others",
            column=column,
        )
    if grouped:
        return tr(
            "the 95 % intervals, and the tests, take {count} groups of {column} as independent, "
            "not the rows",
            count=f"{units:,}",
            column=column,
        )
    return tr(
        "the 95 % intervals, and the tests, take {count} blocks of consecutive {column} as "
        "independent, not the rows",
        count=f"{units:,}",
        column=column,
    )


def task_of(objective: Objective) -> Task:
    """The task of models with this objective."""
    return CLASSES if objective.classifies else NUMBERS


def task_named(name: str) -> Task:
    """The task with this name: "classification" or "regression"."""
    return CLASSES if name == CLASSES.name else NUMBERS


def task_in(scores: Mapping[str, Any]) -> Task | None:
    """The task to which validation or test scores belong; None if there is no headline score."""
    return next((task for task in (CLASSES, NUMBERS) if scores.get(task.score) is not None), None)
