"""Encoded rows with many categories as NumPy arrays: what ``linnet.data.coded`` is in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

WIDE = 1_000
"""If its categories make more than this many 0/1 columns, the rows of a table are coded. The rule
looks at the columns alone, so a model sees all rows in the same form."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Encoded rows (rows, width) without the 0/1 columns of categories.

    ``numbers`` (rows, plain) are the columns with the numbers ``places`` (plain,), and ``codes``
    (rows, fields), int32, say for each field which column is 1; ``width`` stands for none.
    """

    numbers: Array
    codes: Array
    places: Array
    width: int

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: slice) -> Codes:
        return Codes(self.numbers[rows], self.codes[rows], self.places, self.width)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self.width

    def dense(self) -> Array:
        """The rows (rows, width) as one array."""
        import numpy as np

        result = np.zeros((len(self), self.width + 1), self.numbers.dtype)
        result[:, self.places] = self.numbers
        np.put_along_axis(result, self.codes.astype(np.int64), 1, 1)
        found: Array = result[:, : self.width]
        return found
