"""``linnet eject``: write a script that trains a run's model again without linnet."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, get_args

import numpy as np

from linnet.core import files
from linnet.core.randomness import SAMPLE
from linnet.core.registry import suggest
from linnet.data.codes import WIDE
from linnet.data.schema import Schema
from linnet.errors import InputError
from linnet.fit.prepare import prepare
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import only
from linnet.integrations.eject import _data, _layers, _line, _training
from linnet.integrations.eject._data import Reader
from linnet.integrations.eject._layers import Style
from linnet.integrations.eject._shared import Facts
from linnet.networks import BASELINE, LINE, OWN
from linnet.networks.mean import Mean
from linnet.runs.resume import recipe_of
from linnet.runs.run import Run

WRITTEN = ("linear", "mlp", "cnn")
WRITTEN_OBJECTIVES = ("squared", "logistic", "softmax")
"""The networks and objectives that a script can be written for."""


def eject(
    run: Run | str | os.PathLike[str],
    style: Style = "module",
    *,
    model: str | None = None,
    encoded: str | os.PathLike[str] | None = None,
    data: Any = None,
) -> str:
    """A script that trains the chosen model of a run, or ``model``, with torch and numpy alone.

    ``style`` is "tensors" (raw weights and functional calls), "module" (a class) or "sequential"
    (``nn.Sequential``); all three give the same result to the bit. A net ends with the run's
    weights, to the bit, on the same CPU with the same versions and number of threads. A line ends
    within 1e-6 of the run's objective. The script reads the run's row numbers. It reads IDX and
    CIFAR files and scikit-learn's data sets directly. For all other data ``encoded`` names a
    ``.npz`` file, which this function writes and the script reads. ``data`` is needed if the run's
    data was an object in Python.

    Raises ``InputError`` if no script is possible: for a module of the user's own, for a run that
    was resumed with another recipe or started from another run's weights, for another device.
    """
    run = run if isinstance(run, Run) else Run(run)
    if style not in get_args(Style):
        raise InputError(f'unknown style "{style}"; {suggest(style, get_args(Style))}')
    name = _chosen(run, model)
    recipe = only(recipe_of(run.place), name)
    artifact = run.models[name]
    if artifact.manifest.objective not in WRITTEN_OBJECTIVES:
        raise InputError(
            f'{run.path}: eject cannot write the objective "{artifact.manifest.objective}"'
        )
    if artifact.schema.coded:
        raise InputError(
            f"{run.path}: eject cannot write a model of {artifact.schema.shape[0]:,} columns, most "
            f"of them of categories: above {WIDE:,} linnet computes with their codes, in no plain "
            "way; train with fewer categories (max_categories=...)"
        )
    if artifact.decision is not None:
        raise InputError(
            f"{run.path}: eject cannot write decide={recipe.decide}, a threshold that is chosen "
            "after the fit; train with decide=argmax, which gives the same weights"
        )
    threads = artifact.manifest.provenance.get("threads")  # of this fit
    reader, weighted, soft = _reader(run, recipe, artifact.schema, encoded, data)
    spec: Any = artifact.manifest.network
    spec = spec.get("member", spec)
    about = spec.get("embedding")
    if about is not None and about["kind"] == "piecewise" and len(run.split()["train"]) > SAMPLE:
        raise InputError(
            f"{run.path}: eject cannot write the bins of more than {SAMPLE:,} training rows"
        )
    facts = Facts(
        run=run.path,
        name=name,
        style=style,
        recipe=recipe,
        manifest=artifact.manifest.model_copy(update={"network": spec}),
        reader=reader,
        net=_layers.plan(name, spec),
        threads=threads if isinstance(threads, int) else None,
        versions=run.info.get("versions", {}),
        data=str(run.info.get("data", {}).get("name")),
        weighted=weighted,
        soft=soft,
        parts=frozenset(part for part, rows in run.split().items() if len(rows)),
        members=len(net.each) if isinstance(net := artifact.module, Mean) else 1,
    )
    return _line.line(facts) if name == LINE else _training.net(facts)


def _chosen(run: Run, model: str | None) -> str:
    """The name of the model; raises if no script of it is possible."""
    name = run.chosen if model is None else model
    if name not in run.metrics["models"] or name == BASELINE:
        known = [each for each in run.metrics["models"] if each != BASELINE]
        raise InputError(f'{run.path} has no model "{name}" to eject; {suggest(name, known)}')
    if name == OWN:
        raise InputError(f"{run.path}: its net is a module of your own: you already have its code")
    if name not in WRITTEN:
        raise InputError(f'{run.path}: eject cannot write "{name}", which is no network of linnet')
    if not run.path.is_dir():
        raise InputError(f"{run.path}: unpack it first; the script reads its row numbers")
    if run.info.get("parent"):
        raise InputError(
            f"{run.path} started from the weights of {run.info['parent']}: eject that run"
        )
    if any(each.get("changed") for each in run.info.get("resumed", [])):
        raise InputError(
            f"{run.path} was resumed under other conditions; repeat it and eject the new run"
        )
    return name


def _reader(
    run: Run, recipe: Recipe, schema: Schema, encoded: str | os.PathLike[str] | None, data: Any
) -> tuple[Reader, bool, bool]:
    """How the script reads the data, whether rows have weights, and whether targets are soft."""
    place = None if data is not None else run.info.get("data", {}).get("place")
    if encoded is None:
        found = None
        if isinstance(place, str):
            found = _data.reader(run.data_place(), recipe, schema)
        if found is None:
            raise InputError(
                f"{run.path}: NumPy alone cannot read its data; add --data encoded.npz to write "
                "the encoded rows for the script"
            )
        return found, False, False
    weighted, soft = _encode(run, Path(encoded), data)
    return _data.encoded(str(encoded), schema, weighted, soft), weighted, soft


def _encode(run: Run, place: Path, data: Any) -> tuple[bool, bool]:
    """Write all rows, encoded as in the run; returns (have weights, have soft targets)."""
    if place.suffix != ".npz":
        raise InputError(f"{place}: expected a name that ends in .npz")
    given = run.data_place() if data is None else data
    found = prepare(given, recipe_of(run.place)).data
    if found.fingerprint() != run.info.get("data", {}).get("fingerprint"):
        raise InputError(f"{run.path}: {found.name} is not the data of the run")
    arrays = {"x": found.x.numpy(), "y": found.y.numpy()}
    if found.weight is not None:
        arrays["weight"] = found.weight.numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    files.write(place, buffer.getvalue())
    return found.weight is not None, found.soft
