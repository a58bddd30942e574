"""Displays in the style of scikit-learn: the figures of ``linnet.figures``, drawn by matplotlib.

scikit-learn's own displays, such as ``ConfusionMatrixDisplay`` or ``PredictionErrorDisplay``, work
with linnet's estimators; here are those that it lacks. The extra ``static`` installs matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from linnet.core.events import of
from linnet.core.history import History
from linnet.errors import InputError, WorkError
from linnet.figures import Figure, calibration, coefficients, curves, mistakes, templates, worst
from linnet.fit.artifact import Artifact
from linnet.runs.run import Run

if TYPE_CHECKING:
    from linnet.figures._curves import Axis

Array = np.ndarray[Any, Any]

__all__ = ["CurvesDisplay", "MistakesDisplay", "ReliabilityDisplay", "WeightsDisplay"]


class _Display:
    """A figure that matplotlib draws.

    ``shown`` is the ``linnet.figures.Figure`` with its numbers (``shown.columns``). After ``plot``:
    ``figure_``, matplotlib's figure; ``ax_``, the axes in which it was drawn; ``axes_``, the axes
    of its panels, which are inside ``ax_`` if there are several.
    """

    figure_: Any
    ax_: Any
    axes_: list[Any]

    def __init__(self, shown: Figure) -> None:
        self.shown = shown

    def plot(self, *, ax: Any = None) -> Self:
        """Draw into matplotlib's ``ax``, or on a new figure."""
        from linnet.figures import static

        if ax is None:
            try:
                pyplot = import_module("matplotlib.pyplot")
            except ImportError as error:
                raise WorkError(
                    "a display is drawn by matplotlib, which is missing: pip install "
                    "'linnet[static]' (or: pip install matplotlib)"
                ) from error
            _, ax = pyplot.subplots(figsize=static.size(self.shown), layout="constrained")
        self.axes_ = static.plot(self.shown, ax)
        self.figure_, self.ax_ = ax.get_figure(), ax
        return self


class ReliabilityDisplay(_Display):
    """Calibration: of two classes how many rows are of the second one, by its probability, as
    scikit-learn's ``CalibrationDisplay`` shows it; of more how often the predicted class is right.

    There are 15 bins with Wilson's 95 % intervals, which take the rows as independent; the title
    shows ECE and Brier's score.
    """

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, *, ax: Any = None) -> Self:
        """Display a classifier, or a model of ``linnet.load``, on rows ``X`` with labels ``y``."""
        return cls.from_predictions(
            y, estimator.predict_proba(X), labels=_classes(estimator), ax=ax
        )

    @classmethod
    def from_predictions(
        cls, y_true: Any, y_proba: Any, *, labels: Sequence[Any] | None = None, ax: Any = None
    ) -> Self:
        """Display labels ``y_true`` (rows,) and probabilities (rows, classes), or (rows,) of the
        second of two classes. ``labels`` are the classes in the order of the columns, by default
        those in ``y_true``, sorted."""
        y, p = np.asarray(y_true), np.asarray(y_proba, dtype=np.float64)
        p = np.stack([1 - p, p], axis=1) if p.ndim == 1 else p
        classes = np.unique(y).tolist() if labels is None else list(labels)
        if p.ndim != 2 or len(classes) != p.shape[1]:
            raise InputError(
                f"{len(classes)} classes, but probabilities of shape {p.shape}; give the classes "
                "of the columns as labels="
            )
        return cls(calibration(_codes(y, classes), p, classes)).plot(ax=ax)


