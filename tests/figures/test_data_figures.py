"""Looking at data: samples per class, distributions of columns, and the page that shows them."""

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

import linnet
from helpers import ParsedPage
from linnet.cli import app
from linnet.cli import data as command
from linnet.core import files
from linnet.data.read import read_draft
from linnet.data.reading import Reading
from linnet.errors import InputError, LinnetWarning
from linnet.figures import Figure, Variable, _association, distributions, look, samples
from linnet.figures import _data as limits
from linnet.show.report.data import place
from linnet.show.view import panels

EVIL = "<img src=x onerror=alert(1)>%{x}</script>"


def parsed(path: Path) -> ParsedPage:
    """A page, which holds its pictures itself and leads nowhere."""
    page = ParsedPage(path.read_text())
    assert all(link.startswith(("data:image/", "#")) for link in page.links)
    return page


def figures_of(page: ParsedPage) -> Any:
    return json.loads(page.scripts["figures"])


def show(*words: str) -> str:
    done = CliRunner().invoke(app, ["data", "show", *words])
    assert done.exit_code == 0, done.output
    return done.output


def shown(figure: Figure) -> str:
    """All words of a figure."""
    notes = [one["text"] for one in figure.layout["annotations"]]
    texts = [word for trace in figure.data for word in trace.get("text", ())]
    return "\n".join([figure.title, *notes, *texts, *(t.get("name", "") for t in figure.data)])


def table(*columns: tuple[str, Any]) -> Any:
    return read_draft(pl.DataFrame(dict(columns)), Reading(target=("y",)))


# ---- pictures


def test_a_sheet_has_ten_samples_of_each_class() -> None:
    digits = linnet.read("digits")
    figure = look(digits)
    assert len(figure.layout["images"]) == 100
    assert figure.columns["class"] == list(map(str, range(10)))
    assert figure.columns["rows"] == digits.y.bincount().tolist()
    for label, rows in enumerate(figure.columns["shown"]):
        numbers = [int(row) for row in rows.split()]
        assert len(set(numbers)) == 10 and (digits.y[numbers] == label).all()
    assert "10 of each class, drawn at random" in shown(figure)
    assert "0 · 178 rows, 9.9 %" in shown(figure)
    assert look(digits).plain() == figure.plain()  # the same ones each time
    other = samples(digits.x.numpy(), digits.y.numpy(), range(10), seed=1)
    assert other.columns["shown"] != figure.columns["shown"]


