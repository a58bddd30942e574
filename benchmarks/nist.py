"""Least squares on the linear sets of NIST's Statistical Reference Datasets: correct digits.

    python benchmarks/nist.py

For each set and each package, with its defaults: the least number of correct significant digits
among the coefficients, ``-log10`` of the relative error, at most 15.9. The exact coefficients are
computed here in rational arithmetic from the numbers as they are printed; they agree with those
that NIST certifies. The sets are facts in the public domain (https://www.itl.nist.gov/div898/strd/):
Norris and Pontius are of lower difficulty, NoInt1 and NoInt2 of average, Filip, Longley and the
Wamplers of higher.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from math import log10
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

NORRIS = """
0.1 0.2 338.8 337.4 118.1 118.2 888.0 884.6 9.2 10.1 228.1 226.5 668.5 666.3 998.5 996.3 449.1 448.6
778.9 777.0 559.2 558.2 0.3 0.4 0.1 0.6 778.1 775.5 668.8 666.9 339.3 338.0 448.9 447.5 10.8 11.6
557.7 556.0 228.3 228.1 998.0 995.8 888.8 887.6 119.6 120.2 0.3 0.3 0.6 0.3 557.6 556.8 339.3 339.1
888.0 887.2 998.5 999.0 778.9 779.0 10.2 11.1 117.6 118.3 228.9 229.2 668.4 669.1 449.2 448.9
0.2 0.5
"""  # y, x
PONTIUS = """
.11019 .21956 .32949 .43899 .54803 .65694 .76562 .87487 .98292 1.09146 1.20001 1.30822 1.41599
1.52399 1.63194 1.73947 1.84646 1.95392 2.06128 2.16844 .11052 .22018 .32939 .43886 .54798 .65739
.76596 .87474 .98300 1.09150 1.20004 1.30818 1.41613 1.52408 1.63159 1.73965 1.84696 1.95445
2.06177 2.16829
"""  # y; x is 150,000 to 3,000,000 twice
FILIP_X = """
-6.860120914 -4.324130045 -4.358625055 -4.358426747 -6.955852379 -6.661145254 -6.355462942
-6.118102026 -7.115148017 -6.815308569 -6.519993057 -6.204119983 -5.853871964 -6.109523091
-5.79832982 -5.482672118 -5.171791386 -4.851705903 -4.517126416 -4.143573228 -3.709075441
-3.499489089 -6.300769497 -5.953504836 -5.642065153 -5.031376979 -4.680685696 -4.329846955
-3.928486195 -8.56735134 -8.363211311 -8.107682739 -7.823908741 -7.522878745 -7.218819279
-6.920818754 -6.628932138 -6.323946875 -5.991399828 -8.781464495 -8.663140179 -8.473531488
-8.247337057 -7.971428747 -7.676129393 -7.352812702 -7.072065318 -6.774174009 -6.478861916
-6.159517513 -6.835647144 -6.53165267 -6.224098421 -5.910094889 -5.598599459 -5.290645224
-4.974284616 -4.64454848 -4.290560426 -3.885055584 -3.408378962 -3.13200249 -8.726767166
-8.66695597 -8.511026475 -8.165388579 -7.886056648 -7.588043762 -7.283412422 -6.995678626
-6.691862621 -6.392544977 -6.067374056 -6.684029655 -6.378719832 -6.065855188 -5.752272167
-5.132414673 -4.811352704 -4.098269308 -3.66174277 -3.2644011
"""
FILIP_Y = """
0.8116 0.9072 0.9052 0.9039 0.8053 0.8377 0.8667 0.8809 0.7975 0.8162 0.8515 0.8766 0.8885 0.8859
0.8959 0.8913 0.8959 0.8971 0.9021 0.909 0.9139 0.9199 0.8692 0.8872 0.89 0.891 0.8977 0.9035 0.9078
0.7675 0.7705 0.7713 0.7736 0.7775 0.7841 0.7971 0.8329 0.8641 0.8804 0.7668 0.7633 0.7678 0.7697
0.77 0.7749 0.7796 0.7897 0.8131 0.8498 0.8741 0.8061 0.846 0.8751 0.8856 0.8919 0.8934 0.894 0.8957
0.9047 0.9129 0.9209 0.9219 0.7739 0.7681 0.7665 0.7703 0.7702 0.7761 0.7809 0.7961 0.8253 0.8602
0.8809 0.8301 0.8664 0.8834 0.8898 0.8964 0.8963 0.9074 0.9119 0.9228
"""
WAMPLER = "759 -2048 2048 -2048 2523 -2048 2048 -2048 1838 -2048 2048 -2048 1838 -2048 2048 -2048"
WAMPLER += " 2523 -2048 2048 -2048 759"


class Set(NamedTuple):
    """Exact inputs (rows of lists) without the column of ones, and targets."""

    x: list[list[Fraction]]
    y: list[Fraction]
    intercept: bool = True

    def arrays(self) -> tuple[Array, Array]:
        """Both as float64."""
        return np.array([[float(v) for v in row] for row in self.x]), np.array(
            [float(v) for v in self.y]
        )


def sets() -> dict[str, Set]:
    """The eleven sets, by name."""
    pairs = _numbers(NORRIS)
    times = [Fraction(150_000 * n) for n in (*range(1, 21), *range(1, 21))]
    long = [Fraction(n) for n in range(21)]
    powers = [sum((n**k for k in range(6)), Fraction(0)) for n in long]
    tenths = [sum((n**k / Fraction(10) ** k for k in range(6)), Fraction(0)) for n in long]
    noise = _numbers(WAMPLER)
    found = {
        "Norris": Set([[x] for x in pairs[1::2]], pairs[::2]),
        "Pontius": Set(_powers(times, 2), _numbers(PONTIUS)),
        "NoInt1": Set(
            [[Fraction(x)] for x in range(60, 71)], [Fraction(y) for y in range(130, 141)], False
        ),
        "NoInt2": Set([[Fraction(x)] for x in (4, 5, 6)], [Fraction(y) for y in (3, 4, 4)], False),
        "Filip": Set(_powers(_numbers(FILIP_X), 10), _numbers(FILIP_Y)),
        "Longley": _longley(),
        "Wampler1": Set(_powers(long, 5), powers),
        "Wampler2": Set(_powers(long, 5), tenths),
    }
    for name, size in (("Wampler3", 1), ("Wampler4", 100), ("Wampler5", 10_000)):
        moved = [y + size * e for y, e in zip(powers, noise, strict=True)]
        found[name] = Set(_powers(long, 5), moved)
    return found


def _numbers(text: str) -> list[Fraction]:
    return [Fraction(Decimal(word)) for word in text.split()]


def _powers(x: list[Fraction], degree: int) -> list[list[Fraction]]:
    return [[value**k for k in range(1, degree + 1)] for value in x]


def _longley() -> Set:
    from statsmodels.datasets import longley

    data = longley.load_pandas()
    exact = [[Fraction(Decimal(str(v))) for v in row] for row in data.exog.to_numpy()]
    return Set(exact, [Fraction(Decimal(str(v))) for v in data.endog])


def exact(data: Set) -> list[Fraction]:
    """The coefficients (the intercept first, if there is one), in rational arithmetic."""
    rows = [[Fraction(1), *row] if data.intercept else row for row in data.x]
    width = len(rows[0])
    system = [
        [
            *(sum((row[i] * row[j] for row in rows), Fraction(0)) for j in range(width)),
            sum((row[i] * y for row, y in zip(rows, data.y, strict=True)), Fraction(0)),
        ]
        for i in range(width)
    ]
    for i in range(width):
        for j in range(width):
            if j != i:
                factor = system[j][i] / system[i][i]
                system[j] = [a - factor * b for a, b in zip(system[j], system[i], strict=True)]
    return [system[i][-1] / system[i][i] for i in range(width)]


def digits(found: Array, right: list[Fraction]) -> float:
    """The least number of correct digits."""
    errors = [
        abs(Fraction(float(a)) - b) / abs(b) if np.isfinite(a) else Fraction(10)
        for a, b in zip(found, right, strict=True)
    ]
    worst = float(max(errors))
    return 15.9 if worst == 0 else max(0.0, min(15.9, -log10(worst)))


def _estimator(model: Any, x: Array, y: Array) -> Array:
    model.fit(x, y)
    return np.r_[model.intercept_, model.coef_] if model.fit_intercept else model.coef_


def linnets(data: Set) -> Array:
    """linnet's coefficients."""
    import linnet

    return _estimator(linnet.LinearRegression(fit_intercept=data.intercept), *data.arrays())


