"""A net on several ranks: each computes a part of every batch, and their gradients are added."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from linnet.core.parallel import World
from linnet.core.randomness import generator
from linnet.data.batches import Batches
from linnet.errors import RecipeError
from linnet.net.norms import batch_norms

Rows = Tensor | float
"""The sum of weights of a batch."""


@dataclass(frozen=True)
class _Mask:
    """A mask of dropout: the shape of a row, the share that is kept, and whether channels are last
    in memory, in whose order it is drawn."""

    shape: tuple[int, ...]
    keep: float
    last: bool

    @property
    def format(self) -> torch.memory_format:
        return torch.channels_last if self.last else torch.contiguous_format

    def bytes(self, rows: int) -> int:
        """How many bytes the bits of so many rows take."""
        return -(-rows * math.prod(self.shape) // 8)

    def draw(self, rows: int, draws: torch.Generator) -> Tensor:
        """The bits (bytes,) of so many rows, in the order of memory."""
        whole = torch.empty((rows, *self.shape), dtype=torch.bool, memory_format=self.format)
        whole.bernoulli_(self.keep, generator=draws)
        flat = whole.permute(0, 2, 3, 1) if self.last else whole
        return torch.from_numpy(np.packbits(flat.reshape(-1).numpy()))

    def taken(self, bits: Tensor, rows: slice) -> Tensor:
        """The mask (rows, ...) of some rows, from the bits of all."""
        each = math.prod(self.shape)
        first, end = rows.start * each, rows.stop * each
        held = np.unpackbits(bits[first // 8 : -(-end // 8)].numpy())[first % 8 :][: end - first]
        mask = torch.from_numpy(held)
        if not self.last:
            return mask.reshape(-1, *self.shape)
        channels, *sides = self.shape
        return mask.reshape(-1, *sides, channels).permute(0, 3, 1, 2)


class Together:
    """What the ranks of ``world`` share of a step.

    Which rows make a batch does not depend on the ranks; each takes a consecutive part of it. The
    gradients of the parts are weighted by their rows and added, as one sum a step, so the step is
    that of one process but for rounding. A rank for which no row is left takes the first one, and
    counts it for nothing. Dropout draws for the whole batch, on every rank or by turns (``draw``);
    a batch norm has the mean and the variance of the whole batch, for two sums more on the way
    forward, and two back.
    """

    def __init__(self, world: World, network: nn.Module, *, mean: bool) -> None:
        """``mean``: the loss of a batch is divided by the sum of its weights."""
        for norm in batch_norms(network):
            if type(norm) not in NORMS:
                raise RecipeError(
                    f"{type(norm).__name__} has no form for ranks: use nn.BatchNorm1d, 2d or 3d, "
                    "or train without ranks"
                )
        self.world, self.mean = world, mean
        self.rows = 0
        """The rows of the whole batch."""
        self.own = slice(0)
        """Those of this rank."""
        self.counts = True
        """Whether they count."""
        self.factor = 1.0
        """By what the gradient of the loss of this rank counts in that of the whole batch."""
        self._masks: list[_Mask] | None = None
        """The masks of a step, in their order; None before the first one."""
        self._drawn: dict[int, list[Tensor]] = {}
        """Their bits for some of the next steps."""
        self._bits: Iterator[Tensor] | None = None
        """Those of this step that are left."""

    def part(self, rows: int) -> slice:
        """The rows of this rank of a batch of ``rows``."""
        held = self.world.held(rows)
        self.rows, self.counts = rows, len(held) > 0
        self.own = slice(held.start, held.stop) if self.counts else slice(0, 1)
        return self.own

    def take(
        self, x: Tensor, y: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The part of this rank of a batch."""
        own = self.part(len(y))
        weight = None if weight is None else weight[own]
        self.weigh(weight)
        return x[own], y[own], weight

    def weigh(self, weight: Tensor | None) -> None:
        """Note the weights (rows,) of the rows of this rank; None: 1 each."""
        whole = float(self.own.stop - self.own.start) if weight is None else float(weight.sum())
        self.factor = (whole if self.mean else 1.0) if self.counts else 0.0

    def add(
        self, parameters: Sequence[nn.Parameter], sums: tuple[Tensor, Tensor, Rows]
    ) -> tuple[Tensor, Tensor, Rows]:
        """Replace the gradients by those of the whole batch, and return the ``sums`` of an update
        over it."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        last = [torch.as_tensor(each).to(gradients[0]).reshape(1) for each in sums]
        flat = torch.cat([*(each.reshape(-1) for each in gradients), *last])
        if not self.counts:
            flat.zero_()
        elif self.mean:
            flat[:-3].mul_(last[2])
        self.world.add(flat)
        shown, total, rows = flat[-3:].clone().unbind()
        if self.mean:
            flat[:-3].div_(rows)
        parts = flat[:-3].split([each.numel() for each in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return shown, total, rows

    def draw(self, seed: int, index: int, sizes: Sequence[int]) -> None:
        """Have the masks of the step ``index``, which are those of the first step but for the rows;
        ``sizes`` are the rows of the batches of an epoch.

        A generator of the CPU cannot skip the rows of others. So each rank draws for all of them,
        but for one of the next steps, and they send each other the bits.
        """
        if self._masks is None:
            self._masks = []
            return
        if index not in self._drawn:
            steps = range(index, index + self.world.size)
            rows = [sizes[step % len(sizes)] for step in steps]
            draws = generator(seed, "dropout", steps[self.world.rank])
            own = [mask.draw(rows[self.world.rank], draws) for mask in self._masks]
            lengths = [[mask.bytes(count) for mask in self._masks] for count in rows]
            every = self.world.gather(torch.cat(own), [sum(each) for each in lengths])
            parts = every.split([length for each in lengths for length in each])
            self._drawn = {
                step: list(parts[number * len(own) : (number + 1) * len(own)])
                for number, step in enumerate(steps)
            }
        self._bits = iter(self._drawn[index])

    def mask(self, a: Tensor, keep: float) -> Tensor:
        """What dropout multiplies the numbers ``a`` (rows, ...) of this rank with: the part of what
        one process draws for the whole batch."""
        last = a.dim() == 4 and not a.is_contiguous()
        made = _Mask(tuple(a.shape[1:]), keep, last)
        if self._bits is not None:
            return made.taken(next(self._bits), self.own).to(a.dtype).div_(keep)
        if self._masks is not None:
            self._masks.append(made)
        whole = torch.empty(
            (self.rows, *made.shape), dtype=a.dtype, device=a.device, memory_format=made.format
        )
        return whole.bernoulli_(keep).div_(keep)[self.own]

    @contextmanager
    def layers(self, network: nn.Module) -> Iterator[None]:
        """A block in which the layers of ``network`` that know of other rows, or draw, do so for
        the whole batch."""
        norms = [module for module in network.modules() if type(module) in NORMS]
        drops = [module for module in network.modules() if type(module) in DROPOUTS]
        each: Any
        for each in norms:
            each.forward = partial(self._normed, each)
        for each in drops:
            each.forward = partial(self._dropped, each)
        try:
            yield
        finally:
            for each in norms + drops:
                del each.forward  # that of its class is back

    def _normed(self, norm: Any, x: Tensor) -> Tensor:
        """The batch norm of ``x`` (rows, channels, ...), by the moments of the whole batch."""
        if not norm.training:
            plain: Tensor = type(norm).forward(norm, x)
            return plain
        over = [dim for dim in range(x.dim()) if dim != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        counted = x if self.counts else x * 0.0
        size = x.new_tensor([x.numel() / x.shape[1] if self.counts else 0.0])
        sums: Tensor = _Sum.apply(torch.cat([counted.sum(over), size]), self)  # type: ignore[no-untyped-call]
        count = sums[-1].detach()
        mean = sums[:-1] / count
        off = x - mean.reshape(shape)
        squares = off.square() if self.counts else off.square() * 0.0
        variance: Tensor = _Sum.apply(squares.sum(over), self) / count  # type: ignore[no-untyped-call]
        if norm.track_running_stats:
            with torch.no_grad():
                norm.num_batches_tracked += 1
                share = norm.momentum
                share = 1 / float(norm.num_batches_tracked) if share is None else share
                norm.running_mean.lerp_(mean.to(norm.running_mean), share)
                unbiased = variance * (count / (count - 1))
                norm.running_var.lerp_(unbiased.to(norm.running_var), share)
        result: Tensor = off * (variance + norm.eps).rsqrt().reshape(shape)
        if norm.affine:
            result = result * norm.weight.reshape(shape) + norm.bias.reshape(shape)
        return result

    def _dropped(self, dropout: Any, x: Tensor) -> Tensor:
        """The dropout of ``x`` (rows, ...): of single numbers, or of whole channels."""
        if not (dropout.training and 0 < dropout.p < 1):
            plain: Tensor = type(dropout).forward(dropout, x)
            return plain
        channels = type(dropout) is not nn.Dropout
        like = x[(slice(None), slice(None), *[slice(1)] * (x.dim() - 2))] if channels else x
        return x * self.mask(like, 1 - dropout.p)


NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class _Sum(torch.autograd.Function):
    """The sum over all ranks, through which gradients pass: that of a rank counts by its factor."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, together: Together) -> Tensor:
        ctx.together = together
        result: Tensor = together.world.sum(value)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        together: Together = ctx.together
        whole = together.world.sum(gradient * together.factor)
        return whole / together.factor if together.factor else torch.zeros_like(whole), None


class Parts(Batches):
    """The parts of a rank of the batches of an epoch; with ``whole`` the batches themselves, whose
    parts are taken later."""

    together: Together
    whole: bool = False

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        if self.whole:
            yield from super().epoch(epoch, start)
            return
        data = self.data
        for batch in self.rows(epoch, data.x.device)[start:]:
            began = perf_counter()
            rows = batch[self.together.part(len(batch))]
            weight = None if data.weight is None else data.weight.index_select(0, rows)
            part = data.x.index_select(0, rows), data.y.index_select(0, rows), weight
            self.together.weigh(weight)
            self.seconds += perf_counter() - began
            yield part
