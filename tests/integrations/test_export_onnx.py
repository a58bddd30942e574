"""ONNX: every kind of column, network and dtype, against the model that it came from."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import linnet
from helpers import ROOT, command, refusal
from linnet.data.column import Column
from linnet.errors import InputError, LinnetWarning, WorkError
from linnet.integrations.export import made, parity
from linnet.integrations.export.export import Exported, Source, exported, source
from linnet.integrations.export.made import MISSING_DATE, Feed
from linnet.networks.activations import ACTIVATIONS
from linnet.runs.run import Run

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from linnet.integrations.export import onnx as form  # noqa: E402

Array = np.ndarray[Any, Any]

ROWS = 400
QUICK: dict[str, Any] = {"yardstick": "none", "epochs": 2, "widths": [16, 8]}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer made rows, for speed."""
    monkeypatch.setattr(made, "DRAWN", 300)


def people(*, seed: int = 0) -> pl.DataFrame:
    """A column of every kind, with missing values, rare categories and far numbers."""
    random = np.random.default_rng(seed)

    def some(share: float) -> pl.Series:
        return pl.Series(random.random(ROWS) < share)

    since, day = dt.datetime(1900, 2, 27), dt.date(1900, 2, 27)
    seconds, days = random.integers(0, 6_000_000_000, ROWS), random.integers(0, 50_000, ROWS)
    frame = pl.DataFrame(
        {
            "age": random.normal(40, 10, ROWS),
            "income": np.where(random.random(ROWS) < 0.02, 1e9, random.lognormal(10, 1, ROWS)),
            "job": random.choice(["cook", "nurse", "smith, x", "é日"], ROWS),
            "town": [f"t{number}" for number in random.zipf(1.5, ROWS).clip(0, 60)],
            "stars": random.choice([1.0, 2.0, 3.0, 4.5], ROWS),
            "active": random.random(ROWS) < 0.5,
            "joined": [since + dt.timedelta(seconds=int(each)) for each in seconds],
            "born": [day + dt.timedelta(days=int(each)) for each in days],
        }
    )
    for name, share in (("age", 0.1), ("job", 0.05), ("active", 0.05), ("born", 0.05)):
        frame = frame.with_columns(pl.when(some(share)).then(None).otherwise(name).alias(name))
    score = frame["age"].fill_null(40) / 10 + frame["stars"] + random.normal(0, 1, ROWS)
    score += (frame["job"] == "cook").fill_null(False).cast(pl.Float64) * 2
    return frame.with_columns(score=score)


def targeted(frame: pl.DataFrame, classes: int) -> pl.DataFrame:
    """With a target ``y``: the score, or classes of it."""
    score = frame["score"].to_numpy()
    y: Any = score
    if classes == 2:
        y = np.where(score > np.median(score), "yes", "no")
    elif classes:
        y = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    return frame.drop("score").with_columns(y=pl.Series(y))


def fit(data: Any, out: Path, network: nn.Module | None = None, **settings: Any) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinnetWarning)
        return linnet.train(data, out=out, network=network, **{**QUICK, **settings})


COLUMNS: dict[str, Any] = {"columns": {"stars": "category", "town": "category"}}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Run, Any]]:
    """A run of people with so many classes (0 for numbers), and its data; each is made once."""
    folder = tmp_path_factory.mktemp("people")
    known: dict[str, tuple[Run, Any]] = {}

    def run(classes: int, **settings: Any) -> tuple[Run, Any]:
        key = json.dumps([classes, settings])
        if key not in known:
            data = targeted(people(), classes)
            place = folder / str(len(known))
            known[key] = fit(data, place, target="y", **{**COLUMNS, **settings}), data
        return known[key]

    return run


def export(run: Run | Path, folder: Path, **more: Any) -> tuple[Exported, bytes]:
    out = folder / "model.onnx"
    found = exported(run, "onnx", out=out, **more)
    return found, out.read_bytes()


def notes(content: bytes) -> dict[str, Any]:
    """The metadata of a file."""
    model = onnx.load_from_string(content)
    return {entry.key: json.loads(entry.value) for entry in model.metadata_props}


# every kind of column


