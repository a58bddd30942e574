"""Every choice of how a net is trained, against PyTorch's own or the same written by hand."""

import copy
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.optim import lr_scheduler, swa_utils

import linnet
from helpers import same_state
from linnet.core.parallel import World
from linnet.core.randomness import derive, generator
from linnet.core.record import Event, Record
from linnet.data.augment import Augment
from linnet.data.batches import Batches
from linnet.data.dataset import Dataset
from linnet.data.split import Split
from linnet.data.weights import weigh
from linnet.errors import Diverged, LinnetWarning, RecipeError
from linnet.fit.artifact import Artifact
from linnet.fit.begin import begin as begin_fit
from linnet.fit.begin import build as build_for
from linnet.fit.fit import fit
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import only, resolve
from linnet.insight import evaluation
from linnet.net import OPTIMIZERS, OPTIONS, SCHEDULES
from linnet.net.averaging import Average
from linnet.net.finder import find_rate
from linnet.net.loop import Train
from linnet.net.norms import batch_norms, recompute_norms
from linnet.net.perceptron import KERNELS, Perceptron
from linnet.net.schedules import one_cycle
from linnet.net.settings import NetSettings
from linnet.net.update import Autograd
from linnet.networks.activations import ACTIVATIONS, draw
from linnet.networks.base import Network
from linnet.networks.build import build
from linnet.objectives.base import Objective

ROWS = 70


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Nets this small gain nothing from more; those that are about threads set their own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def table(
    task: str, *, dtype: str = "float64", weighted: bool = False, rows: int = ROWS
) -> Dataset:
    """``rows`` of five columns: "classes", "two", "soft", "soft two", "numbers" or "targets"."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(rows, 5)).astype(dtype)
    y: np.ndarray[Any, Any]
    classes = 2 if "two" in task else 3
    if task in ("classes", "two"):
        y = draws.integers(0, classes, rows)
    elif task.startswith("soft"):
        y = draws.random((rows, classes))
        y /= y.sum(1, keepdims=True)
    else:
        y = 50 + 9 * draws.normal(size=(rows, 2) if task == "targets" else rows)
    data = linnet.read((x, y))
    return replace(data, weight=torch.tensor(draws.random(rows) + 0.1)) if weighted else data


def pictures(rows: int = ROWS) -> Dataset:
    draws = np.random.default_rng(0)
    x = draws.integers(0, 256, (rows, 3, 8, 8), dtype=np.uint8)
    return linnet.read((x, draws.integers(0, 3, rows)))


def settle(data: Dataset, **settings: Any) -> Recipe:
    """A recipe for all rows of ``data``: by default a small net, simply trained."""
    simple: dict[str, Any] = {
        "model": "mlp", "widths": [7], "channels": [4], "dropout": 0.0, "schedule": "constant",
        "epochs": 2, "batch_size": 32, "activation": "relu", "embedding": "none",
    }  # fmt: skip
    nothing = torch.arange(0)
    split = Split(torch.arange(len(data)), nothing, nothing)
    recipe = resolve(Recipe.make({**simple, **settings}), data, split)
    return only(recipe, recipe.model[0])


def begin(
    data: Dataset, module: nn.Module | None = None, **settings: Any
) -> tuple[Network, Objective, Train]:
    """The network at its start, and the loop that would train it on all rows of ``data``."""
    recipe = settle(data, **settings)
    (data,) = weigh(recipe.class_weight, data)
    network, objective = build_for(recipe, data.schema, module)
    method = begin_fit(recipe, network, objective, data, World())
    assert isinstance(method, Train)
    return network, objective, method


def batches_by_hand(rows: int, epochs: int, size: int = 32, seed: int = 0) -> Iterator[Tensor]:
    for epoch in range(epochs):
        order = torch.randperm(rows, generator=generator(seed, "batches", epoch))
        yield from order.split(size)


def train_by_hand(
    network: nn.Module,
    data: Dataset,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    epochs: int = 2,
    size: int = 32,
    clip: float | None = None,
) -> None:
    """Plain PyTorch; ``loss`` of raw predictions and the numbers of their rows."""
    network.train()
    for rows in batches_by_hand(len(data), epochs, size):

        def closure(rows: Tensor = rows) -> float:
            optimizer.zero_grad()
            value = loss(network(data.x[rows]), rows)
            value.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(network.parameters(), clip)
            return value.item()

        optimizer.step(closure)


def groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Biases and other parameters of one dimension do not decay."""
    every = list(network.parameters())
    return [
        {"params": [p for p in every if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in every if p.dim() <= 1], "weight_decay": 0.0},
    ]


def assert_close(one: nn.Module, two: nn.Module, rtol: float = 1e-9) -> None:
    for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol)


def fitted(
    data: Dataset, valid: Dataset | None = None, **settings: Any
) -> tuple[Artifact, list[Event]]:
    """A fit of all rows of ``data``, and its events."""
    events: list[Event] = []
    recipe = settle(data, **settings)
    valid = data.take(torch.arange(0)) if valid is None else valid
    return fit(recipe, data, valid, record=Record(echo=events.append)), events


def of_kind(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["event"] == kind]


# optimisers

OTHER: dict[str, Any] = {
    "momentum": 0.8, "dampening": 0.3, "nesterov": True, "betas": (0.8, 0.95), "eps": 1e-2,
    "alpha": 0.7, "weight_decay": 0.3,
}  # fmt: skip
"""For each option a value that is no default."""


def optimizer_cases() -> list[tuple[str, dict[str, Any]]]:
    """Every optimiser with its defaults, with each of its options, and with all of them."""
    cases: list[tuple[str, dict[str, Any]]] = []
    for name in OPTIMIZERS:
        cases.append((name, {}))
        takes = [key for key, takers in OPTIONS.items() if name in takers]
        for key in takes:
            needs = {"momentum": 0.9} if key in ("dampening", "nesterov") else {}
            cases.append((name, {**needs, key: OTHER[key]}))
        if len(takes) > 1:
            cases.append((name, {key: OTHER[key] for key in takes if key != "nesterov"}))
    return cases


def torch_optimizer(name: str) -> Any:
    """The class of ``torch.optim`` whose name this is."""
    return {key.lower(): value for key, value in vars(torch.optim).items()}[name]


