"""An existing Visdom server: curves, texts, pictures, and the windows of programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnet.core import files
from linnet.core.events import Plain
from linnet.core.limits import MAX_MANIFEST
from linnet.errors import RecipeError
from linnet.integrations.sinks.base import Sink, number, picture_path
from linnet.runs import directory

SECONDS = 10.0
"""The timeout of a request, in seconds."""
POINTS = 10_000
"""The most points of one line in one request."""

Line = tuple[str, str, str]
"""Environment, window, line."""


class VisdomServer(Sink):
    """One environment with the name of the run, and a window for each value of a model, with a
    line for training and one for validation. Points are sent in `flush`: one request per point
    would take a hundredth of a second each.
    """

    options = ("server", "port", "env")
    packages = ("visdom",)

    def open(self, run: Path, options: Mapping[str, str]) -> None:
        self._run = run
        self._env = options.get("env") or run.absolute().name
        self._points: dict[Line, tuple[list[float], list[float], dict[str, Any]]] = {}
        try:
            port = int(options.get("port", "8097"))
        except ValueError:
            raise RecipeError(f"port={options['port']}: expected a number such as 8097") from None
        self._service = _client(options.get("server", "http://localhost"), port, self._env)

    def write(self, event: Plain) -> None:
        if event["event"] in ("line", "scatter", "bar", "heatmap", "image", "text", "close"):
            self._window(event)
        else:
            super().write(event)
        if event["event"] == "test":
            self._confusion(str(event.get("model")), event.get("test") or {})

    def scalars(self, values: dict[str, float], step: int, wall: float) -> None:
        for tag, value in values.items():
            model, part, key = tag.split("/", 2)
            opts = {"title": f"{model} {key}", "xlabel": "step", "ylabel": key}
            self._add((self._env, f"{model}/{key}", part), [step], [value], opts)

    def summary(self, values: dict[str, float], wall: float) -> None:
        lines = [f"{tag.split('/', 2)[2]}: {value:.6g}" for tag, value in values.items()]
        for tag in list(values)[:1]:
            self.text(tag.rpartition("/")[0], "\n".join(lines), 0, wall)

    def text(self, tag: str, text: str, step: int, wall: float) -> None:
        self._service.text(_html(text), win=tag, env=self._env, opts={"title": tag})

    def end(self, wall: float) -> None:
        self.text("verdict", str(directory.read_metrics(self._run).get("verdict")), 0, wall)
        pictures = _templates(self._run / "linear.safetensors")
        if pictures is not None:
            win = "linear/weights"
            opts = {"title": "linear: weights of each class (grey is 0)"}
            self._service.images(pictures, win=win, env=self._env, opts=opts)

    def flush(self) -> None:
        import numpy as np

        for line in list(self._points):
            env, win, name = line
            x, y, opts = self._points[line]
            while x:
                self._service.line(
                    np.array(y[:POINTS]),
                    np.array(x[:POINTS]),
                    win=win,
                    env=env,
                    name=name,
                    update="append",
                    opts=dict(opts),
                )
                del x[:POINTS], y[:POINTS]
            del self._points[line]

    def _add(self, line: Line, x: list[float], y: list[float], opts: dict[str, Any]) -> None:
        waiting = self._points.setdefault(line, ([], [], {}))
        waiting[0].extend(x)
        waiting[1].extend(y)
        waiting[2].update(opts)

    def _confusion(self, model: str, test: dict[str, Any]) -> None:
        import numpy as np

        if "confusion" not in test:
            return
        names = [f"{name} " for name in test["classes"]]  # text: numbers would become an axis
        opts = {
            "title": f"{model}: confusion (rows are true)",
            "rownames": names,
            "columnnames": names,
        }
        matrix = np.array(test["confusion"], dtype=float)
        self._service.heatmap(matrix, win=f"{model}/confusion", env=self._env, opts=opts)

    def _window(self, event: Plain) -> None:
        """Repeat the call of the program."""
        import numpy as np

        kind, win = event["event"], event.get("win")
        env = self._env if event["env"] == "main" else f"{self._env}_{event['env']}"
        opts, update = dict(event.get("opts") or {}), event.get("update")
        viz = self._service
        if kind == "line" and update == "append":
            for line in event["lines"]:
                self._add(
                    (env, str(win), line["name"]), _floats(line["x"]), _floats(line["y"]), opts
                )
            return
        self.flush()  # keep the order
        if kind == "close":
            viz.close(win, env=env)
        elif update == "remove":
            viz.line(None, win=win, env=env, update="remove", name=event.get("name"))
        elif kind in ("line", "scatter"):
            self._lines(event, env, opts)
        elif kind == "bar":
            heights = np.array([_floats(line["y"]) for line in event["lines"]]).T
            x = event["lines"][0]["x"]
            places = None if x and isinstance(x[0], str) else np.array(_floats(x))
            viz.bar(heights, places, win=win, env=env, opts=opts)
        elif kind == "heatmap":
            z = np.array([_floats(row) for row in event["z"]])
            viz.heatmap(z, win=win, env=env, update=update, opts=opts)
        elif kind == "text":
            append = bool(event.get("append"))
            viz.text(_html(str(event["text"])), win=win, env=env, opts=opts, append=append)
        else:
            self._image(event, env, opts)

    def _lines(self, event: Plain, env: str, opts: dict[str, Any]) -> None:
        """Draw a window again, or replace some of its lines; the first call makes the window."""
        import numpy as np

        opts.pop("legend", None)
        update = event.get("update")
        for index, line in enumerate(event["lines"]):
            points = np.column_stack([_floats(line[axis]) for axis in "xyz" if axis in line])
            how = update or ("append" if index else None)
            style = {
                "win": event["win"],
                "env": env,
                "opts": opts | {"showlegend": True},
                "update": how,
                "name": line["name"],
            }
            if event["event"] == "line":
                self._service.line(points[:, 1], points[:, 0], **style)
            else:
                self._service.scatter(points, **style)

    def _image(self, event: Plain, env: str, opts: dict[str, Any]) -> None:
        import numpy as np
        from PIL import Image

        path = picture_path(self._run, event)
        if path is None:
            return
        with Image.open(path, formats=["PNG"]) as picture:
            pixels = np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)
        self._service.image(pixels, win=event["win"], env=env, opts=opts)


def _templates(path: Path) -> Any:
    """The line's weights as pictures (classes, channels, height, width), 0.5 for a weight of 0.

    None if there is no line, or if its inputs are not pictures.
    """
    if not path.is_file():
        return None
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        manifest = files.loads(file.metadata()["linnet"], str(path), MAX_MANIFEST)
        shape = manifest["schema"].get("shape") or []
        if len(shape) != 3 or shape[0] not in (1, 3):
            return None
        weight = file.get_tensor("linear.weight").reshape(-1, *shape)
    return 0.5 + weight / (2 * abs(weight).max() or 1)


def _client(server: str, port: int, env: str) -> Any:
    """Visdom's own client, changed to raise if a request fails, and to use a short timeout."""
    import visdom

    def post(client: Any, url: str, data: Any = None) -> str:
        answer = client.session.post(url, data=data or {}, timeout=SECONDS)
        answer.raise_for_status()
        return str(answer.text)

    client = type("Client", (visdom.Visdom,), {"_handle_post": post})
    return client(
        server=server, port=port, env=env, raise_exceptions=True, use_incoming_socket=False
    )


def _html(text: str) -> str:
    """``text`` escaped for Visdom, which shows HTML."""
    from html import escape

    return escape(text).replace("\n", "<br>")


def _floats(values: list[Any]) -> list[float]:
    found = (number(value) for value in values)
    return [float("nan") if value is None else value for value in found]
