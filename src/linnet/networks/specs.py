"""The specifications of networks: everything that is needed to build one, except its weights.

They need no PyTorch, so what only predicts can read them. A network has its own as ``Spec``.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from linnet.core.closed import Closed

MAX_PARAMETERS = 1 << 31
"""A specification with more parameters is refused."""

MAX_BINS = 1_000

Scale = Literal["none", "pixel", "standard"]

Activation = Literal[
    "relu", "leaky_relu", "tanh", "sigmoid", "selu", "gelu", "silu", "softplus", "identity"
]


class NetworkSpec(Closed):
    """Everything that is needed to build a network, except its weights."""

    inputs: tuple[int, ...] = Field(min_length=1, max_length=3)
    outputs: int = Field(ge=1, le=100_000)

    @field_validator("inputs")
    @classmethod
    def _sizes(cls, inputs: tuple[int, ...]) -> tuple[int, ...]:
        if any(size < 1 for size in inputs) or prod(inputs) > MAX_PARAMETERS:
            raise ValueError(f"every size must be at least 1, their product {MAX_PARAMETERS:,}")
        return inputs


class ConstantSpec(NetworkSpec):
    """Only inputs and outputs."""


class LinearSpec(NetworkSpec):
    """The scaling of the inputs."""

    scale: Scale


class EmbeddingSpec(Closed):
    """``numbers`` are the inputs that are embedded, in order; each becomes ``size`` more inputs."""

    numbers: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    size: int = Field(ge=1, le=10_000)


class PiecewiseSpec(EmbeddingSpec):
    kind: Literal["piecewise"]
    bins: int = Field(ge=2, le=MAX_BINS)


class PeriodicSpec(EmbeddingSpec):
    kind: Literal["periodic"]
    frequencies: int = Field(ge=1, le=10_000)
    sigma: float = Field(gt=0, allow_inf_nan=False)


class MLPSpec(NetworkSpec):
    """The widths of the hidden layers, and the layers between them."""

    scale: Scale
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, max_length=100)
    activation: Activation
    batch_norm: bool
    dropout: float = Field(ge=0, lt=1)
    rescale: bool
    embedding: Annotated[PiecewiseSpec | PeriodicSpec, Field(discriminator="kind")] | None = None

    @model_validator(mode="after")
    def _embedded(self) -> MLPSpec:
        if self.embedding is not None:
            numbers = self.embedding.numbers
            if self.scale != "standard" or len(self.inputs) != 1:
                raise ValueError("an embedding takes standardised columns")
            if list(numbers) != sorted(set(numbers)) or numbers[-1] >= self.inputs[0]:
                raise ValueError(f"the embedded columns must rise, below {self.inputs[0]}")
        return self


class CNNSpec(NetworkSpec):
    """The channels of the convolutions, and the layers between them."""

    scale: Scale
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, max_length=12)
    activation: Activation
    batch_norm: bool
    dropout: float = Field(ge=0, lt=1)
    rescale: bool

    @model_validator(mode="after")
    def _pictures(self) -> CNNSpec:
        if len(self.inputs) != 3:
            raise ValueError(
                "a cnn takes pictures (channels, height, width); use linear or mlp for rows"
            )
        least = 2 ** len(self.channels)
        if min(self.inputs[1:]) < least:
            raise ValueError(
                f"{len(self.channels)} convolutions halve a picture to nothing; it must be at "
                f"least {least} x {least}, or give fewer channels"
            )
        return self


class MeanSpec(NetworkSpec):
    """The specification of each of the ``members``."""

    members: int = Field(ge=2, le=100)
    member: dict[str, JsonValue]
