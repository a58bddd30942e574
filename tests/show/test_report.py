"""The report: one offline file whose numbers are the run's, and whose names are harmless."""

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import linnet
import linnet.show.report.data
from helpers import ParsedPage, Site, chromium, open_browser
from linnet.cli import app
from linnet.compat.visdom import Visdom
from linnet.core.html import data, put, tag
from linnet.errors import InputError
from linnet.experiment.evaluate import evaluate
from linnet.show.report.html import table
from linnet.show.report.page import write

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reports")
    linnet.train("iris", epochs=2, widths=[8], out=root / "iris")
    linnet.train("diabetes", model="linear", out=root / "diabetes")
    draws = np.random.default_rng(0)
    frame = pl.DataFrame(
        {EVIL: draws.normal(size=100), "y": draws.choice([EVIL, "</script>"], 100)}
    )
    linnet.train(frame, target="y", model="linear", out=root / EVIL.replace("/", ""))
    return root


def within(link: str) -> bool:
    """Whether an address is a picture in the page, or a part of it."""
    return link.startswith(("data:image/png;base64,", "#part"))


def page(folder: Path, *names: str, static: bool = False, out: Path) -> ParsedPage:
    write([folder / name for name in names], out, static=static)
    return ParsedPage(out.read_text())


def test_the_numbers_are_those_of_evaluate(runs: Path, tmp_path: Path) -> None:
    found = page(runs, "iris", out=tmp_path / "r.html")
    numbers = json.loads(found.scripts["numbers"])["iris"]["models"]
    again = evaluate(runs / "iris", "iris")["models"]
    for name, scores in again.items():
        assert numbers[name]["test"] == scores["test"]
    words = " ".join(found.words)
    run = linnet.Run(runs / "iris")
    assert run.verdict in words and "linnet runs repeat" in words
    for key in ("fingerprint", "split"):
        assert run.info["data"][key] in words


def hold_numbers(run: Path, place: str, folder: Path) -> None:
    """Every number in the reports of a run, embedded and shown, equals that of
    ``linnet evaluate --json``."""
    done = CliRunner().invoke(app, ["evaluate", str(run), place, "--json"])
    assert done.exit_code == 0, done.output
    models = json.loads(done.stdout)["models"]
    for static in (False, True):
        found = page(run.parent, run.name, static=static, out=folder / "r.html")
        embedded = json.loads(found.scripts["numbers"])[run.name]
        assert {name: each["test"] for name, each in embedded["models"].items()} == {
            name: each["test"] for name, each in models.items()
        }
        rows = {row[0]: row for row in found.table("model", "test (95 % interval)")}
        for name, each in embedded["yardstick"].items():
            beside = rows.pop(f"boosted {name} (yardstick)")
            assert beside[1] == score(each["test"])
        assert len(rows) == len(models)
        for name, each in models.items():
            mark = " (chosen)" if name == embedded["chosen"] else ""
            row = rows[linnet.Run(run).history().title(name).removeprefix("the ") + mark]
            assert row[1] == score(each["test"])
            if "log_loss" in each["test"]:
                loss = each["test"]["log_loss"]
                assert row[2] == f"{loss:.4f} ({100 * math.exp(-loss):.2f} %)"
        test = models[embedded["chosen"]]["test"]
        assert score(test) in " ".join(found.words[: found.words.index("The models")])
        if "classes" not in test:
            continue
        keys = ("precision", "recall", "f1")
        for row, label, *numbers, support in zip(
            found.table("class", "precision", "recall", "F1"),
            test["classes"],
            *(test[key] for key in keys),
            test["support"],
            strict=True,
        ):
            shown = [f"{number:.4f}" for number in numbers]
            assert row == [str(label), *shown, f"{support:,}"]
        cells = [row[1:] for row in found.table("true \\ pred.")]
        assert cells == [[cell(count, sum(row)) for count in row] for row in test["confusion"]]


def cell(count: int, total: int) -> str:
    """A cell of the confusion matrix: rows, and their share of the true class."""
    share = count / max(1, total)
    return f"{count:,}{100 * share:.{1 if share < 0.1 else 0}f} %" if count else ""


