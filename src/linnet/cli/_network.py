"""The user's own module, from ``--network FILE:NAME``."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linnet.errors import InputError

if TYPE_CHECKING:
    from torch import nn

Own = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="FILE:NAME",
        help="For a model that is a module of your own: the Python file, which is run, and the "
        "name in it of a class, a function or a module.",
    ),
]


def module_of(given: str | None) -> "nn.Module | None":
    """The module that ``FILE:NAME`` names: NAME itself, or what it returns when it is called
    without arguments."""
    if given is None:
        return None
    place, _, name = given.rpartition(":")
    path = Path(place)
    if not place or not name.isidentifier():
        raise InputError(f"--network {given}: expected FILE:NAME, such as net.py:Net")
    if not path.is_file() or path.suffix != ".py":
        raise InputError(f"--network {given}: there is no Python file {place}")
    from torch import nn

    known = spec_from_file_location(path.stem, path)
    assert known is not None and known.loader is not None
    module = module_from_spec(known)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # what the file imports beside it
    try:
        known.loader.exec_module(module)
        found = getattr(module, name, None)
        if callable(found) and not isinstance(found, nn.Module):
            found = found()
    except Exception as error:
        raise InputError(
            f"--network {given}: {type(error).__name__} while it was made: {error}; expected a "
            "file that can be imported, and a name that is called without arguments"
        ) from error
    finally:
        sys.path.remove(folder)
    if not isinstance(found, nn.Module):
        names = [each for each in vars(module) if not each.startswith("_")]
        raise InputError(
            f"--network {given}: {name} is a {type(found).__name__}, not an nn.Module; the file "
            f"has {', '.join(names[:20])}"
        )
    return found
