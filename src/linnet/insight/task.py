"""The two tasks: classification and regression.

A task says how models are measured, tested and compared, whether higher or lower scores are better,
and how a score is shown. All differences between classes and numbers are here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from linnet.core.text import percent

if TYPE_CHECKING:
    from torch import Tensor

    from linnet.data.dataset import Dataset
    from linnet.objectives.base import Objective

Scores = dict[str, Any]


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
    def test(self, objective: Objective, raw: Tensor, data: Dataset, seed: int) -> Scores:
        """All scores of raw predictions (rows, outputs) against the targets of ``data``."""

    @abstractmethod
    def compare(
        self, objective: Objective, data: Dataset, line: Tensor, net: Tensor, seed: int
    ) -> Scores:
        """Test whether the net is better than the line on these rows; ``line`` and ``net`` are raw
        predictions (rows, outputs)."""

    @abstractmethod
    def headline(self, test: Mapping[str, Any]) -> str:
        """The headline score of test rows with its 95 % confidence interval."""

    @abstractmethod
    def shown(self, score: float) -> str:
        """The headline score alone: "97.51 %", "RMSE 54.2"."""

    @abstractmethod
    def words(self, score: float) -> str:
        """The headline score with its name: "accuracy 97.51 %", "RMSE 54.2"."""

    @abstractmethod
    def certainty(self, comparison: Mapping[str, Any], line: Mapping[str, Any]) -> str:
        """How certain the difference between a net and the line is, as text; ``line`` are the
        line's test scores."""

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


