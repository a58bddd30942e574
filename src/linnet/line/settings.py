"""The settings of the line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from linnet.core.closed import Closed, Several
from linnet.core.registry import known
from linnet.line import GROUP, SOLVERS


class LineSettings(Closed):
    """How the line is fitted: a part of the recipe.

    ``penalty`` is the L2 penalty, or the path of penalties from which validation rows choose;
    ``tol`` the largest gradient entry at which a penalty counts as solved, in units of the target's
    deviation. ``shares`` is the number of parts into which the rows are divided for sums: the most
    processes that can fit a line together. The same shares give the same bits on any number of
    processes.
    """

    intercept: bool = True
    penalty: Annotated[Literal["auto"] | tuple[Annotated[float, Field(ge=0)], ...], Several()] = (
        "auto"
    )
    solver: str = "auto"
    tol: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    max_iter: Annotated[int, Field(ge=1)] = 5_000
    shares: Annotated[int, Field(ge=1, le=4_096)] = 1

    @model_validator(mode="after")
    def _solver(self) -> LineSettings:
        if self.solver != "auto":
            known(SOLVERS, self.solver, "solver", GROUP)
        return self
