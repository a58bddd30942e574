"""The small data sets that scikit-learn ships: nothing is downloaded."""

from __future__ import annotations

import numpy as np

from linnet.data.dataset import Dataset
from linnet.data.sources._source import assemble

NAMES = {
    "breast_cancer": "569 rows, 30 columns, 2 classes",
    "diabetes": "442 rows, 10 columns, regression",
    "digits": "1,797 pictures of 8 x 8, 10 classes",
    "iris": "150 rows, 4 columns, 3 classes",
    "wine": "178 rows, 13 columns, 3 classes",
}


class Builtin:
    """A name in ``NAMES``."""

    def matches(self, place: object) -> bool:
        return isinstance(place, str) and place in NAMES

    def read(self, place: str, target: str | None) -> Dataset:
        import sklearn.datasets

        bunch = getattr(sklearn.datasets, f"load_{place}")()
        if place == "digits":  # pixels are whole numbers 0 to 16
            pictures = bunch.images.astype(np.uint8)
            return assemble(
                pictures, bunch.target, name=place, classes=range(10), target="digit"
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
        )
