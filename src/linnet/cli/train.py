"""``linnet train``."""

import math
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linnet.cli._output import (
    Group,
    Json,
    NoHeader,
    OnBad,
    Setting,
    SplitColumn,
    Target,
    Task,
    Time,
    command,
    names,
    print_json,
    print_table,
    set_threads,
)

if TYPE_CHECKING:
    from linnet.errors import Diverged
    from linnet.fit.checkpoint import Stop
    from linnet.runs.run import Run


@command
def train(
    data: Annotated[
        str | None, typer.Argument(help="A known name, a file or a folder.", metavar="DATA")
    ] = None,
    target: Target = None,
    task: Task = None,
    no_header: NoHeader = False,
    split: SplitColumn = None,
    group: Group = None,
    time: Time = None,
    on_bad: OnBad = None,
    model: Annotated[
        str | None, typer.Option(help="auto (linear,mlp), or names: linear, mlp, cnn.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes all randomness.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; by default a new one in runs/.")
    ] = None,
    setting: Setting = None,
    config: Annotated[
        Path | None, typer.Option(help="A recipe in TOML; flags come on top.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a run that was stopped or killed.")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="With --resume: go on though this differs: seed, threads, data, ..."),
    ] = None,
    parent: Annotated[
        Path | None, typer.Option("--from", help="Start a new run from the weights of this one.")
    ] = None,
    print_recipe: Annotated[
        bool, typer.Option("--print-recipe", help="Print the resolved recipe and stop.")
    ] = False,
    to: Annotated[
        list[str] | None,
        typer.Option(help="Follow it: tensorboard, mlflow, wandb, trackio, visdom; may repeat."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html at the end.")
    ] = True,
    view: Annotated[
        bool | None,
        typer.Option("--view/--no-view", help="Open the live page; by default at a terminal."),
    ] = None,
    json: Json = False,
) -> None:
    """Fit the best line, then a net; test both on the same rows; save everything.

    Ctrl-C once saves and stops, and says how to go on; twice stops at once.
    """
    from linnet.errors import InputError
    from linnet.fit.recipe import Recipe
    from linnet.fit.settings import read_recipe, read_settings, sweep

    settings: dict[str, Any] = {} if config is None else read_recipe(config)
    source = "recipe" if config is None else str(config)
    flags: dict[str, Any] = {"data": data, "target": names(target), "seed": seed, "device": device}
    flags |= {"task": task, "split": split, "group": group, "time": time, "on_bad": on_bad}
    flags["header"] = False if no_header else None
    if model is not None:
        flags["model"] = "auto" if model == "auto" else model.split(",")
    settings |= {key: value for key, value in flags.items() if value is not None}
    given = read_settings(setting or [])
    columns = {**settings.get("columns", {}), **given.get("columns", {})}
    settings |= {**given, **({"columns": columns} if columns else {})}
    if (past := resume or parent) is not None:
        from linnet.runs.archive import run_place
        from linnet.runs.resume import recipe_of

        settings = {**recipe_of(run_place(past)).plain(), **settings}
    recipes = [Recipe.make(each, source) for each in sweep(settings)]
    if resume is not None and len(recipes) > 1:
        raise InputError("--resume goes on with one run; give no lists of settings")
    sinks = to or []
    if sinks:
        from linnet.integrations.sinks import find

        for name in sinks:
            find(name)
    set_threads()
    import warnings

    from linnet.errors import Diverged, LinnetWarning
    from linnet.experiment.train import train
    from linnet.fit.prepare import prepare
    from linnet.runs.directory import state_of

    warnings.simplefilter("ignore", LinnetWarning)  # the progress shows them
    if print_recipe:
        for recipe in recipes:
            print(prepare(recipe.data, recipe).recipe.toml(), end="")
        return
    if view or (view is None and sys.stdout.isatty() and sys.stderr.isatty()):
        from linnet.cli.view import open_page
        from linnet.runs.directory import ROOT

        one = out if resume is None else resume
        root = (ROOT if one is None else one.parent if len(recipes) == 1 else one).resolve()
        root.mkdir(parents=True, exist_ok=True)
        open_page(root, os.getpid())
    if resume is not None and state_of(resume)[0] == "finished":
        print(f"{resume} has finished: there is nothing to go on with", file=sys.stderr)
    if len(recipes) == 1:
        with interruptible() as stop:
            run = train(
                recipe=recipes[0], out=out, echo=True, to=sinks, resume=resume,
                allow=allow or (), parent=parent, stop=stop,
            )  # fmt: skip
        if json:
            print_json(run.metrics)
        else:
            show(run)
            for claim in run.reasons():
                print(f"why: {claim}")
        if report:
            _report(run, quiet=json)
        return
    tried: list[tuple[dict[str, Any], Run | Diverged]] = []
    for recipe in recipes:
        plain = recipe.plain()
        varied = {
            key: plain[key]
            for key in settings
            if any(plain[key] != r.plain()[key] for r in recipes)
        }
        name = ",".join(f"{key}={value}" for key, value in varied.items())
        print(name, file=sys.stderr)
        try:
            where = None if out is None else out / name
            with interruptible() as stop:
                run = train(recipe=recipe, out=where, echo=True, to=sinks, parent=parent, stop=stop)
            tried.append((varied, run))
            if report:
                _report(run, quiet=True)
        except Diverged as error:
            print(f"error: {error}", file=sys.stderr)
            tried.append((varied, error))
    compare(tried, json=json)


