"""Several processes give what one gives."""

import tempfile
from pathlib import Path

import pytest
import sklearn.datasets
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from linnet.core.parallel import World, choose_device
from linnet.errors import RecipeError, WorkError
from linnet.line import solve as solving
from linnet.line.certificate import certify
from linnet.line.lbfgs import LBFGS
from linnet.line.moments import Moments
from linnet.line.problem import LinearProblem
from linnet.networks.linear import Linear
from linnet.objectives.softmax import Softmax

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
    solving.SAMPLE = 40  # so that samples of the rows are taken too
    network = Linear(Linear.Spec(inputs=(4,), outputs=3, scale="none")).double()
    method = solving.Solve(network, problem, LBFGS(), penalties=[0.01], tol=1e-11, max_iter=500)
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
    return moments.everywhere(world).solve(0.1).theta


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
