"""Panels that need a model or the data; each is made once, on request, by a separate process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linnet.core import files
from linnet.errors import LinnetError

if TYPE_CHECKING:
    from linnet.figures import Figure
    from linnet.runs.run import Run

KINDS = (
    "calibration", "data", "dependence", "errors", "importance", "intervals", "learning",
    "mistakes", "penalties", "residuals", "roc", "slices", "thresholds", "weights",
)  # fmt: skip
SECONDS = 120
MAX_BYTES = 32 << 20

MAX_MISTAKES = 1000
"""The most mistakes that are sent, the most confident first."""

NICE = 10
"""By how much the process that makes panels steps back behind the one that trains."""


class Maker:
    """The process that makes panels, one after the other. It stays, because its imports take
    longer than most panels; it ends with the viewer, whose end closes its standard input."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._beginning = asyncio.Lock()

    async def begin(self) -> asyncio.subprocess.Process:
        """Start the process, unless it runs."""
        async with self._beginning:
            if self._process is None or self._process.returncode is not None:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", "linnet.show.view.panels",
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL, limit=2 * MAX_BYTES,
                    env={**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
                )  # fmt: skip
            return self._process

    async def compute(self, run: Path, kind: str, model: str) -> bytes:
        """A panel as JSON: ``data`` and ``layout`` of a figure; or ``columns`` and ``pictures``; or
        a ``problem``, which says why there is no panel."""
        question = json.dumps({"run": str(run), "kind": kind, "model": model})
        try:
            process = await self.begin()
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(question.encode() + b"\n")
            made = await asyncio.wait_for(process.stdout.readline(), SECONDS)
        except TimeoutError:
            await self.end()
            return _problem(f"it took more than {SECONDS} seconds")
        except (OSError, ValueError):
            made = b""
        except asyncio.CancelledError:
            await self.end()
            raise
        if not made.endswith(b"\n"):
            await self.end()
            return _problem("the process that makes this panel has crashed")
        return made if len(made) <= MAX_BYTES else _problem("too large to show")

    async def end(self) -> None:
        """End the process at once."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _problem(text: str) -> bytes:
    return files.dumps({"problem": text}).encode()


def make(run: Run, kind: str, model: str) -> dict[str, Any]:
    """A panel of the model, or of the chosen one; the panel "data" shows the training rows."""
    from linnet.show.report import insights

    name = model or None
    if kind == "mistakes":
        figure = run.mistakes(name, count=MAX_MISTAKES)
        pictures = [image["source"] for image in figure.layout.get("images", ())]
        return {"title": figure.title, "columns": figure.columns, "pictures": pictures}
    of_model = {
        "calibration": run.calibration, "errors": run.errors, "residuals": run.residuals,
        "weights": run.weights,
    }  # fmt: skip
    if kind in of_model:
        return of_model[kind](name).plain()
    of_run: dict[str, Callable[[], Figure]] = {
        "data": run.examples, "learning": run.learning_curve, "penalties": run.penalties,
        "roc": run.roc,
    }  # fmt: skip
    return (of_run[kind]() if kind in of_run else insights.drawn(run, kind)).plain()


def main() -> None:
    """Answer each question, a line on standard input, with a panel, a line on standard output."""
    import sklearn.metrics  # noqa: F401  # what most panels need, before the first is asked for

    from linnet.figures import calibration  # noqa: F401
    from linnet.fit import artifact  # noqa: F401
    from linnet.runs.run import Run

    with contextlib.suppress(OSError):
        os.nice(NICE)
    for line in sys.stdin.buffer:
        question = json.loads(line)
        try:
            panel = make(Run(question["run"]), question["kind"], question["model"])
        except (LinnetError, OSError) as error:
            panel = {"problem": str(error)}
        sys.stdout.buffer.write(files.dumps(panel).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
