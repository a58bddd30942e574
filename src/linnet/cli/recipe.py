"""``linnet recipe``."""

from itertools import groupby
from typing import Annotated

import typer

from linnet.cli._output import Json, command, print_json
from linnet.core.text import say


@command
def recipe(
    names: Annotated[
        list[str] | None, typer.Argument(help="Show only these keys.", metavar="[KEY...]")
    ] = None,
    json: Json = False,
) -> None:
    """List the settings of --set: default, values and meaning of each."""
    from linnet.fit import keys

    found = [keys.named(name) for name in names] if names else keys.keys()
    if json:
        print_json({"format": 1, "keys": [key._asdict() for key in found]})
        return
    for part, among in groupby(found, lambda key: key.part):
        if not names:
            say(f"{part}\n")
        for key in among:
            usual = f"{key.name}={key.default}" if key.default else f"{key.name} (not set)"
            say(f"{usual}    takes {key.takes}", indent=4)
            say(f"    {key.says.replace('``', '')}", indent=4)
        say()
    if not names:
        say(
            "Give them as --set key=value, several values of one key with commas. For keys that "
            "take one value, a list trains once for each. linnet train DATA --print-recipe shows "
            "what auto stands for with your data."
        )
