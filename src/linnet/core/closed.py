"""Frozen pydantic models that refuse unknown fields: recipe, schema, manifest, networks."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from linnet.core.files import canonical
from linnet.core.registry import suggest
from linnet.core.text import cut, literal
from linnet.errors import InputError


@dataclass(frozen=True)
class Several:
    """Marks a field whose value is a list, so that a list is one value and not a sweep.

    With ``alone``, a single value is also accepted, as a list of one.
    """

    alone: bool = True

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        if not self.alone:
            return schema
        return core_schema.no_info_before_validator_function(self._listed, schema)

    @staticmethod
    def _listed(value: object) -> object:
        if isinstance(value, (list, tuple)):
            return tuple(value)
        return value if value in ("auto", None) else (value,)


MAX_FAULTS = 1000
"""Of more faults than this only the number is told: each would take a kilobyte of memory."""


def at_first(schema: CoreSchema) -> CoreSchema:
    """``schema``, whose lists stop at their first wrong item: else pydantic gathers one error or
    more for each item of a hostile file, half a kilobyte each."""
    parts: list[Any] = [schema]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if part.get("type") in ("list", "tuple", "set"):
                part["fail_fast"] = True
            parts += part.values()
        elif isinstance(part, (list, tuple)):
            parts += part
    return schema


class Closed(BaseModel):
    """A frozen record with exactly the fields it declares. Its repr has those that are not at their
    defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return at_first(handler(source))

    @classmethod
    def parse(cls, value: Any, source: str, error: type[InputError] = InputError) -> Self:
        """Build from plain JSON values; errors name ``source``.

        The only conversions are lists to tuples, whole numbers to floats, and NumPy's numbers and
        arrays to plain ones.
        """
        try:
            return cls.model_validate_json(canonical(value), strict=True)
        except TypeError:
            plain = _plain(value, source, error)
            return cls.parse(plain, source, error)
        except UnicodeEncodeError as wrong:
            raise error(
                f"{source}: a string holds {wrong.object[wrong.start]!r}, half a character; "
                "expected text that UTF-8 can encode"
            ) from None
        except ValidationError as invalid:
            raise error(f"{source}: {explain(invalid, cls)}") from None

    @classmethod
    def takes_several(cls, key: str) -> bool:
        """Whether the value of a field is a list."""
        return any(isinstance(each, Several) for each in cls.model_fields[key].metadata)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        return told(self)

    def plain(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return self.model_dump(mode="json")


class _Told(str):
    """A text that is its own repr."""

    __repr__ = str.__str__


def told(model: BaseModel) -> Iterator[tuple[str, Any]]:
    """The fields of a record that are not at their defaults, each in at most 60 letters: its repr
    for people."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if value != field.get_default(call_default_factory=True):
            yield name, _Told(literal(value))


def _plain(value: Any, where: str, error: type[InputError]) -> Any:
    """``value`` without NumPy's types; ``error`` names the place of what is not plain."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(one, f"{where}, {key}", error) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one, where, error) for one in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), where, error)
    raise error(f"{where}: a {type(value).__name__}; expected text, numbers, or lists of them")


KINDS = {"int": "a whole number", "float": "a number", "tuple": "a list of numbers"}
"""The kinds of value that pydantic's errors begin with, in words."""


def explain(invalid: ValidationError, model: type[BaseModel]) -> str:
    """The first error of pydantic in one line, with a "did you mean" for unknown keys.

    If a key allows several types of value, this is the error of the type nearest to the value.
    """
    if invalid.error_count() > MAX_FAULTS:
        return f"{invalid.error_count():,} faults, so linnet did not write this file"
    errors = invalid.errors(include_url=False)
    first = errors[0]
    if any(map(_is_kind, first["loc"][1:])) and not isinstance(first["input"], str):
        first = [error for error in errors if error["loc"][:1] == first["loc"][:1]][-1]
    place = ".".join(
        str(part) for i, part in enumerate(first["loc"]) if not i or not _is_kind(part)
    )
    if not place:  # settings that do not go together
        return str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        names = model.model_fields if len(first["loc"]) == 1 else ()
        hint = f"; {suggest(cut(str(first['loc'][-1]), 80), names)}" if names else ""
        return f'unknown key "{cut(place, 80)}"{hint}'
    if first["type"] == "missing":
        return f'the key "{cut(place, 80)}" is missing'
    given = cut(repr(first["input"]), 80, "...")
    told = first["msg"].removeprefix("Value error, ") + _other_kinds(first, errors)
    return f'"{cut(place, 80)}" is {given}: {told}'


def _other_kinds(first: ErrorDetails, errors: Sequence[ErrorDetails]) -> str:
    """What else a key takes than the texts of ``first``: other texts, ", or a number"."""
    if first["type"] != "literal_error":
        return ""
    others = [error for error in errors[1:] if error["loc"][0] == first["loc"][0]]
    texts = [f", {each['ctx']['expected']}" for each in others if each["type"] == first["type"]]
    kinds = {error["type"].split("_")[0] for error in others}
    kinds -= {"int"} if "float" in kinds else set()
    texts += [f", or {words}" for kind, words in KINDS.items() if kind in kinds]
    return "".join(texts)


def _is_kind(part: int | str) -> bool:
    """Whether ``part`` names one of several types of value, not a place in the input."""
    kinds = {"literal", "constrained", "function", "tuple", "int", "float", "bool", "str"}
    return isinstance(part, str) and bool(kinds & set(re.split(r"[^a-z]", part)))
