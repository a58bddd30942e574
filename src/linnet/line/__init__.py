"""The line, to its optimum: solvers bring a convex problem there one step at a time."""

SOLVERS = {
    "least_squares": "linnet.line.least_squares:LeastSquares",
    "lbfgs": "linnet.line.lbfgs:LBFGS",
}
GROUP = "linnet.solvers"
"""The entry points by which other packages add solvers."""
