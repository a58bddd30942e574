"""NIST's linear reference sets: the digits that are promised in the docs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def nist() -> Any:
    spec = importlib.util.spec_from_file_location("nist", ROOT / "benchmarks" / "nist.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_exact_coefficients_are_those_that_nist_certifies(nist: Any) -> None:
    sets = nist.sets()
    certified = {
        "Norris": [-0.262323073774029, 1.00211681802045],
        "Pontius": [0.673565789473684e-03, 0.732059160401003e-06, -0.316081871345029e-14],
        "NoInt1": [2.07438016528926],
        "NoInt2": [0.727272727272727],
        "Longley": [-3482258.63459582],
        "Filip": [-1467.48961422980, -2772.17959193342, -2316.37108160893],
        "Wampler1": [1.0] * 6,
        "Wampler5": [1.0] * 6,
    }
    for name, values in certified.items():
        found = [float(value) for value in nist.exact(sets[name])][: len(values)]
        assert found == pytest.approx(values, rel=2e-14), name


def test_every_set_has_its_digits(nist: Any) -> None:
    least = dict.fromkeys(nist.sets(), 8.0) | {"Filip": 6.5, "Wampler4": 7.5, "Wampler5": 6.0}
    for name, data in nist.sets().items():
        assert nist.digits(nist.linnets(data), nist.exact(data)) >= least[name], name
