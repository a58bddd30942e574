"""Numbers that go wrong, or nearly: each has a defined answer or a refusal that names it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import linnet
from helpers import command, same_state
from linnet.core import memory
from linnet.core.randomness import generator
from linnet.core.record import Step
from linnet.errors import DataError, Diverged, LinnetWarning, RecipeError, WorkError
from linnet.estimators.mlp import MLPClassifier
from linnet.fit import checkpoint
from linnet.fit.progress import Losses
from linnet.runs import directory, events

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(200, 5))
NUMBERS = X @ [2.0, -1.0, 0.5, 0.0, 0.0] + 1 + RANDOM.normal(size=200)
CLASSES = (X[:, 0] + RANDOM.normal(size=200) > 0).astype(int)


# what is no longer finite


@pytest.mark.filterwarnings("ignore::linnet.errors.LinnetWarning")
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "lbfgs"])
@pytest.mark.parametrize("target", ["numbers", "classes"])
def test_a_rate_of_1e10_is_told_within_steps(tmp_path: Path, optimizer: str, target: str) -> None:
    y = NUMBERS if target == "numbers" else CLASSES
    size, epochs = ("all", 5) if optimizer == "lbfgs" else (32, 30)
    settings: dict[str, Any] = {"lr": 1e10, "optimizer": optimizer, "batch_size": size}
    try:
        run = linnet.train((X, y), model="mlp", epochs=epochs, out=tmp_path / "r", **settings)
    except Diverged as error:
        assert "no longer finite at step " in str(error) and "try a smaller lr" in str(error)
        steps = [e for e in events.read_all(tmp_path / "r/events.jsonl") if e.kind == "step"]
        assert len(steps) < 40
        assert directory.state_of(tmp_path / "r") == ("failed", f"Diverged: {error}")
        assert not (tmp_path / "r" / "mlp.safetensors").exists()
    else:  # it did not overflow: its weights, and the scores told of them, are numbers
        state = run.models["mlp"].module.state_dict()
        assert all(tensor.isfinite().all() for tensor in state.values())
        assert np.isfinite(run.metrics["models"]["mlp"]["valid"]["loss"])


def test_the_command_tells_step_gradient_and_remedy(tmp_path: Path) -> None:
    done = command(
        "train", "digits", "--model", "mlp", "--set", "lr=1e30", "--set", "optimizer=sgd",
        "--out", "r", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (last,) = (text for text in done.stderr.splitlines() if text.startswith("error: "))
    for words in ("no longer finite at step 2;", "largest gradient before it was ", "clip=1"):
        assert words in last
    assert not (tmp_path / "r" / "metrics.json").exists()


class Broken(torch.nn.Module):
    """A line whose output is no number from its ``at``-th training batch on."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.line = torch.nn.Linear(5, 2)
        self.at, self.batches = at, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.batches += self.training
        out: torch.Tensor = self.line(x)
        return out * (float("nan") if self.batches >= self.at else 1.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::linnet.errors.LinnetWarning")
def test_a_loss_that_is_nan_is_neither_best_nor_saved(tmp_path: Path) -> None:
    """The checkpoint before it stays, whole: a loss that is not finite is looked for first."""
    few: dict[str, Any] = {"model": "custom", "epochs": 30, "batch_size": 16}
    with pytest.raises(
        Diverged,
        match=r"training losses are no longer finite at step 1\d;.* its batch was rows (\d+, ){10}"
        r"\.\.\. \(16, all in events.jsonl\); or continue from the checkpoint "
        r"before it: linnet train --resume .*r --set lr=\.\.\. --allow lr",
    ) as caught:
        linnet.train(
            (X, CLASSES), network=Broken(13), checkpoint_every=1, log_every="1 epochs",
            out=tmp_path / "r", **few,
        )  # fmt: skip
    at = int(str(caught.value).split("at step ")[1].split(";")[0]) - 1
    (diverged,) = (e for e in events.read_all(tmp_path / "r" / "events.jsonl")
                   if e.kind == "diverged")  # fmt: skip
    train = linnet.Run(tmp_path / "r").split()["train"]
    per_epoch = -(-len(train) // 16)
    order = torch.randperm(len(train), generator=generator(0, "batches", at // per_epoch))
    assert diverged.plain()["rows"] == train[order.split(16)[at % per_epoch]].sort().values.tolist()
    held = checkpoint.newest(tmp_path / "r" / "checkpoints")
    assert held is not None and held["progress"]["index"] > 8
    tensors = [*held["method"]["network"].values(), *held["progress"]["best"]["state"].values()]
    assert tensors and all(tensor.isfinite().all() for tensor in tensors)
    assert all(torch.isfinite(loss) for _, loss, _ in held["progress"]["losses"]["pending"])
    assert np.isfinite(held["progress"]["best"]["loss"])
    again = linnet.train(
        (X, CLASSES), network=Broken(10**9), resume=tmp_path / "r", lr=1e-4, allow=["lr"]
    )
    assert again.info["resumed"][0]["changed"]["lr"].startswith("0.0001, and was ")


def test_the_step_that_is_named_is_the_first_that_was_not_finite() -> None:
    losses = Losses()
    for index, loss in enumerate([1.0, 2.0, float("inf"), float("nan")], start=7):
        losses.add(Step(index, {"loss_sum": torch.tensor(loss), "rows": 2.0, "lr": 0.5}))
    with pytest.raises(Diverged, match=r"at step 9; try a smaller lr, .* \(lr was 0\.5\)"):
        losses.look()
    assert len(losses.pending) == 4 and losses.total == 0  # looked at, not taken


# singular, constant, huge


def test_copies_of_columns_share_the_coefficient_of_least_norm(tmp_path: Path) -> None:
    both = np.hstack([X, X[:, :2], X[:, :1]])
    run = linnet.train((both, NUMBERS), model="linear", penalty=[0.0], out=tmp_path / "r")
    rows = run.split()["train"].numpy()
    x, y = both[rows], NUMBERS[rows]
    expected, _, rank, _ = np.linalg.lstsq(x - x.mean(0), y - y.mean(), rcond=1e-10)
    fitted = run.models["linear"]
    prediction = fitted.predict(both[:20]).ravel()
    wanted = (both[:20] - x.mean(0)) @ expected + y.mean()
    assert np.allclose(prediction, wanted, rtol=0, atol=1e-9)
    facts = run.metrics["models"]["linear"]["fit"]
    assert facts["rank"] == rank == 5 and facts["converged"] and facts["gap"] < 1e-12


@pytest.mark.parametrize("rows", [10, 60])
@pytest.mark.parametrize("inputs", [40, 200])
def test_the_estimator_of_singular_columns_is_lstsqs(rows: int, inputs: int) -> None:
    """Fewer rows than columns, and copies of columns: the solution of least norm, and the rank."""
    x = RANDOM.normal(size=(rows, inputs))
    x[:, 5] = x[:, 6] + x[:, 7]
    x[:, 8] = 3.0
    y = RANDOM.normal(size=rows)
    model = linnet.LinearRegression().fit(x, y)
    expected, _, rank, _ = np.linalg.lstsq(x - x.mean(0), y - y.mean(), rcond=1e-10)
    assert np.allclose(model.coef_, expected, rtol=0, atol=1e-9)
    assert model.rank_ == rank


def test_a_column_of_ones_beside_the_intercept_is_well(tmp_path: Path) -> None:
    x = np.hstack([X, np.ones((200, 1))])
    one = linnet.LinearRegression().fit(x, NUMBERS)
    other = linnet.LinearRegression().fit(X, NUMBERS)
    assert np.allclose(one.predict(x), other.predict(X), rtol=0, atol=1e-10)
    assert np.allclose(one.coef_[:5], other.coef_) and one.coef_[5] == 0


def test_a_constant_target_is_predicted(tmp_path: Path) -> None:
    run = linnet.train(
        (X, np.full(200, 7.25)), task="regression", epochs=2, widths=[4], out=tmp_path / "r"
    )
    for name in ("constant", "linear"):
        found = np.asarray(run.models[name].predict(X[:5]))
        assert np.allclose(found, 7.25, rtol=0, atol=1e-5), name
    assert np.isfinite(np.asarray(run.models["mlp"].predict(X[:5]))).all()
    test = run.metrics["models"]["linear"]["test"]
    assert test["rmse"] < 1e-5 and np.isfinite(list(test["rmse_interval"])).all()
    json.dumps(run.metrics, allow_nan=False)


def test_one_target_of_1e30_has_an_answer_or_a_name(tmp_path: Path) -> None:
    far = NUMBERS.copy()
    far[3] = 1e30
    with pytest.warns(LinnetWarning, match=r"'y' has 1\.0*\d*e\+30 in 1 row"):
        linnet.train((X.astype("f4"), far.astype("f4")), model="linear", out=tmp_path / "a")
    model = linnet.LinearRegression().fit(X, far)
    centred = X - X.mean(0)
    expected = np.linalg.lstsq(centred, far - far.mean(), rcond=None)[0]
    assert np.allclose(model.coef_, expected, rtol=1e-9)


def test_one_input_of_1e30_is_warned_of_and_the_record_says_so(tmp_path: Path) -> None:
    far = X.copy()
    far[3, 1] = 1e30
    with pytest.warns(LinnetWarning, match=r"'c1' has 1e\+30 in 1 row"):
        run = linnet.train((far, NUMBERS), epochs=2, widths=[4], out=tmp_path / "r")
    found = [event["text"] for event in run.events() if event["event"] == "finding"]
    assert any("it outweighs all others" in text for text in found)
    for model in run.models.values():
        assert np.isfinite(np.asarray(model.predict(X[:9]), dtype=float)).all()


def test_what_has_not_converged_is_told_everywhere(tmp_path: Path) -> None:
    done = command(
        "train", "digits", "--model", "linear", "--set", "penalty=1e-4", "--set", "max_iter=2",
        "--out", "r", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    words = "not converged: 2 steps (max_iter) were not enough"
    assert f"linear: {words}" in done.stdout and "raise max_iter" in done.stdout
    assert "above the optimum" in done.stdout
    run = linnet.Run(tmp_path / "r")
    facts = run.metrics["models"]["linear"]["fit"]
    assert facts["converged"] is False and facts["gap"] > 0 and facts["reason"].startswith(words)
    (event,) = (e for e in run.events() if e["event"] == "fit" and e["model"] == "linear")
    assert event["converged"] is False and event["gap"] == facts["gap"]
    assert linnet.load(tmp_path / "r", "linear").manifest.fit["converged"] is False


# memory, devices


def test_a_net_that_no_memory_holds_is_refused_before_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "digits", "--model", "mlp", "--out", "r"]
    done = command(*words, "--set", "widths=100000,100000", cwd=tmp_path)
    assert done.returncode == 2 and "parameters; at most 2,147,483,648" in done.stderr
    monkeypatch.setattr(memory, "available", lambda: 2_000_000)
    for width, what in ((20_000, "a network of 1,"), (5_000, "a gradient, two moments")):
        out = f"r{width}"
        done = command(*words[:-1], out, "--set", f"widths={width}", cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert what in done.stderr and "GB are free; give smaller widths" in done.stderr
        assert "Traceback" not in done.stderr and directory.state_of(tmp_path / out)[0] == "failed"


@pytest.mark.filterwarnings("ignore::linnet.errors.LinnetWarning")
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes\nframe 0"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
    ],
)
def test_a_fit_that_runs_out_of_memory_can_go_on_with_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    few: dict[str, Any] = {"model": "mlp", "widths": [4], "epochs": 3, "checkpoint_every": 3}
    with monkeypatch.context() as patch:
        index_select, left = torch.Tensor.index_select, 30

        def taken(*args: Any) -> torch.Tensor:
            nonlocal left
            left -= 1
            if not left:
                raise error
            return index_select(*args)

        patch.setattr(torch.Tensor, "index_select", taken)
        with pytest.raises(WorkError, match=r"mlp on cpu ran out of memory: .*; try a smaller"):
            linnet.train((X, CLASSES), batch_size=16, out=tmp_path / "r", **few)
    assert directory.state_of(tmp_path / "r")[0] == "failed"
    run = linnet.train((X, CLASSES), resume=tmp_path / "r")
    assert run.state == "finished"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_that_is_full_is_told(tmp_path: Path) -> None:
    torch.cuda.set_per_process_memory_fraction(0.001)
    try:
        with pytest.raises(WorkError, match="mlp on cuda ran out of memory: CUDA out of memory"):
            linnet.train(
                "digits", model="mlp", widths=[16_384, 16_384], device="cuda", out=tmp_path / "r"
            )
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


@pytest.mark.parametrize("device", ["cuda", "cuda:3", "mps"])
def test_a_device_that_is_not_there_is_refused(tmp_path: Path, device: str) -> None:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if there.get(device.split(":")[0]):
        pytest.skip(f"{device} may be there")
    done = command("train", "digits", "--device", device, "--out", "r", cwd=tmp_path)
    assert done.returncode == 1 and f"device {device} was asked for, but PyTorch" in done.stderr
    assert not (tmp_path / "r").exists()


# seeds, threads, halves


@pytest.mark.parametrize("seed", [None, -1, 2**63, 2**64, 1.5, "3", True])
def test_a_seed_is_a_whole_number_of_63_bits(tmp_path: Path, seed: Any) -> None:
    with pytest.raises(RecipeError, match=f'"seed" is {seed!r}: Input should be'):
        linnet.train("iris", model="linear", seed=seed, out=tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_the_command_refuses_seeds_out_of_range(tmp_path: Path) -> None:
    for seed, words in (("-1", "greater than or equal to 0"), (2**64, "less than 922337203685")):
        done = command("train", "iris", f"--seed={seed}", "--out", "r", cwd=tmp_path)
        assert done.returncode == 2 and f'"seed" is {seed}: Input should be {words}' in done.stderr


def test_the_largest_seed_gives_the_same_bits_twice(tmp_path: Path) -> None:
    few: dict[str, Any] = {"model": "mlp", "widths": [4], "epochs": 2, "seed": 2**63 - 1}
    one, two = (
        linnet.train("iris", out=tmp_path / name, **few).models["mlp"].module for name in "ab"
    )
    assert same_state(one, two)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_the_estimators_refuse_such_seeds_too(seed: int) -> None:
    with pytest.raises(ValueError, match=f"'random_state' .* Got {seed}"):
        MLPClassifier(random_state=seed, max_iter=1).fit(X, CLASSES)


def test_numbers_in_half_precision_are_widened_before_they_are_summed(tmp_path: Path) -> None:
    """Pixels times rows beyond 65,504, the largest float16, overflow nowhere."""
    half = (X * 3e4).clip(-65_000, 65_000).astype(np.float16)
    run = linnet.train((half, CLASSES), epochs=3, widths=[4], out=tmp_path / "r")
    wide = linnet.train((half.astype("f4"), CLASSES), epochs=3, widths=[4], out=tmp_path / "w")
    for name, model in run.models.items():
        state = model.module.state_dict()
        other = wide.models[name].module.state_dict()
        assert all(tensor.dtype != torch.float16 for tensor in state.values())
        assert all(torch.equal(state[key], other[key]) for key in state)
    with np.errstate(over="ignore"):
        over = np.array([[70_000.0, 1.0], [1.0, 2.0]] * 30).astype(np.float16)
    with pytest.raises(DataError, match=r"inf at \(0, 0\) \(row 0\), expected finite numbers"):
        linnet.train((over, np.arange(60) % 2), model="linear", out=tmp_path / "o")


@pytest.mark.parametrize(("kind", "size"), [("f4", 1e-15), ("f8", 1e-150)])
def test_tiny_numbers_are_not_lost(kind: str, size: float) -> None:
    """Down to these sizes a column's squares are no denormals, and it counts as any other."""
    tiny = (X * size).astype(kind)
    one = linnet.LinearRegression().fit(tiny, NUMBERS)
    other = linnet.LinearRegression().fit(X, NUMBERS)
    assert np.allclose(one.predict(tiny), other.predict(X), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kind", "size"), [("f4", 1e-22), ("f4", 1e-40), ("f8", 1e-160)])
def test_numbers_too_tiny_to_be_squared_are_refused_by_name(kind: str, size: float) -> None:
    tiny = X.astype(kind)
    tiny[:, 1] = 3.0
    tiny[:, 2] = (X[:, 2] * size).astype(kind)
    for model, y in ((linnet.LinearRegression(), NUMBERS), (linnet.LogisticRegression(), CLASSES)):
        with pytest.raises(DataError, match=r"column 2: its numbers are all within .* multiply"):
            model.fit(tiny, y)
    tiny[:, 2] = size  # a constant, however small, is none of them
    assert np.isfinite(linnet.LinearRegression().fit(tiny, NUMBERS).predict(tiny)).all()


def test_a_deviation_that_no_float32_divides_by_is_refused_by_name(tmp_path: Path) -> None:
    tiny = X.astype("f4")
    tiny[:, 3] *= 1e-40
    for model in ("linear", "mlp"):
        with pytest.raises(DataError, match="column 3: the numbers have a deviation of 1e-40"):
            linnet.train((tiny, CLASSES), model=model, epochs=1, out=tmp_path / model)
    tiny = X.astype("f4")
    tiny[:, 3] *= 1e-22  # the first layer gives it another unit
    run = linnet.train((tiny, CLASSES), model="linear", out=tmp_path / "scaled")
    same = linnet.train((X.astype("f4"), CLASSES), model="linear", out=tmp_path / "same")
    one, other = (r.metrics["models"]["linear"]["test"] for r in (run, same))
    assert one["log_loss"] == pytest.approx(other["log_loss"], rel=1e-4)
