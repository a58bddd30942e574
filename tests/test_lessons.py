"""The lessons run as they stand, in both languages, and hold every program of the notes."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers import ROOT, run_notebook

FOLDER = ROOT / "docs" / "lessons"
LANGUAGES = {"en": ".md", "zh": ".zh.md"}
NAMES = (
    "01-tensors", "02-linear-regression", "03-two-targets", "04-logistic-regression", "05-softmax",
    "06-mnist-line", "07-mnist-net", "08-faster", "09-watching",
)  # fmt: skip
COLUMNS = 88
"""Lessons are read in a narrow column."""

LOOSE = "E402,B007,SIM300"
"""Imports stand where they are needed, ``for epoch in range(10)`` says what it counts, and a number
lies between two others as it is written on paper."""

HEAD = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""

PROGRAMS = {
    "A (000)": (
        "functional perceptron", "class perceptron", "device version", "accuracy of a batch",
        "Visdom one curve", "Visdom several curves", "Visdom pictures and text",
    ),
    "B (001)": ("LinearModel with its loop", "the optimiser comparison"),
    "C (002)": (
        "devices", "modes", "accuracy", "copies", "products", "torch.max", "BCE without logits",
        "BCE with logits", "the 7,850-parameter summary",
    ),
    "D (003)": (
        "tensors", "linear regression by hand", "linear regression with nn.Linear and loaders",
        "MNIST data", "split", "model", "softmax", "accuracy", "loss", "fit", "curve",
        "one picture", "test set", "save and load",
    ),
    "E (004)": (
        "NumPy softmax", "CrossEntropyLoss", "the batch losses", "NLLLoss",
        "Net with train and test", "the two plots",
    ),
}  # fmt: skip
"""Every program of the five learning notes."""

FENCE = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"^\(([a-z0-9-]+)\)=$", re.MULTILINE)
HEADING = re.compile(r"^#+ ", re.MULTILINE)
ROW = re.compile(r"^\| *([A-E] \(00[0-4]\)) *\| *([^|]+?) *\| *\[[^\]]+\]\(([^)#]+)#([^)]+)\) *\|$")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def place(name: str, language: str) -> Path:
    return FOLDER / f"{name}{LANGUAGES[language]}"


def code(path: Path) -> list[str]:
    """The code cells, as they stand in the file."""
    return FENCE.findall(path.read_text(encoding="utf-8"))


def module(path: Path) -> Any:
    """A script as a module."""
    place = importlib.util.spec_from_file_location(path.stem, path)
    assert place is not None and place.loader is not None
    made = importlib.util.module_from_spec(place)
    place.loader.exec_module(made)
    return made


def notebook(path: Path) -> Any:
    """The file as a notebook."""
    jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        return jupytext.read(path, fmt="md:myst")


# they run


STRICT = """\
__import__("warnings").simplefilter("error")
__import__("warnings").filterwarnings("ignore", module="ipykernel")  # its own, at its end
__import__("os").environ["PYTHONWARNINGS"] = "error"
assert __import__("sys").prefix == PREFIX
"""
"""The first cell of every lesson; it leaves no name behind."""


def execute(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, fast: bool) -> Any:
    """Run a lesson in a kernel of its own, on one thread, in ``folder``."""
    nbformat = pytest.importorskip("nbformat")
    book = notebook(place(name, "en"))
    first = nbformat.v4.new_code_cell(STRICT.replace("PREFIX", repr(sys.prefix)))
    book.cells.insert(0, first)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "IPYTHONDIR": str(folder / ".ipython")}
    for key in ("LINNET_LESSONS", "LINNET_RUN", "MPLBACKEND", "PYTHONPATH"):
        environment.pop(key, None)
    if fast:
        environment["LINNET_LESSONS"] = "fast"
    if data := environment.get("LINNET_DATA"):
        environment["LINNET_DATA"] = str(Path(data).absolute())
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")  # this Python's kernel, not the user's
    work = folder / "work"
    work.mkdir()
    return run_notebook(book, work, timeout=600, env=environment)


def check(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, fast: bool) -> None:
    """Run it; nothing is said on standard error, there are pictures, and only runs are left."""
    book = execute(name, folder, monkeypatch, fast=fast)
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    said = ["".join(o.text) for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    assert said == []
    assert [o for o in outputs if "image/png" in o.get("data", {})], "it shows no picture"
    assert {path.name for path in (folder / "work").iterdir()} <= {"runs"}


def lessons(*, full: bool) -> list[str]:
    """The lessons, those that take longest first; of one that has no fast form one test is
    enough."""
    return [
        name
        for name in reversed(NAMES)
        if (path := place(name, "en")).exists()
        and not (full and "LINNET_LESSONS" not in path.read_text(encoding="utf-8"))
    ]


def needs_mnist(name: str) -> bool:
    return any("mnist" in cell for cell in code(place(name, "en")))


@pytest.fixture
def ready(name: str, request: pytest.FixtureRequest) -> str:
    """Skips a lesson that needs MNIST where it is absent."""
    if needs_mnist(name):
        request.getfixturevalue("mnist_folder")
    return name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if needs_mnist(name) else name
        for name in lessons(full=False)
    ],
)
def test_a_lesson_runs(ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(ready, tmp_path, monkeypatch, fast=True)


@pytest.mark.soak
@pytest.mark.parametrize("name", lessons(full=True))
def test_a_lesson_runs_in_full(ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(ready, tmp_path, monkeypatch, fast=False)


# they are of one form


def test_every_lesson_is_there_in_both_languages() -> None:
    found = sorted(path.name for path in FOLDER.glob("*.md"))
    wanted = [f"{name}{end}" for name in ("index", *NAMES) for end in LANGUAGES.values()]
    assert found == sorted(wanted)


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_code(name: str) -> None:
    english, chinese = (place(name, language) for language in LANGUAGES)
    assert code(english) == code(chinese) != []
    for path in (english, chinese):
        text = path.read_text(encoding="utf-8")
        assert text.startswith(HEAD)
        cells = notebook(path).cells
        kept = [cell.source for cell in cells if cell.cell_type == "code"]
        assert kept == [cell.removesuffix("\n") for cell in code(path)]  # no fence was missed
        words = "".join(cell.source for cell in cells if cell.cell_type == "markdown")
        assert (len(CHINESE.findall(words)) > len(words) / 5) == (path == chinese)
    assert not CHINESE.search("".join(code(english)))


@pytest.mark.parametrize("name", NAMES)
def test_a_students_copy_has_no_scaffolding(name: str) -> None:
    copies = module(ROOT / "docs" / "notebooks.py")
    for language in LANGUAGES:
        pytest.importorskip("jupytext", reason="jupytext is not installed")
        book = copies.notebook(place(name, language))
        cells = [cell.source for cell in book.cells if cell.cell_type == "code"]
        tree = ast.parse("\n".join(cell for cell in cells if not cell.startswith("%")))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert "fast" not in names and "LINNET_LESSONS" not in "".join(cells)
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
        imported = {
            each.asname or each.name
            for node in tree.body
            if isinstance(node, ast.Import)
            for each in node.names
        }
        assert {each for each in imported if "." not in each} <= names
        words = "".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
        assert not TARGET.search(words) and not re.search(r"\]\([^)/]*\.md", words)


def test_the_long_form_of_a_cell_stays() -> None:
    copies = module(ROOT / "docs" / "notebooks.py")
    source = """\
