"""The line, to its optimum: solvers bring a convex problem there one step at a time."""

SOLVERS = {
    "least_squares": "linnet.line.least_squares:LeastSquares",
    "lbfgs": "linnet.line.lbfgs:LBFGS",
    "newton_cg": "linnet.line.newton:NewtonCG",
}
GROUP = "linnet.solvers"
"""The entry points by which other packages add solvers."""
