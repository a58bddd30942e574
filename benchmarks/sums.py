"""A sum over everything that runs of every kind leave: what a change must keep, or explain.

    python benchmarks/sums.py > before.txt      # and, after a change
    python benchmarks/sums.py --against before.txt

Each line names a case, a file of it, and a sha256: of every tensor of a model, of ``metrics.json``,
``recipe.toml``, ``run.json`` and ``events.jsonl``, of the figures, numbers and words of
``report.html``, of what the ejected scripts save, of coefficients and predictions of estimators.
Clocks, versions, paths, the memory of the process and sentences for people are left out, and clocks
stand still while a case runs; the lines "reasons", "html" and "report words" are of sentences. One
thread. ``sums.txt`` holds the sums of 2026-11-30; they are those of one kind of processor and
of the versions in ``constraints.txt``, so on another machine make the sums to compare with from the
older code: ``PYTHONPATH=OLDER/src python -P benchmarks/sums.py``. ``LINNET_DATA`` adds a table with
text and missing values.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import polars
import torch
from PIL import Image
from safetensors.numpy import load
from sklearn.datasets import load_diabetes, load_digits, load_iris
from torch import nn

import linnet
from linnet.cli import app

torch.set_num_threads(1)
warnings.simplefilter("ignore")

NEW_KEYS = {
    "recipe": {
        "objective", "size", "fit", "embedding", "embedding_size", "bins", "frequencies", "sigma",
        "shares",
    },
    "network": {"embedding"},
    "manifest": {"shown"},
    "event": {"title", "stopped"},
    "fit": {"stopped"},
    "schema": {"fit", "ground"},
}  # fmt: skip
"""Keys that came after the sums were first made."""

WORDS = {"text", "reason", "notes", "verdict"}
"""Keys that hold sentences for people, which may be bettered."""

CLOCKS = {
    "time", "wall", "seconds", "created", "versions", "platform", "memory", "sha256", "linnet",
    "hardware", "git", "directory", "command", "place", "parent", "batches", "steps_seconds", "id",
}  # fmt: skip
"""Keys that tell of the clock, the machine or the folder."""

Sums = Iterator[tuple[str, str]]


def digest(value: Any) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def bare(value: Any, kind: str = "") -> Any:
    """A JSON value without clocks and new keys; the case's folder has no name."""
    if isinstance(value, dict):
        left_out = CLOCKS | WORDS | NEW_KEYS.get(kind, set())
        return {k: bare(v, k) for k, v in value.items() if k not in left_out}
    if isinstance(value, list):
        return [bare(item) for item in value]
    return value.replace(os.getcwd(), ".") if isinstance(value, str) else value


def tensors(path: Path) -> Sums:
    for name, array in sorted(load(path.read_bytes()).items()):
        about = f"{name} {array.dtype} {array.shape}".encode()
        yield f"{path.name} {name}", digest(about + array.tobytes())
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    yield (
        f"{path.name} manifest",
        digest(bare(json.loads(header["__metadata__"]["linnet"]), "manifest")),
    )


def run_sums(run: linnet.Run) -> Sums:
    """Of all files of a run."""
    for path in sorted(run.path.glob("*.safetensors")):
        yield from tensors(path)
    for name in ("metrics.json", "run.json", "learning_curve.json"):
        if (run.path / name).is_file():
            yield name, digest(bare(json.loads((run.path / name).read_text())))
    yield (
        "recipe.toml",
        digest(bare(tomllib.loads((run.path / "recipe.toml").read_text()), "recipe")),
    )
    events = [event for event in run.events() if event["event"] != "spent"]
    yield "events.jsonl", digest([bare(event, "event") for event in events])
    for path in sorted(run.path.glob("predictions/*.parquet")):
        frame = polars.read_parquet(path)
        yield f"predictions {path.stem}", digest(bare(frame.to_dict(as_series=False)))
    yield "reasons", digest(bare([str(claim) for claim in run.reasons()]))
    yield "html", digest(re.sub(r"\d+\.\d s", "", bare(run._repr_html_())))


