"""A drop-in ``Visdom``: it writes the calls of a program into a file, not to a Visdom server.

    from linnet.compat.visdom import Visdom

    viz = Visdom()
    viz.line([0.0], [0.0], win="loss", opts=dict(title="training loss"))
    viz.line([loss], [step], win="loss", update="append")

No server is needed: each call appends one line to ``visdom-<env>.jsonl`` in a run's directory. The
system has the line when the call returns, so a killed program loses nothing. Pictures are beside it
as ``media/<sha256>.png``.

The run is ``run=``, or the environment variable ``LINNET_RUN``. Nothing else in such a run is
touched: the training alone writes its ``events.jsonl``, and each environment has its own file, so
no file has two writers. Without a run, the folder is ``runs/visdom-<env>``; it is made if
necessary, else lines are appended. This module then writes its ``run.json`` and ``status.json``, so
it is listed like any other run. `linnet.integrations.compat.windows` reads the windows, for pages
and reports.

Intended differences from Visdom:

- a line is identified by ``name`` or by its position, in any order, also when the window is new;
- numbers, and tensors that need gradients, are accepted;
- a call with bad shapes raises `InputError` (a ValueError), where Visdom asserts;
- earlier pictures of a window are kept, so that a page can go back to them, also without
  ``store_history``; pictures with negative values are stretched from their smallest to their
  largest value, where Visdom's values would wrap around;
- texts are plain text: ``<br>`` is a new line, all other markup is shown as text.
"""

from __future__ import annotations

import atexit
import hashlib
import math
import os
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linnet.core import events, files
from linnet.core.record import Record
from linnet.errors import InputError
from linnet.integrations.compat import windows
from linnet.runs import directory, provenance

VARIABLE = "LINNET_RUN"
UPDATES = ("append", "replace", "insert", "new")
"""The values of ``update``; the last two are older words for a line that does not exist yet."""
HEATMAP_UPDATES = ("replace", "appendRow", "appendColumn", "prependRow", "prependColumn")
INSTEAD = {
    "audio": "write the sound to a file and name it with text()",
    "boxplot": "histogram(), or matplot() of a matplotlib figure",
    "contour": "heatmap()",
    "delete_env": "close() for its windows; an environment is a file in the run's directory",
    "dual_axis_lines": "two windows of line()",
    "embeddings": "scatter() of two columns",
    "fork_env": "a copy of the run's directory",
    "get_window_data": "linnet.integrations.compat.windows.windows(path)",
    "graph": "matplot() of a matplotlib figure",
    "mesh": "scatter() of three columns, or matplot() of a matplotlib figure",
    "pie": "bar()",
    "plotlyplot": "line(), scatter(), bar() or heatmap()",
    "properties": "text()",
    "quiver": "matplot() of a matplotlib figure",
    "register_event_handler": "nothing: a record has no buttons",
    "clear_event_handlers": "nothing: a record has no buttons",
    "replay_log": "linnet runs sync RUN --to visdom",
    "set_window_data": "the call that draws the window",
    "stem": "bar()",
    "sunburst": "bar()",
    "surf": "heatmap()",
    "svg": "matplot() of a matplotlib figure",
    "update_window_opts": "opts= of the next line() or scatter() with update='append'",
    "video": "image() with opts=dict(store_history=True), once a frame",
    "win_hash": "win_exists()",
}
"""Visdom's other calls, and a replacement for each."""

Opts = dict[str, Any] | None


@dataclass
class _Drawn:
    """The kind of a window, the names of its lines in order, and the last written opts."""

    kind: str
    names: list[str] = field(default_factory=list)
    opts: Opts = None

    def news(self, opts: Opts) -> Opts:
        """``opts`` as JSON, or None if they are already written."""
        plain: Opts = _plain(opts) if opts else None
        if plain is None or plain == self.opts:
            return None
        self.opts = plain
        return plain


class _Environment:
    """The only writer of an environment's file in this process.

    ``drawn`` has for each window the facts that the next call needs; it does not grow with the
    number of points.
    """

    def __init__(self, run: Path, env: str) -> None:
        self.run = run
        self.path = run / windows.file_name(env)
        self.drawn: dict[str, _Drawn] = {}
        if self.path.exists():
            for name, window in windows.windows(self.path).items():
                self.drawn[name] = _Drawn(window.kind, [line.name for line in window.lines])
            _end_line(self.path)
        self._record = Record(self.path)
        start = events.Start(format=directory.FORMAT, wall=directory.now(), env=env)
        self._record.write(start)
        atexit.register(self._record.close)

    def write(self, event: events.Drawn | events.Close) -> None:
        self._record.write(event)


