"""The command line as a user types it."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from PIL import Image

from helpers import command

FAST = ["--set", "epochs=2", "--set", "widths=16", "--set", "penalty=0.1,0.01"]


def answer(*words: object, cwd: Path) -> Any:
    done = command(*words, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of digits in it."""
    folder = tmp_path_factory.mktemp("work")
    done = command("train", "digits", *FAST, "--out", "d", cwd=folder)
    assert done.returncode == 0, done.stderr
    last = done.stdout
    for word in ("constant", "linear", "mlp", "the line", "all ", "files: d/", "optimum"):
        assert word in last
    assert "mlp: all 2 epochs done" in done.stderr and "\x1b" not in done.stderr + done.stdout
    return folder


def test_evaluate_equals_the_runs_own_scores(work: Path) -> None:
    metrics = json.loads((work / "d" / "metrics.json").read_text())
    again = answer("evaluate", "d", "digits", cwd=work)
    assert again["data"] == {
        "name": "digits", "part": "test", "rows": 360, "known": {"train": 0, "valid": 0},
        "notes": [],
    }  # fmt: skip
    for name, scores in metrics["models"].items():
        assert again["models"][name]["test"] == scores["test"]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        done = command("evaluate", "d/mlp.safetensors", "digits", "--json", cwd=work)
    one = json.loads(done.stdout)
    assert one["data"]["part"] == "all" and list(one["models"]) == ["mlp"]
    assert "of the 1,797 rows, 1,150 trained the models" in done.stderr


def test_flags_and_the_printed_recipe_give_the_same_bits(work: Path) -> None:
    printed = command("train", "digits", *FAST, "--print-recipe", cwd=work)
    assert printed.returncode == 0 and not (work / "runs").exists()
    (work / "recipe.toml").write_text(printed.stdout)
    done = command("train", "--config", "recipe.toml", "--out", "again", cwd=work)
    assert done.returncode == 0, done.stderr
    for name in ("linear", "mlp"):
        one, two = ((work / run / f"{name}.safetensors").read_bytes() for run in ("d", "again"))
        sizes = [int.from_bytes(content[:8], "little") + 8 for content in (one, two)]
        assert one[sizes[0] :] == two[sizes[1] :]
    assert (work / "again" / "recipe.toml").read_text() == printed.stdout


def test_without_out_runs_are_numbered_and_listed(work: Path) -> None:
    for _ in range(2):
        assert command("train", "iris", "--model", "linear", cwd=work).returncode == 0
    rows = answer("runs", "list", cwd=work)
    assert [row["name"] for row in rows] == ["iris-linear-1", "iris-linear-2"]
    assert {row["state"] for row in rows} == {"finished"}
    assert answer("runs", "show", "runs/iris-linear-1", cwd=work)["chosen"] == "linear"
    table = command("runs", "list", cwd=work).stdout
    assert "iris-linear-2" in table and "accuracy" in table


def test_inspect_shows_the_layers(work: Path) -> None:
    manifest = answer("inspect", "d/linear.safetensors", cwd=work)
    assert sum(layer["parameters"] for layer in manifest["layers"]) == 650
    shown = command("inspect", "d", cwd=work).stdout
    assert "total" in shown and "10 classes: 0 to 9" in shown


def test_predict_rows_of_a_data_set(work: Path) -> None:
    rows = answer("predict", "d", "digits", "--rows", "0,10,193", cwd=work)["rows"]
    assert [row["row"] for row in rows] == [0, 10, 193]
    assert {"y", "prediction", *(f"p_{digit}" for digit in range(10))} < rows[0].keys()
    assert abs(sum(rows[0][f"p_{digit}"] for digit in range(10)) - 1) < 1e-9
    part = answer("predict", "d", "digits", "--part", "test", "--rows", "0", cwd=work)["rows"]
    assert part[0]["row"] > 0
    done = command("predict", "d", "digits", "--rows", "1797", cwd=work)
    assert done.returncode == 2 and "the rows 0 to 1796" in done.stderr
    assert command("predict", "d", "digits", "--out", "p.csv", cwd=work).returncode == 0
    table = polars.read_csv(work / "p.csv")
    assert table.columns == ["row", "y", "prediction", *(f"p_{digit}" for digit in range(10))]
    assert len(table) == 1797


