"""One training: read the data, fit and test the models, give a verdict, save all in a folder."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save
from torch import Tensor, nn

from linnet.core import events, files, memory, registry
from linnet.core.language import LANGUAGES, language
from linnet.core.limits import MAX_INFO, MAX_METRICS
from linnet.core.parallel import SHARES, World
from linnet.core.record import Event, Record
from linnet.core.text import listed
from linnet.data import standard
from linnet.data.dataset import Dataset
from linnet.data.schema import Schema
from linnet.data.table import Warned
from linnet.errors import DataError, Diverged, InputError, Interrupted, LostRank, RecipeError
from linnet.experiment import outer
from linnet.experiment.measured import chosen, measured
from linnet.experiment.outer import OUTER, Outer, Tested
from linnet.fit import checkpoint
from linnet.fit.artifact import Artifact, decide
from linnet.fit.checkpoint import Checkpoints, Owner, Stop
from linnet.fit.fit import fit, heed
from linnet.fit.prepare import Prepared, prepare
from linnet.fit.recipe import AUTO, FOLDS, Recipe
from linnet.fit.resolve import only
from linnet.insight import evaluation
from linnet.insight.choice import simplest
from linnet.insight.pairs import YARDSTICK, YARDSTICK_TITLE, compare
from linnet.insight.shares import kept
from linnet.insight.task import Predicted
from linnet.insight.verdict import verdict
from linnet.integrations import sinks
from linnet.networks import BASELINE, LINE, OWN
from linnet.networks import find as find_network
from linnet.objectives import choose
from linnet.objectives import find as find_objective
from linnet.objectives.base import Objective
from linnet.runs import directory, lineage, provenance
from linnet.runs.events import read_all
from linnet.runs.resume import (
    changed_data,
    changed_settings,
    check,
    differences,
    identity,
    recipe_of,
)
from linnet.runs.run import Run
from linnet.show import progress
from linnet.show.view import launch as live

SHOWN_ROWS = 10
"""A message names at most this many rows of a batch whose loss is not finite."""


def train(
    data: Any = None,
    recipe: Recipe | None = None,
    *,
    network: nn.Module | None = None,
    out: str | os.PathLike[str] | None = None,
    echo: Callable[[Event], None] | bool | None = None,
    to: str | Sequence[str] = (),
    view: bool = False,
    resume: str | os.PathLike[str] | None = None,
    allow: Sequence[str] = (),
    parent: str | os.PathLike[str] | None = None,
    stop: Stop | None = None,
    plugins: Sequence[str] = (),
    world: World | None = None,
    **settings: Any,
) -> Run:
    """Fit the baseline, the line and the net; test each once; save everything in a run directory.

    ``data`` is a known name, a file or folder, a data frame, ``(X, y)`` arrays, a mapping of
    arrays, or a torch data set or loader; ``settings`` are keys of the recipe, such as
    ``model="linear"`` or ``epochs=5``. ``network`` is a module of your own, trained in place as the
    model "custom", beside the line: it takes scaled examples, pictures as (rows, channels, height,
    width), and returns raw predictions, without softmax. It is then ``run.model``; the chosen
    model, which may be the line, is ``run.models[run.chosen]``. ``out`` is the directory of the
    run, by default the next free one in ``runs/``.

    Progress is shown in a notebook, as a table that changes in place, and in a terminal, as bars;
    elsewhere each model is told in one line on standard error when it is fitted. ``echo=False``
    switches this off, ``echo=True`` tells a line every few seconds. If ``echo`` is a function, it
    is called with every event of the record.

    ``to`` names sinks to which the run is also logged, each by a separate process: "tensorboard",
    "mlflow", "wandb", "trackio", "visdom". A sink that is unknown, or whose package is missing, is
    refused before anything is read. ``view`` starts the live page of the folder that holds
    the run, and shows its address. The page is a separate process, which ends when this one ends.

    ``resume`` is the directory of a run that was stopped or killed. It continues from its newest
    checkpoint with its own recipe and data, and gives the same result, to the bit. If something has
    changed since (``seed``, ``threads``, ``lr``, ...), it is refused by name unless ``allow`` names
    it; other data, or other parts of it, are always refused. A run that has finished is returned
    unchanged, and refused if something else than it is asked for. ``stop`` is a request to stop,
    checked after each step.

    ``parent`` is a run, or its zip, from which a new one starts: with its models' weights, and with
    its recipe and its data, where ``data``, ``recipe`` and ``settings`` do not say otherwise. The
    new run is tested on no row that these weights have seen. On the same data it has the parent's
    parts, and another ``test``, ``valid``, ``split``, ``group`` or ``time`` is refused. On other
    data, rows among those that the parent was trained on, or chose by, go into the training part;
    if no row is left to test, no score is claimed. Other data needs the parent's columns and
    classes, and is encoded as the parent's.

    The rows are split once. Penalty, epoch and model are chosen on validation rows; test rows are
    used once per model, at the end. With ``test="folds"``, for tables too small to set rows aside,
    the models are fitted to all rows; their scores come from five fits more, each without a fifth
    of the rows, which then tests them (``linnet.cross_validate``).

    With ``world``, from ``linnet.ranks()``, several processes train together: all of them call
    ``train`` with the same arguments, and all read the data. Rank 0 writes the run and returns it;
    the others return None. Folds are left out, and the line's rows are divided into 8 ``shares``
    unless you say otherwise.

    Networks, objectives, solvers and sources of other packages are used only if you name them: in
    ``settings`` (``model="toy"``), or in ``plugins`` if a recipe or a run names them.
    """
    world = world or World()
    registry.allow([*plugins, *named(settings)])
    _check_words(resume, out, parent, allow)
    with world.agreed():
        plan = Plan.of(data, recipe, network, resume, parent, settings).on(world)
        if resume is not None and plan.finished(to):
            return Run(resume, network)
        to = sinks.named(to)
        ready = plan.prepare(look=world.lead)
        if resume is None:
            lineage.check_module(network, ready.data, ready.parts["test"])
        folds = None if ready.draft is None else Outer.of(ready.draft, ready.recipe, OUTER)
        facts = _facts(ready)
    _compare(world, ready, facts)
    found: tuple[Path, dict[str, str]] = Path(), {}
    with world.agreed():
        if world.lead:
            found = _where(plan, ready, facts, out, allow, world)
    path, changed = Path(world.tell(str(found[0]))), found[1]
    if not world.lead:
        job = Job(path, ready, facts, Record(), network, plan.origin, None, world=world)
        job.help()
        return cast(Run, None)
    address = live.start(path.parent, pid=os.getpid()) if view else None
    past = [] if resume is None else read_all(path / directory.EVENTS)
    with (
        progress.shown(echo, address, past) as heard,
        closing(Record(path / directory.EVENTS, heard, alone=True)) as record,
        directory.Heartbeat(path),
    ):
        job = Job(path, ready, facts, record, network, plan.origin, stop, folds, world=world)
        with world.agreed():
            job.begin(resume=resume is not None, changed=changed)
        lineage.remember(network, path)
        for name in to:
            directory.follow(path, name)
        models = job.fit()
        metrics = job.test(models, job.predict(models))
        files.write_json(path / directory.METRICS, metrics, MAX_METRICS)
        record.write(events.End(chosen=metrics["chosen"]))
        record.sync()
    shutil.rmtree(path / checkpoint.FOLDER, ignore_errors=True)
    return Run(path, network)


def named(settings: Mapping[str, Any]) -> list[str]:
    """The networks, objectives and solvers that the user has named."""
    values = [settings.get(key, ()) for key in ("model", "objective", "solver")]
    return [name for value in values for name in ([value] if isinstance(value, str) else value)]


def _check_words(
    resume: str | os.PathLike[str] | None,
    out: str | os.PathLike[str] | None,
    parent: str | os.PathLike[str] | None,
    allow: Sequence[str],
) -> None:
    """Raise ``InputError`` for words that have no meaning together."""
    if resume is not None and (out is not None or parent is not None):
        raise InputError("a resumed run stays in its directory: give resume without out and parent")
    if resume is None and allow:
        raise InputError("allow says what may differ when a run goes on: give it with resume")


@dataclass(frozen=True)
class Plan:
    """What to train on, and how: the arguments, or else those of the run to resume, or of the
    parent run."""

    data: Any
    recipe: Recipe
    resume: Path | None
    origin: lineage.Origin | None
    """The parent run, also that of a run that is resumed."""
    same: bool
    """Whether the data is that of the run to resume, as its recipe names it."""

    @classmethod
    def of(
        cls,
        data: Any,
        recipe: Recipe | None,
        network: nn.Module | None,
        resume: str | os.PathLike[str] | None,
        parent: str | os.PathLike[str] | None,
        settings: Mapping[str, Any],
    ) -> Plan:
        """The plan for the arguments of ``train``."""
        path = None if resume is None else Path(resume)
        before = None if path is None else recipe_of(path)
        origin = None if parent is None else lineage.Origin(Run(parent, network))
        if path is not None and (found := directory.read_info(path).get("parent")) is not None:
            origin = lineage.Origin(Run(found, network))
        usual = Recipe() if origin is None else Recipe.make(lineage.inherited(origin.recipe))
        recipe = _named(before or usual if recipe is None else recipe, network, settings)
        place = recipe.data if data is None else data
        past = None if origin is None else origin.run
        past = past if path is None else _lasting(path, network)
        known = before or (None if origin is None else origin.recipe)
        named = isinstance(place, (str, os.PathLike))  # a frame has no one answer to ==
        same = known is not None and (place is None or (named and place == known.data))
        if named and place == standard.PLACE and path is None:  # what comes now is other data
            same = False
        if same and past is not None:
            if known is not None and known.data is None:
                raise RecipeError(
                    f"{past.path}: it was trained on data in memory; give it: data=..."
                )
            place = past.data_place()
        if origin is not None and path is None:
            recipe = _whole(recipe)
        if isinstance(place, (str, os.PathLike)):
            kept = known.data if same and known is not None else str(place)
            recipe = recipe.override({"data": kept})
        elif place is not None and recipe.data is not None:  # in memory, whatever a recipe names
            recipe = recipe.override({"data": None})
        return cls(place, recipe, path, origin, same)

    def on(self, world: World) -> Plan:
        """The same plan with what several ranks need: no folds, and shares of the line's rows."""
        recipe = self.recipe
        if world.size == 1:
            return self
        if recipe.test == FOLDS or recipe.folds not in ("auto", 1):
            asked = "test=folds" if recipe.test == FOLDS else f"folds={recipe.folds}"
            raise RecipeError(
                f"{asked} goes with one process: leave it out, or train without ranks"
            )
        shares = SHARES if recipe.shares == 1 else recipe.shares
        world.shares(0, shares)
        return replace(self, recipe=recipe.override({"folds": 1, "shares": shares}))

    def prepare(self, *, look: bool = True) -> Prepared:
        """Read, split, check and encode the data; ``look``: ask the doctor about it."""
        if self.resume is not None:
            going = lineage.GoingOn(self.resume, self.origin)
            return prepare(self.data, self.recipe, going.divide, look=look)
        if self.origin is not None:
            return prepare(self.data, self.recipe, self.origin.divide, look=look)
        return prepare(self.data, self.recipe, look=look)

    def finished(self, to: str | Sequence[str] | None) -> bool:
        """Whether the run to resume has finished; raises ``InputError`` if it has, and something
        else than it is asked for."""
        path = self.resume
        assert path is not None
        if directory.state_of(path)[0] != "finished":
            return False
        if to:
            first = to if isinstance(to, str) else to[0]
            sync = f"linnet runs sync {shlex.quote(str(path))} --to {first}"
            raise InputError(f"{path} has finished: log it with {sync}")
        changed = changed_settings(path, self.recipe)
        if changed or not self.same:
            changed = changed_settings(path, (ready := self.prepare()).recipe)
            changed |= changed_data(path, ready.data.fingerprint())
        if changed:
            words = "; ".join(f"{name} is {value}" for name, value in changed.items())
            raise InputError(
                f"{path} has finished, and cannot go on otherwise: {words}; start a new run from "
                f"its weights: linnet train --from {shlex.quote(str(path))}"
            )
        return True


