"""The documentation: nothing public is missing, what is made from the program is up to date, every
block of code runs, and the site builds without a warning and asks nothing of another host."""

import configparser
import gzip
import importlib.util
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import typer.main
from PIL import Image

import linnet
from helpers import ROOT, command
from linnet.cli import app
from linnet.data import SOURCES
from linnet.errors import LinnetWarning
from linnet.fit.keys import keys
from linnet.fit.recipe import Recipe
from linnet.fit.settings import read_settings
from linnet.integrations.sinks import SINKS
from linnet.line import SOLVERS
from linnet.networks import NETWORKS
from linnet.objectives import OBJECTIVES

DOCS = ROOT / "docs"

SKIPPED: dict[tuple[str, str], str] = {}
"""Blocks that cannot run: the page, words of the block, and why."""

NOT_RUN = {
    "linnet data fetch": "uses the network",
    "linnet view": "serves until it is stopped",
    "linnet serve": "serves until it is stopped",
    "linnet train --resume": "the run that stands for RUN has finished",
    "linnet train DATA --view": "opens a page in a browser",
    "--to": "needs the service's package",
    "--device": "needs the device",
}
"""Commands that are looked over but not run: the words in them, and why."""

NET = """
import linnet
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        return self.layers(x)
"""

TABLE = """
import linnet
import polars

frame = polars.read_csv("adult.csv").with_row_index("id")
frame = frame.with_columns(zip=10_000 + polars.col("id") % 5)
run = linnet.train("adult.csv", target="income", model="linear", out="runs/adult-auto-1")
y = frame["income"].to_list()
"""

PRELUDES = {"docs/tables.md": TABLE, "docs/training.md": NET}
"""What a page takes for granted."""

STORIES = ("README.md",)
"""Pages whose commands and code go on with one another's files: all is run, from top to bottom."""