MAX_CONFUSION = 200
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
    """Classification: accuracy, with Wilson's interval and McNemar's test."""

    name = "classification"
    score = "accuracy"
    title = "accuracy"
    better = "higher"
    common = frozenset(
        [
            "accuracy",
            "accuracy_interval",
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
        hits = (objective.probabilities(raw).argmax(1) == data.codes.to(raw.device)).sum()
        return float(hits.item() / len(data))

    def test(self, objective: Objective, raw: Tensor, data: Dataset, seed: int) -> Scores:
        import numpy as np
        from sklearn import metrics

        from linnet.core.statistics import wilson

        classes = data.schema.classes
        codes = data.codes.numpy()
        predicted = objective.probabilities(raw).argmax(1).numpy()
        labels = np.arange(len(classes))
        hits = int((codes == predicted).sum())
        precision, recall, f1, support = metrics.precision_recall_fscore_support(
            codes, predicted, labels=labels, zero_division=0.0
        )
        loss = objective.loss(raw, data.y.double() if data.soft else data.y)
        return {
            "accuracy": hits / len(codes),
            "accuracy_interval": list(wilson(hits, len(codes))),
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
        self, objective: Objective, data: Dataset, line: Tensor, net: Tensor, seed: int
    ) -> Scores:
        """McNemar's exact test on the rows where exactly one of the two models is right."""
        from scipy.stats import binomtest

        from linnet.core.statistics import CONFIDENCE

        right = [objective.probabilities(raw).argmax(1) == data.codes for raw in (line, net)]
        only_line = int((right[0] & ~right[1]).sum())
        only_net = int((right[1] & ~right[0]).sum())
        discordant = only_line + only_net
        p = binomtest(only_net, discordant).pvalue if discordant else 1.0
        return {
            "test": "McNemar",
            "only_line_right": only_line,
            "only_net_right": only_net,
            "p_value": float(p),
            "significant": bool(p < 1 - CONFIDENCE),
            "better": "net" if only_net > only_line else "line",
        }

    def headline(self, test: Mapping[str, Any]) -> str:
        low, high = test["accuracy_interval"]
        return f"accuracy {percent(test['accuracy'])} ({100 * low:.2f} to {100 * high:.2f})"

    def shown(self, score: float) -> str:
        return percent(score)

    def words(self, score: float) -> str:
        return f"accuracy {percent(score)}"

    def certainty(self, comparison: Mapping[str, Any], line: Mapping[str, Any]) -> str:
        p = comparison["p_value"]
        return "McNemar p < 0.001" if p < 0.001 else f"McNemar p = {p:.2g}"


class Numbers(Task):
    """Regression: the root mean squared error with a bootstrap interval, and a paired bootstrap to
    compare two models."""

    name = "regression"
    score = "rmse"
    title = "RMSE"
    better = "lower"
    common = frozenset(["rmse", "rmse_interval", "mae", "r2", "rows"])

    def measure(self, objective: Objective, raw: Tensor, data: Dataset) -> float:
        errors = objective.mean(raw) - data.y.to(raw.device).reshape(raw.shape)
        return float(errors.square().mean().sqrt().item())

    def test(self, objective: Objective, raw: Tensor, data: Dataset, seed: int) -> Scores:
        import numpy as np
        from sklearn import metrics

        from linnet.core.statistics import bootstrap

        y = data.y.double().reshape(raw.shape).numpy()
        predicted = objective.mean(raw).numpy()
        errors = ((predicted - y) ** 2).mean(axis=1)
        low, high = bootstrap(errors, seed)
        return {
            "rmse": float(np.sqrt(errors.mean())),
            "rmse_interval": [float(np.sqrt(max(low, 0.0))), float(np.sqrt(high))],
            "mae": float(metrics.mean_absolute_error(y, predicted)),
            "r2": float(metrics.r2_score(y, predicted)) if len(y) > 1 else float("nan"),
            "rows": len(y),
            **_own(objective, y, raw),
        }

    def compare(
        self, objective: Objective, data: Dataset, line: Tensor, net: Tensor, seed: int
    ) -> Scores:
        """The paired bootstrap interval of the difference between the squared errors."""
        from linnet.core.statistics import bootstrap

        y = data.y.double().reshape(line.shape)
        errors = [(objective.mean(raw) - y).square().mean(1).numpy() for raw in (line, net)]
        difference = errors[0] - errors[1]
        low, high = bootstrap(difference, seed)
        return {
            "test": "paired bootstrap",
            "difference": float(difference.mean()),
            "difference_interval": [low, high],
            "significant": bool(low > 0 or high < 0),
            "better": "net" if difference.mean() > 0 else "line",
        }

    def headline(self, test: Mapping[str, Any]) -> str:
        low, high = test["rmse_interval"]
        return f"RMSE {test['rmse']:.4g} ({low:.4g} to {high:.4g}), R2 {test['r2']:.3f}"

    def shown(self, score: float) -> str:
        return f"RMSE {score:.4g}"

    def words(self, score: float) -> str:
        return self.shown(score)

    def certainty(self, comparison: Mapping[str, Any], line: Mapping[str, Any]) -> str:
        """The interval of the difference between the mean squared errors, relative to the line's:
        "mean squared error 12 % lower to 3 % higher"."""
        low, high = comparison["difference_interval"]
        whole = line["rmse"] ** 2
        if not whole:
            return f"difference of squared errors {low:.3g} to {high:.3g}"
        ends = (_change(-end / whole) for end in (high, low))  # of the net's from the line's
        return f"mean squared error {' to '.join(ends)}, 95 % interval"


def _own(objective: Objective, y: Any, raw: Tensor) -> dict[str, float]:
    """The additional scores of the objective; ``y`` are class codes (rows,) or numbers (rows,
    outputs)."""
    if not objective.scores:
        return {}
    mean = objective.mean(raw).numpy()
    return {name: float(score.function(y, mean)) for name, score in objective.scores.items()}


def _change(share: float) -> str:
    return f"{abs(100 * share):,.1f} % {'higher' if share > 0 else 'lower'}"


CLASSES, NUMBERS = Classes(), Numbers()


def task_of(objective: Objective) -> Task:
    """The task of models with this objective."""
    return CLASSES if objective.classifies else NUMBERS


def task_named(name: str) -> Task:
    """The task with this name: "classification" or "regression"."""
    return CLASSES if name == CLASSES.name else NUMBERS


def task_in(scores: Mapping[str, Any]) -> Task | None:
    """The task to which validation or test scores belong; None if there is no headline score."""
    return next((task for task in (CLASSES, NUMBERS) if scores.get(task.score) is not None), None)
