"""Objectives (loss functions): pure functions of raw predictions and targets."""

from typing import TYPE_CHECKING

from linnet.core.registry import lookup
from linnet.errors import RecipeError

if TYPE_CHECKING:
    from linnet.objectives.base import Objective, Target

OBJECTIVES = {
    "squared": "linnet.objectives.squared:Squared",
    "logistic": "linnet.objectives.logistic:Logistic",
    "softmax": "linnet.objectives.softmax:Softmax",
}
""""auto" takes the first of these that suits the target."""

GROUP = "linnet.objectives"
"""The group of entry points with which other packages add objectives."""


def find(name: str) -> "Objective":
    """The objective with this name; raises ``RecipeError`` if there is none."""
    objective: Objective = lookup(OBJECTIVES, name, "objective", GROUP)()
    return objective


def choose(target: "Target", name: str = "auto") -> str:
    """The name of the objective for a target: ``name``, or for "auto" the first that suits the
    target; raises ``RecipeError`` if none does."""
    names = OBJECTIVES if name == "auto" else (name,)
    for each in names:
        if find(each).suits(target):
            return each
    raise RecipeError(f'objective "{name}" does not suit {target.task} of this target')
