"""A run as one portable file."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

from linnet import files
from linnet.errors import InputError
from linnet.runs import directory

LEFT_OUT = ("checkpoints",)
TIME = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that the same run gives the same bytes."""


def pack(run: Path, out: Path, notebook: Path | None = None) -> int:
    """Write the run in ``run`` as a zip to ``out``; returns how many files it holds.

    All of the run but checkpoints, with ``requirements.txt`` of the exact versions, and the
    ``notebook`` or script given. Links are not followed.
    """
    info = files.read_json(run / directory.RUN)
    directory.read_metrics(run)  # refuses what is no finished run
    members = {
        path.relative_to(run).as_posix(): path
        for path in sorted(run.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and path.relative_to(run).parts[0] not in LEFT_OUT
    }
    versions = info.get("versions", {}) if isinstance(info, dict) else {}
    lines = [f"{name}=={version}\n" for name, version in versions.items() if name != "python"]
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in members.items():
            archive.writestr(zipfile.ZipInfo(name, TIME), path.read_bytes(), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo("requirements.txt", TIME), "".join(lines))
        if notebook is not None:
            try:
                content = notebook.read_bytes()
            except OSError as error:
                raise InputError(f"{notebook}: cannot read: {error.strerror}") from error
            archive.writestr(zipfile.ZipInfo(f"notebook/{notebook.name}", TIME), content)
        count = len(archive.namelist())
    files.write(out, buffer.getvalue())
    return count
