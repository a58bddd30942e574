"""Ground and ink the other way round are told, and nothing else is."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import linnet
from linnet.cli import app
from linnet.data.pictures.ground import ground_of, inverted
from linnet.errors import LinnetWarning
from linnet.experiment.evaluate import evaluate
from linnet.experiment.predict import predict

TOLD = "if dark and light are swapped, add --invert"
MNIST = Path(os.environ.get("LINNET_DATA", "")) / "mnist"
real = pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not here")


def quiet(call: Any, *given: Any, **more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return call(*given, **more)


@real
def test_real_digits_are_told_from_inverted_ones_one_by_one() -> None:
    x = linnet.read("mnist").x[:6000]
    assert ground_of(x[:3000]) == (0, 255)
    assert inverted(x[3000:], (0, 255)) == 0
    assert inverted(255 - x[3000:], (0, 255)) == 3000
    assert ground_of(255 - x[:3000]) == (255, 0) and inverted(x, (255, 0)) == 6000


@real
def test_a_model_of_mnist_tells_of_inverted_digits_wherever_they_come_from(
    tmp_path: Path,
) -> None:
    data = linnet.read("mnist")
    x, y = data.x[:3000, 0].numpy(), data.y[:3000].numpy()
    run = linnet.train((x[:1000], y[:1000]), model="linear", penalty=0.1, out=tmp_path / "r")
    model = linnet.load(run.path)
    assert model.schema.ground == (0, 255)
    right = quiet(model.predict, x[1000:])
    with pytest.warns(LinnetWarning, match=f"2,000 of 2,000 pictures have a light edge.*{TOLD}"):
        model.predict(255 - x[1000:])
    with pytest.warns(LinnetWarning, match="1 of 1 picture has a light edge"):
        model.predict(255 - x[1000])
    few = np.concatenate([255 - x[1000:1001], x[1001:1003]])
    with pytest.warns(LinnetWarning, match="1 of 3 pictures have .* so predict these alone"):
        model.predict(few)
    with pytest.warns(LinnetWarning, match="edge"):
        evaluate(run.path, (255 - x[1000:], y[1000:]))
    for row in range(1000, 1010):
        large = np.kron(255 - x[row], np.ones((3, 3), np.uint8))  # black on white, scanned
        (tmp_path / "ink").mkdir(exist_ok=True)
        Image.fromarray(large).save(tmp_path / "ink" / f"{row}.png")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        plain = CliRunner().invoke(app, ["predict", str(run.path), str(tmp_path / "ink")])
        turned = CliRunner().invoke(
            app, ["predict", str(run.path), str(tmp_path / "ink"), "--invert"]
        )
    assert "--invert" in " ".join(plain.stderr.split()) and plain.exit_code == 0
    assert "--invert" not in turned.stderr and turned.exit_code == 0
    files = sorted((tmp_path / "ink").iterdir())
    with pytest.warns(LinnetWarning, match="of another size"):
        found = predict(run.path, files, invert=True).prediction
    assert (found == right[:10]).mean() >= 0.9
    assert (
        quiet(predict, run.path, (255 - x[1000:], y[1000:]), invert=True).prediction == right
    ).all()


def test_pictures_without_one_ground_are_never_told() -> None:
    draw = torch.Generator().manual_seed(0)
    photos = torch.randint(0, 256, (200, 3, 16, 16), generator=draw).byte()
    assert ground_of(photos) is None
    mixed = torch.zeros(200, 1, 16, 16, dtype=torch.uint8)
    mixed[:, :, 4:12, 4:12] = 255
    mixed[::20] = 255 - mixed[::20]  # a twentieth is the other way round
    assert ground_of(mixed) is None
    assert ground_of(torch.full((9, 1, 8, 8), 7, dtype=torch.uint8)) is None
    assert ground_of(torch.zeros(0, 1, 8, 8, dtype=torch.uint8)) is None


def test_the_ground_is_in_the_unit_of_the_training_pictures(tmp_path: Path) -> None:
    digits = load_digits()
    x = digits.images.astype(np.uint8)  # from 0 to 16
    run = linnet.train((x, digits.target), model="linear", penalty=0.1, out=tmp_path / "r")
    model = linnet.load(run.path)
    assert model.schema.ground == (0, 16)
    quiet(model.predict, x)
    for turned in (16 - x, 255 - x):
        with pytest.warns(LinnetWarning, match=TOLD):
            model.predict(turned)


def test_only_training_rows_say_what_the_ground_is(tmp_path: Path) -> None:
    x = np.zeros((100, 12, 12), np.uint8)
    x[:, 4:8, 4:8] = np.random.default_rng(0).integers(100, 256, (100, 4, 4))
    y = np.arange(100) % 2
    light = 255 - x[:50]
    with pytest.warns(LinnetWarning, match="the test part is not like training in brightness"):
        run = linnet.train((x, y, light, y[:50]), model="linear", penalty=0.1, out=tmp_path / "r")
    assert linnet.load(run.path).schema.ground == (0, 255)
