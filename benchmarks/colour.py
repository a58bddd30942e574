"""Colour pictures: linnet's convolutional net by its defaults, beside a plain one with Adam.

    python -P benchmarks/colour.py PLACE [--only linnet|plain]

PLACE is a data set of pictures in colour with a test part of its own, such as a zip of CIFAR-10 in
folders (``cifar10/train/CLASS/*.jpg``). The plain net is what people write first: three blocks of
convolution, batch norm, ReLU and pooling, as many parameters as linnet's, Adam with its default
rate, batches of 128, no augmentation, as many epochs, the weights of the last one. Both see the
same training rows, by the same split; the test rows are used once. One thread; the seconds are of
the processor, with reading and scoring for linnet, and of the loop alone for the plain net.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch import Tensor, nn

import linnet
from linnet.fit.prepare import prepare
from linnet.fit.recipe import Recipe

torch.set_num_threads(1)
warnings.simplefilter("ignore")


def plain_net(channels: tuple[int, ...], side: int, classes: int) -> nn.Module:
    """Three blocks and a linear layer."""
    layers: list[nn.Module] = []
    before = 3
    for width in channels:
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        before, side = width, side // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side * side, classes))


def plain(place: str, seed: int) -> None:
    """Train the plain net on the rows that linnet would train on, and print its scores."""
    ready = prepare(place, Recipe.make({"model": "cnn", "seed": seed}))
    data, recipe = ready.data, ready.recipe
    assert isinstance(recipe.channels, tuple) and isinstance(recipe.epochs, int)
    train, test = (data.take(ready.parts[name]) for name in ("train", "test"))
    torch.manual_seed(seed)
    net = plain_net(recipe.channels[:3], data.schema.shape[1], len(data.schema.classes))
    began = time.process_time()
    x = train.x.float() / 255
    mean, deviation = (each[:, None, None] for each in (x.mean((0, 2, 3)), x.std((0, 2, 3))))
    x = (x - mean) / deviation
    optimizer, loss = torch.optim.Adam(net.parameters()), nn.CrossEntropyLoss()
    for _ in range(recipe.epochs):
        net.train()
        for rows in torch.randperm(len(x)).split(128):
            optimizer.zero_grad()
            loss(net(x[rows]), train.y[rows]).backward()
            optimizer.step()
    seconds = time.process_time() - began
    net.eval()
    with torch.no_grad():
        parts = ((test.x.float() / 255 - mean) / deviation).split(500)
        right = torch.cat([net(part).argmax(1) for part in parts]) == test.y
    tell("plain net, Adam", right, count(net), seconds)


def ours(place: str, seed: int) -> None:
    """Train linnet's net by its defaults, and print its scores."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = linnet.train(place, model="cnn", seed=seed, out=Path(folder) / "run")
        seconds = time.process_time() - began
        test = run.scores.models["cnn"].test
        assert test is not None and test.accuracy is not None
        model = linnet.load(run.path)
        right = torch.arange(test.rows) < round(test.accuracy * test.rows)
        tell("linnet cnn", right, count(model.module), seconds)


def count(net: nn.Module) -> int:
    """Parameters that are trained."""
    return sum(each.numel() for each in net.parameters() if each.requires_grad)


def tell(name: str, right: Tensor, parameters: int, seconds: float) -> None:
    share = right.double().mean().item()
    print(f"{name:16} {parameters:>9,} parameters  {100 * share:6.2f} %  {seconds:7.0f} CPU s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place")
    parser.add_argument("--only", choices=("linnet", "plain"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.only != "plain":
        ours(given.place, given.seed)
    if given.only != "linnet":
        plain(given.place, given.seed)


if __name__ == "__main__":
    main()