@pytest.mark.parametrize(("name", "options"), optimizer_cases())
def test_every_optimizer_equals_pytorchs(name: str, options: dict[str, Any]) -> None:
    data = table("classes")
    decay = options.get("weight_decay", 0.0)
    whole = name in ("rprop", "lbfgs")
    size, epochs = (ROWS, 5) if whole else (32, 3)
    lr = 0.5 if name == "lbfgs" else 0.02
    given = {"batch_size": "all" if whole else 32, **options}
    if name in OPTIONS["weight_decay"]:
        given["weight_decay"] = decay
    mine, _, loop = begin(data, optimizer=name, lr=lr, epochs=epochs, **given)
    hand = copy.deepcopy(mine)
    kind = torch_optimizer(name)
    rest = {key: value for key, value in options.items() if key != "weight_decay"}
    if name == "lbfgs":
        by_hand = kind(hand.parameters(), lr=lr, line_search_fn="strong_wolfe")
    elif name not in OPTIONS["weight_decay"]:
        by_hand = kind(hand.parameters(), lr=lr, **rest)
    else:
        by_hand = kind(groups(hand, decay), lr=lr, **rest)
    before = copy.deepcopy(mine)
    list(loop)
    train_by_hand(
        hand, data, by_hand, lambda raw, rows: F.cross_entropy(raw, data.y[rows]),
        epochs=epochs, size=size,
    )  # fmt: skip
    assert_close(mine, hand)
    pairs = zip(before.parameters(), mine.parameters(), strict=True)
    assert not any(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_has_defaults_that_train(name: str) -> None:
    data = linnet.read("iris")
    size = "all" if name in ("rprop", "lbfgs") else 16
    artifact, _ = fitted(data, data, optimizer=name, widths=[64], epochs=15, batch_size=size)
    scores: Any = artifact.manifest.scores["valid"]
    assert scores["accuracy"] > 0.85 and scores["loss"] < 0.5  # even guesses: 0.33 and 1.1


def test_clipping_equals_pytorchs() -> None:
    data = table("classes")
    start, _, _ = begin(data, optimizer="sgd", lr=0.3)
    for clip in (0.05, 1e9):
        mine, _, loop = begin(data, optimizer="sgd", lr=0.3, clip=clip)
        hand = copy.deepcopy(mine)
        list(loop)
        by_hand = torch.optim.SGD(hand.parameters(), lr=0.3)
        train_by_hand(
            hand, data, by_hand, lambda raw, rows: F.cross_entropy(raw, data.y[rows]), clip=clip
        )
        assert_close(mine, hand)
        # the clip takes hold: none of the 6 steps is longer than lr times the bound
        pairs = zip(mine.parameters(), start.parameters(), strict=True)
        moved = math.sqrt(sum((a - b).detach().square().sum().item() for a, b in pairs))
        assert 0 < moved <= 6 * 0.3 * clip * (1 + 1e-9)


# losses


def two_logits(raw: Tensor) -> Tensor:
    """The one logit of two classes as cross_entropy takes it."""
    return torch.cat([torch.zeros_like(raw), raw], dim=1)


LossCase = tuple[str, bool, dict[str, Any], Callable[[Tensor, Tensor, Tensor, str], Tensor]]
W3 = torch.tensor([0.2, 1.0, 3.0], dtype=torch.float64)
W2 = torch.tensor([0.5, 2.0], dtype=torch.float64)


def balanced(y: Tensor) -> Tensor:
    weights = compute_class_weight("balanced", classes=np.unique(y), y=y.numpy())
    return torch.tensor(weights)


def weighted_mean(losses: Tensor, weight: Tensor, reduction: str) -> Tensor:
    total = (losses * weight).sum()
    return total / weight.sum() if reduction == "mean" else total


LOSSES: dict[str, LossCase] = {
    "plain": ("classes", False, {}, lambda raw, y, w, r: F.cross_entropy(raw, y, reduction=r)),
    "class weights": (
        "classes", False, {"class_weight": W3.tolist()},
        lambda raw, y, w, r: F.cross_entropy(raw, y, W3, reduction=r),
    ),
    "class weights, two": (
        "two", False, {"class_weight": W2.tolist()},
        lambda raw, y, w, r: F.cross_entropy(two_logits(raw), y, W2, reduction=r),
    ),
    "balanced": (
        "classes", False, {"class_weight": "balanced"},
        lambda raw, y, w, r: F.cross_entropy(
            raw, y, balanced(table("classes").y), reduction=r
        ),
    ),
    "smoothing": (
        "classes", False, {"label_smoothing": 0.2},
        lambda raw, y, w, r: F.cross_entropy(raw, y, label_smoothing=0.2, reduction=r),
    ),
    "smoothing, two": (
        "two", False, {"label_smoothing": 0.2},
        lambda raw, y, w, r: F.binary_cross_entropy_with_logits(
            raw[:, 0], 0.8 * y.double() + 0.1, reduction=r
        ),
    ),
    "smoothing, two, as two logits": (
        "two", False, {"label_smoothing": 0.2},
        lambda raw, y, w, r: F.cross_entropy(two_logits(raw), y, label_smoothing=0.2, reduction=r),
    ),
    "smoothing of soft targets": (
        "soft", False, {"label_smoothing": 0.2},
        lambda raw, y, w, r: F.cross_entropy(raw, y, label_smoothing=0.2, reduction=r),
    ),
    "smoothing of soft targets, two": (
        "soft two", False, {"label_smoothing": 0.2},
        lambda raw, y, w, r: F.cross_entropy(two_logits(raw), y, label_smoothing=0.2, reduction=r),
    ),
    "sample weights": (
        "classes", True, {},
        lambda raw, y, w, r: weighted_mean(F.cross_entropy(raw, y, reduction="none"), w, r),
    ),
    "sample weights, two": (
        "two", True, {},
        lambda raw, y, w, r: weighted_mean(
            F.binary_cross_entropy_with_logits(raw[:, 0], y.double(), reduction="none"), w, r
        ),
    ),
    "soft targets": ("soft", False, {}, lambda raw, y, w, r: F.cross_entropy(raw, y, reduction=r)),
    "soft targets, two": (
        "soft two", False, {},
        lambda raw, y, w, r: F.binary_cross_entropy_with_logits(raw[:, 0], y[:, 1], reduction=r),
    ),
    "all at once": (
        "classes", True, {"label_smoothing": 0.2, "class_weight": W3.tolist()},
        lambda raw, y, w, r: weighted_mean(
            F.cross_entropy(raw, y, label_smoothing=0.2, reduction="none"), w * W3[y], r
        ),
    ),
    "all at once, two": (
        "two", True, {"label_smoothing": 0.2, "class_weight": W2.tolist()},
        lambda raw, y, w, r: weighted_mean(
            F.binary_cross_entropy_with_logits(raw[:, 0], 0.8 * y.double() + 0.1, reduction="none"),
            w * W2[y], r,
        ),
    ),
    "all at once, soft": (
        "soft", True, {"label_smoothing": 0.2, "class_weight": W3.tolist()},
        lambda raw, y, w, r: weighted_mean(
            F.cross_entropy(raw, y, label_smoothing=0.2, reduction="none"), w * (y @ W3), r
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_equals_pytorchs(name: str, reduction: str) -> None:
    task, weighted, settings, loss = LOSSES[name]
    data = table(task, weighted=weighted)
    lr = 0.3 if reduction == "mean" else 0.01
    settings = {**settings, "reduction": reduction, "optimizer": "sgd", "lr": lr}
    mine, _, loop = begin(data, **settings)
    hand = copy.deepcopy(mine)
    shown = [step for step in loop if step.values]
    weight = torch.ones(ROWS, dtype=torch.float64) if data.weight is None else data.weight
    sums: list[float] = []

    def by_hand(raw: Tensor, rows: Tensor) -> Tensor:
        sums.append(loss(raw, data.y[rows], weight[rows], "sum").item())
        return loss(raw, data.y[rows], weight[rows], reduction)

    train_by_hand(hand, data, torch.optim.SGD(hand.parameters(), lr=lr), by_hand)
    assert_close(mine, hand)
    assert [float(step.values["loss_sum"]) for step in shown] == pytest.approx(sums, rel=1e-9)
    # the natural path goes the same way, to the bit
    artifact, _ = fitted(data, **settings)
    assert same_state(artifact.module, mine)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", ["numbers", "targets"])
def test_the_squared_loss_is_in_units_of_the_targets_deviations(
    task: str, weighted: bool, reduction: str
) -> None:
    data = table(task, weighted=weighted)
    lr = 0.3 if reduction == "mean" else 0.01
    mine, _, loop = begin(data, reduction=reduction, optimizer="sgd", lr=lr)
    hand = copy.deepcopy(mine)
    shown = [float(step.values["loss_sum"]) for step in loop if step.values]
    y = data.y.double().reshape(ROWS, -1)
    weight = torch.ones(ROWS, dtype=torch.float64) if data.weight is None else data.weight
    share = (weight / weight.sum())[:, None]
    variance = (share * (y - (share * y).sum(0)).square()).sum(0)
    sums: list[float] = []

    def by_hand(raw: Tensor, rows: Tensor) -> Tensor:
        losses = F.mse_loss(raw, y[rows], reduction="none") / 2
        sums.append((losses.sum(1) * weight[rows]).sum().item())
        return weighted_mean((losses / variance).sum(1), weight[rows], reduction)

    train_by_hand(hand, data, torch.optim.SGD(hand.parameters(), lr=lr), by_hand)
    assert_close(mine, hand)
    assert shown == pytest.approx(sums, rel=1e-9)


def test_class_weights_that_cannot_be_are_refused() -> None:
    data = table("classes")
    with pytest.raises(RecipeError, match="2 weights for 3 classes"):
        begin(data, class_weight=[1.0, 2.0])
    with pytest.raises(RecipeError, match="no row with a weight"):
        begin(data, class_weight=[0.0, 0.0, 0.0])
    for key, value in (("class_weight", "balanced"), ("label_smoothing", 0.1)):
        with pytest.raises(RecipeError, match=f"{key} goes with classes"):
            settle(table("numbers"), **{key: value})


# schedules


def rates(losses: list[float] | None = None, **settings: Any) -> tuple[list[float], int]:
    """The rate of every step, and the steps of an epoch; ``losses`` are those of the epochs."""
    _, _, loop = begin(table("classes"), optimizer="sgd", batch_size=16, **settings)
    found = []
    for step in loop:
        if step.values:
            found.append(float(step.values["lr"]))
            used = [group["lr"] for group in loop.optimizer.param_groups]
            assert used == [found[-1]] * len(used)
        if step.complete and step.index and losses is not None:
            loop.observe(losses[step.epoch - 1])
    return found, len(loop.batches)


def torchs_rates(
    make: Callable[[torch.optim.Optimizer], Any], lr: float, epochs: int, per_epoch: int,
    *, by: str = "epoch", losses: list[float] | None = None,
) -> list[float]:  # fmt: skip
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr)
    scheduler = make(optimizer)
    found = []
    for epoch in range(epochs):
        for _ in range(per_epoch):
            found.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            if by == "step":
                scheduler.step()
        if by == "epoch":
            scheduler.step(*([] if losses is None else [losses[epoch]]))
    return found


@pytest.mark.parametrize("gamma", [0.1, 0.7])
@pytest.mark.parametrize("step_size", [1, 3])
def test_step_and_exponential_equal_pytorchs(step_size: int, gamma: float) -> None:
    mine, per_epoch = rates(schedule="step", step_size=step_size, gamma=gamma, lr=0.3, epochs=8)
    theirs = torchs_rates(
        lambda optimizer: lr_scheduler.StepLR(optimizer, step_size, gamma), 0.3, 8, per_epoch
    )
    assert len(mine) == 8 * per_epoch and mine == pytest.approx(theirs, rel=1e-12)
    mine, _ = rates(schedule="exponential", gamma=gamma, lr=0.3, epochs=8)
    theirs = torchs_rates(
        lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma), 0.3, 8, per_epoch
    )
    assert mine == pytest.approx(theirs, rel=1e-12)


def test_cosine_equals_pytorchs_stepped_after_every_batch() -> None:
    mine, per_epoch = rates(schedule="cosine", lr=0.3, epochs=6)
    theirs = torchs_rates(
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 6 * per_epoch),
        0.3, 6, per_epoch, by="step",
    )  # fmt: skip
    assert mine == pytest.approx(theirs, rel=1e-9)
    assert mine[0] == 0.3 and mine[-1] > 0


@pytest.mark.parametrize("steps", [50, 500])
def test_one_cycle_is_pytorchs_to_within_a_step(steps: int) -> None:
    """PyTorch puts the ends of both parts on a step; here they are where the share says."""
    theirs = torchs_rates(
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, 1.0, steps, pct_start=0.25, div_factor=25, final_div_factor=1e9
        ),
        1.0, 1, steps, by="none",
    )[:1]  # fmt: skip
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    scheduler = lr_scheduler.OneCycleLR(
        optimizer, 1.0, steps, pct_start=0.25, div_factor=25, final_div_factor=1e9
    )
    for _ in range(steps - 1):
        optimizer.step()
        scheduler.step()
        theirs.append(float(optimizer.param_groups[0]["lr"]))
    mine = [one_cycle(k / steps, 1, NetSettings()) for k in range(steps)]
    assert mine[0] == pytest.approx(theirs[0])
    # a cosine that rises in a quarter is nowhere steeper than (1 - 1/25) * pi / 2 / 0.25
    assert np.abs(np.subtract(mine, theirs)).max() < (1 - 1 / 25) * math.pi / 2 / 0.25 / steps


