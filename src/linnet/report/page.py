"""The report: a verdict and the reasons for it, panels, and how to do it again."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from linnet import files
from linnet.diagnosis import typical_probability
from linnet.errors import InputError, LinnetError
from linnet.figures.figure import CONFIG, Figure, plotly_script
from linnet.report.html import Html, data, join, put, shown, table, tag
from linnet.runs import directory, query
from linnet.runs.run import Run
from linnet.verdict import NAMES, headline, percent

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)

STYLE = Path(__file__).with_name("report.css")
WIDTH, COLOURS = 900, 32
"""Of a picture in a static report."""

MANY_CLASSES = 40
"""Of more classes the confusion matrix is a figure alone."""


def write(runs: Sequence[Path], out: Path, *, static: bool = False) -> None:
    """Write one HTML file on the runs, which opens anywhere, offline.

    ``static``: pictures without script, small enough to mail.
    """
    if not runs:
        raise InputError("name a run to report on")
    page = Page(static=static)
    parts = [page.run(Run(path)) for path in runs]
    if len(runs) > 1:
        parts.insert(0, page.comparison(runs))
    title = ", ".join(path.resolve().name for path in runs)
    files.write(out, page.document(title, join(parts)).encode())


class Page:
    """Collects the figures of a page while its parts are made."""

    def __init__(self, *, static: bool) -> None:
        self.static = static
        self._figures: list[dict[str, Any]] = []
        self._numbers: dict[str, Any] = {}

    def run(self, run: Run) -> Html:
        """All there is to say of one run."""
        metrics, info = run.metrics, run.info
        name = run.path.resolve().name
        self._numbers[name] = metrics
        chosen = run.chosen
        scores = metrics["models"][chosen]
        parts = [
            tag("h1", name),
            tag("p", run.verdict, class_="verdict"),
            self._reasons(run),
            tag("h2", "The models"),
            _scores(metrics),
            self._figure("Curves", run.curves),
        ]
        test = scores.get("test")
        if test and "confusion" in test:
            parts += [tag("h2", f"Class by class: {NAMES.get(chosen, chosen)}"), _classes(test)]
            if len(test["classes"]) <= MANY_CLASSES:
                parts.append(_confusion(test))
            else:
                parts.append(self._figure("Confusion", run.confusion))
            parts.append(self._figure("Is a probability what it says?", run.calibration))
        elif test:
            parts.append(self._figure("Predicted against true", run.residuals))
        if test:
            parts.append(self._figure("Mistakes", run.mistakes))
        if "linear" in metrics["models"]:
            parts.append(self._figure("What the line weighs", lambda: run.weights("linear")))
        parts += [_data(info), _again(run, info)]
        return tag("section", *parts)

    def comparison(self, runs: Sequence[Path]) -> Html:
        """In what runs differ, beside each other."""
        rows = [
            [key, *(", ".join(map(str, v)) if isinstance(v, list) else v for v in values)]
            for key, values in query.compare(runs)
        ]
        heads = ["", *(path.resolve().name for path in runs)]
        return tag("section", tag("h1", "Beside each other"), table(heads, rows))

    def document(self, title: str, body: Html) -> str:
        """The whole file."""
        style = Html(STYLE.read_text(encoding="utf-8"))
        head = [
            Html('<meta charset="utf-8">'),
            tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", f"{title}: linnet"),
            tag("style", style),
        ]
        scripts = [tag("script", data(self._numbers), type="application/json", id="numbers")]
        if self._figures:
            scripts += [
                tag("script", data(self._figures), type="application/json", id="figures"),
                tag("script", Html(plotly_script().replace("</script", "<\\/script"))),
                tag("script", Html(DRAW)),
            ]
        page = tag("html", tag("head", *head), tag("body", tag("main", body), *scripts), lang="en")
        return f"<!doctype html>\n{page}\n"

    def _reasons(self, run: Run) -> Html:
        """What holds the models back, and what the doctor warned of."""
        found = [tag("li", str(claim)) for claim in run.reasons()]
        found += [
            tag("li", f"{event.get('model', 'data')}: {event['text']}")
            for event in run.events()
            if event["event"] == "finding" and event.get("severity") == "warning"
        ]
        return tag("ul", *found, class_="reasons") if found else Html()

    def _figure(self, title: str, make: Callable[[], Figure]) -> Html:
        """A figure under its title; where it cannot be made, why."""
        try:
            figure = make()
        except LinnetError as error:
            return join([tag("h2", title), tag("p", str(error), class_="none")])
        if self.static:
            from linnet.figures.static import draw

            picture = base64.b64encode(_small(draw(figure, "png"))).decode()
            source = f"data:image/png;base64,{picture}"
            return join([tag("h2", title), tag("img", src=source, alt=title)])
        self._figures.append({**figure.plain(), "config": CONFIG})
        number = len(self._figures) - 1
        return join([tag("h2", title), tag("div", class_="figure", id=f"figure{number}")])


DRAW = """
"use strict";
const dark = matchMedia("(prefers-color-scheme: dark)");
const figures = JSON.parse(document.getElementById("figures").textContent);
function draw() {
  const ink = dark.matches ? "#dddddd" : "#222222";
  figures.forEach((figure, number) => {
    const layout = Object.assign({}, figure.layout, {font: {color: ink}});
    Plotly.react("figure" + number, figure.data, layout, figure.config);
  });
}
dark.addEventListener("change", draw);
draw();
"""


def _small(png: bytes) -> bytes:
    """A picture at most ``WIDTH`` wide in ``COLOURS`` colours: a third of the bytes."""
    from PIL import Image

    with Image.open(BytesIO(png)) as image:
        picture = image.convert("RGB")
    picture.thumbnail((WIDTH, 10 * WIDTH))
    out = BytesIO()
    picture.quantize(COLOURS).save(out, "PNG", optimize=True)
    return out.getvalue()


def _scores(metrics: dict[str, Any]) -> Html:
    rows = []
    for name, scores in metrics["models"].items():
        valid, test, fit = scores.get("valid", {}), scores.get("test"), scores["fit"]
        held = percent(valid["accuracy"]) if "accuracy" in valid else valid.get("rmse")
        mark = " (chosen)" if name == metrics["chosen"] else ""
        gap = fit.get("gap")
        rows.append(
            [
                f"{NAMES.get(name, name).removeprefix('the ')}{mark}",
                valid.get("loss"),
                held,
                headline(test) if test else None,
                _log_loss(test),
                fit["reason"] + ("" if gap is None else f"; at most {gap:.1e} above the optimum"),
                f"{fit['seconds']:.1f} s",
            ]
        )
    heads = [
        "model", "validation loss", "validation", "test (95 % interval)",
        "test log loss (typical probability of the right class)", "why it stopped", "fitted in",
    ]  # fmt: skip
    return table(heads, rows)


def _log_loss(test: dict[str, Any] | None) -> str | None:
    if not test or "log_loss" not in test:
        return None
    loss = test["log_loss"]
    return f"{loss:.4f} ({percent(typical_probability(loss))})"


def _classes(test: dict[str, Any]) -> Html:
    keys = ("precision", "recall", "f1", "support")
    rows = [
        [str(label), *(test[key][index] for key in keys)]
        for index, label in enumerate(test["classes"])
    ]
    return table(["class", *keys], rows)


def _confusion(test: dict[str, Any]) -> Html:
    """True classes down, predicted ones across; shaded by the share of the row."""
    labels = [str(label) for label in test["classes"]]
    rows = []
    for label, counts in zip(labels, test["confusion"], strict=True):
        total = sum(counts) or 1
        cells = [
            tag(
                "td",
                shown(count),
                class_="n",
                style=f"--share:{count / total:.3f}",
                title=f"{100 * count / total:.1f} % of true {label}",
            )
            for count in counts
        ]
        rows.append(tag("tr", tag("th", label, scope="row"), *cells))
    head = tag("tr", tag("th", "true \\ predicted"), *(tag("th", x, scope="col") for x in labels))
    inner = tag("table", tag("thead", head), tag("tbody", *rows), class_="confusion")
    return tag("div", inner, class_="scroll")


def _data(info: dict[str, Any]) -> Html:
    about = info.get("data", {})
    rows = [
        [key.replace("_", " "), str(shown(about[key]))]
        for key in ("name", "place", "rows", "train_rows", "valid_rows", "test_rows", "fingerprint",
                    "split")
        if about.get(key) is not None
    ]  # fmt: skip
    notes = [tag("li", note) for note in about.get("notes", [])]
    return join([tag("h2", "The data"), table(["", ""], rows), tag("ul", *notes)])


def _again(run: Run, info: dict[str, Any]) -> Html:
    """How to do it again: command, versions, code, machine, recipe."""
    command = shlex.join(str(word) for word in info.get("command", []))
    git, hardware = info.get("git") or {}, info.get("hardware", {})
    state = git.get("commit")
    if git.get("dirty"):
        state = f"{state}, with changes (sha256 {git['changes']})"
    versions = ", ".join(f"{k} {v}" for k, v in info.get("versions", {}).items())
    rows: list[list[Any]] = [
        ["repeat", f"linnet runs repeat {shlex.quote(str(run.path))}"],
        ["command", command],
        ["made", info.get("created")],
        ["seed", str(info.get("seed"))],
        ["versions", versions],
        ["code", state],
        ["machine", f"{hardware.get('processor')}, {hardware.get('threads')} threads"],
        ["device", info.get("device")],
    ]
    recipe = (run.path / directory.RECIPE).read_text(encoding="utf-8")
    return join(
        [
            tag("h2", "Again"),
            table(["", ""], rows),
            tag("details", tag("summary", "the whole recipe"), tag("pre", put(recipe))),
        ]
    )
