"""CPU time of an answer, in microseconds, by the row path and by a data frame, in one run.

    OMP_NUM_THREADS=1 LINNET_DATA=... python benchmarks/serving/rows.py [NAME ...]

For each model: encoding, the network, and the whole answer, of 1 row and of 1,000 rows (then per
row); beside the whole answer of ``Artifact.predict_proba`` (or ``predict``) for the same rows as a
data frame or an array. The least of several repetitions counts, as other work on the machine only
adds to it. The nets are trained for one epoch: more would change the weights, and not the time.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars

import linnet
from linnet.data import known
from linnet.fit import artifact, runtime

SHARED = [root for root in known.roots() if root.is_dir()]
QUICK: dict[str, Any] = {"epochs": 1, "yardstick": "none", "penalty": [0.01]}
MANY = 1_000


def place(name: str) -> str:
    """A file of the folders in which data is searched."""
    return str(next(root / name for root in SHARED if (root / name).exists()))


def mnist() -> Any:
    data = linnet.read("mnist")
    return data.x[:4_000, 0].numpy(), data.y[:4_000].numpy()


TASKS: dict[str, tuple[Callable[[], Any], dict[str, Any], tuple[str, ...]]] = {
    "titanic": (lambda: place("titanic.csv"), {"target": "survived"}, ("linear", "mlp")),
    "adult": (
        lambda: place("adult.data"),
        {"target": "c14", "header": False},
        ("linear", "mlp"),
    ),
    "diamonds": (lambda: place("diamonds.csv"), {"target": "price"}, ("linear", "mlp")),
    "iris": (lambda: "iris", {}, ("linear", "mlp")),
    "digits": (lambda: "digits", {}, ("linear", "mlp")),
    "mnist": (mnist, {}, ("linear", "mlp")),
    "mnist cnn": (mnist, {"model": "cnn"}, ("cnn",)),
}


def least(work: Callable[[], Any], seconds: float = 0.4) -> float:
    """Microseconds of CPU for one call: the least of several repetitions."""
    work()
    start = time.process_time()
    work()
    calls = max(1, int(seconds / 8 / max(1e-6, time.process_time() - start)))
    found = []
    for _ in range(8):
        start = time.process_time()
        for _ in range(calls):
            work()
        found.append((time.process_time() - start) / calls)
    return 1e6 * min(found)


def measure(path: Path, raw: Any) -> dict[str, float]:
    """The figures of one model; ``raw`` are rows, or an array of examples."""
    model, whole = runtime.load(path), artifact.load(path)
    ask = whole.predict_proba if whole.objective.classifies else whole.predict
    found: dict[str, float] = {}
    for rows in (1, MANY):
        some = raw[:rows]
        table = isinstance(raw, list)
        encode = (lambda: model.rows(some)) if table else (lambda: model.arrays(some))  # noqa: B023
        frame = polars.DataFrame(some) if table else some
        ready = encode()
        each: dict[str, Callable[[], Any]] = {
            "encode": encode,
            "network": lambda: model.raw(ready.x),  # noqa: B023
            "answer": lambda: model.answers(encode()),  # noqa: B023
            "frame": lambda: ask(frame),  # noqa: B023
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, work in each.items():
                found[f"{name} {rows}"] = least(work) / rows
    return found


def examples(data: Any, model: artifact.Artifact) -> Any:
    """Rows to predict, as people send them."""
    if isinstance(data, tuple):
        return data[0][:MANY]
    if data in ("iris", "digits"):
        x = linnet.read(data).x.numpy()
        return x.repeat(-(-MANY // len(x)), axis=0)[:MANY]
    recipe = model.manifest.recipe
    header = bool(recipe.get("header", True))
    frame = polars.read_csv(data, has_header=header, infer_schema_length=None, n_rows=MANY)
    names = [field.name for field in model.schema.fields]
    if not header:
        frame.columns = [f"c{number}" for number in range(frame.width)]
    rows = frame.select(names).to_dicts()
    return (rows * -(-MANY // len(rows)))[:MANY]


def main(names: list[str]) -> None:
    head: list[str] = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names or TASKS:
            data, settings, models = TASKS[name]
            given = data()
            run = linnet.train(given, out=Path(folder) / name, **QUICK, **settings)
            for kind in models:
                path = run.path / f"{kind}.safetensors"
                figures = measure(path, examples(given, run.models[kind]))
                if not head:
                    head = list(figures)
                    print(f"{'':18}" + "".join(f"{each:>14}" for each in head))
                shown = "".join(f"{figures[each]:14.1f}" for each in head)
                print(f"{name + ' ' + kind:18}{shown}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
