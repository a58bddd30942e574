"""The line on rows of a store: the answer of the rows in memory, and hardly a byte a row of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from linnet.line import problem as problems
from linnet.line import solve
from linnet.line.certificate import certify
from linnet.line.lbfgs import LBFGS
from linnet.line.problem import LinearProblem
from linnet.line.rows import Dense
from linnet.line.separation import separated
from linnet.networks.linear import Linear
from linnet.networks.specs import LinearSpec
from linnet.objectives import find

ROWS = 20_000


def rows(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    x = torch.randn((ROWS, 5), generator=draws, dtype=torch.float64)
    scores = x @ torch.randn((5, classes), generator=draws, dtype=torch.float64)
    noise = torch.randn(scores.shape, generator=draws, dtype=torch.float64)
    return x, (scores + noise).argmax(1)


def solved(problem: LinearProblem) -> torch.Tensor:
    spec = LinearSpec(inputs=(5,), outputs=problem.outputs, scale="none")
    network = Linear(spec).double()
    fit = solve.Solve(network, problem, LBFGS(), penalties=[1e-3, 1e-4], tol=1e-10, max_iter=100)
    last = [step for step in fit if step.complete][-1]
    assert last.reason is not None
    assert last.reason.converged
    linear = network.linear
    return torch.cat([linear.weight.detach().T, linear.bias.detach()[None]])


@pytest.mark.parametrize("classes", [2, 3])
def test_the_answer_is_that_of_rows_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: int
) -> None:
    x, y = rows(classes)
    objective, outputs = (
        find("logistic" if classes == 2 else "softmax"),
        classes if classes > 2 else 1,
    )
    one = LinearProblem(objective, x, y, outputs=outputs)
    theirs = solved(one)
    monkeypatch.setattr(problems, "SMALL", 1_000)
    monkeypatch.setattr(problems, "PART", 3_000)
    other = LinearProblem(objective, Dense(x, folder=tmp_path), y, outputs=outputs)
    assert other.bulky
    found = solved(other)
    assert torch.allclose(found, theirs, rtol=1e-7, atol=1e-8)
    gaps = [certify(each.at(1e-4), theirs) for each in (one, other)]
    assert gaps[0] is not None and gaps[1] is not None
    assert gaps[1].objective == pytest.approx(gaps[0].objective, rel=1e-12)
    assert gaps[1].gap is not None
    assert 0 <= gaps[1].gap < 1e-8
    raw = other.raw(found)
    assert not separated(other.at(0.0), raw, 1e-9)
    assert separated(other.at(0.0), *apart(other)) == (classes == 2)
    assert list(tmp_path.iterdir()) == []  # files without a name


def apart(problem: LinearProblem) -> tuple[torch.Tensor, float]:
    """Raw predictions that separate two classes."""
    sign = torch.where(problem.y == 1, 1.0, -1.0)
    return sign.double()[:, None].expand(-1, problem.outputs).contiguous(), 1e-9


FIT = """
import json, sys, threading, time
import torch
from pathlib import Path
from linnet.data.store import vector
from linnet.line.lbfgs import LBFGS
from linnet.line.problem import LinearProblem
from linnet.line.rows import Dense
from linnet.line.solve import Solve
from linnet.networks.linear import Linear
from linnet.networks.specs import LinearSpec
from linnet.objectives import find

rows, folder, peak = 6_000_000, Path(sys.argv[1]), [0]
torch.set_num_threads(1)
draws = torch.Generator().manual_seed(0)
x, y = vector(folder, (rows, 4), torch.float32), vector(folder, (rows,), torch.int64)
for start in range(0, rows, 1 << 18):
    some = x[start : start + (1 << 18)].normal_(generator=draws)
    y[start : start + (1 << 18)] = some.sum(1) + torch.randn(len(some), generator=draws) > 0

def now():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) << 10

def watch():
    while True:
        peak[0] = max(peak[0], now())
        time.sleep(0.005)

before = now()
threading.Thread(target=watch, daemon=True).start()
network = Linear(LinearSpec(inputs=(4,), outputs=1, scale="none"))
problem = LinearProblem(find("logistic"), Dense(x, folder=folder), y, outputs=1)
last = list(Solve(network, problem, LBFGS(), penalties=[1e-4], tol=1e-4, max_iter=50))[-1]
print(json.dumps([peak[0] - before, bool(last.reason.converged), last.values["gap"]]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="RssAnon is Linux's")
def test_a_fit_keeps_nothing_a_row_in_memory(tmp_path: Path) -> None:
    """Six million rows take 0.14 GB, of chunks of rows; by vectors in memory 0.8 GB."""
    told = subprocess.run(
        [sys.executable, "-c", FIT, str(tmp_path)], capture_output=True, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    grown, converged, gap = json.loads(told.stdout)
    assert converged
    assert 0 <= gap < 1e-4
    assert grown < 0.2e9
