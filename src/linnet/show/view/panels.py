"""Panels that need a model or the data; each is made once, on request, by a separate process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.core import files
from linnet.errors import LinnetError

if TYPE_CHECKING:
    from linnet.runs.run import Run

KINDS = ("calibration", "data", "learning", "mistakes", "residuals", "weights")
SECONDS = 120
MAX_BYTES = 32 << 20

MAX_MISTAKES = 1000
"""The most mistakes that are sent, the most confident first."""


async def compute(run: Path, kind: str, model: str) -> bytes:
    """A panel as JSON: ``data`` and ``layout`` of a figure; or ``columns`` and ``pictures``; or a
    ``problem``, which says why there is no panel."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "linnet.show.view.panels",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
    )  # fmt: skip
    question = json.dumps({"run": str(run), "kind": kind, "model": model}).encode()
    try:
        made, _ = await asyncio.wait_for(process.communicate(question), SECONDS)
    except TimeoutError:
        return _problem(f"it took more than {SECONDS} seconds")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or not made:
        return _problem("the process that makes this panel has crashed")
    return made if len(made) <= MAX_BYTES else _problem("too large to show")


def _problem(text: str) -> bytes:
    return files.dumps({"problem": text}).encode()


def make(run: Run, kind: str, model: str) -> dict[str, Any]:
    """A panel of the model, or of the chosen one; the panel "data" shows the training rows."""
    name = model or None
    if kind == "data":
        return run.examples().plain()
    if kind == "mistakes":
        figure = run.mistakes(name, count=MAX_MISTAKES)
        pictures = [image["source"] for image in figure.layout.get("images", ())]
        return {"title": figure.title, "columns": figure.columns, "pictures": pictures}
    if kind == "learning":
        return run.learning_curve().plain()
    made = {"calibration": run.calibration, "residuals": run.residuals, "weights": run.weights}
    return made[kind](name).plain()


def main() -> None:
    """Read the question from standard input, write the panel to standard output."""
    from linnet.runs.run import Run

    question = json.loads(sys.stdin.buffer.read())
    try:
        panel = make(Run(question["run"]), question["kind"], question["model"])
    except (LinnetError, OSError) as error:
        panel = {"problem": str(error)}
    sys.stdout.buffer.write(files.dumps(panel).encode())


if __name__ == "__main__":
    main()
