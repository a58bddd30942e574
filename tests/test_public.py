"""The public surface, and what importing costs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import linnet

HEAVY = {"torch", "sklearn", "scipy", "polars"}


def test_public_names_are_closed_and_lazy() -> None:
    assert linnet.__all__ == sorted(linnet.__all__)
    for name in linnet.__all__:
        assert getattr(linnet, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = linnet.nothing
    assert set(linnet.__all__) <= set(dir(linnet))
    assert callable(linnet.train)


@pytest.fixture(scope="module")
def run_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = linnet.train(
        "iris", model="linear", out=tmp_path_factory.mktemp("runs") / "r"
    ).path
    return path


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["--help"],
        ["train", "--help"],
        ["inspect", "RUN"],
        ["inspect", "RUN", "--json"],
        ["data", "list"],
        ["runs", "list", "RUN/.."],
        ["runs", "show", "RUN"],
    ],
    ids=" ".join,
)
def test_quick_commands_import_nothing_heavy(command: list[str], run_path: Path) -> None:
    words = [word.replace("RUN", str(run_path)) for word in command]
    code = (
        "import sys, json, linnet\n"
        f"words = {words!r}\n"
        "if words:\n"
        "    from linnet.cli import main\n"
        "    sys.argv = ['linnet', *words]\n"
        "    try: main()\n"
        "    except SystemExit as error: assert not error.code, error.code\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert not HEAVY & loaded
    if not words:
        assert done.stdout == ""
        assert "rich" not in loaded and "pydantic" not in loaded
