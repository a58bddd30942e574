"""trackio, in its local database (``TRACKIO_DIR``), or on the server set by its variables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linnet.core.events import Plain
from linnet.integrations.sinks.base import Sink, picture_path, recipe


class Trackio(Sink):
    """Values by step, test scores, the recipe as config, pictures."""

    options = ("project",)
    packages = ("trackio",)

    def open(self, run: Path, options: Mapping[str, str]) -> None:
        import trackio

        self._run = run
        self._project = options.get("project", "linnet")
        self._service = trackio.init(
            project=self._project,
            name=run.absolute().name,
            config=dict(recipe(run)),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def scalars(self, values: dict[str, float], step: int, wall: float) -> None:
        if values:
            self._service.log(dict(values), step=step)

    def summary(self, values: dict[str, float], wall: float) -> None:
        self.scalars(values, 0, wall)

    def picture(self, tag: str, event: Plain, step: int, wall: float) -> None:
        import trackio

        path = picture_path(self._run, event)
        if path is not None:
            caption = (event.get("opts") or {}).get("caption")
            self._service.log({tag: trackio.Image(str(path), caption=caption)}, step=step)

    def close(self) -> None:
        import trackio

        trackio.finish()