def report_sums(run: linnet.Run) -> Sums:
    command("report", str(run.path), "--out", "report.html")
    page = Path("report.html").read_text()
    for name in ("numbers", "figures"):
        found = re.search(rf'<script[^>]*id="{name}"[^>]*>(.*?)</script>', page, re.S)
        assert found is not None, name
        text = found[1].replace("\\u003c", "<")
        yield f"report {name}", digest(bare(json.loads(text)))
    body = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.S)
    body = re.sub(r"<h2[^>]*>(Where the time went|Again|The data)</h2>.*?(?=<h2|</section)", "",
                  body, flags=re.S)  # fmt: skip
    yield "report words", digest(re.sub(r"\d+\.\d s\b", "", bare(body)))


def eject_sums(run: linnet.Run, model: str, **given: Any) -> Sums:
    for style in ("tensors", "module", "sequential"):
        script = linnet.eject(run, style, model=model, **given)
        Path("train.py").write_text(script)
        subprocess.run([sys.executable, "-P", "train.py"], check=True, capture_output=True)
        with np.load(f"{model}.npz") as saved:
            for name in saved:
                yield f"ejected {model} {style} {name}", digest(saved[name].tobytes())


def estimator_sums(model: Any, X: Any) -> Sums:
    for name in ("coef_", "intercept_", "gap_", "objective_", "n_iter_", "loss_"):
        if hasattr(model, name):
            found = getattr(model, name)
            plain = found.tolist() if hasattr(found, "tolist") else found
            yield name, digest(plain)
    for name in ("predict", "predict_proba", "decision_function"):
        if hasattr(model, name):
            yield name, digest(np.asarray(getattr(model, name)(X)).tolist())
    if hasattr(model, "summary") and getattr(model, "gap_", None) is not None:
        with contextlib.suppress(Exception):
            yield "summary", digest(str(model.summary()))
    model.save("estimator.safetensors")
    yield from tensors(Path("estimator.safetensors"))


