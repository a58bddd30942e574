"""Texts of JSON that were made to cost much, and what reading them costs, in a new process."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MEGABYTE = 1 << 20


def texts(size: int) -> Iterator[tuple[str, str]]:
    """Names and texts of JSON, each of about ``size`` letters: wide, deep, long, odd, or none."""

    def many(part: str, between: str = ",") -> str:
        return between.join([part] * (size // (len(part) + len(between))))

    def inside(text: str) -> str:
        return "[" + text + "]"

    yield "keys", "{" + ",".join(f'"{number:x}":0' for number in range(size // 9)) + "}"
    yield "long keys", "{" + ",".join(f'"{i}{"k" * 5000}":[]' for i in range(size // 5010)) + "}"
    yield "one key again", "{" + many('"a":1') + "}"
    for name, part in (
        ("numbers", "0"), ("lists", "[]"), ("objects", "{}"), ("objects of one", '{"x":1}'),
        ("texts", '""'), ("truth", "true"), ("a hundred deep", "[" * 90 + "]" * 90),
        ("long numbers", "9" * 4000), ("nulls", "null"), ("fractions", "0.1"),
    ):  # fmt: skip
        yield name, inside(many(part))
    yield "deep lists", "[" * (size // 2) + "]" * (size // 2)
    yield "open lists", "[" * size
    yield "deep objects", '{"a":' * (size // 6) + "1" + "}" * (size // 6)
    for name, part in (
        ("a text", "x"), ("escapes", r"\u00e9"), ("pairs", r"\ud83d\ude00"), ("commas", ","),
        ("wide letters", "\U0001f600"), ("half characters", r"\ud800"), ("quotes", r"\""),
    ):  # fmt: skip
        yield name, '"' + part * (size // len(part.encode())) + '"'
    yield "a key", '{"' + "k" * size + '":1}'
    for name, part in (
        ("only quotes", '"'), ("backslashes", "\\"), ("a number", "1"), ("spaces", " "),
        ("lines", "\n"), ("only commas", ","), ("brackets and quotes", '["'),
    ):  # fmt: skip
        yield name, part * (size // len(part))
    yield "a fraction", "0." + "1" * size
    yield "an exponent", "1e" + "1" * size


def peak(code: str, *words: str) -> int:
    """The bytes by which ``code`` lets a new process grow at most, after its imports.

    The code calls ``begin()`` after its imports; what it prints is the test's output.
    """
    head = (
        "import resource, sys\n"
        "def begin():\n"
        "    global base\n"
        "    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    )
    tail = "\nprint(); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)"
    places = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", head + code + tail, *words],
        capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stdout)
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout.splitlines()[-1]) * unit


__all__ = ["MEGABYTE", "peak", "resource", "texts"]
