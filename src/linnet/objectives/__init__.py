"""Losses as pure functions of raw predictions and targets."""

OBJECTIVES = {
    "squared": "linnet.objectives.squared:Squared",
    "logistic": "linnet.objectives.logistic:Logistic",
    "softmax": "linnet.objectives.softmax:Softmax",
}