def command(*words: str) -> str:
    """What a command prints, run within this process."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        app(list(words), prog_name="linnet", standalone_mode=False)
    return out.getvalue()


# The cases: each runs in an empty folder of its own.


def digits() -> Sums:
    run = linnet.train("digits", out="run", model=["linear", "mlp", "cnn"], epochs=3)
    yield from run_sums(run)
    yield from report_sums(run)
    for model in ("linear", "mlp", "cnn"):
        yield from eject_sums(run, model)
    yield "evaluate", digest(bare(json.loads(command("evaluate", "run", "digits", "--json"))))
    predicted = command("predict", "run", "digits", "--rows", "0,10,193", "--json")
    yield "predict", digest(bare(json.loads(predicted)))
    yield "inspect", digest(bare(json.loads(command("inspect", "run", "--json")), "manifest"))


def iris() -> Sums:
    run = linnet.train("iris", out="run")
    yield from run_sums(run)
    yield from report_sums(run)
    yield from eject_sums(run, "mlp")
    command("report", "run", "--learning-curve", "--out", "curve.html")
    curve = json.loads(Path("run/learning_curve.json").read_text())
    yield "learning curve", digest(bare({k: v for k, v in curve.items() if k != "of"}))


def diabetes() -> Sums:
    run = linnet.train("diabetes", out="run", seed=3)
    yield from run_sums(run)
    yield from report_sums(run)
    yield from eject_sums(run, "linear")
    yield from eject_sums(run, "mlp")


def titanic() -> Sums:
    place = Path(os.environ.get("LINNET_DATA", "")) / "titanic.csv"
    if not place.is_file():
        return
    run = linnet.train(str(place), out="run", target="survived")
    yield from run_sums(run)
    yield from report_sums(run)
    yield from eject_sums(run, "mlp", encoded="encoded.npz")
    predicted = command("predict", "run", str(place), "--rows", "0,5,9", "--json")
    yield "predict", digest(bare(json.loads(predicted)))


def table() -> Sums:
    """Dates, groups, text, missing values, a target of numbers, from a frame."""
    draw = np.random.default_rng(0)
    rows = 300
    frame = polars.DataFrame(
        {
            "when": polars.date_range(
                polars.date(2020, 1, 1), polars.date(2020, 1, 1) + polars.duration(days=rows - 1),
                eager=True,
            ),
            "colour": draw.choice(["red", "green", "blue", ""], rows).tolist(),
            "size": [None if n % 17 == 0 else float(draw.normal()) for n in range(rows)],
            "fine": draw.integers(0, 2, rows).astype(bool),
            "who": draw.integers(0, 40, rows),
            "price": draw.normal(size=rows) * 3 + 10,
        }
    )  # fmt: skip
    run = linnet.train(frame, out="time", target="price", time="when")
    yield from (("time " + key, value) for key, value in run_sums(run))
    run = linnet.train(frame, out="group", target="colour", group="who", epochs=5)
    yield from (("group " + key, value) for key, value in run_sums(run))


def folder() -> Sums:
    bunch = load_digits()
    for index, (picture, label) in enumerate(zip(bunch.images, bunch.target, strict=True)):
        if label < 3 and index < 600:
            place = Path("pictures") / f"class{label}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray((picture * 15).astype(np.uint8)).save(place / f"{index}.png")
    run = linnet.train("pictures", out="run", model=["linear", "cnn"], channels=[4, 8], epochs=2)
    yield from run_sums(run)
    yield from report_sums(run)


class Net(nn.Module):
    """A module of the user's own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def custom() -> Sums:
    run = linnet.train("digits", out="run", network=Net(), epochs=3)
    yield from run_sums(run)
    yield from report_sums(run)


def sweep() -> Sums:
    out = command(
        "train", "digits", "--model", "mlp", "--set", "lr=1e-3,1e-2", "--set", "epochs=2",
        "--out", "runs", "--json",
    )  # fmt: skip
    yield "printed", digest([{**bare(row), "path": None} for row in json.loads(out)])
    for path in sorted(Path("runs").iterdir()):
        yield from ((f"{path.name} {key}", value) for key, value in run_sums(linnet.Run(path)))


class _Enough(Exception):
    """Ends a run in its midst."""


def resume() -> Sums:
    """A run that ends at an event, goes on, and a new run from its weights."""
    for model, most in (("mlp", 120), ("linear", 25)):
        left = iter(range(most - 1))

        def stop(event: dict[str, Any], left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise _Enough

        settings: dict[str, Any] = {"model": model, "epochs": 6, "averaging": "ema"}
        with contextlib.suppress(_Enough):
            linnet.train("digits", out=model, echo=stop, checkpoint_every=7, **settings)
        run = linnet.train(resume=model)
        yield from ((f"{model} {key}", value) for key, value in run_sums(run))
    run = linnet.train("digits", out="child", parent="mlp", epochs=2)
    yield from ((f"child {key}", value) for key, value in run_sums(run))


OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "schedule": "step", "clip": 1.0},
    "rmsprop": {"optimizer": "rmsprop", "schedule": "cosine", "warmup": 0.5, "batch_size": 64},
    "plateau": {"schedule": "plateau", "step_size": 1, "lr": 0.02, "evaluate_every": 9},
    "norm": {"batch_norm": True, "recompute_norm": True, "averaging": "mean", "epochs": 5},
    "smooth": {"label_smoothing": 0.1, "class_weight": "balanced", "scaling": "standard"},
    "find": {"lr": "find", "activation": "selu"},
    "stop": {"min_delta": 0.2, "patience": 1, "epochs": 30, "log_every": 7},
    "moved": {"model": "cnn", "channels": [4, 8], "shift": 1, "flip": True, "cutout": 2},
    "lbfgs": {"optimizer": "lbfgs", "batch_size": "all", "log_every": "2 epochs"},
    "two": {"classes": [3, 8], "dtype": "float64", "precision": "bfloat16", "valid": 0.3},
    "path": {"model": "linear", "penalty": [0.1, 0.01], "intercept": False},
    "free": {"model": "linear", "penalty": 0.0, "max_iter": 40},
    "all": {"valid": 0, "model": "linear"},
}