@pytest.mark.parametrize("step_size", [1, 2])
def test_plateau_equals_pytorchs(step_size: int) -> None:
    losses = [1.0, 0.9, 0.9, 0.89999, 0.95, 0.9, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.4, 0.4, 0.4, 0.4]
    mine, per_epoch = rates(
        losses, schedule="plateau", step_size=step_size, gamma=0.5, lr=0.3, epochs=len(losses)
    )
    theirs = torchs_rates(
        lambda optimizer: lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=step_size
        ),
        0.3, len(losses), per_epoch, losses=losses,
    )  # fmt: skip
    assert mine == pytest.approx(theirs, rel=1e-12)
    assert len(set(mine)) == (6 if step_size == 1 else 3)


@pytest.mark.parametrize("held", [False, True])
def test_a_fit_lowers_its_rate_by_the_validation_loss(held: bool) -> None:
    """Or, where there are no validation rows, by the training loss."""
    data = table("classes")
    valid = table("classes", rows=30)
    _, events = fitted(
        data, valid if held else None, schedule="plateau", step_size=1, gamma=0.5, lr=0.1,
        optimizer="sgd", momentum=0.9, epochs=25, patience=25,
    )  # fmt: skip
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    mine, theirs = [], []
    sums: list[float] = []
    for event in events:
        if event["event"] == "step":
            mine.append(event["lr"])
            theirs.append(optimizer.param_groups[0]["lr"])
            sums.append(event["loss"] * (32, 32, 6)[(event["step"] - 1) % 3])
            if not held and event["step"] % 3 == 0:
                scheduler.step(sum(sums[-3:]) / ROWS)
        elif event["event"] == "evaluate" and event["step"]:
            scheduler.step(event["valid"]["loss"])
    assert len(mine) == 75 and mine == pytest.approx(theirs, rel=1e-12)
    assert not held or min(mine) < 0.1


@pytest.mark.parametrize("held", [False, True])
def test_what_is_logged_changes_nothing_that_is_learned(held: bool) -> None:
    data = table("classes")
    valid = table("classes", rows=30)
    models = [
        fitted(
            data, valid if held else None, schedule="plateau", step_size=1, gamma=0.5, lr=0.1,
            optimizer="sgd", momentum=0.9, epochs=25, patience=25, log_every=log_every,
        )[0].module
        for log_every in ("auto", 1, 7, "2 epochs", 10_000)
    ]  # fmt: skip
    assert all(same_state(model, models[0]) for model in models)


@pytest.mark.parametrize("warmup", [1, 2.5])
def test_warmup_is_a_linear_rise_to_the_full_rate(warmup: float) -> None:
    mine, per_epoch = rates(schedule="constant", warmup=warmup, lr=0.3, epochs=6)
    rise = warmup * per_epoch
    assert mine == pytest.approx([0.3 * min(1, (k + 1) / rise) for k in range(6 * per_epoch)])
    if rise == int(rise):
        theirs = torchs_rates(
            lambda optimizer: lr_scheduler.LinearLR(
                optimizer, 1 / rise, 1.0, total_iters=int(rise) - 1
            ),
            0.3, 6, per_epoch, by="step",
        )  # fmt: skip
        assert mine == pytest.approx(theirs)
    after, _ = rates(schedule="cosine", warmup=warmup, lr=0.3, epochs=6)
    without, _ = rates(schedule="cosine", lr=0.3, epochs=6)
    assert after == pytest.approx([a * b / 0.3 for a, b in zip(mine, without, strict=True)])


