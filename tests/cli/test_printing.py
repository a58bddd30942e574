"""What reaches a terminal: one place makes text safe, and all that is printed goes through it."""

import ast
import os
import warnings
from pathlib import Path

import polars
import pytest
from typer.testing import CliRunner

import linnet
from linnet.cli import app
from linnet.errors import MAX_MESSAGE, InputError, LinnetWarning, printable

ROOT = Path(linnet.__file__).parent

EVIL = "[/b]\x1b[31m\x1b]0;t\x07\x9b2J\u202e\u2066\u200b\u200d\ufeff\U000e0041\x7f\r:smile:[red]"
"""Markup of Rich, escapes of terminals (also of one byte), marks of direction, letters without
width, a tag, a return."""

PRINTERS = {
    "core.text": {"print"},
    "cli._output": {"Console", "write"},
    "show.bars": {"Console"},
    "cli": {"echo"},  # the version
    "cli.eject": {"write"},  # Python, whose texts are written by repr
    "show.view.panels": {"write"},  # JSON to a pipe
}
"""The modules that print, and by what."""


def test_text_is_made_safe() -> None:
    assert printable("plain, é 漢字 [b]") == "plain, é 漢字 [b]"
    assert printable("a\nb\tc\u2028d\u00a0e\x85f") == "a b c d e f"
    assert printable("\x1b[31m \x9b \u202e \u200b \udc80 \x00 \ue000") == (
        "\\x1b[31m \\x9b \\u202e \\u200b \\udc80 \\x00 \\ue000"
    )
    assert all(printable(chr(code)).isprintable() for code in range(0x11000))
    assert printable(EVIL).isprintable()


def test_messages_are_safe_and_of_bounded_length() -> None:
    for message in (InputError(f"a\n{EVIL}"), LinnetWarning(f"a\n{EVIL}")):
        assert str(message) == "a " + printable(EVIL)
    said = str(InputError("x" * 10**7 + "the remedy"))
    assert len(said) < MAX_MESSAGE + 10 and said.endswith("the remedy")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        warnings.warn(EVIL, LinnetWarning, stacklevel=1)
    assert str(seen[0].message).isprintable()


def test_only_the_places_that_make_text_safe_print() -> None:
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            word = called.rpartition(".")[2]
            streams = word == "write" and ("stdout" in called or "stderr" in called)
            if called in ("print", "typer.echo", "Console") or streams:
                found.setdefault(name, set()).add(word)
    assert found == PRINTERS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table whose name, columns and classes are hostile, and two runs of it."""
    folder = tmp_path_factory.mktemp("evil") / EVIL.replace("/", "")
    folder.mkdir()
    frame = {
        f"a{EVIL}": [i * 7 % 11 + 0.5 for i in range(80)],
        f"kind{EVIL}": [f"{EVIL}{i % 3}" for i in range(80)],
        f"y{EVIL}": ["[/b]" if i % 2 else EVIL for i in range(80)],
    }
    polars.DataFrame(frame).write_parquet(folder / f"t{EVIL.replace('/', '')}.parquet")
    return folder


def check(*words: str, code: int | None = 0) -> None:
    result = CliRunner().invoke(app, list(words))
    assert code is None or result.exit_code == code, (words, result.output, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), words
    for stream in (result.stdout, result.stderr):
        assert stream.replace("\n", "").isprintable(), (words, stream)


@pytest.mark.slow
def test_all_commands_print_hostile_names_safely(place: Path, tmp_path: Path) -> None:
    data, target = str(next(place.iterdir())), f"y{EVIL}"
    runs = place / "runs"
    runs.mkdir()
    run, again = str(runs / f"one{EVIL.replace('/', '')}"), str(runs / "two")
    more = ["--set", "model=linear", "--no-view"]
    for json in ([], ["--json"]):
        check("data", "show", data, *json)
        check("data", "show", data, "--target", target, *json)
        check("data", "list", *json)
        check("doctor", data, "--target", target, *json, code=None)
    check("train", data, "--target", target, "--print-recipe")
    check("train", data, "--target", target, "--out", run, *more)
    check("train", data, "--target", target, "--out", again, *more, "--json")
    for json in ([], ["--json"]):
        check("predict", run, data, *json)
        check("evaluate", run, data, *json)
        check("inspect", run, *json)
        check("runs", "show", run, *json)
        check("runs", "list", str(runs), *json)
        check("runs", "compare", run, again, *json)
        check("runs", "repeat", run, *json, code=None)
    for style in ("tensors", "module"):
        check("eject", run, "--style", style, "--data", str(tmp_path / "e.npz"))
    check("report", run, "--out", str(tmp_path / "r.html"))
    check("runs", "zip", run)
    for words in (
        ["train", data, "--target", EVIL], ["data", "show", EVIL], ["predict", run, EVIL],
        ["runs", "show", EVIL], ["runs", "list", str(runs), "--where", EVIL], [EVIL],
        ["train", data, "--set", EVIL], ["runs", "list", EVIL], ["data", "fetch", EVIL],
        ["inspect", EVIL, "--debug"], ["train", data, "--set", f"{EVIL}={EVIL}"],
    ):  # fmt: skip
        check(*words, code=None)


def test_names_that_are_no_text_are_printed(tmp_path: Path) -> None:
    """The bytes of a file's name may be no UTF-8."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\x1b[31m.csv")
    Path(path).write_text("a,y\n" + "".join(f"{i % 5},{i % 2}\n" for i in range(40)))
    check("data", "show", path)
    check("data", "show", path, "--target", "z", code=2)
