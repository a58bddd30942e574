"""Every objective keeps its contract: derivatives, bound, domain, constant."""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from linnet.core.registry import lookup
from linnet.objectives import OBJECTIVES, arrays, find
from linnet.objectives.base import Objective

ROWS = 40


def problems() -> list[tuple[str, str]]:
    return [
        ("squared", "one"), ("squared", "many"), ("logistic", "codes"), ("logistic", "shares"),
        ("softmax", "codes"), ("softmax", "shares"),
    ]  # fmt: skip


def test_every_objective_is_tried() -> None:
    assert {name for name, _ in problems()} == set(OBJECTIVES)


def make(name: str, kind: str) -> tuple[Objective, Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    outputs = {"one": 1, "many": 3}.get(kind, 1 if name == "logistic" else 4)
    raw = 3 * torch.randn(ROWS, outputs, generator=random, dtype=torch.float64)
    y: Tensor
    if name == "squared":
        y = torch.randn(ROWS, outputs, generator=random, dtype=torch.float64)
        y = y[:, 0] if kind == "one" else y
    elif kind == "codes":
        y = torch.randint(0, max(2, outputs), (ROWS,), generator=random)
    else:
        y = torch.rand(ROWS, outputs, generator=random, dtype=torch.float64)
        y = y[:, 0] if name == "logistic" else y / y.sum(1, keepdim=True)
    return lookup(OBJECTIVES, name, "objective")(), raw, y


@pytest.mark.parametrize(("name", "kind"), problems())
def test_derivatives_equal_autograds(name: str, kind: str) -> None:
    objective, raw, y = make(name, kind)
    raw.requires_grad_()
    (gradient,) = torch.autograd.grad(objective.loss(raw, y).sum(), raw)
    with torch.no_grad():
        assert torch.allclose(objective.gradient(raw, y), gradient, rtol=1e-12, atol=1e-12)
    direction = torch.randn(raw.shape, dtype=torch.float64)

    def total(point: Tensor) -> Tensor:
        return objective.loss(point, y).sum()

    _, product = torch.autograd.functional.hvp(total, raw.detach(), direction)
    mine = objective.curvature(raw.detach(), y, direction)
    assert torch.allclose(mine, product, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "kind"), problems())
def test_curvature_is_convex_and_at_most_one(name: str, kind: str) -> None:
    objective, raw, y = make(name, kind)
    raw = torch.cat([raw, 0.01 * raw])
    y = torch.cat([y, y])
    columns = [
        objective.curvature(raw, y, unit.expand_as(raw).clone())
        for unit in torch.eye(raw.shape[1], dtype=torch.float64)
    ]
    values = torch.linalg.eigvalsh(torch.stack(columns, dim=2))
    assert values.min() > -1e-12
    assert values.max() <= 1 + 1e-12


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "kind"), problems())
def test_constant_is_the_best_constant(name: str, kind: str, weighted: bool) -> None:
    objective, raw, y = make(name, kind)
    weight = torch.rand(ROWS, dtype=torch.float64) if weighted else None
    targets = objective.mean(raw) - objective.gradient(raw, y)
    mean = targets.mean(0) if weight is None else weight @ targets / weight.sum()
    best = objective.link(mean)
    gradient = objective.gradient(best.expand_as(raw).clone(), y)
    slope = gradient.mean(0) if weight is None else weight @ gradient / weight.sum()
    assert slope.abs().max() < 1e-12


@pytest.mark.parametrize(("name", "kind"), problems())
def test_losses_are_exact_far_out(name: str, kind: str) -> None:
    objective, raw, y = make(name, kind)
    assert objective.loss(1000 * raw, y).isfinite().all()
    assert objective.gradient(1000 * raw, y).isfinite().all()


def test_a_small_log_loss_is_not_lost() -> None:
    """exp(-46) is about 1e-20: a probability of 1 - 1e-20 is 1 in float64, its loss is not 0."""
    raw = torch.tensor([[46.0]], dtype=torch.float64)
    loss = lookup(OBJECTIVES, "logistic", "objective")().loss(raw, torch.tensor([1]))
    assert loss.item() == pytest.approx(1.0530617e-20, rel=1e-6)


@pytest.mark.parametrize(("name", "kind"), problems())
def test_mean_and_probabilities_agree(name: str, kind: str) -> None:
    objective, raw, _ = make(name, kind)
    if not objective.classifies:
        assert torch.equal(objective.mean(raw), raw)
        with pytest.raises(TypeError, match="numbers"):
            objective.probabilities(raw)
        return
    p = objective.probabilities(raw)
    assert torch.allclose(p.sum(1), torch.ones(ROWS, dtype=torch.float64), atol=1e-15)
    mean: Any = objective.mean(raw)
    assert torch.equal(p[:, -1:] if name == "logistic" else p, mean)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_links_in_numpy_are_those_of_the_objectives(name: str) -> None:
    link, objective = arrays.find(name), find(name)
    assert link is not None and link.classifies == objective.classifies
    for classes, targets in itertools.product((0, 2, 3, 5), (1, 2)):
        task = "classification" if classes else "regression"
        names = tuple("ab"[:targets])
        target: Any = SimpleNamespace(task=task, classes=tuple(range(classes)), targets=names)
        assert link.suits(target) == objective.suits(target)
        if link.suits(target):
            assert link.outputs(target) == objective.outputs(target)
    outputs = 1 if name == "logistic" else 4
    raw = 30 * torch.randn((200, outputs), generator=torch.Generator().manual_seed(0)).double()
    raw[0], raw[1], raw[2] = 0.0, 800.0, -800.0
    one, two = link.mean(raw.numpy()), objective.mean(raw).numpy()
    assert np.abs(one - two).max() <= 1e-15 * max(1.0, np.abs(two).max())
    if objective.classifies:
        p, expected = link.probabilities(raw.numpy()), objective.probabilities(raw).numpy()
        assert np.abs(p - expected).max() <= 1e-15 and p.shape == expected.shape
        small = expected[expected > 0].min()
        assert 0 < small < 1e-10 and p[expected > 0].min() == pytest.approx(small, rel=1e-12)


def test_the_links_are_of_linnet_s_own_objectives_alone() -> None:
    assert set(arrays.LINKS) == set(OBJECTIVES)
    assert arrays.find("hinge") is None
