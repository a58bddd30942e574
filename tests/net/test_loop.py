"""The mini-batch loop against the same steps written by hand."""

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import linnet
from helpers import events_of
from linnet.core.randomness import generator
from linnet.core.record import Event, Record, Step
from linnet.data.batches import Batches
from linnet.data.dataset import Dataset
from linnet.fit.artifact import Artifact
from linnet.fit.begin import build
from linnet.fit.fit import fit
from linnet.fit.progress import Losses
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import only, resolve
from linnet.net.loop import Train
from linnet.net.schedules import constant, one_cycle
from linnet.net.settings import NetSettings
from linnet.networks.base import Network
from linnet.objectives import OBJECTIVES
from linnet.objectives.softmax import Softmax
from linnet.objectives.squared import Squared


def small(task: str) -> Dataset:
    random = np.random.default_rng(0)
    x = random.normal(size=(70, 5)).astype(np.float32)
    y = random.integers(0, 3, 70) if task == "classes" else 50 + 9 * random.normal(size=70)
    return linnet.read((x, y))


def network(data: Dataset, **settings: Any) -> tuple[Network, Recipe]:
    recipe = Recipe.make({"model": "mlp", "widths": [7], "dropout": 0.0, **settings})
    recipe = resolve(recipe, data, data.split(test=0.2, valid=None, seed=0))
    built, objective = build(recipe, data.schema)
    y = None if objective.classifies else data.y.double()[:, None]
    built.start(data.x, y, None, generator(0, "weights"))
    return built, recipe


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("task", ["classes", "numbers"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loop_equals_steps_by_hand(optimizer: str, task: str, weighted: bool) -> None:
    data = small(task)
    if weighted:
        weight = torch.rand(70, generator=torch.Generator().manual_seed(0))
        data = Dataset(data.x, data.y, data.schema, weight)
    momentum = 0.9 if optimizer == "sgd" else None
    mine, _ = network(data)
    hand, _ = network(data)
    batches = Batches(data, 32, seed=5)
    unit = 1.0 if task == "classes" else 81.0
    loop = Train(
        mine, Softmax() if task == "classes" else Squared(), batches,
        NetSettings(
            optimizer=optimizer, lr=0.01, momentum=momentum, weight_decay=0.05, epochs=2,
            schedule="constant", patience=10,
        ),
        seed=0, units=None if task == "classes" else torch.tensor([unit**0.5]),
    )  # fmt: skip
    steps = list(loop)
    by_hand: torch.optim.Optimizer
    groups = [  # biases do not decay
        {"params": [p for p in hand.parameters() if (p.dim() > 1) == decays], "weight_decay": decay}
        for decays, decay in ((True, 0.05), (False, 0.0))
    ]
    if optimizer == "sgd":
        by_hand = torch.optim.SGD(groups, 0.01, momentum=0.9)
    else:
        by_hand = torch.optim.AdamW(groups, 0.01)
    for epoch in range(2):
        order = torch.randperm(70, generator=generator(5, "batches", epoch))
        for rows in order.split(32):
            raw, y = hand(data.x[rows]), data.y[rows]
            if task == "classes":
                losses = nn.functional.cross_entropy(raw, y, reduction="none")
            else:
                losses = (raw[:, 0] - y.float()) ** 2 / 2
            w = torch.ones(len(rows)) if data.weight is None else data.weight[rows]
            by_hand.zero_grad()
            ((losses * w).sum() / w.sum() / unit).backward()
            by_hand.step()
    for one, two in zip(mine.parameters(), hand.parameters(), strict=True):
        assert torch.allclose(one, two, rtol=1e-5, atol=1e-6)
    assert [step.index for step in steps] == list(range(7))
    assert [step.complete for step in steps] == [True, False, False, True, False, False, True]
    assert [step.epoch for step in steps] == [0, 0, 0, 1, 1, 1, 2]
    assert steps[-1].reason == "all 2 epochs done"


def test_batches_hold_every_row_once_in_an_order_of_their_own_each_epoch() -> None:
    data = small("classes")
    batches = Batches(data, 32, seed=0)
    orders = []
    for epoch in (0, 1, 0):
        xs = [x for x, _, _ in batches.epoch(epoch)]
        assert [len(x) for x in xs] == [32, 32, 6] and len(batches) == 3
        orders.append(torch.cat(xs))
        assert torch.equal(orders[-1].sort(0).values, data.x.sort(0).values)
    assert torch.equal(orders[0], orders[2]) and not torch.equal(orders[0], orders[1])
    assert len(Batches(data, 1000, seed=0)) == 1


def test_schedules() -> None:
    pace = NetSettings()
    assert constant(0, 1, pace) == constant(0.7, 1, pace) == 1
    assert one_cycle(0, 4, pace) == pytest.approx(1 / 25)
    assert one_cycle(1, 4, pace) == 1 and one_cycle(4, 4, pace) == pytest.approx(0, abs=1e-15)
    values = [one_cycle(k / 100, 1, pace) for k in range(101)]
    assert values[:26] == sorted(values[:26]) and values[25:] == sorted(values[25:], reverse=True)


def test_the_running_mean_weighs_every_row_alike() -> None:
    mean = Losses()
    for loss_sum, rows in ((torch.tensor(10.0), 5), (torch.tensor(2.0), 1)):
        step = Step(1, {"loss_sum": loss_sum, "rows": rows, "lr": 0.1})
        mean.add(step)
    assert mean.take(step) == {"loss": 2.0, "lr": 0.1}
    mean.add(Step(2, {"loss_sum": torch.tensor(3.0), "rows": 3}))
    assert mean.take(Step(2, {"loss_sum": torch.tensor(3.0), "rows": 3})) == {"loss": 1.0}


def test_the_best_weights_are_kept_and_training_stops_early(tmp_path: Path) -> None:
    run = linnet.train(
        small("classes"), model="mlp", widths=[64], epochs=60, patience=3, lr=0.03,
        schedule="constant", dropout=0, activation="relu", embedding="none", weight_decay=0.01,
        batch_size=16, out=tmp_path / "r",
    )  # fmt: skip
    facts = run.metrics["models"]["mlp"]["fit"]
    assert "3 times in a row" in facts["reason"] and facts["best_step"] < facts["steps"]
    events = events_of(run.path)
    scored = [e for e in events if e["event"] == "evaluate" and e["model"] == "mlp"]
    best = min(scored, key=lambda event: event["valid"]["loss"])
    assert best["step"] == facts["best_step"] and len(scored) == best["epoch"] + 4
    valid = small("classes").take(run.split()["valid"])
    model = run.models["mlp"]
    loss = model.objective.loss(model.raw(valid.x), valid.y).mean().item()
    assert loss == best["valid"]["loss"] == run.metrics["models"]["mlp"]["valid"]["loss"]


def told(data: Dataset, **settings: Any) -> tuple[Artifact, list[Event]]:
    """A small fit, validated by the same rows, and its events; 3 batches make an epoch."""
    simple = {
        "model": "mlp", "widths": [7], "batch_size": 32, "schedule": "constant",
        "activation": "relu", "embedding": "none",
    }  # fmt: skip
    recipe = Recipe.make({**simple, **settings})
    recipe = only(resolve(recipe, data, data.split(test=0.2, valid=None, seed=0)), "mlp")
    events: list[Event] = []
    return fit(recipe, data, data, record=Record(echo=events.append)), events


def steps_with(events: list[Event], kind: str) -> list[int]:
    return [event["step"] for event in events if event["event"] == kind]


@pytest.mark.parametrize(
    ("every", "epochs", "scored"),
    [
        ("auto", 3, [0, 3, 6, 9]),
        ("1 epoch", 3, [0, 3, 6, 9]),
        ("2 epochs", 5, [0, 6, 12, 15]),
        ("2epochs", 4, [0, 6, 12]),
        (1, 2, [0, 1, 2, 3, 4, 5, 6]),
        (4, 3, [0, 4, 8, 9]),
        (1000, 2, [0, 6]),
    ],
)
def test_scores_are_taken_as_often_as_asked_and_at_the_end(
    every: int | str, epochs: int, scored: list[int]
) -> None:
    artifact, events = told(small("classes"), evaluate_every=every, epochs=epochs)
    assert steps_with(events, "evaluate") == scored
    assert artifact.manifest.fit["steps"] == 3 * epochs
    losses = [event["valid"]["loss"] for event in events if event["event"] == "evaluate"]
    best = 1 + int(np.argmin(losses[1:]))
    assert artifact.manifest.fit["best_step"] == scored[best]
    kept: Any = artifact.manifest.scores["valid"]
    assert kept["loss"] == losses[best]


@pytest.mark.parametrize(("every", "each"), [("auto", 3), ("2 epochs", 6), (2, 2)])
def test_patience_counts_evaluations(every: int | str, each: int) -> None:
    """A rate that only ever makes it worse: the first score stays the best."""
    data = small("classes")
    recipe = {"evaluate_every": every, "patience": 4, "epochs": 90, "optimizer": "sgd", "lr": 9.0}
    artifact, events = told(data, **recipe)
    scored = steps_with(events, "evaluate")
    losses = [event["valid"]["loss"] for event in events if event["event"] == "evaluate"]
    best = 1 + int(np.argmin(losses[1:]))
    assert scored == [each * k for k in range(best + 5)]
    assert artifact.manifest.fit["best_step"] == scored[best]
    assert "no better validation loss 4 times in a row" in str(artifact.manifest.fit["reason"])
    assert artifact.manifest.fit["steps"] == scored[-1] < 270


@pytest.mark.parametrize(
    ("log_every", "evaluate_every", "logged"),
    [
        (4, "auto", [4, 8, 12, 16]),
        ("1 epoch", "auto", [3, 6, 9, 12, 15, 18]),
        ("2 epochs", "auto", [6, 12, 18]),
        ("1 epoch", "2 epochs", [3, 6, 9, 12, 15, 18]),
        ("2 epochs", "3 epochs", [6, 12, 18]),
        ("2 epochs", 1, [6, 12, 18]),
        ("1 epoch", 2, [3, 6, 9, 12, 15, 18]),
        ("auto", 5, list(range(1, 19))),
    ],
)
def test_steps_are_logged_as_often_as_asked_whenever_scores_are_taken(
    log_every: int | str, evaluate_every: int | str, logged: list[int]
) -> None:
    _, events = told(small("classes"), log_every=log_every, evaluate_every=evaluate_every, epochs=6)
    assert steps_with(events, "step") == logged


def test_training_stops_where_its_own_loss_is_no_lower() -> None:
    data = small("classes")
    artifact, events = told(data, min_delta=5.0, patience=3, epochs=40)
    facts = artifact.manifest.fit
    assert facts["steps"] == 3 * 5  # the first is the best; four in a row are no 5 better
    assert "the training loss is no lower 4 epochs in a row" in str(facts["reason"])
    assert steps_with(events, "evaluate") == [0, 3, 6, 9, 12, 15]
    artifact, _ = told(data, min_delta=0.0, patience=40, epochs=10)
    assert artifact.manifest.fit["steps"] == 30


def test_the_losses_that_are_logged_are_means_over_the_rows_since_the_last_time() -> None:
    data = small("classes")
    _, single = told(data, log_every=1, epochs=4, dropout=0.2)
    _, several = told(data, log_every=5, epochs=4, dropout=0.2)
    ones = {e["step"]: e["loss"] for e in single if e["event"] == "step"}
    rows = {step: 6 if step % 3 == 0 else 32 for step in ones}
    for event in several:
        if event["event"] == "step":
            since = range(event["step"] - 4, event["step"] + 1)
            mean = sum(ones[k] * rows[k] for k in since) / sum(rows[k] for k in since)
            assert event["loss"] == pytest.approx(mean)


def test_fit_alone_needs_no_validation_rows_and_no_directory() -> None:
    data = small("numbers")
    recipe = Recipe.make({"model": "mlp", "epochs": 3, "widths": [8]})
    recipe = only(resolve(recipe, data, data.split(test=0.2, valid=0, seed=0)), "mlp")
    before = torch.get_rng_state()
    model = fit(recipe, data, data.take(torch.arange(0)))
    assert torch.equal(before, torch.get_rng_state())
    assert model.manifest.fit["best_epoch"] == 3 and model.manifest.scores == {}
    assert model.predict(data.x).shape == (70,)
    assert abs(model.predict(data.x).mean() - data.y.mean().item()) < 9


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_same_threads_give_the_same_bits(threads: int) -> None:
    data = linnet.read("digits")
    recipe = Recipe.make({"model": "mlp", "epochs": 1})
    split = data.split(test=0.2, valid=None, seed=0)
    recipe = only(resolve(recipe, data, split), "mlp")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        one, two = (fit(recipe, data.take(split.train), data.take(split.valid)) for _ in range(2))
    finally:
        torch.set_num_threads(before)
    for a, b in zip(one.module.parameters(), two.module.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_what_was_trained_on_a_gpu_predicts_on_a_cpu(tmp_path: Path) -> None:
    run = linnet.train("digits", device="cuda", epochs=5, out=tmp_path / "r")
    cpu = linnet.train("digits", device="cpu", epochs=5, out=tmp_path / "c")
    x = linnet.read("digits").x
    assert next(run.models["mlp"].module.parameters()).device.type == "cpu"
    line, other = (r.models["linear"].predict_proba(x) for r in (run, cpu))
    assert np.abs(line - other).max() < 1e-3
    assert run.metrics["models"]["mlp"]["test"]["accuracy"] > 0.9


def test_every_objective_trains() -> None:
    assert set(OBJECTIVES) == {"squared", "logistic", "softmax"}
    for name in ("diabetes", "breast_cancer", "iris"):
        data = linnet.read(name)
        recipe = Recipe.make({"model": "mlp", "epochs": 8, "widths": [16], "lr": 0.01})
        recipe = only(resolve(recipe, data, data.split(test=0.2, valid=0, seed=0)), "mlp")
        first, last = (fit(recipe.override({"epochs": epochs}), data, data) for epochs in (1, 8))
        losses = [artifact.manifest.scores["valid"]["loss"] for artifact in (first, last)]  # type: ignore[index, call-overload]
        assert losses[1] < losses[0]  # type: ignore[operator]


@pytest.mark.parametrize(
    "more", [{}, {"activation": "selu"}, {"batch_norm": True}, {"optimizer": "lbfgs"}]
)
def test_fits_in_threads_have_the_bits_of_one_alone(more: dict[str, Any]) -> None:
    """Dropout draws from the one global generator: each step has it to itself."""
    draws = np.random.default_rng(0)
    data = linnet.read((draws.normal(size=(120, 6)), draws.integers(0, 3, 120)))
    every = {"batch_size": "all"} if more.get("optimizer") == "lbfgs" else {"batch_size": 16}
    settings = {"model": ["mlp"], "epochs": 3, "widths": [8], "dropout": 0.4, **every, **more}
    split = data.split(test=0.2, valid=None, seed=0)
    device = {"device": "cpu"}
    recipe = only(resolve(Recipe().override({**settings, **device}), data, split), "mlp")
    train, nothing = data.take(split.train), data.take(split.train[:0])
    found: dict[int, dict[str, Tensor]] = {}

    def work(number: int) -> None:
        found[number] = fit(recipe, train, nothing).module.state_dict()

    work(0)
    torch.manual_seed(4)
    before, pause = torch.get_rng_state(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(pause)
    for number in range(1, 5):
        assert all(torch.equal(found[0][key], found[number][key]) for key in found[0])
    assert torch.equal(before, torch.get_rng_state())