FLAVOURED = re.compile(r"^(`{3,})([^\n`]*)\n(.*?)^\1`*\s*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, what it says it is, what is in it."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page that is written for people, lessons aside: they have a test of their own."""
    found = [*ROOT.glob("README*.md"), *DOCS.glob("*.md"), *DOCS.glob("reference/*.md")]
    return sorted(page.relative_to(ROOT).as_posix() for page in found)


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text("utf-8")
    return [
        Block(page, text[: found.start()].count("\n") + 1, found[2].strip(), found[3])
        for found in FLAVOURED.finditer(text)
    ]


def having(*languages: str) -> list[str]:
    """The pages with such blocks."""
    return [page for page in pages() if any(b.language in languages for b in blocks(page))]


# what is in it


def generator() -> ModuleType:
    """docs/commands.py."""
    place = importlib.util.spec_from_file_location("commands", DOCS / "commands.py")
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_the_command_line_is_up_to_date() -> None:
    written = (DOCS / "cli.md").read_text("utf-8")
    assert written == generator().page(), "run: python docs/commands.py"
    for words, known in leaves():
        assert f"# linnet {' '.join(words)}\n" in written
        for parameter in known.params:
            for name in (*parameter.opts, *parameter.secondary_opts):
                assert name in written or parameter.param_type_name == "argument"


def leaves(known: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with its words."""
    known = typer.main.get_command(app) if known is None else known
    below = getattr(known, "commands", None)
    if below is None:
        yield words, known
        return
    for name, each in below.items():
        yield from leaves(each, (*words, name))


PUBLIC = {
    "linnet": None,
    "linnet.errors": None,
    "linnet.show.displays": None,
    "linnet.figures": None,
    "linnet.show.view": None,
    "linnet.compat.visdom": None,
    "linnet.integrations.sinks": None,
    "linnet.integrations.sinks.base": None,
    "linnet.integrations.sinks.follower": None,
    "linnet.experiment.learning_curve": ("learning_curve",),
    "linnet.insight.diagnosis": ("Claim",),
    "linnet.insight.inference": ("Inference",),
}
"""The modules that people import from; of some of them these names alone."""


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    text = "".join(page.read_text("utf-8") for page in DOCS.glob("reference/*.md"))
    told = set(re.findall(r"^\.\. auto(?:class|exception|function):: ([\w.]+)", text, re.MULTILINE))
    whole = set(re.findall(r"^\.\. automodule:: ([\w.]+)\n(?!   :no-members:)", text, re.MULTILINE))
    loaded = import_module(module)
    names = PUBLIC[module] or getattr(loaded, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(loaded).items()
            if not name.startswith("_")
            and (inspect.isclass(value) or inspect.isfunction(value))
            and value.__module__ == module
        ]
    assert names
    for name in names:
        value = getattr(loaded, name)
        homes = {f"{module}.{name}", f"{value.__module__}.{name}"}
        assert homes & told or module in whole, f"docs/reference lacks {module}.{name}"
        assert value.__doc__


def test_every_setting_of_a_recipe_is_told() -> None:
    """In one place, the docstring below its field, from which page and command are made."""
    told = {key.name: key for key in keys()}
    assert list(told) == list(dict.fromkeys(told)) and told.keys() == Recipe.model_fields.keys()
    for key in told.values():
        assert key.takes and len(key.says) > 5 and key.says.endswith("."), key
        if key.default:
            assert Recipe.make(read_settings([f"{key.name}={key.default}"])) == Recipe()
    text = (DOCS / "reference" / "recipe.md").read_text("utf-8")
    assert generator().recipe(text) == text, "run: python docs/commands.py"


def test_the_site_has_every_page() -> None:
    """A page that no table of contents names would be built, and never found."""
    named = {"index"}
    for page in ["index.md", *(f"reference/{p.name}" for p in DOCS.glob("reference/*.md"))]:
        folder = Path(page).parent
        for block in blocks(f"docs/{page}"):
            if block.language == "{toctree}":
                lines = [line.strip() for line in block.text.splitlines()]
                named |= {(folder / line).as_posix() for line in lines if line and line[0] != ":"}
    for page in pages():
        if page.startswith("docs/"):
            assert page.removeprefix("docs/").removesuffix(".md") in named


# what it says to do


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with the files that pages speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_files(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """MNIST's first rows in a folder of their own; None where there is no MNIST."""
    given = Path(os.environ.get("LINNET_DATA", "")) / "mnist"
    if not given.is_dir():
        return None
    root = tmp_path_factory.mktemp("data")
    (root / "mnist").mkdir()
    for part, rows in (("train", 600), ("t10k", 200)):
        for what, item in (("images-idx3", 784), ("labels-idx1", 1)):
            name = f"{part}-{what}-ubyte"
            found = given / name
            packed = gzip.decompress if not found.exists() else bytes
            content = packed((found if found.exists() else given / f"{name}.gz").read_bytes())
            head = 16 if item > 1 else 8
            count = content[:4] + rows.to_bytes(4, "big") + content[8:head]
            (root / "mnist" / name).write_bytes(count + content[head : head + rows * item])
    return root


def write_files(folder: Path) -> None:
    """The files that pages name."""
    random = np.random.default_rng(0)
    lines, bare = ["age,hours,workclass,income"], []
    for _ in range(400):
        age, hours = random.integers(18, 80), random.integers(10, 70)
        work = random.choice(["Private", "State-gov", "?"])
        rich = age + hours + random.normal(0, 10) > 95
        lines.append(f"{age},{hours},{work},{'>50K' if rich else '<=50K'}")
        numbers = ",".join(f"{value:.3f}" for value in random.normal(size=12))
        bare.append(f"{age},{work},{numbers},{'yes' if rich else 'no'}")
    (folder / "adult.csv").write_text("\n".join(lines) + "\n")
    (folder / "new.csv").write_text("\n".join(line.rsplit(",", 1)[0] for line in lines[:20]) + "\n")
    (folder / "adult.data").write_text("\n".join(bare) + "\n")
    harvest = ["temperature,rainfall,apples,oranges"]
    for _ in range(60):
        warm, rain = random.normal(80, 10), random.normal(70, 20)
        harvest.append(f"{warm:.1f},{rain:.1f},{warm + rain / 2:.1f},{rain - warm / 3:.1f}")
    (folder / "sales.csv").write_text("\n".join(harvest) + "\n")
    (folder / "recipe.toml").write_text('model = "linear"\npenalty = 0.01\n')
    picture = Image.fromarray(random.integers(0, 9, (8, 8), dtype=np.uint8))
    picture.save(folder / "IMAGE.png")
    pixels = random.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(folder / "pictures.npz", x=pixels, y=np.arange(60) % 2)


@pytest.fixture
def as_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A ``__main__`` to run code in; what it puts into tables of parts is gone afterwards."""
    module = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    tables: list[dict[str, str]] = [OBJECTIVES, SOLVERS, NETWORKS, SOURCES, SINKS]
    kept = [dict(table) for table in tables]
    yield module
    for table, before in zip(tables, kept, strict=True):
        table.clear()
        table.update(before)


def run_page(page: str, module: ModuleType, folder: Path, data: Path | None) -> None:
    """The python blocks of a page, one after the other, as its reader would run them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(PRELUDES.get(page, ""), module.__dict__)
    told = shells(page) if page in STORIES else []
    for block in blocks(page):
        if skipped(block):
            continue
        for words in commands(block) if block in told else []:
            if words[0] == "linnet":
                execute(words, block, folder, data)
        if block.language != "python":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", LinnetWarning)
            code = compile("\n" * block.line + block.text, str(ROOT / page), "exec")
            exec(code, module.__dict__)


def skipped(block: Block) -> str | None:
    for (page, words), reason in SKIPPED.items():
        if page == block.page and words in block.text:
            return reason
    return None


def of_mnist(page: str) -> bool:
    return any('"mnist"' in b.text for b in blocks(page) if b.language == "python")


@pytest.mark.parametrize("page", [page for page in having("python") if ".zh" not in page])
def test_the_code_of_a_page_runs(
    page: str,
    place: Path,
    small_data: Path | None,
    as_script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if of_mnist(page) and small_data is None:
        pytest.skip("LINNET_DATA does not point at a folder with mnist/")
    if small_data is not None:
        monkeypatch.setenv("LINNET_DATA", str(small_data))
    monkeypatch.setattr("linnet.fit.resolve.STEPS", 300)  # a tenth of the usual steps
    run_page(page, as_script, place, small_data)


@pytest.mark.parametrize("page", [page for page in pages() if ".zh" in page])
def test_the_code_of_a_chinese_page_is_that_of_its_twin(page: str) -> None:
    twin = re.sub(r"\.zh(-\w+)?", "", page)
    here, there = ([b.text for b in blocks(p) if b.language == "python"] for p in (page, twin))
    assert here == there
    said, meant = ([words for b in shells(p) for words in commands(b)] for p in (page, twin))
    assert said == meant


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in having("python") if of_mnist(page)])
def test_the_code_of_a_page_runs_on_all_of_mnist(
    page: str, place: Path, mnist_folder: Path, as_script: ModuleType
) -> None:
    run_page(page, as_script, place, mnist_folder.parent)


def as_ini(text: str) -> None:
    configparser.ConfigParser(interpolation=None).read_string(text)


def as_yaml(text: str) -> None:
    pytest.importorskip("yaml").safe_load(text)


PARSED: dict[str, Callable[[str], object]] = {
    "toml": tomllib.loads,
    "json": json.loads,
    "ini": as_ini,
    "yaml": as_yaml,
}


@pytest.mark.parametrize("language", PARSED)
def test_blocks_of_settings_and_data_are_what_they_say(language: str) -> None:
    found = [b for page in pages() for b in blocks(page) if b.language == language]
    assert found
    for block in found:
        PARSED[language](block.text)


def test_blocks_of_javascript_can_be_read() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    found = [b for page in pages() for b in blocks(page) if b.language == "js"]
    assert found
    for block in found:
        done = subprocess.run([node, "--check", "-"], input=block.text, text=True)
        assert done.returncode == 0, str(block)


LANGUAGES = {*PARSED, "python", "text", "", "console", "bash", "sh", "js", "nginx"}


def test_every_block_is_of_a_kind_that_is_looked_at() -> None:
    for page in pages():
        for block in blocks(page):
            assert block.language in LANGUAGES or block.language[:1] == "{", str(block)
    for (page, words), reason in SKIPPED.items():
        assert reason and any(words in block.text for block in blocks(page)), (page, words)


# commands

SHELL = {"export", "cd", "git", "ssh", "source", "python", "python3", "unzip", "jupyter", "docker"}
PROGRAMS = {"linnet", "make", "pip", *SHELL}


def commands(block: Block) -> list[list[str]]:
    """The commands in a block, each as its words; none where it holds something else.

    With ``$`` before a line the others are what was printed. What follows ``|`` is another command
    of the same group: ``linnet runs show RUN | zip RUN``.
    """
    lines = block.text.replace("\\\n", " ").splitlines()
    marked = any(line.startswith("$ ") for line in lines)
    if marked:
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    known = [line for line in lines if program(line) in PROGRAMS]
    if not known and block.language in ("", "text") and not marked:
        return []
    assert known == lines, f"{block}: of no known program: {set(lines) - set(known)}"
    found: list[list[str]] = []
    for line in lines:
        if program(line) in SHELL:
            continue
        words = [word for word in shlex.split(line, comments=True) if word != "..."]
        if ">" in words:
            words = words[: words.index(">")]
        before: list[str] = []
        for index, word in enumerate([*words, "|"]):
            if word not in ("|", "&&"):
                before.append(word)
                continue
            if before[0] not in PROGRAMS:
                group = found[-1][:2] if found[-1][1] in ("data", "runs") else found[-1][:1]
                before = [*group, *before]
            found.append(before)
            before = []
            assert index or before is not None
    return found


def program(line: str) -> str:
    word = line.split()[0]
    return word if "=" not in word else "export"


def command_pages() -> list[str]:
    return [page for page in pages() if any(commands(block) for block in shells(page))]


def listing_pages() -> list[str]:
    """The pages whose commands stand each for itself."""
    return [page for page in command_pages() if page not in STORIES and ".zh" not in page]


def shells(page: str) -> list[Block]:
    kinds = ("", "text", "console", "bash", "sh")
    return [b for b in blocks(page) if b.language in kinds and page != "docs/cli.md"]


@pytest.mark.parametrize("page", command_pages())
def test_every_command_exists_with_its_options(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for block in shells(page):
        for words in commands(block):
            if words[0] == "make":
                wanted = [word for word in words[1:] if "=" not in word]
                assert all(f"\n{name}:" in makefile for name in wanted), f"{block}: {words}"
            elif words[0] == "pip":
                for extras in re.findall(r"linnet\[([\w,]+)\]", " ".join(words)):
                    assert set(extras.split(",")) <= set(project["optional-dependencies"])
            else:
                parse(words, block)


def parse(words: list[str], block: Block) -> None:
    """Take the words of a command apart as the program does; nothing is done."""
    known, rest, name = typer.main.get_command(app), words[1:], words[0]
    while hasattr(known, "commands"):
        if rest and rest[0].startswith("-"):
            break
        assert rest and rest[0] in known.commands, f"{block}: linnet has no command {words}"
        name, known, rest = rest[0], known.commands[rest[0]], rest[1:]
    try:
        known.make_context(name, list(rest))
    except SystemExit:
        pass
    except Exception as error:  # typer's own and click's
        if type(error).__name__ != "Exit":
            pytest.fail(f"{block}: {shlex.join(words)}: {error}")


CHEAP = ("data list", "data show", "doctor", "inspect", "evaluate", "predict")
CHEAP_RUNS = ("runs list", "runs show", "runs compare", "runs zip")


def runnable(words: list[str], folder: Path) -> list[str] | None:
    """The command with real names for RUN and DATA; None where a file that it names is missing."""
    plain = shlex.join(words)
    if any(part in plain for part in NOT_RUN):
        return None
    run = "t" if (any(w in plain for w in ("new.csv", "adult"))) else "d"
    names = {"RUN": run, "DATA": "digits", "RUNS": ".", "NAME": "mnist", "DIR": "."}
    if "--target" in words and "DATA" in words:
        names["DATA"] = "adult.csv"
    ready = [names.get(word, word) for word in words]
    ready = ["income" if word == "COLUMN" else word for word in ready]
    for word in ready[1:]:
        if re.fullmatch(r"[A-Z]{3,}", word):
            return None
        name = word.split("=")[-1]
        if "/" in name or (re.search(r"\.[a-z]+$", name) and "=" not in word):
            before = ready[ready.index(word) - 1]
            if before not in ("--out",) and not (folder / name).exists():
                return None
    return ready


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of digits, ``d``, and one of a table, ``t``, and the files of pages."""
    folder = tmp_path_factory.mktemp("runs")
    write_files(folder)
    fast = ["--set", "epochs=2", "--set", "widths=16", "--set", "penalty=0.1,0.01", "--no-view"]
    for words in (
        ["digits", "--out", "d"],
        ["adult.csv", "--target", "income", "--out", "t"],
    ):
        done = command("train", *words, *fast, "--no-report", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("page", listing_pages())
def test_cheap_commands_do_what_they_say(
    page: str, runs: Path, small_data: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small_data is not None:
        monkeypatch.setenv("LINNET_DATA", str(small_data))
    for block in shells(page):
        for words in commands(block):
            if words[0] == "linnet" and " ".join(words[1:]).startswith((*CHEAP, *CHEAP_RUNS)):
                execute(words, block, runs, small_data)


def execute(words: list[str], block: Block, folder: Path, data: Path | None) -> None:
    ready = runnable(words, folder)
    if ready is None or ("mnist" in words and data is None):
        return
    done = command(*ready[1:], cwd=folder)
    fine = (0, 1) if ready[1] == "doctor" or ready[1:3] == ["runs", "repeat"] else (0,)
    assert done.returncode in fine, f"{block}: {shlex.join(ready)}: {done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("page", listing_pages())
def test_every_other_command_does_what_it_says(
    page: str,
    runs: Path,
    small_data: Path | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On MNIST's first rows: on all of them the list of a page takes an hour."""
    if small_data is not None:
        monkeypatch.setenv("LINNET_DATA", str(small_data))
    for block in shells(page):
        for words in commands(block):
            cheap = " ".join(words[1:]).startswith((*CHEAP, *CHEAP_RUNS))
            if words[0] == "linnet" and not cheap:
                execute(words, block, runs, small_data)


# the site

LOADING = {
    ("script", "src"), ("link", "href"), ("img", "src"), ("img", "srcset"), ("iframe", "src"),
    ("source", "src"), ("video", "src"), ("audio", "src"), ("object", "data"), ("embed", "src"),
    ("input", "src"), ("form", "action"), ("use", "href"), ("base", "href"), ("track", "src"),
}  # fmt: skip
"""What a browser asks for by itself when it shows a page."""


class Loaded(HTMLParser):
    """Collects the addresses that a page asks for, and the text of its scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        self.addresses += [value or "" for name, value in attrs if (tag, name) in LOADING]
        self.inline += [value or "" for name, value in attrs if name == "style"]

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style"):
            self.inline.append(data)


ELSEWHERE = re.compile(
    r"""url\(\s*["']?(?:https?:)?//|@import\s|(?:https?:)?//[^\s"'<>`]+\.(?:m?js|css|woff2?|ttf)\b"""
)
"""An address of another host in a style or a script that it would be loaded from."""


def asked_elsewhere(folder: Path) -> list[str]:
    """Whatever the pages of a site would ask of another host."""
    found = []
    for page in folder.rglob("*.html"):
        loaded = Loaded(page.read_text("utf-8"))
        found += [f"{page.name}: {a}" for a in loaded.addresses if re.match(r"(https?:)?//", a)]
        found += [
            f"{page.name}: {m[0]}" for text in loaded.inline for m in ELSEWHERE.finditer(text)
        ]
    for path in (*folder.rglob("*.css"), *folder.rglob("*.js")):
        text = path.read_text("utf-8")
        if path.suffix == ".js":  # comments and licences name where a script comes from
            text = re.sub(r"/\*.*?\*/|^\s*//[^\n]*$", "", text, flags=re.DOTALL | re.MULTILINE)
        found += [f"{path.name}: {m[0]}" for m in ELSEWHERE.finditer(text)]
    return found


def test_what_another_host_is_asked_for_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<link rel="stylesheet" href="https://fonts.example/f.css">'
        '<script src="//cdn.example/m.js"></script><a href="https://fine.example">'
        '<style>@import url("http://x.example/y.css");</style>'
    )
    (tmp_path / "a.css").write_text("body { background: url(https://x.example/a.png) }")
    (tmp_path / "a.js").write_text("// https://x.example/a.js\nload('https://x.example/a.js')\n")
    assert len(asked_elsewhere(tmp_path)) == 6


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_needs_no_other_host(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="the docs extra is not installed")
    built = tmp_path / "html"
    done = subprocess.run(
        [
            sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "-E",
            "-d", str(tmp_path / "doctrees"), "-D", "nb_execution_mode=off", str(DOCS), str(built),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for page in DOCS.rglob("*.md"):
        path = page.relative_to(DOCS)
        if path.parts[0] == "_build":
            continue
        text = (built / path.with_suffix(".html")).read_text("utf-8")
        other = (
            page.with_suffix("").with_suffix("") if ".zh" in page.name else page.with_suffix(".zh")
        )
        if path.parts[0] == "lessons" and other.with_name(f"{other.name}.md").exists():
            assert f'href="{other.name}.html"' in text, f"{path} has no way to its twin"
        assert ('lang="zh-CN"' if page.name.endswith(".zh.md") else 'lang="en"') in text
    assert asked_elsewhere(built) == []
    reference = "".join(p.read_text("utf-8") for p in built.glob("reference/*.html"))
    for name in linnet.__all__:
        home = linnet.errors.LinnetError.__module__ if name == "LinnetError" else "linnet"
        assert f'id="{home}.{name}"' in reference
