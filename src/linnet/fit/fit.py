"""Fit one model: a recipe and rows become an artifact."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from linnet.core import events
from linnet.core.parallel import World, threads_for
from linnet.core.randomness import borrowed, derive
from linnet.core.record import Reason, Record, Step
from linnet.data.dataset import Dataset
from linnet.data.weights import weigh, weighty
from linnet.errors import Blocked, LinnetWarning, RecipeError
from linnet.fit.artifact import Artifact, Layer, Manifest
from linnet.fit.begin import begin, begin_folds, build, findings
from linnet.fit.checkpoint import Checkpoints
from linnet.fit.progress import Judge, Progress, number
from linnet.fit.recipe import Recipe
from linnet.insight import evaluation
from linnet.insight.checks.finding import Finding
from linnet.insight.checks.module import check_parameters
from linnet.line.rows import SMALL
from linnet.networks import find as find_network
from linnet.networks.base import Network
from linnet.networks.build import layers
from linnet.networks.mean import Mean
from linnet.networks.method import Method
from linnet.networks.scaling import Scaling
from linnet.objectives import choose
from linnet.objectives.base import Objective

CERTIFICATE = ("converged", "gradient_max", "objective", "gap", "penalty", "rank", "condition")

MEMBER = re.compile(r"members\.\d+\.")

SEEN_ROWS = 2_000
"""The validation rows and some training rows are scored in the same way, so that over-fitting shows
as a gap between the two. The training rows are at most this many, and at most as many as there are
validation rows. On MNIST this takes a hundredth of the time of an epoch."""


def fit(
    recipe: Recipe,
    train: Dataset,
    valid: Dataset | torch.Tensor,
    *,
    world: World | None = None,
    record: Record | None = None,
    start: Mapping[str, torch.Tensor] | None = None,
    module: nn.Module | None = None,
    checkpoints: Checkpoints | None = None,
    resume: Mapping[str, Any] | None = None,
    judge: Judge | None = None,
) -> Artifact:
    """Fit the one model of a resolved recipe; ``valid`` are the rows that choose, which may be
    none, or the fold of each training row.

    The artifact has the weights with the lowest validation loss among the complete steps (each
    epoch or penalty, not the start). Without validation rows it has the last weights. ``start`` is
    the state of such a network, from which training continues. ``module`` is the user's own module
    for the model "custom"; it is trained in place. ``checkpoints`` writes checkpoints when they are
    due. ``resume`` is the state in one of them: the fit continues from it with the same result, to
    the bit. ``judge`` takes the place of the validation loss. Rows of weight 0 are left out before
    anything is computed. A line has a certificate, which costs one pass over the rows; but without
    validation rows only up to ``SMALL`` numbers: a single fit to many rows gives it when asked.

    Of several ranks in ``world`` each has all rows, and computes with its part of them.

    With folds, (rows,) of whole numbers from 0, the line chooses its penalty by the folds and is
    fitted to all rows; a net is the mean of networks, each fitted to the other folds with all its
    epochs. ``Artifact.held`` has the raw predictions of the training rows by weights that their
    folds have not taught (NaN for a row of weight 0), and the validation scores are of these.
    """
    world, record = world or World(), record or Record()
    data, (train, valid, fold) = train, _parts(recipe, train, valid)
    if fold is not None and world.size > 1:
        raise RecipeError("folds are fitted by one process: leave out ranks, or set folds=1")
    network, objective = build(recipe, train.schema, module, members_of(recipe, fold, start))
    with threads_for(each_of(network).multiplications * rows_of_step(recipe, network, train)):
        method, progress = _begin(
            recipe, network, objective, train, fold, world, record, start, resume
        )
        progress.judged = judge
        method.certify = len(valid) > 0 or fold is not None or train.x.numel() <= SMALL
        scorer = (
            Scorer(method, objective, train, valid, world, record, judge)
            if fold is None
            else FoldScorer(method, objective, train, fold, world, record)
        )
        with progress.told():
            for step in heeding(method, checkpoints):
                progress.add(step)
                if recipe.log_every.due(step) and step.values:
                    progress.write(step)
                if step.complete:
                    progress.losses.check()
                    with progress.spent.on("evaluate"), _seeded(network, recipe.seed, step.index):
                        scores = scorer.scores()
                    progress.judge(step, *scores)
                    if progress.stale:
                        break
                if checkpoints is not None and checkpoints.due(step):
                    progress.losses.look()
                    with progress.spent.on("record"):
                        checkpoints.save(progress.plain())
        made = _finish(recipe, network, objective, train, scorer, progress)
        held = scorer.held()
        if held is None:
            return made
        found = held.new_full((len(data), held.shape[1]), math.nan)
        found[weighty(recipe.class_weight, data)] = held
        return replace(made, held=found)


def _parts(
    recipe: Recipe, train: Dataset, valid: Dataset | torch.Tensor
) -> tuple[Dataset, Dataset, torch.Tensor | None]:
    """The training rows, the validation rows, and the folds, of the rows of a weight above 0."""
    if isinstance(valid, Dataset):
        train, valid = weigh(recipe.class_weight, train, valid)
        return train, valid, None
    names, fold = valid[weighty(recipe.class_weight, train)].unique(return_inverse=True)
    if len(names) < 2:
        raise RecipeError("the training rows are of one fold: no others are left to train on")
    (train,) = weigh(recipe.class_weight, train)
    return train, train.take(fold[:0]), fold


def members_of(
    recipe: Recipe, fold: torch.Tensor | None, start: Mapping[str, torch.Tensor] | None
) -> int:
    """How many networks the model is the mean of: one for each fold, or as many as ``start`` has
    the weights of."""
    (name,) = recipe.model
    if find_network(name).convex:
        return 1
    if start is not None:
        return max([int(key.split(".")[1]) for key in start if MEMBER.match(key)], default=0) + 1
    return 1 if fold is None else int(fold.max()) + 1


def each_of(network: Network) -> Network:
    """The network that a step trains: a member of a mean."""
    return network.each[0] if isinstance(network, Mean) else network


def rows_of_step(recipe: Recipe, network: Network, train: Dataset) -> int:
    """How many rows are computed at once: a batch, or for a line all."""
    size = recipe.batch_size
    return len(train) if network.convex or isinstance(size, str) else min(size, len(train))


def _begin(
    recipe: Recipe,
    network: Network,
    objective: Objective,
    train: Dataset,
    fold: torch.Tensor | None,
    world: World,
    record: Record,
    start: Mapping[str, torch.Tensor] | None,
    resume: Mapping[str, Any] | None,
) -> tuple[Method, Progress]:
    """The method and its progress: before the first step, or after the last step of a checkpoint.
    Findings on likely mistakes are recorded first."""
    (model,) = recipe.model
    if resume is None:
        heed(check_parameters(network), record, model)
    if fold is None:
        method = begin(recipe, network, objective, train, world, start)
    else:
        method = begin_folds(recipe, network, objective, train, fold, world)
    given = start is not None and not network.convex
    if resume is not None:
        _restore(model, method, resume["method"])
        return method, Progress(model, method, record, given=given, state=resume["progress"])
    progress = Progress(model, method, record, given=given)
    members = len(network.each) if isinstance(network, Mean) else None
    record.write(
        events.Begin(model=model, steps=method.steps, title=network.title, members=members)
    )
    heed(findings(recipe, network, objective, train), record, model)
    return method, progress


def _restore(model: str, method: Method, state: Mapping[str, Any]) -> None:
    """Take over a state; raises ``RecipeError`` if it is that of another network or method."""
    try:
        method.restore(state)
    except (RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
        raise RecipeError(
            f"{model}: its checkpoint was made with another network or optimizer than the recipe "
            "names now; take back the change of its settings, or train a new run"
        ) from error


@contextmanager
def _seeded(network: Network, seed: int, index: int) -> Iterator[None]:
    """A block in which a module of the user's own may draw at random, also in evaluation mode."""
    if not network.own:
        yield
        return
    with borrowed():
        torch.default_generator.manual_seed(derive(seed, "scores", index))
        yield


