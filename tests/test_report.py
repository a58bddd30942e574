"""The report: one offline file whose numbers are the run's, and whose names are harmless."""

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import linnet
from linnet import apply
from linnet.cli import app
from linnet.errors import InputError
from linnet.report.html import data, put, table, tag
from linnet.report.page import write

EVIL = "<img src=x onerror=alert(1)>"


class Parsed(HTMLParser):
    """What tags, scripts and addresses a page has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.scripts: dict[str, str] = {}
        self.words: list[str] = []
        self._script: str | None = None
        self.feed(text)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(name)
        given = dict(attributes)
        assert not [key for key in given if key.startswith("on")]
        self.links += [str(given[key]) for key in ("src", "href") if key in given]
        self._script = given.get("id") if name == "script" else None

    def handle_endtag(self, name: str) -> None:
        self._script = None

    def handle_data(self, text: str) -> None:
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + text
        else:
            self.words.append(text)


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


def page(folder: Path, *names: str, static: bool = False, out: Path) -> Parsed:
    write([folder / name for name in names], out, static=static)
    return Parsed(out.read_text())


def test_the_numbers_are_those_of_evaluate(runs: Path, tmp_path: Path) -> None:
    found = page(runs, "iris", out=tmp_path / "r.html")
    numbers = json.loads(found.scripts["numbers"])["iris"]["models"]
    again = apply.evaluate(runs / "iris", "iris")["models"]
    for name, scores in again.items():
        assert numbers[name]["test"] == scores["test"]
    words = " ".join(found.words)
    run = linnet.Run(runs / "iris")
    assert run.verdict in words and "linnet runs repeat" in words
    for key in ("fingerprint", "split"):
        assert run.info["data"][key] in words


def test_it_asks_nobody_for_anything(runs: Path, tmp_path: Path) -> None:
    for name in ("iris", "diabetes"):
        found = page(runs, name, out=tmp_path / "r.html")
        assert not found.links
        figures = json.loads(found.scripts["figures"])
        assert figures and all({"data", "layout", "config"} <= set(figure) for figure in figures)
        assert "Content-Security-Policy" in (tmp_path / "r.html").read_text()


def test_hostile_names_are_text(runs: Path, tmp_path: Path) -> None:
    evil = EVIL.replace("/", "")
    found = page(runs, evil, "iris", out=tmp_path / "r.html")
    assert "img" not in found.tags
    assert any(EVIL in word for word in found.words)
    assert json.loads(found.scripts["numbers"])[evil]["models"]["linear"]["test"]["classes"]


def test_a_static_page_has_no_script_and_is_small(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("iris", "diabetes"):
        found = page(runs, name, static=True, out=tmp_path / "r.html")
        assert found.tags.count("script") == 1  # the numbers, which do nothing
        assert found.tags.count("img") >= 2
        assert all(link.startswith("data:image/png;base64,") for link in found.links)
        assert (tmp_path / "r.html").stat().st_size < 500_000


def test_runs_stand_beside_each_other(runs: Path, tmp_path: Path) -> None:
    words = " ".join(page(runs, "iris", "diabetes", out=tmp_path / "r.html").words)
    assert "Beside each other" in words and "test.rmse" in words
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
        assert str(claim) in words and claim.figures


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
