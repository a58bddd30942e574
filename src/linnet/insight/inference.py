"""Standard errors, tests and confidence intervals for an unpenalised linear model's coefficients.

Everything is in float64, and nothing is fitted: the coefficients must already be the optimum. A QR
decomposition first makes the centred and scaled design orthonormal, so neither the units of the
features nor their means cost digits.

The results agree with statsmodels' OLS, WLS, Logit, MNLogit and GLM (freq_weights). HC0 to HC3 are
those of MacKinnon and White (1985). For a classifier they follow Zeileis (2006, equation 7), who
extends them to models with one linear predictor, like R's sandwich::vcovHC; statsmodels gives HC0
for all four.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, special, stats

from linnet.core.html import Html, put, tag
from linnet.core.registry import suggest
from linnet.errors import InputError, ModelError

Array = NDArray[np.float64]
TASKS = {"squared": "least squares", "logistic": "logistic", "softmax": "softmax"}
ROBUST = {"HC0": 0, "HC1": 0, "HC2": 1, "HC3": 2}  # the power of 1 / (1 - leverage)
COLUMNS = ("estimate", "standard_error", "statistic", "p", "low", "high")
Curvature = Callable[[int, int], Array]
Design = tuple[Array, Array]  # what _design returns
Fit = tuple[Array, Array, Array]  # variance (equations, size), log likelihood and R2 (1 or more,)
Sandwich = tuple[int, float] | None  # the power of 1 / (1 - leverage), the correction of HC1
OFF = 1e-3  # the largest distance of the coefficients from the optimum, in standard errors


class NoInference(ModelError):
    """There are no valid standard errors for this model."""


@dataclass(frozen=True, eq=False)
class Inference:
    """Statistics of each coefficient; arrays are (equations, terms), the intercept first.

    An equation is a target, or a class against ``base``. ``statistic`` is t with ``df_resid``
    degrees of freedom, or z (see ``kind``). ``p`` is two-sided. ``low`` and ``high`` are the
    confidence interval at ``level``. For classes ``rows`` is the sum of the weights. The fields
    from ``log_likelihood`` on are numbers, or arrays (targets,) for several targets. For classes
    ``r2`` is McFadden's, and there is no ``adjusted_r2``.
    """

    task: str
    equations: tuple[str, ...]
    terms: tuple[str, ...]
    base: str | None
    estimate: Array
    standard_error: Array
    statistic: Array
    p: Array
    low: Array
    high: Array
    kind: str
    level: float
    robust: str | None
    rows: float
    df_resid: float
    log_likelihood: float | Array
    aic: float | Array
    bic: float | Array
    r2: float | Array
    adjusted_r2: float | Array | None

    def table(self) -> list[dict[str, str | float]]:
        """The statistics, one row for each equation and term."""
        return [
            {"equation": equation, "term": term}
            | {column: float(getattr(self, column)[i, j]) for column in COLUMNS}
            for i, equation in enumerate(self.equations)
            for j, term in enumerate(self.terms)
        ]

    def to_frame(self) -> Any:
        """``table`` as a pandas DataFrame (typed Any, because pandas is optional)."""
        try:
            return import_module("pandas").DataFrame(self.table())
        except ImportError as error:
            message = "to_frame needs pandas: pip install pandas, or use table()"
            raise ImportError(message) from error

    def _head(self) -> list[str]:
        base = "" if self.base is None else f", against {_printable(self.base)}"
        errors = "classical" if self.robust is None else f"robust ({self.robust})"
        figures = {
            "rows": self.rows,
            "residual degrees of freedom": self.df_resid,
            "log likelihood": self.log_likelihood,
            "AIC": self.aic,
            "BIC": self.bic,
            "R2" if self.task == "squared" else "McFadden R2": self.r2,
        }
        if self.adjusted_r2 is not None:
            figures["adjusted R2"] = self.adjusted_r2
        return [f"{TASKS[self.task]}{base}; {errors} standard errors"] + [
            f"{name}: {', '.join(f'{value:.8g}' for value in np.atleast_1d(figure))}"
            for name, figure in figures.items()
        ]

    def _cells(self) -> list[list[str]]:
        head = ["equation", "term", "estimate", "std error", self.kind, f"p>|{self.kind}|"]
        head += [f"{100 * self.level:g}% low", f"{100 * self.level:g}% high"]
        forms = [".5g", ".5g", ".3f", ".3g", ".5g", ".5g"]
        return [head] + [
            [_printable(str(row["equation"])), _printable(str(row["term"]))]
            + [
                "<1e-16" if name == "p" and float(row[name]) < 1e-16 else format(row[name], form)
                for name, form in zip(COLUMNS, forms, strict=True)
            ]
            for row in self.table()
        ]

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        signs = "<<>>>>>>"
        lines = ["  ".join(map("{:{}{}}".format, row, signs, widths)).rstrip() for row in cells]
        return "\n".join([*self._head(), "", *lines])

    def _repr_html_(self) -> str:
        head, *body = self._cells()
        caption = tag("caption", Html("<br>".join(map(put, self._head()))))
        names = tag("tr", *(tag("th", cell) for cell in head))
        rows = (tag("tr", *(tag("td", cell) for cell in row)) for row in body)
        return tag("table", caption, names, *rows)


def infer(
    x: ArrayLike,
    y: ArrayLike,
    coef: ArrayLike,
    intercept: ArrayLike,
    *,
    task: str,
    weight: ArrayLike | None = None,
    classes: Sequence[object] = (),
    names: Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    fit_intercept: bool = True,
    alpha: float = 0.0,
    robust: str | None = None,
    level: float = 0.95,
) -> Inference:
    """Standard errors, tests and confidence intervals of ``coef`` and ``intercept``.

    ``x`` is (rows, features), ``coef`` (outputs, features), ``intercept`` (outputs,). ``task``:
    "squared" with ``y`` (rows,) or (rows, targets), one equation each; "logistic" with ``y``
    (rows,) of 0 and 1 and one output; "softmax" with ``y`` (rows,) of class codes and an output
    for each class; the first class is the base of all equations (as in MNLogit).

    ``weight`` (rows,) follows statsmodels. For "squared" it has the weights of WLS, inverse
    variances, so the degrees of freedom count rows. For classes it has the frequencies of GLM:
    weight 2 means the same as the row twice. Rows of weight 0 are left out. Without an intercept R2
    is about 0, not about the mean.

    Statistics are t for "squared", with ``robust`` too, because z is too sure of few rows
    (statsmodels: ``use_t=True``); for classes they are z. ``robust``: None or "HC0" to "HC3"
    (softmax: HC0, HC1; HC1 counts all equations' parameters). For few rows HC3 is the best of them
    (Long and Ervin 2000, Am. Stat. 54, 217-224); HC0 and HC1 are too small there.

    Raises InputError for wrong arguments. Raises NoInference if the results would be invalid: for a
    penalty; soft targets; dependent features; no more rows than parameters; separable classes; an
    exact fit; or coefficients more than 0.001 standard errors away from the optimum in some
    direction (a Newton decrement g'H^-1 g / 2 of 5e-7).
    """
    robust = _checked(task, robust, level, alpha)
    squared = task == "squared"
    tolerance = 1e-6 if np.asarray(x).dtype == np.float32 else 1e-10
    count, (a, b, slopes, starts, w) = _read(task, weight, x, y, coef, intercept)
    if not fit_intercept and starts.any():
        raise InputError("intercept is not 0 although fit_intercept is False; change one of them")
    labels, terms = _names(squared, count, a.shape[1], target if squared else classes, names)
    equations = labels if squared else labels[1:]
    parameters = (len(terms) + fit_intercept) * (1 if squared else len(equations))
    rows = float(len(b) if squared else w.sum())
    df = rows - parameters
    if df <= 0:
        raise NoInference(
            f"{rows:g} rows are not enough for {parameters} parameters: no rows are left to "
            "estimate the noise; give more rows or fewer features"
        )
    design = _design(a, w, terms, fit_intercept, tolerance)
    sandwich = None if robust is None else (ROBUST[robust], rows / df if robust == "HC1" else 1.0)
    estimate = np.column_stack([starts, slopes])
    if squared:
        fit = _squared(design, b - a @ slopes.T - starts, b, w, df, fit_intercept, sandwich)
    else:
        estimate = estimate[1:] - estimate[0] if task == "softmax" else estimate
        score = a @ estimate[:, 1:].T + estimate[:, 0]
        widest = terms[np.argmax(np.abs(estimate[:, 1:]).max(0) * np.ptp(a, 0))]
        fit = _classes(design, score, b.astype(int), w, sandwich, widest)
    variance, likelihood, r2 = fit
    law = stats.t(df) if squared else stats.norm()
    return Inference(
        task=task,
        equations=equations,
        terms=("(intercept)", *terms) if fit_intercept else terms,
        base=None if squared else labels[0],
        **_tests(estimate if fit_intercept else estimate[:, 1:], variance, law, level),
        kind="t" if squared else "z",
        level=level,
        robust=robust,
        rows=rows,
        df_resid=df,
        log_likelihood=_number(likelihood),
        aic=_number(2 * parameters - 2 * likelihood),
        bic=_number(np.log(rows) * parameters - 2 * likelihood),
        r2=_number(r2),
        adjusted_r2=_number(1 - (rows - fit_intercept) / df * (1 - r2)) if squared else None,
    )


def _checked(task: str, robust: str | None, level: float, alpha: float) -> str | None:
    """``robust`` in capitals; raises for values that are not allowed, and for a penalty."""
    if task not in TASKS:
        raise InputError(f'unknown task "{task}"; {suggest(task, TASKS)}')
    robust = None if robust is None else robust.upper()
    if robust is not None and robust not in ROBUST:
        raise InputError(f'unknown robust "{robust}"; {suggest(robust, ROBUST)}, or None')
    if not 0 < level < 1:
        raise InputError(f"level is {level}; expected a number between 0 and 1, such as 0.95")
    if np.any(np.asarray(alpha) != 0):
        raise NoInference(
            f"the model is penalised (alpha = {alpha}), and these standard errors are not valid "
            "for penalised coefficients; fit again with alpha=0 (scikit-learn: C=inf)"
        )
    return robust


def _names(
    squared: bool,
    count: int,
    features: int,
    labels: str | Sequence[object] | None,
    names: Sequence[str] | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the targets or classes, and of the features; raises for a wrong number."""
    given = (labels,) if isinstance(labels, str) else () if labels is None else labels
    default = ["y"] if squared and count == 1 else [f"{'y' * squared}{i}" for i in range(count)]
    outputs = tuple(map(str, given if len(given) else default))
    terms = tuple(f"x{i}" for i in range(features)) if names is None else tuple(names)
    for what, listed, wanted in [("labels", outputs, count), ("names", terms, features)]:
        if len(listed) != wanted:
            raise InputError(f"{len(listed)} {what} given for {wanted}; give one for each")
    return outputs, terms


def _tests(estimate: Array, variance: Array, law: Any, level: float) -> dict[str, Array]:
    """The fields of an ``Inference`` that have the shape of ``estimate`` (equations, terms)."""
    error = np.sqrt(variance)
    statistic = estimate / error
    reach = law.isf((1 - level) / 2) * error
    return {
        "estimate": estimate,
        "standard_error": error,
        "statistic": statistic,
        "p": 2 * law.sf(np.abs(statistic)),
        "low": estimate - reach,
        "high": estimate + reach,
    }


def _read(task: str, weight: ArrayLike | None, *given: ArrayLike) -> tuple[int, list[Array]]:
    """The number of targets or classes; x, y, coef, intercept, weight without rows of weight 0."""
    a, b, c, d = (np.atleast_1d(np.asarray(array, np.float64)) for array in given)
    w = np.ones(len(a)) if weight is None else np.asarray(weight, np.float64)
    squared = task == "squared"
    if b.ndim == 2 and not squared:
        raise NoInference(
            f"y has shape {b.shape}: probabilities are not counts of independent rows and give no "
            "standard errors; give a class code for each row (and a weight for repeated rows)"
        )
    b = b[:, None] if b.ndim == 1 and squared else b
    c = np.atleast_2d(c)
    count = 2 if task == "logistic" else b.shape[-1] if squared else max(len(c), 2)
    outputs = 1 if task == "logistic" else count
    d = np.resize(d, outputs) if d.size == 1 else d
    rows, features = a.shape if a.ndim == 2 and a.size else (-1, -1)
    expected = [(rows, features), (rows, count) if squared else (rows,), (outputs, features)]
    arrays, expected = [a, b, c, d, w], [*expected, (outputs,), (rows,)]
    words = ("x", "y", "coef", "intercept", "weight")
    for name, array, shape in zip(words, arrays, expected, strict=True):
        if array.shape != shape:
            wanted = "(rows, features), both above 0" if name == "x" else f"{shape} for this x, y"
            raise InputError(f"{name} has shape {array.shape}; expected {wanted}")
        if not np.isfinite(array).all():
            raise InputError(f"{name} holds a missing or an infinite value; leave it out")
    if w.min() < 0:
        raise InputError(f"the smallest weight is {w.min():g}; weights must not be negative")
    if not squared and not np.isin(b, np.arange(count)).all():
        raise InputError(f"y holds values other than the class codes 0 to {count - 1}")
    if not squared and (missing := np.bincount(b.astype(int), w, count) == 0).any():
        raise NoInference(
            f"class code {np.argmax(missing)} has no rows, so its coefficients have no optimum; "
            "fit again without this class"
        )
    kept = w > 0 if w.min() == 0 else slice(None)
    return count, [a[kept], b[kept], c, d, w[kept]]


def _design(
    x: Array, w: Array, names: tuple[str, ...], fit_intercept: bool, tolerance: float
) -> tuple[Array, Array]:
    """``q`` (rows, size), an orthonormal basis of sqrt(w) [1, x], and ``back`` (size, size).

    ``back`` converts the coefficients of ``q`` to those of [1, x]. Raises for dependent features: a
    pivot of the scaled design below ``tolerance``.
    """
    root = np.sqrt(w)
    total = np.linalg.norm(root)
    centre = w @ x / total**2 * fit_intercept
    a = (x - centre) * root[:, None]
    scale = np.linalg.norm(a, axis=0)
    constant = scale <= 1e-12 * np.abs(centre) * total
    a[:, constant], scale[constant] = 0, 1
    q, r = np.linalg.qr(a / scale)
    pivots, order = linalg.qr(r, mode="r", pivoting=True)
    rank = int((np.abs(np.diagonal(pivots)) > tolerance).sum())
    if rank < len(names):
        share = np.linalg.solve(pivots[:rank, :rank], pivots[:rank, rank])
        others = [names[order[i]] for i in np.flatnonzero(np.abs(share) > 1e-5)]
        raise NoInference(
            f"the features are dependent ({rank} of {len(names)} independent), so that their "
            f"coefficients are not determined: {_listed([names[order[rank]]])} "
            f"{'is a combination of ' + _listed(others) if others else 'is constant'}; "
            "leave one of them out and fit again"
        )
    inner = linalg.solve_triangular(r, np.eye(len(names))) / scale[:, None]
    if not fit_intercept:
        return q, inner
    back = np.zeros((len(names) + 1, len(names) + 1))
    back[0, 0], back[0, 1:], back[1:, 1:] = 1 / total, -centre @ inner, inner
    return np.column_stack([root / total, q]), back


def _squared(
    design: Design, residual: Array, y: Array, w: Array, df: float, bias: bool, sandwich: Sandwich
) -> Fit:
    """The statistics of each target; the curvature of its equation is 1 at weight 1."""
    rows, one = len(y), np.ones(len(y))
    residual = residual * np.sqrt(w)[:, None]
    squares = (residual**2).sum(0)
    if (squares <= 1e-20 * (w @ y**2)).any():
        raise NoInference(
            "the model fits each row of a target exactly, so the residuals are only rounding, not "
            "noise; look for a feature that is a copy of the target, or for a constant target"
        )
    parts = [
        _variance(design, column[:, None], lambda i, j: one, one, sandwich, square / df)
        for column, square in zip(residual.T, squares, strict=True)
    ]
    centre = w @ y / w.sum() * bias
    likelihood = np.log(w).sum() / 2 - rows / 2 * (np.log(2 * np.pi * squares / rows) + 1)
    return np.vstack(parts), likelihood, 1 - squares / (w @ (y - centre) ** 2)


def _classes(
    design: Design, score: Array, codes: NDArray[np.int_], w: Array, sandwich: Sandwich, widest: str
) -> Fit:
    """The statistics for classes; ``score`` (rows, equations) is relative to the base class,
    ``widest`` is the name of a feature."""
    equations = score.shape[1]
    separated = NoInference(
        "the classes are separated, at least for some rows, so larger coefficients always fit "
        f"better and there is no optimum; {_listed([widest])} changes the scores most. Leave out a "
        "feature that decides the class (a copy of the target?), merge rare classes, or use a "
        "penalty, without standard errors"
    )
    score = np.column_stack([np.zeros(len(score)), score])
    own = np.take_along_axis(score, codes[:, None], 1)
    if ((score < own).sum(1) == equations).all():  # as defined by Albert and Anderson (1984)
        raise separated
    log_p = special.log_softmax(score, axis=1)
    p = np.exp(log_p)[:, 1:]
    residual = (codes[:, None] == np.arange(1, equations + 1)) - p

    def curvature(i: int, j: int) -> Array:
        return np.asarray(p[:, i] * ((i == j) - p[:, j]))

    variance = _variance(design, residual, curvature, w, sandwich, separated=separated)
    likelihood = w @ np.take_along_axis(log_p, codes[:, None], 1)
    counts = np.bincount(codes, w)
    return variance, likelihood, 1 - likelihood / (counts @ np.log(counts / w.sum()))


def _variance(
    design: Design,
    residual: Array,
    curvature: Curvature,
    w: Array,
    sandwich: Sandwich,
    noise: float = 1.0,
    separated: NoInference | None = None,
) -> Array:
    """The variances of the estimates (equations, size), which must be at the optimum.

    ``residual`` (rows, equations) and ``curvature(i, j)`` (rows,) are the derivatives of the log
    likelihood by the scores, times ``noise``, for a row with weight ``w``.
    """
    (q, back), equations = design, residual.shape[1]
    information = _blocks(q, equations, curvature)
    scale = np.sqrt(np.maximum(np.diagonal(information), 1e-300))
    scaled = information / np.outer(scale, scale)
    if separated and np.linalg.cond(scaled, 1) > 1e10:
        raise separated
    inverse = np.linalg.inv(scaled) / np.outer(scale, scale)
    _check_optimum(q, inverse, residual, w, noise, separated)
    variance = _of_terms(back, inverse * noise, equations)
    if sandwich is None:
        return variance
    power, correction = sandwich
    if power and equations > 1:
        raise NoInference(
            "HC2 and HC3 need the leverage of a row, which is defined only for models with one "
            'linear predictor (Zeileis 2006); softmax has several; use robust="HC1"'
        )
    left = np.ones(len(q))
    if equations == 1:
        left -= curvature(0, 0) / w * ((q @ inverse) * q).sum(1)
    factor = correction / np.maximum(left, 1e-15) ** power
    meat = _blocks(q, equations, lambda i, j: residual[:, i] * residual[:, j] * factor)
    robust = _of_terms(back, inverse @ meat @ inverse, equations)
    if left.min() < 1.5e-8 or (robust < 1e-16 * variance).any():  # the leverage as in R's car::hccm
        raise NoInference(
            "the model fits the few rows that determine some coefficient exactly (row "
            f"{np.argmin(left)}, not counting rows of weight 0, has leverage {1 - left.min():.3g})"
            ", so its robust error vanishes; leave out these rows and their feature, or use "
            "robust=None"
        )
    return robust


def _blocks(q: Array, equations: int, weight: Curvature) -> Array:
    """The matrix (equations * size, equations * size) of q' diag(weight(i, j)) q for each pair."""
    shape = (equations, q.shape[1])
    matrix = np.empty(shape * 2)
    for i in range(equations):
        for j in range(i + 1):
            matrix[i, :, j] = matrix[j, :, i] = q.T @ (q * weight(i, j)[:, None])
    return matrix.reshape(equations * shape[1], -1)


def _of_terms(back: Array, covariance: Array, equations: int) -> Array:
    """The variances (equations, size) of the coefficients of [1, x]."""
    parts = covariance.reshape((equations, len(covariance) // equations) * 2)
    return np.stack([((back @ parts[i, :, i]) * back).sum(1) for i in range(equations)])


def _check_optimum(
    q: Array,
    inverse: Array,
    residual: Array,
    w: Array,
    noise: float,
    separated: NoInference | None,
) -> None:
    """Raise if Newton's step, from the ``inverse`` of the information, is not nearly 0."""
    root = np.sqrt(w)[:, None]
    gradient = (q.T @ (root * residual)).T.ravel()
    step = inverse @ gradient
    away = max(float(gradient @ step / noise), 0) ** 0.5
    if away > OFF:
        raise NoInference(
            "the coefficients are not at the optimum of the loss on these rows: a combination of "
            f"them is {away:.2g} standard errors away ({OFF:g} is allowed). Give the rows and "
            "weights of the fit, or fit again with a smaller tolerance"
            + ("; if the coefficients then only grow, the classes are separated" * bool(separated))
        )
    # At an optimum Newton's step is nearly 0. For separated rows it raises the scores by 1 or more,
    # however flat the loss is.
    if separated and (np.abs(q @ step.reshape(residual.shape[1], -1).T) > root / 2).any():
        raise separated


def _number(figure: Array) -> float | Array:
    return float(figure[0]) if len(figure) == 1 else figure


def _listed(names: Sequence[str]) -> str:
    """The first names in quotes, and the number of the others."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(f'"{_printable(name)}"' for name in names[:5]) + more


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
