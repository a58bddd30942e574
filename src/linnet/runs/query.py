"""Select, sort and compare runs by their settings and scores."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from linnet.core.files import Place
from linnet.core.registry import suggest
from linnet.errors import InputError
from linnet.runs import directory

Value = str | int | float | bool

MAX_QUERY_LETTERS = 10_000

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}

TOKEN = re.compile(
    r"""\s*(?:
    (?P<operator>==|!=|<=|>=|=|<|>)
    |"(?P<double>[^"]*)"|'(?P<single>[^']*)'
    |(?P<word>[^\s=<>!"']+)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Comparison:
    """``key operator value``, as in ``test.accuracy > 0.98``."""

    key: str
    operator: str
    value: Value

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether it is true for a run; it is false if the run has no such key.

        For a list (``model = mlp``) it is true if it is true for any item. Numbers are compared as
        numbers, all else as text.
        """
        found = facts.get(self.key)
        if isinstance(found, list):
            within = any(_compare("=", item, self.value) for item in found)
            return (
                within if self.operator in ("=", "==") else (self.operator == "!=" and not within)
            )
        return found is not None and _compare(self.operator, found, self.value)


def _compare(sign: str, found: Any, value: Value) -> bool:
    numbers = isinstance(found, (int, float)) and isinstance(value, (int, float))
    if not numbers or isinstance(found, bool) or isinstance(value, bool):
        found, value = _text(found), _text(value)
    return OPERATORS[sign](found, value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse(text: str) -> tuple[Comparison, ...]:
    """Comparisons joined by ``and``, such as ``model=mlp and test.accuracy>0.98``.

    Values with spaces must be in quotes. No code is evaluated.
    """
    if len(text) > MAX_QUERY_LETTERS:
        raise InputError(f"--where has {len(text):,} letters; at most {MAX_QUERY_LETTERS:,}")
    words = _tokens(text)
    found = []
    while True:
        if len(words) < 3 or words[0][0] != "word" or words[1][0] != "operator":
            raise _wrong(text, words)
        (_, key), (_, sign), (kind, value) = words[:3]
        if kind == "operator":
            raise _wrong(text, words[2:])
        found.append(Comparison(key, sign, _value(value) if kind == "word" else value))
        words = words[3:]
        if not words:
            return tuple(found)
        if words[0] != ("word", "and"):
            raise _wrong(text, words)
        words = words[1:]


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while text[place:].strip():
        match = TOKEN.match(text, place)
        if match is None:
            raise InputError(f"--where {text}: cannot read {text[place:].strip()!r}")
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        place = match.end()
    return found


def _wrong(text: str, words: Sequence[tuple[str, str]]) -> InputError:
    place = f'at "{words[0][1]}"' if words else "at its end"
    return InputError(
        f"--where {text}: not understood {place}; expected comparisons joined by and, such as "
        "model=mlp and test.accuracy>0.98"
    )


def _value(word: str) -> Value:
    if word in ("true", "false"):
        return word == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def facts(path: Place, model: str | None = None) -> dict[str, Any]:
    """All values of a run that a query can use, by name.

    ``name state data created chosen``, every key of the recipe, the scores of ``model``, or else of
    the chosen model (``test.accuracy``, ``valid.loss``, ``fit.seconds``), and each model's
    (``mlp.test.accuracy``).
    """
    found: dict[str, Any] = {}
    try:
        about = directory.describe(path)
    except InputError as error:
        about = directory.unreadable(path, error)
        return {key: about[key] for key in ("name", "state")}
    recipe = path / directory.RECIPE
    if recipe.is_file():
        from linnet.fit.settings import read_recipe  # pydantic takes a while to import

        found |= read_recipe(recipe)
    found |= {k: about[k] for k in ("name", "state", "created", "data", "chosen")}
    try:
        metrics = directory.read_metrics(path)
    except InputError:  # not finished
        return found
    meant = model if model in metrics["models"] else metrics["chosen"]
    for name, scores in metrics["models"].items():
        for part, values in scores.items():
            for key, value in values.items() if isinstance(values, dict) else ():
                if isinstance(value, (bool, int, float, str)):
                    found[f"{name}.{part}.{key}"] = value
                    if name == meant:
                        found[f"{part}.{key}"] = value
    return found


def select(
    runs: Iterable[Place], where: str | None = None, sort: str | None = None
) -> list[tuple[Place, dict[str, Any]]]:
    """The runs for which every comparison of ``where`` is true, sorted by the keys of ``sort``.

    If ``where`` names one model (``model=mlp and test.accuracy>0.9``), a score without a model's
    name is that of this model; otherwise it is that of the chosen one.

    ``sort`` is separated by commas; ``-key`` means the largest first; runs without the key come
    last.
    """
    comparisons = parse(where) if where else ()
    named = {str(c.value) for c in comparisons if c.key == "model" and c.operator in ("=", "==")}
    model = named.pop() if len(named) == 1 else None
    rows = [(path, facts(path, model)) for path in runs]
    keys = [key for key in (sort or "").split(",") if key]
    known = {name for _, row in rows for name in row}
    for key in [c.key for c in comparisons] + [key.removeprefix("-") for key in keys]:
        if rows and key not in known:
            raise InputError(f'no run has "{key}"; {suggest(key, known)}')
    rows = [row for row in rows if all(c.holds(row[1]) for c in comparisons)]
    for key in reversed(keys):
        name = key.removeprefix("-")
        rows.sort(key=lambda row: _order(row[1].get(name)), reverse=key.startswith("-"))
        rows.sort(key=lambda row: row[1].get(name) is None)
    return rows


def _order(value: Any) -> tuple[int, float, str]:
    if isinstance(value, (int, float)):
        return 0, float(value), ""
    return 1, 0.0, str(value)


COMPARED = (
    "chosen", "valid.loss", "test.accuracy", "test.log_loss", "test.rmse", "test.r2", "test.rows",
    "fit.seconds", "state",
)  # fmt: skip
"""The values that a comparison shows for every run that has them."""
