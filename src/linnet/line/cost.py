"""The cost of operations in nominal seconds; the solvers base their choices on it.

Measured on four cores of one machine (``LOG.md``). Only ratios matter. The same problem gives the
same choices on every machine and on any number of ranks, so results never depend on a clock.
"""

from __future__ import annotations

from linnet.line.problem import LinearProblem

BYTE = 6e-11  # to read one byte once, in a product with few columns
FLOP = {4: 6e-12, 8: 1.4e-11}  # in a product of matrices, by the bytes of a number
ELEMENT = 1e-8  # per raw prediction, for all operations of a step
STEP, BUILD = 8e-4, 1.5e-3  # the time without any data
GROUP = 6e-5  # to gather the terms of one output


def step(problem: LinearProblem) -> float:
    """One step: two products with the data and the passes over raw predictions."""
    size = problem.x.bytes
    numbers = problem.rows * problem.x.shape[1]
    products = max(2 * numbers * size * BYTE, 4 * numbers * problem.outputs * FLOP[size])
    elements = problem.rows * problem.outputs * ELEMENT * size / 4
    return float(STEP + products + elements)


def term(width: int, size: int) -> float:
    """The cost of adding one row to second moments."""
    return 2.0 * width * width * FLOP[size]


def grams(problem: LinearProblem, terms: float, groups: int, size: int) -> float:
    """The cost of weighted second moments from ``terms`` rows in total."""
    width = problem.x.shape[1] + 1
    search = problem.rows * groups * ELEMENT / 4
    return float(BUILD + groups * GROUP + search + terms * term(width, size))


def factor(unknowns: int, size: int) -> float:
    """The cost of a Cholesky factor."""
    return float(unknowns**3) / 3 * FLOP[size]


def solve(numbers: float, size: int) -> float:
    """The cost of solving with factors of this many numbers."""
    return numbers * size * 2 * BYTE