def options() -> Sums:
    for name, settings in OPTIONS.items():
        settings = {"model": "mlp", "widths": [24, 12], "epochs": 3, **settings}
        run = linnet.train("digits", out=name, **settings)
        yield from ((f"{name} {key}", value) for key, value in run_sums(run))


def estimators() -> Sums:
    iris, diabetes, digits = (
        load(return_X_y=True) for load in (load_iris, load_diabetes, load_digits)
    )
    weight = np.random.default_rng(0).random(len(iris[0]))
    fitted: dict[str, tuple[Any, Any]] = {
        "linear": (linnet.LinearRegression().fit(*diabetes), diabetes[0]),
        "ridge": (linnet.Ridge(alpha=2.0).fit(*diabetes), diabetes[0]),
        "weighted": (linnet.LogisticRegression(C=3.0).fit(*iris, sample_weight=weight), iris[0]),
        "softmax": (linnet.LogisticRegression().fit(*digits), digits[0]),
        "free": (linnet.LogisticRegression(C=np.inf, max_iter=300).fit(*digits), digits[0]),
        "two": (linnet.LogisticRegression().fit(iris[0], iris[1] == 1), iris[0]),
        "classifier": (linnet.MLPClassifier(max_iter=5, random_state=0).fit(*digits), digits[0]),
        "regressor": (linnet.MLPRegressor(max_iter=9, random_state=0).fit(*diabetes), diabetes[0]),
    }
    parts = linnet.LinearRegression()
    for half in (slice(0, 200), slice(200, None)):
        parts.partial_fit(diabetes[0][half], diabetes[1][half])
    fitted["partial"] = (parts, diabetes[0])
    for name, (model, X) in fitted.items():
        yield from ((f"{name} {key}", value) for key, value in estimator_sums(model, X))


CASES: list[Callable[[], Sums]] = [
    digits, iris, diabetes, titanic, table, folder, custom, sweep, resume, options, estimators,
]  # fmt: skip


@contextlib.contextmanager
def still() -> Iterator[None]:
    """Clocks that stand still, in an empty folder."""
    before = time.monotonic, time.perf_counter, os.getcwd()
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        time.monotonic = lambda: 1000.0
        time.perf_counter = lambda: 1000.0
        try:
            yield
        finally:
            time.monotonic, time.perf_counter = before[:2]
            os.chdir(before[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="by default all")
    parser.add_argument("--against", type=Path, help="sums made earlier")
    given = parser.parse_args()
    if os.environ.get("LINNET_DATA"):
        os.environ["LINNET_DATA"] = str(Path(os.environ["LINNET_DATA"]).resolve())
    earlier = given.against.read_text().splitlines() if given.against else []
    lines = []
    for case in CASES:
        if given.cases and case.__name__ not in given.cases:
            continue
        with still():
            for key, value in case():
                lines.append(f"{case.__name__} {key}: {value}")
                if not given.against:
                    print(lines[-1], flush=True)
    if given.against:
        kept = [line for line in earlier if not given.cases or line.split(" ", 1)[0] in given.cases]
        gone, new = sorted(set(kept) - set(lines)), sorted(set(lines) - set(kept))
        for sign, some in (("-", gone), ("+", new)):
            for line in some:
                print(sign, line)
        print(f"{len(set(kept) & set(lines))} sums are as they were; {len(gone)} are not")
        sys.exit(bool(gone))


if __name__ == "__main__":
    main()
