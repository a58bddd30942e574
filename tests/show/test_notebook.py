"""What notebooks show: estimators, runs, and the progress of a fit."""

import base64
import html
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import linnet
from helpers import at_event, open_browser, run_notebook
from linnet import LogisticRegression, MLPClassifier, MLPRegressor, Ridge
from linnet.cli._signals import interruptible
from linnet.errors import Interrupted, LinnetWarning
from linnet.estimators._html import fitted
from linnet.figures import notebook
from linnet.show import progress
from linnet.show.view import launch

EVIL = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "&lt;i&gt;", "long" * 500)
DATA = {
    "x_train": np.random.default_rng(0).normal(size=(200, 3)),
    "y_train": np.arange(200) % 2,
}


class Kernel:
    """Stands for IPython: what a notebook's front end was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, str]]] = []
        self.broken: set[str] = set()

    def send(self, kind: str, bundle: dict[str, str]) -> None:
        if kind in self.broken:
            raise OSError("the front end is gone")
        self.sent.append((kind, bundle))

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> "Handle":
        assert raw and display_id
        self.send("display", bundle)
        return Handle(self)

    @property
    def html(self) -> str:
        return self.sent[-1][1]["text/html"]


class Handle:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.kernel.send("update", bundle)


def ipython(monkeypatch: pytest.MonkeyPatch, shell: object) -> ModuleType:
    """Puts a module in IPython's place whose shell is ``shell``."""
    module, display = ModuleType("IPython"), ModuleType("IPython.display")
    module.get_ipython = lambda: shell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return display


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    found = Kernel()
    display = ipython(monkeypatch, type("ZMQInteractiveShell", (), {})())
    display.display = found.display  # type: ignore[attr-defined]
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    return linnet.train("digits", epochs=3, out=tmp_path_factory.mktemp("runs") / "<b>one</b>")