_OPEN: dict[Path, _Environment] = {}


def _open(run: Path, env: str, own: bool) -> _Environment:
    """The writer of the environment; with ``own`` this module also writes the run's status."""
    path = run / windows.file_name(env)
    known = _OPEN.get(path)
    if known is None or not path.exists():
        if own:
            _keep(run, env)
        known = _OPEN[path] = _Environment(run, env)
    return known


def _keep(run: Path, env: str) -> None:
    """Make ``run`` a run of this program: write its ``run.json`` and its status, also at exit."""
    run.mkdir(parents=True, exist_ok=True)
    if not (run / directory.RUN).exists():
        facts = {
            "format": directory.FORMAT,
            "created": directory.now(),
            "command": sys.argv,
            "data": {"name": f"visdom {env}"},
            "versions": provenance.versions(),
            "directory": os.getcwd(),
        }
        files.write_json(run / directory.RUN, facts)
    heartbeat = directory.Heartbeat(run)
    heartbeat.__enter__()
    process = os.getpid()

    def end() -> None:
        if os.getpid() != process or not run.is_dir():
            return  # a fork of the program, or its run was deleted
        error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
        heartbeat.__exit__(type(error) if error else None, error, None)

    atexit.register(end)


def _end_line(path: Path) -> None:
    """End an incomplete line of a killed writer, so that the next line is separate."""
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        if not file.tell():
            return
        file.seek(-1, os.SEEK_END)
        torn = file.read(1) != b"\n"
    if torn:
        with files.append(path) as end:
            end.write(b"\n")


