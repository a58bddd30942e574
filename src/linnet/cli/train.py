"""``linnet train``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from linnet.cli._output import Json, command, print_json, print_table, set_threads


@command
def train(
    data: Annotated[
        str | None, typer.Argument(help="A known name, a file or a folder.", metavar="DATA")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    model: Annotated[
        str | None, typer.Option(help="auto (linear,mlp), or names: linear, mlp.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes all randomness.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; by default a new one in runs/.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A recipe key, as key=value; may be repeated."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A recipe in TOML; flags come on top.")
    ] = None,
    print_recipe: Annotated[
        bool, typer.Option("--print-recipe", help="Print the resolved recipe and stop.")
    ] = False,
    json: Json = False,
) -> None:
    """Fit the best line, then a net; test both on the same rows; save everything."""
    from linnet.recipe import Recipe, read_recipe, read_setting

    settings: dict[str, Any] = {} if config is None else read_recipe(config)
    source = "recipe" if config is None else str(config)
    flags = {"data": data, "target": target, "seed": seed, "device": device}
    if model is not None:
        flags["model"] = "auto" if model == "auto" else model.split(",")  # type: ignore[assignment]
    settings |= {key: value for key, value in flags.items() if value is not None}
    settings |= dict(read_setting(text) for text in setting or [])
    recipe = Recipe.make(settings, source)
    set_threads()
    from linnet import spine
    from linnet.cli._progress import Progress

    if print_recipe:
        _, recipe, _ = spine.prepare(recipe.data, recipe)
        print(recipe.toml(), end="")
        return
    with Progress() as progress:
        run = spine.train(recipe=recipe, out=out, echo=progress)
    if json:
        print_json(run.metrics)
    else:
        show(run.metrics, run.path)


def show(metrics: dict[str, Any], path: Path) -> None:
    """The last lines: the models with their intervals, the verdict, why each stopped, the files."""
    from linnet.verdict import headline, percent

    models = metrics["models"]
    rows = []
    for name, scores in models.items():
        valid, test = scores.get("valid"), scores.get("test")
        held = "-"
        if valid:
            held = (
                f"loss {valid['loss']:.4f}, {percent(valid['accuracy'])}"
                if "accuracy" in valid
                else f"RMSE {valid['rmse']:.4g}"
            )
        mark = name + (" *" if name == metrics["chosen"] else "")
        rows.append(
            [mark, held, headline(test) if test else "-", f"{scores['fit']['seconds']:.1f} s"]
        )
    print_table(["model", "validation", "test (95 % interval)", "fitted in"], rows)
    print(metrics["verdict"])
    print(f"* chosen by validation loss: {metrics['chosen']}")
    for name, scores in models.items():
        gap = scores["fit"].get("gap")
        bound = f"; at most {gap:.1e} above the optimum" if gap is not None else ""
        if name != "constant":
            print(f"{name} stopped: {scores['fit']['reason']}{bound}")
    print(f"files: {path}/")
