"""The settings of the line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from linnet.core.closed import Closed, Several
from linnet.core.registry import known
from linnet.line import GROUP, SOLVERS


class LineSettings(Closed):
    """How the line is fitted: a part of the recipe."""

    intercept: bool = True
    """Whether the linear model has an intercept (a bias)."""
    penalty: Annotated[Literal["auto"] | tuple[Annotated[float, Field(ge=0)], ...], Several()] = (
        "auto"
    )
    """Regularisation: half of it times the sum of the squared coefficients is added to the loss
    (L2 penalty). Of several values the one with the lowest validation loss is kept, with
    ``folds`` the one with the lowest mean out-of-fold loss; ``auto``: 10, 1, 0.1, ... down to
    1e-7, with ``folds`` 10, 3.16, 1, ..."""
    solver: str = "auto"
    """The solver; ``auto``: what suits the data (docs/how-to-choose.md)."""
    tol: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    """The fit has converged when no gradient entry is larger, in units of the target's
    deviation; ``auto``: 1e-9 in float64, 1e-6 in float32."""
    max_iter: Annotated[int, Field(ge=1)] = 5_000
    """The most steps for one penalty."""
    shares: Annotated[int, Field(ge=1, le=4_096)] = 1
    """The parts into which the rows are divided for sums, and so the most processes that can
    fit a linear model together; ``--ranks`` sets 8. The same shares give the same bits on any
    number of processes."""

    @model_validator(mode="after")
    def _solver(self) -> LineSettings:
        if self.solver != "auto":
            known(SOLVERS, self.solver, "solver", GROUP)
        return self