def test_every_schedule_was_tried() -> None:
    tried = {"constant", "step", "exponential", "cosine", "one_cycle", "plateau"}
    tried |= {"inverse", "adaptive"}  # in tests/estimators/test_estimator_nets.py
    assert set(SCHEDULES) == tried
    for name in tried:
        every, _ = rates([1.0] * 4, schedule=name, lr=0.3, epochs=4)
        assert all(0 < rate <= 0.3 for rate in every)


# activations

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu, "leaky_relu": F.leaky_relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "selu": F.selu, "gelu": F.gelu, "silu": F.silu, "softplus": F.softplus,
    "identity": lambda x: x,
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_pytorchs_where_it_should_stand(name: str) -> None:
    for kind, data in (("mlp", table("classes")), ("cnn", pictures())):
        network, _, _ = begin(data, model=kind, activation=name, batch_norm=False, dtype="float64")
        network.eval()
        state = network.state_dict()
        x: Tensor = network.get_submodule("scaling")(data.x)
        first = (state["hidden.0.weight"], state["hidden.0.bias"])
        z = F.linear(x, *first) if kind == "mlp" else F.conv2d(x, *first, padding=1)
        if kind == "cnn":
            z = F.max_pool2d(z, 2)
        raw = F.linear(FUNCTIONS[name](z).flatten(1), state["output.weight"], state["output.bias"])
        torch.testing.assert_close(network(data.x), raw, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(300, 200), (60, 30, 3, 3)])
def test_weights_have_the_variance_that_their_activation_states(
    name: str, shape: tuple[int, ...]
) -> None:
    kind = ACTIVATIONS[name]
    weight = torch.empty(shape, dtype=torch.float64)
    draw(weight, kind, generator(0, "weights"))
    area = math.prod(shape[2:])
    fan = shape[1] * area if kind.fan == "in" else (shape[0] + shape[1]) * area / 2
    expected = kind.gain**2 / fan
    # a variance of n normal numbers has a relative deviation of sqrt(2 / n)
    assert weight.var().item() == pytest.approx(expected, rel=5 * (2 / weight.numel()) ** 0.5)
    assert abs(weight.mean().item()) < 5 * (expected / weight.numel()) ** 0.5
    twin = torch.empty(shape, dtype=torch.float64)
    draw(twin, kind, generator(0, "weights"))
    assert torch.equal(weight, twin)


DEEP = [(name, 6) for name in ACTIVATIONS] + [
    (name, 20) for name in ("relu", "leaky_relu", "tanh", "selu", "identity")
]


@pytest.mark.parametrize(("name", "depth"), DEEP)
def test_a_deep_net_keeps_its_signals_size_at_the_start(name: str, depth: int) -> None:
    x = torch.randn(256, 256, generator=generator(0, "x"))
    spec = {
        "inputs": [256], "outputs": 1, "scale": "none", "widths": [256] * depth,
        "activation": name, "dropout": 0.0, "rescale": False, "batch_norm": False,
    }  # fmt: skip
    network = build("mlp", spec, "float32")
    network.start(x, None, None, generator(0, "weights"))
    sizes = []
    for module in network.get_submodule("hidden").children():
        with torch.no_grad():
            x = module(x)
        if isinstance(module, nn.Linear):
            sizes.append(x.square().mean().sqrt().item())
    assert len(sizes) == depth
    assert 0.5 < sizes[-1] / sizes[1] < 2


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_selu_goes_with_alpha_dropout_and_the_others_with_plain(model: str, name: str) -> None:
    network, _, loop = begin(pictures(), model=model, activation=name, dropout=0.3)
    drops = [m for m in network.modules() if isinstance(m, (nn.Dropout, nn.AlphaDropout))]
    assert [type(m) for m in drops] == [nn.AlphaDropout if name == "selu" else nn.Dropout]
    assert drops[0].p == 0.3
    # and it is on while training, by (seed, step), and off while scoring
    twin, _, again = begin(pictures(), model=model, activation=name, dropout=0.3)
    plain, _, without = begin(pictures(), model=model, activation=name, dropout=0.0)
    torch.manual_seed(1)
    list(loop)
    torch.manual_seed(2)
    list(again)
    list(without)
    assert same_state(network, twin)
    first, other = next(network.parameters()), next(plain.parameters())
    assert not torch.equal(first, other)
    raws = [evaluation.predict_raw(network, pictures().x) for _ in range(2)]
    assert torch.equal(*raws)


# the hand-written update

CHOICES: dict[str, list[Any]] = {
    "task": ["classes", "two", "soft", "soft two", "numbers", "targets"],
    "weighted": [False, True],
    "dropout": [0.0, 0.2],
    "clip": [None, 0.5],
    "dtype": ["float32", "float64"],
    "widths": [[7], [9, 4]],
    "reduction": ["mean", "sum"],
    "embedding": ["none", "piecewise", "periodic"],
}
FAST: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "lr": 0.05, "weight_decay": 0.01},
    "momentum": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9},
    "nesterov": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True},
    "adam": {"optimizer": "adam", "lr": 0.01, "weight_decay": 0.1},
    "adamw": {"optimizer": "adamw", "lr": 0.01},
}
LAYERS = ("dropout", "widths", "embedding")
KERNEL_NAMES = [name for name, kind in ACTIVATIONS.items() if kind.module in KERNELS]


def some_choices(activation: str, optimizer: str) -> list[dict[str, Any]]:
    """Seven of the many combinations, others for each activation and optimiser."""
    every = [dict(zip(CHOICES, values, strict=True)) for values in product(*CHOICES.values())]
    return random.Random(f"{activation} {optimizer}").sample(every, 7)


def test_the_combinations_that_are_tried_hold_every_pair_of_choices() -> None:
    pairs = set()
    for activation, optimizer in product(KERNEL_NAMES, FAST):
        for case in some_choices(activation, optimizer):
            items = [(key, repr(value)) for key, value in case.items()]
            items += [("activation", activation), ("optimizer", optimizer)]
            pairs |= {frozenset(pair) for pair in product(items, items)}
    values = [[("activation", name) for name in KERNEL_NAMES], [("optimizer", n) for n in FAST]]
    values += [[(key, repr(value)) for value in listed] for key, listed in CHOICES.items()]
    for one, two in product(values, values):
        for pair in product(one, two):
            assert one is two or frozenset(pair) in pairs, pair


def by_autograd(loop: Train, settings: dict[str, Any]) -> None:
    """Have the loop use autograd, and PyTorch's own fused step of the optimiser."""
    assert isinstance(loop.update, Perceptron)
    every = list(loop.network.parameters())
    for parameter in every:
        parameter.grad = None
    options = {"weight_decay": loop.settings.weight_decay, **settings}
    name, decay = options.pop("optimizer"), options.pop("weight_decay")
    every_group = groups(loop.network, decay) if decay else [{"params": every, "weight_decay": 0.0}]
    optimizer = torch_optimizer(name)(every_group, fused=True, **options)
    loop.update = Autograd(loop.network, loop.update.loss, optimizer, loop.settings.clip)
    loop.optimizer = optimizer


def by_autograd_alone(loop: Train) -> None:
    """Have the loop use autograd, and the optimiser that it has."""
    assert isinstance(loop.update, Perceptron)
    loop.update = Autograd(loop.network, loop.update.loss, loop.optimizer, loop.settings.clip)