def test_predict_pictures(work: Path) -> None:
    from sklearn.datasets import load_digits

    picture = load_digits().images[0].astype(np.uint8)
    Image.fromarray(picture).save(work / "zero.png")
    Image.fromarray(np.kron(picture, np.ones((2, 2), np.uint8))).save(work / "large.png")
    (found,) = answer("predict", "d", "zero.png", cwd=work)["pictures"]
    row = answer("predict", "d", "digits", "--rows", "0", cwd=work)["rows"][0]
    assert found["prediction"] == row["prediction"]
    assert found["probability"] == pytest.approx(max(found["probabilities"]))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        done = command("predict", "d", "large.png", cwd=work)
        both = answer("predict", "d", "zero.png", "large.png", cwd=work)["pictures"]
    assert done.returncode == 0 and "16 x 16" in done.stderr and "scaled to 8 x 8" in done.stderr
    assert both[1]["prediction"] == found["prediction"]


def test_data_list_and_show(work: Path) -> None:
    names = {row["name"] for row in answer("data", "list", cwd=work)}
    assert {"digits", "diabetes", "breast_cancer", "iris", "wine", "mnist"} <= names
    facts = answer("data", "show", "digits", cwd=work)
    assert facts["counts"][0] == 178 and facts["range"] == [0, 16] and facts["dtype"] == "uint8"
    assert facts["mean"] == pytest.approx(4.884164579855314)
    assert "178" in command("data", "show", "digits", cwd=work).stdout
    assert "progression" in command("data", "show", "diabetes", cwd=work).stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train", "digit"], 2, 'did you mean "digits"?'),
        (["train"], 2, "no data"),
        (["train", "digits", "--set", "epoch=3"], 2, 'did you mean "epochs"?'),
        (["train", "digits", "--set", "epochs"], 2, "expected key=value"),
        (["train", "digits", "--sed", "3"], 2, "--seed"),
        (["trian", "digits"], 2, "train"),
        (["train", "digits", "--device", "gpu"], 2, 'did you mean "cuda"?'),
        (["train", "digits", "--out", "d"], 2, "exists and is not empty"),
        (["train", "--config", "none.toml"], 2, "none.toml: cannot read"),
        (["evaluate", "nowhere", "digits"], 2, "there is no run or model file nowhere"),
        (["evaluate", "d", "iris"], 2, "iris holds rows; the model takes pictures"),
        (["evaluate", "d", "digits", "--model", "cnn"], 2, 'has no model "cnn"'),
        (["inspect", "zip.safetensors"], 2, "a zip archive"),
        (["predict", "d", "nothing.png"], 2, "nothing.png"),
        (["runs", "show", "."], 2, "holds no metrics.json"),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(
    words: list[str], code: int, message: str, work: Path
) -> None:
    (work / "zip.safetensors").write_bytes(b"PK\x03\x04" + bytes(100))
    done = command(*words, cwd=work)
    assert done.returncode == code
    assert message in done.stderr and "Traceback" not in done.stderr
    if done.stderr.startswith("error:"):
        assert done.stderr.count("\n") == 1