class Scorer:
    """Scores the network of a method on the validation rows and on some training rows."""

    def __init__(
        self,
        method: Method,
        objective: Objective,
        train: Dataset,
        valid: Dataset,
        world: World,
        record: Record,
        judge: Judge | None = None,
    ) -> None:
        self.method, self.objective, self.record = method, objective, record
        self.world = world
        self.judge = judge
        self.valid = valid.to(world.device)
        self.valid_rows = len(valid)
        self.seen = train.take(spread(len(train), min(SEEN_ROWS, len(valid)))).to(world.device)

    def scores(self) -> tuple[dict[str, float], dict[str, float]]:
        """The scores of validation rows, and of training rows if the record is written or shown.

        Both are empty if there are no validation rows.
        """
        if not len(self.valid):
            return {}, {}
        network = self.method.scored
        valid = evaluation.measure(network, self.objective, self.valid, self.world)
        if self.judge is not None:
            valid["score"] = self.judge.score(evaluation.predict_raw(network, self.valid.x).cpu())
        if not self.record.writes:
            return valid, {}
        return valid, evaluation.measure(network, self.objective, self.seen)

    def final(self) -> dict[str, Any]:
        """The scores of the network that is kept, after a last change to it."""
        return evaluation.measure(self.method.network, self.objective, self.valid, self.world)

    def held(self) -> torch.Tensor | None:
        """The raw predictions of held-out rows; only a fit by folds has them."""
        return None