def score(test: dict[str, Any]) -> str:
    """A test score with its interval, as a person reads it."""
    if "accuracy" in test:
        low, high = test["accuracy_interval"]
        return f"accuracy {100 * test['accuracy']:.2f} % ({100 * low:.2f} to {100 * high:.2f})"
    low, high = test["rmse_interval"]
    return f"RMSE {test['rmse']:.4g} ({low:.4g} to {high:.4g}), R2 {test['r2']:.3f}"


@pytest.mark.slow
def test_every_number_of_a_regression_is_that_of_evaluate(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    hold_numbers(runs / "diabetes", "diabetes", tmp_path)


def test_every_number_of_digits_is_that_of_evaluate(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    linnet.train("digits", epochs=2, widths=[16], penalty=[0.01], out=tmp_path / "digits")
    hold_numbers(tmp_path / "digits", "digits", tmp_path)


@pytest.mark.slow
def test_the_report_of_mnist_is_small_and_its_numbers_are_those_of_evaluate(
    mnist_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    linnet.train("mnist", epochs=1, penalty=[0.01], out=tmp_path / "mnist")
    hold_numbers(tmp_path / "mnist", "mnist", tmp_path)
    for static, most in ((False, 8 << 20), (True, 500_000)):
        found = page(tmp_path, "mnist", static=static, out=tmp_path / "r.html")
        assert (tmp_path / "r.html").stat().st_size <= most
        assert found.links and all(map(within, found.links))


def test_it_asks_nobody_for_anything(runs: Path, tmp_path: Path) -> None:
    for name in ("iris", "diabetes"):
        found = page(runs, name, out=tmp_path / "r.html")
        assert all(map(within, found.links))
        figures = json.loads(found.scripts["figures"])
        assert figures and all({"data", "layout", "config"} <= set(figure) for figure in figures)
        assert "Content-Security-Policy" in (tmp_path / "r.html").read_text()


def test_hostile_names_are_text(runs: Path, tmp_path: Path) -> None:
    evil = EVIL.replace("/", "")
    found = page(runs, evil, "iris", out=tmp_path / "r.html")
    assert "img" not in found.tags
    assert any(EVIL in word for word in found.words)
    assert json.loads(found.scripts["numbers"])[evil]["models"]["linear"]["test"]["classes"]


@pytest.mark.slow
def test_a_browser_shows_hostile_names_as_text_in_page_report_and_data(
    tmp_path: Path,
) -> None:
    chromium()
    pytest.importorskip("matplotlib")
    classes = ["<svg onload=alert(1)>", "</script><script>alert(1)</script>", "<b>bold</b>%{x}"]
    link = '<a href="javascript:alert(1)">link</a>'
    draws = np.random.default_rng(0)
    y = draws.integers(0, 3, 300)
    frame = pl.DataFrame(
        {
            EVIL: y + draws.normal(size=300),
            link: draws.choice([EVIL, "<i>x</i>", "&lt;"], 300),
            "y<br>": [classes[code] for code in y],
        }
    )
    file = tmp_path / f"{EVIL}.csv"
    frame.write_csv(file)
    run = tmp_path / "runs" / EVIL
    linnet.train(file, target="y<br>", epochs=3, widths=[4], out=run)
    event = {"event": "step", "time": 9, "model": EVIL, "step": 1, "epoch": 0, "loss": 1, EVIL: 2}
    with open(run / "events.jsonl", "a") as record:
        record.write(json.dumps(event) + "\n")
    viz = Visdom(run=run, env=EVIL)
    viz.line([[1.0, 2.0]], [0.0], win=EVIL, opts={"title": EVIL, "legend": [link, "<b>b</b>"]})
    viz.text(EVIL, win=link, opts={"title": link})
    for name, static in (("report", False), ("static", True)):
        write([run], tmp_path / f"{name}.html", static=static)
    words = ["data", "show", str(file), "--target", "y<br>", "--view", "--out"]
    done = CliRunner().invoke(app, [*words, str(tmp_path / "data.html")])
    assert done.exit_code == 0, done.output
    site = Site(tmp_path / "runs")
    places = [f"http://127.0.0.1:{site.port}/?token={site.token}"]
    places += [(tmp_path / f"{name}.html").as_uri() for name in ("report", "static", "data")]
    try:
        with open_browser() as browser:
            for place in places:
                hold_harmless(browser.new_page(), place, [EVIL, link, *classes])
    finally:
        site.close()


INJECTED = """[...document.querySelectorAll("*")].filter((element) =>
    [...element.attributes].some((each) => each.name.startsWith("on")
        || /javascript:/.test(each.value) && each.name.endsWith("href"))
    || element.matches("img[src='x'], svg :is(a, image[href='x']), script:empty:not([src])")
    || element.matches("body :is(b, i)") && element.textContent)
    .map((element) => element.outerHTML.slice(0, 200))"""


def hold_harmless(page: Any, place: str, names: list[str]) -> None:
    """A page, seen from top to bottom, has no element of what the names say, but the names."""
    said: list[str] = []

    def refuse(dialog: Any) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", refuse)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(place)
    wanted = ["#curves .main-svg", "#mistakes tbody tr", "#weights .main-svg"]
    wanted = wanted if place.startswith("http") else []
    for _ in range(30):  # much is drawn only when it is seen
        for top in range(0, page.evaluate("document.documentElement.scrollHeight"), 400):
            page.evaluate(f"scrollTo(0, {top})")
            page.wait_for_timeout(100)
        if all(page.locator(part).count() for part in wanted):
            break
    else:
        raise AssertionError(page.inner_text("body"))
    assert page.evaluate(INJECTED) == [], place
    assert said == [], place
    words = page.evaluate("document.body.textContent")
    for name in names:
        assert name in words, (place, name)


@pytest.mark.slow
def test_a_static_page_has_no_script_and_is_small(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("iris", "diabetes"):
        found = page(runs, name, static=True, out=tmp_path / "r.html")
        assert found.tags.count("script") == 1  # the numbers, which do nothing
        assert found.tags.count("img") >= 2
        assert all(map(within, found.links))
        assert (tmp_path / "r.html").stat().st_size < 500_000


@pytest.mark.slow
def test_mistakes_are_rows_of_a_table_or_pictures_with_captions(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    errors = linnet.Run(runs / "diabetes").mistakes().columns
    linnet.train("digits", model="linear", penalty=[100.0], out=tmp_path / "digits")
    wrong = linnet.Run(tmp_path / "digits").mistakes()
    sources = [image["source"] for image in wrong.layout["images"]]
    told = wrong.columns
    captions = [
        f"{true} → {predicted} · {100 * p:.0f}\u00a0%"
        for true, predicted, p in zip(
            told["true"], told["predicted"], told["probability"], strict=True
        )
    ]
    assert len(captions) > 3
    for static in (False, True):
        found = page(runs, "diabetes", static=static, out=tmp_path / "r.html")
        rows = found.table("row", "true", "predicted", "age")
        assert [int(row[0].replace(",", "")) for row in rows] == errors["row"]
        assert [row[3] for row in rows] == [f"{age:.4g}" for age in errors["age"]]
        assert "Largest errors" in found.words and "Mistakes" not in found.words
        found = page(tmp_path, "digits", static=static, out=tmp_path / "r.html")
        assert [link for link in found.links if link in sources] == sources
        assert [c for c in captions if c not in "".join(found.words)] == []


def test_figures_of_a_static_page_are_dark_where_the_page_is(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    linnet.train("digits", model="linear", penalty=[100.0], out=tmp_path / "digits")
    write([tmp_path / "digits"], tmp_path / "r.html", static=True)
    images = re.findall(r"<img [^>]*>", (tmp_path / "r.html").read_text())
    (samples,) = [image for image in images if 'alt="Training rows"' in image]
    assert "chart" not in samples
    (curves,) = [image for image in images if 'alt="Curves"' in image]
    assert 'class="chart"' in curves


@pytest.mark.slow
def test_on_a_phone_no_row_is_cut_and_curves_stand_one_above_the_other(
    runs: Path, tmp_path: Path
) -> None:
    write([runs / "iris"], tmp_path / "r.html")
    with open_browser() as browser:
        shown = browser.new_page(viewport={"width": 390, "height": 900})
        shown.goto((tmp_path / "r.html").as_uri())
        shown.wait_for_selector("#figure0 .main-svg")
        domains = """() => ["", "2"].map((end) =>
            document.getElementById("figure0").layout["yaxis" + end].domain)"""
        (low, _), (_, high) = shown.evaluate(domains)
        assert low > high
        assert shown.evaluate("document.documentElement.scrollWidth") == 390
        assert shown.evaluate(
            "[...document.querySelectorAll('.blocks')].every((e) => e.scrollWidth <= e.clientWidth"
            " && e.scrollHeight <= e.clientHeight)"
        )
        shown.set_viewport_size({"width": 1280, "height": 900})
        shown.wait_for_function("document.getElementById('figure0').layout.xaxis.domain[1] < 0.5")


def test_the_error_of_a_sum_is_no_mean() -> None:
    assert linnet.show.report.data._mean(-1.46e-17, 0.047) == 0
    assert linnet.show.report.data._mean(1e-5, 0.047) == 1e-5


def test_runs_stand_beside_each_other(runs: Path, tmp_path: Path) -> None:
    words = " ".join(page(runs, "iris", "diabetes", out=tmp_path / "r.html").words)
    assert "Comparison" in words and "test.rmse" in words
    with pytest.raises(InputError):
        write([], tmp_path / "s.html")


def test_the_warnings_of_the_doctor_stand_in_it(runs: Path, tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    x = draws.normal(size=200)
    frame = pl.DataFrame(
        {"x": x, "far": [*x[:190], *[-9999.0] * 10], "y": draws.integers(0, 2, 200)}
    )
    with pytest.warns(linnet.errors.LinnetWarning):
        linnet.train(frame, target="y", model="linear", out=tmp_path / "r")
    words = " ".join(page(tmp_path, "r", out=tmp_path / "r.html").words)
    assert "-9999" in words


def test_why_it_is_stuck_stands_in_it(tmp_path: Path) -> None:
    run = linnet.train(
        "digits", model=["linear", "mlp"], epochs=3, widths=[16], optimizer="sgd", lr=1e-5,
        schedule="constant", out=tmp_path / "r",
    )  # fmt: skip
    claims = run.reasons()
    assert claims and claims[0].model == "mlp"
    words = " ".join(page(tmp_path, "r", out=tmp_path / "r.html").words)
    for claim in claims:
        assert str(claim) in words
        assert claim.figures or claim.cause == "no net for pictures"


def test_train_writes_it_unless_asked_not_to(tmp_path: Path) -> None:
    words = ["train", "iris", "--model", "linear", "--out"]
    done = CliRunner().invoke(app, [*words, str(tmp_path / "a")])
    assert done.exit_code == 0 and f"report: {tmp_path / 'a' / 'report.html'}" in done.stdout
    assert (tmp_path / "a" / "report.html").stat().st_size > 1_000_000
    CliRunner().invoke(app, [*words, str(tmp_path / "b"), "--no-report"])
    assert (tmp_path / "b" / "metrics.json").is_file()
    assert not (tmp_path / "b" / "report.html").exists()
    done = CliRunner().invoke(app, ["report", str(tmp_path / "b")])
    assert done.exit_code == 0 and os.path.isfile(tmp_path / "b" / "report.html")
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 2 and "not a run of linnet" in done.stderr


def test_pieces_are_escaped_once() -> None:
    assert tag("b", "<&>", title='"') == '<b title="&quot;">&lt;&amp;&gt;</b>'
    assert put(tag("i", "<")) == "<i>&lt;</i>"
    inner: Any = table(["a"], [[1.5], ["<"]])
    assert '<td class="n">1.5</td>' in inner and "<td>&lt;</td>" in inner
    assert json.loads(data({"a": "</script>&\u2028"})) == {"a": "</script>&\u2028"}
    assert not re.search("[<>&\u2028]", data({"a": "</script>&\u2028<>"}))