def scikit_learns(data: Set) -> Array:
    """scikit-learn's coefficients."""
    from sklearn.linear_model import LinearRegression

    return _estimator(LinearRegression(fit_intercept=data.intercept), *data.arrays())


def _columns(data: Set) -> tuple[Array, Array]:
    x, y = data.arrays()
    return (np.c_[np.ones(len(x)), x] if data.intercept else x), y


def numpys(data: Set) -> Array:
    """Those of numpy.linalg.lstsq."""
    return np.asarray(np.linalg.lstsq(*_columns(data), rcond=None)[0])


def statsmodels_(data: Set) -> Array:
    """Those of statsmodels' OLS."""
    from statsmodels.api import OLS

    x, y = _columns(data)
    return np.asarray(OLS(y, x).fit().params)


PACKAGES: dict[str, Callable[[Set], Array]] = {
    "linnet": linnets,
    "scikit-learn": scikit_learns,
    "numpy.linalg.lstsq": numpys,
    "statsmodels OLS": statsmodels_,
}


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    print(f"| set | {' | '.join(PACKAGES)} |")
    print(f"|---|{'--:|' * len(PACKAGES)}")
    for name, data in sets().items():
        right = exact(data)
        row = [f"{digits(package(data), right):.1f}" for package in PACKAGES.values()]
        print(f"| {name} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
