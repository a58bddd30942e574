"""Compare two runs of the same recipe: do they agree to the bit?"""

from __future__ import annotations

from typing import Any

from linnet.core import files
from linnet.core.files import Place
from linnet.runs import directory

MANY = 20
"""The most differences that are listed."""

OF_TIME = ("seconds",)
"""Keys in which two runs need not agree."""


def agreement(first: Place, second: Place) -> dict[str, Any]:
    """Whether two runs have the same scores and stop reasons, to the last bit; and the differences
    between these, and between their data, versions, threads and machines."""
    one, two = (directory.read_metrics(path)["models"] for path in (first, second))
    made = [directory.read_info(path) for path in (first, second)]
    scores = _differences(one, two, "")
    around = []
    for key in ("data.fingerprint", "data.split", "threads", "versions", "hardware", "git"):
        before, after = (_at(info, key) for info in made)
        if before != after:
            detail = "" if isinstance(before, (dict, str)) else f": {before} and {after}"
            around.append(f"{key} differs{detail}")
    if not scores:
        verdict = "every score of every model is the same, to the last bit"
    else:
        verdict = f"{len(scores)} numbers differ"
        verdict += f"; so do {', '.join(line.split(' ')[0] for line in around)}" if around else ""
    return {
        "format": 1,
        "agrees": not scores,
        "runs": [str(first), str(second)],
        "differences": [*around, *scores[:MANY]],
        "verdict": verdict,
    }


def _at(value: Any, key: str) -> Any:
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _differences(one: Any, two: Any, place: str) -> list[str]:
    """The differences between two JSON values, in words."""
    if isinstance(one, dict) and isinstance(two, dict):
        keys = [key for key in dict.fromkeys([*one, *two]) if key not in OF_TIME]
        return [
            line
            for key in keys
            for line in _differences(one.get(key), two.get(key), f"{place}.{key}".lstrip("."))
        ]
    return [] if one == two else [f"{place}: {_short(one)} and {_short(two)}"]


def _short(value: Any) -> str:
    text = files.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