@pytest.mark.parametrize("classes", [2, 3, 0])
@pytest.mark.parametrize("name", ["constant", "linear", "mlp"])
def test_every_kind_of_column(
    ran: Callable[..., tuple[Run, Any]], tmp_path: Path, name: str, classes: int
) -> None:
    run, data = ran(classes, missing=["unknown", "-1"], max_categories=10)
    found, content = export(run, tmp_path, model=name, data=data)
    about = found.facts["parity"]
    assert about["held"] == 80 and about["part"] == "test" and about["made"] > 300
    assert about["largest"] <= about["limit"] == 1e-5
    told = notes(content)
    assert told["parity"] == about and told["linnet"]["provenance"]["sha256"]
    kinds = {each["column"]: each["type"] for each in told["inputs"]}
    assert kinds == {
        "age": "float64", "income": "float64", "job": "text", "town": "text", "stars": "float64",
        "active": "float64", "joined": "int64", "born": "int64",
    }  # fmt: skip
    fields = {field.name: field for field in run.models[name].schema.fields}
    assert fields["income"].ends and fields["town"].other and fields["job"].missing


def rows(**changed: Any) -> dict[str, Array]:
    """One person as inputs of the graph."""
    plain: dict[str, Any] = {
        "age": 41.5, "income": 2e4, "job": "cook", "town": "t1", "stars": 4.5, "active": 1.0,
        "joined": 0, "born": 0,
    }  # fmt: skip
    plain |= changed
    kinds = {"job": object, "town": object, "joined": np.int64, "born": np.int64}
    return {name: np.array([[value]], kinds.get(name, float)) for name, value in plain.items()}


def test_what_means_missing(ran: Callable[..., tuple[Run, Any]], tmp_path: Path) -> None:
    """Empty text and the words of the reader and the recipe, NaN, NaT, a number that the recipe
    names, what is infinite, and what is far, all give what a missing value gives."""
    run, _ = ran(2, missing=["unknown", "-1"], max_categories=10)
    _, content = export(run, tmp_path, model="linear")
    session = onnxruntime.InferenceSession(content)

    def p(**changed: Any) -> float:
        return float(session.run(["probabilities"], rows(**changed))[0][0, 1])

    absent: dict[str, list[Any]] = {
        "job": ["", "?", "NA", "unknown", "null"],
        "age": [np.nan, -1.0, np.inf],
        "income": [np.nan, 1e9, -np.inf],
        "active": [np.nan, -1.0, 2.0],
        "stars": [np.nan, -1.0],
        "born": [MISSING_DATE, int(np.datetime64("NaT", "s").astype(np.int64))],
    }
    for name, values in absent.items():
        assert len({p(**{name: value}) for value in values}) == 1, name
        other: Any = {"job": "nurse", "born": 86_400 * 900}.get(name, 1.0)
        assert p(**{name: values[0]}) != p(**{name: other}), name
    assert p(town="Atlantis") == p(town="t59 or so")  # both are rare ones
    assert p(job="Atlantis") != p(job="")  # unknown is none of the categories, and not missing


DAYS = (
    "0001-01-01 1600-02-29 1899-12-31T23:59:59 1969-12-31 1970-01-01 2000-02-29T12:30:00 "
    "2100-03-01 9999-12-31"
)


@pytest.mark.parametrize("text", DAYS.split())
def test_the_calendar(text: str) -> None:
    from linnet.integrations.export import _encoder
    from linnet.integrations.export._graph import Graph

    moment = dt.datetime.fromisoformat(text)
    graph = Graph()
    parts = _encoder._calendar(graph, graph.input("seconds", "int64", (1,)))
    for number, part in enumerate(parts):
        graph.output(part, f"part {number}", "float64", (1,))
    session = onnxruntime.InferenceSession(graph.model("calendar").SerializeToString())
    seconds = int((moment - dt.datetime(1970, 1, 1)).total_seconds())
    found = [each.item() for each in session.run(None, {"seconds": np.array([[seconds]])})]
    hour = moment.hour + moment.minute / 60 + moment.second / 3600
    expected = [moment.year, moment.month, moment.day, moment.weekday(), hour]
    assert found[:4] == expected[:4] and abs(found[4] - hour) < 1e-12


