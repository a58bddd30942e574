"""``linnet inspect``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from linnet.cli._output import Json, command, print_json, print_table, text
from linnet.core.text import counted, listed, percent, say

MOST = 20
"""The most classes that are named."""


@command
def inspect(
    place: Annotated[Path, typer.Argument(help="A model file, or a run's folder.", metavar="FILE")],
    model: Annotated[str | None, typer.Option(help="One model of the run, by name.")] = None,
    json: Json = False,
) -> None:
    """Describe a model file, without loading the model."""
    from linnet.fit.artifact import read_manifest
    from linnet.insight.task import folds_of
    from linnet.insight.verdict import headline
    from linnet.runs.archive import model_place

    path = model_place(place, model)
    manifest = read_manifest(path)
    if json:
        print_json(manifest.plain())
        return
    schema = manifest.schema_
    say(f"{path}: {manifest.model}, {manifest.objective}, {manifest.dtype}")
    say(f"takes: a {schema.example} of {text(schema.shape)} {schema.dtype}")
    if schema.fields:
        used = [f"{field.name} ({field.kind})" for field in schema.fields if field.used]
        say(f"made from a table's columns: {', '.join(used)}")
    for field in schema.fields:
        if field.ends is not None:
            low, high = (f"{end:.6g}" for end in field.ends)
            say(f"{field.name}: numbers below {low} or above {high} are far and count as missing")
    what = ", ".join(schema.targets)
    if schema.task == "classification":
        named = f"{schema.names[0]} to {schema.names[-1]}" if _follow(schema.classes) else ""
        named = named or listed(schema.names, MOST)
        what += f" ({counted(len(schema.names), 'class')}: {named})"
    say(f"predicts: {what}")
    if manifest.decision is not None:
        say(f"{manifest.decision.words(schema.names[1])}")
    if manifest.calibration is not None:
        found = manifest.calibrated()
        what = "sets of classes" if found.classifies else "intervals"
        count = sum(found.rows) if found.classifies else found.rows[0]
        say(f"{what}: calibrated by {count:,} rows, up to {percent(found.highest)}")
    say(f"data: {manifest.data.get('name')}, {text(manifest.data.get('train_rows'))} training rows")
    test = manifest.scores.get("test")
    if isinstance(test, dict):
        folds = folds_of(test)
        by = f" by {folds} folds" if folds else ""
        say(f"test: {headline(test)} on {text(test['rows'])} rows{by}")
    say(f"fit: {manifest.fit.get('reason')}")
    layers, first = manifest.layers, "members.0."
    shown = [x for x in layers if x.name.startswith(first)] or layers
    rows = [
        [x.name.removeprefix(first), x.kind, x.output, x.parameters, x.trainable] for x in shown
    ]
    total = "total"
    if len(shown) < len(layers):
        total = "total of all"
        members = text(manifest.network["members"])
        say(f"it is the mean of {members} nets, each fitted without one fold; the layers of one:")
    rows.append(
        [total, "", "", sum(x.parameters for x in layers), sum(x.trainable for x in layers)]
    )
    print_table(["layer", "kind", "output", "parameters", "trainable"], rows)


def _follow(classes: Sequence[Any]) -> bool:
    """Whether the classes are three or more whole numbers, each one more than the one before."""
    whole = len(classes) > 2 and all(type(each) is int for each in classes)
    return whole and list(classes) == list(range(classes[0], classes[0] + len(classes)))
