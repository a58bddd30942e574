"""Weights & Biases; ``mode=offline`` stores everything in ``<run>/wandb``, to be sent later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linnet.core.events import Plain
from linnet.integrations.sinks.base import Sink, identity, picture_path, recipe


class WeightsAndBiases(Sink):
    """Values by the steps of each model, test scores in the summary, the recipe as config."""

    options = ("project", "entity", "mode", "dir")
    packages = ("wandb",)

    def open(self, run: Path, options: Mapping[str, str]) -> None:
        import wandb

        self._run = run
        self._axes: set[str] = set()
        self._service = wandb.init(
            project=options.get("project", "linnet"),
            entity=options.get("entity"),
            mode=options.get("mode"),
            dir=options.get("dir", str(run)),
            id=identity(run),
            name=run.absolute().name,
            resume="allow",
            config=recipe(run),
        )

    def scalars(self, values: dict[str, float], step: int, wall: float) -> None:
        rows = dict(values)
        for tag in values:
            axis = f"{tag.split('/')[0]}/step"
            if axis not in self._axes:  # each model, or environment of windows, has its own steps
                self._service.define_metric(axis, hidden=True)
                self._service.define_metric(f"{axis.removesuffix('step')}*", step_metric=axis)
                self._axes.add(axis)
            rows[axis] = step
        if rows:
            self._service.log(rows)

    def summary(self, values: dict[str, float], wall: float) -> None:
        self._service.summary.update(values)

    def text(self, tag: str, text: str, step: int, wall: float) -> None:
        self._service.summary[tag] = text

    def picture(self, tag: str, event: Plain, step: int, wall: float) -> None:
        import wandb

        path = picture_path(self._run, event)
        if path is not None:
            caption = (event.get("opts") or {}).get("caption")
            self._service.log({tag: wandb.Image(str(path), caption=caption)})

    def close(self) -> None:
        self._service.finish()
