"""Folders of pictures, one sub-folder per class."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from linnet.core.registry import suggest
from linnet.core.text import counted, listed, of_path
from linnet.data.dataset import Dataset
from linnet.data.pictures.files import Room, read_files
from linnet.data.pictures.picture import ENDINGS, UNREAD
from linnet.data.reading import Again, Label, Reading
from linnet.data.source import assemble
from linnet.data.split import Division, part_of
from linnet.data.table import Warned
from linnet.errors import DataError

MAX_WRAPPERS = 4
"""At most this many folders around the folder of the classes or parts are opened."""

MAX_COUNTED = 100_000
"""The most files that are counted in a folder that is left out."""

LITTER = "__MACOSX"
"""A folder that macOS adds to archives; it holds no pictures, though they are named so."""

TRAIN, VALID, TEST = range(3)

T = TypeVar("T")


class Folder:
    """A folder with a sub-folder of pictures per class, also below ``train``, ``val``, ``test``.

    The parts may have any name that a split column knows, in any case of letters; the validation
    part is used as such. Single folders around all of it are opened. PNG, JPEG, BMP, GIF, TIFF and
    WebP are read, each under its own name; see ``picture.FORMATS``.

    Classes, and the pictures of a class, are ordered by the bytes of their names. The pictures are
    grey if all are (1, 8 or 16 bits), else colour; palettes, CMYK and so on become RGB. 16-bit grey
    is divided by 257 and rounded; 16-bit colour is cut to the upper 8 bits. A transparent ground
    becomes white, or black under light ink. The EXIF rotation is applied. Of an animation the first
    picture is used. All pictures must have one size. Other files, hidden files, and links that
    lead out of the folder or nowhere are skipped and counted; pictures that are skipped are a
    warning.
    """

    def matches(self, place: object) -> bool:
        if not isinstance(place, Path):
            return False
        if place.is_dir():
            return _layout(place) is not None or _first(place) is not None
        return place.is_file() and place.suffix.lower() in (*ENDINGS, *UNREAD)

    def read(
        self,
        place: Path,
        reading: Reading,
        classes: tuple[Label, ...] | None = None,
        room: Room | None = None,
    ) -> Dataset:
        layout = None if place.is_file() else _layout(place)
        if layout is None or layout.loose:
            raise _unlabelled(place, layout)
        skipped = Skipped(place)
        for folder, used in layout.passed:
            skipped.all_but(folder, used)
        again = reading if isinstance(reading, Again) else Again()
        least = 1 if again.labels else 2
        parts = {part: _scan(path, skipped, least) for part, path in layout.parts.items()}
        names = [str(label) for label in again.labels] or list(parts[TRAIN])
        _same_classes(place, layout, parts, names if again.labels else [])
        ordered = [
            (part, names.index(name), path)
            for part in sorted(parts)
            for name, files in parts[part].items()
            for path in files
        ]
        every = [path for *_, path in ordered]
        pictures, read, notes = read_files(every, place, reading, room)
        number, codes = np.array([row[:2] for row in ordered], np.int64)[read].T
        paths = [path for (*_, path), kept in zip(ordered, read, strict=True) if kept]
        data = assemble(
            pictures,
            codes,
            name=of_path(place.name),
            classes=again.labels or names,
            target="label",
            test_rows=int((number == TEST).sum()),
            notes=skipped.notes() + notes,
            reading=reading,
            where=lambda row: _inside(paths[row], place),
        )
        if isinstance(reading, Again):
            data = replace(data, files=tuple(_inside(path, place) for path in paths))
        if VALID not in parts:
            return data
        name = of_path(layout.parts[VALID].name)
        note = f"the folder {name!r} is the validation part"
        division = Division("split", "folder", torch.from_numpy(number.copy()))
        return replace(data, division=division, notes=(*data.notes, note))


@dataclass(frozen=True)
class Layout:
    """Where the folders of the classes are: below ``parts``, of which there is at least TRAIN.

    ``passed`` are the folders above, each with the names in it that were followed. ``loose``: there
    are no classes, only pictures.
    """

    parts: dict[int, Path]
    passed: list[tuple[Path, set[str]]] = field(default_factory=list)
    loose: bool = False


def _layout(place: Path, depth: int = 0, *, whole: bool = True) -> Layout | None:
    """Where the folders of the classes are below ``place``, by the names of files alone; nothing is
    opened. None if there are none. A ``whole`` data set may have parts, a part has none."""
    folders = [entry for entry in _entries(place) if _is_folder(entry) and _shown(entry)]
    if whole and (parts := _parts(place, folders, depth)):
        return parts
    if any(map(_has_pictures, folders)):
        return Layout({TRAIN: place})
    if whole and any(_is_picture(entry) and _shown(entry) for entry in _entries(place)):
        return Layout({TRAIN: place}, loose=True)
    if len(folders) != 1 or depth >= MAX_WRAPPERS:
        return None
    found = _layout(Path(folders[0].path), depth + 1, whole=whole)
    if found is None:
        return None
    return Layout(found.parts, [(place, {folders[0].name}), *found.passed], found.loose)


def _parts(place: Path, folders: list[os.DirEntry[str]], depth: int) -> Layout | None:
    """The parts among the ``folders`` in ``place``; None if there is no training part."""
    parts: dict[int, Layout] = {}
    named: dict[int, str] = {}
    for entry in folders:
        part = part_of(entry.name)
        found = None if part is None else _layout(Path(entry.path), depth + 1, whole=False)
        if part is None or found is None:
            continue
        if part in parts:
            raise DataError(
                f"{of_path(place)}: {of_path(named[part])!r} and {of_path(entry.name)!r} are both "
                f"the {('training', 'validation', 'test')[part]} part; keep one"
            )
        parts[part], named[part] = found, entry.name
    if TRAIN not in parts:
        return None
    above = [(place, set(named.values()))]
    return Layout(
        {part: parts[part].parts[TRAIN] for part in sorted(parts)},
        above + [passed for found in parts.values() for passed in found.passed],
    )


def _unlabelled(place: Path, layout: Layout | None) -> DataError:
    """Why a place with pictures is no data set."""
    where = of_path(place)
    if place.suffix.lower() in UNREAD and place.is_file():
        return DataError(f"{where}: linnet does not read {place.suffix.lower()}: convert it to PNG")
    if place.is_file():
        found = "one picture, and no folder"
    elif layout is not None:
        found, where = "holds pictures, but no folders of classes", of_path(layout.parts[TRAIN])
    else:
        first = _first(place)
        assert first is not None
        found = (
            f"its pictures lie deeper than in folders of classes, such as {_inside(first, place)}"
        )
    return DataError(
        f"{of_path(place)}: {found}; expected a folder for each class, with its pictures (to "
        f"predict these: linnet predict RUN {where})"
    )


def _first(place: Path) -> Path | None:
    """A picture somewhere in a folder, among its first ``MAX_COUNTED`` files."""
    files = 0
    for folder, folders, names in os.walk(place):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != LITTER)
        for name in sorted(names):
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                return Path(folder, name)
        files += len(names)
        if files > MAX_COUNTED:
            break
    return None


class Unlabelled(NamedTuple):
    """Pictures to predict: the files; for each the name by which it is told, and that of the folder
    in which it was found, if that may be a class; and remarks."""

    place: Path
    paths: list[Path]
    names: list[str]
    labels: list[str | None]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, paths: list[Path]) -> Unlabelled:
        """These files, by the names that they were given."""
        return cls(paths[0].parent, paths, list(map(of_path, paths)), [None] * len(paths))


def unlabelled(place: Path, classes: Collection[str] | None) -> Unlabelled | None:
    """The pictures in ``place``, a picture or a folder, also in folders of folders.

    None if there are none, or if it is a data set whose classes are all among ``classes``; None
    means all.
    """
    if place.is_file() and place.suffix.lower() in ENDINGS:
        return Unlabelled.of([place])
    if not place.is_dir() or _first(place) is None:
        return None
    layout = _layout(place)
    if layout is not None and not layout.loose:
        folders = [entry for part in layout.parts.values() for entry in _entries(part)]
        named = {of_path(each.name) for each in folders if _is_folder(each) and _has_pictures(each)}
        if classes is None or named <= set(classes):
            return None
    skipped = Skipped(place)
    paths = _every(place, skipped)
    labels = [None if path.parent == place else of_path(path.parent.name) for path in paths]
    names = [_inside(path, place) for path in paths]
    return Unlabelled(place, paths, names, labels, skipped.notes())


def _every(place: Path, skipped: Skipped) -> list[Path]:
    """All pictures in a folder and in the folders in it, by the bytes of their names."""
    found = []
    for entry in _entries(place):
        if not _shown(entry) or skipped.leads_out(entry):
            skipped.add(entry)
        elif _is_folder(entry):
            found += [] if entry.is_symlink() else _every(Path(entry.path), skipped)
        elif _is_picture(entry) and _is_file(entry):
            found.append(Path(entry.path))
        else:
            skipped.add(entry)
    return found


def _same_classes(
    place: Path,
    layout: Layout,
    parts: dict[int, dict[str, list[Path]]],
    labels: list[str],
) -> None:
    """Raise if a part has other classes than the training part, or than ``labels``."""
    for part, path in layout.parts.items():
        unknown = [name for name in parts[part] if name not in labels]
        if labels and unknown:
            raise DataError(
                f"{of_path(path)}: the folder {unknown[0]!r} is not among the classes; "
                f"{suggest(unknown[0], labels)} (to predict pictures "
                f"without a label: linnet predict RUN {of_path(path / unknown[0])})"
            )
        if not labels and list(parts[part]) != list(parts[TRAIN]):
            differing = sorted(set(parts[TRAIN]) ^ set(parts[part]))
            raise DataError(
                f"{of_path(place)}: {of_path(layout.parts[TRAIN].name)} and {of_path(path.name)} "
                f"do not have the same classes; only one has {', '.join(differing)}"
            )


def _scan(place: Path, skipped: Skipped, least: int) -> dict[str, list[Path]]:
    """The pictures of each class; classes and pictures are ordered by the bytes of their names."""
    found: dict[str, list[Path]] = {}
    folded: dict[str, str] = {}
    for folder in _entries(place):
        name = of_path(folder.name)
        if not _shown(folder) or not _is_folder(folder) or skipped.leads_out(folder):
            skipped.add(folder)
            continue
        same = folded.setdefault(name.casefold(), name)
        if same in found:
            raise DataError(
                f"{of_path(place)}: the classes {same!r} and {name!r} differ at most in case; "
                "rename one"
            )
        found[name] = []
        for entry in _entries(Path(folder.path)):
            usable = _is_picture(entry) and _shown(entry) and _is_file(entry)
            if not usable or skipped.leads_out(entry):
                skipped.add(entry)
            else:
                found[name].append(Path(entry.path))
    _check(place, found, least)
    return found


def _check(place: Path, found: dict[str, list[Path]], least: int) -> None:
    """Raise if the folders in ``place`` are no classes, or fewer than ``least``."""
    full = [name for name, files in found.items() if files]
    if len(full) < least:
        only = f", {full[0]!r}" if full else ""
        for name in found if not full else ():
            only = only or _unread(place / name)
        raise DataError(
            f"{of_path(place)}: {counted(len(full), 'folder')} with pictures{only}; expected a "
            "sub-folder for each of two or more classes"
        )
    if all(part_of(name) is not None for name in full):
        raise DataError(
            f"{of_path(place)}: {listed(full, 3)} hold pictures, but no folders of classes; "
            f"expected {full[0]}/CLASS/picture.png"
        )
    for name in found:
        if name not in full:
            raise DataError(
                f"{of_path(place / name)}: a class without a picture{_unread(place / name)}; add "
                "some, or remove it"
            )


def _unread(folder: Path) -> str:
    """What a folder holds instead of pictures that are read, in words."""
    try:
        endings = Counter(Path(name).suffix.lower() for name in os.listdir(folder))
    except OSError:
        return ""
    unread = {ending: count for ending, count in endings.items() if ending in UNREAD}
    if not unread:
        return ""
    words = listed([counted(count, f"{ending} file") for ending, count in unread.items()], 3)
    return f", but {words}, which linnet does not read: convert them to PNG"


class Skipped:
    """What was skipped in the folder ``top``: how many pictures where, and what else."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._inside = os.path.join(os.path.realpath(top), "")
        self._pictures: Counter[str] = Counter()
        self._others: dict[str, list[str]] = {}
        self._folders: list[str] = []

    def all_but(self, folder: Path, used: set[str]) -> None:
        """Everything in ``folder`` is skipped, except what ``used`` names."""
        for entry in _entries(folder):
            if entry.name not in used:
                self.add(entry)

    def leads_out(self, entry: os.DirEntry[str]) -> bool:
        """Whether it is a link out of the folder, or to nothing."""
        if not entry.is_symlink():
            return False
        there = os.path.realpath(entry.path)
        return not there.startswith(self._inside) or not os.path.exists(entry.path)

    def add(self, entry: os.DirEntry[str]) -> None:
        """This was skipped."""
        ending = os.path.splitext(of_path(entry.name))[1].lower()
        if not _shown(entry):
            self._other("hidden file", entry)
        elif self.leads_out(entry) and ending in ENDINGS:
            self._pictures["as links that lead out of the folder, or nowhere"] += 1
        elif self.leads_out(entry):
            self._other("outward link", entry)
        elif _is_folder(entry):
            self._add_folder(entry)
        elif ending in ENDINGS and _is_file(entry):
            self._pictures[f"in {_inside(Path(entry.path).parent, self._top)}"] += 1
        elif not _is_file(entry):
            self._other(f"special {ending}".strip(), entry)
        elif ending in UNREAD:
            self._pictures[f"as {ending}, which is not read"] += 1
        else:
            self._other(f"{ending} file" if ending else "file without an ending", entry)

    def _other(self, what: str, entry: os.DirEntry[str]) -> None:
        self._others.setdefault(what, []).append(_inside(Path(entry.path), self._top))

    def _add_folder(self, entry: os.DirEntry[str]) -> None:
        name = _inside(Path(entry.path), self._top)
        pictures = files = 0
        for _, _, names in os.walk(entry.path):
            files += len(names)
            pictures += sum(name.lower().endswith((*ENDINGS, *UNREAD)) for name in names)
            if files > MAX_COUNTED:
                break
        if pictures:
            self._pictures[f"in {name}"] += pictures
        else:
            what = f"a folder of {counted(files, 'file')}" if files else "an empty folder"
            self._folders.append(f"{name} ({what})")

    def notes(self) -> tuple[str, ...]:
        """A warning about the pictures that were skipped, and a note about the rest."""
        found: tuple[str, ...] = ()
        if self._pictures:
            where = listed([f"{count:,} {where}" for where, count in self._pictures.items()], 4)
            found += (
                Warned(
                    f"{counted(self._pictures.total(), 'picture')} skipped: {where}",
                    "put each into the folder of its class, as PNG or JPEG, or remove it",
                ),
            )
        others = self._folders + [
            f"{counted(len(names), what)} ({listed(names, 1)})"
            for what, names in self._others.items()
        ]
        if others:
            found += (f"skipped, as no pictures: {listed(others, 8)}",)
        return found


def _inside(path: Path, top: Path) -> str:
    """A path, from the folder that was named."""
    return of_path(os.path.relpath(path, top))


def _shown(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.name != LITTER


def _is_picture(entry: os.DirEntry[str], endings: tuple[str, ...] = ENDINGS) -> bool:
    return entry.name.lower().endswith(endings)


def _has_pictures(folder: os.DirEntry[str]) -> bool:
    """Whether a folder holds pictures, also unread ones, by their names; nothing is opened."""
    entries = _entries(Path(folder.path))
    return any(_is_picture(entry, (*ENDINGS, *UNREAD)) and _shown(entry) for entry in entries)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, ordered by the bytes of their names."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise DataError(f"{of_path(folder)}: cannot read: {error.strerror}") from error