def steps_of(loop: Train) -> list[tuple[float, float, float]]:
    keys = ("loss_sum", "rows", "lr")
    values = [step.values for step in loop if step.values]
    one, two, three = ([float(value[key]) for value in values] for key in keys)
    return list(zip(one, two, three, strict=True))


@pytest.mark.parametrize("optimizer", FAST)
@pytest.mark.parametrize("activation", KERNEL_NAMES)
def test_the_update_by_hand_has_the_bits_of_autograd(activation: str, optimizer: str) -> None:
    for case in some_choices(activation, optimizer):
        data = table(case["task"], dtype=case["dtype"], weighted=case["weighted"])
        chosen = dict(FAST[optimizer])
        if case["reduction"] == "sum" and chosen["optimizer"] == "sgd":
            chosen["lr"] /= 20
        settings = {
            **{key: case[key] for key in (*LAYERS, "reduction", "clip")},
            **chosen, "activation": activation, "epochs": 7,
        }  # fmt: skip
        mine, _, loop = begin(data, **settings)
        start = copy.deepcopy(mine)
        assert isinstance(loop.update, Perceptron)
        auto, _, reference = begin(data, **settings)
        by_autograd(reference, chosen)
        half, _, halfway = begin(data, **settings)
        by_autograd_alone(halfway)
        steps = steps_of(loop)
        assert len(steps) == 21 and np.isfinite(steps).all(), case
        np.testing.assert_allclose(steps_of(reference), steps, rtol=1e-6)
        list(halfway)
        assert same_state(mine, half), case
        assert same_state(mine, auto), case
        assert not same_state(mine, start)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("optimizer", FAST)
def test_the_bits_agree_where_the_kernels_use_several_threads(optimizer: str, threads: int) -> None:
    """256 rows of 150 numbers and more are above what PyTorch leaves to one thread."""
    which = list(FAST).index(optimizer) + threads
    draws = np.random.default_rng(0)
    x = draws.integers(0, 256, (1100, 1, 16, 16), dtype=np.uint8)
    data = linnet.read((x, draws.integers(0, 10, 1100)))
    if which % 2:
        data = replace(data, weight=torch.tensor(draws.random(1100)))
    settings: dict[str, Any] = {
        **FAST[optimizer], "widths": [200, 150], "dropout": 0.2, "batch_size": 256, "epochs": 4,
        "clip": (None, 0.5, 0.1)[which % 3],
        "activation": KERNEL_NAMES[which % len(KERNEL_NAMES)],
    }  # fmt: skip
    torch.set_num_threads(threads)  # the fixture sets them back
    mine, _, loop = begin(data, **settings)
    auto, _, reference = begin(data, **settings)
    assert isinstance(loop.update, Perceptron) and loop.batches.sizes == [256] * 4 + [76]
    by_autograd(reference, FAST[optimizer])
    list(loop)
    list(reference)
    assert same_state(mine, auto)


def test_a_loop_can_be_gone_through_again() -> None:
    """The hand-written update and autograd both go on from where the weights are."""
    data = table("classes")
    mine, _, loop = begin(data, dropout=0.2)
    auto, _, reference = begin(data, dropout=0.2)
    by_autograd_alone(reference)
    for _ in range(2):
        list(loop)
        list(reference)
        assert same_state(mine, auto)


def test_the_update_by_hand_is_only_for_what_it_knows() -> None:
    data = table("classes")
    others = [name for name in OPTIMIZERS if name not in ("sgd", "adam", "adamw")]
    cases: list[dict[str, Any]] = [
        {"batch_norm": True}, {"activation": "selu"}, {"activation": "softplus"},
        {"activation": "identity"}, {"activation": "selu", "dropout": 0.2},
        {"precision": "bfloat16"}, *({"optimizer": name} for name in others),
    ]  # fmt: skip
    for settings in cases:
        network, _, loop = begin(data, **settings)
        assert isinstance(loop.update, Autograd), settings
        if "precision" not in settings:
            assert not Perceptron.suits(network, loop.optimizer), settings
    network, _, loop = begin(data)
    assert Perceptron.suits(network, loop.optimizer)
    assert not Perceptron.suits(network, torch.optim.AdamW(network.parameters()))
    next(network.parameters()).requires_grad_(False)
    assert not Perceptron.suits(network, loop.optimizer)
    convolutions, _, loop = begin(pictures(), model="cnn")
    assert not Perceptron.suits(convolutions, loop.optimizer)


def test_frozen_parameters_stay() -> None:
    data = table("classes")
    module = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    module[0].requires_grad_(False)
    before = copy.deepcopy(module.state_dict())
    _, _, loop = begin(data, module, model="custom")
    assert isinstance(loop.update, Autograd)
    list(loop)
    after = module.state_dict()
    assert [torch.equal(before[key], after[key]) for key in before] == [True, True, False, False]


