"""What label a model of two classes gives: that of the more probable class, or the second class
where its probability is at least a threshold, which rows have chosen that taught no model
(``linnet.insight.thresholds``). Probabilities are the same either way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from linnet.core.closed import Closed

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from linnet.data.dataset import Dataset
    from linnet.objectives.base import Objective

    Array = np.ndarray[Any, Any]

ARGMAX: Final = "argmax"
"""The rule of the most probable class."""

By = Literal["f1", "cost"]
Cost = Annotated[float, Field(ge=0)]


class Decision(Closed):
    """The threshold of the second class's probability, chosen ``by`` F1 or cost on ``rows`` rows,
    validation rows or training rows out of fold; ``costs`` are those of a false positive and of a
    false negative."""

    by: By
    costs: tuple[Cost, Cost]
    threshold: Annotated[float, Field(ge=0, le=2)]
    rows: Annotated[int, Field(ge=2, lt=2**63)]
    of: Literal["validation", "out-of-fold"]

    @property
    def what(self) -> str:
        """By what it was chosen: "F1", or "mean cost"."""
        return {"f1": "F1", "cost": "mean cost"}[self.by]

    def words(self, positive: str) -> str:
        """The rule as a sentence; ``positive`` is the second class."""
        wrong, missed = self.costs
        more = f"; a false positive costs {wrong:g}, a false negative {missed:g}"
        more = more if self.by == "cost" else ""
        return (
            f"decides for {positive!r} from a probability of {self.threshold:.4g} on, chosen by "
            f"{self.what} on {self.rows:,} {self.of} rows{more}"
        )

    def test(
        self, y: Array, p: Array, cut: float | Array, groups: Array | None, spread: float
    ) -> dict[str, Any]:
        """What the threshold ``cut``, one or (rows,), does to test rows, as JSON with its F1, mean
        cost and their intervals: ``y`` (rows,) is true for the second class, ``p`` (rows,) its
        probability; ``groups`` and ``spread`` as in ``linnet.insight.thresholds.score``."""
        from linnet.insight.thresholds import Costs, score

        found = score(y, p, cut, Costs(*self.costs), groups, spread)
        return {"by": self.by, **found.plain(), "words": found.words(self.by)}


def choose(
    by: By,
    costs: tuple[float, float] | None,
    objective: Objective,
    raw: Tensor,
    data: Dataset,
    *,
    folds: bool,
) -> Decision:
    """The decision by raw predictions (rows, outputs) of rows that taught no model; with ``folds``
    each without its fold. Raises ``InputError`` if the rows are of one class."""
    from linnet.insight.thresholds import EQUAL, Costs
    from linnet.insight.thresholds import choose as work

    found = work(
        data.codes.cpu().numpy() == 1, second(objective, raw), by, Costs(*(costs or EQUAL))
    )
    return Decision(
        by=by,
        costs=(float(found.costs[0]), float(found.costs[1])),
        threshold=found.chosen.threshold,
        rows=found.rows,
        of="out-of-fold" if folds else "validation",
    )


def second(objective: Objective, raw: Tensor) -> Array:
    """The probability of the second class, (rows,), of raw predictions (rows, outputs)."""
    return objective.probabilities(raw)[:, 1].cpu().numpy()
