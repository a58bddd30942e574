"""``linnet eject``: scripts without linnet that train the same models, to the bit."""

import ast
import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import linnet
from helpers import command
from linnet.data.reading import Reading
from linnet.errors import InputError
from linnet.fit.recipe import Recipe
from linnet.integrations.eject._layers import FUNCTIONS
from linnet.integrations.eject.eject import eject
from linnet.net import OPTIMIZERS, SCHEDULES

pytestmark = pytest.mark.filterwarnings("ignore::linnet.errors.LinnetWarning")

STYLES: Any = ("tensors", "module", "sequential")
SMALL: dict[str, Any] = {"widths": [9, 7], "epochs": 3, "seed": 4}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Scripts set PyTorch's defaults."""
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    yield
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)


def follow(
    script: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> tuple[dict[str, Any], str]:
    """Run a script where linnet cannot be imported: what it saved, and what it printed."""
    (folder / "train.py").write_text(script)
    capsys.readouterr()
    with monkeypatch.context() as here:
        for name in [name for name in sys.modules if name.split(".")[0] == "linnet"]:
            here.setitem(sys.modules, name, None)
        torch.set_default_dtype(torch.float32)
        runpy.run_path(str(folder / "train.py"), run_name="__main__")
    (saved,) = (folder / name for name in ("linear.npz", "mlp.npz", "cnn.npz")
                if (folder / name).is_file())  # fmt: skip
    with np.load(saved) as held:
        found = dict(held)
    saved.unlink()
    return found, capsys.readouterr().out


def clean(scripts: list[str], folder: Path) -> None:
    """Scripts read as a formatter leaves them, and a linter finds nothing."""
    paths = [folder / f"looked_at_{number}.py" for number in range(len(scripts))]
    for path, script in zip(paths, scripts, strict=True):
        path.write_text(script)
        assert not re.search(r"^\s*(import|from) linnet", script, re.M)
    for words in (
        ["format", "--diff"],
        ["check", "--select", "E,F,I,UP,B,SIM,PIE", "--ignore", "B023"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", "--isolated",
             "--line-length", "100", *paths],
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def ejected(
    run: linnet.Run, styles: Any, tmp_path: Path, monkeypatch: Any, capsys: Any, **given: Any
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each style's script, which is looked at and run: what it saved, what it printed."""
    monkeypatch.chdir(tmp_path)
    scripts = [eject(run.path.name, style, **given) for style in styles]
    clean(scripts, tmp_path)
    for script in scripts:
        yield script, *follow(script, tmp_path, monkeypatch, capsys)


def same(
    run: linnet.Run, tmp_path: Path, monkeypatch: Any, capsys: Any, styles: Any = STYLES,
    **given: Any,
) -> str:  # fmt: skip
    """All styles of a run's net end with its bits; the last script."""
    every, scripts = [], []
    for script, saved, told in ejected(run, styles, tmp_path, monkeypatch, capsys, **given):
        assert told.endswith("the same weights as the run, to the bit: yes\n"), told
        scripts.append(script)
        every.append([value for name, value in saved.items() if "num_batches" not in name])
    for other in every[1:]:
        assert len(other) == len(every[0])
        assert all(np.array_equal(one, two) for one, two in zip(every[0], other, strict=True))
    return scripts[-1]


NETS: dict[str, dict[str, Any]] = {
    **{
        f"by {name}, with {activation}": {
            "optimizer": name, "activation": activation, "dropout": 0.25,
        }
        for name, activation in zip(OPTIMIZERS, FUNCTIONS, strict=True)
    },
    **{
        f"paced by {name}": {"schedule": name, "step_size": 1}
        for name in SCHEDULES
        if name != "adaptive"  # refused by name
    },
    "sgd with all its options": {
        "optimizer": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3, "lr": 0.05,
    },
    "rmsprop with its options": {
        "optimizer": "rmsprop", "momentum": 0.5, "alpha": 0.9, "eps": 1e-6, "weight_decay": 1e-4,
    },
    "lbfgs with dropout": {"optimizer": "lbfgs", "dropout": 0.3, "batch_size": 200},
    "whole batches": {"batch_size": "all", "lr": 0.01},
    "clipped and warmed up": {"clip": 0.1, "warmup": 0.7},
    "clipped and weighted": {"class_weight": "balanced", "clip": 1.0},
    "weights of classes": {"class_weight": [1.0, 2, 1, 1, 1, 0.5, 1, 1, 1, 3]},
    "a sum": {"reduction": "sum", "optimizer": "sgd", "lr": 1e-3},
    "a weighted sum": {"reduction": "sum", "class_weight": "balanced", "lr": 1e-3},
    "smoothed labels": {"label_smoothing": 0.1},
    "an exponential average": {"averaging": "ema", "average_decay": 0.9},
    "an average of epochs": {"averaging": "mean", "epochs": 6, "evaluate_every": "2 epochs"},
    "an average with norms": {"averaging": "ema", "average_decay": 0.8, "batch_norm": True},
    "scored by steps": {"evaluate_every": 7},
    "scored by epochs": {"evaluate_every": "2 epochs"},
    "ended early": {"patience": 1, "lr": 0.05, "epochs": 30},
    "ended where it falls no more": {"min_delta": 0.2, "patience": 1, "epochs": 40},
    "a found rate": {"lr": "find"},
    "no dropout": {"dropout": 0.0},
    "norms": {"batch_norm": True, "batch_size": 17},
    "one row too many for norms": {"batch_norm": True, "batch_size": 1149},
    "in float64": {"dtype": "float64"},
    "other scaling": {"scaling": "standard"},
    "a given scaling": {"scaling": [0.3, 0.25]},
    "no scaling": {"scaling": "none"},
    "three classes": {"classes": [3, 5, 8]},
    "one class against the rest": {"positive": 4},
    "two classes, smoothed, weighted": {
        "classes": [1, 7], "label_smoothing": 0.05, "class_weight": "balanced",
    },
    "no rows to validate with": {"valid": 0},
    "moved, mirrored, with holes": {"shift": 1, "flip": True, "cutout": 3},
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_an_ejected_perceptron_ends_with_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    settings = {**SMALL, **NETS[name]}
    run = linnet.train("digits", model="mlp", out=tmp_path / "r", **settings)
    same(run, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_norm": False, "dropout": 0.0},
        {"activation": "selu", "averaging": "ema", "average_decay": 0.9},
        {"dtype": "float64", "clip": 0.5, "optimizer": "sgd"},
        {"shift": 1, "flip": True, "cutout": 2},
    ],
    ids=str,
)
def test_an_ejected_cnn_ends_with_the_same_bits(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run = linnet.train(
        "digits", model="cnn", channels=[4, 6], epochs=2, out=tmp_path / "r", **settings
    )
    same(run, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("data", ["iris", "breast_cancer", "diabetes"])
@pytest.mark.parametrize("settings", [{}, {"batch_norm": True, "dropout": 0.2}], ids=str)
def test_an_ejected_net_of_rows_ends_with_the_same_bits(
    data: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:  # fmt: skip
    run = linnet.train(data, model="mlp", out=tmp_path / "r", **SMALL, **settings)
    same(run, tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("kind", ["piecewise", "periodic"])
@pytest.mark.parametrize(
    ("data", "settings"),
    [
        ("diabetes", {"folds": 1, "dropout": 0.3, "activation": "silu"}),
        ("iris", {"folds": 3, "dtype": "float64", "averaging": "ema", "activation": "tanh"}),
    ],
    ids=["diabetes", "iris"],
)
def test_an_ejected_net_with_an_embedding_ends_with_the_same_bits(
    data: str, settings: dict[str, Any], kind: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: Any,
) -> None:  # fmt: skip
    more: dict[str, Any] = {
        "embedding": kind,
        "bins": 5,
        "frequencies": 6,
        "clip": 0.5,
        "yardstick": "none",
    }
    run = linnet.train(data, model="mlp", out=tmp_path / "r", **SMALL, **settings, **more)
    same(run, tmp_path, monkeypatch, capsys)


def table(folder: Path) -> Path:
    random = np.random.default_rng(3)
    rows = ["a,b,c,y,z"]
    for _ in range(150):
        a, b = random.normal(), random.choice(["u", "v", "w", ""])
        y = "yes" if a + random.normal() > 0 else "no"
        rows.append(f"{a:.4f},{b},{random.integers(2)},{y},{3 * a + random.normal():.3f}")
    path = folder / "t.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("target", ["y", "z"])
@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_a_table_is_ejected_with_its_encoded_rows(
    target: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run = linnet.train(
        table(tmp_path), target=target, model=["linear", "mlp"], out=tmp_path / "r", **SMALL
    )
    with pytest.raises(InputError, match=r"NumPy alone cannot read its data.*--data encoded\.npz"):
        eject(run, model=model)
    given: dict[str, Any] = {"model": model, "encoded": "rows.npz"}
    if model == "mlp":
        same(run, tmp_path, monkeypatch, capsys, **given)
    else:
        near(run, tmp_path, monkeypatch, capsys, **given)


@pytest.mark.slow
def test_data_in_memory_is_handed_over_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Soft targets too."""
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 4)).astype(np.float32)
    for classes in (2, 3):
        y = random.dirichlet(np.ones(classes), size=120)
        for model in ("linear", "mlp"):
            folder = tmp_path / f"{classes}{model}"
            folder.mkdir()
            run = linnet.train((x, y), model=model, out=folder / "r", **SMALL)
            with pytest.raises(InputError, match="trained on data in memory"):
                eject(run, encoded=folder / "rows.npz")
            with pytest.raises(InputError, match="is not the data of the run"):
                eject(run, encoded=folder / "rows.npz", data=(x + 1, y))
            look = same if model == "mlp" else near
            look(run, folder, monkeypatch, capsys, encoded="rows.npz", data=(x, y))


def near(
    run: linnet.Run, tmp_path: Path, monkeypatch: Any, capsys: Any, worst: float = 1e-4,
    styles: Any = STYLES, **given: Any,
) -> None:  # fmt: skip
    """The line's objective is the run's within 1e-6, no prediction is ``worst`` away; the styles
    agree to the bit. A run in float32 is itself that far from the optimum."""
    every = []
    for _, saved, told in ejected(run, styles, tmp_path, monkeypatch, capsys, **given):
        (numbers,) = re.findall(r"objective ([\d.]+), the run's is ([\d.]+)", told)
        found, wanted = map(float, numbers)
        assert abs(found - wanted) <= 1e-6 * max(1.0, wanted), told
        assert float(re.findall(r"by at most (\S+)", told)[0]) <= worst, told
        every.append(list(saved.values()))
    for other in every[1:]:
        assert all(np.array_equal(one, two) for one, two in zip(every[0], other, strict=True))


@pytest.mark.parametrize(
    ("data", "settings", "worst"),
    [
        ("digits", {}, 1e-4),
        ("digits", {"positive": 8, "class_weight": "balanced"}, 1e-4),
        ("digits", {"intercept": False, "scaling": "none", "penalty": 0.01}, 5e-4),
        ("iris", {}, 1e-4),
        ("breast_cancer", {}, 1e-4),
        ("diabetes", {}, 1e-9),
        ("diabetes", {"intercept": False, "penalty": 0.1}, 1e-9),
    ],
    ids=str,
)
def test_an_ejected_line_has_the_runs_objective_and_predictions(
    data: str, settings: dict[str, Any], worst: float, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: Any,
) -> None:  # fmt: skip
    run = linnet.train(data, model="linear", out=tmp_path / "r", **settings)
    near(run, tmp_path, monkeypatch, capsys, worst)


def test_pictures_of_idx_and_cifar_are_read_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    import fuzzing

    random = np.random.default_rng(1)
    x = random.integers(0, 256, (60, 6, 5), dtype=np.uint8)
    y = (x.mean((1, 2)) > 127).astype(np.uint8) + 2  # classes 2 and 3
    place = tmp_path / "pictures"
    place.mkdir()
    names = "train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"
    for name, part in zip(names, (x[:45], y[:45], x[45:], y[45:]), strict=True):
        (place / f"{name}-ubyte").write_bytes(fuzzing._idx(part))
    small: dict[str, Any] = {**SMALL, "epochs": 2, "model": ["linear", "mlp"]}
    monkeypatch.chdir(tmp_path)
    run = linnet.train("pictures", out="r", **small)
    script = same(run, tmp_path, monkeypatch, capsys, model="mlp")
    assert "np.frombuffer(content, np.uint8" in script
    for part, name in ((x[:45], names[0]), (y[:45], names[1])):
        (place / f"{name}-ubyte").unlink()
        import gzip

        (place / f"{name}-ubyte.gz").write_bytes(gzip.compress(fuzzing._idx(part)))
    same(run, tmp_path, monkeypatch, capsys, model="mlp")

    rows = random.integers(0, 256, (40, 1 + 3072), dtype=np.uint8)
    rows[:, 0] = np.arange(40) % 3
    root = Path("data")
    (root / "cifar10").mkdir(parents=True)
    for number in range(1, 6):
        (root / "cifar10" / f"data_batch_{number}.bin").write_bytes(rows.tobytes())
    (root / "cifar10" / "test_batch.bin").write_bytes(rows[:9].tobytes())
    (root / "cifar10" / "batches.meta.txt").write_text("\n".join("abcdefghij"))
    monkeypatch.setenv("LINNET_DATA", str(root))
    run = linnet.train("cifar10", out=tmp_path / "c", classes=["bird", "airplane"], **small)
    same(run, tmp_path, monkeypatch, capsys, model="mlp")


def test_what_cannot_be_ejected_is_refused_by_name(tmp_path: Path) -> None:
    run = linnet.train("iris", out=tmp_path / "r", **SMALL)
    with pytest.raises(InputError, match='unknown style "keras"; known: '):
        eject(run, "keras")  # type: ignore[arg-type]
    with pytest.raises(InputError, match='has no model "cnn" to eject'):
        eject(run, model="cnn")
    with pytest.raises(InputError, match='has no model "constant" to eject'):
        eject(run, model="constant")
    later = linnet.train(parent=run.path, out=tmp_path / "s", **SMALL)
    with pytest.raises(InputError, match="started from the weights of "):
        eject(later, model="mlp")
    own = linnet.train(
        "iris", network=torch.nn.Linear(4, 3), model="custom", out=tmp_path / "o", epochs=1
    )
    with pytest.raises(InputError, match="you already have its code"):
        eject(own)
    odd: dict[str, Any] = {"batch_norm": True, "recompute_norm": True, "folds": 1}
    norms = linnet.train("iris", model="mlp", **odd, **SMALL, out=tmp_path / "n")
    with pytest.raises(InputError, match="cannot write recompute_norm"):
        eject(norms)
    with pytest.raises(InputError, match=r"expected a name that ends in \.npz"):
        eject(run, encoded=tmp_path / "rows.csv")


def test_no_file_of_a_run_gets_code_into_a_script(tmp_path: Path, monkeypatch: Any) -> None:
    """Names and versions of ``run.json``, and of files of data, stay text."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    rows = random.integers(0, 256, (40, 1 + 3072), dtype=np.uint8)
    rows[:, 0] = np.arange(40) % 10
    evil = '"""\nraise SystemExit("ran")\n"""\\" + exit() + \'\'\'${x}'
    place = Path("data/cifar10")
    place.mkdir(parents=True)
    monkeypatch.setenv("LINNET_DATA", str(tmp_path / "data"))
    names = ["data_batch_1.bin", 'data_batch_2"]; exit(); [".bin', "test_batch.bin"]
    for name in names[::2]:
        (place / name).write_bytes(rows.tobytes())
    run = linnet.train("cifar10", model="linear", penalty=0.1, out="r")

    def shape(script: str) -> str:
        tree = ast.parse(script)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = ""
        return ast.dump(tree)

    honest = eject("r", "tensors")
    info = json.loads(Path("r/run.json").read_text())
    info["data"]["name"] = evil
    info["versions"]["torch"] = evil
    Path("r/run.json").write_text(json.dumps(info))
    hostile = eject("r", "tensors")
    assert hostile != honest and shape(hostile) == shape(honest)
    folder = tmp_path / 'quote"; exit() #'
    shutil.copytree("r", folder)
    assert shape(eject(folder, "tensors")) == shape(honest)
    (place / names[1]).write_bytes(rows.tobytes())  # what another linnet may have counted
    assert shape(eject("r", "tensors")).count("Constant") == shape(honest).count("Constant") + 1
    assert run.chosen == "linear"


@pytest.mark.slow
def test_the_command_prints_a_script_that_runs_alone(tmp_path: Path) -> None:
    """In a process of its own, where linnet is not to be found, from another folder."""
    done = command("train", "digits", "--model", "mlp", "--set", "epochs=2", "--out", "r",
                   cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = command("eject", "r", "--style", "sequential", cwd=tmp_path)
    assert printed.returncode == 0 and not printed.stderr
    (tmp_path / "train.py").write_text(printed.stdout)
    (tmp_path / "linnet.py").write_text("raise RuntimeError('linnet was imported')")
    alone = subprocess.run(
        [sys.executable, "-W", "error", "train.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert alone.returncode == 0, alone.stderr
    assert alone.stdout.endswith("the same weights as the run, to the bit: yes\n")
    wrong = command("eject", "r", "--style", "flax", cwd=tmp_path)
    assert wrong.returncode == 2 and "unknown style" in wrong.stderr


def test_every_setting_is_written_or_refused() -> None:
    """A setting that is new has to be thought of here: what eject does with it."""
    data = {"data", "test", "valid", "model", "seed", "device", "log_every", "checkpoint_every"}
    data |= {"objective", "folds", "yardstick", "store", *Reading.model_fields}
    line = {"intercept", "penalty", "solver", "tol", "max_iter", "shares"}
    written = {key for settings in NETS.values() for key in settings} | set(SMALL)
    written |= {"channels", "momentum", "gamma", "average_decay"}
    refused = {"recompute_norm", "precision", "embedding"}
    refused |= {"decide", "costs"}
    refused |= {"embedding_size", "bins", "frequencies", "sigma"}  # of an embedding
    left = set(Recipe.model_fields) - data - line - written - refused
    assert left <= {"dampening", "betas"}, left


MNIST: dict[str, tuple[dict[str, Any], str]] = {
    "linear": ({"penalty": 0.01}, "module"),
    "mlp": ({"batch_norm": True, "dropout": 0.2, "epochs": 1}, "tensors"),
    "cnn": ({"channels": [4, 6], "epochs": 1}, "sequential"),
}


@pytest.mark.slow
@pytest.mark.parametrize("model", MNIST)
def test_mnist_is_ejected(
    model: str, mnist_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """One style each: on the digits each is tried."""
    settings, style = MNIST[model]
    run = linnet.train("mnist", model=model, out=tmp_path / "r", **settings)
    if model == "linear":
        near(run, tmp_path, monkeypatch, capsys, 1e-3, (style,))
    else:
        same(run, tmp_path, monkeypatch, capsys, (style,))
