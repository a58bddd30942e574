"""Write docs/cli.md, the whole command line, and the tables in docs/reference/recipe.md from the
program itself: python docs/commands.py"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import typer.main

from linnet.cli import app
from linnet.fit.keys import PARTS, keys

PAGE = Path(__file__).with_name("cli.md")
RECIPE = Path(__file__).with_name("reference") / "recipe.md"

PIPE = "\\|"
"""A bar within a cell of a table."""

TOP = """\
# The command line

This page is made from the program (`python docs/commands.py`); `linnet COMMAND --help` says the
same. Commands that print information take `--json` (strict JSON). Exit codes: 0 done, 1 the work
failed, 2 the request or its input was wrong, 130 or 143 stopped by Ctrl-C or SIGTERM, after saving.
"""


def page() -> str:
    """The whole page."""
    command = typer.main.get_command(app)
    return TOP + "".join(section(command, "linnet"))


def section(command: Any, name: str) -> Iterator[str]:
    """One command and, below it, its own commands."""
    kinds = get_type_hints(command.callback) if command.callback else {}
    level = "#" * (1 + len(name.split()))
    yield f"\n{level} {name}\n\n{prose(command.help)}\n"
    examples = (command.epilog or "").replace("\b\n", "")
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    words = ["[OPTIONS]"] if options else []
    words += [
        each.metavar if each.required else f"[{each.metavar.strip('[]')}]" for each in arguments
    ]
    below = getattr(command, "commands", {})
    words += ["COMMAND ..."] if below else []
    yield f"\n```text\n{' '.join([name, *words])}\n```\n"
    rows = [(f"`{each.metavar.strip('[]')}`", each.help) for each in arguments]
    rows += [(option(each, str(kinds.get(each.name))), helped(each)) for each in options]
    if rows:
        yield "\n| argument or option | what it says |\n|---|---|\n"
        for left, right in rows:
            yield f"| {left.replace('|', PIPE)} | {prose(right)} |\n"
    if examples:
        yield f"\n```text\n{examples.strip()}\n```\n"
    for word, each in below.items():
        yield from section(each, f"{name} {word}")


def option(each: Any, kind: str) -> str:
    """An option's names, and what stands behind it."""
    names = ", ".join(f"`{name}`" for name in each.opts)
    if each.secondary_opts:
        return f"{names}, " + ", ".join(f"`{name}`" for name in each.secondary_opts)
    if each.is_flag:
        return names
    value = each.metavar or ("PATH" if "Path" in kind else "NUMBER" if "int" in kind else "TEXT")
    return f"`{each.opts[-1]} {value}`"


def helped(each: Any) -> str:
    """An option's help, with its default where it has one that says something."""
    text = each.help or ""
    default = each.default
    if default and isinstance(default, (str, int, float)) and not isinstance(default, bool):
        text += f" Default: {default}."
    return text


def prose(text: str | None) -> str:
    """Help as Markdown: nothing in it is markup."""
    kept = "\n".join(line.strip() for line in (text or "").strip().splitlines())
    for sign in ("\\", "`", "*", "_", "<", ">", "[", "]", "|", "$"):
        kept = kept.replace(sign, "\\" + sign)
    return kept


def recipe(text: str) -> str:
    """The page on recipes, ``text``, with its tables made anew: each part's stands below a comment
    with the name of the part, up to the next empty line."""
    for part, title in PARTS.items():
        rows = [each for each in keys() if each.part == title]
        table = "| key | default | takes | what it says |\n|---|---|---|---|\n" + "".join(
            f"| `{key.name}` | {f'`{key.default}`' if key.default else ''} | {key.takes} "
            f"| {key.says.replace('``', '`')} |\n"
            for key in rows
        )
        mark = f"<!-- {part.__name__} -->\n"
        before, after = text.split(mark)
        text = f"{before}{mark}{table}\n{after.split(chr(10) * 2, 1)[1]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    RECIPE.write_text(recipe(RECIPE.read_text("utf-8")), "utf-8")
