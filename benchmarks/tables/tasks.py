"""The tables on which linnet's defaults are decided and compared with other libraries.

``TASKS`` names them. ``Task.frame`` is a pandas frame of the features and the target; ``divided``
adds a column ``split``, with the test rows that ``linnet train`` draws for a seed, so that all
competitors are tested on the same rows. All tables are on this machine, or in a package:

- adult, diamonds and titanic in the folder that LINNET_DATA names;
- scikit-learn's and statsmodels' own, which come with these packages;
- those of the book "An Introduction to Statistical Learning" as CSV files in the wheel of the
  package ISLP, which LINNET_ISLP names (``pip download --no-deps ISLP``); it is not installed.

A column that holds the target in another form, one value only, or a name of its own for each row
is left out, for every competitor; ``Task.left_out`` gives the reason.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SMALL = 5_000
"""A task with fewer training rows is small."""

TEST = 0.2
"""The share of the test rows, as by default in linnet."""

SPLIT = "split"
"""The column that names the part of a row."""

ADULT = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation",
    "relationship", "race", "sex", "capital_gain", "capital_loss", "hours_per_week",
    "native_country", "income",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A table and the column to predict."""

    name: str
    target: str
    read: Callable[[], pd.DataFrame]
    classes: bool
    rows: int
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Columns that are not used, with the reason."""
    ranked: bool = True
    """Whether it counts in means over tasks."""

    @property
    def train_rows(self) -> int:
        """Rows that are not test rows."""
        return self.rows - int(np.ceil(TEST * self.rows - 1e-9))

    @property
    def small(self) -> bool:
        return self.train_rows < SMALL

    @property
    def frame(self) -> pd.DataFrame:
        """The features and the target, without the columns that are left out."""
        frame = self.read()
        if len(frame) != self.rows:
            raise ValueError(f"{self.name}: {len(frame)} rows, expected {self.rows}")
        return frame.drop(columns=list(self.left_out))

    def divided(self, seed: int) -> pd.DataFrame:
        """``frame`` and the column ``split``: "test" for the rows that ``linnet train`` tests
        with this seed, and "train" for all others."""
        import torch

        from linnet.data.split import split

        frame = self.frame
        codes = None
        if self.classes:
            _, codes = np.unique(frame[self.target].to_numpy().astype(str), return_inverse=True)
        drawn = split(
            None if codes is None else torch.from_numpy(codes), len(frame),
            own=0, division=None, test=TEST, valid=0, seed=seed,
        )  # fmt: skip
        part = np.full(len(frame), "train", dtype=object)
        part[drawn.test.numpy()] = "test"
        return frame.assign(**{SPLIT: part})


def _local(name: str, **options: Any) -> pd.DataFrame:
    """A file in the folder LINNET_DATA."""
    return pd.read_csv(Path(os.environ["LINNET_DATA"]) / name, **options)


def _adult() -> pd.DataFrame:
    return _local("adult.data", header=None, names=ADULT, skipinitialspace=True, na_values="?")


def _islp(name: str) -> pd.DataFrame:
    """A file of the wheel LINNET_ISLP."""
    with (
        zipfile.ZipFile(os.environ["LINNET_ISLP"]) as wheel,
        wheel.open(f"ISLP/data/{name}.csv") as file,
    ):
        return pd.read_csv(file)


def _hitters() -> pd.DataFrame:
    return _islp("Hitters").dropna(subset="Salary").reset_index(drop=True)


def _wage() -> pd.DataFrame:
    """Without the numbers before the names of categories, "2. HS Grad", which libraries read in
    different ways."""
    frame = _islp("Wage")
    words = frame.select_dtypes(exclude="number")
    return frame.assign(**{key: words[key].str.replace(r"^\d\. ", "", regex=True) for key in words})


def _shipped(name: str) -> pd.DataFrame:
    """A table that comes with scikit-learn; classes by their names."""
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")(as_frame=True)
    names = getattr(found, "target_names", None)
    y = found.target if names is None else np.array(names)[found.target]
    return found.data.assign(target=y)


def _made(name: str, **options: Any) -> pd.DataFrame:
    """A table that scikit-learn makes."""
    from sklearn import datasets

    x, y = getattr(datasets, f"make_{name}")(random_state=0, **options)
    frame = pd.DataFrame(x, columns=[f"x{index}" for index in range(x.shape[1])])
    return frame.assign(target=y if name == "friedman1" else y.astype(int))


def _econometric(name: str) -> pd.DataFrame:
    """A table that comes with statsmodels."""
    from statsmodels import datasets

    frame: pd.DataFrame = getattr(datasets, name).load_pandas().data
    return frame


def _measured(share: float) -> pd.DataFrame:
    """Eight measurements with two decimals, which depend on each other, and a number that depends
    on them: by a line, by two bends and by chance. In ``share`` of the rows the decimal point of
    the most important measurement is lost: 12.85 is written as 1285."""
    random = np.random.default_rng(0)
    rows = 4_000
    common = random.standard_normal((rows, 3))
    mixed = common @ random.standard_normal((3, 8)) + 1.5 * random.standard_normal((rows, 8))
    z = mixed / mixed.std(0)
    effect = 0.45 * z[:, 0] + 0.3 * z[:, 1] - 0.3 * z[:, 2] + 0.2 * z[:, 3]
    effect += 0.4 * np.abs(z[:, 4]) + 0.3 * np.tanh(2 * z[:, 5]) * (z[:, 6] > 0)
    y = effect + 0.6 * random.standard_normal(rows)
    values = np.round(12 + 2 * z * (1 + np.arange(8) % 3), 2)
    lost = random.random(rows) < share
    values[lost, 0] = np.round(values[lost, 0] * 100)
    return pd.DataFrame(values, columns=[f"m{index}" for index in range(8)]).assign(quality=y)


OWN_NAME = "a name or number of its own for nearly every row"

_ALL = (
    Task("adult", "income", _adult, True, 32_561),
    Task("titanic", "survived", lambda: _local("titanic.csv"), True, 891,
         {"name": OWN_NAME, "ticket": OWN_NAME, "cabin": OWN_NAME}),
    Task("diamonds", "price", lambda: _local("diamonds.csv"), False, 53_940),
    Task("iris", "target", lambda: _shipped("iris"), True, 150),
    Task("wine", "target", lambda: _shipped("wine"), True, 178),
    Task("breast_cancer", "target", lambda: _shipped("breast_cancer"), True, 569),
    Task("diabetes", "target", lambda: _shipped("diabetes"), False, 442),
    Task("friedman1", "target", lambda: _made("friedman1", n_samples=2_000, noise=1.0), False,
         2_000),
    Task("hastie", "target", lambda: _made("hastie_10_2"), True, 12_000),
    Task("moons", "target", lambda: _made("moons", n_samples=1_000, noise=0.3), True, 1_000),
    Task("fair", "affairs", lambda: _econometric("fair"), False, 6_366),
    Task("anes96", "PID", lambda: _econometric("anes96"), True, 944,
         {"vote": "follows from the target"}),
    Task("randhie", "mdvis", lambda: _econometric("randhie"), False, 20_190),
    Task("bikeshare", "bikers", lambda: _islp("Bikeshare"), False, 8_645,
         {"casual": "with registered it sums to the target",
          "registered": "with casual it sums to the target"}),
    Task("carseats", "Sales", lambda: _islp("Carseats"), False, 400),
    Task("hitters", "Salary", _hitters, False, 263),
    Task("oj", "Purchase", lambda: _islp("OJ"), True, 1_070),
    Task("wage", "wage", _wage, False, 3_000,
         {"logwage": "the logarithm of the target", "region": "one value"}),
    Task("boston", "medv", lambda: _islp("Boston"), False, 506),
    Task("college", "Outstate", lambda: _islp("College"), False, 777),
    Task("caravan", "Purchase", lambda: _islp("Caravan"), True, 5_822),
    Task("default", "default", lambda: _islp("Default"), True, 10_000),
    Task("misplaced", "quality", lambda: _measured(0.015), False, 4_000),
    Task("placed", "quality", lambda: _measured(0.0), False, 4_000, ranked=False),
)  # fmt: skip


TASKS: Mapping[str, Task] = {task.name: task for task in _ALL}


@cache
def divided(name: str, seed: int) -> pd.DataFrame:
    """The table of a task, with the column ``split``."""
    return TASKS[name].divided(seed)
