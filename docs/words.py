"""Update the catalogues of strings: what the code says through ``tr``, in each language.

``make words`` takes the texts out of the code, puts them into ``linnet.po``, where a person
translates those that are empty, and compiles it into ``linnet.mo``, which the program reads.
"""

import ast
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

SOURCE = Path(__file__).resolve().parents[1] / "src" / "linnet"
WORDS = SOURCE / "core" / "words"
TAKEN = {"tr": 1, "trn": 2, "marked": 1}
"""How many of its first arguments a function has the catalogue take."""
HEADER = "# What linnet says, in the language of this file. make words updates it from the code."
DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""The date in a catalogue: always the same, so that only texts change it."""


def catalogue(language: str) -> Path:
    """The file that people edit."""
    return WORDS / language / "LC_MESSAGES" / "linnet.po"


def extracted(language: str) -> Catalog:
    """The texts of the code, not translated."""
    found = Catalog(
        language, project="linnet", version=" ", msgid_bugs_address=" ", header_comment=HEADER,
        fuzzy=False, creation_date=DAY, revision_date=DAY, last_translator="linnet",
        language_team="linnet",
    )  # fmt: skip
    for place in sorted(SOURCE.rglob("*.py")):
        for text in texts(place.read_text(encoding="utf-8")):
            key = text[0] if len(text) == 1 else text
            found.add(key, locations=[(place.relative_to(SOURCE).as_posix(), 0)])
    return found


def texts(source: str) -> Iterator[tuple[str, ...]]:
    """The texts of a Python file, in their order: one, or singular and plural. Babel's own reader
    misses a call within another one."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        count = TAKEN.get(call.func.id, 0) if isinstance(call.func, ast.Name) else 0
        first = call.args[:count]
        if any(isinstance(text, ast.JoinedStr) for text in first):
            raise ValueError(f"line {call.lineno}: a text with values in it, which change")
        found = tuple(text.value for text in first if isinstance(text, ast.Constant))
        if found:
            yield found


def updated(language: str) -> Catalog:
    """The texts of the code with the translations that there are."""
    found, path = extracted(language), catalogue(language)
    if path.exists():
        with path.open("rb") as file:
            known = read_po(file, locale=language)
        for message in found:
            if message.id and (old := known.get(message.id)) is not None:
                message.string = old.string
    return found


def written(found: Catalog) -> bytes:
    """A catalogue as the content of a .po file."""
    out = BytesIO()
    write_po(out, found, width=100, sort_output=True, include_lineno=False, ignore_obsolete=True)
    return out.getvalue()


def compiled(found: Catalog) -> bytes:
    """A catalogue as the content of a .mo file."""
    out = BytesIO()
    write_mo(out, found)
    return out.getvalue()


def empty(found: Catalog) -> list[str]:
    """The texts that are not translated."""
    missing = []
    for message in found:
        strings = message.string if isinstance(message.string, (tuple, list)) else [message.string]
        if message.id and not all(strings):
            missing.append(str(message.id))
    return missing


def main() -> None:
    """Update and compile every catalogue; say what is left to translate."""
    left = 0
    for folder in sorted(path for path in WORDS.iterdir() if path.is_dir()):
        found = updated(folder.name)
        path = catalogue(folder.name)
        path.write_bytes(written(found))
        path.with_suffix(".mo").write_bytes(compiled(found))
        for text in empty(found):
            print(f"{folder.name}: not translated: {text}")
            left += 1
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