class Idle(nn.Module):
    """A line with a parameter that it does not use, the only one that would not decay."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(5, 3, bias=False, dtype=torch.float64)
        self.unused = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        raw: Tensor = self.line(x)
        return raw


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_parameters_without_a_gradient_stay(name: str, decay: float) -> None:
    data = table("classes")
    chosen = {**FAST[name], "weight_decay": decay}
    module = Idle()
    mine, _, loop = begin(data, module, model="custom", **chosen)
    hand = copy.deepcopy(mine)
    list(loop)
    assert torch.equal(module.unused, torch.ones_like(module.unused))
    by_hand = torch_optimizer(chosen.pop("optimizer"))(
        groups(hand, chosen.pop("weight_decay")), **chosen
    )
    train_by_hand(hand, data, by_hand, lambda raw, rows: F.cross_entropy(raw, data.y[rows]))
    assert_close(mine, hand)


# averages


@pytest.mark.parametrize("kind", ["ema", "mean"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("every", ["auto", 4])
def test_averages_equal_pytorchs(kind: str, batch_norm: bool, every: str | int) -> None:
    network, _, loop = begin(
        table("classes"), averaging=kind, average_decay=0.8, batch_norm=batch_norm, epochs=8,
        evaluate_every=every,
    )  # fmt: skip
    average: Any = {
        "ema": swa_utils.get_ema_multi_avg_fn(0.8), "mean": swa_utils.get_swa_multi_avg_fn()
    }[kind]  # fmt: skip
    theirs = swa_utils.AveragedModel(network, multi_avg_fn=average)
    assert loop.scored is not network
    compared = 0
    for step in loop:
        if not step.index:
            continue
        due = kind == "ema" or (step.index % 3 == 0 and step.epoch > 6)
        if due:
            theirs.update_parameters(network)
        if step.complete:
            expected = theirs.module if theirs.n_averaged else network
            for name, value in expected.state_dict().items():
                mine = loop.scored.state_dict()[name]
                if "running" in name or "num_" in name:  # buffers are those that train
                    value = network.state_dict()[name]
                torch.testing.assert_close(mine, value, rtol=1e-12, atol=1e-12)
            compared += 1
    assert compared == (8 if every == "auto" else 6)
    assert int(theirs.n_averaged) == (24 if kind == "ema" else 2)
    assert not same_state(loop.scored, network)


def test_the_average_is_what_is_scored_and_kept() -> None:
    data, valid = table("classes"), table("classes", rows=40)
    for kind in ("ema", "mean"):
        settings: dict[str, Any] = {
            "averaging": kind,
            "average_decay": 0.9,
            "epochs": 6,
            "patience": 6,
            "lr": 0.02,
        }
        artifact, events = fitted(data, valid, **settings)
        network, objective, loop = begin(data, **settings)
        scores, states = [], []
        average: Any = {
            "ema": swa_utils.get_ema_multi_avg_fn(0.9), "mean": swa_utils.get_swa_multi_avg_fn()
        }[kind]  # fmt: skip
        theirs = swa_utils.AveragedModel(network, multi_avg_fn=average)
        for step in loop:
            if step.index and (kind == "ema" or (step.index % 3 == 0 and step.epoch > 4)):
                theirs.update_parameters(network)
            if step.complete:
                shown = theirs.module if theirs.n_averaged else network
                assert isinstance(shown, Network)
                scores.append(evaluation.measure(shown, objective, valid)["loss"])
                states.append(copy.deepcopy(shown))
        mine = [event["valid"]["loss"] for event in of_kind(events, "evaluate")]
        assert mine == pytest.approx(scores, rel=1e-9)
        best = 1 + int(np.argmin(scores[1:]))
        assert artifact.manifest.fit["best_epoch"] == best
        assert_close(artifact.module, states[best])


@pytest.mark.parametrize("kind", ["ema", "mean"])
def test_the_average_is_up_to_date_where_training_stops_of_itself(kind: str) -> None:
    """No epoch is 10 better than the one before, so the third is the last; the next evaluation
    was not yet due."""
    network, _, loop = begin(
        table("classes"), averaging=kind, epochs=50, evaluate_every=1000, min_delta=10.0,
        patience=1, batch_norm=True,
    )  # fmt: skip
    start = copy.deepcopy(network)
    steps = list(loop)
    assert steps[-1].complete and "training loss" in str(steps[-1].reason)
    assert steps[-1].index == 9
    buffers = dict(network.named_buffers())
    for name, value in loop.scored.named_buffers():
        assert torch.equal(value, buffers[name]), name
    assert not same_state(loop.scored, start)
    if kind == "mean":  # there is no average yet: the weights stand for it
        assert same_state(loop.scored, network)


def test_an_average_shares_nothing_with_the_network() -> None:
    network, _, _ = begin(table("classes"), batch_norm=True)
    average = Average(network, "ema", 0.9)
    places = {tensor.data_ptr() for tensor in network.state_dict().values()}
    assert not places & {tensor.data_ptr() for tensor in average.network.state_dict().values()}
    assert not any(parameter.requires_grad for parameter in average.network.parameters())


# batch norm


@pytest.mark.parametrize("model", ["mlp", "cnn"])
@pytest.mark.parametrize("averaging", ["none", "ema"])
def test_scoring_leaves_the_modes_of_training(model: str, averaging: str) -> None:
    data = pictures()
    network, objective, loop = begin(
        data, model=model, batch_norm=True, dropout=0.2, averaging=averaging
    )
    twin, _, unscored = begin(data, model=model, batch_norm=True, dropout=0.2, averaging=averaging)
    for step in loop:
        if step.complete:
            one = evaluation.measure(loop.scored, objective, data)
            assert one == evaluation.measure(loop.scored, objective, data)
        if step.index:
            assert all(module.training for module in network.modules())
    list(unscored)
    assert same_state(network, twin)  # nor do scores change what is learned


def test_a_fit_leaves_evaluation_mode() -> None:
    data = table("classes")
    artifact, _ = fitted(data, data, batch_norm=True, dropout=0.2, recompute_norm=True)
    assert not any(module.training for module in artifact.module.modules())
    raws = [artifact.module(data.x[:1]) for _ in range(2)]
    assert torch.equal(*raws)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_last_batch_of_one_row_trains_with_batch_norm(model: str) -> None:
    data = pictures(33)
    artifact, _ = fitted(data, data, model=model, batch_norm=True, batch_size=32)
    assert artifact.manifest.fit["steps"] == 2
    plain, _ = fitted(data, data, model=model, batch_norm=False, batch_size=32)
    assert plain.manifest.fit["steps"] == 4


@pytest.mark.parametrize(
    ("rows", "size", "sizes"),
    [(33, 32, [33]), (34, 32, [32, 2]), (65, 32, [32, 33]), (64, 32, [32, 32]), (5, 9, [5])],
)
def test_pairs_leave_no_row_alone(rows: int, size: int, sizes: list[int]) -> None:
    data = table("classes", rows=rows)
    batches = Batches(data, size, 0, pairs=True)
    xs = [x for x, _, _ in batches.epoch(0)]
    assert [len(x) for x in xs] == sizes and len(batches) == len(sizes)
    assert torch.equal(torch.cat(xs).sort(0).values, data.x.sort(0).values)


@pytest.mark.parametrize("rows", [70, 2500])
def test_recomputed_norms_equal_pytorchs(rows: int) -> None:
    data = table("classes", rows=rows)
    network, _, loop = begin(data, batch_norm=True, widths=[7, 6])
    list(loop)
    norms = batch_norms(network)
    assert len(norms) == 2
    network.eval()
    network.get_submodule("hidden.0").train()
    modes = [module.training for module in network.modules()]
    for norm in norms:
        norm.momentum = 0.3
    before = copy.deepcopy(network)
    hand = copy.deepcopy(network)
    recompute_norms(network, data.x)
    swa_utils.update_bn(list(data.x.chunk(-(-rows // 1024))), hand)
    assert same_state(network, hand) and not same_state(network, before)
    assert [module.training for module in network.modules()] == modes
    assert [norm.momentum for norm in norms] == [0.3, 0.3]


def test_norms_are_recomputed_for_the_weights_that_are_kept() -> None:
    data, valid = table("classes"), table("classes", rows=40)
    artifact, _ = fitted(data, valid, batch_norm=True, recompute_norm=True, dropout=0.2, epochs=5)
    usual, _ = fitted(data, valid, batch_norm=True, dropout=0.2, epochs=5)
    hand = copy.deepcopy(usual.module)
    for module in hand.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    swa_utils.update_bn([data.x], hand)
    assert same_state(artifact.module, hand) and not same_state(artifact.module, usual.module)
    scores: Any = artifact.manifest.scores["valid"]
    assert scores == evaluation.measure(hand, artifact.objective, valid)


# pictures, changed


def test_shift_moves_by_at_most_so_many_pixels_and_repeats_the_edge() -> None:
    x = pictures(60).x
    kept = x.clone()
    moved = Augment(shift=2)(x, 0, 1)
    assert moved.dtype == torch.uint8 and moved.shape == x.shape and torch.equal(x, kept)
    seen = set()
    for before, after in zip(x, moved, strict=True):
        wide = np.pad(before.numpy(), ((0, 0), (2, 2), (2, 2)), mode="edge")
        found = [
            (down, right)
            for down, right in product(range(5), repeat=2)
            if np.array_equal(wide[:, down : down + 8, right : right + 8], after.numpy())
        ]
        assert len(found) == 1
        seen |= set(found)
    assert {down for down, _ in seen} == {right for _, right in seen} == set(range(5))


def test_flip_mirrors_about_every_second_picture() -> None:
    x = pictures(400).x
    flipped = Augment(flip=True)(x, 0, 1)
    mirrored = [
        torch.equal(after, before.flip(-1)) for before, after in zip(x, flipped, strict=True)
    ]
    same_as = [torch.equal(after, before) for before, after in zip(x, flipped, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same_as, strict=True))
    assert 140 < sum(mirrored) < 260  # 6 deviations


@pytest.mark.parametrize("side", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_cutout_fills_a_square(side: int, dtype: torch.dtype) -> None:
    x = torch.full((300, 3, 8, 8), 200).to(dtype)
    out = Augment(cutout=side, fill=33.4)(x, 0, 1)
    assert out.dtype == dtype and (x == 200).all()
    fill = torch.tensor(33.4).to(dtype)
    assert ((out == 200) | (out == fill)).all()
    sizes = []
    for picture in out == fill:
        assert torch.equal(picture[0], picture[1]) and torch.equal(picture[0], picture[2])
        rows, columns = picture[0].any(1).nonzero()[:, 0], picture[0].any(0).nonzero()[:, 0]
        tall, wide = (int(place[-1] - place[0]) + 1 for place in (rows, columns))
        assert int(picture[0].sum()) == tall * wide  # a rectangle
        sizes.append((tall, wide))
        for size, place in ((tall, rows), (wide, columns)):
            assert size == side or int(place[0]) == 0 or int(place[-1]) == 7  # over the edge
    assert max(sizes) == (side, side) and (side == 1 or min(sizes) < (side, side))


def test_changed_pictures_are_a_function_of_seed_and_step() -> None:
    x = pictures().x
    augment = Augment(2, True, 3, 100.0)
    state = torch.get_rng_state()
    one, two = augment(x, 0, 1), augment(x, 0, 1)
    assert torch.equal(one, two)
    assert not torch.equal(one, augment(x, 0, 2)) and not torch.equal(one, augment(x, 1, 1))
    assert torch.equal(state, torch.get_rng_state())
    floats = augment(x.double(), 0, 1)
    assert floats.dtype == torch.float64 and torch.equal(floats, one.double())
    assert augment and not Augment() and torch.equal(Augment()(x, 0, 1), x)


def test_a_fit_uses_the_changed_pictures_and_scores_the_plain_ones() -> None:
    data = pictures()
    settings: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.0, "seed": 3}
    mine, _, loop = begin(data, shift=1, flip=True, cutout=2, **settings)
    hand = copy.deepcopy(mine)
    augment = Augment(1, True, 2, data.x.float().mean().item())
    list(loop)
    optimizer = torch.optim.SGD(hand.parameters(), 0.1)
    for index, rows in enumerate(batches_by_hand(ROWS, 2, seed=3)):
        optimizer.zero_grad()
        F.cross_entropy(hand(augment(data.x[rows], 3, index)), data.y[rows]).backward()
        optimizer.step()
    assert_close(mine, hand, 1e-5)
    artifact, _ = fitted(data, data, shift=1, flip=True, cutout=2, epochs=2, **settings)
    loss = evaluation.measure(mine, artifact.objective, data)["loss"]
    assert artifact.manifest.scores["valid"]["loss"] <= loss  # type: ignore[index, call-overload, operator]


@pytest.mark.parametrize("key", ["shift", "flip", "cutout"])
def test_tables_are_not_changed(key: str) -> None:
    data = table("classes")
    on: dict[str, Any] = {key: True if key == "flip" else 2}
    off: dict[str, Any] = {key: False if key == "flip" else 0}
    with pytest.raises(RecipeError, match=f"{key} goes with pictures; this is a table"):
        fitted(data, **on)
    fitted(data, **off)


# the finder


@pytest.mark.parametrize(
    ("optimizer", "model"), [("adamw", "mlp"), ("sgd", "mlp"), ("adam", "cnn")]
)
def test_the_rate_that_is_found_trains_well(optimizer: str, model: str) -> None:
    data = linnet.read("digits")
    split = data.split(test=0.2, valid=None, seed=0)
    train, valid = data.take(split.train), data.take(split.valid)
    settings: dict[str, Any] = {
        "model": model, "widths": [64], "channels": [8, 16], "optimizer": optimizer, "epochs": 5,
        "schedule": "one_cycle",
    }  # fmt: skip
    artifact, events = fitted(train, valid, lr="find", **settings)
    rate = artifact.manifest.fit["lr_found"]
    assert isinstance(rate, float) and 1e-6 < rate < 10
    assert max(event["lr"] for event in of_kind(events, "step")) <= rate
    scores: Any = artifact.manifest.scores["valid"]
    assert scores["accuracy"] > 0.9
    # what was found is all that came of it
    told, _ = fitted(train, valid, lr=rate, **settings)
    assert same_state(artifact.module, told.module)


def test_finding_a_rate_touches_neither_weights_nor_generators() -> None:
    data = table("classes")
    settings: dict[str, Any] = {"batch_norm": True, "dropout": 0.2, "averaging": "ema"}
    state = torch.get_rng_state()
    found, objective, loop = begin(data, lr="find", **settings)
    given, _, other = begin(data, lr=0.01, **settings)
    assert torch.equal(state, torch.get_rng_state())
    assert same_state(found, given) and same_state(loop.scored, other.scored)
    assert all(parameter.grad is None for parameter in found.parameters())
    before = copy.deepcopy(found)

    def make(network: Network, settings: NetSettings) -> Train:
        return Train(network, objective, loop.batches, settings, seed=0)

    rate = find_rate(make, found, loop.settings)
    assert rate == loop.settings.lr == loop.facts["lr_found"]
    assert same_state(found, before) and torch.equal(state, torch.get_rng_state())


def test_a_rate_that_does_not_exist_is_said_so() -> None:
    """Targets that are nothing but the inputs' opposite each time: no rate lowers such a loss."""
    data = table("classes")
    module = nn.Linear(5, 3).double()
    nn.init.zeros_(module.weight)
    nn.init.constant_(module.bias, math.nan)
    with pytest.raises(Diverged, match="lr=find: no learning rate"):
        begin(data, module, model="custom", lr="find")


