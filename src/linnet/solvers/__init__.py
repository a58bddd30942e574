"""Methods that bring a convex problem to its optimum, one step at a time."""

SOLVERS = {
    "least_squares": "linnet.solvers.least_squares:LeastSquares",
    "lbfgs": "linnet.solvers.lbfgs:LBFGS",
}
