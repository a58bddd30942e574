"""The product: from a place of data to three tested models, a verdict, and files that last."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor, nn

from linnet import evaluation, files
from linnet.artifact import Artifact
from linnet.checks.doctor import examine
from linnet.checks.finding import Finding
from linnet.data.dataset import Dataset
from linnet.data.read import read_draft
from linnet.errors import RecipeError
from linnet.fit import fit, heed
from linnet.parallel import World, choose_device
from linnet.recipe import Recipe, read_recipe
from linnet.record import Event, Record
from linnet.runs import about, directory
from linnet.runs.run import Run
from linnet.verdict import verdict

BASELINE = "constant"


def train(
    data: Any = None,
    recipe: Recipe | None = None,
    *,
    network: nn.Module | None = None,
    out: str | os.PathLike[str] | None = None,
    echo: Callable[[Event], None] | None = None,
    to: Sequence[str] = (),
    **settings: Any,
) -> Run:
    """Fit the baseline, the line and the net; test each once; save everything in a run directory.

    ``data`` is a known name, a file or folder, a data frame, ``(X, y)`` arrays, a mapping of
    arrays, or a torch data set or loader; ``settings`` are keys of the recipe, such as
    ``model="linear"`` or ``epochs=5``. ``network`` is a module of your own, trained in place as the
    model "custom", beside the line: it takes scaled examples, pictures as (rows, channels, height,
    width), and returns raw outputs, without softmax. ``out`` is the directory of the run, by
    default the next free one in ``runs/``. ``echo`` is called with every event that is recorded, to
    show progress.

    ``to`` names sinks that follow the run, each in a process of its own: "tensorboard", "mlflow",
    "wandb", "trackio", "visdom".

    The rows are split once. Penalty, epoch and model are chosen by validation rows; test rows are
    used once per model, at the end.
    """
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
    path = directory.create(Path(out) if out else None, dataset.name, names)
    with directory.Heartbeat(path), closing(Record(path / directory.EVENTS, echo)) as record:
        facts = {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint(),
            "rows": len(dataset),
            **{f"{name}_rows": len(rows) for name, rows in parts.items()},
        }
        _describe(path, recipe, dataset, parts, facts)
        record.write("start", format=directory.FORMAT, wall=directory.now(), data=dataset.name)
        for name in to:
            directory.follow(path, name)
        heed(findings, record)
        metrics = _train(path, recipe, dataset, parts, facts, record, network)
        files.write_json(path / directory.METRICS, metrics)
        record.write("end", chosen=metrics["chosen"])
    return Run(path, network)


def repeat(
    place: str | os.PathLike[str],
    *,
    data: Any = None,
    network: nn.Module | None = None,
    out: str | os.PathLike[str] | None = None,
    echo: Callable[[Event], None] | None = None,
) -> Run:
    """Train again by the recipe of the run in ``place``; ``data`` and ``network`` stand for what no
    recipe can name: data in memory, a module of your own."""
    path = Path(place)
    recipe = Recipe.make(read_recipe(path / directory.RECIPE), str(path / directory.RECIPE))
    if data is None and recipe.data is None:
        raise RecipeError(f"{path}: it was trained on data in memory; give it: data=...")
    return train(data, recipe, network=network, out=out, echo=echo)


class Prepared(NamedTuple):
    """The data, the recipe resolved for it, the row numbers of its parts, what the doctor found."""

    data: Dataset
    recipe: Recipe
    parts: dict[str, Tensor]
    findings: list[Finding]


def prepare(place: Any, recipe: Recipe) -> Prepared:
    """Read, divide, look over, encode: all that comes before the first fit."""
    if place is None:
        raise RecipeError("no data: name a data set, a file or a folder")
    device = str(choose_device(recipe.device))
    draft = read_draft(place, recipe)
    valid = None if recipe.valid == "auto" else recipe.valid
    split = draft.split(test=recipe.test, valid=valid, seed=recipe.seed)
    findings = examine(draft, split)
    dataset = draft.learn(split.train, recipe.max_categories)
    recipe.check(dataset.schema)
    recipe = recipe.resolve(dataset, split).override({"device": device})
    return Prepared(dataset, recipe, split._asdict(), findings)


def _train(
    path: Path,
    recipe: Recipe,
    dataset: Dataset,
    parts: dict[str, Tensor],
    facts: dict[str, Any],
    record: Record,
    network: nn.Module | None,
) -> dict[str, Any]:
    world = World(device=torch.device(recipe.device))
    rows, valid, test = (dataset.take(parts[name]) for name in ("train", "valid", "test"))
    models: dict[str, Artifact] = {}
    for name in (BASELINE, *recipe.model):
        models[name] = fit(
            recipe.only(name), rows, valid, world=world, record=record, module=network
        )
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
    made = {"created": directory.now(), **about.versions(), "platform": platform.platform()}
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
    path: Path, recipe: Recipe, dataset: Dataset, parts: dict[str, Tensor], facts: dict[str, Any]
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
            "versions": about.versions(),
            "hardware": about.hardware(),
            "git": about.repository(),
            "directory": os.getcwd(),
            "threads": torch.get_num_threads(),
        },
    )


def split_fingerprint(parts: dict[str, Tensor]) -> str:
    """A sha256 over the row numbers of the parts."""
    digest = hashlib.sha256()
    for name, rows in parts.items():
        digest.update(f"{name} {len(rows)}\n".encode())
        digest.update(rows.numpy().tobytes())
    return digest.hexdigest()
