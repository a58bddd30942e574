"""The common part of all estimators: checking inputs, calling ``fit``, saving and loading."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import (
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_is_fitted,
    column_or_1d,
    validate_data,
)
from torch import Tensor

from linnet.core.events import Evaluate, Plain, Step, of
from linnet.core.parallel import World, choose_device
from linnet.core.record import Record
from linnet.data.dataset import Dataset
from linnet.data.memory.frames import Frames
from linnet.data.schema import Schema
from linnet.errors import ColumnError, DataError, InputError, ModelError
from linnet.estimators import _frames, _html, _sparse
from linnet.fit import artifact
from linnet.fit.artifact import Artifact
from linnet.fit.fit import fit
from linnet.fit.progress import Judge
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import far
from linnet.insight.evaluation import predict_raw
from linnet.line import choose
from linnet.objectives.base import Objective
from linnet.show.progress import shown

Array = np.ndarray[Any, Any]
SOFT = 1e-6
"""How far the sum of the probabilities of a row may be from 1."""

Built = TypeVar("Built", bound="Estimator")


class SettingError(InputError, InvalidParameterError):  # type: ignore[misc]
    """A setting of an estimator is of the wrong type or out of its range."""


class Estimator(BaseEstimator):  # type: ignore[misc]
    """An estimator with a real ``nn.Module`` and the record of its fit.

    After ``fit``: ``module_``, the ``nn.Module`` in evaluation mode, which takes rows like those of
    ``X``; ``history_``, the record, a dict for each step; ``converged_``, ``stop_reason_`` and
    ``n_iter_``; ``n_features_in_`` and, for data frames, ``feature_names_in_``.
    """

    models: tuple[str, ...]
    """The kinds of models that ``load`` accepts."""
    integers: Any = np.float64
    """The dtype in which integers are computed."""
    sums: bool = False
    """Whether the fit sums up all columns, and so detects values that are not finite."""
    sparse: bool = False
    """Whether ``X`` may be sparse."""
    device: str
    verbose: Any = False
    _flat: bool = True
    """Whether predictions are (rows,)."""
    _column: bool = False
    """Whether y was (rows, 1) where predictions are (rows,)."""
    _table: Schema | None = None

    _parameter_constraints: dict[str, Any] = {}  # noqa: RUF012

    def _validate_params(self) -> None:
        """Raise ``SettingError``, in scikit-learn's words, for a setting of a wrong type or out of
        its range."""
        device = [StrOptions({"auto", "cpu", "cuda", "mps"})]
        if isinstance(self.device, str) and self.device.startswith("cuda:"):
            device = [str]
        allowed = {**self._parameter_constraints, "device": device}
        try:
            validate_parameter_constraints(
                allowed, self.get_params(deep=False), caller_name=type(self).__name__
            )
        except InvalidParameterError as error:
            raise SettingError(str(error)) from None

    def _rows(self, X: Any, *, reset: bool, weight: Any = None) -> Array:
        """``X`` as a (rows, features) array of float64 or float32, checked to be finite if
        necessary. A data frame is encoded as ``_frames`` says; rows of no ``weight`` say nothing of
        what a missing number is."""
        if issparse(X):
            self._table = None if reset else self._table
            checked: Array = _sparse.rows(self, X, reset=reset)
            return checked
        frame = Frames().matches(X)
        X = _frames.of_polars(X) if frame else X
        if reset:
            self._table = None
            if frame and not _frames.all_numbers(X):
                self._table, found = _frames.learn(X, weight, self.integers)
                self.feature_names_in_ = np.array(_frames.names(self._table), dtype=object)
                self.n_features_in_ = len(self.feature_names_in_)
                return found
        elif self._table is not None and not _frames.plain(self._table):
            if not frame:
                raise InputError(
                    f"{type(self).__name__} was fitted to a data frame with columns that are not "
                    "numbers; give a data frame with "
                    f"{', '.join(map(repr, _frames.names(self._table)))}"
                )
            return _frames.encode(X, self._table)
        filled = frame and (reset or self._table is not None)
        found = validate_data(
            self,
            X,
            reset=reset,
            dtype="numeric",
            order="C",
            ensure_all_finite="allow-nan"
            if filled
            else not (reset and self.sums and weight is None),
        )
        whole = found.dtype.kind not in "f" or (frame and _frames.whole(X))
        if found.dtype == np.float16:
            found = found.astype(np.float32)
        elif whole or found.dtype not in (np.float64, np.float32):
            found = found.astype(self.integers if whole else np.float64)
        if reset and frame:
            self._table = _frames.numbers(X, found, weight)
        return _frames.fill(found, self._table) if filled and self._table else found

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """The names of the columns of ``coef_`` (or of the first layer's inputs), in order.

        They are those of ``X``; where a frame holds text or dates, those of the encoded columns,
        such as "color=red". ``input_features`` is for scikit-learn's interface.
        """
        check_is_fitted(self)
        return np.array(self._columns(self.n_features_in_), dtype=object)

    def _columns(self, count: int) -> list[str]:
        """The names of the ``count`` columns of the rows."""
        if self._table is not None:
            return list(self._table.columns)
        names = getattr(self, "feature_names_in_", [f"x{index}" for index in range(count)])
        return [str(name) for name in names]

    def _wide(self, X: Array, y: Tensor) -> Array:
        """The rows in float64 if numbers ``y`` are too far from zero for float32, else as they
        are."""
        narrow = X.dtype == np.float32 and not self.device.startswith("mps")
        return X.astype(np.float64) if narrow and far(y) else X

    def described(self, X: Array, target: dict[str, Any], *, names: bool = True) -> Schema:
        """The schema of the rows ``X``, with the names of the columns or without; ``target`` is the
        part of it for the target."""
        fields = {} if self._table is None else {"fields": self._table.fields}
        return Schema(
            example="row",
            shape=(X.shape[1],),
            dtype="float32" if self.device.startswith("mps") else str(X.dtype),
            columns=tuple(self._columns(X.shape[1])) if names else (),
            **fields,
            **target,
        )

    def _fit(
        self,
        recipe: dict[str, Any],
        X: Array,
        y: Tensor,
        weight: Array | None,
        schema: dict[str, Any],
        valid: tuple[Array, Tensor] | None = None,
        start: dict[str, Tensor] | None = None,
        judge: Judge | None = None,
    ) -> None:
        """Fit the model of ``recipe`` and take over its results."""
        if recipe.get("solver") == "auto":
            quadratic = schema["task"] == "regression"
            outputs = 1 if len(schema.get("classes", ())) == 2 else len(schema.get("classes", (1,)))
            recipe = {**recipe, "solver": choose(quadratic, X.shape[0], X.shape[1], outputs)}
        if issparse(X):
            self._fit_sparse(recipe, X, y, weight, schema, valid, start)
            return
        described = self.described(X, schema)
        train = Dataset(_tensor(X), y, described, None if weight is None else _tensor(weight))
        held = Dataset(_tensor(X[:0]), y[:0], described)
        if valid is not None:
            held = Dataset(_tensor(valid[0]), valid[1], described)
        settings: dict[str, Any] = {
            "scaling": "none",
            "dtype": described.dtype,
            "device": self.device,
            **recipe,
        }
        history: list[Plain] = []
        try:
            with shown(bool(self.verbose)) as heard:
                model = fit(
                    Recipe().override(settings),
                    train,
                    held,
                    world=World(device=choose_device(self._device)),
                    record=kept(history, heard),
                    start=start,
                    judge=judge,
                )
        except ColumnError as error:
            raise self._named(error, X) from None
        self._take(model)
        self.history_ = history
        self._warn()

    def _fit_sparse(
        self,
        recipe: dict[str, Any],
        X: Any,
        y: Tensor,
        weight: Array | None,
        schema: dict[str, Any],
        valid: tuple[Array, Tensor] | None,
        start: dict[str, Tensor] | None,
    ) -> None:
        """Fit a line to CSR rows, and take over its results."""
        if valid is not None:
            raise InputError("X_val goes with dense rows; score validation rows after the fit")
        history: list[Plain] = []
        record = Record(echo=history.append)
        try:
            model = _sparse.fit(self, recipe, X, y, weight, schema, start, record)
        except ColumnError as error:
            raise self._named(error, X.data) from None
        self._take(model)
        self.history_ = [event for event in history if isinstance(of(event), Step)]
        self._warn()

    def _warn(self) -> None:
        """Warn if the fit has not converged."""
        if self.converged_ is False:
            warnings.warn(self.stop_reason_, ConvergenceWarning, stacklevel=4)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.sparse
        return tags

    def _named(self, error: ColumnError, X: Array) -> DataError:
        """The error with the name of the column, and in the words of scikit-learn where a number is
        missing or infinite."""
        named = self._table is not None or hasattr(self, "feature_names_in_")
        told = error.named(self._columns(X.shape[1])[error.column]) if named else error
        found = "NaN" if np.isnan(X).any() else "infinity" if np.isinf(X).any() else ""
        return DataError(f"Input X contains {found}. {told}" if found else str(told))

    @property
    def _device(self) -> str:
        return "cpu" if self.device == "auto" else self.device

    def _take(self, model: Artifact) -> None:
        """Take over the attributes of a fitted model."""
        self.artifact_ = model
        self.module_ = model.module
        facts: dict[str, Any] = dict(model.manifest.fit)
        self.stop_reason_ = str(facts["reason"])
        self.converged_ = facts["converged"]
        self.n_iter_: Any = self._counted(max(1, int(facts["steps"])))

    def _counted(self, steps: int) -> Any:
        """``n_iter_`` in the form of scikit-learn's class."""
        return steps

    @property
    def _objective(self) -> Objective:
        """The objective of the fitted model."""
        return self.artifact_.objective

    def _raw(self, X: Any) -> tuple[Tensor, Any]:
        """Raw predictions (rows, outputs) in float64, and the dtype of the result."""
        check_is_fitted(self)
        X = self._rows(X, reset=False)
        if issparse(X):
            return _sparse.raw(self.module_, X), X.dtype
        own = next(self.module_.parameters()).dtype
        wider = np.result_type(X.dtype, np.float64) if own == torch.float64 else X.dtype
        return predict_raw(self.module_, _tensor(X).to(own)).cpu(), wider

    def _repr_html_inner(self) -> str:
        """scikit-learn's diagram and, for a fitted estimator, facts about the fit."""
        diagram: str = super()._repr_html_inner()
        return f"{diagram}{_html.fitted(self)}" if hasattr(self, "artifact_") else diagram

    def _repr_mimebundle_(self, **settings: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**settings)
        if "text/html" in bundle:
            bundle["text/html"] = self._repr_html_inner()
        return bundle

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to a file for ``linnet.load``, ``linnet evaluate`` and ``load``:
        tensors and JSON, without code."""
        check_is_fitted(self)
        manifest = self.artifact_.manifest
        about = {
            "class": type(self).__name__,
            "parameters": _plain(self.get_params()),
            "names": hasattr(self, "feature_names_in_"),
            "flat": getattr(self, "_flat", True),
            "column": getattr(self, "_column", False),
        }
        provenance = {**manifest.provenance, "estimator": about}
        update = {"provenance": provenance}
        Artifact(
            manifest.model_copy(update=update), self.artifact_.module, self.artifact_.objective
        ).save(path)

    @classmethod
    def load(cls: type[Built], path: str | os.PathLike[str]) -> Built:
        """The fitted estimator in a file, whether an estimator or the command line wrote it.

        If no estimator wrote the file, the settings are unknown and set to the defaults. Raises
        ``ModelError`` for a file with another kind of model.
        """
        model = artifact.load(Path(path))
        manifest = model.manifest
        if manifest.model not in cls.models or manifest.schema_.task != cls._task():
            raise ModelError(
                f"{path}: holds a {manifest.model} for {manifest.schema_.task}, which "
                f"{cls.__name__} cannot load; linnet.load opens every model"
            )
        if manifest.schema_.example != "row":
            raise ModelError(
                f"{path}: this model takes pictures, an estimator takes rows; use linnet.load"
            )
        about = manifest.provenance.get("estimator")
        about = about if isinstance(about, dict) else {}
        given = about.get("parameters", {}) if about.get("class") == cls.__name__ else {}
        known = cls._get_param_names()
        assert isinstance(given, dict)
        result = cls(**{key: _back(value) for key, value in given.items() if key in known})
        result.n_features_in_ = manifest.schema_.shape[0]
        fields = manifest.schema_.fields
        result._table = manifest.schema_ if fields else None
        default = tuple(f"c{i}" for i in range(len(manifest.schema_.columns)))
        if about.get("names", manifest.schema_.columns != default):
            result.feature_names_in_ = np.array(manifest.schema_.columns, dtype=object)
        if fields:
            result.n_features_in_ = len(fields)
            if about.get("names", True):
                names = [field.name for field in fields]
                result.feature_names_in_ = np.array(names, dtype=object)
        if manifest.schema_.classes:
            result.classes_ = np.array(manifest.schema_.classes)
        result._flat = bool(about.get("flat", len(manifest.schema_.targets) == 1))
        result._column = bool(about.get("column", False))
        result.history_ = []
        result._take(model)
        return result

    @classmethod
    def _task(cls) -> str:
        return "classification" if issubclass(cls, ClassifierMixin) else "regression"

    def _seed(self, random_state: Any) -> int:
        if isinstance(random_state, (int, np.integer)):
            return int(random_state)
        return int(check_random_state(random_state).randint(2**31 - 1))


class Classifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Classes in, probabilities out. ``classes_`` (classes,) are in sorted order."""

    classes_: Array

    def _codes(
        self, X: Array, y: Any, sample_weight: Any, class_weight: Any
    ) -> tuple[Tensor, Array | None]:
        """Class codes (rows,) or soft targets (rows, classes), and weights (rows,) or None."""
        weight = _weights(sample_weight, X)
        soft = _soft(y)
        if soft is not None:
            _same_rows(X, soft)
            if class_weight is not None:
                raise InputError("class_weight needs a class for each row; y holds probabilities")
            self.classes_ = np.arange(soft.shape[1])
            return _tensor(soft), weight
        y = _labels(y, X)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                f"y has one class, {_item(self.classes_[0])!r}; expected two classes or more"
            )
        if class_weight is not None:
            if isinstance(class_weight, str) and weight is not None:
                # scikit-learn balances with the weights of the rows
                share = np.bincount(codes, weight, len(self.classes_))
                share = np.where(share > 0, share, 1)
                factors = weight.sum() / (len(self.classes_) * share)
                if class_weight != "balanced":
                    raise InputError(f'class_weight "{class_weight}"; did you mean "balanced"?')
            else:
                factors = compute_class_weight(class_weight, classes=self.classes_, y=y)
            if not (factors >= 0).all() or not np.isfinite(factors).all():
                place = int(np.argmin((factors >= 0) & np.isfinite(factors)))
                raise InputError(
                    f"class_weight of the class {_item(self.classes_[place])!r} is "
                    f"{factors[place]:g}; expected a number from 0"
                )
            weight = factors[codes] * (1.0 if weight is None else weight)
        return torch.from_numpy(codes.astype(np.int64)), weight

    def _more_codes(self, X: Array, y: Any, name: str = "y_val") -> Tensor:
        """The codes of more rows, whose classes must be known; errors call them ``name``."""
        soft = _soft(y)
        if soft is not None:
            return _tensor(soft)
        y = _labels(y, X)
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        unknown = self.classes_[codes] != y
        if unknown.any():
            raise InputError(
                f"{name} holds {_item(y[unknown][0])!r}, which is not among the classes of y: `y` "
                f"has classes not in `self.classes_`, {self.classes_.tolist()}"
            )
        return torch.from_numpy(codes.astype(np.int64))

    def _schema(self) -> dict[str, Any]:
        """The target's part of a schema."""
        labels = self.classes_.tolist()
        kinds = {bool: "bool", int: "int", float: "float", str: "text"}
        kind = kinds.get(type(labels[0]))
        if kind is None or any(type(label) is not type(labels[0]) for label in labels):
            labels, kind = [str(label) for label in labels], "text"
        return {
            "task": "classification",
            "targets": ("target",),
            "classes": tuple(labels),
            "class_kind": kind,
        }

    def decision_function(self, X: Any) -> Array:
        """Logits: for two classes (rows,) of the second class, else (rows, classes)."""
        raw, dtype = self._raw(X)
        values: Array = raw.numpy().astype(dtype)
        return values[:, 0] if values.shape[1] == 1 else values

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, (rows, classes)."""
        raw, dtype = self._raw(X)
        values: Array = self._objective.probabilities(raw).numpy().astype(dtype)
        return values

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of ``predict_proba``, accurate also for tiny probabilities."""
        raw, dtype = self._raw(X)
        if raw.shape[1] == 1:
            raw = torch.cat([torch.zeros_like(raw), raw], 1)
        values: Array = raw.log_softmax(1).numpy().astype(dtype)
        return values

    def predict(self, X: Any) -> Array:
        """The most probable class of each row, (rows,)."""
        raw, _ = self._raw(X)
        codes = self._objective.probabilities(raw).argmax(1)
        labels: Array = self.classes_[codes.numpy()]
        return labels

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy; for soft targets (rows, classes), of their most probable class."""
        soft = _soft(y)
        if soft is not None:
            y = self.classes_[soft.argmax(1)]
        return float(super().score(X, y, sample_weight))


class Regressor(RegressorMixin, Estimator):  # type: ignore[misc]
    """Predicts numbers, (rows,) or (rows, targets)."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _numbers(self, X: Array, y: Any) -> Tensor:
        """Numbers (rows,) or (rows, targets)."""
        if y is None:
            raise InputError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        y = check_array(y, ensure_2d=False, dtype=[np.float64, np.float32], input_name="y")
        if y.ndim > 2:
            raise InputError(f"y has the shape {y.shape}; expected (rows,) or (rows, targets)")
        _same_rows(X, y)
        self._flat = y.ndim == 1
        return _tensor(y).double()

    @staticmethod
    def _schema(y: Tensor) -> dict[str, Any]:
        """The target's part of a schema."""
        count = 1 if y.dim() == 1 else y.shape[1]
        names = ("target",) if count == 1 else tuple(f"target{i}" for i in range(count))
        return {"task": "regression", "targets": names}

    def predict(self, X: Any) -> Array:
        """The predicted numbers, in the shape of the training ``y``."""
        raw, dtype = self._raw(X)
        values: Array = raw.numpy().astype(dtype)
        return values[:, 0] if self._flat else values

    def score(
        self, X: Any, y: Any, sample_weight: Any = None, *, multioutput: Any = "uniform_average"
    ) -> Any:
        """R2, the mean over the targets; ``multioutput="raw_values"``: one for each target."""
        return r2_score(y, self.predict(X), sample_weight=sample_weight, multioutput=multioutput)