class Visdom:
    """The calls of ``visdom.Visdom``, with the same arguments, written to a run's directory.

    ``env`` names the set of windows, "main" by default; each call may name another. ``run`` is the
    directory of the run to write into. Arguments about a server (``server``, ``port``, ...) are
    ignored. A call that draws returns the name of its window; without ``win`` the name is new.
    ``opts`` are stored for pages that show the window: ``title``, ``xlabel``, ``ylabel``,
    ``legend``, ``caption`` and so on.
    """

    def __init__(
        self,
        server: str | None = None,
        endpoint: str | None = None,
        port: int | None = None,
        *,
        env: str | None = "main",
        run: str | os.PathLike[str] | None = None,
        **ignored: Any,
    ) -> None:
        given = run if run is not None else os.environ.get(VARIABLE) or None
        self.env = "main" if env is None else str(env)
        self._run = None if given is None else Path(given).absolute()
        self._root = directory.ROOT.absolute()
        self._environments: dict[str, _Environment] = {}
        if self._run is not None and not self._run.is_dir():
            raise InputError(f"there is no run {given}; create it first, or leave out run=")
        self._at(None)

    def __repr__(self) -> str:
        return f"Visdom(env={self.env!r}, run={str(self._at(None).run)!r})"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in INSTEAD:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

        def refuse(*args: Any, **options: Any) -> None:
            raise NotImplementedError(
                f"linnet.compat.visdom has no {name}(); use {INSTEAD[name]}, or the package visdom"
            )

        return refuse

    def line(
        self,
        Y: Any,
        X: Any = None,
        win: str | None = None,
        env: str | None = None,
        opts: Opts = None,
        update: str | None = None,
        name: str | None = None,
    ) -> str:
        """Lines through points: ``Y`` is (n,) or (n, k) for k lines, ``X`` the same or (n,).

        Without ``X`` the points are spread evenly from 0 to 1. Without ``update`` the window is
        drawn again; "append" and "replace" change only these lines, identified by ``name``, by
        ``opts["legend"]`` or by their position; "remove" removes the line ``name``. An update with
        all ``X`` NaN does not change its line.
        """
        if update == "remove":
            return self._remove(win, env, name, opts)
        if update and X is None:
            raise InputError(f"line(update={update!r}) needs X, the x values of the points")
        y = _numbers(Y, "Y")
        x = np.linspace(0, 1, len(y)) if X is None else _numbers(X, "X")
        if y.ndim > 2 or x.ndim > 2:
            raise InputError(f"X and Y of a line have 1 or 2 axes; got {_shapes(X=x, Y=y)}")
        if y.shape[-1] == 0:
            raise InputError("Y contains no line")
        shared = y.ndim == 2 and x.ndim == 1 and len(x) == len(y)
        if not shared and x.shape != y.shape:
            raise InputError(
                f"X must be as long as Y or of the same shape; got {_shapes(X=x, Y=y)}"
            )
        ys = y.T.tolist() if y.ndim == 2 else [y.tolist()]
        xs = [x.tolist()] * len(ys) if x.ndim == 1 else x.T.tolist()
        lines = [{"x": a, "y": b} for a, b in zip(xs, ys, strict=True)]
        return self._draw(events.Line, lines, range(len(lines)), win, env, opts, update, name)

    def scatter(
        self,
        X: Any,
        Y: Any = None,
        win: str | None = None,
        env: str | None = None,
        opts: Opts = None,
        update: str | None = None,
        name: str | None = None,
    ) -> str:
        """Points: ``X`` is (n, 2) or (n, 3); ``Y`` (n,) puts each in a group 1, 2, ..., K.

        ``opts["textlabels"]`` are n texts beside the points. ``update`` as in `line`; with ``name``
        ``X`` and ``Y`` may be the two coordinates, both (n,).
        """
        if update == "remove":
            return self._remove(win, env, name, opts)
        x = _numbers(X, "X")
        if update and name and x.ndim == 1:
            y = _numbers(Y, "Y")
            if x.shape != y.shape:
                raise InputError(f"X and Y must have the same shape; got {_shapes(X=x, Y=y)}")
            x, Y = np.column_stack((x, y)), None
        if x.ndim != 2 or x.shape[1] not in (2, 3):
            raise InputError(f"X of a scatter has shape (n, 2) or (n, 3); got {_shapes(X=x)}")
        groups = np.ones(len(x)) if Y is None else _numbers(Y, "Y").ravel()
        if len(groups) != len(x):
            raise InputError(f"X and Y must have one length; got {_shapes(X=x, Y=groups)}")
        if not (np.mod(groups, 1) == 0).all() or (groups < 1).any():
            raise InputError("Y of a scatter holds the numbers of groups: 1, 2, ...")
        labels = (opts or {}).get("textlabels")
        if labels is not None and len(labels) != len(x):
            raise InputError(f"{len(labels)} textlabels for {len(x)} points")
        present = [int(group) for group in np.unique(groups)]
        lines: list[dict[str, Any]] = []
        for group in present:
            rows = np.flatnonzero(groups == group)
            axes = zip("xyz", x[rows].T, strict=False)
            line: dict[str, Any] = {axis: values.tolist() for axis, values in axes}
            if labels is not None:
                line["labels"] = [str(labels[row]) for row in rows]
            lines.append(line)
        places = [group - 1 for group in present]
        return self._draw(events.Scatter, lines, places, win, env, opts, update, name)

    def bar(
        self,
        X: Any,
        Y: Any = None,
        win: str | None = None,
        env: str | None = None,
        opts: Opts = None,
    ) -> str:
        """Bars of height ``X``, (n,) or (n, k) for k bars at each position; ``Y`` (n,) are the
        positions.

        ``opts``: ``rownames`` names the n positions, ``legend`` the k bars, ``stacked`` stacks
        them.
        """
        opts = opts or {}
        x = np.squeeze(_numbers(X, "X"))
        if x.ndim > 2:
            raise InputError(f"X of a bar plot has 1 or 2 axes; got {_shapes(X=x)}")
        legend, rows = opts.get("legend"), opts.get("rownames")
        if x.ndim < 2:
            x = x.reshape(-1, 1) if legend is None else x.reshape(1, -1)
        y = np.arange(1, len(x) + 1) if Y is None else _numbers(Y, "Y").ravel()
        if len(y) != len(x):
            raise InputError(f"X and Y must have one length; got {_shapes(X=x, Y=y)}")
        if rows is not None and len(rows) != len(x):
            raise InputError(f"{len(rows)} rownames for {len(x)} rows of X")
        if legend is not None and len(legend) != x.shape[1]:
            raise InputError(f"{len(legend)} names in the legend for {x.shape[1]} columns of X")
        places = y.tolist() if rows is None else [str(row) for row in rows]
        lines = [{"x": places, "y": column.tolist()} for column in x.T]
        return self._draw(events.Bar, lines, range(len(lines)), win, env, opts, None, None)

    def histogram(
        self, X: Any, win: str | None = None, env: str | None = None, opts: Opts = None
    ) -> str:
        """A histogram of the values ``X`` (n,) with ``opts["numbins"]`` bins of equal width.

        By default 30 bins, or n if that is less. The bars are at the middle of the bins.
        """
        x = np.atleast_1d(np.squeeze(_numbers(X, "X")))
        if x.ndim != 1 or not len(x) or not np.isfinite(x).all():
            raise InputError(f"X of a histogram is (n,), of finite numbers; got {_shapes(X=x)}")
        bins = int((opts or {}).get("numbins") or min(30, len(x)))
        counts, edges = np.histogram(x, bins=bins)
        middles = (edges[:-1] + edges[1:]) / 2
        return self.bar(counts, middles, win, env, {**(opts or {}), "numbins": bins})

    def heatmap(
        self,
        X: Any,
        win: str | None = None,
        env: str | None = None,
        update: str | None = None,
        opts: Opts = None,
    ) -> str:
        """Colours for the values ``X`` (rows, columns).

        ``opts``: ``rownames``, ``columnnames``, ``colormap``, ``xmin``, ``xmax``. ``update`` is
        "replace", "remove", or "appendRow", "appendColumn", "prependRow", "prependColumn".
        """
        if update == "remove":
            self._at(env).write(events.Heatmap(win=_named(win, update), update=update))
            self._at(env).drawn.pop(str(win), None)
            return str(win)
        if update not in (None, *HEATMAP_UPDATES):
            raise InputError(f"update={update!r}; expected {', '.join(HEATMAP_UPDATES)} or remove")
        x = _numbers(X, "X")
        if x.ndim != 2:
            raise InputError(f"X of a heatmap has shape (rows, columns); got {_shapes(X=x)}")
        names = {key: (opts or {}).get(key) for key in ("rownames", "columnnames")}
        for (key, given), count in zip(names.items(), x.shape, strict=True):
            if given is not None and len(given) != count:
                raise InputError(f"{len(given)} {key} for {count} in X, {_shapes(X=x)}")
        environment, win, keep = self._window(env, win, "heatmap", update)
        environment.write(
            events.Heatmap(
                win=win,
                update=update if keep else None,
                z=x.tolist(),
                rows=_texts(names["rownames"]),
                columns=_texts(names["columnnames"]),
                opts=_plain(opts),
            )
        )
        return win

    def image(
        self, img: Any, win: str | None = None, env: str | None = None, opts: Opts = None
    ) -> str:
        """A picture: ``img`` is (height, width) or (channels, height, width): 1, 3 or 4 channels.

        Floating-point numbers are from 0 to 1, whole numbers from 0 to 255; the module's docstring
        says what happens to negative ones. ``opts``: ``caption``; ``store_history`` adds the
        picture to those of the window.
        """
        pixels = _array(img, "img")
        if pixels.ndim == 2:
            pixels = pixels[None]
        if pixels.ndim != 3 or pixels.shape[0] not in (1, 3, 4) or not pixels.size:
            raise InputError(
                "img has shape (height, width) or (channels, height, width), with 1, 3 or 4 "
                f"channels; got {_shapes(img=pixels)}"
            )
        return self._show(_bytes(pixels), win, env, opts)

    def images(
        self,
        tensor: Any,
        nrow: int = 8,
        padding: int = 2,
        win: str | None = None,
        env: str | None = None,
        opts: Opts = None,
    ) -> str:
        """Pictures (n, channels, height, width), or a list of pictures, as one sheet.

        ``nrow`` pictures are side by side, with ``padding`` white pixels around each.
        """
        if isinstance(tensor, (list, tuple)):
            parts = [_array(part, "tensor") for part in tensor]
            if len({part.shape for part in parts}) != 1:
                raise InputError("images() takes pictures of one shape, and at least one")
            pixels = np.stack(parts)
        else:
            pixels = _array(tensor, "tensor")
        if pixels.ndim < 4:
            return self.image(pixels, win, env, opts)
        if pixels.ndim != 4 or pixels.shape[1] not in (1, 3, 4) or not pixels.size:
            raise InputError(
                "images() takes (n, channels, height, width), with 1, 3 or 4 channels; "
                f"got {_shapes(tensor=pixels)}"
            )
        return self._show(_sheet(_bytes(pixels), max(1, int(nrow)), int(padding)), win, env, opts)

    def matplot(
        self, plot: Any, opts: Opts = None, env: str | None = None, win: str | None = None
    ) -> str:
        """A matplotlib figure (or ``matplotlib.pyplot``, its current one) as a picture."""
        from PIL import Image

        buffer = BytesIO()
        plot.savefig(buffer, format="png")
        with Image.open(buffer, formats=["PNG"]) as picture:
            size = picture.size
        return self._store(buffer.getvalue(), size, win, env, opts)

    def text(
        self,
        text: Any,
        win: str | None = None,
        env: str | None = None,
        opts: Opts = None,
        append: bool = False,
    ) -> str:
        """A text; ``append`` adds it to the window as a new line."""
        update = "append" if append and win is not None else None
        environment, win, keep = self._window(env, win, "text", update)
        shown = events.Text(win=win, append=keep or None, text=str(text), opts=_plain(opts))
        environment.write(shown)
        return win

    def close(self, win: str | None = None, env: str | None = None) -> str:
        """Close a window; without ``win`` close all windows of the environment."""
        environment = self._at(env)
        if win is None:
            environment.drawn.clear()
        else:
            environment.drawn.pop(str(win), None)
        environment.write(events.Close(win=None if win is None else str(win)))
        return "" if win is None else str(win)

    def win_exists(self, win: str, env: str | None = None) -> bool:
        """Whether the window exists."""
        return str(win) in self._at(env).drawn

    def save(self, envs: list[str]) -> list[str]:
        """Do nothing, because everything is already saved; returns ``envs``."""
        if not isinstance(envs, list) or not all(isinstance(env, str) for env in envs):
            raise InputError("save() takes a list of the names of environments")
        return envs

    def check_connection(self, timeout_seconds: float = 0) -> bool:
        """True: there is no connection to lose."""
        return True

    def get_env_list(self) -> list[str]:
        """The names of the environments in the run, or without one in all of ``runs``."""
        runs = [self._run] if self._run else sorted(self._root.glob("visdom-*"))
        return sorted({env for run in runs for env in windows.environments(run)})

    def _at(self, env: str | None) -> _Environment:
        env = self.env if env is None else str(env)
        if env not in self._environments:
            run = self._run or self._root / windows.folder_name(env)
            self._environments[env] = _open(run, env, own=self._run is None)
        return self._environments[env]

    def _window(
        self, env: str | None, win: str | None, kind: str, update: str | None
    ) -> tuple[_Environment, str, bool]:
        """The environment, the name of the window, and whether a window of that kind exists."""
        environment = self._at(env)
        if update:
            _named(win, update)
        name = f"window_{uuid.uuid4().hex[:12]}" if win is None else str(win)
        drawn = environment.drawn.get(name)
        keep = bool(update) and drawn is not None and drawn.kind == kind
        if not keep:
            environment.drawn[name] = _Drawn(kind)
        return environment, name, keep

    def _draw(
        self,
        kind: type[events.Line],
        lines: list[dict[str, Any]],
        places: Sequence[int],
        win: str | None,
        env: str | None,
        opts: Opts,
        update: str | None,
        name: str | None,
    ) -> str:
        """Name each line by ``name``, by the legend or by its position, and write the lines."""
        if update and update not in UPDATES:
            raise InputError(f"update={update!r}; expected append, replace or remove")
        if name and len(lines) > 1:
            raise InputError(f"name={name!r} is for one line; X and Y hold {len(lines)}")
        legend = (opts or {}).get("legend")
        if legend is not None and not isinstance(legend, (list, tuple)):
            raise InputError(f"opts['legend'] is a list of names; got {legend!r}")
        if legend and not name and lines and max(places) >= len(legend):
            raise InputError(f"{len(legend)} names in the legend for {max(places) + 1} lines")
        shape = "bars" if kind is events.Bar else "lines"
        environment, win, keep = self._window(env, win, shape, update)
        drawn = environment.drawn[win]
        known = drawn.names
        for line, place in zip(lines, places, strict=True):
            if name:
                line["name"] = str(name)
            elif legend and (str(legend[place]) in known or place >= len(known)):
                line["name"] = str(legend[place])
            else:
                line["name"] = known[place] if place < len(known) else str(place + 1)
        if keep:
            lines = [line for line in lines if not all(map(math.isnan, line["x"]))]
        known += [line["name"] for line in lines if line["name"] not in known]
        how = ("append" if update == "append" else "replace") if keep else None
        environment.write(kind(win=win, update=how, lines=lines, opts=drawn.news(opts)))
        return win

    def _remove(self, win: str | None, env: str | None, name: str | None, opts: Opts) -> str:
        win = _named(win, "remove")
        if name is None or opts is not None:
            raise InputError("update='remove' needs the name of the line, and takes no opts")
        environment = self._at(env)
        drawn = environment.drawn.get(win)
        if drawn and name in drawn.names:
            drawn.names.remove(name)
        environment.write(events.Line(win=win, update="remove", name=str(name)))
        return win

    def _show(self, pixels: NDArray[np.uint8], win: str | None, env: str | None, opts: Opts) -> str:
        """Write ``pixels`` (channels, height, width) as a PNG file."""
        from PIL import Image

        rows = np.ascontiguousarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
        picture = Image.fromarray(rows)
        buffer = BytesIO()
        picture.save(buffer, format="png")
        return self._store(buffer.getvalue(), picture.size, win, env, opts)

    def _store(
        self,
        content: bytes,
        size: tuple[int, int],
        win: str | None,
        env: str | None,
        opts: Opts,
    ) -> str:
        append = bool((opts or {}).get("store_history"))
        update = "append" if append and win is not None else None
        environment, win, keep = self._window(env, win, "pictures", update)
        file = Path(windows.MEDIA) / f"{hashlib.sha256(content).hexdigest()[:32]}.png"
        path = environment.run / file
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            files.write(path, content)
        environment.write(
            events.Image(
                win=win,
                append=keep or None,
                file=file.as_posix(),
                width=size[0],
                height=size[1],
                opts=_plain(opts),
            )
        )
        return win