class MistakesDisplay(_Display):
    """The rows that are predicted wrongly, the most confident first, or the rows with the largest
    errors; as pictures, or as rows of a table."""

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        count: int = 36,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
    ) -> Self:
        """Display an estimator, or a model of ``linnet.load``, on rows ``X`` with labels or numbers
        ``y``; see ``from_predictions``."""
        classes = _classes(estimator, needed=False)
        return cls.from_predictions(
            y,
            estimator.predict(X),
            y_proba=None if classes is None else estimator.predict_proba(X),
            X=X,
            count=count,
            image_shape=image_shape,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        y_proba: Any = None,
        X: Any = None,
        count: int = 36,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
    ) -> Self:
        """Display predictions of labels (rows,), or of numbers, (rows,) or (rows, targets). Floats
        in ``y_pred`` without ``y_proba`` are numbers.

        ``y_proba``, (rows, classes), orders the mistakes. ``X`` are the rows: a data frame, a
        mapping or an array (rows, columns), or pictures, uint8 (rows, channels, height, width).
        ``image_shape``, (height, width) or (channels, height, width), turns the columns of an array
        into pictures; the largest number is white. ``count`` is the number of rows shown.
        """
        y, predicted = np.asarray(y_true), np.asarray(y_pred)
        if y.shape != predicted.shape or not len(y):
            raise InputError(
                f"y_true is {y.shape}, y_pred {predicted.shape}; expected equal shapes"
            )
        if y_proba is None and predicted.dtype.kind == "f":
            every, sure = worst(y, predicted), None
            title = f"The largest errors of {len(y):,} rows"
        else:
            sure = None if y_proba is None else np.asarray(y_proba).max(1)
            every = worst(y, predicted, np.ones(len(y)) if sure is None else sure)
            title = f"{len(every):,} mistakes in {len(y):,} rows"
        kept = every[: max(count, 0)]
        if sure is not None or predicted.dtype.kind != "f":
            title = title if len(kept) == len(every) else f"{len(kept):,} of {title}"
            title = title if len(every) else f"No mistakes in {len(y):,} rows"
        return cls(
            mistakes(
                kept.tolist(),
                y[kept].tolist(),
                predicted[kept].tolist(),
                None if sure is None else sure[kept].tolist(),
                title=title,
                **_examples(X, kept, len(y), image_shape),
            )
        ).plot(ax=ax)


class WeightsDisplay(_Display):
    """The coefficients of a line as bars, the largest first. If the columns are pixels, a picture
    for each class, or for each unit of a net's first layer."""

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, image_shape: tuple[int, ...] | None = None, ax: Any = None
    ) -> Self:
        """Display a fitted estimator, a pipeline or search that ends in one, or a model of
        ``linnet.load``. ``image_shape``, (height, width) or (channels, height, width), says that
        the columns are pixels; a model of pictures has its own."""
        estimator = getattr(estimator, "best_estimator_", estimator)
        names: Sequence[str] | None = None
        if hasattr(estimator, "steps"):
            before = estimator[:-1]
            if len(before.steps) and hasattr(before, "get_feature_names_out"):
                names = [str(name) for name in before.get_feature_names_out()]
            estimator = estimator[-1]
        weight, outputs, columns, net = _weights(estimator)
        names = columns if names is None or len(names) != weight.shape[1] else names
        model = estimator if isinstance(estimator, Artifact) else None
        if model is not None and model.schema.example == "picture":
            image_shape = model.schema.shape
        if image_shape is not None:
            shaped = weight.reshape(len(weight), *_picture(image_shape, weight.shape[1]))
            what = "First layer's weights" if net else "Weights of the line, one picture a class"
            return cls(templates(shaped, outputs, what)).plot(ax=ax)
        if net:
            raise InputError(
                "single weights of a net's first layer have no meaning; if the columns are pixels, "
                "give image_shape=(height, width)"
            )
        classes = _classes(estimator, needed=False)
        unit = "unit of the target" if classes is None else "log-odds"
        scaled = model is not None and model.manifest.network.get("scale") != "none"
        unit += " per " + ("deviation" if scaled else "unit") + " of the column"
        return cls(coefficients(weight, names, outputs, "Coefficients", unit)).plot(ax=ax)


class CurvesDisplay(_Display):
    """Loss, and accuracy or RMSE of validation rows, during the fit."""

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        x: Axis = "epoch",
        log: bool = False,
        smoothing: float = 0.0,
        ax: Any = None,
    ) -> Self:
        """Display a fitted estimator of linnet, from its ``history_``; ``x``, ``log`` and
        ``smoothing`` are as in ``linnet.figures.curves``."""
        history = getattr(estimator, "history_", None)
        if not history:
            raise InputError(
                f"{type(estimator).__name__} has no record of its fit; expected an estimator of "
                "linnet that was fitted in this process"
            )
        record = History.of(map(of, history))
        series, titles = {type(estimator).__name__: record.series()}, record.titles()
        return cls(curves(series, x=x, log=log, smoothing=smoothing, titles=titles)).plot(ax=ax)

    @classmethod
    def from_run(
        cls,
        run: Run,
        *,
        x: Axis = "epoch",
        log: bool = False,
        smoothing: float = 0.0,
        ax: Any = None,
    ) -> Self:
        """Display a run: the same as ``run.curves()``."""
        return cls(run.curves(x=x, log=log, smoothing=smoothing)).plot(ax=ax)


