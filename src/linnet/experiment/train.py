"""The product: from a place of data to three tested models, a verdict, and files that last."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from linnet.core import files, memory
from linnet.core.parallel import World
from linnet.core.record import Event, Record
from linnet.data.dataset import Dataset
from linnet.errors import Diverged, InputError, Interrupted, RecipeError
from linnet.fit import artifact, checkpoint
from linnet.fit.artifact import Artifact
from linnet.fit.checkpoint import Checkpoints, Stop
from linnet.fit.fit import fit, heed
from linnet.fit.prepare import prepare
from linnet.fit.recipe import Recipe
from linnet.insight import evaluation
from linnet.insight.verdict import verdict
from linnet.networks.constant import BASELINE
from linnet.runs import archive, directory, provenance
from linnet.runs.resume import check, differences, recipe_of
from linnet.runs.run import Run
from linnet.show import progress
from linnet.show.view import launch as live

SHOWN_ROWS = 10
"""Of a batch whose loss is not finite, that a message names."""


def train(
    data: Any = None,
    recipe: Recipe | None = None,
    *,
    network: nn.Module | None = None,
    out: str | os.PathLike[str] | None = None,
    echo: Callable[[Event], None] | bool | None = None,
    to: Sequence[str] = (),
    view: bool = False,
    resume: str | os.PathLike[str] | None = None,
    allow: Sequence[str] = (),
    parent: str | os.PathLike[str] | None = None,
    stop: Stop | None = None,
    **settings: Any,
) -> Run:
    """Fit the baseline, the line and the net; test each once; save everything in a run directory.

    ``data`` is a known name, a file or folder, a data frame, ``(X, y)`` arrays, a mapping of
    arrays, or a torch data set or loader; ``settings`` are keys of the recipe, such as
    ``model="linear"`` or ``epochs=5``. ``network`` is a module of your own, trained in place as the
    model "custom", beside the line: it takes scaled examples, pictures as (rows, channels, height,
    width), and returns raw outputs, without softmax. ``out`` is the directory of the run, by
    default the next free one in ``runs/``. ``echo=True`` shows progress: in a notebook a table that
    changes in place, which is there unless ``echo=False``, else lines on standard error. Or it is
    called with every event that is recorded.

    ``to`` names sinks that follow the run, each in a process of its own: "tensorboard", "mlflow",
    "wandb", "trackio", "visdom". ``view`` starts the live page of the folder that holds the run,
    and tells its address; it is a process of its own, and lives as long as this one.

    ``resume`` is the directory of a run that was stopped or killed: it goes on from its newest
    checkpoint, to the same bits, with its own recipe and data. What has changed since (``seed``,
    ``threads``, ``data``, ...) is refused by name unless ``allow`` names it. A run that has
    finished comes back as it is. ``parent`` is a run, or its zip, that a new one starts from: with
    its recipe, where ``recipe`` or ``settings`` say nothing else, and its models' weights. ``stop``
    is heeded after each step.

    The rows are split once. Penalty, epoch and model are chosen by validation rows; test rows are
    used once per model, at the end.
    """
    past = None if parent is None else Run(parent, network)
    if resume is not None:
        if out is not None or parent is not None:
            raise InputError("a run that goes on stays where it is: give resume alone")
        if directory.state_of(Path(resume))[0] == "finished":
            return Run(resume, network)
        recipe = recipe or recipe_of(Path(resume))
        data = _place(Path(resume), recipe) if data is None else data
    elif past is not None:
        recipe = recipe or recipe_of(past.place)
        data = past.data_place() if data is None else data
    recipe = recipe or Recipe()
    if network is not None and "custom" not in recipe.model:
        named = settings.get(
            "model", ("linear",) if recipe.model == Recipe().model else recipe.model
        )
        named = ("linear",) if named == "auto" else named
        named = (named,) if isinstance(named, str) else tuple(named)
        settings["model"] = named if "custom" in named else (*named, "custom")
    recipe = recipe.override(settings) if settings else recipe
    if network is None and "custom" in recipe.model:
        raise RecipeError(
            'the model "custom" is a module of your own: give it from Python, '
            "linnet.train(..., network=Net())"
        )
    if isinstance(data, (str, os.PathLike)):
        recipe = recipe.override({"data": str(data)})
    dataset, recipe, parts, findings = prepare(recipe.data if data is None else data, recipe)
    names = "auto" if recipe.model == Recipe().model else "-".join(recipe.model)
    facts = {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "rows": len(dataset),
        **{f"{name}_rows": len(rows) for name, rows in parts.items()},
    }
    changed: dict[str, str] = {}
    if resume is None:
        path = directory.create(Path(out) if out else None, dataset.name, names)
    else:
        path = Path(resume)
        made = {"fingerprint": facts["fingerprint"], "split": split_fingerprint(parts)}
        changed = differences(path, recipe, made, torch.get_num_threads(), provenance.versions())
        check(path, changed, allow)
        directory.check_free(path)
    address = live.start(path.parent, pid=os.getpid()) if view else None
    with (
        progress.shown(echo, address) as heard,
        closing(Record(path / directory.EVENTS, heard, alone=True)) as record,
        directory.Heartbeat(path),
    ):
        held = None if resume is None else checkpoint.newest(path / checkpoint.FOLDER)
        if resume is not None:
            _go_on(path, record, held, recipe, changed)
        if resume is None or not (path / directory.RUN).is_file():
            _describe(path, recipe, dataset, parts, facts, past)
        if held is None:
            record.write("start", format=directory.FORMAT, wall=directory.now(), data=dataset.name)
            heed(findings, record)
        for name in to:
            directory.follow(path, name)
        try:
            metrics = _train(path, recipe, dataset, parts, facts, record, network, held, past, stop)
        except Interrupted as error:
            raise Interrupted(
                error.signal, f"stopped; go on with: linnet train --resume {shlex.quote(str(path))}"
            ) from error
        except Diverged as error:
            raise Diverged(f"{error}{_remedy(path, record, parts['train'], error)}") from error
        files.write_json(path / directory.METRICS, metrics)
        record.write("end", chosen=metrics["chosen"])
        record.sync()
    shutil.rmtree(path / checkpoint.FOLDER, ignore_errors=True)
    return Run(path, network)


def _place(path: Path, recipe: Recipe) -> str:
    """Where the data of the run in ``path`` is, from here."""
    if recipe.data is None:
        raise RecipeError(f"{path}: it was trained on data in memory; give it: data=...")
    return Run(path).data_place() if (path / directory.RUN).is_file() else recipe.data


def _go_on(
    path: Path,
    record: Record,
    held: Mapping[str, Any] | None,
    recipe: Recipe,
    changed: Mapping[str, str],
) -> None:
    """Say in the record from where the run goes on; of what has changed ``run.json`` tells, and
    ``recipe.toml`` is what the run is made by from here on."""
    again = {"wall": directory.now(), "changed": dict(changed)}
    if held is None:
        record.go_on(0, 0.0, **again)
    else:
        at = held.get("at") or [None, None]
        record.go_on(held["events"], held["seconds"], model=held["model"], step=at[1], **again)
    if changed and (path / directory.RUN).is_file():
        files.write(path / directory.RECIPE, recipe.toml().encode())
        info = directory.read_info(path)
        files.write_json(
            path / directory.RUN, {**info, "resumed": [*info.get("resumed", []), again]}
        )


def _remedy(path: Path, record: Record, train: Tensor, error: Diverged) -> str:
    """More words on a fit that diverged: the rows of the batch, which the record keeps whole, and
    how to go on."""
    words = ""
    if len(error.rows):
        rows = sorted(train[list(error.rows)].tolist())
        record.write("diverged", rows=rows)
        some = ", ".join(map(str, rows[:SHOWN_ROWS])) + ", ..." * (len(rows) > SHOWN_ROWS)
        words = f"; its batch was rows {some} ({len(rows):,}, all in {directory.EVENTS})"
    if checkpoint.kept(path / checkpoint.FOLDER):
        again = f"linnet train --resume {shlex.quote(str(path))} --set lr=... --allow lr"
        words += f"; or go on from the checkpoint before it: {again}"
    return words


def repeat(
    place: str | os.PathLike[str],
    *,
    data: Any = None,
    network: nn.Module | None = None,
    out: str | os.PathLike[str] | None = None,
    echo: Callable[[Event], None] | bool | None = None,
) -> Run:
    """Train again by the recipe of the run in ``place``, a folder or a zip; ``data`` and
    ``network`` stand for what no recipe can name: data in memory, a module of your own."""
    path = archive.run_place(Path(place))
    recipe = recipe_of(path)
    if data is None and recipe.data is None:
        raise RecipeError(f"{path}: it was trained on data in memory; give it: data=...")
    return train(data, recipe, network=network, out=out, echo=echo)


def _train(
    path: Path,
    recipe: Recipe,
    dataset: Dataset,
    parts: dict[str, Tensor],
    facts: dict[str, Any],
    record: Record,
    network: nn.Module | None,
    held: Mapping[str, Any] | None,
    past: Run | None,
    stop: Stop | None,
) -> dict[str, Any]:
    world = World(device=torch.device(recipe.device))
    rows, valid, test = (dataset.take(parts[name]) for name in ("train", "valid", "test"))
    models: dict[str, Artifact] = {}
    saves = Checkpoints(path / checkpoint.FOLDER, recipe.checkpoint_every, stop, record)
    held = held or {"model": None, "done": []}
    for name in (BASELINE, *recipe.model):
        if name in held["done"]:
            code = network if name == "custom" else None
            models[name] = artifact.load(saves.place(name), code)
            saves.done = [*saves.done, name]
            continue
        with memory.guarded(f"{name} on {recipe.device}", "try a smaller batch_size, or widths"):
            models[name] = fit(
                recipe.only(name), rows, valid, world=world, record=record, module=network,
                start=_start(past, name, rows), checkpoints=saves,
                resume=held if held["model"] == name else None,
            )  # fmt: skip
        saves.keep(models[name], {"events": record.count, "seconds": record.seconds})
    chosen = _choose(models)
    raws: dict[str, Tensor] = {}
    metrics: dict[str, Any] = {
        "format": directory.FORMAT,
        "chosen": chosen,
        "models": {},
        "comparisons": {},
    }
    for name, model in models.items():
        scores = dict(model.manifest.scores)
        if len(test):
            raws[name] = evaluation.predict_raw(model.module, test.x)
            scores["test"] = evaluation.score(
                model.objective, model.schema, raws[name], test, recipe.seed
            )
            record.write("test", model=name, test=scores["test"])
        model = _complete(model, scores, facts)
        model.save(path / f"{name}.safetensors")
        if len(test):
            folder = path / "predictions"
            folder.mkdir(exist_ok=True)
            files.write(folder / f"{name}.parquet", _predictions(model, raws[name], test, parts))
        fit_facts = {**model.manifest.fit, "seconds": model.manifest.provenance["seconds"]}
        metrics["models"][name] = {**scores, "fit": fit_facts}
    if "linear" in raws:
        for name in recipe.model:
            if name != "linear":
                metrics["comparisons"][name] = evaluation.compare(
                    models[name].objective, test, raws["linear"], raws[name], recipe.seed
                )
    metrics["verdict"] = verdict(metrics)
    return metrics


def _start(past: Run | None, name: str, rows: Dataset) -> dict[str, Tensor] | None:
    """The weights that a model starts from: those of the run before, where it has such a model."""
    if past is None or name == BASELINE or name not in past.metrics["models"]:
        return None
    model = past.models[name]
    if model.schema != rows.schema:
        raise InputError(
            f"{past.path} learned from other examples or classes than {rows.name} has; a run that "
            "starts from it needs the same columns, or shape, and the same classes"
        )
    return dict(model.module.state_dict())


def _choose(models: dict[str, Artifact]) -> str:
    """The model with the least validation loss; without validation rows the first after the
    baseline."""
    names = [name for name in models if name != BASELINE]

    def loss(name: str) -> float:
        valid = models[name].manifest.scores.get("valid")
        return float(valid["loss"]) if isinstance(valid, dict) else 0.0  # type: ignore[arg-type]

    return min(names, key=loss)


def _complete(model: Artifact, scores: dict[str, Any], facts: dict[str, Any]) -> Artifact:
    """The artifact with its scores, the data it saw, and where it was made."""
    made = {"created": directory.now(), **provenance.versions(), "platform": platform.platform()}
    manifest = model.manifest.model_copy(
        update={
            "scores": scores,
            "data": facts,
            "provenance": {**model.manifest.provenance, **made},
        }
    )
    return replace(model, manifest=manifest)


def _predictions(model: Artifact, raw: Tensor, test: Dataset, parts: dict[str, Tensor]) -> bytes:
    """``row, y, prediction`` and, for classes, ``p`` (a list per row), as Parquet."""
    import polars

    classifies = model.objective.classifies
    truth = model.schema.decode(test.codes) if classifies else test.y.numpy()
    columns = {"row": parts["test"].numpy(), "y": truth, "prediction": model.decide(raw)}
    if classifies:
        columns["p"] = model.objective.probabilities(raw).numpy()
    buffer = BytesIO()
    polars.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


def _describe(
    path: Path,
    recipe: Recipe,
    dataset: Dataset,
    parts: dict[str, Tensor],
    facts: dict[str, Any],
    past: Run | None,
) -> None:
    """``recipe.toml``, ``run.json`` and ``split.safetensors``: all that is known beforehand."""
    files.write(path / directory.RECIPE, recipe.toml().encode())
    files.write(path / directory.SPLIT, save(parts, {"linnet": '{"format":1}'}))
    files.write_json(
        path / directory.RUN,
        {
            "format": directory.FORMAT,
            "created": directory.now(),
            "command": sys.argv,
            "seed": recipe.seed,
            "device": recipe.device,
            "data": {
                **facts,
                "place": recipe.data,
                "split": split_fingerprint(parts),
                "notes": list(dataset.notes),
            },
            "versions": provenance.versions(),
            "hardware": provenance.hardware(),
            "git": provenance.repository(),
            "directory": os.getcwd(),
            "threads": torch.get_num_threads(),
            **({} if past is None else {"parent": str(past.path.resolve())}),
        },
    )


def split_fingerprint(parts: dict[str, Tensor]) -> str:
    """A sha256 over the row numbers of the parts."""
    digest = hashlib.sha256()
    for name, rows in parts.items():
        digest.update(f"{name} {len(rows)}\n".encode())
        digest.update(rows.numpy().tobytes())
    return digest.hexdigest()
