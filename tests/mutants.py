"""Whether the tests catch faults: one is put into each of some functions, drawn by a seed.

``python tests/mutants.py --seed 1`` copies the repository to a temporary folder and works there.
It draws functions of the package and one fault for each: a comparison is swapped, a condition is
negated, a constant is changed, or a statement is dropped. It runs the tests once to learn which of
them reach each function (also in processes that they start), then those again with each fault in
place, until one fails. It prints a line for each fault, and exits with 1 if any was not caught.

``--only ROOM`` draws from one room alone; ``--marked "not soak"`` takes in the slow tests.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = Path("src") / "linnet"

SWAPS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
"""What a comparison becomes."""

PROBE = """
import json, os
import pytest

seen = set()
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
FILE = os.open(os.environ["LINNET_REACHED"], FLAGS)  # before hooks look on

def write(*found):
    os.write(FILE, (json.dumps(found) + "\\n").encode())

def note(name):
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    if test and (name, test) not in seen:
        seen.add((name, test))
        write(name, test)

def pytest_runtest_logreport(report):
    if report.failed:
        write("failed", report.nodeid)
"""
"""A module for the copy: functions tell it that they are called, and pytest which tests fail."""


@dataclass(frozen=True)
class Edit:
    """A replacement of bytes of a file, and what it is in words."""

    start: int
    end: int
    text: bytes
    kind: str = ""
    what: str = ""


@dataclass(frozen=True)
class Function:
    """A function of the package: its file, its name within it, its syntax tree."""

    path: Path
    name: str
    node: ast.FunctionDef

    def __str__(self) -> str:
        return f"{self.path.relative_to(PACKAGE)}:{self.node.lineno} {self.name}"


class Text:
    """The bytes of a file, by the lines and columns of its syntax tree."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.starts = [0]
        for line in content.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        """Where a node begins and ends."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: ast.stmt | ast.expr) -> bytes:
        start, end = self.span(node)
        return self.content[start:end]


def functions(root: Path, room: str) -> list[Function]:
    """Functions with two statements or more, besides a docstring, in the order of their files."""
    found = []
    for path in sorted((root / PACKAGE / room).rglob("*.py")):
        inside: list[tuple[str, ast.AST]] = [("", ast.parse(path.read_bytes()))]
        while inside:
            prefix, parent = inside.pop(0)
            for node in ast.iter_child_nodes(parent):
                if isinstance(node, ast.ClassDef):
                    inside.append((f"{prefix}{node.name}.", node))
                if isinstance(node, ast.FunctionDef) and len(body(node)) > 1:
                    found.append(Function(path.relative_to(root), prefix + node.name, node))
    return found


def body(node: ast.FunctionDef) -> list[ast.stmt]:
    """The statements of a function after its docstring."""
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def edits(function: Function, text: Text) -> Iterator[Edit]:
    """Every fault that can be put into a function."""
    for statement in body(function.node):
        for node in ast.walk(statement):
            line = getattr(node, "lineno", 0)
            if isinstance(node, ast.Compare) and len(node.ops) == 1:
                start, end = text.span(node.left)[1], text.span(node.comparators[0])[0]
                if any(c in text.content[start:end] for c in b"()"):
                    continue
                swapped = SWAPS[type(node.ops[0])]
                what = f"line {line}: {ast.unparse(node)!r}, its comparison {swapped!r}"
                yield Edit(start, end, f" {swapped} ".encode(), "comparison", what)
            elif isinstance(node, ast.If | ast.While | ast.IfExp):
                start, end = text.span(node.test)
                what = f"line {line}: {ast.unparse(node.test)!r} negated"
                yield Edit(start, end, b"(not (" + text.of(node.test) + b"))", "condition", what)
            elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
                other = not node.value if isinstance(node.value, bool) else node.value + 1
                what = f"line {line}: {node.value!r} becomes {other!r}"
                yield Edit(*text.span(node), repr(other).encode(), "constant", what)
            elif isinstance(node, ast.Expr | ast.AugAssign | ast.Raise | ast.Assign):
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant | ast.Yield):
                    continue
                what = f"line {line}: {ast.unparse(node)[:70]!r} dropped"
                yield Edit(*text.span(node), b"pass", "statement", what)


def compiles(content: bytes) -> bool:
    try:
        compile(content, "changed", "exec")
    except (SyntaxError, SyntaxWarning):
        return False
    return True


def draw(root: Path, room: str, count: int, seed: int) -> list[tuple[Function, Edit]]:
    """``count`` functions with a fault for each; each kind of fault is as likely as another."""
    chance = random.Random(seed)
    every = functions(root, room)
    chance.shuffle(every)
    found: list[tuple[Function, Edit]] = []
    for function in every:
        text = Text((root / function.path).read_bytes())
        kinds: dict[str, list[Edit]] = {}
        for edit in edits(function, text):
            if compiles(changed(text.content, edit)):
                kinds.setdefault(edit.kind, []).append(edit)
        if kinds:
            found.append((function, chance.choice(kinds[chance.choice(sorted(kinds))])))
        if len(found) == count:
            break
    return found


def changed(content: bytes, *edits: Edit) -> bytes:
    """The content with replacements that do not overlap."""
    for edit in sorted(edits, key=lambda one: -one.start):
        content = content[: edit.start] + edit.text + content[edit.end :]
    return content


def probe(function: Function, text: Text) -> Edit:
    """A call at the beginning of a function, which notes that a test reached it."""
    first = body(function.node)[0]
    start = text.span(first)[0]
    decorators = getattr(first, "decorator_list", [])
    if decorators:
        start = text.starts[decorators[0].lineno - 1] + first.col_offset
    call = f"__import__('reached').note({str(function)!r})\n{' ' * first.col_offset}"
    return Edit(start, start, call.encode())


def copied(folder: Path) -> Path:
    """A copy of the repository's files, without what git ignores."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.split(b"\0")  # fmt: skip
    for name in map(os.fsdecode, filter(None, names)):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def pytest(root: Path, words: list[str], seconds: float | None = None) -> tuple[int | None, str]:
    """The exit code (None where time was up) and what was printed."""
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "-q", *words]
    path = os.pathsep.join([str(root / "src"), str(root), os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1",
        "LINNET_REACHED": str(root / "reached.jsonl"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout


def likely(root: Path, function: Function, test: str) -> tuple[bool, bool]:
    """Sorts tests: first those whose file names the function, then those of its room."""
    path = test.split("::", 1)[0]
    named = function.name.rpartition(".")[2].strip("_")
    room = f"tests/{function.path.relative_to(PACKAGE).parts[0]}/"
    return named not in (root / path).read_text(encoding="utf-8"), not path.startswith(room)


def reached(root: Path, functions: list[Function], marked: str) -> dict[str, list[str]]:
    """By function the tests that reach it, the likely ones first; without those that fail while
    this is noted."""
    before = {path: (root / path).read_bytes() for path in {one.path for one in functions}}
    for path, content in before.items():
        text = Text(content)
        probes = [probe(one, text) for one in functions if one.path == path]
        (root / path).write_bytes(changed(content, *probes))
    (root / "reached.py").write_text(PROBE)
    workers = ["--numprocesses", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    pytest(root, ["-p", "reached", "-m", marked, *workers])
    for path, content in before.items():
        (root / path).write_bytes(content)
    lines = [json.loads(line) for line in (root / "reached.jsonl").read_text().splitlines()]
    failed = {test for name, test in lines if name == "failed"}
    for test in sorted(failed):
        print(f"fails with the calls that note it, and is left out: {test}", flush=True)
    found: dict[str, list[str]] = {str(one): [] for one in functions}
    for name, test in lines:
        if name in found and test not in failed and test not in found[name]:
            found[name].append(test)
    for one in functions:
        found[str(one)].sort(key=lambda test: likely(root, one, test))
    return found


def verdict(root: Path, function: Function, edit: Edit, tests: list[str], seconds: float) -> str:
    """ "caught by" a test, or that nothing caught the fault."""
    if not tests:
        return "NOT REACHED by any test"
    path = root / function.path
    content = path.read_bytes()
    path.write_bytes(changed(content, edit))
    (root / "chosen.txt").write_text("\n".join(tests) + "\n")
    code, out = pytest(root, ["-x", "-m", "", f"@{root / 'chosen.txt'}"], seconds)
    path.write_bytes(content)
    if code is None:
        return f"caught: not done within {seconds:.0f} s"
    if code == 0:
        return f"NOT CAUGHT by {len(tests)} tests that reach it"
    names = [line for line in out.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return "caught by " + (names[0].split(" - ")[0].split(" ", 1)[1] if names else "an error")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=15, help="how many functions")
    parser.add_argument("--only", default="", metavar="ROOM", help="a folder of the package")
    parser.add_argument(
        "--marked", default="not slow and not soak", help="which tests, as pytest -m"
    )
    parser.add_argument("--seconds", type=float, default=600, help="for the tests of one fault")
    parser.add_argument("--list", action="store_true", help="show the faults, and run nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="linnet-mutants-") as name:
        root = copied(Path(name))
        faults = draw(root, given.only, given.count, given.seed)
        if given.list:
            for function, edit in faults:
                print(f"{function}: {edit.what}")
            return
        tests = reached(root, [function for function, _ in faults], given.marked)
        missed = 0
        for function, edit in faults:
            start = time.monotonic()
            said = verdict(root, function, edit, tests[str(function)], given.seconds)
            missed += said.startswith("NOT")
            print(
                f"{function}: {edit.what}\n    {said} ({time.monotonic() - start:.0f} s)",
                flush=True,
            )
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