import os
fast = os.environ.get("LINNET_LESSONS") == "fast"
rows = 10 if fast else len(data)  # of all
for row in range(2 if fast else 5):
    train(row)
    assert row
for row in rows:
    assert row
if not fast:
    assert rows
    print("long")
if fast:
    print("short")
else:
    print("other")"""
    assert (
        copies.plain(source)
        == """\
import os
rows = len(data)  # of all
for row in range(5):
    train(row)
print("long")
print("other")"""
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_ends_with_what_goes_wrong(name: str, language: str) -> None:
    text = FENCE.sub("", place(name, language).read_text(encoding="utf-8"))
    titles = re.findall(r"^# (.*)$", text, re.MULTILINE)
    assert len(titles) == 1 and titles[0].startswith(f"{int(name[:2])}. ")
    sections = re.findall(r"^## (.*)$", text, re.MULTILINE)
    wanted = {
        "en": "What goes wrong, and how linnet tells you",
        "zh": "会出什么错，linnet 怎么告诉你",
    }
    assert wanted[language] in sections[-2:]  # a summary may follow


@pytest.mark.parametrize("name", NAMES)
def test_the_code_of_a_lesson_is_clean(name: str, tmp_path: Path) -> None:
    book = {
        "cells": [
            {"cell_type": "code", "id": str(index), "metadata": {}, "outputs": [],
             "execution_count": None, "source": source.removesuffix("\n")}
            for index, source in enumerate(code(place(name, "en")))
        ],
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    path = tmp_path / f"{name}.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    settings = ["--config", str(FOLDER.parents[1] / "pyproject.toml"), "--no-cache"]
    settings += ["--line-length", str(COLUMNS)]
    for words in (["format", "--diff"], ["check", "--ignore", LOOSE]):
        done = subprocess.run([*ruff, *words, *settings, str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


# the programs of the notes


@dataclass(frozen=True)
class Row:
    """A row of the index's table: a program, and where it is run."""

    notes: str
    program: str
    file: str
    target: str


def rows(language: str) -> list[Row]:
    lines = place("index", language).read_text(encoding="utf-8").splitlines()
    found = [Row(*match.groups()) for line in lines if (match := ROW.match(line))]
    assert len(found) == sum(
        line.startswith(tuple("|" + f" {a}" for a in "ABCDE")) for line in lines
    )
    return found


def runs_a_cell(path: Path, target: str) -> bool:
    """Whether the target is there once, and a code cell follows before the next heading but one."""
    text = path.read_text(encoding="utf-8")
    if TARGET.findall(FENCE.sub("", text)).count(target) != 1:
        return False
    after = text.split(f"\n({target})=\n")[1]
    cell = FENCE.search(after)
    return cell is not None and len(HEADING.findall(after[: cell.start()])) <= 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_program_of_the_notes_has_its_cell(language: str) -> None:
    wanted = [(notes, name) for notes, names in PROGRAMS.items() for name in names]
    found = rows(language)
    if language == "en":
        assert [(row.notes, row.program.replace("`", "")) for row in found] == wanted
    known = {place(name, language).name for name in NAMES}
    lacking = [
        row for row in found
        if row.file not in known or not runs_a_cell(FOLDER / row.file, row.target)
    ]  # fmt: skip
    assert lacking == []


def test_both_indexes_name_the_same_cells() -> None:
    english, chinese = rows("en"), rows("zh")
    assert [
        (row.notes, row.file.replace(".md", ".zh.md"), f"{row.target}-zh") for row in english
    ] == [(row.notes, row.file, row.target) for row in chinese]
    assert all(row.program for row in chinese)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_index_names_every_lesson(language: str) -> None:
    text = place("index", language).read_text(encoding="utf-8")
    assert all(f"({place(name, language).name})" in text for name in NAMES)