# divergence


def test_a_rate_far_too_high_is_reported_with_its_step_and_a_remedy() -> None:
    data = linnet.read("diabetes")
    with pytest.warns(LinnetWarning, match="lr=1e"), pytest.raises(Diverged) as caught:
        fitted(data, data, optimizer="sgd", lr=1e6, epochs=40)
    text = str(caught.value)
    assert "no longer finite at step " in text and "the largest gradient before it was " in text
    assert "smaller lr" in text and "clip=1" in text and "1e+06" in text
    step = int(text.split("at step ")[1].split(";")[0].split(" ")[0])
    network, _, loop = begin(data, optimizer="sgd", lr=1e6, epochs=40)
    first, largest = 0, 0.0
    for each in loop:
        if each.values and not math.isfinite(float(each.values["loss_sum"])):
            first = each.index
            break
        if each.values:
            every = [float(p.grad.abs().max()) for p in network.parameters() if p.grad is not None]
            largest = max([largest, *every])
    assert step == first > 0
    shown = float(text.split("before it was ")[1].split(";")[0])
    assert shown == pytest.approx(largest, rel=0.01)


@pytest.mark.parametrize("log_every", ["auto", 1000])
@pytest.mark.parametrize("held", [False, True])
def test_what_is_not_finite_is_never_kept(held: bool, log_every: str | int) -> None:
    data = linnet.read("diabetes")
    valid = data if held else None
    with pytest.warns(LinnetWarning):
        for epochs in range(1, 6):
            try:
                artifact, events = fitted(
                    data, valid, optimizer="sgd", lr=1e6, epochs=epochs, log_every=log_every,
                    batch_size=100,
                )  # fmt: skip
            except Diverged as error:
                assert "at step" in str(error)
            else:
                assert all(t.isfinite().all() for t in artifact.module.state_dict().values())
                losses = [event["valid"]["loss"] for event in of_kind(events, "evaluate")]
                assert all(math.isfinite(loss) for loss in losses)


def test_a_validation_loss_that_is_not_finite_ends_the_fit() -> None:
    data = table("numbers")
    far = replace(data, x=torch.full_like(data.x, 1e308))
    with pytest.raises(Diverged, match="validation loss"):
        fitted(data, far, lr=0.01, scaling="pixel")  # which holds no input within bounds


# generators


