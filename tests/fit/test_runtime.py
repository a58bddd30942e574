"""A model that only predicts gives the answers of the artifact, and refuses the same files."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from PIL import Image
from torch import nn

import linnet
from linnet.errors import CellError, DataError, InputError, LinnetWarning, ModelError
from linnet.experiment.few import few
from linnet.experiment.predict import predict
from linnet.fit import artifact, runtime
from linnet.fit.runtime import Runtime

ROWS = 120
QUICK: dict[str, Any] = {"epochs": 3, "widths": [8], "penalty": [0.1], "yardstick": "none"}


def frame() -> polars.DataFrame:
    draw = np.random.default_rng(0)
    age = draw.integers(18, 80, ROWS)
    town = draw.choice(["Ulm", "Rom", "Oslo", "Bern"], ROWS)
    pay = np.round(np.exp(draw.normal(7, 1, ROWS)), 2)
    y = (age > 45) ^ (town == "Rom")
    return polars.DataFrame(
        {
            "age": age,
            "town": town,
            "pay": [None if row % 9 == 4 else value for row, value in enumerate(pay)],
            "day": [f"2024-{row % 12 + 1:02}-{row % 28 + 1:02}" for row in range(ROWS)],
            "bought": np.where(y ^ (draw.random(ROWS) < 0.1), "yes", "no"),
            "spent": pay / 100 + age,
        }
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of tables with classes and with numbers, of pictures, and of plain rows."""
    root = tmp_path_factory.mktemp("runs")
    table = frame()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = {
            "bought": (table.drop("spent"), {"target": "bought", **QUICK}),
            "spent": (table.drop("bought"), {"target": "spent", "embedding": "piecewise", **QUICK}),
            "digits": ("digits", {"folds": 1, **QUICK}),
            "iris": ("iris", QUICK),
            "cnn": ("digits", {"model": "cnn", "folds": 1, "channels": [4], "epochs": 1}),
        }
        for name, (place, settings) in made.items():
            linnet.train(place, out=root / name, **settings)
    return {name: root / name for name in made}


CASES = [
    (name, model)
    for name in ("bought", "spent", "digits", "iris")
    for model in ("constant", "linear", "mlp")
] + [("cnn", "cnn")]  # fmt: skip
EACH = pytest.mark.parametrize(("name", "model"), CASES)


def raw_input(name: str) -> Any:
    if name in ("bought", "spent"):
        return frame()
    return linnet.read("digits" if name == "cnn" else name).x[:200].numpy()


def encoded(model: Runtime, raw: Any) -> runtime.Encoded:
    return model.rows(raw.to_dicts()) if isinstance(raw, polars.DataFrame) else model.arrays(raw)


@EACH
def test_the_answers_are_those_of_the_model(name: str, model: str, runs: dict[str, Path]) -> None:
    path = runs[name] / f"{model}.safetensors"
    whole, raw = artifact.load(path), raw_input(name)
    quick, slow = runtime.load(path), runtime.load(path, engine="torch")
    assert (quick.engine, slow.engine) == ("numpy", "torch")
    assert quick.sha256 == slow.sha256 == whole.manifest.provenance["sha256"]
    assert quick.manifest == whole.manifest and quick.schema == whole.schema
    expected = whole.raw(raw).numpy()
    dtype = whole.manifest.dtype
    for each in (quick, slow):
        found = encoded(each, raw)
        answers = each.answers(found)
        unit = max(1.0, float(np.abs(expected).max()))
        close = 1e-6 if dtype == "float32" else 1e-12
        assert np.abs(each.raw(found.x) - expected).max() <= 3 * close * unit
        labels = whole.predict(raw).tolist()
        if not whole.objective.classifies:
            assert answers.p is None
            assert np.allclose(answers.prediction, labels, rtol=3 * close, atol=3 * close * unit)
            continue
        p = whole.predict_proba(raw)
        assert answers.p is not None and np.abs(answers.p - p).max() <= close
        best = np.sort(p, axis=1)
        sure = best[:, -1] - best[:, -2] > close
        assert [a for a, s in zip(answers.prediction, sure, strict=True) if s] == [
            a for a, s in zip(labels, sure, strict=True) if s
        ]
        assert {type(label) for label in answers.prediction} <= {int, str, bool}


@EACH
def test_one_row_and_the_same_row_among_others(
    name: str, model: str, runs: dict[str, Path]
) -> None:
    loaded = runtime.load(runs[name] / f"{model}.safetensors")
    raw = raw_input(name)
    together = loaded.raw(encoded(loaded, raw).x)
    unit = max(1.0, float(np.abs(together).max()))
    close = 3e-6 if loaded.manifest.dtype == "float32" else 1e-12
    for row in (0, 7, 100):
        alone = loaded.raw(encoded(loaded, raw[row : row + 1]).x)
        assert np.abs(alone[0] - together[row]).max() <= close * unit


