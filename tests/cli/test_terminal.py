"""What the commands show at a terminal of 80 columns."""

import json
import re
from pathlib import Path
from shlex import split

import numpy as np
import polars as pl
import pytest

import linnet
from helpers import command, seen
from linnet.cli._output import in_flags, print_table
from linnet.core.text import likely
from linnet.fit.recipe import Recipe


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of digits and of houses, whose prices are six digits long."""
    folder = tmp_path_factory.mktemp("work")
    random = np.random.default_rng(0)
    size = random.uniform(40, 200, 300)
    price = 4_000 * size + random.normal(0, 20_000, 300)
    pl.DataFrame(
        {"size": size, "year": random.integers(1950, 2020, 300), "price": price}
    ).write_csv(folder / "houses.csv")
    net = ["--set", "epochs=3", "--set", "widths=16", "--no-view"]
    for words in (["digits"], ["houses.csv", "--target", "price", "--set", "lr=0.01"]):
        done = command("train", *words, *net, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def shown(*words: object, cwd: Path, columns: int = 80, code: int = 0) -> list[str]:
    """The lines that a command shows at a terminal; none is longer than the terminal is wide."""
    done = command(*words, cwd=cwd, columns=columns, terminal=True)
    assert done.returncode == code, done.stderr
    lines = seen(done.stdout + done.stderr)
    assert max(map(len, lines)) <= columns
    return lines


def test_predictions_of_ten_classes_are_read_at_80_columns(work: Path) -> None:
    few = ("row", "y", "prediction", "probability", "runner-up", "its probability")
    lines = shown("predict", "runs/digits-auto-1", "digits", "--rows", "0,10,193", cwd=work)
    head, *rows = [line.split() for line in lines if line.strip("─ ")]
    assert " ".join(head) == " ".join(few) and [row[0] for row in rows] == ["0", "10", "193"]
    everything = command("predict", "runs/digits-auto-1", "digits", "--rows", "0,10,193", cwd=work)
    assert all(f"p_{digit}" in everything.stdout for digit in range(10))  # piped: all classes
    run = linnet.Run(work / "runs/digits-auto-1")
    pictures = linnet.read("digits").x[[0, 10, 193]].numpy()
    shares = np.sort(run.model.predict_proba(pictures))[:, ::-1]
    for row, share in zip(rows, shares, strict=True):
        assert " ".join(row[3:5]) == likely(share[0]) and " ".join(row[6:]) == likely(share[1])
    wide = shown("predict", "runs/digits-auto-1", "digits", "--rows", "0", cwd=work, columns=160)
    assert "p_9" in wide[1] and "runner-up" not in " ".join(wide)


def test_ordinary_numbers_are_written_out(work: Path) -> None:
    run = "runs/houses-auto-1"
    for words in (
        ["predict", run, "houses.csv", "--rows", "0,1"], ["runs", "show", run], ["runs", "list"],
        ["runs", "compare", run, run], ["data", "show", "houses.csv"],
        ["evaluate", run, "houses.csv"],
    ):  # fmt: skip
        text = " ".join(shown(*words, cwd=work))
        assert not re.search(r"\d[.\d]*e\+", text), text
        assert re.search(r"\d\d,\d\d\d", text) or words[1] == "compare"
    report = (work / run / "report.html").read_text()
    section = report[report.index("Largest errors</h2>") :]
    rows = re.findall(r"<tr>.*?</tr>", section[: section.index("</table>")])
    cells = [re.sub("<[^>]+>", " ", row) for row in rows[1:4]]
    assert all(re.search(r"\d\d\d,\d\d\d", row) and "e+" not in row for row in cells)
    assert all(re.search(r" (19|20)\d\d ", row) for row in cells)  # a year has no comma


def test_a_model_file_is_described_in_few_words(work: Path) -> None:
    text = shown("inspect", "runs/digits-auto-1", cwd=work)
    assert "predicts: digit (10 classes: 0 to 9)" in text
    assert "predicts: price" in shown("inspect", "runs/houses-auto-1", cwd=work)


@pytest.mark.parametrize("words", [["runs", "list"], ["runs", "show", "runs/digits-auto-1"]])
def test_names_times_and_intervals_are_not_broken(words: list[str], work: Path) -> None:
    lines = shown(*words, cwd=work)
    text = "\n".join(lines)
    if words[1] == "list":
        assert re.search(
            r"houses-auto-1  finished  \d{4}-\d\d-\d\d \d\d:\d\d  houses +\w+ +RMSE", text
        )
    else:
        assert len(re.findall(r"accuracy \d+\.\d\d % \(\d+\.\d\d to \d+\.\d\d\) +\d", text)) == 3


def test_prose_is_not_cut_in_the_middle_of_a_word(work: Path) -> None:
    piped = command("runs", "show", "runs/digits-auto-1", cwd=work).stdout
    text = " ".join(" ".join(shown("runs", "show", "runs/digits-auto-1", cwd=work)).split())
    for line in piped.splitlines():
        if "─" not in line:
            assert " ".join(line.split()) in text
    shown("doctor", "houses.csv", "--target", "price", cwd=work)
    refused = shown("predict", "runs/none", "digits", "--model", "x" * 70, cwd=work, code=2)
    assert refused[0].startswith("error: ")
    shown("train", "houses.csv", "--target", "pricy", "--no-view", cwd=work, code=2)


def test_the_widest_columns_of_a_table_are_folded(capsys: pytest.CaptureFixture[str]) -> None:
    from helpers import Screen

    for columns in (60, 80):
        with pytest.MonkeyPatch.context() as patch:
            screen = Screen()
            patch.setattr("sys.stdout", screen)
            patch.setenv("COLUMNS", str(columns))
            print_table(
                ["name", "time", "path"],
                [["iris-auto-1", "2026-11-29 18:52", "word " * 30], ["b", "2026-11-29 18:53", "c"]],
            )
        lines = seen(screen.getvalue())
        assert max(map(len, lines)) <= columns
        assert any("iris-auto-1  2026-11-29 18:52  word" in line for line in lines)


def test_an_address_is_printed_after_the_data_is_read(work: Path) -> None:
    lines = shown("train", "houses.csv", "--target", "pricy", "--view", cwd=work, code=2)
    assert not any("live page" in line for line in lines)


def test_a_sweep_and_a_list_of_runs_show_no_test_scores_of_others(tmp_path: Path) -> None:
    words = ["train", "iris", "--model", "linear", "--set", "seed=0,1", "--out", "s"]
    done = shown(*words, "--no-report", "--no-view", cwd=tmp_path)
    assert sum("test (95 % interval)" in line for line in done) == 1
    valid: dict[str, float] = {}
    for run in map(linnet.Run, (tmp_path / "s").iterdir()):
        scores = run.scores.models["linear"].valid
        assert scores is not None and scores.accuracy is not None
        valid[run.name] = scores.accuracy
    assert len(valid) == 2
    for line in shown("runs", "list", "s", cwd=tmp_path):
        for name, score in valid.items():
            if line.startswith(name):
                assert line.endswith(f"accuracy {100 * score:.2f} %")
    listed = command("runs", "list", "s", "--json", cwd=tmp_path).stdout
    assert '"value"' not in listed and '"valid"' in listed


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("leave it out (drop=Kunden-Nr.)", "leave it out (--set drop=Kunden-Nr.)"),
        ("leave it out (drop=Zahl der Kinder)", "leave it out (--set 'drop=Zahl der Kinder')"),
        ("if classes, set task=classification", "if classes, --set task=classification"),
        ("(time=COLUMN, group=COLUMN)", "(--set time=COLUMN, --set group=COLUMN)"),
        ("such as columns.NAME=category", "such as --set columns.NAME=category"),
        ("try a net (model=mlp), or lr=find", "try a net (--set model=mlp), or --set lr=find"),
        ("correct it, or --set missing=11,5", "correct it, or --set missing=11,5"),
        ("train --resume r --set lr=... --allow lr", "train --resume r --set lr=... --allow lr"),
        ('train((X, y), target="y")', 'train((X, y), target="y")'),
        ("my_lr=3, x.lr=3, lr = 3", "my_lr=3, x.lr=3, lr = 3"),
        ("nothing to set", "nothing to set"),
    ],
)  # fmt: skip
def test_remedies_are_written_as_the_command_line_takes_them(message: str, told: str) -> None:
    assert in_flags(message) == in_flags(told) == told


def test_remedies_can_be_typed(tmp_path: Path) -> None:
    """What the doctor proposes is accepted as it stands."""
    random = np.random.default_rng(0)
    y = random.normal(size=100)
    table = {"a b": 2 * y + 1, "x": random.normal(size=100), "y": y}
    pl.DataFrame(table).write_csv(tmp_path / "t.csv")
    words = ["doctor", "t.csv", "--target", "y"]
    text = " ".join(" ".join(shown(*words, cwd=tmp_path, code=1)).split())
    remedy = re.search(r"leave it out \((--set .*?)\)", text)
    assert remedy is not None
    assert "nothing would stop" in " ".join(shown(*words, *split(remedy[1]), cwd=tmp_path)) or (
        "nothing found" in " ".join(shown(*words, *split(remedy[1]), cwd=tmp_path))
    )


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("lr=abc", "'auto' or 'find', or a number"),
        ("epochs=abc", "'auto', or a whole number"),
        ("valid=x", "'auto', or a number"),
        ("scaling=foo", "'standard', or a list of numbers"),
        ("activation=foo", "'tanh'"),
    ],
)
def test_all_kinds_of_value_of_a_setting_are_told(setting: str, words: str, tmp_path: Path) -> None:
    lines = shown("train", "iris", "--set", setting, "--no-view", cwd=tmp_path, code=2)
    assert words in " ".join(lines)


def test_settings_are_listed_with_default_values_and_words(tmp_path: Path) -> None:
    lines = shown("recipe", cwd=tmp_path)
    told = {line.split("=")[0].split()[0] for line in lines if " takes " in line}
    assert told == set(Recipe.model_fields)
    text = " ".join(" ".join(shown("recipe", "lr", "test", cwd=tmp_path)).split())
    assert text.startswith("lr=auto takes auto, find or a number above 0 The learning rate; find:")
    assert "test=0.2 takes folds or a number above 0" in text and "`" not in text
    assert 'did you mean "epochs"?' in " ".join(shown("recipe", "epoch", cwd=tmp_path, code=2))
    (key,) = json.loads(command("recipe", "size", "--json", cwd=tmp_path).stdout)["keys"]
    assert (key["default"], key["takes"]) == ("", "such as 64 or 48x64")


def test_help_has_examples_and_whole_sentences(tmp_path: Path) -> None:
    text = shown("train", "--help", cwd=tmp_path)
    examples = [line.split() for line in text if line.startswith("    linnet train ")]
    assert len(examples) == 3
    assert any("linnet recipe" in line for line in text)
    for words in ([], ["runs"], ["data"]):  # a command's first sentence fits beside its name
        assert not any(
            "..." in line and "Usage" not in line for line in shown(*words, "-h", cwd=tmp_path)
        )


def test_a_script_is_written_whole_or_not_at_all(work: Path) -> None:
    lines = shown("eject", "runs/digits-auto-1", "--out", "train.py", cwd=work)
    script = (work / "train.py").read_text()
    assert lines[0] == f"train.py: {len(script.splitlines()):,} lines"
    assert command("eject", "runs/digits-auto-1", cwd=work).stdout == script
    refused = " ".join(shown("eject", "runs/houses-auto-1", "--out", "h.py", cwd=work, code=2))
    assert "add --data encoded.npz" in refused and not (work / "h.py").exists()
