"""``linnet train``."""

import atexit
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linnet.cli._output import (
    Group,
    Json,
    Lang,
    NoHeader,
    OnBad,
    Plugin,
    Setting,
    SplitColumn,
    Target,
    Task,
    Time,
    command,
    in_flags,
    names,
    print_json,
    print_toml,
    set_threads,
)
from linnet.cli._scores import show, show_sweep
from linnet.cli._signals import ignored, interruptible
from linnet.core.language import tr
from linnet.core.text import say

if TYPE_CHECKING:
    from linnet.experiment.sweep import Trial
    from linnet.runs.run import Run

EXAMPLES = """\b
Examples:
  linnet train digits
  linnet train prices.csv --target price --set drop=id --set epochs=20
  linnet train PHOTOS --model linear,cnn --set size=64

\b
linnet recipe lists every key of --set, with its default, its values and what
it says; linnet recipe lr shows one.
"""


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
        str | None,
        typer.Option(metavar="NAMES", help="auto (the line and a net), or names: linear,mlp,cnn."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Fixes all randomness.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The run's folder; by default a new one in runs/."),
    ] = None,
    setting: Setting = None,
    plugin: Plugin = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A recipe in TOML; flags override it.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Continue a run that was stopped or killed.")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="With --resume: continue even if this differs: seed, threads, lr, ...",
        ),
    ] = None,
    parent: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Start a new run from the weights of this one; it is tested on no row that they "
            "have seen.",
        ),
    ] = None,
    print_recipe: Annotated[
        bool, typer.Option("--print-recipe", help="Print the resolved recipe and stop.")
    ] = False,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Also log to: tensorboard, mlflow, wandb, trackio, visdom; may be repeated.",
        ),
    ] = None,
    ranks: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=4096,
            metavar="NUMBER",
            help="Train with so many processes on this machine; with torchrun leave it out.",
        ),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html at the end.")
    ] = True,
    view: Annotated[
        bool | None,
        typer.Option("--view/--no-view", help="Open the live page; by default at a terminal."),
    ] = None,
    lang: Lang = None,
    json: Json = False,
) -> None:
    """Fit the best line, then a net, and test both on the same rows.

    Everything is saved. Ctrl-C once saves, stops and says how to continue; twice stops at once.
    """
    from linnet.core import registry
    from linnet.errors import InputError
    from linnet.experiment.sweep import trials

    flags = {
        "data": data, "target": names(target), "task": task, "split": split, "group": group,
        "time": time, "on_bad": on_bad, "seed": seed, "device": device,
        "header": False if no_header else None, "model": _models(model),
    }  # fmt: skip
    _check_options(resume, parent, allow, out=out, print_recipe=print_recipe, json=json)
    settings = _settings(flags, setting or [], config, resume, parent)
    tried = trials(settings, "recipe" if config is None else str(config))
    if resume is not None and len(tried) > 1:
        raise InputError("--resume continues one run; do not give lists of settings")
    registry.allow([*(plugin or []), *_models(model, ()), *_named(setting or [])])
    set_threads()
    _quiet()
    if print_recipe:
        _print_recipes(tried, resume, parent)
        return
    options: dict[str, Any] = {"echo": True, "to": to or (), "parent": parent}
    options["view"] = view or (view is None and sys.stdout.isatty() and sys.stderr.isatty())
    options |= {"resume": resume, "allow": allow or ()}
    if (ranks or 1) > 1 or _launched():
        _on_ranks(ranks, tried, out, options, report=report, json=json)
    elif len(tried) == 1:
        _train(tried[0], out, options, report=report, json=json)
    else:
        _sweep(tried, out, options, report=report, json=json)


def _models(model: str | None, usual: Any = None) -> Any:
    """The value of ``--model`` as a list of models."""
    if model is None:
        return usual
    return "auto" if model == "auto" else model.split(",")


def _named(setting: list[str]) -> list[str]:
    """The networks, objectives and solvers that ``--set`` names."""
    pairs = [text.split("=", 1) for text in setting if "=" in text]
    keys = ("model", "objective", "solver")
    return [name for key, value in pairs if key in keys for name in value.split(",")]


def _check_options(
    resume: Path | None,
    parent: Path | None,
    allow: list[str] | None,
    *,
    out: Path | None,
    print_recipe: bool,
    json: bool,
) -> None:
    """Refuse options that say nothing together."""
    from linnet.errors import InputError

    if resume is not None and (out is not None or parent is not None):
        raise InputError("--resume continues a run in its folder: leave out --out and --from")
    if allow and resume is None:
        raise InputError("--allow goes with --resume")
    if print_recipe and json:
        raise InputError("--print-recipe prints TOML: leave out --json")


def _settings(
    flags: dict[str, Any],
    setting: list[str],
    config: Path | None,
    resume: Path | None,
    parent: Path | None,
) -> dict[str, Any]:
    """The settings, each overriding the one before: run to continue or to start from, file, flags,
    ``--set``."""
    from linnet.fit.settings import read_recipe, read_settings

    settings = {} if config is None else read_recipe(config)
    settings |= {key: value for key, value in flags.items() if value is not None}
    given = read_settings(setting)
    columns = {**settings.get("columns", {}), **given.get("columns", {})}
    settings |= {**given, **({"columns": columns} if columns else {})}
    if resume is None and parent is None:
        return settings
    from linnet.runs.archive import run_place
    from linnet.runs.lineage import inherited
    from linnet.runs.resume import recipe_of

    if resume is not None:
        return {**recipe_of(resume).plain(), **settings}
    assert parent is not None
    return {**inherited(recipe_of(run_place(parent))), **settings}


