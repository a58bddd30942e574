"""A strange place: permissions, odd names, closed streams, folders and control groups."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import linnet
from helpers import (
    LINNET,
    ONE_LINE,
    ONE_THREAD,
    ROOT,
    SMALL_NET,
    at_event,
    command,
    in_process,
    posix,
    state_of,
)
from linnet.cli import _output
from linnet.core import memory
from linnet.runs import directory, events


@posix
@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_small_dev_shm_is_enough(tmp_path: Path) -> None:
    """Nothing of linnet's takes shared memory."""
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    script = 'mount -t tmpfs -o size=4k none /dev/shm && exec "$@"'
    if shutil.which("unshare") is None or not Path("/dev/shm").is_dir():
        pytest.skip("no /dev/shm can be mounted here")
    if subprocess.run([*alone, script, "sh", "true"], capture_output=True).returncode:
        pytest.skip("no /dev/shm can be mounted here")
    done = subprocess.run(
        [*alone, script, "sh", *LINNET, "train", "digits", *SMALL_NET, "--out", "r"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **ONE_THREAD},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert state_of(tmp_path / "r") == "finished"


def test_a_folder_that_is_removed_meanwhile_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_event(monkeypatch, 30, "step", lambda: shutil.rmtree(tmp_path / "r"))
    done = command("train", "digits", *SMALL_NET, "--out", "r", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "not saved: r/checkpoints: cannot make this folder: No such file" in done.stderr
    assert "error: r/" in done.stderr and not (tmp_path / "r").exists()


def test_a_path_that_is_too_long_is_refused_before_any_work(tmp_path: Path) -> None:
    for out in ("a" * 300, "/".join(["a" * 200] * 30)):
        done = command("train", "iris", *ONE_LINE, "--out", out, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.endswith(": cannot make this folder: File name too long\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["../x", "-rf", "nul", "emoji \U0001f600\n and a line", "é", "a;b"]
)
def test_a_run_of_any_name_can_be_read_and_gone_on_with(tmp_path: Path, name: str) -> None:
    work = tmp_path / "work"
    work.mkdir()
    done = command("train", "iris", *ONE_LINE, f"--out={name}", cwd=work)
    assert done.returncode == 0, done.stderr
    assert state_of(work / name) == "finished"
    assert command("train", f"--resume={name}", "--no-report", cwd=work).returncode == 0
    assert command("runs", "show", "--", name, cwd=work).returncode == 0
    assert command("inspect", "--", name, cwd=work).returncode == 0


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for name in ("file", ".", ""):
        done = command("train", "iris", *ONE_LINE, "--out", name, cwd=tmp_path)
        assert done.returncode == 2 and "exists and is not empty; name a new folder" in done.stderr
    assert (tmp_path / "file").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_modes_are_those_of_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        done = command("train", "iris", *ONE_LINE, "--out", "r", cwd=tmp_path)
    finally:
        os.umask(before)
    assert done.returncode == 0
    for path in (tmp_path / "r", *(tmp_path / "r").rglob("*")):
        wanted = (0o777 if path.is_dir() else 0o666) & ~mask
        assert path.stat().st_mode & 0o777 == wanted, path


def test_the_record_of_a_run_holds_no_variables_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a-secret-that-nobody-may-read")
    assert command("train", "iris", *ONE_LINE, "--out", "r", cwd=tmp_path).returncode == 0
    for path in (tmp_path / "r").rglob("*"):
        assert path.is_dir() or b"a-secret-that" not in path.read_bytes(), path


def test_what_is_written_is_renamed_within_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So another file system than that of the temporary folder changes nothing."""
    replace, moved = os.replace, []

    def replaced(one: Any, two: Any) -> None:
        moved.append((Path(one).parent, Path(two).parent))
        replace(one, two)

    monkeypatch.setattr(os, "replace", replaced)
    memory = Path("/dev/shm")
    other = os.access(memory, os.W_OK) and memory.stat().st_dev != tmp_path.stat().st_dev
    out = memory / f"linnet-{os.getpid()}" if other else tmp_path / "r"
    try:
        assert command("train", "digits", *SMALL_NET, "--out", out, cwd=tmp_path).returncode == 0
        assert len(moved) > 10 and all(one == two for one, two in moved)
    finally:
        shutil.rmtree(out, ignore_errors=True)


PLAIN = """
import importlib, io, json, os, pkgutil, sys
from contextlib import redirect_stderr, redirect_stdout
import polars, polars.io, sklearn.datasets, scipy.linalg, rich.table, rich.console, torch
import linnet
for found in pkgutil.walk_packages(linnet.__path__, "linnet."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
from linnet.cli import main

if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
told = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["linnet", *words]
    out = io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(out):
            main()
    except SystemExit as ended:
        told.append([ended.code or 0, out.getvalue()])
print(json.dumps(told))
"""


@posix
@pytest.mark.slow
@pytest.mark.multiprocess
def test_what_may_not_be_read_or_written_is_told(tmp_path: Path) -> None:
    """As a user without rights: nobody, where the tests run as root."""
    temporary = Path(tempfile.gettempdir())
    for folder in (tmp_path, *tmp_path.parents):
        if os.getuid() == 0 and folder.is_relative_to(temporary) and folder != temporary:
            folder.chmod(0o755)
    shut, secret = tmp_path / "shut", tmp_path / "secret.csv"
    (tmp_path / "a.csv").write_text("a,y\n" + "1,2\n2,3\n4,4\n" * 20)
    stopped = tmp_path / "stopped"
    command("train", "a.csv", "--target", "y", *ONE_LINE, "--out", "stopped", cwd=tmp_path)
    shutil.copytree(stopped, tmp_path / "done")
    for name in ("metrics.json", "status.json"):
        (stopped / name).unlink()
    (tmp_path / "empty").mkdir()
    secret.write_text("a,y\n1,2\n")
    secret.chmod(0)
    shut.mkdir()
    closed = tmp_path / "closed"
    closed.mkdir()
    shutil.copytree(stopped, closed / "done")
    closed.chmod(0o700)
    words = ["train", str(tmp_path / "a.csv"), "--target", "y", *ONE_LINE]
    cases = [
        ([*words, "--out", str(shut / "r")], 1, "shut/r: cannot make this folder"),
        (words, 1, "runs: cannot make this folder"),
        ([*words, "--out", str(tmp_path / "empty")], 1, "empty/events.jsonl: cannot open"),
        (["train", "--resume", str(stopped)], 1, "stopped/events.jsonl: cannot open"),
        (["train", str(secret), "--target", "y"], 2, "secret.csv: cannot"),
        (["data", "show", str(secret)], 2, "secret.csv: cannot"),
        (["report", str(tmp_path / "done"), "--out", str(shut / "x.html")], 1, "shut/x.html"),
        (["runs", "show", str(tmp_path / "done")], 0, "linear"),
        *(
            ([*words, str(closed / "done")], 2, "closed/done")
            for words in (
                ["report"],
                ["report", "--learning-curve"],
                ["inspect"],
                ["eject"],
                ["train", "--resume"],
                ["train", "--from"],
                ["runs", "show"],
                ["runs", "zip"],
                ["runs", "sync", "--to", "visdom"],
            )
        ),
        (["inspect", str(tmp_path / "done")], 0, "linear"),
    ]
    open_to_read = [tmp_path / "empty", shut, stopped, *stopped.rglob("*")]
    for path in open_to_read:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", PLAIN, json.dumps([words for words, *_ in cases])],
            capture_output=True, text=True, cwd=shut, env={**os.environ, **ONE_THREAD, "HOME": "/"},
        )  # fmt: skip
    finally:
        for path in open_to_read:
            path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    for (words, code, said), (got, out) in zip(cases, json.loads(done.stdout), strict=True):
        assert got == code, (words, out)
        assert said in out and "Traceback" not in out, (words, out)
        assert code == 0 or "Permission denied" in out, (words, out)
    assert list(shut.iterdir()) == [] and list((tmp_path / "empty").iterdir()) == []


# the place a command runs in

FOREIGN = ("torch", "csv", "json", "numpy", "typer", "polars", "starlette", "socket")


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder with files called as what is imported; each tells when it is."""
    folder = tmp_path / "trap"
    folder.mkdir()
    for name in FOREIGN:
        text = f"open({str(tmp_path / 'imported')!r}, 'a').write('{name} ')\nraise SystemExit(9)\n"
        (folder / f"{name}.py").write_text(text)
    return folder


def entry() -> list[str]:
    """The command as it is installed."""
    place = Path(sys.executable).with_name("linnet")
    if not place.exists():
        pytest.skip("the command is not installed")
    return [str(place)]


@pytest.mark.slow
@pytest.mark.multiprocess
def test_nothing_is_imported_from_where_a_command_runs(trap: Path) -> None:
    imported = trap.parent / "imported"
    shutil.copy(trap / "csv.py", trap / "linnet.py")  # python -m linnet would take it, as told
    for words in (entry(), [sys.executable, "-m", "linnet"]):
        for more in (
            ["train", "iris", *ONE_LINE[:-1], "--view", "--out", f"r{len(words)}"],
            ["runs", "sync", f"r{len(words)}", "--to", "tensorboard"],
        ):
            done = subprocess.run(
                [*words, *more], capture_output=True, text=True, cwd=trap,
                env={**os.environ, **ONE_THREAD}, timeout=120,
            )  # fmt: skip
            assert not imported.exists(), imported.read_text()
            assert done.returncode == 0 or "pip install" in done.stderr, done.stderr
        (trap / "linnet.py").unlink(missing_ok=True)
    before = Path.cwd()
    os.chdir(trap)
    try:
        directory.follow(trap / "r3", "tensorboard")
        panel = subprocess.run(
            [sys.executable, "-P", "-m", "linnet.show.view.panels"], capture_output=True, text=True,
            input=json.dumps({"run": str(trap / "r3"), "kind": "weights", "model": ""}),
        )  # fmt: skip
        assert "data" in json.loads(panel.stdout)
        for thread in threading.enumerate():
            if thread.name.startswith(("sync", "viewer")):
                thread.join(60)
    finally:
        os.chdir(before)
    assert not imported.exists(), imported.read_text()


def test_every_child_is_started_without_the_working_directory() -> None:
    """``-P``, wherever a process of Python's is started."""
    started = [
        (path, line.strip())
        for path in Path(linnet.__file__).parent.rglob("*.py")
        for line in path.read_text().splitlines()
        if "sys.executable" in line
    ]
    assert len(started) >= 3 and all('"-P", "-m"' in line for _, line in started), started


def test_threads_follow_the_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    given: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    for line in ("200000 100000", "max 100000", "150000 100000", "1000 100000", "nonsense"):
        (tmp_path / "cpu.max").write_text(f"{line}\n")
        _output.set_threads()
    assert given == [2, 64, 2, 1, 64]
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    _output.set_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    _output.set_threads()
    assert given[-2:] == [3, 2]


def test_memory_follows_the_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    free = memory.available()
    assert free is not None and free > 3_000_000
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert memory.available() != 2_000_000
    (tmp_path / "memory.max").write_text("3000000\n")
    assert memory.available() == 2_000_000
    (tmp_path / "big.csv").write_text("a,y\n" + "1.5,2\n" * 400_000)
    done = command("train", "big.csv", "--target", "y", *ONE_LINE, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "GB of memory, and 0.00 GB are free; give fewer rows" in done.stderr
    for path in tmp_path.glob("memory.*"):
        path.unlink()
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text("5000000")
    (tmp_path / "memory/memory.usage_in_bytes").write_text("6000000")
    assert memory.available() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian", "digits"], "No such command 'trian'. Did you mean 'train'"),
        (["train", "digits", "--sede", "3"], "--seed"),
        (["train", "digits", "--set", "epoch=3"], 'did you mean "epochs"'),
        (["train", "digits", "--set", "optimizer=adm"], 'did you mean "adam"'),
        (["train", "digits", "--model", "mpl"], 'did you mean "mlp"'),
        (["train", "digits", "--device", "cupu"], 'did you mean "cpu"'),
        (["train", "digitz"], 'did you mean "digits"'),
        (["train", "digits", "--to", "tensorbord"], 'did you mean "tensorboard"'),
        (["train", "digits", "--set", "epochs"], "epochs"),
        (["train", "digits", "--seed", "x"], "--seed"),
        (["runs", "lst"], "Did you mean 'list'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_slip_of_the_pen_is_named(tmp_path: Path, words: list[str], said: str) -> None:
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and list(tmp_path.iterdir()) == []


TABLE = "größe,naïve,y\n" + "".join(f"{i % 7}.5,ß{i % 3},{i * 3 % 11}\n" for i in range(60))


@posix
@pytest.mark.slow
@pytest.mark.multiprocess
def test_names_beyond_ascii_where_only_ascii_is_known(tmp_path: Path) -> None:
    (tmp_path / "größe.csv").write_text(TABLE, encoding="utf-8")
    shell = {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "TERM": "dumb"}
    for words in (
        [
            "train",
            "größe.csv",
            "--target",
            "y",
            "--task",
            "regression",
            *ONE_LINE,
            "--out",
            "läuft",
        ],
        ["data", "show", "größe.csv"],
        ["runs", "show", "läuft"],
        ["inspect", "läuft"],
        ["report", "läuft"],
    ):
        done = in_process(*words, cwd=tmp_path, env=shell)
        assert done.returncode == 0, done.stderr
        assert done.stdout.isascii() and done.stderr.isascii()
    done = in_process("data", "show", "größe.csv", "--json", cwd=tmp_path, env=shell)
    columns = json.loads(done.stdout)["table"]
    assert columns[0]["name"] == "größe" and done.stdout.isascii()
    assert (tmp_path / "läuft" / "report.html").is_file()


@posix
def test_names_that_no_encoding_holds_are_printed_escaped(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe")
    done = command("train", "iris", *ONE_LINE, "--out", name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    listed = in_process("runs", "list", tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert r"\udcff\udcfe" in listed.stdout
    told = in_process("runs", "list", tmp_path, "--json")
    assert json.loads(told.stdout)[0]["name"] == name


@posix
@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(tmp_path: Path, closed: str) -> None:
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", *LINNET, "train", "iris", *ONE_LINE[:-2]]
    done = subprocess.run(
        [*words, "--out", "r"], cwd=tmp_path, env={**os.environ, **ONE_THREAD}, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    record = events.read_all(tmp_path / "r" / "events.jsonl")
    lines = (tmp_path / "r" / "events.jsonl").read_bytes().splitlines()
    assert len(record) == len(lines) and record[-1].kind == "end"


@posix
@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_pipe_that_nobody_reads_does_not_end_a_fit(tmp_path: Path, stream: str) -> None:
    one, two = os.pipe()
    os.close(one)
    others: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: two}
    done = subprocess.run(
        [*LINNET, "train", "digits", *SMALL_NET, "--out", "r"], text=True, cwd=tmp_path, **others,
        env={**os.environ, **ONE_THREAD},
    )  # fmt: skip
    os.close(two)
    assert done.returncode == (1 if stream == "stdout" else 0)
    assert "Traceback" not in f"{done.stdout}{done.stderr}"
    assert state_of(tmp_path / "r") == "finished"


@posix
@pytest.mark.slow
@pytest.mark.multiprocess
def test_without_a_home_all_works(tmp_path: Path) -> None:
    bare = dict(os.environ)
    for key in ("HOME", "XDG_CACHE_HOME"):
        bare.pop(key, None)
    for home in ({}, {"HOME": "/dev/null/home"}, {"HOME": ""}):
        name = f"r{len(list(tmp_path.iterdir()))}"
        done = subprocess.run(
            [*LINNET, "train", "iris", *ONE_LINE[:-1], "--view", "--out", name],
            capture_output=True, text=True, cwd=tmp_path, env={**bare, **ONE_THREAD, **home},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "live page: http://127.0.0.1" in done.stderr


TERMINAL = """
import os, pty, sys
code = pty.spawn(sys.argv[1:])
sys.exit(os.waitstatus_to_exitcode(code))
"""


@posix
@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_dumb_terminal_gets_no_escapes_that_move(tmp_path: Path) -> None:
    words = [*LINNET, "train", "digits", *SMALL_NET, "--out", "r"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", TERMINAL, *words], capture_output=True, cwd=tmp_path,
        stdin=subprocess.DEVNULL, env={**os.environ, **ONE_THREAD, "TERM": "dumb"}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert b"chosen by validation loss" in done.stdout and b"\x1b[" not in done.stdout


def test_a_process_forked_after_threads_predicts(tmp_path: Path) -> None:
    """Threads of PyTorch's do not come along with a fork: a child that is to train starts anew
    ("forkserver", "spawn"); one that reads and predicts on one thread is well."""
    model = linnet.train("iris", model="linear", out=tmp_path / "r").model
    x = linnet.read("iris").x.numpy()
    here = model.predict(x)
    torch.ones(400, 400) @ torch.ones(400, 400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of forks with threads
        pid = os.fork()
    if not pid:
        code = 1
        try:
            torch.set_num_threads(1)
            code = 0 if np.array_equal(linnet.load(tmp_path / "r").predict(x), here) else 2
        finally:
            os._exit(code)
    end = time.monotonic() + 60
    while (done := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    assert os.waitstatus_to_exitcode(done[1]) == 0


# what it stands on


FIRST_WITHOUT = {
    "h11": ("0.16.0", "CVE-2025-43859"),
    "onnx": ("1.21.0", "CVE-2026-28500"),
    "pillow": ("12.2.0", "CVE-2026-40192"),
    "pyarrow": ("14.0.1", "CVE-2023-47248"),
    "pydantic": ("2.4.0", "CVE-2024-3772"),
    "scikit-learn": ("1.5.0", "CVE-2024-5206"),
    "starlette": ("1.0.1", "CVE-2026-48710"),
    "torch": ("2.6.0", "CVE-2025-32434"),
}


def test_floors_are_above_the_advisories_and_what_is_installed_is_above_the_floors() -> None:
    version = pytest.importorskip("packaging.version").Version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    floors = dict(line.partition(";")[0].split(">=") for line in asked)
    for name, (first, advisory) in FIRST_WITHOUT.items():
        assert version(floors[name]) >= version(first), advisory
    for name in (line.split(">=")[0] for line in project["dependencies"]):
        assert version(metadata.version(name)) >= version(floors[name]), name
    pinned = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    for name, floor in floors.items():
        assert name not in pinned or version(pinned[name]) >= version(floor), name


@pytest.mark.slow
@pytest.mark.multiprocess
def test_no_version_that_is_installed_by_make_is_known_to_be_vulnerable() -> None:
    """``make audit``: asks the index of packages; skipped, with the reason, where it cannot be
    asked or tells nothing."""
    place = Path(sys.executable).with_name("pip-audit")
    command = str(place) if place.exists() else shutil.which("pip-audit")
    if command is None:
        pytest.skip("pip-audit is not installed")
    words = ["--requirement", str(ROOT / "constraints.txt"), "--no-deps", "--disable-pip"]
    done = subprocess.run(
        [command, *words, "--format", "json", "--progress-spinner", "off"],
        capture_output=True, text=True,
    )  # fmt: skip
    if not done.stdout.startswith("{"):
        pytest.skip(f"the index could not be asked: {done.stderr.strip().splitlines()[-1]}")
    every = json.loads(done.stdout)["dependencies"]
    looked_up = [one for one in every if "skip_reason" not in one]
    if not looked_up:
        pytest.skip(f"the index tells nothing: {every[0]['skip_reason']}")
    found = [
        f"{one['name']} {one['version']}: {', '.join(fault['id'] for fault in one['vulns'])}"
        for one in looked_up
        if one["vulns"]
    ]
    assert found == [], f"of {len(looked_up)} packages"
