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


class Watching(Closed):
    """What is written while a model is fitted; these settings change no result."""

    log_every: EveryEpochs = Every()
    """How often a line is written to the record, in steps or epochs; ``auto``: for each of the
    first hundred steps, then for every tenth."""
    checkpoint_every: EverySeconds = Every()
    """How often a checkpoint is written, in steps or seconds; ``auto``: at the first end of an
    epoch after 5 seconds, and at the latest after 30."""


class Recipe(Watching, NetSettings, LineSettings, Reading):
    """Every setting that changes a result. Frozen; it can be read from TOML and JSON, and written
    to them.

    ``linnet.fit.resolve`` replaces each "auto" by a value that suits the data.
    """

    # data
    data: str | None = None
    """The data: a known name, a file, a folder."""
    test: Literal["folds"] | Annotated[int | float, Field(gt=0)] = 0.2
    """The test rows, as a share or a number; not used if the data has its own test part.
    ``folds``: each row is tested once, by models that learned from other rows."""
    valid: Literal["auto"] | Annotated[int | float, Field(ge=0)] = "auto"
    """The validation rows, as a share or a number; ``auto``: a fifth of the rest, at most
    10,000; with ``folds`` none."""
    folds: Literal["auto"] | Annotated[int, Field(ge=1, le=100)] = "auto"
    """The number of folds of the training rows, each held out once; 1: one validation part
    instead. ``auto``: 5 for tables with fewer than 5,000 training rows, else 1; 1 also for
    pictures, with ``time``, and where ``valid`` or ``patience`` is set."""
    store: str | None = None
    """The folder for encoded rows of Parquet data larger than memory (docs/scale.md). If it is
    named, it is used for any Parquet data; if not, where the rows would not fit, it is in the
    user's cache."""
    # all models
    model: Annotated[tuple[str, ...], Several(), Field(min_length=1)] = (AUTO,)
    """The models, several with commas; ``custom`` is a module of your own. ``auto``: ``linear`` and
    ``mlp``, for pictures in colour or of 32 pixels a side and more ``linear`` and ``cnn``."""
    objective: str = "auto"
    """The loss; ``auto``: the first of these that suits the target."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Fixes all randomness."""
    device: str = "auto"
    """Where the nets are trained: cpu, cuda, cuda:1, mps; ``auto``: CUDA where there is one,
    else the CPU."""
    dtype: Literal["auto", "float32", "float64"] = "auto"
    """The number format; ``auto``: the data's."""
    scaling: Annotated[
        Literal["auto", "none", "pixel", "standard"] | tuple[float, Annotated[float, Field(gt=0)]],
        Several(alone=False),
    ] = "auto"
    """How inputs are scaled: ``pixel`` (one mean and deviation), ``standard`` (standardises
    each column), or a mean and a deviation; ``auto``: ``pixel`` for pictures, ``standard`` for
    tables."""
    class_weight: Annotated[
        Literal["balanced"] | tuple[Annotated[float, Field(ge=0)], ...] | None,
        Several(alone=False),
    ] = None
    """A weight for each class; ``balanced``: by how rare it is."""

    yardstick: Literal["auto", "trees", "none"] = "auto"
    """What the scores on the test rows are compared with: ``trees``, scikit-learn's boosted
    trees, or nothing; ``auto``: ``trees`` for tables with test rows, if they take no more than
    minutes. It is no model of the run."""

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
        return self

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
        return Recipe.make({**self.plain(), **settings}, source)

    def toml(self) -> str:
        """The recipe as TOML; keys without a value are left out."""
        import tomli_w

        plain = {"data": self.data, **self.plain()}
        return tomli_w.dumps({k: v for k, v in plain.items() if v not in (None, [], {})})
