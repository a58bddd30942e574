"""Arrays: one rule on what the targets are, whatever their type; what is no array is refused."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas
import polars
import pytest
import scipy.sparse
import torch
from PIL import Image

import linnet
from helpers import refusal
from linnet.errors import LinnetWarning, RecipeError
from linnet.fit.recipe import Recipe

ROWS = 60
X = np.random.default_rng(0).normal(size=(ROWS, 3)).astype(np.float32)
CODES = np.arange(ROWS) % 3
ONES = np.eye(3, dtype=int)[CODES]
WORDS = np.array(["red", "green", "blue"])[CODES]

TYPES = ["bool", "uint8", "int64", "float16", "float32", "float64", "object"]


@pytest.mark.parametrize("kind", TYPES)
def test_a_single_one_a_row_is_a_class_in_every_type(kind: str) -> None:
    for y in (ONES.astype(kind), ONES.astype(kind).tolist(), pandas.DataFrame(ONES.astype(kind))):
        data = linnet.read((X, y))
        assert data.y.dtype == torch.int64 and data.y.tolist() == CODES.tolist()
        assert data.schema.classes == (0, 1, 2) and not data.soft


@pytest.mark.parametrize("kind", TYPES)
def test_several_ones_a_row_are_refused_by_name(kind: str) -> None:
    several = ONES.copy()
    several[7, 0] = 1
    said = refusal(linnet.read, (X, several.astype(kind)))
    assert "row 7 has 2 ones: several labels a row are not supported" in said
    data = linnet.read((X, several.astype(kind)), task="regression")
    assert data.schema.task == "regression" and data.y.shape == (ROWS, 3)


@pytest.mark.parametrize("kind", ["uint8", "int32", "float32", "float64", ">f8", ">i4", "object"])
def test_whole_numbers_are_the_same_in_every_type(kind: str) -> None:
    for y in (CODES, CODES[:, None]):
        data = linnet.read((X, y.astype(kind)))
        assert data.schema.classes == (0, 1, 2) and data.y.tolist() == CODES.tolist()
    numbers = linnet.read((X, np.arange(ROWS).astype(kind)))
    assert numbers.schema.task == "regression" and numbers.y.tolist() == list(range(ROWS))


def test_many_whole_numbers_are_numbers_by_a_warning_and_the_task_decides() -> None:
    x, y = np.zeros((300, 1)), np.arange(300) % 30
    with pytest.warns(LinnetWarning, match="30 different whole numbers: taken as numbers"):
        assert linnet.read((x, y)).schema.task == "regression"
    assert len(linnet.read((x, y), task="classification").schema.classes) == 30
    numbers = linnet.read((X, CODES), task="regression")
    assert numbers.schema.task == "regression" and numbers.y.dtype.is_floating_point
    assert "holds fractions" in refusal(linnet.read, (X, X[:, 0]), task="classification")
    assert "is not a number" in refusal(linnet.read, (X, WORDS), task="regression")
    assert "holds classes" in refusal(linnet.read, "iris", task="regression")


@pytest.mark.parametrize(
    "y",
    [
        WORDS, WORDS.astype(object), WORDS.tolist(), WORDS[:, None], np.char.encode(WORDS),
        pandas.Series(WORDS), pandas.Series(WORDS, dtype="category"), polars.Series(WORDS),
        pandas.Series(WORDS, dtype=object),
    ],
)  # fmt: skip
def test_text_is_classes_whatever_holds_it(y: Any) -> None:
    data = linnet.read((X, y))
    assert data.schema.classes == ("blue", "green", "red")
    assert data.schema.decode(data.y).tolist() == WORDS.tolist()


@pytest.mark.parametrize("other", ["RED", "Red ", "ｒｅｄ"])
def test_classes_that_differ_at_most_in_case_are_refused_as_in_tables(other: str) -> None:
    words = WORDS.astype(object)
    words[9] = other
    for place in ((X, words), (pandas.DataFrame(X), pandas.Series(words))):
        said = refusal(linnet.read, place)
        assert "differ at most in case or spaces" in said and "row" in said


NUMBERS: dict[str, Any] = {
    "objects": X.astype(object), "a list": X.tolist(), "half": X.astype(np.float16),
    "longer": X.astype(np.longdouble), "swapped bytes": X.astype(">f4"), "turned": X[::-1][::-1],
    "no value masked": np.ma.array(X), "decimals": [[Decimal(str(v)) for v in row] for row in X],
    "a tensor with a gradient": torch.tensor(X, requires_grad=True),
    "bfloat16": torch.tensor(X).bfloat16(),
    "a list of tensors": [torch.tensor(row, requires_grad=True) for row in X],
    "read-only": np.frombuffer(X.tobytes(), np.float32).reshape(X.shape),
}  # fmt: skip


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_are_read_whatever_holds_them(kind: str) -> None:
    data = linnet.read((NUMBERS[kind], CODES))
    close = 1e-2 if kind in ("bfloat16", "half") else 1e-6
    assert np.allclose(data.x.numpy(), X, atol=close, rtol=close)


def test_truth_values_are_zeros_and_ones() -> None:
    data = linnet.read((X > 0, X[:, 0] > 0))
    assert data.x.dtype == torch.float64 and data.schema.class_kind == "bool"
    assert torch.equal(data.x[:, 0].bool(), data.y.bool())


MASKED = np.ma.masked_less(X, 0)
ODD: dict[str, tuple[Any, str]] = {
    "sparse": ((scipy.sparse.csr_matrix(X), CODES), "a sparse matrix (csr_matrix); give its"),
    "a sparse array": ((scipy.sparse.csc_array(X), CODES), "a sparse matrix (csc_array)"),
    "sparse targets": ((X, scipy.sparse.coo_matrix(ONES)), "y: a sparse matrix"),
    "a sparse tensor": ((torch.tensor(X).to_sparse(), CODES), "a sparse tensor"),
    "a tensor without values": ((torch.empty(9, 3, device="meta"), CODES[:9]), "the device meta"),
    "complex": ((X + 1j, CODES), "complex64; expected real numbers"),
    "a complex tensor": ((torch.tensor(X) + 1j, CODES), "a tensor of torch.complex64"),
    "dates": ((np.full((ROWS, 2), "2020-01-01", "M8[D]"), CODES), "give a data frame, whose dates"),
    "dates to predict": ((X, np.full(ROWS, "2020-01-01", "M8[D]")), "y: holds datetime64[D]"),
    "times": ((np.full((ROWS, 2), 3, "m8[s]"), CODES), "x: holds timedelta64[s]"),
    "named fields": ((np.zeros(ROWS, [("a", float)]), CODES), "a data frame of its columns"),
    "masked": ((MASKED, CODES), f"{MASKED.mask.sum()} values are masked"),
    "text": ((np.array([["a"]] * ROWS), CODES), "for columns of text or dates give a data frame"),
    "text among numbers": (
        (np.array([[1, "m"]] * ROWS, object), CODES), "text and numbers: 'm' at row 0, column 1"
    ),
    "no value": ((X, ["a", None] * (ROWS // 2)), "no value at row 1"),
    "no number": ((X, pandas.Series([1, None] * (ROWS // 2), dtype="Int64")), "nan at (1,)"),
    "things": ((X, [object()] * ROWS), "expected numbers or text"),
    "rows of two lengths": (([[1, 2], [3]], [0, 1]), "row 0 has 2 values, row 1 has 1"),
    "the same as objects": ((np.array([[1, 2], [3]], object), [0, 1]), "row 1 has 1"),
    "a generator": (((row for row in X), CODES), "x: a generator; expected an array"),
    "a generator of targets": ((X, iter(CODES)), "expected an array: make a list of it"),
    "a set": (({1, 2}, [0, 1]), "x: a set"),
    "nothing": ((None, CODES), "x: a NoneType; expected an array"),
    "one column, flat": ((X[:, 0], CODES), "for one column X.reshape(-1, 1)"),
    "no columns": ((X[:, :0], CODES), "which hold no number"),
    "targets that are longer": ((X, np.arange(ROWS + 1)), "60 examples, but 61 targets"),
    "a missing target": ((X, np.where(CODES == 1, np.nan, X[:, 0])), "nan at (1,) (row 1)"),
    "text in columns": ((X, np.stack([WORDS, WORDS], 1)), "expected a number or a label"),
    "one value": ((X, np.ones(ROWS)), "is 1.0 in every row, so there is nothing to predict"),
    "a tuple of three": ((X, CODES, CODES), "a tuple of 3; expected (X, y)"),
    "channels at both ends": ((np.zeros((ROWS, 3, 8, 3), np.uint8), CODES), "and not both"),
    "four channels": ((np.zeros((ROWS, 8, 8, 4), np.uint8), CODES), "take the transparent ground"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_array_is_refused_in_linnets_own_words(kind: str) -> None:
    place, words = ODD[kind]
    assert words in refusal(linnet.read, place)


def test_arguments_in_the_wrong_place_are_told() -> None:
    for call, given, settings, words in (
        (linnet.train, (X, CODES), {}, r"train\(\(X, y\)\)"),
        (linnet.read, (X, CODES), {}, r"read\(\(X, y\)\)"),
        (linnet.train, (X,), {"y": CODES}, 'unknown key "y"'),
        (linnet.train, ("iris", "class"), {}, "expected a Recipe"),
        (linnet.train, ("iris",), {"seed": object()}, "seed: a object"),
    ):
        with pytest.raises(RecipeError, match=words):
            call(*given, **settings)


def test_settings_may_be_numbers_of_numpy() -> None:
    recipe = Recipe.make(
        {"seed": np.int64(3), "penalty": np.logspace(-2, 0, 3), "tol": np.float32(0.5)}
    )
    assert recipe.seed == 3 and recipe.tol == 0.5
    assert recipe.penalty == pytest.approx((0.01, 0.1, 1.0))


def test_two_pairs_are_training_and_test_rows() -> None:
    for test in ((X[:9], CODES[:9]), [X[:9], CODES[:9].tolist()]):
        data = linnet.read(((X, CODES), test))
        assert len(data) == ROWS + 9 and data.test_rows == 9
        assert data.split(test=0.2, valid=None, seed=0).test.tolist() == list(range(ROWS, ROWS + 9))


def test_whole_numbers_that_float64_cannot_hold_are_told() -> None:
    with pytest.warns(LinnetWarning, match=r"column 1 has whole numbers beyond 2\*\*53"):
        linnet.read((np.stack([CODES, CODES + 2**60], 1), CODES))


def test_pictures_of_pillow_are_read_as_their_files_would_be() -> None:
    palette = Image.fromarray((CODES % 2).astype(np.uint8).reshape(6, 10)).convert("P")
    palette.putpalette([10, 20, 30, 200, 100, 0])
    data = linnet.read(([palette] * 4, ["a", "b"] * 2))
    assert data.schema.shape == (3, 6, 10)
    assert set(data.x[0, 0].flatten().tolist()) == {10, 200}


# a frame, with its target beside it

FRAME = pandas.DataFrame({"colour": WORDS, "size": X[:, 0]})


@pytest.mark.parametrize(
    "y",
    [pandas.Series(CODES, name="kind"), polars.Series("kind", CODES), FRAME[[]].assign(kind=CODES)],
)
def test_a_frame_with_its_target_beside_it_is_a_table(y: Any) -> None:
    beside = linnet.read((FRAME, y))
    alone = linnet.read(FRAME.assign(kind=CODES), "kind")
    assert beside.schema == alone.schema and torch.equal(beside.x, alone.x)
    assert torch.equal(beside.y, alone.y)
    assert linnet.read((polars.from_pandas(FRAME), CODES)).schema.targets == ("y",)


def test_frames_of_training_and_test_rows_keep_their_parts(tmp_path: Any) -> None:
    y = pandas.Series(np.where(X[:, 0] > 0, "yes", "no"))
    place = ((FRAME, y), (FRAME[:12], y[:12]))
    with pytest.warns(LinnetWarning, match="12 of 12 test rows"):
        run = linnet.train(place, model="linear", penalty=0.1, out=tmp_path / "r")
    assert run.split()["test"].tolist() == list(range(ROWS, ROWS + 12))
    assert "part" not in [field.name for field in run.model.schema.fields if field.used]


def test_frames_that_do_not_fit_their_target_are_told() -> None:
    assert "60 examples, but 5 targets" in refusal(linnet.read, (FRAME, CODES[:5]))
    said = refusal(linnet.read, (FRAME, pandas.Series(CODES, name="size")))
    assert "the target 'size' is a column of x too" in said
    mixed = pandas.Series(CODES).sample(frac=1, random_state=0)
    with pytest.warns(LinnetWarning, match="the same index in another order"):
        linnet.read((FRAME, mixed))


WORDED: dict[str, Any] = {
    "numpy": WORDS,
    "objects": WORDS.astype(object),
    "bytes": WORDS.astype("S"),
    "a list": WORDS.tolist(),
    "a column": WORDS[:, None],
    "pandas": pandas.Series(WORDS),
    "pandas, string": pandas.Series(WORDS, dtype="string"),
    "pandas, category": pandas.Series(WORDS, dtype="category"),
    "pandas, objects": pandas.Series(WORDS, dtype=object),
    "polars": polars.Series(WORDS),
}


@pytest.mark.parametrize("kind", WORDED)
@pytest.mark.parametrize("frame", [False, True])
def test_text_is_classes_by_name(kind: str, frame: bool) -> None:
    x = pandas.DataFrame(X, columns=list("abc")) if frame else X
    schema = linnet.read((x, WORDED[kind])).schema
    assert (schema.classes, schema.class_kind) == (("blue", "green", "red"), "text")


@pytest.mark.parametrize("kind", ["bool", "object", "boolean"])
def test_truth_values_are_classes(kind: str) -> None:
    y = pandas.Series(CODES == 1, dtype=kind)
    for given in (y, y.to_numpy() if kind != "boolean" else y):
        assert linnet.read((X, given)).schema.classes == (False, True)


SECOND: dict[str, Any] = {
    "array": CODES, "series": pandas.Series(WORDS), "list": CODES.tolist(),
    "frame": pandas.DataFrame({"y": CODES}), "tensor": torch.from_numpy(CODES), "text": "y",
}  # fmt: skip


@pytest.mark.parametrize("first", ["array", "frame", "tensor"])
@pytest.mark.parametrize("second", SECOND)
def test_arguments_apart_are_refused_with_what_to_type(first: str, second: str) -> None:
    x = {"array": X, "frame": pandas.DataFrame(X), "tensor": torch.from_numpy(X)}[first]
    said = refusal(linnet.train, x, SECOND[second], error=RecipeError)
    assert "train((X, y))" in said and 'target="y"' in said


@pytest.mark.parametrize("given", [X, torch.from_numpy(X), polars.Series(CODES)])
def test_an_array_alone_is_told_to_bring_its_target(given: Any) -> None:
    for work in (linnet.read, linnet.train):
        assert "without its target; give both in a tuple: (X, y)" in refusal(work, given)


def test_lists_are_told_what_they_should_be() -> None:
    assert "give a tuple of the arrays: (X, y)" in refusal(linnet.read, [X, CODES])
    assert "pandas.DataFrame(rows)" in refusal(linnet.read, [{"x": 1, "y": 2}])


def test_a_list_of_pairs_is_read_item_by_item() -> None:
    items = [(torch.from_numpy(row), word) for row, word in zip(X, WORDS.tolist(), strict=True)]
    data = linnet.read(items)
    assert torch.equal(data.x, torch.from_numpy(X)) and data.schema.classes[0] == "blue"
    assert "each item holds 30 examples" in refusal(linnet.read, [(X[:30], CODES[:30])] * 2)
    said = refusal(linnet.read, [(X[0], 1), (X[1][:2], 0)])
    assert "examples of shapes" in said


def test_several_labels_a_row_are_told_what_to_do() -> None:
    several = ONES.copy()
    several[7, 0] = 1
    said = refusal(linnet.read, (X, several))
    assert "train a model for each label, y[:, 0] and so on" in said
