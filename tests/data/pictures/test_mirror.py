"""Pictures are mirrored in training only where the training rows say that this changes no class."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import adaptive_avg_pool2d

import linnet
from linnet.data.pictures import mirror
from linnet.data.pictures.mirror import symmetric
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import models, resolve

Array = np.ndarray[Any, Any]


def things(rows: int, kinds: list[str], side: int = 16) -> tuple[Array, Array]:
    """Shapes of any colour at any place, on noise: (rows, 3, side, side), and their kinds."""
    draw = np.random.default_rng(len(kinds))
    x = draw.integers(0, 50, (rows, 3, side, side))
    y = np.arange(rows) % len(kinds)
    for row in range(rows):
        ink = draw.integers(120, 256, (3, 1))
        size = int(draw.integers(7, 11))
        top, left = draw.integers(0, side - size + 1, 2)
        for down in range(size):
            reach = min(down, size - 1 - down)
            middle = left + size // 2
            spans = {
                "left": (middle - reach, middle + 1),
                "right": (middle, middle + reach + 1),
                "square": (left, left + size),
                "diamond": (middle - reach, middle + reach + 1),
                "bar": (middle - 1, middle + 1),
            }
            start, stop = spans[kinds[y[row]]]
            x[row, :, top + down, start:stop] = ink
    return x.astype(np.uint8), y


@pytest.mark.parametrize(
    ("kinds", "may"),
    [
        (["square", "bar"], True),
        (["square", "diamond", "bar"], True),
        (["left", "right"], False),
        (["left", "right", "square", "bar"], False),  # two of four are enough
    ],
)
def test_the_training_rows_say_whether_pictures_may_be_mirrored(
    kinds: list[str], may: bool
) -> None:
    x, y = map(torch.from_numpy, things(1200, kinds))
    assert symmetric(x, y, len(kinds)) is may
    noise = torch.randint(0, 256, x.shape, generator=torch.Generator().manual_seed(0))
    assert not symmetric(noise.byte(), y, len(kinds))  # nothing is known


def test_digits_are_not_mirrored_whatever_their_number() -> None:
    digits = load_digits()
    x = torch.from_numpy((digits.images * 15).astype(np.uint8))[:, None].expand(-1, 3, -1, -1)
    for rows in (20, 100, 500, 1797):
        assert not symmetric(x[:rows], torch.from_numpy(digits.target[:rows]), 10)


def test_large_pictures_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    pool = adaptive_avg_pool2d

    def watched(x: Any, side: int) -> Any:
        seen.append(len(x))
        return pool(x, side)

    monkeypatch.setattr(mirror, "adaptive_avg_pool2d", watched)
    x, y = map(torch.from_numpy, things(700, ["square", "bar"]))
    assert symmetric(x, y, 2) and max(seen) <= mirror.BLOCK


def settings(x: Array, y: Array, **given: Any) -> Recipe:
    data = linnet.read((x, y))
    split = data.split(test=0.2, valid=None, seed=0)
    return resolve(Recipe.make(given), data, split)


def test_colour_has_defaults_of_its_own_and_grey_those_it_had() -> None:
    x, y = things(400, ["square", "bar"], 32)
    found = settings(x, y)
    assert found.model == ("linear", "cnn") and found.channels == (32, 64, 128)
    assert (found.shift, found.flip, found.epochs) == (4, True, 93)
    assert settings(x, y, flip=False, channels=[4], shift=0).flip is False
    assert settings(*things(400, ["left", "right"], 32)).flip is False
    grey = settings(x[:, 0], y)
    assert grey.model == ("linear", "cnn") and grey.channels == (16, 32, 64)
    assert (grey.shift, grey.flip, grey.epochs) == (1, False, 187)
    small = settings(x[:, 0, :28, :28], y)
    assert small.model == ("linear", "mlp") and (small.shift, small.flip) == (1, False)
    assert settings(x, np.random.default_rng(0).random(400)).flip is False  # numbers
    assert settings(x[:, :, :9, :30], y).channels == (32, 64)
    assert settings(x.repeat(2, 2).repeat(2, 3), y).channels == (32, 64, 128, 128)
    table = settings(x[:, 0, 0], y)
    assert table.model == ("linear", "mlp") and table.channels == (16, 32, 64)
    assert settings(x, y, model="mlp").model == ("mlp",)
    assert settings(x, y, model="auto").model == ("linear", "cnn")
    assert Recipe(model="auto") == Recipe.make({"model": ["auto"]}) == Recipe()


@pytest.mark.parametrize(
    ("shape", "net"),
    [((1, 28, 28), "mlp"), ((1, 8, 8), "mlp"), ((3, 28, 28), "cnn"), ((3, 8, 8), "cnn"),
     ((1, 32, 32), "cnn"), ((1, 200, 31), "mlp"), ((3, 7, 40), "mlp"), ((1, 64, 48), "cnn")],
)  # fmt: skip
def test_auto_is_a_cnn_for_colour_and_for_32_pixels_and_more(shape: Any, net: str) -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    assert models(linnet.read((x, np.arange(2))).schema) == ("linear", net)
    assert models(linnet.read("iris").schema) == ("linear", "mlp")
