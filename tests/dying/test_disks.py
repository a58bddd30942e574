"""A disk that is full, refuses or fails: what is told, and that nothing saved is lost."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import linnet
from helpers import (
    LINNET,
    ONE_THREAD,
    SMALL_NET,
    command,
    in_process,
    posix,
    state_of,
    weights_of,
    without_clock,
)
from linnet.core import files
from linnet.errors import WorkError
from linnet.fit import checkpoint


@pytest.mark.slow
def test_a_checkpoint_that_is_not_saved_is_told_and_recorded(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[Path] = []
    write = files.write

    def full(path: Path, content: bytes) -> None:
        if path.name == "00000003.safetensors" and not failed:
            failed.append(path)
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", refused(errno.ENOSPC))
                write(path, content)
        write(path, content)

    monkeypatch.setattr(files, "write", full)
    done = command("train", "digits", *SMALL_NET, "--out", "r", cwd=tmp_path)
    assert done.returncode == 0 and failed
    words = "mlp: not saved: r/checkpoints/00000003.safetensors: cannot write "
    assert f"warning: {words}" in done.stderr
    assert "bytes: No space left on device; the checkpoint before it is kept" in done.stderr
    found = [e for e in linnet.Run(tmp_path / "r").events() if e["event"] == "finding"]
    assert [e["text"] for e in found if e["text"].startswith("not saved")]
    assert weights_of(tmp_path / "r") == weights_of(undisturbed)


def refused(number: int) -> Callable[..., Any]:
    def raised(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return raised


REFUSALS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG, errno.EACCES]


@pytest.mark.parametrize("number", REFUSALS)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_a_disk_refuses_is_told_with_the_bytes_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "a.json"
    files.write(path, b"before")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refused(number))
        with pytest.raises(WorkError) as told:
            files.write(path, b"x" * 12_345)
    assert str(told.value) == f"{path}: cannot write 12,345 bytes: {os.strerror(number)}"
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["a.json"]


def test_a_failed_fsync_of_the_record_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may have dropped what it could not write: a later fsync would lie."""
    count, sync = 0, files.sync

    def failing(file: Any) -> None:
        nonlocal count
        count += 1
        if count == 4:
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", refused(errno.EIO))
                sync(file)
        sync(file)

    monkeypatch.setattr(files, "sync", failing)
    done = command("train", "digits", *SMALL_NET, "--out", "r", cwd=tmp_path)
    assert done.returncode == 1 and count == 4
    assert "r/events.jsonl: cannot sync to disk: Input/output error" in done.stderr
    assert state_of(tmp_path / "r") == "failed"


LIMITED = """
import resource
from linnet.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
main()
"""


@posix
@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_limit_on_files_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    words = [*SMALL_NET, "--set", "epochs=40", "--set", "patience=40", "--set", "log_every=1"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", LIMITED, "train", "digits", *words, "--out", "r"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **ONE_THREAD},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "error: r/events.jsonl: cannot write 1" in done.stderr  # it took but a part of a line
    assert "free some space, then linnet train --resume continues" in done.stderr
    assert "Traceback" not in done.stderr and state_of(tmp_path / "r") == "failed"
    assert checkpoint.newest(tmp_path / "r" / "checkpoints") is not None
    for more in (["--resume", "r"], ["digits", *words, "--out", "whole"]):
        done = in_process("train", *more, "--no-report", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert weights_of(tmp_path / "r") == weights_of(tmp_path / "whole")
    assert without_clock(linnet.Run(tmp_path / "r").events()) == without_clock(
        linnet.Run(tmp_path / "whole").events()
    )


FULL = """
set -eu
mount -t tmpfs -o size=SIZE none small
"$@" --out small/r && exit 3 || code=$?
[ $code = 1 ] && [ ! -e small/r/metrics.json ]
mount -o remount,size=50m small
"$1" -P -m linnet train --resume small/r --no-report
cp -r small/r there
"""


@posix
@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("size", ["64k", "200k"])
def test_a_disk_that_is_full_and_gets_room_goes_on_to_the_bit(
    undisturbed: Path, tmp_path: Path, size: str
) -> None:
    alone = ["unshare", "--map-root-user", "--mount"]
    (tmp_path / "small").mkdir()
    trial = [*alone, "mount", "-t", "tmpfs", "none", str(tmp_path / "small")]
    if shutil.which("unshare") is None or subprocess.run(trial, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    words = [*SMALL_NET, "--set", "log_every=1", "--set", "widths=64"]
    script = ["sh", "-c", FULL.replace("SIZE", size), "sh", *LINNET, "train", "digits", *words]
    done = subprocess.run(
        [*alone, *script], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, **ONE_THREAD}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr and "Traceback" not in done.stderr
    assert in_process("train", "digits", *words, "--out", "whole", cwd=tmp_path).returncode == 0
    assert weights_of(tmp_path / "there") == weights_of(tmp_path / "whole")
