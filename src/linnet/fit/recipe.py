"""What to fit and how: a run is reproducible from its recipe and its data.

A recipe holds settings only: ``resolve`` replaces "auto", ``begin`` builds the parts of a fit.
Each room has its own part of the recipe: ``Reading`` says how data is read, ``LineSettings`` and
``NetSettings`` how the models are fitted, ``Watching`` what is written during a fit.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from linnet.core.closed import Closed, Several
from linnet.core.every import Every, EveryEpochs, EverySeconds
from linnet.core.registry import known
from linnet.data.reading import Reading
from linnet.errors import RecipeError
from linnet.insight.decision import ARGMAX, Cost
from linnet.line.settings import LineSettings
from linnet.net.settings import NetSettings
from linnet.networks import BASELINE, LINE, NETWORKS
from linnet.networks import GROUP as NETWORK_GROUP
from linnet.objectives import GROUP as OBJECTIVE_GROUP
from linnet.objectives import OBJECTIVES

FOLDS = "folds"
"""The value of ``test`` for cross-validation: each row is tested once, by models that are fitted to
other rows; then the models of the run are fitted to all rows."""

AUTO = "auto"
"""The models that suit the data: ``resolve`` names them."""


def merged(before: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Plain settings, and others in their place; costs go with the rule that takes them."""
    other = settings.get("decide", "cost") != "cost"
    return {**before, **({"costs": None} if other else {}), **settings}


class Watching(Closed):
    """What is written while a model is fitted; these settings change no result."""

    log_every: EveryEpochs = Every()
    """Which steps are written; "auto": each of the first hundred, then every tenth."""
    checkpoint_every: EverySeconds = Every()
    """How often a checkpoint is written; "auto": at the end of an epoch, but at most every 5
    seconds, and at least every 30."""


class Recipe(Watching, NetSettings, LineSettings, Reading):
    """Every setting that changes a result. Frozen; it can be read from TOML and JSON, and written
    to them.

    ``linnet.fit.resolve`` replaces each "auto" by a value that suits the data.
    """

    # data
    data: str | None = None
    test: Literal["folds"] | Annotated[int | float, Field(gt=0)] = 0.2
    valid: Literal["auto"] | Annotated[int | float, Field(ge=0)] = "auto"
    folds: Literal["auto"] | Annotated[int, Field(ge=1, le=100)] = "auto"
    store: str | None = None
    """The folder for encoded rows that do not fit into memory (``linnet.data.store``). If it is
    named, it is used for any Parquet data; if not, where the rows would not fit, it is in the
    user's cache."""
    # all models
    model: Annotated[tuple[str, ...], Several(), Field(min_length=1)] = (AUTO,)
    objective: str = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: str = "auto"
    dtype: Literal["auto", "float32", "float64"] = "auto"
    scaling: Annotated[
        Literal["auto", "none", "pixel", "standard"] | tuple[float, Annotated[float, Field(gt=0)]],
        Several(alone=False),
    ] = "auto"
    class_weight: Annotated[
        Literal["balanced"] | tuple[Annotated[float, Field(ge=0)], ...] | None,
        Several(alone=False),
    ] = None

    decide: Literal["argmax", "f1", "cost"] = ARGMAX
    """How one of two classes is called: the more probable one, or by the threshold of the second
    class's probability that has the largest F1, or the smallest mean cost, on validation rows or
    out of fold."""
    costs: Annotated[tuple[Cost, Cost] | None, Several(alone=False)] = None
    """What a false positive and a false negative cost, for ``decide="cost"``."""
    yardstick: Literal["auto", "trees", "none"] = "auto"
    """What the scores on the test rows are compared with; it is no model of the run."""

    @field_validator("model", mode="before")
    @classmethod
    def _auto(cls, value: object) -> object:
        return (AUTO,) if value == AUTO else value

    @model_validator(mode="after")
    def _parts(self) -> Recipe:
        models = {name: place for name, place in NETWORKS.items() if name != BASELINE}
        for name in () if self.model == (AUTO,) else self.model:
            known(models, name, "model", NETWORK_GROUP)
        if len(set(self.model)) != len(self.model):
            raise ValueError("a model is named twice")
        if self.objective != "auto":
            known(OBJECTIVES, self.objective, "objective", OBJECTIVE_GROUP)
        self._check_costs()
        return self

    def _check_costs(self) -> None:
        if (self.decide == "cost") != (self.costs is not None):
            raise ValueError(
                "decide=cost needs what a false positive and a false negative cost, such as "
                "costs=1,5; no other rule takes costs"
            )
        if self.costs is not None and not any(self.costs):
            raise ValueError("one of the costs is above 0")

    @property
    def nets(self) -> tuple[str, ...]:
        """All its models except the line."""
        return tuple(name for name in self.model if name != LINE)

    @property
    def test_rows(self) -> int | float:
        """The rows to set aside for the test, as a number or a share; with folds none."""
        return 0 if self.test == "folds" else self.test

    @classmethod
    def make(cls, settings: dict[str, Any], source: str = "recipe") -> Recipe:
        """A recipe from plain values; errors name ``source``."""
        return cls.parse(settings, source, RecipeError)

    def override(self, settings: dict[str, Any], source: str = "recipe") -> Recipe:
        """This recipe with other values of some settings."""
        return Recipe.make(merged(self.plain(), settings), source)

    def toml(self) -> str:
        """The recipe as TOML; keys without a value are left out."""
        import tomli_w

        plain = {"data": self.data, **self.plain()}
        return tomli_w.dumps({k: v for k, v in plain.items() if v not in (None, [], {})})