@contextmanager
def interruptible() -> "Iterator[Stop]":
    """While this goes on, SIGINT and SIGTERM ask to stop after the next step, where a fit goes on,
    or else stop it here; a second one ends the process at once."""
    from linnet.errors import Interrupted
    from linnet.fit.checkpoint import Stop

    stop = Stop()

    def asked(number: int, frame: object) -> None:
        if stop.signal is not None:
            os._exit(128 + number)
        stop.signal = number
        if not stop.heeded:
            raise Interrupted(number)
        with suppress(OSError):  # nobody may read it
            os.write(2, b"\nsaving, then stopping; once more stops at once\n")

    before = {
        number: signal.signal(number, asked)
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) != signal.SIG_IGN  # in the background, of nohup
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(run: "Run", *, quiet: bool) -> None:
    """Write the run's report; where that cannot be done, say so: the run itself is done."""
    from linnet.errors import LinnetError
    from linnet.show.report.page import write

    target = run.path / "report.html"
    try:
        write([run.path], target)
    except LinnetError as error:
        print(f"warning: no report: {error}", file=sys.stderr)
        return
    if not quiet:
        print(f"report: {target}")


def compare(tried: "list[tuple[dict[str, Any], Run | Diverged]]", *, json: bool) -> None:
    """The runs of a sweep, the least validation loss first; only the first one's test is shown."""
    from linnet.errors import Diverged

    def validation(run: "Run | Diverged") -> dict[str, Any]:
        if isinstance(run, Diverged):
            return {}
        scores: dict[str, Any] = run.metrics["models"][run.chosen].get("valid", {})
        return scores

    tried.sort(key=lambda pair: validation(pair[1]).get("loss", math.inf))
    if json:
        rows = [
            {**varied, "error": str(run)}
            if isinstance(run, Diverged)
            else {**varied, "path": str(run.path), **run.metrics}
            for varied, run in tried
        ]
        print_json(rows)
    else:
        keys = list(tried[0][0])
        cells = []
        for varied, run in tried:
            scores = validation(run)
            score = scores.get("accuracy", scores.get("rmse"))
            what = ["diverged", None, None, "-"]
            if not isinstance(run, Diverged):
                what = [run.chosen, scores.get("loss"), score, str(run.path)]
            cells.append([*(str(varied[key]) for key in keys), *what])
        print_table([*keys, "chosen", "validation loss", "accuracy or RMSE", "files"], cells)
    best = tried[0][1]
    if isinstance(best, Diverged):
        raise best
    if not json:
        print("the first by validation loss:")
        show(best)


def show(run: "Run") -> None:
    """The last lines: the models with their intervals, the verdict, why each stopped, the files."""
    from linnet.insight.verdict import headline, percent

    metrics = run.metrics
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
        bound = f"; at most {gap:.1e} above the optimum" if gap else ""  # not where it is one
        if name != "constant":
            print(f"{name} stopped: {scores['fit']['reason']}{bound}")
    scaling: dict[str, Any] = next(
        (s["fit"]["scaling"] for s in models.values() if "scaling" in s["fit"]), {}
    )
    if "mean" in scaling:
        mean, deviation = scaling["mean"], scaling["deviation"]
        print(f"pixels / 255 scaled by mean {mean:.4f} and deviation {deviation:.4f}")
    about = run.info
    end = os.sep if run.path.is_dir() else ""
    for note in about["data"]["notes"]:
        print(f"note: {note}")
    threads = f"{about['threads']} thread{'s' * (about['threads'] != 1)}"
    print(f"on {about['device']}, {threads}; files: {run.path}{end}")
