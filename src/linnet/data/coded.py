"""Rows of a table with many categories: their codes stay codes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from linnet.core import memory
from linnet.data.codes import Codes

ASKED_BYTES = 64 << 20
"""Before more than this is allocated, it is asked whether it is there."""


class Coded(Tensor):
    """Encoded rows (rows, width), without the 0/1 columns of categories, of which nearly all
    numbers are zero.

    ``numbers`` (rows, plain) are the other columns, those with the numbers ``places`` (plain,).
    ``codes``, int32 (rows, fields), say for each field of categories which column is 1; ``width``
    stands for none. A field has two columns or more, and each of them is 1 in some training row.

    It is a tensor of the shape (rows, width): choosing rows gives ``Coded`` rows, and so does
    another dtype or device. Any other operation sees the rows as ``dense`` gives them.
    """

    numbers: Tensor
    codes: Tensor
    places: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor, codes: Tensor, places: Tensor, width: int) -> Coded:
        made: Coded = Tensor._make_wrapper_subclass(
            cls, (len(numbers), width), dtype=numbers.dtype, device=numbers.device
        )
        made.numbers, made.codes, made.places = numbers, codes, places
        return made

    def __init__(self, numbers: Tensor, codes: Tensor, places: Tensor, width: int) -> None:
        """``width`` is the number of all columns."""

    @property
    def width(self) -> int:
        return self.shape[1]

    def __repr__(self) -> str:  # type: ignore[override]
        fields = self.codes.shape[1]
        return f"Coded({len(self)} rows x {self.width} columns, {fields} of them as codes)"

    def changed(self, numbers: Tensor, codes: Tensor | None = None) -> Coded:
        """The same columns of other rows, or with other numbers alone."""
        codes = self.codes if codes is None else codes
        return Coded(numbers, codes, self.places.to(numbers.device), self.width)

    def parts(self) -> tuple[Tensor, Tensor]:
        """All that is stored of the rows."""
        return self.numbers, self.codes

    def counts(self) -> Tensor:
        """In how many rows each column of a category is 1, int64 (width,); 0 for other columns."""
        flat = self.codes.reshape(-1).long()
        return torch.bincount(flat, minlength=self.width + 1)[: self.width]

    def ends(self) -> tuple[Tensor, Tensor]:
        """The least and the largest number of each column, (width,) each."""
        counts = self.counts()
        low, high = ((counts == len(self)).to(self.dtype), (counts > 0).to(self.dtype))
        low[self.places], high[self.places] = self.numbers.amin(0), self.numbers.amax(0)
        return low, high

    def moments(self) -> tuple[float, float]:
        """Mean and deviation of all numbers, in float64."""
        numbers, ones, every = self.numbers.double(), self.counts().sum().item(), self.numel()
        zeros = every - numbers.numel() - ones
        mean = (numbers.sum().item() + ones) / every
        square = (numbers - mean).square().sum().item() + ones * (1 - mean) ** 2 + zeros * mean**2
        return mean, (square / every) ** 0.5

    def dense(self) -> Tensor:
        """The rows (rows, width) as a tensor; raises DataError if they do not fit into memory."""
        need = len(self) * self.width * self.dtype.itemsize
        if need > ASKED_BYTES:
            memory.require(need, f"a table of {len(self):,} rows and {self.width:,} columns")
        result = self.numbers.new_zeros((len(self), self.width))
        result[:, self.places] = self.numbers
        rows, fields = (self.codes < self.width).nonzero(as_tuple=True)
        result[rows, self.codes[rows, fields].long()] = 1
        return result

    # choosing rows

    def __getitem__(self, rows: Any) -> Tensor:
        if isinstance(rows, slice) or (isinstance(rows, Tensor) and rows.dim() == 1):
            return self.changed(self.numbers[rows], self.codes[rows])
        return self.dense()[rows]

    def index_select(self, dim: Any, index: Any) -> Tensor:
        if dim != 0:
            return self.dense().index_select(dim, index)
        parts = (part.index_select(0, index) for part in self.parts())
        return self.changed(*parts)

    def split(self, split_size: Any, dim: int = 0) -> Any:
        if dim != 0 or not isinstance(split_size, int):
            return self.dense().split(split_size, dim)
        starts = range(0, max(1, len(self)), split_size)
        return tuple(self[start : start + split_size] for start in starts)

    def chunk(self, chunks: int, dim: int = 0) -> Any:
        return self.split(max(1, -(-self.shape[dim] // chunks)), dim)

    def detach(self) -> Tensor:
        return self

    # another dtype or device

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        numbers = self.numbers.to(*args, **kwargs)
        return self.changed(numbers, self.codes.to(numbers.device))

    def double(self) -> Tensor:
        return self.to(torch.float64)

    def float(self) -> Tensor:
        return self.to(torch.float32)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        named = {key: _seen(each) for key, each in (kwargs or {}).items()}
        return func(*map(_seen, args), **named)


def coded(rows: Codes) -> Coded:
    """Rows of NumPy's arrays as tensors that share their memory."""
    numbers, codes, places = map(torch.from_numpy, (rows.numbers, rows.codes, rows.places))
    return Coded(numbers, codes, places, rows.width)


def _seen(value: Any) -> Any:
    """An argument of an operation, with dense rows in place of ``Coded`` ones."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_seen, value))
    return value.dense() if isinstance(value, Coded) else value
