"""Figures: from numbers to a Plotly figure of plain dicts, for page, report and notebook.

Nothing here imports Plotly, torch or scikit-learn. A name is imported when it is first used, so the
live page, which needs only the colours, starts without NumPy.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linnet.figures._calibration import (
        Reliability,
        brier_score,
        calibration,
        expected_calibration_error,
        reliability,
    )
    from linnet.figures._confusion import confusion
    from linnet.figures._curves import curves
    from linnet.figures._data import Variable, distributions, look, samples, variables
    from linnet.figures._insight import (
        dependence,
        dependence_pair,
        errors,
        importance,
        intervals,
        penalties,
        roc,
        slices,
        thresholds,
    )
    from linnet.figures._learning import learning_curve
    from linnet.figures._mistakes import data_uri, mistakes, picture_png, residuals, worst
    from linnet.figures._weights import coefficients, templates
    from linnet.figures.figure import Figure

__all__ = [
    "Figure",
    "Reliability",
    "Variable",
    "brier_score",
    "calibration",
    "coefficients",
    "confusion",
    "curves",
    "data_uri",
    "dependence",
    "dependence_pair",
    "distributions",
    "errors",
    "expected_calibration_error",
    "importance",
    "intervals",
    "learning_curve",
    "look",
    "mistakes",
    "penalties",
    "picture_png",
    "reliability",
    "residuals",
    "roc",
    "samples",
    "slices",
    "templates",
    "thresholds",
    "variables",
    "worst",
]

_HOMES = {
    "Figure": "linnet.figures.figure",
    "Reliability": "linnet.figures._calibration",
    "Variable": "linnet.figures._data",
    "brier_score": "linnet.figures._calibration",
    "calibration": "linnet.figures._calibration",
    "coefficients": "linnet.figures._weights",
    "confusion": "linnet.figures._confusion",
    "curves": "linnet.figures._curves",
    "data_uri": "linnet.figures._mistakes",
    "dependence": "linnet.figures._insight",
    "dependence_pair": "linnet.figures._insight",
    "distributions": "linnet.figures._data",
    "errors": "linnet.figures._insight",
    "expected_calibration_error": "linnet.figures._calibration",
    "importance": "linnet.figures._insight",
    "intervals": "linnet.figures._insight",
    "learning_curve": "linnet.figures._learning",
    "look": "linnet.figures._data",
    "mistakes": "linnet.figures._mistakes",
    "penalties": "linnet.figures._insight",
    "picture_png": "linnet.figures._mistakes",
    "reliability": "linnet.figures._calibration",
    "residuals": "linnet.figures._mistakes",
    "roc": "linnet.figures._insight",
    "samples": "linnet.figures._data",
    "slices": "linnet.figures._insight",
    "templates": "linnet.figures._weights",
    "thresholds": "linnet.figures._insight",
    "variables": "linnet.figures._data",
    "worst": "linnet.figures._mistakes",
}


def __getattr__(name: str) -> Any:
    """Import a name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'linnet.figures' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