def words(shown: str) -> str:
    """HTML as a person reads it."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", shown)))


def tags(shown: str) -> set[str]:
    return set(re.findall(r"<(\w+)", shown))


# --- small HTML ----------------------------------------------------------------------------------


def test_cells_are_escaped_cut_and_numbers_stand_right() -> None:
    shown = notebook.table(["a", EVIL[0]], [[EVIL[1], 0.123456], ["x" * 1000, 2]])
    assert tags(shown) == {"table", "thead", "tbody", "tr", "th", "td"}
    assert "0.1235" in shown and "x" * (notebook.MOST_LETTERS - 1) + "…" in shown
    assert "x" * notebook.MOST_LETTERS not in shown
    assert shown.count("text-align:right") == 2  # with the heading; a whole number may be a name


def test_a_curve_is_drawn_without_script() -> None:
    at = list(range(5000))
    wild = [1.0, None, "NaN", 3.0, float("inf")]
    shown = notebook.curve(
        {EVIL[1]: (at, np.sqrt(at).tolist()), "validation loss": (range(5), wild)}
    )
    assert tags(shown) == {"svg", "title", "polyline"} and len(shown) < 4000
    assert shown.count("stroke-dasharray") == 1
    points = [list(map(float, p.split(","))) for p in re.findall(r"[\d.]+,[\d.]+", shown)]
    assert all(0 <= x <= notebook.WIDTH and 0 <= y <= notebook.HEIGHT for x, y in points)
    (told,) = re.findall('aria-label="([^"]*)"', shown)
    assert "validation loss from 1 to 3" in told and EVIL[1] in html.unescape(told)
    assert notebook.curve({"training loss": ([1], [2.0]), "validation loss": ([], [])}) == ""
    assert "polyline" in notebook.curve({"flat": ([1, 2], [3.0, 3.0])})


# --- estimators ----------------------------------------------------------------------------------


def frame() -> tuple[pd.DataFrame, Any]:
    random = np.random.default_rng(1)
    table = pd.DataFrame(random.normal(size=(90, 4)), columns=list(EVIL))
    return table, np.array(EVIL[:3])[random.integers(0, 3, 90)]


def test_an_estimator_tells_of_its_fit_and_escapes_names() -> None:
    model = LogisticRegression().fit(*frame())
    own = fitted(model)
    assert model._repr_html_().endswith(own)  # below scikit-learn's diagram
    assert "<script" not in own and "<img" not in own and len(own) < 20_000
    told = words(own)
    assert model.stop_reason_ in told
    model.artifact_.manifest.fit["gap"] = 0.0
    assert f"objective {model.objective_:.6g}, the optimum classes" in words(fitted(model))
    model.artifact_.manifest.fit["gap"] = 1.5e-7
    assert f"{model.objective_:.6g}, at most 1.5e-07 above the optimum" in words(fitted(model))
    assert "classes 3:" in told and "features 4:" in told and EVIL[0] in told
    place = int(np.abs(model.coef_).max(0).argmax())
    largest = (float(model.coef_[0, place]), float(model.intercept_[0]))
    assert all(f">{value:.4g}<" in own for value in largest)


def test_of_many_coefficients_the_largest_are_shown() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 40))
    model = Ridge().fit(X, X @ np.arange(40.0))
    told = words(model._repr_html_())
    assert "The 10 largest coefficients of 40, in the target's unit" in told
    assert re.search(r"x39 38\.\d+ x38 37\.\d+", told)
    assert not re.search(r"x29 2[89]\.\d+", told)
    many = LogisticRegression().fit(X, np.arange(300) % 9)
    assert "+ 3 more" in words(many._repr_html_())


def test_a_perceptron_tells_its_loss_and_layers() -> None:
    X, y = np.random.default_rng(0).normal(size=(60, 5)), np.arange(60) % 3
    with pytest.warns(ConvergenceWarning):
        model = MLPClassifier((7,), max_iter=4, random_state=0).fit(X, y, X_val=X, y_val=y)
    shown = model._repr_html_()
    told = words(shown)
    assert "⚠ not converged: all 4 epochs done" in told and "epochs 4" in told
    assert f"training loss {model.loss_:.6g}" in told and shown.count("<polyline") >= 2
    assert "hidden.0 Linear 7 42" in told and "output Linear 3 24" in told


def test_unfitted_or_as_text_only_scikit_learn_is_shown(tmp_path: Path) -> None:
    fresh = LogisticRegression()
    assert "sk-top-container" in fresh._repr_html_()
    assert "font-size:smaller" not in fresh._repr_mimebundle_()["text/html"]
    model = Ridge().fit(DATA["x_train"], DATA["y_train"])
    assert "converged" in model._repr_mimebundle_()["text/html"]
    assert model._repr_mimebundle_()["text/plain"] == "Ridge()"
    with sklearn.config_context(display="text"):
        assert set(model._repr_mimebundle_()) == {"text/plain"}
        assert not hasattr(model, "_repr_html_")
    model.save(tmp_path / "m.safetensors")
    assert "converged" in Ridge.load(tmp_path / "m.safetensors")._repr_html_()
    exact = Ridge().partial_fit(DATA["x_train"], DATA["y_train"])
    assert "solved from a triangular factor" in exact._repr_html_()


def test_pipelines_and_searches_show_their_diagram() -> None:
    X, y = DATA["x_train"], DATA["y_train"]
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)
    for model in (make_pipeline(StandardScaler(), LogisticRegression()), search):
        shown = model.fit(X, y)._repr_html_()
        assert "LogisticRegression" in shown
        assert model._repr_mimebundle_()["text/html"]


# --- runs ----------------------------------------------------------------------------------------


def test_a_run_shows_curves_scores_and_reasons(run: linnet.Run) -> None:
    shown = run._repr_html_()
    assert "<script" not in shown and "<b>one</b>" not in shown
    told = words(shown)
    assert "<b>one</b>" in told and run.verdict in told and f"{run.chosen} ★" in told
    assert shown.count("<svg") == 2  # of the line and the net; a constant has no curve
    assert all(str(claim) in told for claim in run.reasons())
    scores = run.metrics["models"]["mlp"]["test"]
    assert f"accuracy {100 * scores['accuracy']:.2f} %" in told


def test_a_run_without_its_record_still_shows_its_scores(run: linnet.Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "r")
    (tmp_path / "r" / "events.jsonl").unlink()
    (tmp_path / "r" / "predictions" / f"{run.chosen}.parquet").write_bytes(b"no Parquet")
    shown = linnet.Run(tmp_path / "r")._repr_html_()
    assert "<svg" not in shown and run.verdict in words(shown)


# --- progress ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        (None, False),
        (type("TerminalInteractiveShell", (), {})(), False),
        (type("ZMQInteractiveShell", (), {})(), True),
        (type("Shell", (type("ZMQInteractiveShell", (), {}),), {})(), True),
    ],
    ids=["none", "terminal", "notebook", "a notebook's own"],
)
def test_a_notebook_is_known(
    shell: object, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ipython(monkeypatch, shell)
    assert progress.in_notebook() is expected


def test_plain_python_prints_nothing_unless_asked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    linnet.train(DATA, model="linear", out=tmp_path / "a", echo=False)
    told = capfd.readouterr()
    assert told.out == told.err == ""
    linnet.train(DATA, model="linear", out=tmp_path / "c")  # a line each on standard error
    told = capfd.readouterr()
    assert told.out == "" and [line.split(":")[0] for line in told.err.splitlines()] == [
        "constant",
        "linear",
    ]
    linnet.train(DATA, model="linear", out=tmp_path / "b", echo=True)
    told = capfd.readouterr()
    assert told.out == "" and "linear: converged: " in told.err


def test_training_in_a_notebook_shows_one_table_that_changes(
    kernel: Kernel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = linnet.train(DATA, epochs=3, out=tmp_path / "r")
    assert [kind for kind, _ in kernel.sent].count("display") == 1
    assert len(kernel.sent) > 3
    told = words(kernel.html)
    for name, found in run.metrics["models"].items():
        assert f"{name} stopped: {found['fit']['reason']}" in told
    assert "model step training validation time" in told and "epoch 3" in told
    assert f"loss {run.metrics['models']['linear']['valid']['loss']:.4f}, accuracy" in told
    assert "mlp: 5 members: all 3 epochs done" in kernel.sent[-1][1]["text/plain"]
    assert capfd.readouterr().err == ""
    count = len(kernel.sent)
    linnet.train(DATA, model="linear", out=tmp_path / "quiet", echo=False)
    heard: list[Any] = []
    linnet.train(DATA, model="linear", out=tmp_path / "own", echo=heard.append)
    assert len(kernel.sent) == count and heard


def test_a_notebook_is_drawn_at_most_four_times_a_second(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("linnet.show.progress.time.monotonic", lambda: now[0])
    with progress.shown(None) as heard:
        assert heard is not None
        heard({"event": "begin", "time": 0.0, "model": "mlp", "steps": 20_000})
        for step in range(1, 10_001):
            now[0] += 0.001
            heard(
                {"event": "step", "time": step / 1000, "model": "mlp", "step": step, "epoch": 1}
                | {"loss": 1 / step}
            )
        assert 38 <= len(kernel.sent) <= 42
        assert "of 20,000, epoch 1" in words(kernel.html)
        assert re.search(r'<progress [^>]*value="\d+" max="20000"', kernel.html)
        heard({"event": "begin", "time": 11.0, "model": "linear"})
        assert re.search(r"<progress [^>]*vertical-align:middle\">", kernel.html)  # it moves
    assert "10,000 of 20,000" in words(kernel.html)


@pytest.mark.parametrize("broken", ["display", "update"])
def test_a_broken_display_is_a_warning_and_training_goes_on(
    kernel: Kernel, broken: str, tmp_path: Path
) -> None:
    kernel.broken = {broken}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        run = linnet.train(DATA, model="linear", out=tmp_path / "r")
    told = [str(one.message) for one in caught if "progress" in str(one.message)]
    assert told == ["no live progress: OSError('the front end is gone')"]
    assert run.chosen == "linear" and len(kernel.sent) == (broken == "update")


def test_warnings_stand_in_the_table_escaped(kernel: Kernel) -> None:
    finding = {"event": "finding", "time": 0.0, "severity": "warning", "text": EVIL[0]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()  # as Python is without a user's filters
        with progress.shown(None) as heard:
            assert heard is not None
            heard(finding)
            heard({**finding, "severity": "note", "text": "a note"})
            warnings.warn("told in the table", LinnetWarning, stacklevel=1)
        assert caught == []
        with progress.shown(None) as heard:
            warnings.simplefilter("error", LinnetWarning)
            with pytest.raises(LinnetWarning):
                warnings.warn("asked for", LinnetWarning, stacklevel=1)
    shown = kernel.sent[1][1]["text/html"]
    assert f"⚠ {EVIL[0]}" in words(shown) and "<script" not in shown and "a note" not in shown
    with progress.shown(None) as heard:
        assert heard is not None
        for index in range(50):
            heard({**finding, "text": f"number {index}"})
    assert "number 19" in kernel.html and "number 20" not in kernel.html
    assert "and 30 more warnings" in kernel.html


def test_a_fit_that_fails_says_so_where_it_was_shown(kernel: Kernel) -> None:
    with pytest.raises(ValueError), progress.shown(None) as heard:
        assert heard is not None
        heard({"event": "begin", "time": 0.0, "model": "mlp"})
        raise ValueError(EVIL[0])
    assert "<script" not in kernel.html
    assert f"✗ failed: ValueError {EVIL[0]}" in words(kernel.html)
    with pytest.raises(KeyboardInterrupt), progress.shown(None):
        raise KeyboardInterrupt
    assert "✗ stopped: KeyboardInterrupt" in words(kernel.html)


def test_estimators_tell_when_they_are_verbose(
    kernel: Kernel, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = DATA["x_train"], DATA["y_train"]
    plain = LogisticRegression().fit(X, y)
    assert kernel.sent == []
    model = LogisticRegression(verbose=True).fit(X, y)
    assert model.stop_reason_ in words(kernel.html)
    assert np.array_equal(plain.coef_, model.coef_)
    assert [e["event"] for e in plain.history_] == [e["event"] for e in model.history_]
    monkeypatch.delitem(sys.modules, "IPython")
    MLPRegressor((4,), max_iter=500, tol=1.0, random_state=0, verbose=True).fit(X, y)
    assert re.fullmatch(r"mlp: the training loss is no lower .*\n", capfd.readouterr().err)


def test_a_run_that_goes_on_is_shown(kernel: Kernel, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        at_event(patch, 4, "spent", lambda: os.kill(os.getpid(), signal.SIGINT))
        with interruptible() as stop:
            linnet.train(
                DATA, model="mlp", epochs=9, checkpoint_every=1, folds=1, out=tmp_path / "r",
                stop=stop,
            )  # fmt: skip
    kernel.sent.clear()
    linnet.train(DATA, resume=tmp_path / "r")
    first = words(kernel.sent[1][1]["text/html"])  # after the data was read
    assert re.search(r"mlp \d+ of \d+, epoch \d", first) and "epoch 9" in words(kernel.html)
    assert "constant" in first and "nan s" not in words(kernel.html)


def test_lines_come_now_and_then_also_without_validation_rows(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("linnet.show.progress.time.monotonic", lambda: now[0])
    with progress.shown(True) as heard:
        assert heard is not None
        heard({"event": "begin", "time": 0.0, "model": "mlp", "steps": 20})
        for epoch in range(1, 13):
            now[0] += 1
            step = {"step": epoch, "epoch": epoch, "loss": 1 / epoch}
            heard({"event": "step", "time": now[0], "model": "mlp", **step})
        valid = {"loss": 0.5, "rmse": 2.0}
        now[0] += 5
        heard({"event": "evaluate", "time": 17, "model": "mlp", **step, "valid": valid})
        heard({"event": "finding", "severity": "warning", "model": "mlp", "text": "odd"})
    assert capfd.readouterr().err.splitlines() == [
        "mlp: epoch 5: training loss 0.2000",
        "mlp: epoch 10: training loss 0.1000",
        "mlp: epoch 12: training loss 0.0833, validation loss 0.5000, RMSE 2",
        "warning: mlp: odd",
    ]


# --- the live page from Python -------------------------------------------------------------------


def test_training_opens_the_live_page_when_asked(
    kernel: Kernel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked: list[tuple[Path, int]] = []

    def start(root: Path, *, pid: int) -> str:
        asked.append((root, pid))
        return "http://127.0.0.1:1/?token=a&b"

    monkeypatch.setattr(launch, "start", start)
    linnet.train(DATA, model="linear", out=tmp_path / "r", view=True)
    assert asked == [(tmp_path, os.getpid())]
    assert '<a href="http://127.0.0.1:1/?token=a&amp;b" target="_blank"' in kernel.html
    assert "token" not in (tmp_path / "r" / "events.jsonl").read_text()
    linnet.train(DATA, model="linear", out=tmp_path / "s", view=True, echo=False)
    assert capfd.readouterr().err == "live page: http://127.0.0.1:1/?token=a&b\n"


@pytest.fixture
def viewers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Any]]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found: list[subprocess.Popen[bytes]] = []

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            found.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    yield found
    for viewer in found:
        viewer.terminate()
        viewer.wait(10)


def test_a_viewer_that_runs_is_not_started_again(viewers: list[Any], tmp_path: Path) -> None:
    first = launch.start(tmp_path, pid=os.getpid())
    assert launch.start(tmp_path, pid=os.getpid()) == first and len(viewers) == 1
    viewers[0].terminate()
    viewers[0].wait(10)
    assert launch.start(tmp_path, pid=os.getpid()) is not None and len(viewers) == 2


# --- a real notebook -----------------------------------------------------------------------------

CELLS = """
import linnet, numpy as np, pandas as pd, warnings
run = linnet.train("digits", epochs=3, out=OUT)
---
run
---
run.curves()
---
names = ["<script>window.hacked=1</script>", '"><img src=x onerror=window.hacked=1>', "c"]
X = pd.DataFrame(np.random.default_rng(0).normal(size=(90, 3)), columns=names)
model = linnet.LogisticRegression(verbose=True).fit(X, np.array(names)[np.arange(90) % 3])
---
model
---
linnet.MLPClassifier((8,), random_state=0, tol=1.0).fit(X, np.arange(90) % 2)
---
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
make_pipeline(StandardScaler(), linnet.Ridge()).fit(X, np.arange(90.0))
---
hard = pd.DataFrame({**{n: X[n] for n in names}, names[0] + " twice": X[names[0]]})
hard["class<b>"] = np.where(X["c"] > 0, names[0], names[1])
hard["leak<i>"] = (X["c"] > 0) * 2.0
hard.loc[:1, "leak<i>"] = 1.0
told = linnet.train(hard, target="class<b>", model="linear", out=OUT + "2")
---
told
"""


def execute(folder: Path) -> Any:
    """The cells run by a real kernel: the notebook with its outputs."""
    nbformat = pytest.importorskip("nbformat")
    cells = [
        nbformat.v4.new_code_cell(cell.strip().replace("OUT", repr(str(folder / "r"))))
        for cell in CELLS.split("---")
    ]
    book = nbformat.v4.new_notebook(cells=cells)
    return run_notebook(book, folder, timeout=300)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return execute(tmp_path_factory.mktemp("book"))


@pytest.mark.slow
def test_a_real_notebook_shows_run_figures_and_estimators(book: Any) -> None:
    outputs = [cell.outputs for cell in book.cells]
    assert not [o for cell in outputs for o in cell if o.output_type in ("stream", "error")]
    assert [len(cell) for cell in outputs] == [1] * len(outputs)
    data = [cell[0].data for cell in outputs]
    assert "mlp stopped: all 3 epochs done" in words(data[0]["text/html"])
    assert "<svg" in data[1]["text/html"]
    assert data[2]["application/vnd.plotly.v1+json"]["data"]
    if importlib.util.find_spec("matplotlib") is not None:  # for pages that do not know Plotly
        assert base64.b64decode(data[2]["image/png"]).startswith(b"\x89PNG")
    assert "linear stopped: converged" in words(data[3]["text/html"])
    assert "log-odds per unit" in data[4]["text/html"] and "hidden.0" in data[5]["text/html"]
    assert "⚠" in data[7]["text/html"]  # one that tells the class
    json.dumps(book)


def page(book: Any, dark: bool) -> str:
    """The outputs one below the other, as a notebook of a light or a dark theme has them."""
    shown = [o.data["text/html"] for c in book.cells for o in c.outputs if "text/html" in o.data]
    scheme, colors = ("dark", "#111;color:#ddd") if dark else ("light", "#fff;color:#111")
    style = f":root{{color-scheme:{scheme}}}body{{font:13px sans-serif;background:{colors}}}"
    return f"<!doctype html><meta charset=utf-8><style>{style}</style>{'<hr>'.join(shown)}"


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_browser_runs_nothing_that_a_name_holds(
    book: Any, dark: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = tmp_path / "page.html"
    place.write_text(page(book, dark))
    with open_browser() as browser:
        tab = browser.new_page(viewport={"width": 1000, "height": 700})
        asked: list[str] = []
        tab.on("request", lambda one: asked.append(one.url))
        tab.goto(place.as_uri())
        assert tab.evaluate("window.hacked") is None
        assert tab.locator("img").count() == 0 and tab.locator("progress").count() >= 4
        faint = tab.evaluate(
            "[...document.querySelectorAll('td, th, p')]"
            ".filter(e => !e.closest('.sk-top-container'))"
            ".filter(e => getComputedStyle(e).color !== getComputedStyle(document.body).color)"
            ".length"
        )
        assert faint == 0  # the theme's own colour
        assert {url.split(":")[0] for url in asked} <= {"file", "data"}
        pictures = os.environ.get("LINNET_PICTURES")
        if pictures:
            tab.screenshot(
                path=f"{pictures}/notebook-{'dark' if dark else 'light'}.png", full_page=True
            )


def test_nothing_is_imported_for_a_notebook_beforehand() -> None:
    code = "import sys, linnet.show.progress; assert 'IPython' not in sys.modules, 'IPython'"
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)
    assert importlib.util.find_spec("linnet.show.progress") is not None