def _classes(estimator: Any, *, needed: bool = True) -> list[Any] | None:
    """The classes of a classifier; None for regression."""
    if isinstance(estimator, Artifact):
        found = estimator.schema.classes or None
    else:
        found = getattr(estimator, "classes_", None)
    if found is None and needed:
        raise InputError(f"{type(estimator).__name__} has no classes; it must be a classifier")
    return None if found is None else np.asarray(found).tolist()


def _codes(labels: Array, classes: Sequence[Any]) -> Array:
    """Labels (rows,) as codes of the classes."""
    place = {label: code for code, label in enumerate(classes)}
    try:
        return np.array([place[label] for label in labels.tolist()], dtype=np.int64)
    except (KeyError, TypeError):
        raise InputError(
            f"y_true has a label that is not among the classes {classes[:20]}"
        ) from None


def _picture(shape: tuple[int, ...], columns: int) -> tuple[int, ...]:
    """``image_shape`` as (channels, height, width)."""
    full = (1, *shape) if len(shape) == 2 else tuple(shape)
    if len(full) != 3 or np.prod(full) != columns:
        raise InputError(
            f"image_shape={tuple(shape)} does not fit {columns} columns; expected (height, width) "
            "or (channels, height, width)"
        )
    return full


def _examples(
    X: Any, kept: Array, rows: int, image_shape: tuple[int, ...] | None
) -> dict[str, Any]:
    """Some rows of ``X`` as arguments of ``figures.mistakes``: ``pictures`` or a ``table``."""
    if X is None or not len(kept):
        return {}
    if isinstance(X, Mapping) or hasattr(X, "columns"):
        names = list(X) if isinstance(X, Mapping) else [str(name) for name in X.columns]
        found = {str(name): np.asarray(X[name]) for name in names}
        if any(len(values) != rows for values in found.values()):
            raise InputError(f"X must have as many rows as y_true, which has {rows}")
        return {"table": {name: values[kept].tolist() for name, values in found.items()}}
    values = np.asarray(X)
    if len(values) != rows:
        raise InputError(f"X has {len(values)} rows, y_true {rows}")
    if image_shape is not None:
        flat = values.reshape(rows, -1)
        values = flat.reshape(rows, *_picture(image_shape, flat.shape[1]))
        if values.dtype != np.uint8:
            low, high = float(values.min()), float(values.max())
            grey = (values - low) * (255 / ((high - low) or 1.0))
            values = grey.round().astype(np.uint8)
    if values.ndim == 4:
        return {"pictures": values[kept]}
    if values.ndim != 2:
        raise InputError(f"X of shape {values.shape} is neither a table nor pictures")
    return {"table": {f"x{i}": column.tolist() for i, column in enumerate(values[kept].T)}}


def _weights(estimator: Any) -> tuple[Array, list[Any], list[str], bool]:
    """The first layer's weights (outputs or units, columns); the names of the outputs or units, and
    of the columns; and whether it is a net."""
    model = estimator if isinstance(estimator, Artifact) else getattr(estimator, "artifact_", None)
    schema = None if model is None else model.schema
    net = False
    if hasattr(estimator, "coef_"):
        weight = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    else:
        state = {} if model is None else model.module.state_dict()
        name = next((n for n in ("linear.weight", "hidden.0.weight") if n in state), None)
        if name is None or state[name].dim() != 2:
            raise InputError(
                f"{type(estimator).__name__} has no weights for single columns; expected a fitted "
                "line or perceptron"
            )
        net = name != "linear.weight"
        weight = state[name].double().cpu().numpy()
    columns = getattr(estimator, "feature_names_in_", None) if schema is None else schema.columns
    if columns is None or len(columns) != weight.shape[1]:
        columns = [f"x{i}" for i in range(weight.shape[1])]
    outputs = [f"target{i}" for i in range(len(weight))]
    if net:
        outputs = [f"unit {i}" for i in range(len(weight))]
    elif (classes := _classes(estimator, needed=False)) is not None:
        outputs = list(estimator.schema.names) if isinstance(estimator, Artifact) else classes
        outputs = outputs[1:] if len(weight) == 1 else outputs
    elif schema is not None:
        outputs = list(schema.targets)
    return weight, outputs, [str(name) for name in columns], net