def kept(history: list[Plain], heard: Callable[[Plain], None] | None) -> Record:
    """A record that keeps steps and scores in ``history``, and tells ``heard`` of all events."""

    def tell(event: Plain) -> None:
        if isinstance(of(event), (Step, Evaluate)):
            history.append(event)
        if heard is not None:
            heard(event)

    return Record(echo=tell)


ALIGNED = 64
"""PyTorch's own memory begins at a multiple of this many bytes."""

MOST_COPIED = 32 << 20
"""A larger array is never copied for its place in memory."""


def _tensor(array: Array) -> Tensor:
    """A tensor that shares the memory if it is writable, else a copy.

    A small array is copied too if it does not begin where PyTorch's own tensors do: the last bits
    of some kernels depend on that, and one array would have several results.
    """
    whole = array if array.flags.carray else np.require(array, requirements=["C", "W"])
    tensor = torch.from_numpy(whole)
    apart = tensor.data_ptr() % ALIGNED and array.nbytes <= MOST_COPIED
    return tensor.clone() if apart else tensor


def _weights(sample_weight: Any, X: Array) -> Array | None:
    """Weights (rows,) in float64, or None."""
    if sample_weight is None:
        return None
    found: Array = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    if not found.sum() > 0:
        raise InputError("the sample weights are all zero; expected some above zero")
    return found