def test_wide_categories_stay_codes(tmp_path: Path) -> None:
    """More than a thousand columns of categories: the graph takes rows of the first weight, and
    has no matrix of zeros and ones."""
    random = np.random.default_rng(1)
    codes = [f"code{number}" for number in range(5)]
    drawn = random.integers(0, 900, (len(codes), ROWS)).tolist()
    frame = targeted(people(), 2).with_columns(
        pl.Series(name, [f"c{code}" for code in row])
        for name, row in zip(codes, drawn, strict=True)
    )
    columns = {**COLUMNS["columns"], **dict.fromkeys(codes, "category")}
    run = fit(frame, tmp_path / "r", target="y", max_categories=10_000, folds=2, columns=columns)
    assert run.model.schema.coded
    for name in ("linear", "mlp"):
        _, content = export(run, tmp_path, model=name, data=frame)
        made_of = [node.op_type for node in onnx.load_from_string(content).graph.node]
        assert "OneHot" not in made_of and "Gather" in made_of


def test_several_targets(tmp_path: Path) -> None:
    frame = targeted(people(), 0).with_columns(z=pl.col("y") * 1000 + 5)
    run = fit(frame, tmp_path / "r", target=["y", "z"], **COLUMNS)
    _, content = export(run, tmp_path, model="mlp", data=frame)
    session = onnxruntime.InferenceSession(content)
    feed = {name: np.repeat(values, 3, 0) for name, values in rows().items()}
    assert session.run(["prediction"], feed)[0].shape == (3, 2)


# networks and dtypes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_activations(name: str, dtype: str, tmp_path: Path) -> None:
    run = fit("iris", tmp_path / "r", model="mlp", activation=name, dtype=dtype, dropout=0.1,
              batch_norm=name in ("relu", "tanh"), folds=1)  # fmt: skip
    found, _ = export(run, tmp_path, model="mlp")
    assert found.facts["parity"]["limit"] == {"float32": 1e-5, "float64": 1e-9}[dtype]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("embedding", ["piecewise", "periodic"])
def test_embeddings_and_folds(embedding: str, dtype: str, tmp_path: Path) -> None:
    run = fit("iris", tmp_path / "r", embedding=embedding, dtype=dtype, folds=3)
    assert run.models["mlp"].manifest.network["members"] == 3
    export(run, tmp_path, model="mlp")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm", [True, False])
def test_pictures(norm: bool, dtype: str, tmp_path: Path) -> None:
    run = fit("digits", tmp_path / "r", model="cnn", channels=[4, 6], batch_norm=norm, dtype=dtype)
    for name in ("linear", "cnn"):
        if name in run.scores.models:
            _, content = export(run, tmp_path, model=name)
    session = onnxruntime.InferenceSession(content)
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape) == ("x", "tensor(uint8)", ["rows", 1, 8, 8])
    for count in (1, 2, 7):
        label, p = session.run(None, {"x": np.zeros((count, 1, 8, 8), np.uint8)})
        assert label.shape == (count,) and p.shape == (count, 10)


def test_rows_without_names(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(1000, 1e-3, (200, 3))
    y = (x[:, 0] > 1000).astype(int)
    run = fit((x, y), tmp_path / "r", dtype="float32")  # wide rows in a narrow model
    found, _ = export(run, tmp_path, model="mlp", data=(x, y))
    assert found.facts["parity"]["held"] == 40


class Own(nn.Module):
    """A module of one's own, with two outputs for two classes."""

    def __init__(self, inputs: int = 4, outputs: int = 3) -> None:
        super().__init__()
        first, last = nn.Linear(inputs, 8), nn.Linear(8, outputs)
        self.layers = nn.Sequential(first, nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), last)

    def forward(self, x: torch.Tensor) -> Any:
        return self.layers(x.flatten(1))


class Branching(Own):
    def forward(self, x: torch.Tensor) -> Any:
        return self.layers(x if float(x.sum()) > 0 else -x)


