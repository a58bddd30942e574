"""The line, to its optimum: solvers bring a convex problem there one step at a time."""

SOLVERS = {
    "least_squares": "linnet.line.least_squares:LeastSquares",
    "lbfgs": "linnet.line.lbfgs:LBFGS",
    "newton_cg": "linnet.line.newton:NewtonCG",
}
GROUP = "linnet.solvers"
"""The entry points by which other packages add solvers."""

MATRIX = 40_000_000
"""The most numbers in the matrices of second moments or curvature, 320 MB in float64."""


def compact(quadratic: bool, inputs: int, outputs: int) -> bool:
    """Whether a matrix (inputs, inputs), for classes one for each output, is small enough."""
    return (1 if quadratic else outputs) * (inputs + 1) ** 2 <= MATRIX


def choose(quadratic: bool, rows: int, inputs: int, outputs: int, *, coded: bool = False) -> str:
    """The solver for "auto". With fewer rows than inputs, the inputs are given in a basis of the
    rows; not so where they are ``coded``, whose zeros no matrix should hold. L-BFGS needs one
    matrix at least; it has one for each class only if they are small enough."""
    if coded or not compact(True, min(rows, inputs), 1):
        return "newton_cg"
    return "least_squares" if quadratic else "lbfgs"
