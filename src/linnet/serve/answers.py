"""Predictions of encoded rows, and how they look in JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from linnet.fit.runtime import Answers, Encoded, Runtime
from linnet.insight.shares import MANY, TOP
from linnet.serve.facts import facts
from linnet.serve.limits import MAX_ANSWER
from linnet.serve.refused import Refused
from linnet.serve.work import Flag

_ENCODE = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def dumps(value: Any) -> bytes:
    """Strict JSON: numbers that are not finite become null, and floats are read again as the same
    numbers."""
    try:
        return _ENCODE(value).encode()
    except ValueError:
        return _ENCODE(finite(value)).encode()


def finite(value: Any) -> Any:
    """The same with null for numbers that are not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return value


def answers(runtime: Runtime, encoded: Encoded, block: int, flag: Flag) -> Answers:
    """The answers for all rows, ``block`` rows at a time; the work ends where ``flag`` is down."""
    classes = max(1, len(facts(runtime).names))
    if len(encoded) * min(classes, MANY) > MAX_ANSWER:
        raise Refused(
            413,
            f"{len(encoded):,} rows of {classes:,} classes are more than {MAX_ANSWER:,} "
            "probabilities (MAX_ANSWER); send fewer rows at once",
        )
    flag.check()
    if len(encoded) <= block:
        return runtime.answers(encoded)
    prediction: list[Any] = []
    shares = []
    for start in range(0, len(encoded), block):
        flag.check()
        found = runtime.answers(Encoded(encoded.x[start : start + block]))
        prediction += found.prediction
        shares.append(found.p)
    p = None if shares[0] is None else np.concatenate([each for each in shares if each is not None])
    return Answers(prediction, p, encoded.notes)


def surely(runtime: Runtime, found: Answers, level: float) -> tuple[list[Any], list[str]]:
    """For each row the interval of its number (with several targets, of each), or the set of its
    classes, which hold with the probability ``level``; and notes. Raises ``InputError`` if the
    model has no calibration, or too few rows calibrate it."""
    calibration, about = runtime.calibration, facts(runtime)
    notes = list(calibration.notes)
    if found.p is not None:
        sets = calibration.sets(found.p, level)
        names = about.names
        inside = [[names[code] for code in np.flatnonzero(row).tolist()] for row in sets.inside]
        return inside, [*notes, *sets.notes]
    ends = np.stack(calibration.interval(np.array(found.prediction), level), -1).tolist()
    if len(about.targets) > 1:
        return [dict(zip(about.targets, each, strict=True)) for each in ends], notes
    return ends, notes


def told(runtime: Runtime, found: Answers) -> list[dict[str, Any]]:
    """For each row its prediction, and its probabilities by the names of classes: of more than
    ``MANY`` classes the most probable ones."""
    about = facts(runtime)
    names, targets = about.names, about.targets
    if found.p is None:
        if len(targets) > 1:
            return [
                {"prediction": dict(zip(targets, each, strict=True))} for each in found.prediction
            ]
        return [{"prediction": each} for each in found.prediction]
    if len(names) > MANY:
        order = np.argsort(-found.p, 1, kind="stable")[:, :TOP]
        largest = np.take_along_axis(found.p, order, 1)
        return [
            {
                "prediction": each,
                "probabilities": {names[code]: value for code, value in zip(*top, strict=True)},
            }
            for each, top in zip(
                found.prediction, zip(order.tolist(), largest.tolist(), strict=True), strict=True
            )
        ]
    return [
        {"prediction": each, "probabilities": dict(zip(names, p, strict=True))}
        for each, p in zip(found.prediction, found.p.tolist(), strict=True)
    ]