def test_mnist_is_shown_in_few_bytes(mnist_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    words = show(str(mnist_folder), "--out", str(out))
    assert "6,903" in words and f"page: {out}" in words
    page = parsed(out)
    assert "70,000 pictures" in " ".join(page.words)
    (figure,) = figures_of(page)
    assert len(figure["layout"]["images"]) == 100
    assert len(json.dumps(figure)) < 200_000


def test_pictures_in_colour_stay_in_colour(tmp_path: Path) -> None:
    for index, name in enumerate(("red", "green", "blue")):
        (tmp_path / "set" / name).mkdir(parents=True)
        pixels = np.zeros((12, 12, 3), np.uint8)
        pixels[..., index] = 200
        for number in range(7):
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}.png")
    with pytest.warns(LinnetWarning, match="one colour everywhere"):
        figure = look(linnet.read(str(tmp_path / "set")))
    assert figure.columns["class"] == ["blue", "green", "red"]
    assert len(figure.layout["images"]) == 21  # seven are there
    figure.save(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        colors = {color for _, color in sheet.convert("RGB").getcolors(1 << 24) or ()}
    assert {(200, 0, 0), (0, 200, 0), (0, 0, 200)} <= colors


def test_of_many_classes_the_frequent_are_shown_and_it_says_so() -> None:
    codes = np.concatenate([np.arange(200), np.repeat(np.arange(100, 120), 3)])
    pictures = np.zeros((len(codes), 1, 4, 4), np.uint8)
    figure = samples(pictures, codes, [f"class {i}" for i in range(205)])
    kept = [code for code, rows in enumerate(figure.columns["shown"]) if rows]
    assert kept == list(range(100, 120))
    assert "the 20 most frequent of 200 classes" in shown(figure)
    assert "5 classes have no row" in shown(figure)
    assert figure.columns["rows"] == [1] * 100 + [4] * 20 + [1] * 80 + [0] * 5


def test_large_pictures_are_fewer_so_that_a_sheet_stays_small() -> None:
    draws = np.random.default_rng(0)
    pictures = draws.integers(0, 256, (400, 3, 96, 96), dtype=np.uint8)
    figure = samples(pictures, np.arange(400) % 20, range(20))
    assert 20 <= len(figure.layout["images"]) < 200
    assert len(files.dumps(figure.plain())) < limits.MAX_BYTES + 200_000
    number = len(figure.columns["shown"][0].split())
    assert f"{number} of each class" in shown(figure)


def test_pictures_with_numbers_to_predict_are_sorted_by_them() -> None:
    pictures = np.zeros((100, 1, 4, 4), np.uint8)
    with pytest.warns(LinnetWarning, match="one colour everywhere"):
        figure = look(linnet.read((pictures, np.linspace(0, 50, 100))))
    assert figure.columns["rows"] == [20] * 5
    assert "0 to 10" in figure.columns["class"][0] and "40 to 50" in figure.columns["class"][-1]


def test_pictures_that_do_not_go_with_their_codes_are_refused() -> None:
    with pytest.raises(InputError, match="3 pictures for 2 codes"):
        samples(np.zeros((3, 1, 4, 4), np.uint8), [0, 1], ["a", "b"])


# ---- tables


def test_each_class_is_counted_as_it_lies() -> None:
    draft = table(
        ("age", [1.0, 1, 2, 3, None, 3]),
        ("town", ["a", "b", "a", "a", None, "b"]),
        ("y", list("nnnyyy")),
    )
    figure = look(draft)
    rows = list(zip(*figure.columns.values(), strict=True))
    assert [row[5] for row in rows if row[0] == "age" and row[4] == "n"] == [2, 1, 0]
    assert [row[5] for row in rows if row[0] == "age" and row[4] == "y"] == [0, 0, 2]
    assert ("town", "a", None, None, "n", 2) in rows
    assert ("town", "(missing)", None, None, "y", 1) in rows
    assert "1 to 3 · 17 % missing" in shown(figure)
    assert "n · 50 %" in shown(figure)
    steps = next(t for t in figure.data if t["type"] == "scatter" and t["mode"] == "lines")
    assert max(steps["y"]) == pytest.approx(66.7)  # a share of the rows of the class
    assert steps["x"][:2] == [0.5, 0.5]


def test_the_mean_of_a_number_stands_against_each_column() -> None:
    x = np.repeat(np.arange(30.0), 40)
    draft = table(("x", x), ("kind", np.where(x > 14, "high", "low")), ("y", 2 * x + 1))
    figure = look(draft)
    found = [row for row in zip(*figure.columns.values(), strict=True) if row[0] == "x"]
    assert [mean for *_, mean in found] == pytest.approx(2 * np.arange(30.0) + 1)
    means = {row[1]: row[-1] for row in zip(*figure.columns.values(), strict=True) if row[1]}
    assert means == {"high": pytest.approx(45), "low": pytest.approx(15)}
    assert "mean 45" in shown(figure) and "bars: rows; line and dots: mean y" in shown(figure)
    assert figure.columns["column"][0] == "y"  # and what is predicted comes first
    scales = {tuple(a["range"]) for key, a in figure.layout.items() if key[:5] == "yaxis"}
    assert len([scale for scale in scales if scale[0] < 1 < 59 < scale[1]]) == 1


@pytest.mark.slow
def test_real_tables_are_drawn_in_every_way(
    mnist_folder: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    root = mnist_folder.parent
    for name, target in (("titanic.csv", "survived"), ("diamonds.csv", "price")):
        if not (root / name).is_file():
            pytest.skip(f"LINNET_DATA has no {name}")
        figure = look(read_draft(str(root / name), Reading(target=(target,))))
        for kind in ("csv", "json", "png", "svg"):
            figure.save(tmp_path / f"{name}.{kind}")
        assert len(files.dumps(figure.plain())) < 60_000
        with open(tmp_path / f"{name}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(figure.columns["column"])
    assert "29 values" not in shown(figure) and "cut" in shown(figure)
    assert "25 not drawn" in shown(figure)  # z has two misplaced decimal points


def hostile(number: int = 400) -> list[Variable]:
    draws = np.random.default_rng(0)
    x = draws.normal(size=number)
    x[:5], x[5:8], x[8], x[9] = np.nan, np.inf, -np.inf, 1e30
    none = np.full(number, np.nan)
    huge = draws.choice([-1e308, 1e308], number)
    names = tuple(f"{EVIL}{index}" for index in range(12))
    return [
        Variable(EVIL, "number", x),
        Variable("nothing", "number", none),
        Variable("no category", "category", none, ("a",)),
        Variable("one", "number", np.full(number, 7.0)),
        Variable("huge", "number", huge),
        Variable("day", "date", 1.5e9 + draws.random(number) * 8e4),
        Variable("names", "category", draws.integers(-1, 12, number).astype(float), names),
        Variable("yes", "boolean", draws.integers(0, 2, number).astype(float), ("no", "yes")),
    ]


@pytest.mark.parametrize("classes", [0, 1, 2, 8, 200, -1])
def test_whatever_a_column_holds_it_is_shown_or_counted(classes: int, tmp_path: Path) -> None:
    columns = hostile()
    draws = np.random.default_rng(1)
    target = None
    if classes > 0:
        codes = draws.integers(0, classes, 400).astype(float)
        target = Variable(EVIL, "category", codes, tuple(f"{EVIL}{i}" for i in range(classes)))
    elif classes < 0:
        numbers = draws.normal(size=400)
        numbers[:3] = np.nan, np.inf, 1e308
        target = Variable(EVIL, "number", numbers)
    figure = distributions(columns, target, left_out=[EVIL] * 5)
    plain = files.dumps(figure.plain())  # strict: no NaN, no Infinity
    assert "<img" not in plain and "</script" not in plain
    templates = [trace.get("hovertemplate", "") for trace in figure.data]
    assert not [one for one in templates if "onerror" in one]  # a name is never a template
    assert len(plain) < 120_000
    words = shown(figure)
    assert "100 % missing" in words and "400 not drawn" in words
    assert "1.2 % missing" in words and "1 not drawn · 4 infinite" in words.replace("<br>", " · ")
    assert "(unknown)" in words or "others" in words
    assert "and 2 more" in words
    if classes == 200:
        assert "7 most frequent of" in words and "classes, others as one" in words
    figure.save(tmp_path / "figure.png")
    figure.save(tmp_path / "figure.csv")


def test_rows_of_a_class_are_all_counted_once() -> None:
    codes = np.arange(400.0) % 20
    target = Variable("y", "category", codes, tuple(map(str, range(20))))
    column = Variable("x", "category", np.arange(400.0) % 50, tuple(map(str, range(50))))
    figure = distributions([column], target)
    assert sum(figure.columns["rows"]) == 400
    assert figure.columns["class"][:8] == [*map(str, range(7)), "13 others"]
    assert "47 others" in figure.columns["value"]


def test_of_many_columns_those_that_tell_most_are_shown() -> None:
    draws = np.random.default_rng(0)
    codes = draws.integers(0, 2, 500).astype(float)
    columns = [Variable(f"c{index}", "number", draws.normal(size=500)) for index in range(60)]
    for told in (7, 51):
        columns[told] = Variable(f"c{told}", "number", codes + draws.normal(size=500))
    for values, kind in ((codes, "category"), (codes * 2.5, "number")):
        figure = distributions(columns, Variable("y", kind, values, ("a", "b")))
        kept = set(figure.columns["column"]) - {"y"}
        assert {"c7", "c51"} <= kept and len(kept) == limits.MAX_PANELS
        assert "24 of 60 columns: those that say most" in shown(figure)
    assert "24 of 60 columns: the first" in shown(distributions(columns))


def test_of_very_many_columns_the_first_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_COLUMNS", 30)
    monkeypatch.setattr(limits, "MAX_VALUES", 3_000)
    codes = np.arange(400.0) % 2
    columns = [Variable(f"c{index}", "number", codes) for index in range(40)]
    figure = distributions(columns, Variable("y", "category", codes, ("a", "b")))
    words = shown(figure).replace("<br>", " ")
    assert "say most about the target among the first 30" in words
    assert "from 100 of 400 rows" in words
    assert sum(figure.columns["rows"]) == 24 * 100


def test_of_many_rows_some_are_drawn_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ROWS", 1000)
    values = np.arange(5000.0)
    figure = distributions([Variable("x", "number", values)])
    assert sum(figure.columns["rows"]) == 1000
    assert "from 1,000 of 5,000 rows, drawn at random" in shown(figure)
    assert distributions([Variable("x", "number", values)]).plain() == figure.plain()


def test_a_number_far_off_does_not_hide_the_rest() -> None:
    values = np.append(np.linspace(0, 1, 999), 1e9)
    figure = distributions([Variable("x", "number", values)])
    assert "0 to 1,000,000,000 · 1 not drawn" in shown(figure)
    assert len([rows for rows in figure.columns["rows"] if rows > 20]) > 10


def test_columns_of_unequal_length_are_refused() -> None:
    one, other = (Variable("x", "number", np.zeros(n)) for n in (3, 4))
    for columns in ([one, other], []):
        with pytest.raises(InputError):
            distributions(columns)


# ---- the command, the run, the page and the report


def test_the_page_tells_what_the_command_prints(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            EVIL: [*range(50), None],
            "empty": [None] * 51,
            "twice": [1.0, -999.0] + [float(n % 7) for n in range(49)],
            "y": [EVIL, "b"] * 25 + ["b"],
        }
    )
    frame.write_csv(tmp_path / "t.csv")
    out = tmp_path / "new" / "page.html"
    show(str(tmp_path / "t.csv"), "--target", "y", "--view", "--out", str(out))
    page = parsed(out)
    words = " ".join(page.words)
    assert "img" not in page.tags and EVIL in words
    assert "51 rows, 4 columns" in words and "target y (classification)" in words
    assert "-999" in words and "empty" in words and "49.02 %" in words
    policy = re.search('Content-Security-Policy" content="([^"]*)', out.read_text())
    assert policy and "default-src &#x27;none&#x27;" in policy[1]
    assert json.loads(page.scripts["numbers"])["counts"] == [25, 26]
    assert len(figures_of(page)) == 4  # also with the target, with each other, what is missing


def test_a_table_without_a_target_is_shown_too(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1.5, 2, 3], "b": ["x", "y", "x"]}).write_csv(tmp_path / "t.csv")
    out = tmp_path / "page.html"
    show(str(tmp_path / "t.csv"), "--out", str(out))
    assert len(figures_of(parsed(out))) == 2
    assert "Nothing is missing." in parsed(out).words
    pl.DataFrame({"a": ["some long words here", "and others there"]}).write_csv(tmp_path / "u.csv")
    show(str(tmp_path / "u.csv"), "--out", str(out))
    assert "no column is left" in " ".join(parsed(out).words)