def _quiet() -> None:
    """Do not print linnet's warnings, which the progress display shows; but print why there is no
    live page."""
    import warnings

    from linnet.errors import LinnetWarning

    warnings.simplefilter("ignore", LinnetWarning)
    warnings.filterwarnings("always", "no live page", LinnetWarning)


def _print_recipes(tried: "list[Trial]", resume: Path | None, parent: Path | None) -> None:
    from linnet.experiment.train import Plan

    for trial in tried:
        plan = Plan.of(None, trial.recipe, None, resume, parent, {})
        print_toml(plan.prepare().recipe.toml())


def _train(
    trial: "Trial", out: Path | None, options: dict[str, Any], *, report: bool, json: bool
) -> None:
    """Train once; print the scores and the diagnosis."""
    from linnet.experiment.train import train
    from linnet.runs.directory import state_of

    resume = options["resume"]
    if resume is not None and state_of(resume)[0] == "finished":
        say(f"{resume} has finished: there is nothing to continue", error=True)
    with interruptible() as stop:
        run = train(recipe=trial.recipe, out=out, stop=stop, **options)
    if json:
        print_json(run.metrics)
    else:
        show(run)
        for claim in run.reasons():
            say(tr("why: {text}", text=in_flags(str(claim))))
    if report:
        _report(run, quiet=json)


def _launched() -> bool:
    """Whether a launcher of several ranks, torchrun or linnet's own, started this process."""
    return os.environ.get("WORLD_SIZE", "1") not in ("", "1") and "MASTER_ADDR" in os.environ


def _on_ranks(
    ranks: int | None,
    tried: "list[Trial]",
    out: Path | None,
    options: dict[str, Any],
    *,
    report: bool,
    json: bool,
) -> None:
    """Train with several processes: start them, or be one of them."""
    from linnet.core import parallel
    from linnet.errors import InputError, LinnetError, LostRank

    if len(tried) > 1:
        raise InputError("ranks train one run: do not give lists of settings")
    if not parallel.launched():
        assert ranks is not None
        code = parallel.launch(ranks, sys.argv[1:])
        if code:
            _leave_at_once(code)
        raise typer.Exit(code)
    size = int(os.environ["WORLD_SIZE"])
    if ranks is not None and ranks != size:
        raise InputError(f"--ranks {ranks}, but the launcher started {size}: leave --ranks out")
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0:
        out, options = _restarted(out, options)
    lead = os.environ["RANK"] == "0"
    if "TORCHELASTIC_RUN_ID" in os.environ:
        parallel.watch_launcher(lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        with parallel.ranks() as world:
            if lead:
                _train(tried[0], out, {**options, "world": world}, report=report, json=json)
            else:
                _help(tried[0], out, {**options, "world": world})
    except LinnetError as error:
        error.silent = error.silent if isinstance(error, LostRank) else error.silent or not lead
        if not error.silent:
            parallel.said()
        _leave_at_once(error.exit_code)
        raise


def _leave_at_once(code: int) -> None:
    """End this process without the seconds in which Python unloads its libraries: the others of
    these ranks wait for it."""

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)

    atexit.register(leave)


def _help(trial: "Trial", out: Path | None, options: dict[str, Any]) -> None:
    """Train as a rank that writes and prints nothing."""
    import warnings

    from linnet.experiment.train import train

    warnings.simplefilter("ignore")
    with ignored():
        train(recipe=trial.recipe, out=out, **{**options, "echo": False, "to": (), "view": False})


def _restarted(out: Path | None, options: dict[str, Any]) -> tuple[Path | None, dict[str, Any]]:
    """What torchrun's restart means, which gives the same words again: go on with the run."""
    from linnet.runs.directory import RECIPE

    if out is None or not (out / RECIPE).is_file():
        return out, options
    return None, {**options, "resume": out}


def _sweep(
    tried: "list[Trial]", out: Path | None, options: dict[str, Any], *, report: bool, json: bool
) -> None:
    """Train once for each trial."""
    from linnet.experiment.sweep import sweep

    def tell(trial: "Trial") -> None:
        if trial.error is not None:
            say(f"error: {trial.error}", error=True)
        elif trial.run is None:
            say(trial.name, error=True)
        elif report:
            _report(trial.run, quiet=True)

    options = {key: options[key] for key in ("echo", "to", "parent", "view")}
    with interruptible() as stop:
        done = sweep(among=tried, out=out, tell=tell, options={**options, "stop": stop})
    show_sweep(done, json=json)


def _report(run: "Run", *, quiet: bool) -> None:
    """Write the run's report; if that fails, only warn, because the run itself is done."""
    from linnet.errors import LinnetError
    from linnet.show.report.page import write

    target = run.path / "report.html"
    try:
        write([run.path], target)
    except LinnetError as error:
        say(f"warning: no report: {error}", error=True)
        return
    if not quiet:
        say(tr("report: {place}", place=target))