def _array(value: Any, name: str) -> NDArray[Any]:
    """A tensor of any library, a list of them or of numbers, or a number, as an array."""
    if isinstance(value, (list, tuple)) and any(hasattr(item, "detach") for item in value):
        value = [_array(item, name) for item in value]
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.double() if value.is_floating_point() else value
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must be numbers in rows of one length; got {_short(value)}")
    return array


def _numbers(value: Any, name: str) -> NDArray[np.float64]:
    """``value`` in float64; a single number is one row."""
    if hasattr(value, "detach"):  # a tensor, on any device, with or without gradients
        value = value.tolist()
    array = _array(value, name).astype(np.float64, copy=False)
    return array.reshape(1) if array.ndim == 0 else array


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _shapes(**arrays: NDArray[Any]) -> str:
    return ", ".join(f"{name} of shape {array.shape}" for name, array in arrays.items())


def _named(win: str | None, update: str) -> str:
    if win is None:
        raise InputError(f"update={update!r} needs win=: the window to update")
    return str(win)


def _texts(values: Any) -> list[str] | None:
    return None if values is None else [str(value) for value in values]


def _plain(value: Any) -> Any:
    """``opts`` as JSON: other values become text, and an empty dict becomes None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()} or None
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _bytes(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels from 0 to 255, from numbers in [0, 1], with negative ones, or up to 255."""
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "f":
        pixels = np.nan_to_num(pixels, posinf=255, neginf=0)
        least, most = pixels.min(), pixels.max()
        if least < 0:
            pixels = (pixels - least) * (255 / (most - least or 1))
        elif most <= 1:
            pixels = pixels * 255
        pixels = np.rint(pixels)
    return pixels.clip(0, 255).astype(np.uint8)


def _sheet(pixels: NDArray[np.uint8], across: int, padding: int) -> NDArray[np.uint8]:
    """Pictures (n, channels, height, width) as one (channels, ...), ``across`` side by side."""
    count, channels, height, width = pixels.shape
    across = min(across, count)
    down = -(-count // across)
    cells = np.full(
        (down * across, channels, height + 2 * padding, width + 2 * padding), 255, dtype=np.uint8
    )
    cells[:count, :, padding : padding + height, padding : padding + width] = pixels
    grid = cells.reshape(down, across, *cells.shape[1:])
    return grid.transpose(2, 0, 3, 1, 4).reshape(channels, down * cells.shape[2], -1)
