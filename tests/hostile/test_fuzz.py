"""Files changed at random: every reader gives a result or a refusal, within bounds.

A bounded share of what ``make fuzz`` runs; and every file that once made a reader fail otherwise.
"""

from pathlib import Path

import pytest

from fuzzing import BYTES, CRASHERS, READERS, SECONDS, Row, attempt, fuzz, kinds, lay
from linnet.runs import directory

SHAPED = hasattr(directory, "read_info")
LATER = () if SHAPED else ("events", "report", "run", "zip")
"""Readers of runs: they do not look at what the files hold until ``runs.sound`` is used."""

NAMES = [name for name in READERS if name not in LATER]

SHARE = {"report": 15, "run": 60, "zip": 100, "events": 100, "csv": 200, "pictures": 200}
"""Inputs by reader, of those that take their time; of others ``MANY``."""

MANY = 300


def told(rows: list[Row]) -> list[str]:
    return [
        f"{row.reader}: {len(found)} times {kind}, such as input {found[0].index}"
        for row in rows
        for kind, found in kinds(row).items()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11])
def test_files_changed_at_random_are_read_or_refused(seed: int, tmp_path: Path) -> None:
    """In one child process; ``fuzzing`` says what counts as neither."""
    rows: list[Row] = []
    for number in sorted({SHARE.get(name, MANY) for name in NAMES}):
        names = [name for name in NAMES if SHARE.get(name, MANY) == number]
        rows += fuzz(names, number, tmp_path / str(number), seed)
    assert told(rows) == []
    assert all(row.inputs == SHARE.get(row.reader, MANY) for row in rows)
    assert all(row.seconds < SECONDS and row.held < BYTES for row in rows)


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_many_files_changed_at_random_are_read_or_refused(name: str, tmp_path: Path) -> None:
    count = 10 * SHARE.get(name, MANY)
    (row,) = fuzz([name], count, tmp_path, seed=12)
    assert told([row]) == []
    assert row.inputs == count


def crashers() -> list[tuple[str, Path]]:
    """Each once failed: the reader, and the folder of the one file that was changed."""
    return [
        (reader.name, path)
        for reader in sorted(CRASHERS.iterdir())
        if reader.name not in LATER
        for path in sorted(reader.iterdir())
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crashers")


@pytest.mark.parametrize(
    ("name", "crasher"), crashers(), ids=lambda value: getattr(value, "name", value)
)
def test_what_once_crashed_a_reader_is_read_or_refused(
    name: str, crasher: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fuzzing.SOURCES", runs)
    changed = {
        path.relative_to(crasher).as_posix(): path.read_bytes()
        for path in crasher.rglob("*")
        if path.is_file()
    }
    for number, seed in enumerate(READERS[name].seeds(runs)):
        if changed.keys() <= seed.keys():
            place = tmp_path / str(number)
            lay(place, seed | changed)
            assert attempt(READERS[name], place)[1] is None
            for also in ("report",) if name == "run" else ():
                assert attempt(READERS[also], place)[1] is None