@pytest.mark.slow
def test_a_module_of_ones_own(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    run = fit("iris", tmp_path / "r", network=Own())
    refusal(exported, run.path, "onnx", model="custom", error=InputError, out=tmp_path / "m.onnx")
    found, content = export(run, tmp_path, model="custom", network=Own())
    assert found.facts["parity"]["limit"] == 1e-5  # float64 rows, a module of float32
    assert onnxruntime.InferenceSession(content).get_inputs()[0].shape == ["rows", 4]
    code = tmp_path / "net.py"
    code.write_text(
        "from torch import nn\n\n\nclass Own(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.layers = nn.Sequential(nn.Linear(4, 8),\n"
        "            nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))\n\n"
        "    def forward(self, x):\n        return self.layers(x)\n"
    )
    done = command("export", run.path, "--to", "onnx", "--model", "custom", "--out", "c.onnx",
                   "--network", f"{code}:Own", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0 and "largest difference" in done.stdout


def test_ones_own_module_on_a_table(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    frame = targeted(people(), 2).drop("town")  # whose categories depend on the split
    columns = {"stars": "category"}
    line = fit(frame, tmp_path / "line", model="linear", target="y", columns=columns)
    (width,) = line.model.schema.shape
    run = fit(frame, tmp_path / "r", Own(width, 2), target="y", columns=columns)
    export(run, tmp_path, model="custom", network=Own(width, 2), data=frame)


def test_a_module_that_cannot_be_written(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    run = fit("iris", tmp_path / "r", network=Branching())
    told = refusal(export, run, tmp_path, error=InputError, model="custom", network=Branching())
    assert "cannot write Branching as ONNX" in told and not (tmp_path / "model.onnx").exists()


# the file


@pytest.mark.slow
def test_bytes_are_the_same_each_time_and_know_no_path(
    ran: Callable[..., tuple[Run, Any]], tmp_path: Path
) -> None:
    run, data = ran(3)
    csv = tmp_path / "secret folder" / "people.csv"
    csv.parent.mkdir()
    data.write_csv(csv)
    run = fit(csv, tmp_path / "r", target="y", **COLUMNS)
    contents = {export(Run(run.path), tmp_path, model="mlp")[1] for _ in range(2)}
    (content,) = contents
    for word in ("secret folder", str(tmp_path), platform.node(), str(ROOT)):
        assert word.encode() not in content
    model = onnx.load_from_string(content)
    assert model.ir_version == 8 and model.producer_name == "linnet"
    assert {each.domain: each.version for each in model.opset_import} == {"": 17, "ai.onnx.ml": 3}


def test_columns_called_as_the_outputs(tmp_path: Path) -> None:
    frame = targeted(people(), 2).rename({"age": "label", "stars": "probabilities", "job": "a/b.0"})
    columns = {"probabilities": "category", "town": "category"}
    run = fit(frame, tmp_path / "r", target="y", model="linear", columns=columns)
    _, content = export(run, tmp_path, data=frame)
    session = onnxruntime.InferenceSession(content)
    assert [each.name for each in session.get_outputs()] == ["label_", "probabilities_"]
    assert {"label", "probabilities", "a/b.0"} <= {each.name for each in session.get_inputs()}


@pytest.mark.parametrize(
    ("y", "labels"),
    [([True, False], [False, True]), ([-3, 7, 9], [-3, 7, 9])],
)
def test_kinds_of_labels(y: list[Any], labels: list[Any], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 2))
    codes = np.digitize(x[:, 0], [0] if len(y) == 2 else [-0.5, 0.5])
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": [y[code] for code in codes]})
    run = fit(frame, tmp_path / "r", target="y", model="linear", task="classification")
    _, content = export(run, tmp_path, data=frame)
    session = onnxruntime.InferenceSession(content)
    given = {name: x[:, [index]] for index, name in enumerate("ab")}
    expected = run.models["linear"].predict(frame.drop("y")).tolist()
    assert session.run(None, given)[0].tolist() == expected
    assert sorted(set(expected)) == labels


# parity


def test_a_model_that_differs_is_not_written(
    ran: Callable[..., tuple[Run, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = ran(3)
    build = form.build

    def wrong(model: Any, where: str) -> Any:
        """One weight is a little larger."""
        found = build(model, where)
        largest = max(found.graph.initializer, key=lambda each: len(each.raw_data))
        values = onnx.numpy_helper.to_array(largest).copy()
        values.flat[np.abs(values).argmax()] *= 1.01
        largest.CopyFrom(onnx.numpy_helper.from_array(values, largest.name))
        return found

    monkeypatch.setattr(form, "build", wrong)
    told = refusal(export, run, tmp_path, error=WorkError, model="linear")
    assert "does not predict what the model predicts" in told
    assert list(tmp_path.iterdir()) == []


def test_labels_that_differ(
    ran: Callable[..., tuple[Run, Any]],
) -> None:
    """Another label is a fault, unless the two best classes are as good as equal."""
    run, _ = ran(3)
    found = source(run.path, "linear")
    model = found.artifact
    compared = parity._Compared(model, lambda feed: (["2"] * len(feed["age"]), np.zeros((1, 3))))
    feed = {name: np.repeat(values, 2, 0) for name, values in rows().items()}
    labels, p = parity.answer(model, feed)
    assert labels is not None
    other = [next(each for each in (0, 1, 2) if each != label) for label in labels]
    compared.predict = lambda feed: (other, p)
    compared.add(feed)
    assert (compared.wrong, compared.ties, compared.largest) == (2, 0, 0.0)
    compared.limit = 1.0  # now all classes are as good as equal
    compared.add(feed)
    assert compared.ties == 2
    compared.predict = lambda feed: (labels, p * np.nan)
    compared.add(feed)
    assert compared.largest == np.inf


def test_held_out_rows_are_those_of_the_run(tmp_path: Path) -> None:
    run = fit("iris", tmp_path / "r", model="linear")
    part, feeds = parity.held_out(Source(run, "linear", run.place / "linear.safetensors"))
    x = np.concatenate([feed["x"] for feed in feeds])
    predicted = pl.read_parquet(run.path / "predictions" / "linear.parquet")
    assert part == "test" and len(x) == 30
    assert run.models["linear"].predict(x).tolist() == predicted["prediction"].to_list()


@pytest.mark.parametrize("settings", [{"test": "folds"}, {"test": 0.2}])
def test_runs_without_test_rows(settings: dict[str, Any], tmp_path: Path) -> None:
    run = fit("iris", tmp_path / "r", model="linear", **settings)
    found, _ = export(run, tmp_path)
    part = "training" if settings["test"] == "folds" else "test"
    assert found.facts["parity"]["part"] == part and found.facts["parity"]["held"] >= 30


@pytest.mark.slow
def test_data_that_is_gone(ran: Callable[..., tuple[Run, Any]], tmp_path: Path) -> None:
    run, data = ran(2)
    found, _ = export(run, tmp_path, model="linear")
    assert found.facts["parity"]["held"] == 0
    assert any("made rows alone: the run was trained on data in memory" in w for w in found.told)
    found, _ = export(run.path / "linear.safetensors", tmp_path)
    assert any("a model file alone has no rows" in words for words in found.told)
    other = data.with_columns(pl.col("age") + 1)
    found, _ = export(run, tmp_path, model="linear", data=other)
    assert any("is not the data of the run" in words for words in found.told)


def test_made_rows_go_to_the_ends(ran: Callable[..., tuple[Run, Any]]) -> None:
    run, _ = ran(2, missing=["unknown", "-1"], max_categories=10)
    model = run.models["mlp"]
    feed: Feed = made.made(model.schema, model.module)
    fields: dict[str, Column] = {field.name: field for field in model.schema.fields}
    for name, values in feed.items():
        column, flat = fields[name], values[:, 0]
        if column.kind in ("number", "date"):
            assert column.range is not None
            assert np.nanmin(flat[flat != MISSING_DATE].astype(float)) < column.range[0]
            assert np.nanmax(flat.astype(float)) > column.range[1]
        if column.kind == "category" and not column.numeric:
            assert set(flat) > {"", made.UNKNOWN, *column.categories[:1]}
        absent = [value in ("", MISSING_DATE) or value != value for value in flat.tolist()]
        assert any(absent) and not all(absent)
    again = made.made(model.schema, model.module)
    assert all(pl.Series(a[:, 0]).equals(pl.Series(again[name][:, 0])) for name, a in feed.items())


# the real data, and JavaScript


DATA = {
    "adult": ("adult.data", ["--no-header", "--target", "c14"], 1e-6),
    "titanic": ("titanic.csv", ["--target", "survived"], 1e-6),
    "diamonds": ("diamonds.csv", ["--target", "price"], 5e-6),
    "iris": ("iris", [], 1e-12),
    "digits": ("digits", [], 1e-5),
    "mnist": ("mnist", [], 1e-5),
    "mnist-cnn": ("mnist", ["--model", "cnn"], 1e-5),
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A short run on a data set, made once."""
    folder = tmp_path_factory.mktemp("real")

    def run(name: str) -> Path:
        place, more, _ = DATA[name]
        if place not in ("iris", "digits"):
            known = os.environ.get("LINNET_DATA")
            if not known or not (Path(known) / place).exists():
                pytest.skip(f"LINNET_DATA does not point at a folder with {place}")
            place = str(Path(known) / place)
        if not (folder / name).exists():
            settings = ["yardstick=none", "epochs=1", "widths=64,32", "folds=1"]
            chosen = [word for setting in settings for word in ("--set", setting)]
            out = ["--out", folder / name, "--no-report", "--no-view"]
            done = command("train", place, *more, *out, *chosen)
            assert done.returncode == 0, done.stderr
        return folder / name

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", list(DATA))
def test_real_data(
    name: str, real: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "DRAWN", 10_000)
    run = real(name)
    for model in ("linear", "mlp", "cnn"):
        if (run / f"{model}.safetensors").is_file():
            done = command("export", run, "--to", "onnx", "--model", model, "--json", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            about = json.loads(done.stdout)
            assert about["path"] == f"{name}-{model}.onnx"
            assert about["parity"]["held"] > 0 and about["parity"]["largest"] <= DATA[name][2]


SCRIPT = """
const ort = require(require.resolve(process.argv[2], {paths: [process.argv[3]]}));
const {file, feed, rows} = JSON.parse(require("fs").readFileSync(0, "utf8"));
const typed = {float64: Float64Array, uint8: Uint8Array, float32: Float32Array};
const tensor = ({type, shape, values}) => {
  if (type === "string") return new ort.Tensor("string", values, shape);
  if (type === "int64") return new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
  return new ort.Tensor(type, typed[type].from(values, (v) => v === null ? NaN : v), shape);
};
const plain = (v) => typeof v === "bigint" ? Number(v) : v;
(async () => {
  const session = await ort.InferenceSession.create(file);
  const given = Object.fromEntries(Object.entries(feed).map(([k, v]) => [k, tensor(v)]));
  const answer = await session.run(given);
  const told = Object.entries(answer).map(([k, v]) => [k, Array.from(v.data, plain)]);
  process.stdout.write(JSON.stringify(Object.fromEntries(told)));
})();
"""


def in_node(package: str, file: Path, feed: Feed) -> dict[str, Any]:
    """The outputs of a file by a runtime in Node; skips where that is not installed."""
    place = os.environ.get("LINNET_NODE_MODULES", str(ROOT))
    if shutil.which("node") is None or not (Path(place) / "node_modules" / package).is_dir():
        pytest.skip(f"no {package}: npm install {package} in a folder, LINNET_NODE_MODULES=FOLDER")

    def plain(values: Array) -> dict[str, Any]:
        kind = "string" if values.dtype == object else str(values.dtype)
        flat = values.reshape(-1)
        some = flat.astype(str).tolist() if kind in ("string", "int64") else flat.tolist()
        some = [None if each != each else each for each in some]
        return {"type": kind, "shape": list(values.shape), "values": some}

    body = {"file": str(file), "feed": {name: plain(values) for name, values in feed.items()}}
    done = subprocess.run(["node", "-e", SCRIPT, "-", package, place], input=json.dumps(body),
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("package", ["onnxruntime-node", "onnxruntime-web"])
@pytest.mark.parametrize("name", list(DATA))
def test_in_javascript(
    name: str, package: str, real: Callable[[str], Path], tmp_path: Path
) -> None:
    run = real(name)
    for model in ("linear", "mlp", "cnn"):
        if not (run / f"{model}.safetensors").is_file():
            continue
        found = source(run, model)
        file = tmp_path / f"{model}.onnx"
        form_of = exported(run, "onnx", out=file, model=model)
        feeds = [made.made(found.artifact.schema, found.artifact.module)]
        feeds.append(next(parity.held_out(found)[1]))
        for feed in feeds:
            some = {key: values[:200] for key, values in feed.items()}
            answer = in_node(package, file, some)
            labels, expected = parity.answer(found.artifact, some)
            shown = answer["probabilities" if labels else "prediction"]
            compared = parity._Compared(found.artifact, lambda feed: (labels, expected))  # noqa: B023
            compared.predict = lambda feed, a=answer, s=shown, e=expected: (  # type: ignore[misc]
                a.get("label"), np.array(s).reshape(e.shape)
            )  # fmt: skip
            compared.add(some)
            assert compared.largest <= form_of.facts["parity"]["limit"] and not compared.wrong
            print(name, model, package, file.stat().st_size, compared.largest)
