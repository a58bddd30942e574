"""Several processes give what one gives."""

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import sklearn.datasets
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import linnet
from linnet.core import parallel
from linnet.core.parallel import ENOUGH, World, choose_device, threads_for
from linnet.errors import DataError, LostRank, RecipeError, WorkError
from linnet.line import solve as solving
from linnet.line.certificate import certify
from linnet.line.lbfgs import LBFGS
from linnet.line.moments import Moments
from linnet.line.problem import LinearProblem
from linnet.line.rows import Dense
from linnet.networks.linear import Linear
from linnet.objectives.softmax import Softmax
from ranks import sampling

SHARES = [(0, 100), (100, 150), (150, 150)]  # of 150 rows; the last rank has none


def solve(rows: slice, world: World) -> tuple[torch.Tensor, torch.Tensor, float | None]:
    data = sklearn.datasets.load_iris()
    x = torch.tensor((data.data - data.data.mean(0)) / data.data.std(0))
    problem = LinearProblem(
        Softmax(), x[rows], torch.tensor(data.target)[rows],
        torch.linspace(1, 2, 150, dtype=torch.float64)[rows],
        outputs=3, alpha=0.01, world=world,
    )  # fmt: skip
    theta = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(5, 3)
    _, gradient = problem.value_and_gradient(theta)
    network = Linear(Linear.Spec(inputs=(4,), outputs=3, scale="none")).double()
    method = solving.Solve(network, problem, LBFGS(), penalties=[0.01], tol=1e-11, max_iter=500)
    with sampling(40):
        *_, last = method
    assert last.values["converged"]
    with torch.no_grad():
        found = torch.cat([network.linear.weight.T, network.linear.bias[None]])
    certificate = certify(problem, found)
    assert certificate is not None
    return gradient, found, certificate.gap


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=len(SHARES))
    world = World(rank, len(SHARES))
    result = solve(slice(*SHARES[rank]), world)
    torch.save((*result, squares(slice(*SHARES[rank]), world)), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def squares(rows: slice, world: World) -> torch.Tensor:
    data = sklearn.datasets.load_iris()
    x = torch.tensor(data.data)[rows]
    y, weight = x[:, :1] * 2 + torch.tensor(data.target)[rows, None], x[:, 3]
    moments = Moments.of(x[:, 1:], y, weight, intercept=True, home=torch.device("cpu"))
    every = Moments.everywhere([moments], Dense(x[:, 1:]), world, world.size)
    return every.solve(0.1).theta


@pytest.mark.slow
@pytest.mark.multiprocess
def test_three_processes_equal_one() -> None:
    gradient, theta, gap = solve(slice(0, 150), World())
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(work, (folder,), nprocs=len(SHARES))  # type: ignore[attr-defined, no-untyped-call]
        results = [torch.load(Path(folder) / f"{rank}.pt") for rank in range(len(SHARES))]
    assert gap is not None
    for one in results:
        assert torch.allclose(one[0], gradient, rtol=0, atol=1e-12)
        assert torch.allclose(one[1], theta, rtol=0, atol=1e-8)
        assert torch.equal(one[1], results[0][1])
        assert abs(one[2] - gap) < 1e-12
        assert torch.allclose(one[3], squares(slice(0, 150), World()), rtol=0, atol=1e-10)


def test_devices_are_chosen_by_name_and_never_silently() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name, hint in [("gpu", '"cuda"'), ("cupu", "cp"), ("cuda:x", "cuda:1"), ("cpu:0", "cuda")]:
        with pytest.raises(RecipeError, match=hint):
            choose_device(name)
    if not torch.cuda.is_available():
        with pytest.raises(WorkError, match="sees 0 CUDA devices"):
            choose_device("cuda")
    with pytest.raises(WorkError, match="device"):
        choose_device("cuda:99")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_little_work_takes_one_thread_and_all_are_back_after_it() -> None:
    with threads_for(ENOUGH - 1) as count:
        assert count == torch.get_num_threads() == 1
        with threads_for(ENOUGH) as inner:  # never raised
            assert inner == torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with threads_for(ENOUGH) as count:
        assert count == torch.get_num_threads() == 2
    with pytest.raises(ZeroDivisionError), threads_for(0):
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_other_threads_leave_the_number_alone() -> None:
    found = []

    def work() -> None:
        before = torch.get_num_threads()
        with threads_for(0) as count:
            found.append((before, count, torch.get_num_threads()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0][0] == found[0][1] == found[0][2]


@pytest.mark.usefixtures("two_threads")
def test_a_run_says_how_many_threads_each_model_took(tmp_path: Path) -> None:
    run = linnet.train("iris", out=tmp_path / "run", epochs=1, model=("linear", "mlp"))
    assert {model["fit"]["threads"] for model in run.metrics["models"].values()} == {1}
    assert run.info["threads"] == torch.get_num_threads() == 2
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(200, 900, generator=random), torch.arange(200) % 3
    wide = linnet.train(
        (x, y), out=tmp_path / "wide", epochs=1, model="mlp", widths=(600,), batch_size=64
    )
    assert wide.metrics["models"]["mlp"]["fit"]["threads"] == 2
    assert wide.metrics["models"]["constant"]["fit"]["threads"] == 1


def test_where_ranks_cannot_be_they_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = World(rank=1, size=2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(RecipeError, match="device mps has no ranks: use device=cpu"):
        pair.on("mps")
    assert World().on("mps").device.type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match="2 ranks on this machine want a CUDA device each"):
        pair.on("cuda")
    for refused in (parallel.refuse_ranks, lambda: parallel.launch(2, ["train", "digits"])):
        with (
            monkeypatch.context() as patch,
            pytest.raises(WorkError, match="do not work on Windows"),
        ):
            patch.setattr(os, "name", "nt")
            refused()


def test_killed_ranks_are_told_by_the_launcher_with_their_signals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = {0: SimpleNamespace(exitcode=2, pid=11), 1: SimpleNamespace(exitcode=-9, pid=12)}
    words = tmp_path / "told"
    assert parallel._ended(ended, 2, words) == 2
    line = capsys.readouterr().err
    assert "process 12) was lost: killed by signal 9, perhaps for want of memory\n" in line
    ended[0].exitcode = -15  # the launcher ends those that are left
    assert parallel._ended(ended, 2, words) == 2
    assert "process 11" not in capsys.readouterr().err

    monkeypatch.setenv(parallel.TOLD, str(words))
    lost = LostRank(f"rank 1 of 2 (host a) {parallel.KILLED}")
    lost.killed = [1]
    lost.add("mlp stopped after step 1,240")
    parallel.told(lost)
    assert lost.silent
    ended[1].exitcode = -11
    parallel._ended(ended, 2, words)
    assert capsys.readouterr().err == (
        "error: rank 1 of 2 (host a) was lost: killed by signal 11; mlp stopped after step 1,240\n"
    )
    other = DataError("told by a rank")
    parallel.told(other)
    assert not other.silent and parallel._ended(ended, 2, words) == 2
    assert capsys.readouterr().err == ""