def test_notes_are_those_of_a_prediction(runs: dict[str, Path]) -> None:
    model = runtime.load(runs["bought"] / "mlp.safetensors")
    row = {"age": None, "town": "Paris", "pay": 3.5, "day": "2024-05-06", "more": 1}
    notes = model.rows([row]).notes
    with pytest.warns(LinnetWarning) as told:
        predict(runs["bought"], polars.DataFrame([row] * 2))
    words = [str(each.message) for each in told]
    assert len(notes) == 3 and notes[0] == "columns that the model does not know: 'more'"
    for note in notes[1:]:
        assert any(note.replace("1 ", "2 ", 1) in word for word in words), (note, words)
    assert model.answers(model.rows([row])).notes == notes


def test_wrong_rows_are_told(runs: dict[str, Path]) -> None:
    model = runtime.load(runs["bought"] / "mlp.safetensors")
    row = {"age": 33, "town": "Rom", "pay": 3.5, "day": "2024-05-06"}
    with pytest.raises(CellError, match="expected a date") as caught:
        model.rows([row, {**row, "day": "tomorrow"}])
    assert (caught.value.row, caught.value.column) == (1, "day")
    with pytest.raises(InputError, match="by the names of their columns, not arrays: age, town"):
        model.arrays([[1, 2, 3, 4]])
    with pytest.raises(InputError, match="not pictures"):
        model.files([b"x"])
    pictures = runtime.load(runs["digits"] / "mlp.safetensors")
    with pytest.raises(InputError, match="takes pictures, not rows"):
        pictures.rows([row])
    with pytest.raises(InputError, match="takes pictures, not a table"):
        pictures.text(b"a,b\n1,2\n")


