"""Frozen pydantic models that refuse what they do not know: recipe, schema, manifest, networks."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from linnet.errors import InputError
from linnet.files import canonical
from linnet.registry import suggest


class Closed(BaseModel):
    """A frozen record with exactly the fields it declares."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, value: Any, source: str, error: type[InputError] = InputError) -> Self:
        """Build from plain JSON values; ``source`` is named in errors.

        Nothing is converted but lists to tuples and whole numbers to floats.
        """
        try:
            return cls.model_validate_json(canonical(value), strict=True)
        except ValidationError as invalid:
            raise error(f"{source}: {explain(invalid, cls)}") from None

    def plain(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return self.model_dump(mode="json")


def explain(invalid: ValidationError, model: type[BaseModel]) -> str:
    """The first finding of pydantic in one line, with a did-you-mean for unknown keys."""
    first = invalid.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the whole"
    if first["type"] == "extra_forbidden":
        names = model.model_fields if len(first["loc"]) == 1 else ()
        hint = f"; {suggest(str(first['loc'][-1]), names)}" if names else ""
        return f'unknown key "{place}"{hint}'
    if first["type"] == "missing":
        return f'the key "{place}" is missing'
    given = repr(first["input"])
    given = given if len(given) <= 80 else given[:77] + "..."
    return f'"{place}" is {given}: {first["msg"].removeprefix("Value error, ")}'