def _whole(recipe: Recipe) -> Recipe:
    """The recipe of a run that starts from the weights of another one: without folds, whose members
    would start from weights that have seen their own fold."""
    if recipe.test == FOLDS:
        raise RecipeError(
            "test=folds: the weights that the run starts from have seen the rows of every fold; "
            "give test=0.2, or train without a parent"
        )
    if recipe.folds not in ("auto", 1):
        raise RecipeError(
            f"folds={recipe.folds}: the weights that the run starts from have seen the rows of "
            "every fold; leave folds out"
        )
    return recipe.override({"folds": 1})


def _lasting(path: Path, network: nn.Module | None) -> Run:
    """The run to resume; raises ``InputError`` if its record is gone."""
    record = path / directory.EVENTS
    if not record.is_file():
        raise InputError(f"{record} is lost; copy it back, or train a new run")
    return Run(path, network)


def _named(recipe: Recipe, network: nn.Module | None, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with the settings, and with the user's own module among its models."""
    if not isinstance(recipe, Recipe):
        raise RecipeError(
            f"the second argument is a {type(recipe).__name__}; expected a Recipe. Give arrays "
            'together: train((X, y)); name the target of a table: train(table, target="y")'
        )
    if network is not None and OWN not in recipe.model:
        settings = {**settings, "model": _with_own(recipe, settings)}
    recipe = recipe.override(dict(settings)) if settings else recipe
    if network is None and OWN in recipe.model:
        raise RecipeError(
            f'the model "{OWN}" is a module of your own: give it from Python, '
            "linnet.train(..., network=Net())"
        )
    return recipe


def _with_own(recipe: Recipe, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The models of the recipe and the settings, and the user's own module."""
    named = settings.get("model", recipe.model)
    named = (LINE,) if named in (AUTO, (AUTO,), [AUTO]) else named
    named = (named,) if isinstance(named, str) else tuple(named)
    return named if OWN in named else (*named, OWN)


def _where(
    plan: Plan,
    ready: Prepared,
    facts: Mapping[str, Any],
    out: str | os.PathLike[str] | None,
    allow: Sequence[str],
    world: World,
) -> tuple[Path, dict[str, str]]:
    """The directory of the run and, if it is resumed, what has changed since; raises ``InputError``
    for a change that ``allow`` does not name."""
    path = plan.resume
    if path is None:
        names = "-".join(plan.recipe.model)
        return directory.create(Path(out) if out else None, ready.data.name, names), {}
    changed = _changes(plan, ready, facts["fingerprint"], world)
    check(path, changed, allow)
    directory.check_free(path)
    return path, changed


def _compare(world: World, ready: Prepared, facts: Mapping[str, Any]) -> None:
    """Raise ``DataError`` on all ranks if one of them has read other data than rank 0, or split it
    otherwise."""
    mine = [facts["fingerprint"], split_fingerprint(ready.parts, ready.fold)]
    theirs = world.tell(mine)
    with world.agreed():
        if mine != theirs:
            raise DataError(
                f"rank {world.rank} has read other data than rank 0: give all ranks the same files"
            )


def _changes(plan: Plan, ready: Prepared, fingerprint: str, world: World) -> dict[str, str]:
    """What has changed since the run to resume was stopped."""
    assert plan.resume is not None
    threads, versions = torch.get_num_threads(), provenance.versions()
    return differences(plan.resume, ready.recipe, fingerprint, threads, versions, world.size)


def _facts(ready: Prepared) -> dict[str, Any]:
    """The name, fingerprint and numbers of rows of the data."""
    return {
        "name": ready.data.name,
        "fingerprint": ready.data.fingerprint(),
        "rows": len(ready.data),
        **{f"{name}_rows": len(rows) for name, rows in ready.parts.items()},
        **({} if ready.fold is None else {"folds": ready.recipe.folds}),
    }


@dataclass
class Job:
    """One run during training: its directory, its prepared data, its record."""

    path: Path
    ready: Prepared
    facts: dict[str, Any]
    record: Record
    network: nn.Module | None
    origin: lineage.Origin | None
    stop: Stop | None
    folds: Outer | None = None
    """The folds that test the models, if there are no test rows."""
    tested: Tested | None = None
    """What the models predict for the rows of these folds."""
    held: Mapping[str, Any] | None = None
    """The state in the newest checkpoint of a run that is resumed."""
    owner: Owner = field(default_factory=Owner)
    """Which run the checkpoints belong to."""
    world: World = field(default_factory=World)
    """The processes that train it; rank 0 writes."""

    def help(self) -> None:
        """The part of a rank that is not rank 0: it fits and predicts, and writes nothing."""
        with self.world.agreed():
            self.held = checkpoint.newest(self.path / checkpoint.FOLDER)
        self.predict(self.fit())

    def begin(self, *, resume: bool, changed: Mapping[str, str]) -> None:
        """Write the files that are known before training, or record from where the run resumes."""
        path, record, parts = self.path, self.record, self.ready.parts
        if not resume:
            _describe(path, self.ready, self.facts, self.origin, self.world.size)
        now = identity(self.ready.recipe)
        info = directory.read_info(path)
        before = [each["recipe"] for each in info.get("resumed", []) if "recipe" in each]
        split = split_fingerprint(parts, self.ready.fold)
        self.owner = Owner(
            info.get("id", ""), self.facts["fingerprint"], split, now,
            (now, *before, *([identity(recipe_of(path))] if resume else [])),
        )  # fmt: skip
        if resume:
            self.held = checkpoint.newest(path / checkpoint.FOLDER, self.owner)
            _check_record(path, self.held)
            _go_on(path, record, self.held, self.ready.recipe, changed)
        if self.held is None:
            name = self.ready.data.name
            wall = directory.now()
            record.write(events.Start(format=directory.FORMAT, wall=wall, data=name))
            heed(self.ready.findings, record)

    def fit(self) -> dict[str, Artifact]:
        """The baseline and the models of the recipe, fitted in turn."""
        try:
            with self._going_on():
                models, saves = self._fit()
            if self.folds is not None:
                saves.save(
                    {"model": None, "events": self.record.count, "seconds": self.record.seconds}
                )
                self.tested = self.folds.tested(self.record, saves.folder, self.owner)
            return models
        except Interrupted as error:
            told = f"stopped and saved. Continue with: {self._again}"
            raise Interrupted(error.signal, told) from error
        except Diverged as error:
            if not self.world.lead:
                raise
            words = _remedy(self.path, self.record, self.ready.parts["train"], error)
            raise Diverged(f"{error}{words}") from error

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """A block in which the error of a lost rank says how to go on."""
        try:
            yield
        except LostRank as error:
            lost = LostRank(f"{error}; continue with: {self._again}")
            lost.silent = error.silent
            raise lost from error

    @property
    def _again(self) -> str:
        """The command that goes on."""
        ranks = f" --ranks {self.world.size}" if self.world.size > 1 else ""
        return f"linnet train --resume {shlex.quote(str(self.path))}{ranks}"

    def _fit(self) -> tuple[dict[str, Artifact], Checkpoints]:
        recipe, record = self.ready.recipe, self.record
        world = self.world.on(recipe.device)
        rows, valid = (self.ready.data.take(self.ready.parts[name]) for name in ("train", "valid"))
        folder = self.path / checkpoint.FOLDER
        saves = Checkpoints(folder, recipe.checkpoint_every, self.stop, record, self.owner)
        held = self.held or {"model": None, "done": {}}
        chooses = valid if self.ready.fold is None else self.ready.fold
        models: dict[str, Artifact] = {}
        for name in (BASELINE, *recipe.model):
            own = self.network if find_network(name).own else None
            again = name in held["done"]
            before = held.get("held", {}).get(name)
            kept = saves.load(name, held["done"][name], own, before) if again else None
            if again and not world.most(torch.tensor(float(kept is None), device=world.device)):
                assert kept is not None
                models[name] = kept
                continue
            with memory.guarded(
                f"{name} on {recipe.device}", "try a smaller batch_size, or widths"
            ):
                models[name] = fit(
                    only(recipe, name), rows, chooses, world=world,
                    record=Record() if again else record,  # the record has it already
                    module=self.network, start=_start(self.origin, name),
                    checkpoints=None if again or not world.lead else saves,
                    resume=held if held["model"] == name else None,
                )  # fmt: skip
            if again or not world.lead:
                saves.keep_again(models[name])
            else:
                saves.keep(models[name], {"events": record.count, "seconds": record.seconds})
        return models, saves

    def predict(self, models: dict[str, Artifact]) -> dict[str, Tensor]:
        """The raw predictions of each model for the test rows; each rank makes a part of them."""
        test = self.ready.data.take(self.ready.parts["test"])
        if self.folds is not None or not len(test):
            return {}
        with self._going_on():
            return {
                name: evaluation.predict_raw(model.module, test.x, self.world)
                for name, model in models.items()
            }

    def test(self, models: dict[str, Artifact], raws: Mapping[str, Tensor]) -> dict[str, Any]:
        """Score each model, and the yardstick, once on the test rows, compare them in pairs, and
        save the models and all predictions ``raws``. Returns the content of ``metrics.json``."""
        folds, tested = self.folds, self.tested
        test = self.ready.data.take(self.ready.parts["test"]) if folds is None else self.ready.data
        best, choice = chosen(models, self.ready)
        self._keep_held(models)
        metrics: dict[str, Any] = {"format": directory.FORMAT, "chosen": best, "choice": choice}
        metrics["models"] = {}
        told: dict[str, Predicted] = {}
        for name, model in models.items():
            raw = raws.get(name) if tested is None else tested.raws[name]
            metrics["models"][name] = self._score(model, raw, test)
            if raw is not None and name != BASELINE:
                told[name] = Predicted(model.objective, raw)
        told = {name: told[name] for name in simplest([*told], LINE)}
        metrics["yardstick"] = self._yardstick(test, told)
        metrics["comparisons"] = compare(test, told, None if folds is None else folds.fold)
        with language(LANGUAGES[0]):  # what is stored is not translated
            metrics["verdict"] = verdict(
                metrics, {name: model.module.title for name, model in models.items()}
            )
        if any(isinstance(each, lineage.Untested) for each in self.ready.findings):
            metrics["verdict"] = lineage.UNTESTED
        return metrics

    def _yardstick(self, test: Dataset, told: dict[str, Predicted]) -> dict[str, Any]:
        """Fit and score the yardstick, save its predictions and add them to ``told``."""
        if self.folds is not None and self.tested is not None:
            found = outer.yardstick(self.tested, self.folds, test)
        else:
            found = measured(self.ready)
        if not found.scores:
            return {}
        scores = found.scores
        self.record.write(
            events.Yardstick(
                model=YARDSTICK, title=YARDSTICK_TITLE, valid=scores.get("valid"),
                test=scores.get("test"), why=scores.get("why"),
                seconds=scores.get("fit", {}).get("seconds"),
            )
        )  # fmt: skip
        if found.raw is not None:
            schema = self.ready.data.schema
            objective = find_objective(choose(schema))
            told[YARDSTICK] = Predicted(objective, found.raw)
            self._keep(YARDSTICK, schema, objective, found.raw, test)
        return {YARDSTICK: found.scores}

    def _score(self, model: Artifact, raw: Tensor | None, test: Dataset) -> dict[str, Any]:
        """Score a model and save it together with its scores."""
        name, scores = model.manifest.model, dict(model.manifest.scores)
        if raw is not None:
            fold = None if self.folds is None else self.folds.fold
            tested = evaluation.score(model.objective, raw, test, fold)
            scores["test"] = tested
            self.record.write(events.Test(model=name, test=tested))
        model = _complete(model, scores, self.facts)
        model.save(self.path / f"{name}.safetensors")
        if raw is not None:
            self._keep(name, model.schema, model.objective, raw, test)
        made = {key: model.manifest.provenance[key] for key in ("seconds", "threads")}
        return {**scores, "fit": {**model.manifest.fit, **made}}

    def _keep_held(self, models: dict[str, Artifact]) -> None:
        """Of two classes save the predictions of the rows by which models are chosen, validation
        rows or training rows out of fold: a threshold is chosen by them, also when the data is
        gone."""
        names = [name for name in models if name != BASELINE]
        folds = all(models[name].held is not None for name in names)
        rows = self.ready.parts["train" if folds else "valid"]
        data = self.ready.data.take(rows)
        if not len(data) or data.soft or len(data.schema.classes) != 2:
            return
        folder = self.path / directory.HELD
        folder.mkdir(exist_ok=True)
        for name in names:
            model = models[name]
            raw = model.held if folds else evaluation.predict_raw(model.module, data.x)
            assert raw is not None
            fold = self.ready.fold if folds else None
            content = _predictions(model.schema, model.objective, raw, data, rows, fold)
            files.write(folder / f"{name}.parquet", content)

    def _keep(
        self, name: str, schema: Schema, objective: Objective, raw: Tensor, test: Dataset
    ) -> None:
        """Save the predictions of the test rows."""
        folder = self.path / directory.PREDICTIONS
        folder.mkdir(exist_ok=True)
        fold = None if self.folds is None else self.folds.fold
        rows = self.ready.parts["test"] if fold is None else torch.arange(len(test))
        content = _predictions(schema, objective, raw, test, rows, fold)
        files.write(folder / f"{name}.parquet", content)


def _go_on(
    path: Path,
    record: Record,
    held: Mapping[str, Any] | None,
    recipe: Recipe,
    changed: Mapping[str, str],
) -> None:
    """Record from where the run resumes. Changes are also added to ``run.json``, and
    ``recipe.toml`` becomes the recipe from here on."""
    again = {"wall": directory.now(), "changed": dict(changed)}
    before = identity(recipe_of(path))
    if held is None:
        record.go_on(0, 0.0, **again)
    else:
        step = held.get("progress", {}).get("index")
        record.go_on(held["events"], held["seconds"], model=held["model"], step=step, **again)
    if changed:
        info, again = directory.read_info(path), {**again, "recipe": before}
        files.write_json(
            path / directory.RUN, {**info, "resumed": [*info.get("resumed", []), again]}, MAX_INFO
        )
        files.write(path / directory.RECIPE, recipe.toml().encode())


def _check_record(path: Path, held: Mapping[str, Any] | None) -> None:
    """Raise ``InputError`` if the record of the run has fewer events than its checkpoint knows."""
    count = 0 if held is None else held["events"]
    found = len(read_all(path / directory.EVENTS))
    if found < count:
        raise InputError(
            f"{path / directory.EVENTS} has {found:,} events, and the newest checkpoint was made "
            f"after {count:,}: the record was cut; copy it back, or remove "
            f"{path / checkpoint.FOLDER} to begin the fits anew"
        )


def _remedy(path: Path, record: Record, train: Tensor, error: Diverged) -> str:
    """The end of the message of a fit that diverged: some rows of the batch, and how to continue.
    All rows of the batch are recorded."""
    words = ""
    if len(error.rows):
        rows = sorted(train[list(error.rows)].tolist())
        record.write(events.Diverged(rows=rows))
        some = listed(rows, SHOWN_ROWS)
        words = f"; its batch was rows {some} ({len(rows):,}, all in {directory.EVENTS})"
    if checkpoint.kept(path / checkpoint.FOLDER):
        again = f"linnet train --resume {shlex.quote(str(path))} --set lr=... --allow lr"
        words += f"; or continue from the checkpoint before it: {again}"
    return words


def _start(origin: lineage.Origin | None, name: str) -> dict[str, Tensor] | None:
    """The initial weights of a model: those of the parent run, if it has such a model."""
    if origin is None or name == BASELINE or name not in origin.run.metrics["models"]:
        return None
    return dict(origin.run.models[name].module.state_dict())


def _complete(model: Artifact, scores: dict[str, Any], facts: dict[str, Any]) -> Artifact:
    """The artifact with its scores, the facts about its data, and the versions and the platform."""
    made = {"created": directory.now(), **provenance.versions(), "platform": platform.platform()}
    manifest = model.manifest.model_copy(
        update={
            "scores": scores,
            "data": facts,
            "provenance": {**model.manifest.provenance, **made},
        }
    )
    return replace(model, manifest=manifest)


def _predictions(
    schema: Schema,
    objective: Objective,
    raw: Tensor,
    test: Dataset,
    rows: Tensor,
    fold: Tensor | None,
) -> bytes:
    """Parquet with the columns ``row``, ``y``, ``prediction`` and, for classes, ``p``: a list of
    probabilities for each row (of many classes, see ``insight.shares.kept``); ``group`` is the
    number of the row's group or block of time, if rows may depend on each other, and ``fold`` that
    of the fold whose models predicted the row, if there are no test rows."""
    import polars

    classifies = objective.classifies
    truth = schema.decode(test.codes) if classifies else test.y.numpy()
    decision = decide(schema, objective, raw)
    columns = {"row": rows.numpy(), "y": truth, "prediction": decision}
    if classifies:
        columns |= kept(objective, raw, test.codes)
    units = test.units()
    if units is not None:
        columns["group"] = units.codes
    if fold is not None:
        columns["fold"] = fold.numpy()
    buffer = BytesIO()
    polars.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


def _describe(
    path: Path,
    ready: Prepared,
    facts: dict[str, Any],
    origin: lineage.Origin | None,
    ranks: int = 1,
) -> None:
    """Write the files that are known before training. ``recipe.toml`` is the last: a run that has
    it can be resumed."""
    recipe = ready.recipe
    told = [str(each) for each in ready.findings if isinstance(each, lineage.Inherited)]
    files.write_json(
        path / directory.RUN,
        {
            "format": directory.FORMAT,
            "id": uuid.uuid4().hex,
            "created": directory.now(),
            "command": sys.argv,
            "seed": recipe.seed,
            "device": recipe.device,
            "data": {
                **facts,
                "place": recipe.data,
                "split": split_fingerprint(ready.parts, ready.fold),
                "notes": [
                    *(note for note in ready.data.notes if not isinstance(note, Warned)),
                    *told,
                ],
                "warnings": [note for note in ready.data.notes if isinstance(note, Warned)],
                "left_out": {
                    field.name: field.kind for field in ready.data.schema.fields if not field.used
                },
            },
            "versions": provenance.versions(),
            "hardware": provenance.hardware(),
            "git": provenance.repository(),
            "directory": os.getcwd(),
            "threads": torch.get_num_threads(),
            **({} if ranks == 1 else {"ranks": ranks}),
            **({} if origin is None else {"parent": str(origin.run.path.resolve())}),
        },
        MAX_INFO,
    )
    parts = ready.parts if ready.fold is None else {**ready.parts, "fold": ready.fold}
    files.write(path / directory.SPLIT, save(parts, {"linnet": '{"format":1}'}))
    before = None if origin is None else origin.rows
    lineage.Rows.of(ready.data, ready.parts, before).write(path)
    files.write(path / directory.RECIPE, recipe.toml().encode())


def repeat(
    place: str | os.PathLike[str],
    *,
    data: Any = None,
    network: nn.Module | None = None,
    out: str | os.PathLike[str] | None = None,
    echo: Callable[[Event], None] | bool | None = None,
) -> Run:
    """Train again with the recipe of the run in ``place``, a folder or a zip.

    Give ``data`` or ``network`` if the run used data in memory or a module of your own: a recipe
    cannot name these. A run that started from the weights of another one starts from them again.
    """
    run = Run(place, network)
    recipe = recipe_of(run.place)
    if data is None and recipe.data is None:
        raise RecipeError(f"{run.path}: it was trained on data in memory; give it: data=...")
    if network is not None and OWN not in recipe.model:
        raise RecipeError(f"{run.path} has no module of your own: repeat it without network")
    data = run.data_place() if data is None else data
    parent = run.info.get("parent")
    return train(data, recipe, network=network, out=out, echo=echo, parent=parent)


def split_fingerprint(parts: dict[str, Tensor], fold: Tensor | None = None) -> str:
    """A sha256 of the row numbers of each part, and of the folds."""
    digest = hashlib.sha256(b"" if fold is None else b"folds " + fold.numpy().tobytes())
    for name, rows in parts.items():
        digest.update(f"{name} {len(rows)}\n".encode())
        digest.update(rows.numpy().tobytes())
    return digest.hexdigest()
