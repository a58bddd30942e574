"""How often something is done: every 500 steps, every 3 epochs, every 30 seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from linnet.core.record import Step
from linnet.core.text import plural

FIRST, THEN = 100, 10
"""By default each of the first hundred steps is due, then every tenth step."""


@dataclass(frozen=True)
class Every:
    """Every ``number`` of a ``unit``; the user of the class decides what "auto" means."""

    number: float = 0
    unit: Literal["auto", "steps", "epochs", "seconds"] = "auto"

    @classmethod
    def parse(cls, value: Any) -> Every:
        """``500`` steps, ``"3 epochs"``, ``"30s"``, or ``"auto"``; raises ValueError."""
        if isinstance(value, Every):
            return value
        if value == "auto":
            return cls()
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if type(value) is int and value >= 1:
            return cls(value, "steps")
        if isinstance(value, str):
            if found := re.fullmatch(r"([1-9]\d*) ?epochs?", value):
                return cls(int(found[1]), "epochs")
            if found := re.fullmatch(r"(\d+(?:\.\d+)?)s", value):
                return cls(float(found[1]), "seconds")
        raise ValueError('expected a number of steps from 1, "3 epochs", "30s", or "auto"')

    def plain(self) -> int | str:
        """The value in a form that ``parse`` takes."""
        if self.unit == "auto":
            return "auto"
        if self.unit == "seconds":
            return f"{self.number:g}s"
        number = int(self.number)
        return number if self.unit == "steps" else f"{number} {plural(number, 'epoch')}"

    def steps(self, per_epoch: int) -> int:
        """The value as a number of steps; "auto" is one epoch."""
        if self.unit == "steps":
            return int(self.number)
        return (int(self.number) if self.unit == "epochs" else 1) * per_epoch

    def due(self, step: Step) -> bool:
        """Whether it is due after ``step``. For "auto" each of the first ``FIRST`` steps is due,
        then every ``THEN``-th step, and each complete one; each member of a fit by folds counts its
        own steps."""
        if self.unit == "auto":
            return step.own <= FIRST or step.own % THEN == 0 or step.complete
        if self.unit == "steps":
            return step.own % int(self.number) == 0
        return step.ended and step.epoch % int(self.number) == 0


def _in(*units: str) -> PlainValidator:
    def parse(value: Any) -> Every:
        found = Every.parse(value)
        if found.unit not in (*units, "auto"):
            words = {"epochs": '"3 epochs"', "seconds": 'a time, such as "30s"'}
            raise ValueError(f'expected steps, such as 500, {words[units[-1]]}, or "auto"')
        return found

    return PlainValidator(parse)


_AS_GIVEN = PlainSerializer(Every.plain)
EveryEpochs = Annotated[
    Every, _in("steps", "epochs"), _AS_GIVEN, WithJsonSchema({"examples": [500, "3 epochs"]})
]
EverySeconds = Annotated[
    Every, _in("steps", "seconds"), _AS_GIVEN, WithJsonSchema({"examples": [500, "30s"]})
]
