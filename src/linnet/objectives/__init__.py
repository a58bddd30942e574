"""Losses as pure functions of raw predictions and targets."""

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
"""In the order in which "auto" asks them whether they suit a target."""

GROUP = "linnet.objectives"
"""The entry points by which other packages add objectives."""


def find(name: str) -> "Objective":
    """The objective of that name; raises ``RecipeError``."""
    objective: Objective = lookup(OBJECTIVES, name, "objective", GROUP)()
    return objective


def choose(target: "Target", name: str = "auto") -> str:
    """The name of the objective for a target: ``name`` if it suits, the first that suits of
    "auto"; raises ``RecipeError``."""
    names = OBJECTIVES if name == "auto" else (name,)
    for each in names:
        if find(each).suits(target):
            return each
    raise RecipeError(f'objective "{name}" does not suit {target.task} of this target')
