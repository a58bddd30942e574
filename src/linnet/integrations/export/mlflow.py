"""A folder that MLflow takes: the model's file, and what MLflow must know of it.

Nothing in it is a pickle, and MLflow is not needed to write it. ``MLmodel`` names a module of
linnet, ``linnet.integrations.export.pyfunc``, which opens the model's file.
"""

from __future__ import annotations

import json
import platform
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from linnet import __version__
from linnet.core import files
from linnet.data.column import Column
from linnet.errors import InputError
from linnet.fit.artifact import Artifact
from linnet.insight.shares import MANY
from linnet.integrations.export import parity, pyfunc
from linnet.integrations.export.export import Exported, Source
from linnet.integrations.export.made import MISSING_DATE, Feed, made
from linnet.networks import OWN

WEIGHTS = "model.safetensors"
LOADER = "linnet.integrations.export.pyfunc"

FORMAT = "2.22.0"
"""The version of MLflow whose form the folder has; later ones read it."""


def export(source: Source, out: Path) -> Exported:
    """Write the model as a folder of MLflow; see ``linnet.export``."""
    if source.name == OWN:
        raise InputError(
            f"{source.path}: MLflow's folder would need the code of your own module, and holds no "
            "code; use --to onnx, or linnet serve --network"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists; expected a new folder, or an empty one")
    model = source.artifact
    found = parity.measure(source, _predict(source), "linnet's runtime")
    invented = made(model.schema, model.module)
    row = _example(model, {name: values[:1] for name, values in invented.items()})
    written = {
        WEIGHTS: files.read(source.path),
        "requirements.txt": f"linnet=={__version__}\npandas\n".encode(),
        "python_env.yaml": _yaml(_environment()),
        "conda.yaml": _yaml(_conda()),
        **row,
        "MLmodel": _yaml(described(model)),  # last: without it, it is no model
    }
    files.make_folder(out)
    for name, content in written.items():
        files.write(out / name, content)
    size = sum(map(len, written.values()))
    facts = {"bytes": size, "sha256": model.manifest.provenance["sha256"], "parity": found.plain()}
    about = f"{out}: {len(written)} files, {size:,} bytes; mlflow models serve -m {out}"
    return Exported(out, (about, *found.words(model.objective.classifies)), facts)


def _predict(source: Source) -> parity.Predict:
    """The model as MLflow will load it."""
    model = pyfunc.Model(source.runtime)

    def predict(feed: Feed) -> parity.Answer:
        raw = parity.framed(source.artifact, feed)
        given = raw if isinstance(raw, np.ndarray) else None
        encoded = (
            model.runtime.arrays(given) if given is not None else model.runtime.rows(raw.to_dicts())
        )
        answers = model.runtime.answers(encoded)
        if answers.p is None:
            return None, np.array(answers.prediction, float).reshape(len(encoded), -1)
        return answers.prediction, answers.p

    return predict


def described(model: Artifact) -> dict[str, Any]:
    """The content of ``MLmodel``."""
    about = model.manifest.provenance
    created = datetime.fromisoformat(str(about["created"])).astimezone(UTC)
    digest = str(about["sha256"])
    return {
        "flavors": {
            "python_function": {
                "data": WEIGHTS,
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": LOADER,
                "python_version": platform.python_version(),
            }
        },
        "metadata": {
            "linnet": __version__,
            "model": model.manifest.model,
            "sha256": digest,
            "classes": list(model.schema.names),
        },
        "mlflow_version": FORMAT,
        "model_uuid": uuid.UUID(digest[:32]).hex,
        "saved_input_example_info": _example_info(model),
        "signature": {
            "inputs": json.dumps(_inputs(model)),
            "outputs": json.dumps(_outputs(model)),
            "params": None,
        },
        "utc_time_created": created.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


def _inputs(model: Artifact) -> list[dict[str, Any]]:
    """The inputs, in MLflow's words."""
    schema = model.schema
    if not schema.fields:
        tensor = {"dtype": schema.dtype, "shape": [-1, *schema.shape]}
        return [{"type": "tensor", "tensor-spec": tensor}]
    return [
        {"type": type_of(column), "name": column.name, "required": True}
        for column in schema.fields
        if column.used
    ]


def type_of(column: Column) -> str:
    """MLflow's type of a column: text where the training data had text, for linnet reads it as it
    read that; and for booleans with missing values, which MLflow's own type cannot have."""
    if column.format:
        return "string"
    if column.kind == "date":
        return "datetime"
    if column.kind == "boolean":
        return "string" if column.missing else "boolean"
    return "string" if column.kind == "category" and not column.numeric else "double"


def _outputs(model: Artifact) -> list[dict[str, Any]]:
    """The columns of the answer, in MLflow's words."""
    schema = model.schema
    if len(schema.targets) > 1:
        names = {name: "double" for name in schema.targets}
    else:
        kinds = {"text": "string", "int": "long", "float": "double", "bool": "boolean"}
        names = {"prediction": kinds.get(str(schema.class_kind), "double")}
        if len(schema.classes) > MANY:
            names["p"] = "double"
        else:
            names |= {f"p_{name}": "double" for name in schema.names}
    return [{"type": kind, "name": name, "required": True} for name, kind in names.items()]


def _example_info(model: Artifact) -> dict[str, Any]:
    """What ``MLmodel`` says of the input example."""
    name = "input_example.json"
    serving = {"artifact_path": name, "serving_input_path": "serving_input_example.json"}
    if model.schema.fields:
        return {**serving, "type": "dataframe", "pandas_orient": "split"}
    return {**serving, "type": "ndarray", "format": "tf-serving"}


def _example(model: Artifact, feed: Feed) -> dict[str, bytes]:
    """An input example, and the body of a request with it."""
    if not model.schema.fields:
        given = feed["x"].tolist()
        return {
            "input_example.json": files.dumps(given).encode(),
            "serving_input_example.json": files.dumps({"inputs": given}).encode(),
        }
    columns = [column for column in model.schema.fields if column.used]
    split = {
        "columns": [column.name for column in columns],
        "data": [[_given(column, feed[column.name][0, 0]) for column in columns]],
    }
    return {
        "input_example.json": files.dumps(split).encode(),
        "serving_input_example.json": files.dumps({"dataframe_split": split}).encode(),
    }


def _given(column: Column, value: Any) -> Any:
    """A raw value as JSON, of MLflow's type of its column."""
    kind = type_of(column)
    if column.kind == "date":
        if value == MISSING_DATE:
            return None
        return datetime.fromtimestamp(int(value), UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if column.kind == "category" and not column.numeric:
        return str(value) or None
    if value != value:
        return None
    if column.kind == "boolean":
        return bool(value) if kind == "boolean" else str(bool(value)).lower()
    return str(value) if kind == "string" else float(value)


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }


def _conda() -> dict[str, Any]:
    pip = ["mlflow", f"linnet=={__version__}", "pandas"]
    return {
        "channels": ["conda-forge"],
        "dependencies": [f"python={platform.python_version()}", "pip", {"pip": pip}],
        "name": "linnet",
    }


def _yaml(value: Any, indent: int = 0) -> bytes:
    """Plain values as YAML: mappings in lines, all else as JSON, which YAML is a superset of."""
    lines = []
    for key, item in value.items():
        start = f"{' ' * indent}{json.dumps(key)}:"
        if isinstance(item, dict) and item:
            lines.append(f"{start}\n".encode() + _yaml(item, indent + 2))
        else:
            lines.append(f"{start} {json.dumps(item)}\n".encode())
    return b"".join(lines)
