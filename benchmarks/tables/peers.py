"""Other libraries' models on the tasks of ``tasks.py``: each with its defaults, in one thread.

Each is trained on all rows that are not test rows; those that need validation rows draw them
inside. They need scikit-learn, lightgbm, catboost and pytabkit, which has RealMLP-TD and TabM, in
an environment of their own.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from tasks import SPLIT, Task, divided

Array = np.ndarray[Any, Any]

MISSING = "(missing)"

PENALTIES = np.logspace(-3, 4, 15)
"""For ``RidgeCV``, whose own default has three."""


def _linear(classes: bool, seed: int, x: pd.DataFrame) -> Any:
    """scikit-learn's line: numbers scaled, categories one-hot, the penalty by five folds (numbers:
    by leaving out a row)."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    if classes:
        model: Any = LogisticRegressionCV(scoring="neg_log_loss", max_iter=2_000)
    else:
        model = RidgeCV(alphas=PENALTIES)
    return make_pipeline(columns, model)


def _trees(classes: bool, seed: int, x: pd.DataFrame) -> Any:
    from sklearn import ensemble

    kind = "Classifier" if classes else "Regressor"
    return getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=seed)


def _lightgbm(classes: bool, seed: int, x: pd.DataFrame) -> Any:
    import lightgbm

    kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    return kind(random_state=seed, n_jobs=1, verbose=-1)


def _catboost(classes: bool, seed: int, x: pd.DataFrame) -> Any:
    import catboost

    kind = catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor
    return kind(
        random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False,
        cat_features=list(x.select_dtypes(exclude="number")),
    )  # fmt: skip


def _pytabkit(name: str) -> Callable[[bool, int, pd.DataFrame], Any]:
    def make(classes: bool, seed: int, x: pd.DataFrame) -> Any:
        import pytabkit

        kind = getattr(pytabkit, f"{name}_{'Classifier' if classes else 'Regressor'}")
        return kind(random_state=seed, n_threads=1, device="cpu", verbosity=0)

    return make


PEERS: Mapping[str, Callable[[bool, int, pd.DataFrame], Any]] = {
    "sklearn_line": _linear,
    "sklearn_trees": _trees,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
    "realmlp": _pytabkit("RealMLP_TD"),
    "tabm": _pytabkit("TabM_D"),
}
"""An estimator by name, for classes or numbers, a seed and the features (rows, columns)."""

FULL = ("realmlp", "tabm")
"""These take no missing numbers; the median stands for them."""


def features(frame: pd.DataFrame, target: str, name: str) -> pd.DataFrame:
    """The features as ``name`` takes them: numbers, and categories as pandas' own."""
    x = frame.drop(columns=[target, SPLIT]).copy()
    x.columns = [f"f{place}" for place in range(x.shape[1])]
    for column in x:
        if pd.api.types.is_numeric_dtype(x[column]):
            x[column] = x[column].astype(float)
            if name in FULL:
                x[column] = x[column].fillna(x[column][frame[SPLIT] == "train"].median())
        else:
            words = x[column].astype(object).where(x[column].notna(), MISSING).astype(str)
            x[column] = words.astype("category")
            if name == "catboost":
                x[column] = words.astype(object)
    return x


def run(name: str, task: Task, seed: int) -> dict[str, Any]:
    """The test scores of a peer, and the CPU seconds of its fit."""
    frame = divided(task.name, seed)
    x = features(frame, task.target, name)
    y = frame[task.target].to_numpy()
    if task.classes:
        _, y = np.unique(y.astype(str), return_inverse=True)
    test = (frame[SPLIT] == "test").to_numpy()
    model = PEERS[name](task.classes, seed, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        model.fit(x[~test], y[~test])
        cpu = time.process_time() - start
        found = model.predict_proba(x[test]) if task.classes else model.predict(x[test])
    return {"test": scores(task.classes, np.asarray(found), y[test], y[~test]), "cpu": cpu}


def scores(classes: bool, found: Array, y: Array, train: Array) -> dict[str, float]:
    """The scores of predictions: probabilities (rows, classes), or numbers (rows,). ``skill`` is
    the share of the loss of the best constant (of the training rows) that is gone: for numbers
    nearly R2."""
    if not classes:
        square = float(np.mean((found.reshape(-1) - y) ** 2))
        constant = float(np.mean((train.mean() - y) ** 2))
        r2 = 1 - square / float(np.var(y))
        return {"rmse": square**0.5, "r2": r2, "skill": 1 - square / constant}
    p = np.clip(found[np.arange(len(y)), y].astype(float), 1e-15, 1)
    shares = np.bincount(train, minlength=found.shape[1]) / len(train)
    loss, constant = float(-np.log(p).mean()), float(-np.log(shares[y]).mean())
    right = float((found.argmax(1) == y).mean())
    return {"log_loss": loss, "accuracy": right, "skill": 1 - loss / constant}
