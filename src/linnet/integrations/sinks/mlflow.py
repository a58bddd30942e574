"""MLflow (the package ``mlflow-skinny`` suffices): a server, or files in ``mlruns``.

Without ``uri`` and ``MLFLOW_TRACKING_URI``, the files are beside the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from linnet.core.events import Plain
from linnet.integrations.sinks.base import Sink, identity, picture_path, recipe
from linnet.runs import directory

TAG = "linnet.run"
BATCH = 1000
"""The most metrics that MLflow accepts in one call."""


class MLflow(Sink):
    """Metrics by step and test scores, sent a thousand at once; the recipe as parameters."""

    options = ("uri", "experiment")
    packages = ("mlflow",)

    def open(self, run: Path, options: Mapping[str, str]) -> None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        beside = (run.absolute().parent / "mlruns").as_uri()
        uri = options.get("uri") or os.environ.get("MLFLOW_TRACKING_URI") or beside
        if uri.startswith("file:"):  # MLflow would prefer a database, which skinny does not have
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._run = run
        self._waiting: list[tuple[str, float, int, int]] = []
        self._service = MlflowClient(tracking_uri=uri)
        name = options.get("experiment", "linnet")
        experiment = self._service.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else self._service.create_experiment(name)
        own = f"tags.`{TAG}` = '{identity(run)}'"
        found = self._service.search_runs([number], own, max_results=1)
        if found:
            self._id = found[0].info.run_id
        else:
            tags = {TAG: identity(run)}
            made = self._service.create_run(number, tags=tags, run_name=run.absolute().name)
            self._id = made.info.run_id
            params = [Param(key, str(value)[:6000]) for key, value in recipe(run).items()]
            self._service.log_batch(self._id, params=params)

    def scalars(self, values: dict[str, float], step: int, wall: float) -> None:
        for tag, value in values.items():
            self._waiting.append((_key(tag), value, round(wall * 1000), step))

    def summary(self, values: dict[str, float], wall: float) -> None:
        self.scalars(values, 0, wall)

    def text(self, tag: str, text: str, step: int, wall: float) -> None:
        self._service.log_text(self._id, text, f"{_key(tag)}.txt")

    def picture(self, tag: str, event: Plain, step: int, wall: float) -> None:
        path = picture_path(self._run, event)
        if path is not None:
            self._service.log_artifact(self._id, str(path), _key(tag))

    def flush(self) -> None:
        from mlflow.entities import Metric

        while self._waiting:
            metrics = [
                Metric(key, value, timestamp, step)
                for key, value, timestamp, step in self._waiting[:BATCH]
            ]
            self._service.log_batch(self._id, metrics=metrics)
            del self._waiting[:BATCH]

    def close(self) -> None:
        states = {"finished": "FINISHED", "failed": "FAILED", "crashed": "FAILED"}
        state = directory.state_of(self._run)[0]
        if state != "running":
            self._service.set_terminated(self._id, states.get(str(state), "KILLED"))


def _key(tag: str) -> str:
    """``tag`` with only the characters that MLflow accepts, and without ``..``."""
    return re.sub(r"[^\w\-. /]", "_", tag, flags=re.ASCII).replace("..", "_").strip("/ ") or "_"
