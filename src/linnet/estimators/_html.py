"""The facts about an estimator's fit, as small HTML below scikit-learn's diagram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from linnet.core.events import of
from linnet.core.history import History
from linnet.core.html import Html
from linnet.core.text import figure
from linnet.figures.notebook import curve, paragraph, table

Array = np.ndarray[Any, Any]

MOST_NAMES, MOST_LETTERS = 10, 40
MOST_ROWS, MOST_COLUMNS = 10, 6
"""The most columns of X, and outputs, in the table of coefficients."""


def fitted(model: Any) -> Html:
    """The stop reason, the certificate, classes and features; for a line the largest coefficients,
    for a net the layers."""
    facts = model.artifact_.manifest.fit
    sign = "⚠" if model.converged_ is False else "✓"
    rows: list[list[Any]] = [["fit", f"{sign} {model.stop_reason_}"]]
    rows.append([_steps(model), f"{int(np.max(model.n_iter_)):,}"])
    objective, gap = facts.get("objective"), facts.get("gap")
    if isinstance(objective, float):
        bound = f", at most {gap:.1e} above the optimum" if gap else ", the optimum" * (gap == 0)
        rows.append(["objective", f"{figure(objective, 6)}{bound}"])
    if hasattr(model, "loss_"):
        rows.append(["training loss", Html(f"{figure(model.loss_, 6)} {_learned(model)}")])
    classes = getattr(model, "classes_", None)
    if classes is not None:
        rows.append(["classes", f"{len(classes):,}: {_listed(classes)}"])
    names = getattr(model, "feature_names_in_", None)
    count = f"{model.n_features_in_:,}"
    rows.append(["features", count if names is None else f"{count}: {_listed(names)}"])
    below = _coefficients(model) if hasattr(model, "coef_") else _layers(model)
    return Html(f'<div style="font-size:smaller">{table([], rows)}{below}</div>')


def _steps(model: Any) -> str:
    return "epochs" if hasattr(model, "loss_") else "steps"


def _learned(model: Any) -> Html:
    """The training loss of each epoch, and the validation loss if there is one."""
    losses = model.loss_curve_
    steps: Sequence[int] = range(1, len(losses) + 1)
    lines: dict[str, tuple[Sequence[Any], Sequence[Any]]] = {"training loss": (steps, losses)}
    for fit in History.of(map(of, model.history_)).fits:
        valid = fit.table("valid")
        scored = [place for place, epoch in enumerate(valid.get("epoch", ())) if epoch]
        epochs, values = ([valid[key][place] for place in scored] for key in ("epoch", "loss"))
        lines["validation loss"] = epochs, values
    return curve(lines)


def _listed(names: Array) -> str:
    """The first few names."""
    shown = ", ".join(str(name)[:MOST_LETTERS] for name in names[:MOST_NAMES])
    return f"{shown}, …" if len(names) > MOST_NAMES else shown


def _coefficients(model: Any) -> Html:
    """The columns with the largest coefficients, and the intercept."""
    coef, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    schema = model.artifact_.schema
    outputs: Sequence[Any] = schema.targets
    if schema.task == "classification":
        outputs = list(model.classes_)[1 if len(coef) == 1 else 0 :]
    kept = np.argsort(-np.abs(coef).max(0), kind="stable")[:MOST_ROWS]
    most = slice(0, MOST_COLUMNS)
    more = len(outputs) - MOST_COLUMNS
    shown = [str(name)[: MOST_LETTERS // 2] for name in outputs[most]]
    heading = ["column", *shown, *([f"+ {more} more"] if more > 0 else [])]
    rest = [""] if more > 0 else []
    rows = [
        [schema.columns[index][:MOST_LETTERS], *coef[most, index].tolist(), *rest]
        for index in kept.tolist()
    ]
    rows.append(["(intercept)", *intercept[most].tolist(), *rest])
    left = coef.shape[1] - len(kept)
    what = f"The {len(kept)} largest coefficients of {coef.shape[1]:,}" if left else "Coefficients"
    unit = "log-odds" if schema.task == "classification" else "the target's unit"
    return Html(paragraph(f"{what}, in {unit} per unit of the column:") + table(heading, rows))


def _layers(model: Any) -> Html:
    rows = [
        [
            layer["name"],
            layer["kind"],
            " × ".join(map(str, layer["output"])),
            f"{layer['parameters']:,}",
        ]
        for layer in model.artifact_.layers()
        if layer["kind"] not in ("Identity", "Flatten")
    ]
    return table(["layer", "kind", "output", "parameters"], rows)
