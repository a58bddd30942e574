"""Perceptrons."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call
from torch import Tensor, nn

from linnet.errors import InputError, LinnetWarning
from linnet.estimators import _whole
from linnet.estimators._base import (
    Array,
    Classifier,
    Estimator,
    Regressor,
    _weights,
)
from linnet.fit.artifact import Artifact
from linnet.fit.progress import Judge
from linnet.networks.activations import ACTIVATIONS
from linnet.networks.scaling import Rescaling

ALIASES = {"logistic": "sigmoid"}
"""Activations that have another name in scikit-learn."""

SLOWER = 0.2
"""By what ``learning_rate="adaptive"`` multiplies the rate, as in scikit-learn."""


def _whole_number(closed: Any = "left") -> Interval:
    return Interval(Integral, 1, None, closed=closed)


def _stochastic(model: Any) -> bool:
    if model.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


class _Perceptron(Estimator):
    """The common part of both perceptrons."""

    models = ("mlp",)
    integers = np.float32
    _more: dict[str, Any] | None = None
    """Of ``partial_fit``: the seed, the epochs done, the optimiser's state."""
    _parameter_constraints = {  # noqa: RUF012
        "hidden_layer_sizes": ["array-like", _whole_number()],
        "activation": [StrOptions({*ACTIVATIONS, *ALIASES})],
        "solver": [StrOptions({"adam", "sgd", "lbfgs"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), _whole_number()],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, 1, closed="both")],
        "max_iter": [_whole_number()],
        "shuffle": ["boolean"],
        "random_state": ["random_state", Interval(Integral, 0, 2**63 - 1, closed="both")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [_whole_number(), Options(Real, {np.inf})],
        "max_fun": [_whole_number()],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 1e-4,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 1e-3,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
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
        n_iter_no_change: float = 10,
        max_fun: int = 15_000,
        device: str = "cpu",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
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
        self.max_fun = max_fun
        self.device = device

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer, (inputs, outputs), so that activations and sums of them give
        the predictions; they cannot be set."""
        return [weight for weight, _ in self._layers("coefs_")]

    @property
    def intercepts_(self) -> list[Array]:
        """The bias of each layer, (outputs,); they cannot be set."""
        return [bias for _, bias in self._layers("intercepts_")]

    def _layers(self, name: str) -> list[tuple[Array, Array]]:
        if "module_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no {name} before fit")
        if self.artifact_.manifest.network["scale"] != "none":
            raise AttributeError(f"this model scales its inputs first, so it has no {name}")
        linear = [part for part in self.module_.modules() if isinstance(part, nn.Linear)]
        layers = [
            (layer.weight.detach().T.numpy().copy(), layer.bias.detach().numpy().copy())
            for layer in linear
        ]
        last = self.module_.get_submodule("rescaling")
        if isinstance(last, Rescaling):
            weight, bias = layers[-1]
            factor, shift = last.factor.numpy(), last.shift.numpy()
            layers[-1] = weight * factor, bias * factor + shift
        for arrays in layers:
            for array in arrays:
                array.setflags(write=False)
        return layers

    def _train(
        self,
        X: Array,
        y: Tensor,
        weight: Array | None,
        schema: dict[str, Any],
        valid: tuple[Array, Tensor] | None,
        outputs: int,
    ) -> None:
        """Fit to these rows; ``y`` is (rows,) or (rows, outputs)."""
        self._check(X)
        seed = self._seed(self.random_state)
        judge = None
        if self.early_stopping and self.solver != "lbfgs":
            held_weight = None
            if valid is None:
                rows, held = self._held_out(y, schema["task"], seed)
                valid = X[held], y[held]
                held_weight = None if weight is None else weight[held]
                X, y, weight = X[rows], y[rows], None if weight is None else weight[rows]
            judge = Judge(self._scorer(valid[1], held_weight), float(self.tol))
        start = self._start(X, outputs)
        before: dict[str, Any] = {} if start is None else dict(vars(self))
        recipe = self._recipe(len(X), seed, weight, validated=valid is not None)
        self._more = None
        if self.solver == "lbfgs":
            if valid is not None:
                raise InputError('X_val is for the solvers "adam" and "sgd"; "lbfgs" has no epochs')
            _whole.fit(self, recipe, X, y, weight, schema, start)
        else:
            self._fit(recipe, X, y, weight, schema, valid, start, judge)
        self._told(before, len(X))

    def _held_out(self, y: Tensor, task: str, seed: int) -> tuple[Array, Array]:
        """The rows to train with, and those held out, which have each class in the same share."""
        codes = y.numpy() if task == "classification" and y.dim() == 1 else None
        rows, held = train_test_split(
            np.arange(len(y)),
            test_size=self.validation_fraction,
            random_state=seed % 2**32,
            stratify=codes,
        )
        if len(held) < 2:
            raise InputError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                f"your dataset: it has {len(y)} rows"
            )
        return rows, held

    def _scorer(self, y: Tensor, weight: Array | None) -> Callable[[Tensor], float]:
        """What ``score`` says of raw predictions of the rows held out."""
        raise NotImplementedError

    def _recipe(
        self, rows: int, seed: int, weight: Array | None, *, validated: bool
    ) -> dict[str, Any]:
        """The settings of the fit."""
        size = rows if self.batch_size == "auto" else int(self.batch_size)
        size = min(200, size) if self.batch_size == "auto" else min(size, rows)
        total = float(rows) if weight is None else float(weight.sum())
        patience = min(self.n_iter_no_change, self.max_iter)  # infinity: never
        recipe: dict[str, Any] = {
            "model": ("mlp",),
            "seed": seed,
            "widths": self._widths,
            "activation": ALIASES.get(self.activation, self.activation),
            "embedding": "none",
            "dropout": 0.0,
            "batch_norm": False,
            "shift": 0,
            "flip": False,
            "optimizer": self.solver,
            "lr": self.learning_rate_init,
            "schedule": "constant",
            "batch_size": size,
            "epochs": self.max_iter,
            "patience": int(patience) + (self.early_stopping and validated),
            "min_delta": None if validated else self.tol,
            "log_every": "1 epoch",
        }
        if self.solver == "lbfgs":
            return recipe | {"batch_size": "all", "weight_decay": 0.0, "epochs": self.max_iter}
        # beside a batch's mean loss; scikit-learn divides it by the rows of a batch
        recipe["weight_decay"] = self.alpha * -(-rows // size) / total
        if self.solver == "sgd":
            recipe["momentum"] = self.momentum
            recipe["nesterov"] = bool(self.nesterovs_momentum and self.momentum)
            if self.learning_rate == "invscaling" and self.power_t:
                recipe |= {"schedule": "inverse", "gamma": self.power_t, "step_size": rows}
            if self.learning_rate == "adaptive":
                recipe |= {"schedule": "adaptive", "gamma": SLOWER}
        else:
            recipe |= {"betas": (self.beta_1, self.beta_2), "eps": self.epsilon}
        return recipe

    @property
    def _widths(self) -> list[int]:
        widths: list[int] = np.atleast_1d(self.hidden_layer_sizes).tolist()
        return widths

    def _start(self, X: Array, outputs: int) -> dict[str, Tensor] | None:
        """The state of the last fit, if the fit shall start from it and the shapes agree."""
        if not self.warm_start or not hasattr(self, "module_"):
            return None
        spec = self.artifact_.manifest.network
        same = spec["widths"] == self._widths and spec["outputs"] == outputs
        return dict(self.module_.state_dict()) if same and spec["inputs"] == [X.shape[1]] else None

    def _take(self, model: Artifact) -> None:
        super()._take(model)
        facts: dict[str, Any] = dict(model.manifest.fit)
        self.n_iter_ = max(1, int(facts.get("epochs") or facts["best_epoch"]))
        self.converged_ = facts.get("stopped") != "epochs"
        if not self.converged_:
            other = "max_fun" if self.solver == "lbfgs" else "learning_rate_init"
            self.stop_reason_ = (
                f"not converged: {self.stop_reason_} (max_iter); raise max_iter, or {other}"
            )
        network = model.manifest.network
        self.n_layers_ = len(network["widths"]) + 2  # type: ignore[arg-type]
        self.n_outputs_ = int(network["outputs"])  # type: ignore[arg-type]
        several = "softmax" if self.n_outputs_ > 1 else "logistic"
        self.out_activation_ = several if model.objective.classifies else "identity"

    def _told(self, before: dict[str, Any], rows: int) -> None:
        """Losses and scores by epoch, behind those ``before``, from which the fit went on."""
        losses = [event["loss"] for event in self.history_ if "loss" in event]
        self.loss_curve_: list[float] = [*before.get("loss_curve_", []), *losses]
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else None
        self.t_ = int(before.get("t_", 0)) + rows * int(self.n_iter_)
        scores: list[float] | None = None
        if self.early_stopping and self.solver != "lbfgs":
            scored = [event for event in self.history_ if event.get("epoch") and "valid" in event]
            scores = [
                *(before.get("validation_scores_") or []),
                *(event["valid"]["score"] for event in scored),
            ]
        self.validation_scores_ = scores
        self.best_validation_score_ = max(scores) if scores else None
        self.best_loss_ = None if scores is not None else min(self.loss_curve_, default=None)

    def _check(self, X: Array) -> None:
        """Raise for settings and numbers with which no net can be trained."""
        widths = self._widths
        if any(int(width) != width or width < 1 for width in widths) or not widths:
            raise InputError(
                f"hidden_layer_sizes must be > 0, got {self.hidden_layer_sizes!r}; expected whole "
                "numbers from 1, at least one"
            )
        if self.learning_rate == "adaptive" and self.early_stopping:
            raise InputError(
                'learning_rate="adaptive" goes by the training loss, and early_stopping by scores; '
                "use one of them"
            )
        if self.early_stopping and self.solver == "lbfgs":
            warnings.warn(
                'early_stopping has no effect with the solver "lbfgs", which has no epochs',
                LinnetWarning,
                stacklevel=4,
            )
        size = 200 if self.batch_size == "auto" else self.batch_size
        if not self.shuffle and self.solver != "lbfgs" and size < len(X):
            raise InputError(
                "shuffle=False is not offered: batches are drawn anew for each epoch; leave it, or "
                f"use batch_size={len(X)} (all rows), where the order means nothing"
            )
        largest = np.abs(X).max(0)
        column = int(largest.argmax())
        if largest[column] > float(np.finfo(X.dtype).max) ** 0.5:
            raise InputError(
                f"column {column} holds {largest[column]:g}, too large to multiply in {X.dtype}; "
                "put a StandardScaler in front"
            )

    def _train_more(
        self, X: Array, y: Tensor, weight: Array | None, schema: dict[str, Any], *, first: bool
    ) -> None:
        """One epoch over these rows, from where the last fit ended."""
        if self.early_stopping:
            raise InputError("partial_fit does not support early_stopping=True")
        self._check(X)
        more = self._more or {"seed": self._seed(self.random_state), "epochs": 0}
        before = {} if first else dict(vars(self))
        recipe = self._recipe(len(X), more["seed"], weight, validated=False)
        recipe |= {"epochs": more["epochs"] + 1, "min_delta": None}
        start = None if first else dict(self.module_.state_dict())
        self._more = _whole.epoch(self, recipe, X, y, weight, schema, start, more)
        self._told(before, len(X))


class MLPClassifier(Classifier, _Perceptron):
    """A perceptron for classes, trained by mini-batches on the cross entropy.

    Parameters: ``hidden_layer_sizes``; ``activation``: "relu", "tanh", "logistic" or "identity", or
    another of the recipe's ("leaky_relu", "selu", "gelu", "silu", "softplus"); ``solver``: "adam",
    "sgd" or "lbfgs"; ``alpha``, the L2 penalty on the weights, next to the sum of the losses as in
    scikit-learn; ``batch_size``, "auto" is min(200, rows); ``learning_rate_init``; ``max_iter``,
    the most epochs; ``random_state``; ``tol``, by which the training loss (over the target's
    variance) must fall within ``n_iter_no_change`` epochs; ``verbose``, to show progress, in a
    notebook as a table that changes in place; ``warm_start``; ``momentum`` and
    ``nesterovs_momentum`` for "sgd", ``beta_1``, ``beta_2``, ``epsilon`` for "adam";
    ``early_stopping``, to hold out ``validation_fraction`` of the rows, keep the epoch with the
    best ``score`` on them, and stop after more than ``n_iter_no_change`` epochs whose score is not
    better by ``tol``; ``device``. For "sgd", ``learning_rate`` is "constant", "invscaling" (divided
    by (rows seen + 1) to the power of ``power_t``) or "adaptive" (a fifth of it instead of a stop,
    until 1e-6). "lbfgs" takes all rows at once; ``tol`` is then the largest entry of the gradient,
    ``max_fun`` the most evaluations. ``shuffle=False`` is refused where it would matter.

    It computes in the dtype of ``X``: float64 takes 1.3 times as long as float32 (integers are
    computed in float32). ``X`` is not scaled; put a ``StandardScaler`` in front.

    After ``fit``: ``n_iter_``, the epochs; ``loss_``, ``loss_curve_``, the training loss of each
    epoch, and ``best_loss_``; ``validation_scores_`` and ``best_validation_score_`` with
    ``early_stopping``; ``coefs_`` and ``intercepts_``, the layers; ``converged_`` is False where
    ``max_iter`` ended it. With ``warm_start`` the lists go on, and ``max_iter`` is that of one fit.
    """

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Fit to ``X`` (rows, features) and ``y`` (rows,), or (rows, classes) of probabilities.

        With validation rows, the weights of the epoch with the lowest loss on them are kept.
        """
        self._validate_params()
        X = self._rows(X, reset=True, weight=sample_weight)
        before = getattr(self, "classes_", None)
        codes, weight = self._codes(X, y, sample_weight, None)
        if self.warm_start and before is not None and not np.array_equal(before, self.classes_):
            given, self.classes_ = self.classes_, before
            raise InputError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {before}, `y` has {given}"
            )
        valid = None
        if X_val is not None:
            held = self._rows(X_val, reset=False)
            valid = held, self._more_codes(held, y_val)
        outputs = 1 if len(self.classes_) == 2 else len(self.classes_)
        self._train(X, codes, weight, self._schema(), valid, outputs)
        return self

    @available_if(_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """One epoch over these rows, from where the last call ended, with the same optimiser.

        ``classes`` (classes,) names all classes at the first call. Raises ``ValueError`` for a
        class that was not named, and for ``early_stopping=True``.
        """
        self._validate_params()
        first = not hasattr(self, "artifact_")
        if first or classes is not None:
            _check_partial_fit_first_call(self, classes)
        X = self._rows(X, reset=first, weight=sample_weight)
        codes = self._more_codes(X, y, "y")
        weight = _weights(sample_weight, X)
        self._train_more(X, codes, weight, self._schema(), first=first)
        return self

    def _scorer(self, y: Tensor, weight: Array | None) -> Callable[[Tensor], float]:
        true = (y if y.dim() == 1 else y.argmax(1)).numpy()

        def accuracy(raw: Tensor) -> float:
            codes = raw[:, 0] > 0 if raw.shape[1] == 1 else raw.argmax(1)
            return float(np.average(codes.numpy() == true, weights=weight))

        return accuracy


class MLPRegressor(Regressor, _Perceptron):
    """A perceptron for numbers, trained by mini-batches on half the squared error.

    Targets are standardised for the fit; the module's last layer converts back.

    Parameters: ``hidden_layer_sizes``; ``activation``: "relu", "tanh", "logistic" or "identity", or
    another of the recipe's ("leaky_relu", "selu", "gelu", "silu", "softplus"); ``solver``: "adam",
    "sgd" or "lbfgs"; ``alpha``, the L2 penalty on the weights, next to the sum of the losses as in
    scikit-learn; ``batch_size``, "auto" is min(200, rows); ``learning_rate_init``; ``max_iter``,
    the most epochs; ``random_state``; ``tol``, by which the training loss (over the target's
    variance) must fall within ``n_iter_no_change`` epochs; ``verbose``, to show progress, in a
    notebook as a table that changes in place; ``warm_start``; ``momentum`` and
    ``nesterovs_momentum`` for "sgd", ``beta_1``, ``beta_2``, ``epsilon`` for "adam";
    ``early_stopping``, to hold out ``validation_fraction`` of the rows, keep the epoch with the
    best ``score`` on them, and stop after more than ``n_iter_no_change`` epochs whose score is not
    better by ``tol``; ``device``. For "sgd", ``learning_rate`` is "constant", "invscaling" (divided
    by (rows seen + 1) to the power of ``power_t``) or "adaptive" (a fifth of it instead of a stop,
    until 1e-6). "lbfgs" takes all rows at once; ``tol`` is then the largest entry of the gradient,
    ``max_fun`` the most evaluations. ``shuffle=False`` is refused where it would matter.

    It computes in the dtype of ``X``: float64 takes 1.3 times as long as float32 (integers are
    computed in float32). ``X`` is not scaled; put a ``StandardScaler`` in front.

    After ``fit``: ``n_iter_``, the epochs; ``loss_``, ``loss_curve_``, the training loss of each
    epoch, and ``best_loss_``; ``validation_scores_`` and ``best_validation_score_`` with
    ``early_stopping``; ``coefs_`` and ``intercepts_``, the layers; ``converged_`` is False where
    ``max_iter`` ended it. With ``warm_start`` the lists go on, and ``max_iter`` is that of one fit.
    """

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Fit to ``X`` (rows, features) and ``y`` (rows,) or (rows, targets).

        With validation rows, the weights of the epoch with the lowest loss on them are kept.
        """
        self._validate_params()
        X = self._rows(X, reset=True, weight=sample_weight)
        numbers = self._numbers(X, y)
        X = self._wide(X, numbers)
        weight = _weights(sample_weight, X)
        valid = None
        if X_val is not None:
            held = self._rows(X_val, reset=False)
            valid = held, self._numbers(held, y_val)
        outputs = 1 if numbers.dim() == 1 else numbers.shape[1]
        self._train(X, numbers, weight, self._schema(numbers), valid, outputs)
        return self

    @available_if(_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch over these rows, from where the last call ended, with the same optimiser.

        The first call standardises the targets by its rows. Raises ``ValueError`` for another
        number of targets, and for ``early_stopping=True``.
        """
        self._validate_params()
        first = not hasattr(self, "artifact_")
        X = self._rows(X, reset=first, weight=sample_weight)
        numbers = self._numbers(X, y)
        targets = 1 if numbers.dim() == 1 else numbers.shape[1]
        if not first and targets != self.n_outputs_:
            raise InputError(f"y has {targets} targets, earlier rows {self.n_outputs_}")
        weight = _weights(sample_weight, X)
        self._train_more(X, numbers, weight, self._schema(numbers), first=first)
        return self

    def _scorer(self, y: Tensor, weight: Array | None) -> Callable[[Tensor], float]:
        true = y.reshape(len(y), -1).numpy()

        def r2(raw: Tensor) -> float:
            if not raw.isfinite().all():
                return float("nan")
            return float(r2_score(true, raw.numpy(), sample_weight=weight))

        return r2