class FoldScorer(Scorer):
    """Scores a fit by folds: each row by weights that its ``fold`` (rows,) has not taught."""

    def __init__(
        self,
        method: Method,
        objective: Objective,
        train: Dataset,
        fold: torch.Tensor,
        world: World,
        record: Record,
    ) -> None:
        super().__init__(method, objective, train, train.take(fold[:0].long()), world, record)
        self.train, self.fold = train, fold
        self._member: int | None = None

    def scores(self) -> tuple[dict[str, float], dict[str, float]]:
        """The scores of the member on its own fold, and of as many rows of the others; of a method
        that holds out the rows itself, those of all rows."""
        held = self.method.held()
        if held is not None:
            return evaluation.measure_raw(self.objective, held, self.train), {}
        number = self.method.member
        assert number is not None
        if number != self._member:
            own, others = self._of(number), (self.fold != number).nonzero().flatten()
            few = others[spread(len(others), min(SEEN_ROWS, len(own)))]
            self.valid = self.train.take(own).to(self.world.device)
            self.seen = self.train.take(few).to(self.world.device)
            self._member = number
        return super().scores()

    def held(self) -> torch.Tensor:
        """The raw predictions (rows, outputs) of all rows when the fit has ended, in float64."""
        held = self.method.held()
        if held is not None:
            return held
        network = self.method.network
        assert isinstance(network, Mean)
        parts = [self._of(number) for number in range(int(self.fold.max()) + 1)]
        found: torch.Tensor | None = None
        for member, rows in zip(network.each, parts, strict=True):
            raw = evaluation.predict_raw(member, self.train.x[rows]).cpu()
            found = raw.new_zeros((len(self.fold), raw.shape[1])) if found is None else found
            found[rows] = raw
        assert found is not None
        return found

    def final(self) -> dict[str, Any]:
        return {
            **evaluation.measure_raw(self.objective, self.held(), self.train),
            "by": "folds",
            "rows": len(self.train),
        }

    def _of(self, number: int) -> torch.Tensor:
        """The rows of a fold."""
        return (self.fold == number).nonzero().flatten()


