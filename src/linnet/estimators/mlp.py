"""Perceptrons."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.model_selection import train_test_split
from torch import Tensor

from linnet.errors import InputError
from linnet.estimators._base import Array, Classifier, Estimator, Regressor, _weights
from linnet.fit.artifact import Artifact
from linnet.networks.activations import ACTIVATIONS

ALIASES = {"logistic": "sigmoid"}
"""Activations that have another name in scikit-learn."""


class _Perceptron(Estimator):
    """The common part of both perceptrons."""

    models = ("mlp",)
    integers = np.float32

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 1e-4,
        batch_size: Any = "auto",
        learning_rate_init: float = 1e-3,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        device: str = "cpu",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.device = device

    def _train(
        self,
        X: Array,
        y: Tensor,
        weight: Array | None,
        schema: dict[str, Any],
        valid: tuple[Array, Tensor] | None,
        outputs: int,
    ) -> None:
        seed = self._seed(self.random_state)
        if self.early_stopping and valid is None:
            rows, held = train_test_split(
                np.arange(len(X)),
                test_size=self.validation_fraction,
                random_state=seed % 2**32,
                stratify=y.numpy() if schema["task"] == "classification" and y.dim() == 1 else None,
            )
            valid = X[held], y[held]
            X, y, weight = X[rows], y[rows], None if weight is None else weight[rows]
        self._check(X)
        size = min(200, len(X)) if self.batch_size == "auto" else min(int(self.batch_size), len(X))
        total = float(len(X)) if weight is None else float(weight.sum())
        widths = np.atleast_1d(self.hidden_layer_sizes).tolist()
        recipe: dict[str, Any] = {
            "model": ("mlp",),
            "seed": seed,
            "widths": widths,
            "activation": ALIASES.get(self.activation, self.activation),
            "dropout": 0.0,
            "batch_norm": False,
            "shift": 0,
            "optimizer": self.solver,
            "lr": self.learning_rate_init,
            # beside a batch's mean loss; scikit-learn divides it by the rows of a batch
            "weight_decay": self.alpha * -(-len(X) // size) / total,
            "schedule": "constant",
            "batch_size": size,
            "epochs": self.max_iter,
            "patience": self.n_iter_no_change,
            "min_delta": None if valid is not None else self.tol,
            "log_every": "1 epoch",
        }
        if self.solver == "sgd":
            recipe["momentum"] = self.momentum
            recipe["nesterov"] = bool(self.nesterovs_momentum and self.momentum)
        else:
            recipe |= {"betas": (self.beta_1, self.beta_2), "eps": self.epsilon}
        self._fit(recipe, X, y, weight, schema, valid, self._start(X, widths, outputs))

    def _start(self, X: Array, widths: list[int], outputs: int) -> dict[str, Tensor] | None:
        """The state of the last fit, if the fit shall start from it and the shapes agree."""
        if not self.warm_start or not hasattr(self, "module_"):
            return None
        spec = self.artifact_.manifest.network
        same = spec["widths"] == widths and spec["outputs"] == outputs
        return dict(self.module_.state_dict()) if same and spec["inputs"] == [X.shape[1]] else None

    def _take(self, model: Artifact) -> None:
        super()._take(model)
        facts: dict[str, Any] = dict(model.manifest.fit)
        self.n_iter_ = max(1, int(facts.get("epochs") or facts["best_epoch"]))
        self.converged_ = facts.get("stopped") != "epochs"
        if not self.converged_:
            self.stop_reason_ = (
                f"not converged: {self.stop_reason_} (max_iter); raise max_iter, or "
                "learning_rate_init"
            )

    def _check(self, X: Array) -> None:
        """Raise for settings and numbers with which no net can be trained."""
        choices = {"solver": ("adam", "sgd"), "activation": (*ACTIVATIONS, *ALIASES)}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(
                    f'{name} is "{getattr(self, name)}"; expected one of {", ".join(known)}'
                )
        widths = np.atleast_1d(self.hidden_layer_sizes).tolist()
        size = 1 if self.batch_size == "auto" else self.batch_size
        wholes = {
            "hidden_layer_sizes": min(widths, default=0),
            "batch_size": size,
            "max_iter": self.max_iter,
            "n_iter_no_change": self.n_iter_no_change,
        }
        for name, value in wholes.items():
            if int(value) != value or value < 1:
                given = getattr(self, name)
                raise InputError(f"{name} is {given!r}; expected whole numbers from 1")
        for name in ("alpha", "tol"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number from 0")
        for name in ("learning_rate_init", "epsilon"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number above 0")
        for name in ("momentum", "beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 0 to below 1")
        largest = np.abs(X).max(0)
        column = int(largest.argmax())
        if largest[column] > float(np.finfo(X.dtype).max) ** 0.5:
            raise InputError(
                f"column {column} holds {largest[column]:g}, too large to multiply in {X.dtype}; "
                "put a StandardScaler in front"
            )

    def _curve(self) -> None:
        self.loss_curve_ = [event["loss"] for event in self.history_ if "loss" in event]
        self.loss_ = self.loss_curve_[-1]
        self.n_layers_ = len(np.atleast_1d(self.hidden_layer_sizes)) + 2


class MLPClassifier(Classifier, _Perceptron):
    """A perceptron for classes, trained by mini-batches on the cross entropy.

    Parameters: ``hidden_layer_sizes``; ``activation``: "relu", "tanh", "logistic" or "identity",
    or another of the recipe's ("leaky_relu", "selu", "gelu", "silu", "softplus");
    ``solver``: "adam" or "sgd"; ``alpha``, the L2 penalty on the weights, next to the sum of the
    losses as in scikit-learn; ``batch_size``, "auto" is min(200, rows); ``learning_rate_init``;
    ``max_iter``, the most epochs; ``random_state``; ``tol``, by which the training loss (over
    the target's variance) must fall within ``n_iter_no_change`` epochs; ``verbose``, to show
    progress, in a notebook as a table that changes in place; ``warm_start``;
    ``momentum`` and ``nesterovs_momentum`` for "sgd", ``beta_1``, ``beta_2``, ``epsilon`` for
    "adam"; ``early_stopping``, to hold out ``validation_fraction`` of the rows, keep the best epoch
    on them, and stop after ``n_iter_no_change`` without a better one; ``device``.

    It computes in the dtype of ``X``: float64 takes 1.3 times as long as float32 (integers are
    computed in float32). ``X`` is not scaled; put a ``StandardScaler`` in front.

    After ``fit``: ``n_iter_``, the epochs; ``loss_``, ``loss_curve_``, the training loss of each
    epoch; ``converged_`` is False where ``max_iter`` ended it.
    """

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Fit to ``X`` (rows, features) and ``y`` (rows,), or (rows, classes) of probabilities.

        With validation rows, the weights of the epoch with the lowest loss on them are kept.
        """
        X = self._rows(X, reset=True)
        codes, weight = self._codes(X, y, sample_weight, None)
        valid = None
        if X_val is not None:
            held = self._rows(X_val, reset=False)
            valid = held, self._more_codes(held, y_val)
        outputs = 1 if len(self.classes_) == 2 else len(self.classes_)
        self._train(X, codes, weight, self._schema(), valid, outputs)
        self._curve()
        return self


class MLPRegressor(Regressor, _Perceptron):
    """A perceptron for numbers, trained by mini-batches on half the squared error.

    Targets are standardised for the fit; the module's last layer converts back.

    Parameters: ``hidden_layer_sizes``; ``activation``: "relu", "tanh", "logistic" or "identity",
    or another of the recipe's ("leaky_relu", "selu", "gelu", "silu", "softplus");
    ``solver``: "adam" or "sgd"; ``alpha``, the L2 penalty on the weights, next to the sum of the
    losses as in scikit-learn; ``batch_size``, "auto" is min(200, rows); ``learning_rate_init``;
    ``max_iter``, the most epochs; ``random_state``; ``tol``, by which the training loss (over
    the target's variance) must fall within ``n_iter_no_change`` epochs; ``verbose``, to show
    progress, in a notebook as a table that changes in place; ``warm_start``;
    ``momentum`` and ``nesterovs_momentum`` for "sgd", ``beta_1``, ``beta_2``, ``epsilon`` for
    "adam"; ``early_stopping``, to hold out ``validation_fraction`` of the rows, keep the best epoch
    on them, and stop after ``n_iter_no_change`` without a better one; ``device``.

    It computes in the dtype of ``X``: float64 takes 1.3 times as long as float32 (integers are
    computed in float32). ``X`` is not scaled; put a ``StandardScaler`` in front.

    After ``fit``: ``n_iter_``, the epochs; ``loss_``, ``loss_curve_``, the training loss of each
    epoch; ``converged_`` is False where ``max_iter`` ended it.
    """

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Fit to ``X`` (rows, features) and ``y`` (rows,) or (rows, targets).

        With validation rows, the weights of the epoch with the lowest loss on them are kept.
        """
        X = self._rows(X, reset=True)
        numbers = self._numbers(X, y)
        weight = _weights(sample_weight, X)
        valid = None
        if X_val is not None:
            held = self._rows(X_val, reset=False)
            valid = held, self._numbers(held, y_val)
        outputs = 1 if numbers.dim() == 1 else numbers.shape[1]
        self._train(X, numbers, weight, self._schema(numbers), valid, outputs)
        self._curve()
        return self