def test_a_list_of_rates_makes_one_run_each_and_compares_them(tmp_path: Path) -> None:
    few = ["--set", "epochs=2", "--set", "widths=16", "--model", "mlp", "--set", "optimizer=sgd"]
    done = command(
        "train", "digits", *few, "--set", "lr=1e-3,0.1,1e30", "--out", "s", cwd=tmp_path
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [
        "lr=0.001", "lr=0.1", "lr=1e+30"
    ]  # fmt: skip
    table = done.stdout.split("the run with")[0].splitlines()
    lines = [line.split() for line in table if " s/lr" in line or "diverged" in line]
    assert [line[:2] for line in lines] == [
        ["0.1", "mlp"], ["0.001", "mlp"], ["1e+30", "diverged"]
    ]  # fmt: skip
    assert "no longer finite at step" in done.stderr and "lr=1e+30 for sgd" in done.stderr
    assert done.stdout.count("test (95 %") == 1  # of the first alone
    rows = answer("train", "digits", *few, "--set", "lr=1e-3,0.1", "--seed", "1", cwd=tmp_path)
    assert [row["lr"] for row in rows] == [0.1, 0.001]
    losses = [row["models"]["mlp"]["valid"]["loss"] for row in rows]
    assert losses == sorted(losses) and Path(tmp_path / rows[0]["path"]).is_dir()
    failed = command("train", "digits", *few, "--set", "lr=1e30,1e31", cwd=tmp_path)
    assert failed.returncode == 1


def test_the_notes_recipe_is_reached_from_the_command_line(tmp_path: Path) -> None:
    done = command(
        "train", "digits", "--model", "mlp", "--set", "optimizer=sgd", "--set", "lr=0.01",
        "--set", "momentum=0.5", "--set", "widths=512,256,128,64", "--set", "batch_size=64",
        "--set", "scaling=0.1307,0.3081", "--print-recipe", cwd=tmp_path,
    )  # fmt: skip
    import tomllib

    recipe = tomllib.loads(done.stdout)
    assert recipe["widths"] == [512, 256, 128, 64] and recipe["scaling"] == [0.1307, 0.3081]
    assert recipe["weight_decay"] == 0 and recipe["epochs"] > 1
    assert [key for key, value in recipe.items() if value == "auto"] == [
        "separator",
        "decimal",
        "dates",
        "encoding",
        "log_every",
        "checkpoint_every",
    ]
    (tmp_path / "r.toml").write_text(done.stdout)
    again = command("train", "--config", "r.toml", "--print-recipe", cwd=tmp_path)
    assert again.stdout == done.stdout


def test_ctrl_c_ends_with_130_and_says_so(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("linnet.experiment.train.Job.fit", interrupted)
    done = command("train", "digits", "--out", "c", cwd=work)
    assert (done.returncode, done.stderr.strip()) == (130, "stopped")
    assert json.loads((work / "c" / "status.json").read_text())["state"] == "stopped"
    assert not (work / "c" / "metrics.json").exists()


def test_debug_shows_the_traceback(work: Path) -> None:
    done = command("train", "digit", "--debug", cwd=work)
    assert done.returncode == 2 and "Traceback" in done.stderr


def test_an_absent_device_is_refused_as_failed_work(work: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    done = command("train", "digits", "--device", "cuda", cwd=work)
    assert done.returncode == 1 and "sees 0 CUDA devices" in done.stderr


@pytest.mark.slow
def test_modules_in_the_working_directory_are_not_imported(work: Path, tmp_path: Path) -> None:
    for name in ("torch", "csv", "json", "typer"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from here')")
    done = subprocess.run(
        [sys.executable, "-m", "linnet", "data", "show", "iris"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0 and "150 rows" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0,
    reason="no network namespaces here",
)
@pytest.mark.parametrize("data", ["digits", "diabetes"])
def test_training_works_with_no_network_at_all(data: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-P", "-m", "linnet", "train", data, *FAST,
         "--out", "r"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r" / "metrics.json").is_file()


@pytest.mark.slow
def test_mnist_stays_within_its_memory(mnist_folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from linnet.cli import main\n"
        "sys.argv = ['linnet', 'train', 'mnist', '--model', 'mlp', '--set', 'epochs=2', "
        "'--out', 'r']\n"
        "try: main()\n"
        "except SystemExit as error: assert not error.code\n"
        "lines = open('/proc/self/status').read().splitlines()\n"  # ru_maxrss has the parent's too
        "print(next(line.split()[1] for line in lines if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert int(done.stdout.splitlines()[-1]) * 1024 < 1.2e9


def test_a_sweep_shows_the_test_scores_of_the_chosen_run_alone(tmp_path: Path) -> None:
    """As JSON too: who sees the other ones could choose by them."""
    done = command(
        "train", "iris", "--model", "mlp", "--set", "widths=4", "--set", "epochs=1", "--set",
        "lr=0.5,0.01,0.001", "--out", "s", "--no-report", "--no-view", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, *others = json.loads(done.stdout)
    assert "test" in first["models"]["mlp"] and first["verdict"]
    assert len(others) == 2
    for plain in others:
        assert plain["models"]["mlp"]["valid"] and plain["path"] and plain["chosen"] == "mlp"
        text = json.dumps(plain)
        assert '"test"' not in text and "verdict" not in text and "comparisons" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "iris", "--allow", "seed"], "--allow goes with --resume"),
        (["train", "--resume", "r", "--out", "s"], "leave out --out and --from"),
        (["train", "--resume", "r", "--from", "s"], "leave out --out and --from"),
        (["train", "iris", "--print-recipe", "--json"], "prints TOML"),
        (["predict", "r", "iris", "--json", "--out", "x.csv"], "give one of the two"),
    ],
)
def test_options_that_say_nothing_together_are_refused(
    tmp_path: Path, words: list[str], message: str
) -> None:
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr, done.stderr