def _same_rows(X: Array, y: Array) -> None:
    """Raise if X and y have not the same number of rows."""
    if X.shape[0] != len(y):
        raise InputError(
            f"Found input variables with inconsistent numbers of samples: [{X.shape[0]}, {len(y)}];"
            " X and y must have the same rows"
        )


def _labels(y: Any, X: Array) -> Array:
    if y is None:
        raise InputError("this estimator requires y to be passed, but the target y is None")
    labels: Array = column_or_1d(y, warn=True)
    _same_rows(X, labels)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        found = "NaN" if np.isnan(labels).any() else "infinity"
        raise InputError(f"Input y contains {found}; expected a class for each row")
    check_classification_targets(labels)
    return labels


def _soft(y: Any) -> Array | None:
    """Rows of probabilities in float64; None if ``y`` is something else."""
    soft: Array = np.asarray(y)
    shape = soft.shape
    if len(shape) != 2 or shape[1] < 2:
        return None
    if soft.dtype.kind != "f":
        raise InputError(
            f"y has the shape {shape} and is {type_of_target(y)}; expected a class for each row, "
            "or rows of probabilities as floats"
        )
    soft = soft.astype(np.float64)
    if not (soft >= 0).all() or not (np.abs(soft.sum(1) - 1) <= SOFT).all():
        raise InputError("y has two dimensions, but its rows are not probabilities that sum to 1")
    return soft


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as JSON; others are left out."""
    result: dict[str, Any] = {}
    for key, value in parameters.items():
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, dict):
            value = {"pairs": [[_item(k), _item(v)] for k, v in value.items()]}
        elif isinstance(value, (list, tuple, np.ndarray)):
            value = [_item(item) for item in value]
        elif value is not None and not isinstance(value, (bool, int, float, str)):
            continue
        result[key] = {"infinite": value > 0} if value in (np.inf, -np.inf) else value
    return result


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _back(value: Any) -> Any:
    if isinstance(value, dict):
        if "infinite" in value:
            return np.inf if value["infinite"] else -np.inf
        return {key: number for key, number in value["pairs"]}
    return tuple(value) if isinstance(value, list) else value
