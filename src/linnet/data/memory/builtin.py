"""The small data sets that come with scikit-learn; nothing is downloaded."""

from __future__ import annotations

import numpy as np

from linnet.data import BUILTIN
from linnet.data.dataset import Dataset
from linnet.data.reading import Reading
from linnet.data.source import assemble


class Builtin:
    """A name in ``BUILTIN``."""

    def matches(self, place: object) -> bool:
        return isinstance(place, str) and place in BUILTIN

    def read(self, place: str, reading: Reading) -> Dataset:
        import sklearn.datasets

        bunch = getattr(sklearn.datasets, f"load_{place}")()
        reading = reading.decided("regression") if place == "diabetes" else reading
        if place == "digits":  # pixels are whole numbers 0 to 16
            pictures = bunch.images.astype(np.uint8)
            return assemble(
                pictures,
                bunch.target,
                name=place,
                classes=range(10),
                target="digit",
                reading=reading,
            )
        classes = [str(name) for name in getattr(bunch, "target_names", [])] or None
        target = "progression" if place == "diabetes" else "class"
        return assemble(
            bunch.data,
            bunch.target,
            name=place,
            columns=list(bunch.feature_names),
            classes=classes,
            target=target,
            reading=reading,
        )
