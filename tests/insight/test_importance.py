"""Importance and dependence against scikit-learn's, and what they claim of noise."""

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.metrics import log_loss

import linnet
from linnet.core.randomness import derive
from linnet.core.statistics import OUT_OF_FOLD_PAIR
from linnet.data.coded import Coded
from linnet.data.dataset import Dataset
from linnet.data.read import read_draft
from linnet.data.reading import Reading
from linnet.errors import InputError
from linnet.insight.dependence import Model, dependence, grid, strongest_pair
from linnet.insight.evaluation import predict_raw
from linnet.insight.fields import alike, association, exchanged, fields_of, fixed
from linnet.insight.importance import (
    Importances,
    Part,
    _roles,
    importance,
    over_folds,
    permutations,
    terms,
)

QUICK: dict[str, Any] = {"echo": False, "epochs": 5, "yardstick": "none"}


class Classes(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted model as scikit-learn sees it: encoded rows in, probabilities out."""

    def __init__(self, model: Any = None) -> None:
        self.model = model

    def fit(self, X: Any, y: Any) -> "Classes":
        self.classes_ = np.arange(len(self.model.schema.classes))
        self.fitted_ = True
        return self

    def predict_proba(self, X: Any) -> Any:
        raw = predict_raw(self.model.module, torch.tensor(X, dtype=torch.float32))
        return self.model.objective.probabilities(raw).numpy()

    def predict(self, X: Any) -> Any:
        return self.predict_proba(X).argmax(1)


class Numbers(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    def __init__(self, model: Any = None) -> None:
        self.model = model

    def fit(self, X: Any, y: Any) -> "Numbers":
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> Any:
        return predict_raw(self.model.module, torch.tensor(X, dtype=torch.float32))[:, 0].numpy()


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Dataset]:
    run = linnet.train("iris", model="mlp", out=tmp_path_factory.mktemp("iris") / "run", **QUICK)
    model = run.models["mlp"]
    return model, linnet.read("iris").conform(model.schema).take(run.split()["test"])


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Dataset]:
    out = tmp_path_factory.mktemp("diabetes") / "run"
    run = linnet.train("diabetes", model="linear", out=out, **QUICK)
    model = run.models["linear"]
    return model, run.draft().conform(model.schema).take(run.split()["test"])


def theirs(rows: int, repeats: int, seed: int) -> Any:
    """The permutations that scikit-learn draws: each column shuffles the same way."""
    state = np.random.RandomState(seed).randint(np.iinfo(np.int32).max + 1)
    numbers, order, whole, found = (
        np.random.RandomState(state),
        np.arange(rows),
        np.arange(rows),
        [],
    )
    for _ in range(repeats):
        numbers.shuffle(order)
        whole = whole[order]  # it exchanges again what was exchanged before
        found.append(whole)
    return np.stack(found)


def test_it_equals_scikit_learns_for_classes(iris: Any) -> None:
    model, data = iris
    alone = [(field,) for field in fields_of(data.schema)]
    orders = theirs(len(data), 4, 7)
    found = importance(model.module, model.objective, data, orders=orders, groups=alone)
    estimator = Classes(model).fit(None, None)
    x, y = data.x.numpy(), data.y.numpy()

    def scorer(each: Any, X: Any, y: Any) -> float:
        return -float(log_loss(y, each.predict_proba(X), labels=[0, 1, 2]))

    loss = permutation_importance(estimator, x, y, scoring=scorer, n_repeats=4, random_state=7)
    hits = permutation_importance(estimator, x, y, scoring="accuracy", n_repeats=4, random_state=7)
    for place, field in enumerate(fields_of(data.schema)):
        assert found[field.name].loss == pytest.approx(loss.importances_mean[place], abs=1e-6)
        assert found[field.name].score == pytest.approx(hits.importances_mean[place], abs=1e-12)
    assert found.base == pytest.approx(-scorer(estimator, x, y))


def test_it_equals_scikit_learns_for_numbers(diabetes: Any) -> None:
    model, data = diabetes
    alone = [(field,) for field in fields_of(data.schema)]
    orders = theirs(len(data), 3, 1)
    found = importance(model.module, model.objective, data, orders=orders, groups=alone)
    estimator = Numbers(model).fit(None, None)
    ask = {"n_repeats": 3, "random_state": 1}
    x, y = data.x.numpy(), data.y.double().numpy()
    loss = permutation_importance(estimator, x, y, scoring="neg_mean_squared_error", **ask)
    size = permutation_importance(estimator, x, y, scoring="neg_root_mean_squared_error", **ask)
    for place, field in enumerate(fields_of(data.schema)):
        assert found[field.name].loss == pytest.approx(loss.importances_mean[place], rel=1e-6)
        assert found[field.name].score == pytest.approx(size.importances_mean[place], rel=1e-6)


def made(rows: int, noise: int, seed: int) -> tuple[Any, Any]:
    numbers = np.random.default_rng(seed)
    x = numbers.normal(size=(rows, noise + 1))
    return x, (x[:, 0] + numbers.normal(size=rows) > 0).astype(int)


@pytest.mark.parametrize("runs", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_columns_of_noise_have_no_importance(runs: int) -> None:
    """20 columns of noise in each of 20 runs: at most 5 % of the 400 intervals lie above 0, and
    none is significant."""
    above = named = 0
    for seed in range(runs):
        x, y = made(600, 20, seed)
        model = linnet.LogisticRegression().fit(x[:300], y[:300])
        held = linnet.read((x[300:].astype(np.float64), y[300:]))
        found = importance(model.module_, model.artifact_.objective, held, seed=seed)
        assert found.columns[0].columns == (held.schema.columns[0],)
        assert found.columns[0].significant
        above += sum(each.interval[0] > 0 for each in found.columns[1:])
        named += sum(each.significant for each in found.columns[1:])
    assert above <= runs and named == 0


def test_the_interval_counts_a_row_in_both_roles() -> None:
    """For y = x + noise and the model x, the importance is 2: the interval holds it, and the one
    over the predicted rows alone does not do so often enough."""
    from linnet.core.statistics import of_mean

    held = usual = 0
    numbers = np.random.default_rng(0)
    for seed in range(200):
        x = numbers.exponential(size=100) - 1
        y = x + numbers.normal(size=100)
        orders = permutations(100, 5, seed)
        growth = np.stack([(y - x[order]) ** 2 - (y - x) ** 2 for order in orders])
        values, spread = _roles(growth, orders)
        assert values.mean() == pytest.approx(growth.mean())
        low, high = of_mean(values, spread=spread)
        held += low <= 2 <= high
        low, high = of_mean(growth.mean(0))
        usual += low <= 2 <= high
    assert held >= 180 and usual <= 174


def test_each_fold_exchanges_values_among_its_own_rows(diabetes: Any) -> None:
    """With one network for all folds it is the importance by such permutations, but for wider
    intervals."""
    model, data = diabetes
    fold = np.arange(len(data)) % 3
    parts = [
        Part(model.module, data.take(torch.from_numpy(own)), own)
        for own in (np.flatnonzero(fold == number) for number in range(3))
    ]
    found = over_folds(parts, model.objective, data, repeats=4)
    orders = np.empty((4, len(data)), np.int64)
    for number, part in enumerate(parts):
        orders[:, part.rows] = part.rows[permutations(len(part.rows), 4, derive(0, "fold", number))]
    alone = importance(model.module, model.objective, data, orders=orders)
    assert [each.name for each in found] == [each.name for each in alone]
    for one, other in zip(found, alone, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=1e-9)
        assert one.score == pytest.approx(other.score, abs=1e-9)
        wide = np.diff(one.interval) / np.diff(other.interval)
        assert wide == pytest.approx(OUT_OF_FOLD_PAIR, rel=0.05)
    few = over_folds(parts, model.objective, data, most=30)
    assert 27 <= few.rows <= 30 and few.base != found.base
    with pytest.raises(InputError, match="two rows or more of each fold"):
        over_folds(parts, model.objective, data, most=3)


def test_two_copies_of_a_column_are_one_group() -> None:
    numbers = np.random.default_rng(0)
    frame = pl.DataFrame({"a": numbers.normal(size=400), "z": numbers.normal(size=400)})
    word = pl.Series("word", np.array(["low", "mid", "high"])[numbers.integers(0, 3, 400)])
    rank = pl.Series("rank", word.replace_strict({"low": 1, "mid": 2, "high": 3}).to_numpy() ** 2.0)
    frame = frame.with_columns(
        (3 * pl.col("a") ** 3 + pl.col("a")).alias("copy"), word, word.alias("again"), rank
    )
    frame = frame.with_columns((pl.col("a") + (pl.col("rank") > 3)).alias("y"))
    data = linnet.read(frame, target="y", columns={"rank": "number"}).learn(torch.arange(400))
    fields = fields_of(data.schema)
    groups = [{field.name for field in group} for group in alike(data.x, fields)]
    assert groups == [{"a", "copy"}, {"z"}, {"word", "again", "rank"}]
    near = association(data.x, fields)
    names = [field.name for field in fields]
    assert near[names.index("word"), names.index("again")] == pytest.approx(1)
    assert near[names.index("z"), names.index("word")] < 0.2


def test_a_column_moves_as_a_whole_also_where_rows_are_codes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows are those that one would get by exchanging the raw column and encoding again."""
    numbers = np.random.default_rng(0)
    raw: dict[str, Any] = {
        "n": np.where(numbers.random(60) < 0.2, np.nan, numbers.normal(size=60)),
        "c": [["x", "y", "z", None][code] for code in numbers.integers(0, 4, 60)],
        "b": numbers.integers(0, 2, 60).astype(bool),
        "d": np.datetime64("2024-01-01") + numbers.integers(0, 500, 60).astype("timedelta64[D]"),
        "y": numbers.normal(size=60),
    }
    every = torch.arange(60)
    order = torch.from_numpy(numbers.permutation(60))
    for wide in (1_000, 1):
        monkeypatch.setattr("linnet.data.columns.WIDE", wide)
        frame = pl.DataFrame({key: pl.Series(values) for key, values in raw.items()})
        draft = read_draft(frame, Reading(target="y"))
        data = draft.learn(every)
        assert isinstance(data.x, Coded) == (wide == 1)
        fields = fields_of(data.schema)
        assert [field.name for field in fields] == ["n", "c", "b", "d"]
        for place, field in enumerate(fields):
            records = draft.x.clone()
            records[:, place] = draft.x[order, place]
            changed = Dataset(records, draft.y, draft.schema).conform(data.schema)
            assert torch.equal(exchanged(data.x, [field], order) + 0, changed.x + 0)
        assert fields[1].absent(data.x).sum() == sum(value is None for value in raw["c"])
        assert fields[0].absent(data.x).sum() == np.isnan(raw["n"]).sum()
        codes = fields[1].codes(data.x)
        told = [fields[1].labels[code] for code in codes]
        assert told == ["(missing)" if value is None else value for value in raw["c"]]
        one = fixed(data.x, fields[1], np.eye(len(fields[1].labels))[2])
        assert (fields[1].codes(one) == 2).all() and torch.equal(one[:, :2] + 0, data.x[:, :2] + 0)
        hour = grid(data.x, data.schema, "d.month")
        assert hour.values == tuple(float(month) for month in range(1, 13))
        with pytest.raises(InputError, match=r"a date: name a part of it, d\.year, d\.month"):
            grid(data.x, data.schema, "d")


def test_dependence_equals_scikit_learns(iris: Any, diabetes: Any) -> None:
    for (model, data), kind in ((iris, Classes), (diabetes, Numbers)):
        estimator = kind(model).fit(None, None)
        names = data.schema.columns
        ask = {"grid_resolution": 9, "kind": "average", "method": "brute"}
        told = {"it": Model(model.module, model.objective)}
        one = partial_dependence(estimator, data.x.numpy(), [2], **ask)
        grids = [grid(data.x, data.schema, names[place], 9) for place in (2, 3)]
        found = dependence(told, data.x, data.schema, grids[:1])
        assert found.values[0] == pytest.approx(one["grid_values"][0].tolist(), rel=1e-6)
        assert found.curves["it"] == pytest.approx(one["average"], rel=1e-5)
        two = partial_dependence(estimator, data.x.numpy(), [2, 3], **ask)
        both = dependence(told, data.x, data.schema, grids)
        assert both.curves["it"] == pytest.approx(two["average"], rel=1e-5)
        again = type(both).parse(both.plain())
        assert again.plain() == both.plain() and again.columns == both.columns


def test_the_strongest_pair_is_the_one_that_interacts() -> None:
    class Product(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.at = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x: Any) -> Any:
            return (x[:, :1] * x[:, 2:3] + 5 * x[:, 1:2]).double()

    x = torch.randn(300, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    data = linnet.read((x.numpy(), x[:, 0].numpy()))
    from linnet.objectives.squared import Squared

    names = data.schema.columns
    found = strongest_pair(Model(Product(), Squared()), data.x, data.schema, names)
    assert found is not None and found.columns == (names[0], names[2]) and found.strength > 0.3
    assert strongest_pair(Model(Product(), Squared()), data.x, data.schema, names[1:2]) is None


def test_the_terms_of_a_row_add_up_to_its_prediction(diabetes: Any, iris: Any) -> None:
    model, data = diabetes
    fields = fields_of(data.schema)
    mean = data.x.double().mean(0)
    found = terms(model.module, data.x, mean, fields)
    raw = predict_raw(model.module, data.x).numpy()
    assert found.base + found.values.sum(2) == pytest.approx(raw, rel=1e-5)
    scaling = model.module.scaling
    coef = (model.module.linear.weight * scaling.factor).double().detach()
    by_hand = coef[0] * (data.x.double() - mean)
    assert found.values[:, 0] == pytest.approx(by_hand.numpy(), abs=1e-3)
    with pytest.raises(InputError, match="is no line"):
        terms(iris[0].module, iris[1].x, mean, fields)


def test_groups_of_rows_make_the_interval_wider(diabetes: Any) -> None:
    from dataclasses import replace

    from linnet.data.split import Division

    model, data = diabetes
    groups = torch.arange(len(data)) // 9
    grouped = replace(data, division=Division("group", "who", groups))
    found = importance(model.module, model.objective, grouped)
    assert found.units == {"by": "group", "column": "who", "units": len(groups.unique())}
    again = Importances.parse(found.plain())
    assert again == found and repr(again) == repr(found)
    assert "5 exchanges of each column" in repr(found)


def test_pictures_and_single_rows_are_refused(diabetes: Any) -> None:
    model, data = diabetes
    with pytest.raises(InputError, match="takes pictures; importance, dependence and slices"):
        fields_of(linnet.read("digits").schema)
    with pytest.raises(InputError, match="needs two rows"):
        importance(model.module, model.objective, data.take(torch.arange(1)))
    with pytest.raises(InputError, match=r'no column "bmj"; did you mean "bmi"'):
        grid(data.x, data.schema, "bmj")
