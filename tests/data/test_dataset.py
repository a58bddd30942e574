"""Schema and data set: raw input to tensors, and how rows are divided."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import linnet
from linnet.data.dataset import Dataset, moments
from linnet.data.schema import Schema
from linnet.errors import DataError, RecipeError


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return linnet.read("digits")


def test_one_picture_or_a_batch_in_every_accepted_shape(digits: Dataset) -> None:
    x = digits.x.numpy()
    schema = digits.schema
    for raw in (x[0], x[0, 0], x[:1], x[:1, 0], digits.x[0], x[0].astype(int), x[0].tolist()):
        assert torch.equal(schema.encode(raw), digits.x[:1])
    assert torch.equal(schema.encode(x[:5, 0]), digits.x[:5])
    for wrong in (x[0, 0, :4], x[0, 0].T[:7], np.zeros((2, 3, 8, 8), np.uint8)):
        with pytest.raises(DataError, match="is neither a picture of shape"):
            schema.encode(wrong)
    with pytest.raises(DataError, match="pixels from -1"):
        schema.encode(x[0].astype(int) - 1)
    with pytest.raises(DataError, match="expected numbers"):
        schema.encode(np.full((8, 8), "a"))


def test_raw_input_that_is_no_array_is_refused_in_linnets_own_words() -> None:
    schema = linnet.read("iris").schema
    for raw, words in (
        ([[1, 2, 3, 4], [1, 2]], "row 1 has 2"),
        (None, "a NoneType"),
        (iter([1.0]), "make a list of it"),
        (scipy.sparse.eye(4).tocsr(), "a sparse matrix"),
        (np.ma.masked_equal(np.ones((2, 4)), 1), "8 values are masked"),
        ([["a", 1, 2, 3]] * 2, "expected numbers"),
        (np.ones((2, 4)) * 1j, "real numbers"),
    ):
        with pytest.raises(DataError, match=words):
            schema.encode(raw)


def test_floating_pictures_mean_what_the_training_data_meant(digits: Dataset) -> None:
    x = digits.x.numpy()
    with pytest.raises(DataError, match="whole numbers 0 to 255"):
        digits.schema.encode(x[0] / 255.0)
    unit = linnet.read(((x / np.float32(255)), digits.y.numpy()))
    assert unit.schema.pixels == "unit" and torch.equal(unit.x, digits.x) and unit.notes
    assert torch.equal(unit.schema.encode(x[:3] / np.float32(255)), digits.x[:3])
    assert torch.equal(unit.schema.encode(x[:3]), digits.x[:3])
    with pytest.raises(DataError, match="undo any normalisation"):
        unit.schema.encode((x[:3] / 255 - 0.13) / 0.31)


def test_rows_and_what_is_wrong_with_them() -> None:
    iris = linnet.read("iris")
    assert torch.equal(iris.schema.encode(iris.x[3].numpy()), iris.x[3:4])
    with pytest.raises(DataError, match=r'row 1, column "petal length \(cm\)": nan'):
        iris.schema.encode([[1, 2, 3, 4], [1, 2, np.nan, 4]])
    with pytest.raises(DataError, match="give the columns sepal length"):
        iris.schema.encode([1.0, 2.0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (1, 0, 8)}, "holds no number"),
        ({"shape": (8,)}, "a picture does not have the shape"),
        ({"classes": (1,), "class_kind": "int"}, "needs two classes"),
        ({"classes": (1, "a"), "class_kind": "int"}, "not all of the kind int"),
        ({"classes": (), "class_kind": None}, "class_kind goes with classification"),
        ({"task": "regression"}, "class_kind goes with classification"),
        ({"shape": (100, 1000, 1000)}, "numbers in one example"),
    ],
)
def test_an_inconsistent_schema_is_refused(
    changes: dict[str, Any], message: str, digits: Dataset
) -> None:
    with pytest.raises(DataError, match=message):
        Schema.parse({**digits.schema.plain(), **changes}, "schema", DataError)


def test_splits_are_stratified_disjoint_and_by_seed(digits: Dataset) -> None:
    split = digits.split(test=0.2, valid=100, seed=3)
    assert [len(part) for part in split] == [1337, 100, 360]
    assert torch.equal(torch.cat(split).sort().values, torch.arange(1797))
    for part in split:
        share = torch.bincount(digits.y[part], minlength=10) / len(part)
        assert (share - torch.bincount(digits.y) / 1797).abs().max() < 0.01
        assert torch.equal(part, part.sort().values)
    again, other = (digits.split(test=0.2, valid=100, seed=seed) for seed in (3, 4))
    assert torch.equal(split.test, again.test) and torch.equal(split.valid, again.valid)
    assert not torch.equal(split.test, other.test)


def test_a_class_of_one_stays_in_training() -> None:
    data = linnet.read((np.random.default_rng(0).normal(size=(60, 2)), np.array([0] * 59 + [1])))
    for seed in range(10):
        assert 59 in data.split(test=0.5, valid=0.5, seed=seed).train


def test_a_test_part_of_its_own_is_the_test_part(digits: Dataset) -> None:
    x, y = digits.x.numpy(), digits.y.numpy()
    own = linnet.read((x[:1500], y[:1500], x[1500:], y[1500:]))
    split = own.split(test=0.2, valid=None, seed=0)
    assert torch.equal(split.test, torch.arange(1500, 1797)) and len(split.valid) == 300
    assert split.valid.max() < 1500
    nothing = own.split(test=0.2, valid=0, seed=0)
    assert len(nothing.valid) == 0 and len(nothing.train) == 1500
    some = own.select((3, 7))
    assert some.test_rows == int(((y[1500:] == 3) | (y[1500:] == 7)).sum())
    assert set(some.y.tolist()) == {0, 1}


def test_few_rows_are_not_divided() -> None:
    data = linnet.read((np.arange(19.0)[:, None], np.arange(19.0)))
    assert [len(part) for part in data.split(test=0.2, valid=None, seed=0)] == [19, 0, 0]


def test_other_data_in_the_terms_of_a_model(digits: Dataset) -> None:
    some = digits.select((7, 3))
    assert some.schema.classes == (3, 7)
    back = some.conform(digits.schema)
    assert set(back.y.tolist()) == {3, 7} and back.schema == digits.schema
    with pytest.raises(DataError, match="the label 0 is not among the classes"):
        digits.conform(some.schema)
    with pytest.raises(DataError, match="is regression; the model does classification"):
        linnet.read("diabetes").conform(digits.schema)
    with pytest.raises(DataError, match="the columns are not the model's; missing: sepal"):
        linnet.read("wine").conform(linnet.read("iris").schema)
    with pytest.raises(RecipeError, match='no class "11"'):
        digits.select(positive=11)


def test_fingerprints_tell_data_apart(digits: Dataset) -> None:
    assert digits.fingerprint() == linnet.read("digits").fingerprint()
    x = digits.x.clone()
    x[5, 0, 3, 3] += 1
    changed = linnet.read((x.numpy(), digits.y.numpy()))
    same = linnet.read((digits.x.numpy(), digits.y.numpy()))
    assert changed.fingerprint() != same.fingerprint()


def test_moments_of_bytes_are_exact() -> None:
    x = torch.randint(0, 256, (1000, 7), dtype=torch.uint8)
    mean, deviation = moments(x)
    assert mean == pytest.approx(x.double().mean().item(), rel=1e-14)
    assert deviation == pytest.approx(x.double().std(correction=0).item(), rel=1e-12)