def png(pixels: Any, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def test_pictures_in_memory_are_read_as_files_are(runs: dict[str, Path], tmp_path: Path) -> None:
    model = runtime.load(runs["digits"] / "mlp.safetensors")
    x = linnet.read("digits").x[:4, 0].numpy() * 15
    coloured = np.kron(np.stack([255 - x[1], x[1], x[1]], 2), np.ones((4, 4, 1), np.uint8))
    contents = [png(x[0]), png(coloured), png(x[2], "JPEG"), png(np.full((8, 8), 255, np.uint8))]
    found = model.files(contents)
    paths = []
    for number, content in enumerate(contents):
        paths.append(tmp_path / f"picture {number}.png")
        paths[-1].write_bytes(content)
    with pytest.warns(LinnetWarning) as told:
        expected = predict(runs["digits"], [str(path) for path in paths], model="mlp")
    answers = model.answers(found)
    assert expected.p is not None and answers.p is not None
    assert np.abs(answers.p - expected.p).max() < 1e-6
    assert answers.prediction == expected.prediction.tolist()
    notes = {note.replace(f"{tmp_path}/", "").replace(".png", "") for note in expected.notes}
    notes |= {str(each.message).replace(f"{tmp_path}/", "").replace(".png", "") for each in told}
    assert set(answers.notes) == notes and len(notes) >= 3
    with pytest.raises(DataError, match="picture 1: not a readable picture: its content is"):
        model.files([contents[0], b"GIF89a"])
    with pytest.raises(DataError, match="the picture: not a readable picture: it ends before"):
        model.files([contents[0][:-20]])
    with pytest.raises(DataError, match="no pictures"):
        model.files([])


def test_a_table_as_text(runs: dict[str, Path]) -> None:
    model = runtime.load(runs["bought"] / "mlp.safetensors")
    table = frame().drop("spent", "bought").with_columns(extra=polars.lit(3))
    found = model.text(table.write_csv().encode())
    assert np.array_equal(found.x, model.rows(table.drop("extra").to_dicts()).x)
    assert found.notes == ("columns that the model does not know: 'extra'",)
    assert found.first is not None and found.first["town"] == table["town"][0]
    iris = runtime.load(runs["iris"] / "linear.safetensors")
    x = linnet.read("iris").x.numpy()
    rows = polars.DataFrame(dict(zip(iris.schema.columns, x.T, strict=True)))
    assert np.array_equal(iris.text(rows.write_csv().encode()).x, x)
    for wrong, words in (
        (b"", "is empty"),
        (b"age,town\n1,2\n1\n", "line 3"),
        (b"age,town\n1,2\n", "'pay', 'day' are missing"),
        (b"age,town,pay,day\nx,Rom,1,2024-01-01\n", "line 2: the column 'age' has 'x'"),
        (b"\x1f\x8b\x08rest", "is compressed"),
        (b"a,b\n1,\xff\xfe\xfa\n", "UTF-8"),
    ):
        with pytest.raises(DataError, match=words) as caught:
            model.text(wrong)
        assert str(caught.value).startswith("the table")


@pytest.mark.parametrize("name", ["bought", "spent", "iris"])
def test_terms_of_a_line(name: str, runs: dict[str, Path]) -> None:
    model = runtime.load(runs[name] / "linear.safetensors")
    assert model.engine == "numpy"
    if name == "iris":
        x = linnet.read("iris").x.numpy()
        one, two = model.arrays(x[:1]), model.arrays(x[60:61])
        names = list(model.schema.columns)
        value: Any = x[60, 0].item()
    else:
        rows = frame().to_dicts()
        one, two = model.rows(rows[:1]), model.rows(rows[4:5])
        names = ["age", "town", "pay", "day"]
        value = rows[4]["age"]
    terms = model.terms(two)
    before = model.terms(one)
    assert terms is not None and before is not None
    assert [term.name for term in terms] == names and terms[0].value == value
    change = np.sum([term.terms for term in terms], 0) - np.sum([term.terms for term in before], 0)
    assert np.allclose(change, (model.raw(two.x) - model.raw(one.x))[0], rtol=1e-9, atol=1e-9)
    assert model.terms(two) == runtime.load(runs[name] / "linear.safetensors").terms(two)
    net = runtime.load(runs[name] / "mlp.safetensors")
    assert net.terms(one) is None


def test_the_terms_of_pictures_are_none(runs: dict[str, Path]) -> None:
    model = runtime.load(runs["digits"] / "linear.safetensors")
    assert model.terms(model.arrays(raw_input("digits")[0])) is None


def test_a_module_of_ones_own_is_computed_by_pytorch(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    run = linnet.train("digits", network=module, out=tmp_path / "run", **QUICK)
    path = run.path / "custom.safetensors"
    model = runtime.load(path, network=nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    assert model.engine == "torch"
    x = raw_input("digits")
    expected = artifact.load(path, nn.Sequential(nn.Flatten(), nn.Linear(64, 10))).predict_proba(x)
    answers = model.answers(model.arrays(x))
    assert answers.p is not None and np.abs(answers.p - expected).max() < 1e-6
    with pytest.raises(ModelError, match="pass the module"):
        runtime.load(path)
    with pytest.raises(ModelError, match="PyTorch alone computes"):
        runtime.load(path, engine="numpy")
    with pytest.raises(ModelError, match="leave out network="):
        runtime.load(run.path / "linear.safetensors", network=module)


def test_wide_tables(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    towns = [f"t{number}" for number in range(2_000)]
    table = polars.DataFrame(
        {"town": towns * 2, "x": draw.normal(size=4_000), "y": draw.choice(["a", "b"], 4_000)}
    )
    settings = {"max_categories": 2_000, "folds": 1, **QUICK}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = linnet.train(table, target="y", out=tmp_path / "run", **settings)
    some = table.drop("y")[:50]
    for name in ("constant", "linear", "mlp"):
        path = run.path / f"{name}.safetensors"
        quick, slow = runtime.load(path), runtime.load(path, engine="torch")
        assert quick.schema.coded and (quick.engine, slow.engine) == ("numpy", "torch")
        found = quick.rows(some.to_dicts())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of towns that are in no training row
            expected = artifact.load(path).predict_proba(some)
        for model in (quick, slow):
            p = model.answers(model.rows(some.to_dicts())).p
            assert p is not None and np.abs(p - expected).max() < 1e-6
        if name == "linear":
            terms = quick.terms(found)
            assert terms is not None and [term.name for term in terms] == ["town", "x"]


def test_several_threads(runs: dict[str, Path]) -> None:
    rows = frame().to_dicts()
    for engine in ("numpy", "torch"):
        model = runtime.load(runs["bought"] / "mlp.safetensors", engine=engine)
        expected = [model.answers(model.rows([row])).p.tolist() for row in rows]  # type: ignore[union-attr]
        wrong: list[int] = []

        def work(start: int) -> None:
            for number in range(start, len(rows), 4):
                found = model.answers(model.rows([rows[number]])).p  # noqa: B023
                if found is None or found.tolist() != expected[number]:  # noqa: B023
                    wrong.append(number)  # noqa: B023

        threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_a_runtime_of_a_table_imports_neither_torch_nor_polars(runs: dict[str, Path]) -> None:
    script = """
import json, sys
from linnet.fit import runtime
row = json.loads(sys.argv[2])
for name in ("constant", "linear", "mlp"):
    model = runtime.load(f"{sys.argv[1]}/{name}.safetensors")
    for count in (1, 50):
        answers = model.answers(model.rows([row] * count))
    terms = model.terms(model.rows([row]))
iris = runtime.load(f"{sys.argv[3]}/mlp.safetensors")
iris.answers(iris.arrays([5.1, 3.5, 1.4, 0.2]))
heavy = ("torch", "polars", "PIL", "sklearn", "scipy", "narwhals", "pandas")
print([name for name in heavy if name in sys.modules])
"""
    row = json.dumps({"age": 33, "town": "Rom", "pay": None, "day": "2024-05-06"})
    done = subprocess.run(
        [sys.executable, "-c", script, str(runs["bought"]), row, str(runs["iris"])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_a_runtime_of_pictures_imports_no_torch(runs: dict[str, Path]) -> None:
    script = """
import sys
from linnet.fit import runtime
content = sys.stdin.buffer.read()
for name in ("digits/linear", "digits/mlp", "cnn/cnn"):
    model = runtime.load(f"{sys.argv[1]}/{name}.safetensors")
    answers = model.answers(model.files([content]))
    assert len(answers.prediction) == 1 and model.engine == "numpy"
print("torch" in sys.modules, "polars" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(runs["digits"].parent)],
        input=png(linnet.read("digits").x[0, 0].numpy() * 15), capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [b"False", b"False"]


@pytest.mark.parametrize("name", ["bought", "spent"])
def test_a_model_takes_rows_as_people_write_them(name: str, runs: dict[str, Path]) -> None:
    model = linnet.load(runs[name])
    rows = frame().drop("bought", "spent").to_dicts()
    for given in (rows[0], rows[:3], tuple(rows[:3])):
        expected = model.predict(frame()[: len(given) if given is not rows[0] else 1])
        assert np.array_equal(model.predict(given), expected)
    with pytest.warns(LinnetWarning, match="'town' has 1 row of unknown categories"):
        model.predict({**rows[0], "town": "Paris"})
    with pytest.raises(CellError):
        model.predict([rows[0], {**rows[1], "age": "old"}])
    with pytest.raises(DataError, match="the model takes pictures"):
        linnet.load(runs["digits"]).predict({"a": 1})


@pytest.mark.parametrize("name", ["bought", "spent"])
def test_a_small_text_file_is_predicted_without_pytorch(
    name: str, runs: dict[str, Path], tmp_path: Path
) -> None:
    table = frame().drop("bought", "spent").with_columns(more=polars.lit(1), town=polars.lit("Ulm"))
    table = table.with_columns(polars.Series("town", ["Paris"] * 2 + ["Rom"] * (ROWS - 2)))
    table.write_csv(tmp_path / "new.csv")
    for rows in (None, (3, 0)):
        told = []
        for ask in (few, predict):
            with pytest.warns(LinnetWarning) as warned:
                found = ask(runs[name], str(tmp_path / "new.csv"), rows=rows)
            assert found is not None
            told.append((found, {str(each.message) for each in warned}))
        (one, words), (two, others) = told
        assert words == others and one.notes == two.notes and one.classes == two.classes
        assert one.columns().keys() == two.columns().keys()
        for key, column in one.columns().items():
            other = two.columns()[key]
            assert column.dtype == other.dtype
            same = np.allclose(column, other, 1e-5, 1e-6) if column.dtype.kind == "f" else None
            assert same or (column == other).all()
    refused = pytest.raises(InputError, match="no row 200: all of new has the rows 0 to 119")
    with refused, pytest.warns(LinnetWarning):
        few(runs[name], str(tmp_path / "new.csv"), rows=(200,))


def test_what_needs_pytorch_is_left_to_it(runs: dict[str, Path], tmp_path: Path) -> None:
    frame().write_csv(tmp_path / "labelled.csv")
    (tmp_path / "iris.csv").write_text("a,b\n1,2\n")
    assert few(runs["bought"], str(tmp_path / "labelled.csv")) is None
    assert few(runs["iris"], str(tmp_path / "iris.csv")) is None
    assert few(runs["bought"], "digits") is None
    assert few(runs["digits"], str(tmp_path / "none.png")) is None
    assert few(runs["digits"], [str(tmp_path)]) is None


def test_the_command_for_a_few_rows_or_pictures_imports_no_pytorch(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    frame().drop("bought", "spent")[:3].write_csv(tmp_path / "new.csv")
    (tmp_path / "digit.png").write_bytes(png(linnet.read("digits").x[0, 0].numpy() * 15))
    script = """
import contextlib, sys
from linnet.cli import main
for words in ([sys.argv[1], sys.argv[3]], [sys.argv[2], sys.argv[4], "--invert", "--model", "mlp"]):
    sys.argv[1:], kept = ["predict", *words], sys.argv[1:]
    with contextlib.suppress(SystemExit):
        main()
    sys.argv[1:] = kept
print("torch" in sys.modules)
"""
    given = [runs["bought"], runs["digits"], tmp_path / "new.csv", tmp_path / "digit.png"]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, given)], capture_output=True, text=True, check=True
    )
    assert "prediction" in done.stdout and "digit.png" in done.stdout
    assert done.stdout.split()[-1] == "False"