def test_without_a_place_the_page_goes_to_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    facts = json.loads(CliRunner().invoke(app, ["data", "show", "iris", "--view", "--json"]).stdout)
    assert facts["rows"] == 150
    assert Path("runs/iris-data.html").is_file()
    assert opened == []  # nobody is there to see it
    assert place("../../<evil>") == Path("runs/evil-data.html")
    assert place("") == Path("runs/some-data.html")
    assert json.loads(CliRunner().invoke(app, ["runs", "list", "--json"]).stdout) == []


def test_a_browser_opens_it_at_a_terminal_with_a_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    out = tmp_path / "a b.html"
    for screen in ("", ":0"):
        monkeypatch.setattr(command, "_has_screen", lambda screen=screen: bool(screen))
        command.show(data="iris", view=True, out=out)
    assert opened == [out.as_uri()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> linnet.Run:
    return linnet.train("digits", model="linear", out=tmp_path_factory.mktemp("r") / "digits")


def test_a_run_shows_its_training_rows(run: linnet.Run) -> None:
    figure = run.examples()
    train = run.split()["train"]
    assert sum(figure.columns["rows"]) == len(train)
    assert run.examples("digits").plain() == figure.plain()
    panel = panels.make(run, "data", "")
    assert panel == figure.plain() and "data" in panels.KINDS
    with pytest.raises(InputError, match="is not the data of the run"):
        run.examples("iris")


def test_the_report_shows_them_and_stays_small(run: linnet.Run, tmp_path: Path) -> None:
    from linnet.show.report.page import write

    write([run.path], tmp_path / "r.html")
    figures = figures_of(ParsedPage((tmp_path / "r.html").read_text()))
    titles = [figure["layout"]["title"]["text"] for figure in figures]
    assert f"Samples of {len(run.split()['train']):,} pictures" in titles
    pytest.importorskip("matplotlib")
    write([run.path], tmp_path / "s.html", static=True)
    assert (tmp_path / "s.html").stat().st_size < 500_000


# How columns go together


def a_table(rows: int = 400) -> list[Variable]:
    draws = np.random.default_rng(0)
    codes = draws.integers(0, 3, rows).astype(np.float64)
    number = codes + draws.normal(size=rows)
    holed = np.where(np.arange(rows) < 40, np.nan, number + draws.normal(size=rows))
    again = np.where(draws.random(rows) < 0.8, codes, draws.integers(0, 3, rows)).astype(np.float64)
    names = ("a", "b", "c")
    return [
        Variable("kind", "category", codes, names),
        Variable("number", "number", number),
        Variable("holed", "number", holed),
        Variable("again", "category", again, names),
    ]


def test_associations_are_what_their_names_say() -> None:
    kind, number, holed, again = a_table()
    known = ~np.isnan(holed.values)
    pearson = _association.association(number, holed)
    expected = np.corrcoef(number.values[known], holed.values[known])[0, 1]
    assert pearson.measure == "correlation" and pearson.value == pytest.approx(expected)
    ratio = _association.association(number, kind)
    groups = [number.values[kind.values == code] for code in range(3)]
    between = sum(len(g) * (g.mean() - number.values.mean()) ** 2 for g in groups)
    whole = ((number.values - number.values.mean()) ** 2).sum()
    assert ratio.measure == "correlation ratio" and ratio == _association.association(kind, number)
    assert ratio.value == pytest.approx(np.sqrt(between / whole))
    counts = np.zeros((3, 3), np.int64)
    np.add.at(counts, (kind.values.astype(int), again.values.astype(int)), 1)
    from scipy.stats.contingency import association

    plain = float(association(counts, method="cramer"))  # without the correction for chance
    cramer = _association.association(kind, again)
    assert cramer.measure == "Cramér's V" and plain - 0.01 < cramer.value < plain
    shuffled = Variable(
        "noise", "category", np.random.default_rng(1).permutation(kind.values), kind.categories
    )
    assert _association.association(kind, shuffled).value < 0.08
    flat = Variable("flat", "number", np.ones(400))
    assert all(np.isnan(_association.association(flat, one).value) for one in (number, kind))


def test_what_is_missing_and_what_goes_together_is_drawn() -> None:
    columns = a_table()
    gaps = _association.absent(columns)
    assert set(gaps.columns["column"]) == {"holed"} and gaps.columns["missing"][0] == 1
    assert sum(
        share * (end - begin)
        for share, begin, end in zip(
            *(gaps.columns[k] for k in ("missing", "from", "to")), strict=True
        )
    ) == pytest.approx(40)
    with pytest.raises(InputError, match="Nothing is missing"):
        _association.absent(columns[:2])
    pairs = _association.associations(columns)
    assert len(pairs.columns["association"]) == 6
    bars = _association.target_bars(
        _association.with_target(columns[1:], columns[0]), columns[0].name
    )
    assert sorted(bars.columns["column"]) == ["again", "holed", "number"]
    told = _association.statistics(Variable("n", "number", np.array([0.0, 1.0, 2.0, np.nan])))
    assert told["mean"] == told["median"] == 1 and told["zeros"] == pytest.approx(1 / 3)
