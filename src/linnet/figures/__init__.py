"""Figures: numbers in, a Plotly figure of plain dicts out; the same for page, report and notebook.

Nothing here imports Plotly, torch or scikit-learn.
"""

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
    "distributions",
    "expected_calibration_error",
    "learning_curve",
    "look",
    "mistakes",
    "picture_png",
    "reliability",
    "residuals",
    "samples",
    "templates",
    "variables",
    "worst",
]