GENERATORS: dict[str, dict[str, Any]] = {
    "dropout": {"dropout": 0.3},
    "alpha dropout": {"dropout": 0.3, "activation": "selu"},
    "batch_norm": {"batch_norm": True, "recompute_norm": True},
    "lbfgs": {"optimizer": "lbfgs", "batch_size": "all", "dropout": 0.3},
    "find": {"lr": "find", "dropout": 0.3},
    "averaging": {"averaging": "ema", "dropout": 0.3},
    "cnn": {"model": "cnn", "shift": 1, "flip": True, "cutout": 2, "dropout": 0.3},
    "stopped early": {"dropout": 0.3, "epochs": 40, "patience": 1, "lr": 0.3},
}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_fit_leaves_the_global_generators_and_does_not_hear_them(name: str) -> None:
    data = pictures()
    valid = pictures(40)
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        states = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
        artifact, _ = fitted(data, valid, **GENERATORS[name])
        models.append(artifact.module)
        assert torch.equal(states[0], torch.get_rng_state())
        assert (str(np.random.get_state()), random.getstate()) == states[1:]
    assert same_state(*models)


def test_a_fit_that_fails_leaves_the_global_generator_too() -> None:
    data = linnet.read("diabetes")
    state = torch.get_rng_state()
    with pytest.warns(LinnetWarning), pytest.raises(Diverged):
        fitted(data, data, optimizer="sgd", lr=1e6, epochs=40, dropout=0.2)
    assert torch.equal(state, torch.get_rng_state())


def test_lbfgs_sees_the_same_dropout_along_its_line() -> None:
    """Else the objective would not be a function, and a line search on it means nothing."""
    data = table("classes")
    mine, _, loop = begin(data, optimizer="lbfgs", batch_size="all", dropout=0.3, epochs=3, lr=1.0)
    hand = copy.deepcopy(mine)
    seeds = []
    original = torch.default_generator.manual_seed
    by_hand = torch.optim.LBFGS(hand.parameters(), 1.0, line_search_fn="strong_wolfe")
    list(loop)
    hand.train()
    with torch.random.fork_rng(devices=[]):
        for index, rows in enumerate(batches_by_hand(ROWS, 3, ROWS)):
            seeds.append(derive(0, "dropout", index))

            def closure(rows: Tensor = rows, seed: int = seeds[-1]) -> float:
                original(seed)
                by_hand.zero_grad()
                loss = F.cross_entropy(hand(data.x[rows]), data.y[rows])
                loss.backward()
                return loss.item()

            by_hand.step(closure)
    assert_close(mine, hand, 1e-7)


# scaling and refusals


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_scaling_by_given_numbers_is_as_of_pixels_over_255(model: str) -> None:
    data = pictures()
    artifact, _ = fitted(data, model=model, scaling=[0.1307, 0.3081])
    scaled = artifact.module.get_submodule("scaling")(data.x)
    expected = (data.x.double() / 255 - 0.1307) / 0.3081
    torch.testing.assert_close(scaled.double(), expected, rtol=1e-6, atol=1e-6)
    facts: Any = artifact.manifest.fit["scaling"]
    assert facts["kind"] == "pixel"
    assert (facts["mean"], facts["deviation"]) == pytest.approx((0.1307, 0.3081), rel=1e-6)


def test_scaling_by_given_numbers_takes_a_tables_as_they_are() -> None:
    data = table("classes")
    artifact, _ = fitted(data, scaling=[2.0, 4.0])
    scaled = artifact.module.get_submodule("scaling")(data.x)
    torch.testing.assert_close(scaled, (data.x - 2) / 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"momentum": 0.9}, "momentum goes with optimizer sgd or rmsprop; adamw has none"),
        ({"dampening": 0.1, "optimizer": "adam"}, "dampening goes with optimizer sgd; adam has"),
        ({"nesterov": True}, "nesterov goes with optimizer sgd; adamw has none"),
        ({"nesterov": True, "optimizer": "sgd"}, "nesterov needs a momentum above 0"),
        (
            {"nesterov": True, "optimizer": "sgd", "momentum": 0.9, "dampening": 0.1},
            "nesterov needs a momentum above 0 and no dampening",
        ),
        ({"betas": [0.9, 0.99], "optimizer": "sgd"}, "betas goes with optimizer adam or adamw"),
        ({"eps": 1e-8, "optimizer": "sgd"}, "eps goes with optimizer adam"),
        ({"alpha": 0.9}, "alpha goes with optimizer rmsprop; adamw has none"),
        ({"weight_decay": 0.1, "optimizer": "lbfgs"}, "lbfgs has none"),
        ({"weight_decay": 0.1, "optimizer": "rprop"}, "rprop has none"),
        ({"optimizer": "adamv"}, 'unknown optimizer "adamv"; did you mean "adam'),
        ({"schedule": "cosin"}, 'unknown schedule "cosin"; did you mean "cosine"?'),
        ({"betas": [0.9, 1.0]}, '"betas.1" is 1.0'),
        ({"momentum": 1.0, "optimizer": "sgd"}, '"momentum" is 1.0'),
        ({"label_smoothing": 1.0}, '"label_smoothing" is 1.0'),
        ({"clip": 0}, '"clip" is 0'),
        ({"lr": 0}, "greater than 0"),
        ({"lr": "finds"}, "'auto' or 'find'"),
        ({"evaluate_every": "2 weeks"}, '"evaluate_every" is'),
        ({"evaluate_every": 0}, '"evaluate_every'),
        ({"reduction": "none"}, '"reduction" is'),
        ({"averaging": "swa"}, '"averaging" is'),
        ({"scaling": [0.1, 0.0]}, '"scaling'),
        ({"activation": "relu6"}, '"activation" is'),
        ({"learning_rate": 0.1}, 'unknown key "learning_rate"'),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.make(settings)
    assert message in str(caught.value)


def test_a_cnn_takes_no_table() -> None:
    with pytest.raises(RecipeError, match="a cnn takes pictures, and this is a table; use mlp"):
        fitted(table("classes"), model="cnn")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "sgd", "lr": 20, "epochs": 1}, "try lr=find"),
        ({"optimizer": "lbfgs", "batch_size": 32, "lr": 0.1}, "use batch_size=all"),
        ({"optimizer": "rprop", "batch_size": 32}, "use batch_size=all"),
    ],
)
def test_what_is_hardly_meant_is_done_with_a_warning(
    settings: dict[str, Any], message: str
) -> None:
    data = table("classes")
    with pytest.warns(LinnetWarning, match=message) as caught:
        artifact, events = fitted(data, **{"clip": 0.01, **settings})
    assert len(caught) == 1 and artifact.manifest.fit["steps"]
    (finding,) = of_kind(events, "finding")
    assert message in finding["text"] and finding["model"] == "mlp"


def test_what_is_meant_is_done_without_a_warning() -> None:
    data = table("classes")
    for settings in (
        {"optimizer": "sgd", "lr": 10.0, "clip": 0.01},
        {"optimizer": "lbfgs", "batch_size": "all"},
        {"optimizer": "lbfgs", "batch_size": "auto", "epochs": 2},
        {"optimizer": "rprop", "batch_size": 100},
    ):  # fmt: skip
        _, events = fitted(data, **settings)
        assert not of_kind(events, "finding")


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_half_precision_is_of_the_products_alone(model: str) -> None:
    data = pictures()
    settings: dict[str, Any] = {"model": model, "optimizer": "sgd", "lr": 0.05, "widths": [32]}
    full, _, loop = begin(data, **settings)
    half, _, other = begin(data, precision="bfloat16", **settings)
    assert isinstance(other.update, Autograd)
    steps, halves = steps_of(loop), steps_of(other)
    assert all(t.dtype == torch.float32 for t in half.parameters())
    assert not same_state(full, half)
    # bfloat16 has 8 bits: a product is off by at most 2**-8 of itself, a loss by about as much
    assert [h[0] for h in halves] == pytest.approx([s[0] for s in steps], rel=0.05)
    for one, two in zip(full.parameters(), half.parameters(), strict=True):
        assert (one - two).abs().max() < 0.05 * one.abs().max() + 1e-2
