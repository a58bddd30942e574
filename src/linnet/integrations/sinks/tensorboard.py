"""TensorBoard: event files beside the record, ``<run>/tensorboard``.

It needs only the package ``tensorboard``, neither torch nor TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnet.core.events import Plain
from linnet.integrations.sinks.base import Sink, picture_path, recipe

FOLDER = "tensorboard"


class TensorBoard(Sink):
    """Scalars, texts and pictures; at the end the recipe as hyperparameters, with the scores."""

    options = ("logdir",)
    packages = ("tensorboard",)

    def open(self, run: Path, options: Mapping[str, str]) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._run = run
        self._writer = EventFileWriter(options.get("logdir") or str(run / FOLDER))

    def scalars(self, values: dict[str, float], step: int, wall: float) -> None:
        self._add(step, wall, [{"tag": tag, "simple_value": v} for tag, v in values.items()])

    def summary(self, values: dict[str, float], wall: float) -> None:
        self.scalars(values, 0, wall)

    def text(self, tag: str, text: str, step: int, wall: float) -> None:
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING
        from tensorboard.plugins.text.metadata import create_summary_metadata

        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=shape)
        metadata = create_summary_metadata(display_name="", description="")
        self._add(step, wall, [{"tag": tag, "tensor": tensor, "metadata": metadata}])

    def picture(self, tag: str, event: Plain, step: int, wall: float) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        path = picture_path(self._run, event)
        if path is not None:
            image = Summary.Image(
                height=event["height"],
                width=event["width"],
                colorspace=3,
                encoded_image_string=path.read_bytes(),
            )
            self._add(step, wall, [{"tag": tag, "image": image}])

    def end(self, wall: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Written
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        summary = hparams_pb(recipe(self._run), start_time_secs=wall)
        self._writer.add_event(Written(wall_time=wall, summary=summary))

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _add(self, step: int, wall: float, values: list[dict[str, Any]]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Written
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(**value) for value in values])
        self._writer.add_event(Written(wall_time=wall, step=step, summary=summary))
