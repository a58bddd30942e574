"""scikit-learn's own tests, with linnet's estimators in the place of scikit-learn's.

    python -P benchmarks/sklearn_tests.py [PART ...] [--own] [-k TESTS] [--verbose]

A wheel of scikit-learn holds its tests. Those that name an estimator that linnet has too are copied
to a temporary folder, where each import of that estimator is one of linnet's, and are run there in
a process of its own: one for each part. What is printed is how many pass, and the failures by their
reason: the first line of the error, with numbers left out. A part is a folder or a file below
``sklearn``, such as ``linear_model`` or ``tests/test_calibration.py``; by default all are run. With
``--own`` nothing is replaced: what fails then is no matter of linnet's.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import sklearn

NAMES = ("LinearRegression", "Ridge", "LogisticRegression", "MLPClassifier", "MLPRegressor")
HOMES = ("linear_model", "neural_network")
ROOT = Path(sklearn.__file__).parent
LIMIT = 1200
"""Seconds after which the tests of one file are ended."""


class InPlace(ast.NodeTransformer):
    """Each import of an estimator of scikit-learn becomes one of linnet; so does each use as
    ``linear_model.Ridge``."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.AST]:
        if not (node.module or "").startswith("sklearn"):
            return node
        ours = [alias for alias in node.names if alias.name in NAMES]
        rest = [alias for alias in node.names if alias.name not in NAMES]
        result: list[ast.AST] = [ast.ImportFrom("linnet", ours, 0)] if ours else []
        return result + ([ast.ImportFrom(node.module, rest, node.level)] if rest else [])

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr in NAMES and ast.unparse(node.value).split(".")[-1] in HOMES:
            return ast.parse(f'__import__("linnet").{node.attr}', mode="eval").body
        return node


def chosen(parts: list[str]) -> list[Path]:
    """The test files below the folders or files ``parts`` that name an estimator of linnet's."""
    word = re.compile(rf"\b({'|'.join(NAMES)})\b")
    places = [ROOT / part for part in parts] or [ROOT]
    found = [p for place in places for p in ([place] if place.is_file() else place.rglob("*.py"))]
    tests = [path for path in sorted(set(found)) if path.name.startswith("test_")]
    return [path for path in tests if word.search(path.read_text())]


CONFTEST = """
import json
from sklearn.conftest import *

def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        told = report.longrepr
        crash = getattr(told, "reprcrash", None)
        line = crash.message if crash else str(told)
        reason = {"passed": "", "skipped": "-"}.get(report.outcome, line or "?")
        with open("results.jsonl", "a") as file:
            file.write(json.dumps([report.nodeid, reason]) + "\\n")
"""
"""Writes the outcome of each test as soon as it is known."""


def run(path: Path, folder: Path, own: bool, some: str) -> list[tuple[str, str]]:
    """Each test of a file, and the first line of its error: "" if it passes, "-" if skipped."""
    tree = ast.parse(path.read_text())
    if not own:
        tree = ast.fix_missing_locations(InPlace().visit(tree))
    name = "_".join(path.relative_to(ROOT).with_suffix("").parts)
    copy = folder / f"test_{name}.py"
    copy.write_text(ast.unparse(tree))
    result = folder / "results.jsonl"
    result.write_text("")
    options = ["-q", "-p", "no:cacheprovider", "--tb=short", "-W", "ignore", "-k", some]
    command = [sys.executable, "-P", "-m", "pytest", *options, str(copy)]
    found = []
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT)
        if done.returncode not in (0, 1, 5):
            found = [(name, done.stdout[-2000:] + done.stderr[-2000:])]
    except subprocess.TimeoutExpired:
        found = [(name, f"not done after {LIMIT} s")]
    told = [json.loads(line) for line in result.read_text().splitlines()]
    place = str(path.relative_to(ROOT))
    return found + [(f"{place}::{test.partition('::')[2]}", reason) for test, reason in told]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="folders or files below sklearn; by default all")
    parser.add_argument("--own", action="store_true", help="with scikit-learn's own estimators")
    parser.add_argument("-k", default="", help="only these tests, as pytest's -k")
    parser.add_argument("--verbose", action="store_true", help="name each test that fails")
    given = parser.parse_args()
    everything: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "conftest.py").write_text(CONFTEST)
        for path in chosen(given.parts):
            found = run(path, folder, given.own, given.k)
            everything += found
            failed = sum(reason not in ("", "-") for _, reason in found)
            passed = sum(reason == "" for _, reason in found)
            print(f"{path.relative_to(ROOT)}: {passed} pass, {failed} fail", flush=True)
    reasons: dict[str, list[str]] = defaultdict(list)
    for name, reason in everything:
        if reason not in ("", "-"):
            line = (reason.strip().splitlines() or ["?"])[0][:160]
            reasons[re.sub(r"-?\d[\d.e+-]*", "#", line)].append(name)
    passed = sum(reason == "" for _, reason in everything)
    print(f"\n{passed:,} pass, {sum(map(len, reasons.values())):,} fail\n")
    for line, names in sorted(reasons.items(), key=lambda item: -len(item[1])):
        print(f"{len(names):5d}  {line}")
        for name in names if given.verbose else names[:1]:
            print(f"         {name}")


if __name__ == "__main__":
    main()
