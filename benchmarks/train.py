"""What `linnet train` costs, beside the same two fits by scikit-learn, in one run.

    python benchmarks/train.py [DATA]

DATA is digits unless LINNET_DATA holds mnist. Each fit runs in turn, ours and theirs, on the same
rows and the same threads; the ratio is theirs divided by ours. The line is solved at the penalty
that our path chose. Rivals: LogisticRegression (lbfgs) at its default tolerance, and MLPClassifier
with the same widths and batch size, for one epoch of ours and one of theirs.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

import linnet
from linnet.cli._output import set_threads
from linnet.fit.fit import fit
from linnet.fit.recipe import Recipe
from linnet.fit.resolve import only, resolve

REPEATS = 3


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    set_threads()
    here = Path(os.environ.get("LINNET_DATA", "")) / "mnist"
    name = sys.argv[1] if len(sys.argv) > 1 else "mnist" if here.is_dir() else "digits"
    data = linnet.read(name)
    split = data.split(test=0.2, valid=None, seed=0)
    train, valid = data.take(split.train), data.take(split.valid)
    recipe = resolve(Recipe(), data, split)
    print(
        f"{name}: {len(train):,} training rows; {torch.get_num_threads()} threads; linnet "
        f"{linnet.__version__}, torch {torch.__version__}, scikit-learn {sklearn.__version__}, "
        f"{platform.machine()}"
    )
    with tempfile.TemporaryDirectory() as folder:
        whole = timed(lambda: linnet.train(name, out=Path(folder) / "r"))
        run = linnet.Run(Path(folder) / "r")
        linear = run.models["linear"].module
    path = {key: scores["fit"]["seconds"] for key, scores in run.metrics["models"].items()}
    penalty = run.metrics["models"]["linear"]["fit"]["penalty"]
    print(f"train: {whole:.2f} s, of which the line's path {path['linear']:.2f}, "
          f"the net {path['mlp']:.2f}")  # fmt: skip

    line = only(recipe.override({"penalty": [penalty]}), "linear")
    features = linear.features(train.x).numpy()  # type: ignore[operator]
    peer = LogisticRegression(C=1 / (penalty * len(train)), max_iter=1000)
    epoch = only(recipe.override({"epochs": 1, "dropout": 0.0}), "mlp")
    perceptron = MLPClassifier(
        recipe.widths, batch_size=int(recipe.batch_size), max_iter=1, learning_rate_init=recipe.lr
    )
    y = train.y.numpy()
    pairs: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("line, at its penalty, to 1e-6", lambda: fit(line, train, valid),
         lambda: peer.fit(features, y)),
        ("net, one epoch", lambda: fit(epoch, train, train.take(split.valid[:0])),
         lambda: perceptron.fit(features, y)),
    ]  # fmt: skip
    warnings.filterwarnings("ignore", module="sklearn")  # one epoch does not converge
    for what, ours, theirs in pairs:
        times = [(timed(ours), timed(theirs)) for _ in range(REPEATS)]
        ratios = sorted(b / a for a, b in times)
        mine, other = (statistics.median(column) for column in zip(*times, strict=True))
        print(
            f"{what}: ours {mine:.3f} s, scikit-learn {other:.3f} s, ratio "
            f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


if __name__ == "__main__":
    main()