def _finish(
    recipe: Recipe,
    network: Network,
    objective: Objective,
    train: Dataset,
    scorer: Scorer,
    progress: Progress,
) -> Artifact:
    """The artifact of the best step, with the facts about the fit."""
    best, method = progress.best, progress.method
    assert best.step is not None
    if method.chooses:
        network.load_state_dict(best.state)
    scores: dict[str, Any] = best.scores
    if (method.finish(network) and scores) or not method.chooses:
        scores = scorer.final()
    if method.member is not None:  # all rows by all members; so far each was scored alone
        told = {key: value for key, value in scores.items() if isinstance(value, float)}
        progress.record.write(
            events.Evaluate(
                model=progress.model, step=progress.index, epoch=progress.epoch, valid=told
            )
        )
    network.eval().cpu()
    for parameter in network.parameters():
        parameter.grad = None
    if not all(tensor.isfinite().all() for tensor in network.state_dict().values()):
        raise progress.losses.diverged(progress.index, "weights")
    facts = facts_of(progress, best.step)
    for layer in each_of(network).children():
        if isinstance(layer, Scaling):
            facts["scaling"] = layer.describe(bytes=train.schema.example == "picture")
    facts |= certificate(best.step) or {"best_epoch": best.step.epoch, "epochs": progress.epoch}
    progress.record.write(ended(progress.model, facts))
    provenance = {"seconds": round(progress.seconds, 3), "threads": torch.get_num_threads()}
    by_part = {"valid": scores} if scores else {}
    data = {"train_rows": len(train), "valid_rows": scorer.valid_rows}
    return wrap(recipe, network, objective, train, facts, by_part, data, provenance)


def facts_of(progress: Progress, best: Step) -> dict[str, Any]:
    """Why a fit stopped, how many steps it made, and which step was the best."""
    reason = progress.reason
    if best.reason is not None:
        reason = best.reason  # the line's certificate belongs to the penalty that was kept
    elif best.index != progress.index and reason is not None:
        words = f"{reason}; best at epoch {best.epoch} of {progress.epoch}"
        reason = Reason(words, reason.kind)
    return {
        "converged": None,
        "reason": None if reason is None else str(reason),
        "stopped": None if reason is None else reason.kind,
        "steps": progress.index,
        "best_step": best.index,
        **progress.method.facts,
    }


def ended(model: str, facts: Mapping[str, Any]) -> events.Fit:
    """The event of a fit that has ended."""
    named = ("converged", "reason", "stopped", "steps", "best_step")
    more = {key: value for key, value in facts.items() if key not in named}
    return events.Fit(model=model, values=more, **{key: facts[key] for key in named})


def certificate(step: Step) -> dict[str, Any]:
    """The certificate of a step of a convex fit; empty for other fits."""
    if "gradient_max" not in step.values:
        return {}
    facts: dict[str, Any] = {
        key: value if math.isfinite(value := number(step.values[key])) else None
        for key in CERTIFICATE
        if key in step.values
    }
    facts["converged"] = bool(facts.get("converged"))
    facts.setdefault("gap", None)
    return facts


def heeding(method: Method, checkpoints: Checkpoints | None) -> Iterator[Step]:
    """The steps of a fit; meanwhile a request to stop is obeyed."""
    if checkpoints is None:
        yield from method
        return
    with checkpoints.heeding():
        yield from method


def spread(rows: int, most: int) -> torch.Tensor:
    """At most ``most`` row numbers below ``rows``, evenly spaced."""
    return torch.arange(0, rows, -(-rows // most)) if most else torch.empty(0, dtype=torch.int64)


def heed(findings: list[Finding], record: Record, model: str | None = None) -> None:
    """Record the findings and warn of all except notes; raises ``Blocked`` if one blocks."""
    for finding in findings:
        event = events.Finding(model=model, severity=finding.severity, text=str(finding))
        record.write(event)
    for finding in findings:
        text = str(finding) if model is None else f"{model}: {finding}"
        if finding.blocks:
            raise Blocked(text)
        if finding.severity == "warning":
            warnings.warn(text, LinnetWarning, stacklevel=3)


def wrap(
    recipe: Recipe,
    network: Network,
    objective: Objective,
    train: Dataset,
    facts: dict[str, Any],
    scores: dict[str, Any],
    data: dict[str, Any],
    provenance: dict[str, Any],
) -> Artifact:
    """A fitted network as an artifact."""
    (model,) = recipe.model
    manifest = Manifest(
        model=model,
        objective=choose(train.schema, recipe.objective),
        network=network.spec.plain(),
        dtype=recipe.dtype if recipe.dtype != "auto" else "float32",
        layers=tuple(Layer(**layer) for layer in layers(network, train.schema.dtype)),
        shown=network.weights,
        schema_=train.schema,
        recipe=recipe.plain(),
        fit=facts,
        scores=scores,
        data=data,
        provenance=provenance,
    )
    return Artifact(manifest, network, objective)
