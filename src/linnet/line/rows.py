"""The inputs of a linear model as rows: products, sums, blocks. Solvers see no more of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from linnet.data import coded

BLOCK = 4096
"""The rows of a block, where all rows are visited in turn."""

PIECE = 1 << 20
"""The rows whose ends are looked for at once."""

SMALL = 1_000_000
"""Up to this many numbers, all is computed in float64, whatever the dtype of the rows, and the
certificate is a part of the fit."""

BULKY = 10_000_000
"""Above this many raw predictions, each copy of them counts: there are as few as possible, none in
float64, and no checkpoint holds them."""


class Rows(ABC):
    """(rows, inputs) numbers. ``dtype`` is that of products and of raw predictions; sums over rows
    are float64, on ``home``: the device of the rows, or the CPU if that has no float64."""

    shape: tuple[int, int]
    dtype: torch.dtype
    device: torch.device
    folder: Path | None = None
    """The folder of the store whose training rows these are, in the order in which it has them."""

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def home(self) -> torch.device:
        return torch.device("cpu") if self.device.type == "mps" else self.device

    @property
    def bytes(self) -> int:
        """The bytes of a number."""
        return self.dtype.itemsize

    @property
    def numbers(self) -> int:
        """How many numbers are stored: those of a product with one column."""
        return self.shape[0] * self.shape[1]

    @abstractmethod
    def __matmul__(self, theta: Tensor) -> Tensor:
        """The product with ``theta`` (inputs, outputs): (rows, outputs) in ``dtype``."""

    def into(self, theta: Tensor, out: Tensor) -> None:
        """Write the product with ``theta`` into ``out`` (rows, outputs)."""
        out.copy_(self @ theta)

    @abstractmethod
    def transposed(self, residual: Tensor) -> Tensor:
        """The product of the transpose with (rows, outputs): (inputs, outputs) in float64."""

    @abstractmethod
    def squares(self, weight: Tensor) -> Tensor:
        """The sums of ``weight x^2`` for weights (rows, outputs): (inputs, outputs) in float64."""

    @abstractmethod
    def take(self, chosen: Tensor) -> Rows:
        """Some rows, by number."""

    @abstractmethod
    def part(self, rows: slice) -> Rows:
        """Some consecutive rows, without a copy of them."""

    @abstractmethod
    def block(self, rows: slice | Tensor) -> Tensor:
        """Some rows as a tensor (rows, inputs) in ``dtype``."""

    @abstractmethod
    def spread(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """The least and the largest number of some columns, exactly, (columns,) in float64."""

    @abstractmethod
    def wide(self) -> Rows:
        """The same rows, with products in float64."""

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[slice, Tensor]]:
        """All rows, ``size`` at a time."""
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            yield rows, self.block(rows)


class Dense(Rows):
    """A tensor, less ``shift`` (inputs,) if that is given. If there is a shift, or the products
    have a wider dtype than the tensor, blocks are converted one by one: there is no copy."""

    def __init__(
        self,
        x: Tensor,
        shift: Tensor | None = None,
        dtype: torch.dtype | None = None,
        folder: Path | None = None,
    ) -> None:
        self.x, self.shift, self.folder = x, shift, folder
        self.dtype = dtype or x.dtype
        self.device = x.device
        self.shape = (x.shape[0], x.shape[1])
        self._plain = shift is None and self.dtype == x.dtype

    def __matmul__(self, theta: Tensor) -> Tensor:
        theta = theta.to(self.dtype).to(self.device)
        if self._plain:
            return self.x @ theta
        result = theta.new_empty((len(self), theta.shape[1]))
        self.into(theta, result)
        return result

    def into(self, theta: Tensor, out: Tensor) -> None:
        theta = theta.to(self.dtype).to(self.device)
        for rows, block in self.blocks():
            torch.matmul(block, theta, out=out[rows])

    def transposed(self, residual: Tensor) -> Tensor:
        # residual' x is twice as fast as x' residual if there are few outputs
        residual = residual.to(self.dtype)
        if self._plain:
            return (residual.T @ self.x).to(self.home).double().T
        total = torch.zeros(
            (residual.shape[1], self.shape[1]), dtype=torch.float64, device=self.home
        )
        for rows, block in self.blocks():
            total += (residual[rows].T @ block).to(self.home)
        return total.T

    def squares(self, weight: Tensor) -> Tensor:
        heavy = weight.T
        total = torch.zeros((len(heavy), self.shape[1]), dtype=torch.float64, device=self.home)
        for rows, block in self.blocks():
            total += (heavy[:, rows].to(block) @ block.square()).to(self.home)
        return total.T

    def take(self, chosen: Tensor) -> Rows:
        return Dense(self.x[chosen], self.shift, self.dtype)

    def part(self, rows: slice) -> Rows:
        return Dense(self.x[rows], self.shift, self.dtype, self.folder)

    def block(self, rows: slice | Tensor) -> Tensor:
        found = self.x[rows].to(self.dtype)
        return found if self.shift is None else found - self.shift.to(found)

    def spread(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        parts = [part[:, columns.to(self.device)] for part in self.x.split(PIECE)]
        low = torch.stack([part.amin(0) for part in parts]).amin(0)
        high = torch.stack([part.amax(0) for part in parts]).amax(0)
        ends = [end.to(self.home).double() for end in (low, high)]
        if self.shift is not None:
            ends = [end - self.shift[columns] for end in ends]
        return ends[0], ends[1]

    def wide(self) -> Rows:
        return Dense(self.x, self.shift, torch.float64, self.folder)


class Sparse(Rows):
    """A SciPy CSR matrix of float32 or float64. It is never made dense as a whole."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix
        self.shape = matrix.shape
        self.dtype = torch.float32 if matrix.dtype.itemsize == 4 else torch.float64
        self.device = torch.device("cpu")

    @property
    def numbers(self) -> int:
        return int(self.matrix.nnz)

    def __matmul__(self, theta: Tensor) -> Tensor:
        return torch.from_numpy(self.matrix @ theta.to(self.dtype).numpy())

    def transposed(self, residual: Tensor) -> Tensor:
        product = self.matrix.T @ residual.to(self.dtype).numpy()
        return torch.from_numpy(product).double()

    def squares(self, weight: Tensor) -> Tensor:
        return torch.from_numpy(self.matrix.power(2).T @ weight.numpy()).double()

    def take(self, chosen: Tensor) -> Rows:
        return Sparse(self.matrix[chosen.numpy()])

    def part(self, rows: slice) -> Rows:
        whole, ends = self.matrix, self.matrix.indptr[rows.start : rows.stop + 1]
        held = slice(ends[0], ends[-1])
        parts = whole.data[held], whole.indices[held], ends - ends[0]
        return Sparse(type(whole)(parts, shape=(len(ends) - 1, whole.shape[1])))

    def block(self, rows: slice | Tensor) -> Tensor:
        chosen = rows.numpy() if isinstance(rows, Tensor) else rows
        return torch.from_numpy(self.matrix[chosen].toarray())

    def spread(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        ends = [end.toarray().ravel() for end in (self.matrix.min(0), self.matrix.max(0))]
        low, high = (torch.from_numpy(end).double()[columns] for end in ends)
        return low, high

    def wide(self) -> Rows:
        return self if self.dtype == torch.float64 else Sparse(self.matrix.astype("float64"))


class Coded(Rows):
    """Rows of a table with many categories, ``linnet.data.coded.Coded`` on a CPU: the columns of
    numbers as a tensor, those of categories as a sparse matrix of ones. Neither is shifted."""

    def __init__(self, numbers: Dense, ones: Sparse, places: Tensor) -> None:
        self.plain, self.ones, self.places = numbers, ones, places
        self.shape = ones.shape
        self.dtype, self.device = numbers.dtype, numbers.device

    @classmethod
    def of(cls, x: coded.Coded) -> Coded:
        """The rows ``x``, with products in their dtype."""
        from scipy.sparse import csr_array

        known = x.codes < x.width
        ends = torch.cat([torch.zeros(1, dtype=torch.int64), known.sum(1).cumsum(0)]).int().numpy()
        columns = x.codes[known].numpy()
        ones = np.ones(len(columns), str(x.dtype).removeprefix("torch."))
        matrix = csr_array((ones, columns, ends), shape=(len(x), x.width))
        return cls(Dense(x.numbers), Sparse(matrix), x.places)

    @property
    def numbers(self) -> int:
        return self.plain.numbers + self.ones.numbers

    def __matmul__(self, theta: Tensor) -> Tensor:
        return (self.ones @ theta).add_(self.plain @ theta[self.places])

    def transposed(self, residual: Tensor) -> Tensor:
        return self._joined(self.ones.transposed(residual), self.plain.transposed(residual))

    def squares(self, weight: Tensor) -> Tensor:
        return self._joined(self.ones.squares(weight), self.plain.squares(weight))

    def _joined(self, result: Tensor, plain: Tensor) -> Tensor:
        """What the sparse columns gave, with that of the others in their places."""
        result[self.places] = plain
        return result

    def take(self, chosen: Tensor) -> Rows:
        ones, plain = self.ones.take(chosen), self.plain.take(chosen)
        assert isinstance(ones, Sparse) and isinstance(plain, Dense)
        return Coded(plain, ones, self.places)

    def part(self, rows: slice) -> Rows:
        ones, plain = self.ones.part(rows), self.plain.part(rows)
        assert isinstance(ones, Sparse) and isinstance(plain, Dense)
        return Coded(plain, ones, self.places)

    def block(self, rows: slice | Tensor) -> Tensor:
        result = self.ones.block(rows)
        result[:, self.places] = self.plain.block(rows)
        return result

    def spread(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        every = torch.arange(len(self.places))
        ends = []
        for whole, plain in zip(
            self.ones.spread(torch.arange(self.shape[1])), self.plain.spread(every), strict=True
        ):
            ends.append(self._joined(whole, plain)[columns])
        return ends[0], ends[1]

    def wide(self) -> Rows:
        ones, plain = self.ones.wide(), self.plain.wide()
        assert isinstance(ones, Sparse) and isinstance(plain, Dense)
        return Coded(plain, ones, self.places)
