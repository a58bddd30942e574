"""Solvers that minimise a convex problem, one step at a time."""

SOLVERS = {
    "least_squares": "linnet.line.least_squares:LeastSquares",
    "lbfgs": "linnet.line.lbfgs:LBFGS",
}
