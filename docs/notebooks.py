"""The lessons as notebooks: each in docs/lessons becomes an .ipynb in notebooks/, to work in.

The lessons are tested as they stand, so they hold what only the tests need: a short form
(``fast``), and assertions of what a cell gave. A student's copy has neither. The folder is not part
of the repository: what is run and written there changes nothing in the clone.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LESSONS = ROOT / "docs" / "lessons"
OUT = ROOT / "notebooks"

TARGET = re.compile(r"^\([a-z0-9-]+\)=\n\n?", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)\.md(#[^)]*)?\)")

Edit = tuple[int, int, str]
"""A part of a source, and what stands there instead."""


def plain(source: str) -> str:
    """A cell without assertions and without its short form."""
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    text = source
    for start, end, new in sorted(_edits(source, ast.parse(source).body, offsets), reverse=True):
        text = text[:start] + new + text[end:]
    return re.sub(r"\n{4,}", "\n\n\n", text).strip("\n")


def _edits(source: str, body: list[ast.stmt], offsets: list[int]) -> Iterator[Edit]:
    """What changes in some statements."""
    for one in body:
        start, end = offsets[one.lineno - 1], offsets[one.end_lineno or one.lineno]
        if _only_checks(one) or _sets_fast(one):
            yield start, end, ""
        elif isinstance(one, ast.If) and (full := _full(one)) is not None:
            yield start, end, _dedented(source, full, one.col_offset, offsets)
        else:
            yield from _choices(source, one, offsets)
            for part in _parts(one):
                yield from _edits(source, part, offsets)


def _parts(one: ast.stmt) -> list[list[ast.stmt]]:
    """The statements within a statement."""
    found = [getattr(one, name, []) for name in ("body", "orelse", "finalbody")]
    return [*found, *(handler.body for handler in getattr(one, "handlers", []))]


def _only_checks(one: ast.stmt) -> bool:
    """Whether a statement does nothing but assert."""
    inner = [each for part in _parts(one) for each in part]
    return isinstance(one, ast.Assert) or (bool(inner) and all(map(_only_checks, inner)))


def _sets_fast(one: ast.stmt) -> bool:
    return isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "fast"


def _full(one: ast.If) -> list[ast.stmt] | None:
    """What is done where nothing is cut short; None if a statement does not ask."""
    return {"fast": one.orelse, "not fast": one.body}.get(ast.unparse(one.test))


def _dedented(source: str, body: list[ast.stmt], column: int, offsets: list[int]) -> str:
    if not body:
        return ""
    part = source[offsets[body[0].lineno - 1] : offsets[body[-1].end_lineno or 0]]
    deeper = body[0].col_offset - column
    lines = part.splitlines(keepends=True)
    text = "".join(line[deeper:] if line[:deeper].isspace() else line for line in lines)
    if column:  # inside a function or a loop: parse it as if it stood alone
        return text
    return plain(text) + "\n"


def _choices(source: str, one: ast.stmt, offsets: list[int]) -> Iterator[Edit]:
    """Each ``short if fast else long`` of a statement as its long form."""
    inner = {id(n) for part in _parts(one) for each in part for n in ast.walk(each)}
    for node in ast.walk(one):
        if id(node) in inner or not isinstance(node, ast.IfExp):
            continue
        if ast.unparse(node.test) == "fast":
            start = offsets[node.lineno - 1] + node.col_offset
            end = offsets[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)
            yield start, end, ast.get_source_segment(source, node.orelse) or ""


def notebook(path: Path) -> Any:
    """A lesson as a notebook."""
    import jupytext

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        book = jupytext.read(path, fmt="md:myst")
    for cell in book.cells:
        if cell.cell_type == "code" and not cell.source.startswith("%"):
            cell.source = plain(cell.source)
        elif cell.cell_type == "code":
            pass  # of IPython, no Python
        else:
            cell.source = LINK.sub(_link, TARGET.sub("", cell.source))
        cell.metadata.clear()
    _drop_unused(book)
    book.metadata.pop("jupytext", None)
    return book


def _link(found: re.Match[str]) -> str:
    name, anchor = found[1], found[2] or ""
    if "/" not in name:
        return f"]({name}.ipynb{anchor})"
    return f"]({Path('..', 'docs', 'lessons', name).as_posix()}.md{anchor})"


def _drop_unused(book: Any) -> None:
    """Leave out imports that only assertions and the short form needed."""
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    python = [cell for cell in cells if not cell.source.startswith("%")]
    trees = [ast.parse(cell.source) for cell in python]
    used = {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for cell, tree in zip(python, trees, strict=True):
        for one in tree.body:
            if isinstance(one, ast.Import) and not {each.name for each in one.names} & used:
                text = ast.unparse(one)
                if not any(each.asname or "." in each.name for each in one.names):
                    lines = cell.source.splitlines()
                    lines.remove(text)
                    cell.source = "\n".join(lines).strip("\n")
    book.cells = [cell for cell in book.cells if cell.source]


def main() -> None:
    """Write every lesson anew; notebooks that a student has changed are kept as they are."""
    import jupytext

    OUT.mkdir(exist_ok=True)
    for path in sorted(LESSONS.glob("*.md")):
        target = OUT / f"{path.stem}.ipynb"
        if target.exists():
            print(f"{target.relative_to(ROOT)} is there: kept")
            continue
        jupytext.write(notebook(path), target)
        print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
