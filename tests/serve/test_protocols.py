"""The protocols: what they take, what they answer, and that all give the same numbers."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import CSV, Here, as_csv, form, png, rows_of, tensors_of

import linnet
from linnet.runs.run import load

pytest_plugins = ("served",)

ROWS = rows_of(24)


def shares(answer: Any) -> list[list[float]]:
    """The probabilities in an answer of ``/predict``."""
    return [list(row["probabilities"].values()) for row in answer["predictions"]]


# ---- the same numbers, to the bit


def every_form(rows: list[dict[str, Any]]) -> dict[str, tuple[str, Any, dict[str, str]]]:
    """Each way to ask for the same rows: its path, its body and its headers."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    split = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    return {
        "rows": ("/predict", rows, {}),
        "rows, named": ("/models/table/predict", {"rows": rows}, {}),
        "columns": ("/predict", columns, {}),
        "columns, named": ("/predict", {"columns": columns}, {}),
        "split": ("/predict", {"columns": split["columns"], "rows": split["data"]}, {}),
        "csv": ("/predict", as_csv(rows), CSV),
        "v2": ("/v2/models/table/infer", {"inputs": tensors_of(rows)}, {}),
        "records": ("/invocations", {"dataframe_records": rows}, {}),
        "dataframe_split": ("/invocations", {"dataframe_split": split}, {}),
        "instances": ("/invocations", {"instances": rows}, {}),
        "inputs": ("/invocations", {"inputs": columns}, {}),
        "mlflow's csv": ("/invocations", as_csv(rows), CSV),
    }


def numbers_of(path: str, answer: Any) -> tuple[list[Any], list[list[float]]]:
    """The labels and the probabilities in an answer of any protocol."""
    if path == "/invocations":
        rows = answer["predictions"]
        return [row["prediction"] for row in rows], [[row["p_no"], row["p_yes"]] for row in rows]
    if path.startswith("/v2"):
        label, p = answer["outputs"]
        return label["data"], np.reshape(p["data"], p["shape"]).tolist()
    return [row["prediction"] for row in answer["predictions"]], shares(answer)


@pytest.mark.parametrize("count", [1, 2, 17, 24])
def test_every_protocol_gives_the_same_numbers_to_the_bit(site: Here, count: int) -> None:
    found = {}
    for name, (path, body, headers) in every_form(ROWS[:count]).items():
        if name == "mlflow's csv" and count == 1:
            continue
        answer = site.ask(path, body, **headers)
        assert answer.status == 200, (name, answer.content)
        found[name] = numbers_of(path, answer.json)
    first = found.pop("rows")
    assert len(first[0]) == count and all(p != first[1][0] for p in first[1][1:])
    for name, other in found.items():
        assert other == first, name


def test_more_rows_than_a_block_are_the_same_in_every_protocol(site: Here) -> None:
    rows = rows_of(1500, seed=3)
    found = [
        numbers_of(path, site.ask(path, body, **headers).json)
        for path, body, headers in every_form(rows).values()
    ]
    assert all(each == found[0] for each in found[1:])
    assert len(found[0][0]) == 1500


def test_the_numbers_are_those_of_the_model(site: Here, table: Path) -> None:
    import polars as pl

    model = load(table)
    wanted = model.predict_proba(pl.DataFrame(ROWS))
    p = np.array(shares(site.ask("/predict", ROWS).json))
    assert np.abs(p - wanted).max() < 1e-6
    labels = [row["prediction"] for row in site.ask("/predict", ROWS).json["predictions"]]
    assert labels == model.predict(pl.DataFrame(ROWS)).tolist()


def test_numbers_are_read_again_as_the_same_numbers(site: Here) -> None:
    answer = site.ask("/predict", ROWS[0])
    text = answer.content.decode()
    for p in shares(answer.json)[0]:
        assert repr(p) in text


# ---- /predict


def test_the_answer_has_one_form_for_one_row_and_for_many(site: Here, table: Path) -> None:
    one, many = site.ask("/predict", ROWS[0]).json, site.ask("/predict", ROWS[:1]).json
    assert one == many
    assert set(one) == {"model", "sha256", "predictions", "notes"}
    assert one["model"] == "table" and one["notes"] == []
    assert one["sha256"] == load(table).manifest.provenance["sha256"]
    (row,) = one["predictions"]
    assert set(row["probabilities"]) == {"no", "yes"}
    assert row["prediction"] == max(row["probabilities"], key=row["probabilities"].get)


def test_what_training_did_not_have_is_noted(site: Here) -> None:
    found = site.ask("/predict", {**ROWS[0], "town": "Atlantis", "colour": "red"}).json
    assert any("'town'" in note and "unknown" in note for note in found["notes"])
    assert any("'colour'" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("change", "column", "given"),
    [({"age": "old"}, "age", "old"), ({"since": "soon"}, "since", "soon"),
     ({"member": "perhaps"}, "member", "perhaps"), ({"age": [1]}, "age", "[1]")],
)  # fmt: skip
def test_a_wrong_value_is_named(site: Here, change: Any, column: str, given: str) -> None:
    answer = site.ask("/predict", [ROWS[0], {**ROWS[1], **change}])
    assert answer.status == 422
    found = answer.json
    assert (found["row"], found["column"], found["given"]) == (1, column, given)
    assert found["expected"] and column in found["error"] and "row 1" in found["error"]


def test_a_missing_column_is_named(site: Here) -> None:
    rows = [ROWS[0], {k: v for k, v in ROWS[1].items() if k != "town"}]
    answer = site.ask("/predict", rows)
    assert answer.status == 422 and "'town'" in answer.json["error"]
    assert answer.json["row"] == 1 and answer.json["column"] == "town"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("", 400, "not JSON"), ("{", 400, "not JSON"), ("[1, NaN]", 400, "NaN"),
        ("[1e999]", 422, "expected"), ('{"age": 1, "age": 2}', 400, "twice"),
        ("[" * 100_000 + "]" * 100_000, 400, "nested"), ("null", 422, "None"),
        ("[]", 422, "no rows"), ("{}", 422, "missing"), ("3", 422, "expected an object"),
        ("[[1, 2]]", 422, "expected an object"), ("[1]", 422, "expected an object"),
        ('[{"age": 1}, 2]', 422, "row 1 is 2"),
        ('{"age": [1], "rooms": [1, 2]}', 422, "not all as long"),
        ('{"columns": ["age"], "rows": [[1, 2]]}', 422, "row 0"),
        ('{"columns": ["age", "age"], "rows": [[1, 2]]}', 422, "twice"),
        ('"\\ud800"', 422, "expected"),
    ],
)  # fmt: skip
def test_a_bad_body_is_refused_in_words(site: Here, body: str, status: int, words: str) -> None:
    answer = site.ask("/predict", body, Content_Type="application/json")
    assert answer.status == status, answer.content
    assert words in answer.json["error"]


def test_a_body_that_is_not_utf8_is_refused(site: Here) -> None:
    for kind in ("application/json", "text/csv"):
        answer = site.ask("/predict", b'{"town": "\xff"}', Content_Type=kind)
        assert answer.status == 400 and "error" in answer.json
    other = site.ask("/predict", "{}", Content_Type="application/json; charset=latin-1")
    assert other.status == 415


@pytest.mark.parametrize(
    ("kind", "status"),
    [("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("", 415),
     ("image/png", 415), ("application/json; charset=utf-8", 200), ("Application/JSON", 200)],
)  # fmt: skip
def test_the_type_of_a_body_is_heeded(site: Here, kind: str, status: int) -> None:
    answer = site.ask("/predict", json.dumps(ROWS[0]), Content_Type=kind)
    assert answer.status == status
    assert status == 200 or "application/json" in answer.json["error"]


def test_rows_of_numbers(site: Here, iris: Path) -> None:
    flower = [5.1, 3.5, 1.4, 0.2]
    names = load(iris).schema.columns
    wanted = load(iris).predict_proba([flower])[0]
    bodies: list[Any] = [flower, [flower], {"rows": [flower]}]
    if names:
        bodies += [dict(zip(names, flower, strict=True))]
        bodies += [{name: [value] for name, value in zip(names, flower, strict=True)}]
    found = [shares(site.ask("/models/iris/predict", body).json)[0] for body in bodies]
    found.append(
        shares(site.ask("/models/iris/predict", [[int(v * 10) / 10 for v in flower]]).json)[0]
    )
    tensor = {"name": "input", "shape": [1, 4], "datatype": "FP64", "data": flower}
    v2 = site.ask("/v2/models/iris/infer", {"inputs": [tensor]}).json
    found.append(v2["outputs"][1]["data"])
    assert all(each == found[0] for each in found)
    assert np.abs(np.array(found[0]) - wanted).max() < 1e-6
    for wrong in ([flower[:3]], [[*flower[:3], "x"]], [[*flower[:3], None]], [flower, [1]]):
        answer = site.ask("/models/iris/predict", wrong)
        assert answer.status == 422 and answer.json["error"], wrong


def test_two_targets_are_named(site: Here) -> None:
    rows = [{"a": 3, "b": 1}, {"a": 0, "b": 4}]
    found = site.ask("/models/numbers/predict", rows).json["predictions"]
    assert [set(row["prediction"]) for row in found] == [{"c", "d"}] * 2
    assert "probabilities" not in found[0]
    data = {"inputs": [
        {"name": name, "shape": [2, 1], "datatype": "FP64", "data": [r[name] for r in rows]}
        for name in ("a", "b")
    ]}  # fmt: skip
    (tensor,) = site.ask("/v2/models/numbers/infer", data).json["outputs"]
    assert tensor["shape"] == [2, 2]
    assert tensor["data"] == [v for row in found for v in row["prediction"].values()]
    flat = site.ask("/invocations", {"instances": rows[:1]})
    assert flat.status == 400  # of the default model, which has other columns


# ---- pictures


def test_pictures_as_numbers_and_as_files(site: Here, digits: Path) -> None:
    pytest.importorskip("python_multipart", reason="forms need python-multipart")
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (3, 8, 8))
    pictures[:, [0, -1]] = pictures[:, :, [0, -1]] = 0  # the ground is dark, as in training
    path = "/models/digits/predict"
    found = shares(site.ask(path, pictures.tolist()).json)
    assert len(found) == 3 and len(found[0]) == 10
    assert found == shares(site.ask(path, pictures[:, None].tolist()).json)
    body, headers = form(*[("image/png", png(each)) for each in pictures])
    assert found == shares(site.ask(path, body, **headers).json)
    tensor = {"name": "input", "shape": [3, 1, 8, 8], "datatype": "UINT8",
              "data": pictures.ravel().tolist()}  # fmt: skip
    v2 = site.ask("/v2/models/digits/infer", {"inputs": [tensor]}).json["outputs"][1]
    assert np.reshape(v2["data"], v2["shape"]).tolist() == found
    one = shares(site.ask(path, pictures[0].tolist()).json)
    assert one == shares(site.ask(path, png(pictures[0]), Content_Type="image/png").json)
    assert np.abs(np.array(one[0]) - found[0]).max() < 1e-6


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"no picture", "image/png", 422), (b"", "image/png", 422),
        (png(np.zeros((8, 8)))[:-20], "image/png", 422), (b"[[1, 2]]", "application/json", 422),
        (b"[[[256]]]", "application/json", 422), (b"a,b\n1,2\n", "text/csv", 422),
        (b"--x\r\n", "multipart/form-data; boundary=x", 400),
        (b"zz", "multipart/form-data; boundary=x", 400), (b"", "multipart/form-data", 400),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 422),
    ],
)  # fmt: skip
def test_bad_pictures_are_refused(site: Here, body: bytes, kind: str, status: int) -> None:
    answer = site.ask("/models/digits/predict", body, Content_Type=kind)
    assert answer.status in (status, 400 if status == 422 and "csv" in kind else status)
    assert answer.json["error"]


def test_a_picture_that_unpacks_to_gigabytes_is_refused(site: Here) -> None:
    """A PNG of 50,000 x 50,000 pixels in 2.5 MB or less."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        total = kind + content
        return len(content).to_bytes(4, "big") + total + zlib.crc32(total).to_bytes(4, "big")

    side = (50_000).to_bytes(4, "big")
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", side + side + b"\x08\0\0\0\0")
    bomb += chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b"")
    answer = site.ask("/models/digits/predict", bomb, Content_Type="image/png")
    assert answer.status == 422


# ---- the Open Inference Protocol, version 2, as its specification has it


def test_v2_health_and_metadata(site: Here) -> None:
    assert site.ask("/v2/health/live").json == {"live": True}
    assert site.ask("/v2/health/ready").json == {"ready": True}
    assert site.ask("/v2/models/table/ready").json == {"name": "table", "ready": True}
    server = site.ask("/v2").json
    assert server == {"name": "linnet", "version": linnet.__version__, "extensions": []}
    about = site.ask("/v2/models/table").json
    assert set(about) == {"name", "versions", "platform", "inputs", "outputs"}
    version = about["versions"][0]
    assert about == site.ask(f"/v2/models/table/versions/{version}").json
    assert {"name": "town", "datatype": "BYTES", "shape": [-1]} in about["inputs"]
    assert about["outputs"][1] == {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]}
    pictures = site.ask("/v2/models/digits").json["inputs"]
    assert pictures == [{"name": "input", "datatype": "UINT8", "shape": [-1, 1, 8, 8]}]
    for path in ("/v2/models/none", "/v2/models/none/ready", "/v2/models/table/versions/7"):
        answer = site.ask(path)
        assert answer.status == 404 and set(answer.json) == {"error"}


def test_v2_infer(site: Here, table: Path) -> None:
    version = site.ask("/v2/models/table").json["versions"][0]
    body = {
        "id": "42", "parameters": {"x": 1}, "inputs": tensors_of(ROWS[:2]),
        "outputs": [{"name": "probabilities", "parameters": {"y": True}}],
    }  # fmt: skip
    for path in ("/v2/models/table/infer", f"/v2/models/table/versions/{version}/infer"):
        found = site.ask(path, body).json
        assert (found["model_name"], found["model_version"], found["id"]) == (
            "table", version, "42")  # fmt: skip
        assert found["parameters"]["sha256"] == load(table).manifest.provenance["sha256"]
        assert json.loads(found["parameters"]["classes"]) == ["no", "yes"]
        (output,) = found["outputs"]
        assert (output["name"], output["datatype"], output["shape"]) == (
            "probabilities", "FP64", [2, 2])  # fmt: skip
    nested = tensors_of(ROWS[:2])
    for tensor in nested:
        tensor |= {"shape": [2, 1], "data": [[value] for value in tensor["data"]]}
    assert site.ask("/v2/models/table/infer", {"inputs": nested}).json["outputs"][1] == output
    unknown = tensors_of([{**ROWS[0], "town": "Atlantis"}])
    found = site.ask("/v2/models/table/infer", {"inputs": unknown}).json
    assert "'town'" in found["parameters"]["notes"]


def changed(**more: Any) -> list[dict[str, Any]]:
    first, *others = tensors_of(ROWS[:2])
    return [{**first, **more}, *others]


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {"inputs": []}, {"inputs": 3}, {"inputs": [1]},
        {"inputs": tensors_of(ROWS[:2])[1:]},
        {"inputs": changed(shape=[3])}, {"inputs": changed(shape=[-1])},
        {"inputs": changed(shape=2)},
        {"inputs": changed(shape=[2, 1, 1, 1, 1, 1, 1, 1, 1, 1])},
        {"inputs": changed(shape=[1, 2])},
        {"inputs": changed(shape=[1], data=[1.0])}, {"inputs": changed(data=None)},
        {"inputs": changed(datatype="STRING")}, {"inputs": changed(datatype=None)},
        {"inputs": changed(data=["a", "b"])}, {"inputs": changed(data=[{}, 1])},
        {"inputs": changed(name="rooms")}, {"inputs": tensors_of(ROWS[:2]), "id": 3},
        {"inputs": tensors_of(ROWS[:2]), "outputs": [{"name": "no"}]},
        {"inputs": tensors_of(ROWS[:2]), "outputs": "prediction"},
        {"inputs": changed(parameters={"binary_data_size": 16})},
    ],
)  # fmt: skip
def test_v2_errors_have_their_form(site: Here, body: Any) -> None:
    answer = site.ask("/v2/models/table/infer", body)
    assert answer.status == 400 and set(answer.json) == {"error"}, answer.content


# ---- MLflow's scoring protocol, as its documentation has it


def test_mlflow_pings_and_version(site: Here) -> None:
    for path in ("/ping", "/health"):
        assert site.ask(path).status == 200
    assert site.ask("/version").content.decode() == linnet.__version__


def test_mlflow_invocations(site: Here) -> None:
    answer = site.ask("/invocations", {"dataframe_records": ROWS[:2], "params": None}).json
    assert set(answer) == {"predictions"}
    assert [set(row) for row in answer["predictions"]] == [{"prediction", "p_no", "p_yes"}] * 2
    one = {"inputs": {name: value for name, value in ROWS[0].items() if value is not None}}
    if ROWS[0]["age"] is not None:
        assert site.ask("/invocations", one).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {"instances": ROWS[:1], "inputs": ROWS[:1]}, {"instances": 3}, {"columns": []},
        {"dataframe_split": {"columns": ["age"]}}, {"dataframe_split": []},
        {"dataframe_split": {"columns": [[]], "data": []}}, {"dataframe_records": {}},
        {"dataframe_records": []}, {"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}},
        {"instances": ROWS[:1], "params": {"temperature": 1}}, {"instances": ROWS[:1], "x": 1},
        {"inputs": {"age": [1], "rooms": [1, 2]}}, {"instances": [[1, 2]]},
    ],
)  # fmt: skip
def test_mlflow_errors_have_their_form(site: Here, body: Any) -> None:
    answer = site.ask("/invocations", body)
    assert answer.status == 400, answer.content
    assert set(answer.json) == {"error_code", "message"}
    assert answer.json["error_code"] == "BAD_REQUEST"


def test_mlflow_splits_of_rows_without_names(iris: Path) -> None:
    from serving import here

    flower = [5.1, 3.5, 1.4, 0.2]
    with here(iris) as own:
        split = {"columns": load(iris).schema.columns or [0, 1, 2, 3], "data": [flower]}
        bodies: list[Any] = [
            {"dataframe_split": split},
            {"dataframe_split": {"data": [flower]}},
            {"instances": [flower]},
            {"inputs": [flower]},
        ]
        found = [own.ask("/invocations", body).json["predictions"] for body in bodies]
        assert all(each == found[0] for each in found)


# ---- intervals and sets


def test_intervals_are_those_of_the_model(site: Here, table: Path) -> None:
    model = load(table)
    plain = site.ask("/predict", ROWS).json
    found = site.ask("/predict?interval=0.8", ROWS).json
    sets = model.predict_set(ROWS, 0.8)
    names = model.schema.names
    expected = [[names[code] for code in np.flatnonzero(row)] for row in sets.inside]
    assert [row.pop("set") for row in found["predictions"]] == expected
    assert found["predictions"] == plain["predictions"]
    assert found["notes"] == [*plain["notes"], *model.calibration.notes, *sets.notes]
    named = site.ask("/models/table/predict?interval=0.8", as_csv(ROWS), **CSV).json
    assert [row["set"] for row in named["predictions"]] == expected
    rows = [{"a": 3, "b": 1}, {"a": 0, "b": 4}]
    whole = site.ask("/models/numbers/predict?interval=0.5", rows).json["predictions"]
    for row in whole:
        assert set(row["interval"]) == set(row["prediction"])
        for name, (low, high) in row["interval"].items():
            assert low < row["prediction"][name] < high


@pytest.mark.parametrize(
    ("level", "words"),
    [("x", "expected a level"), ("", "expected a level"), ("1", "between 0 and 1"),
     ("nan", "between 0 and 1"), ("0.9999", "largest level"), ("0.999", "needs 999 rows")],
)  # fmt: skip
def test_a_level_that_cannot_be_is_refused(site: Here, level: str, words: str) -> None:
    answer = site.ask(f"/predict?interval={level}", ROWS[:1])
    assert answer.status == 422 and words in answer.json["error"]


# ---- what describes the server


def test_openapi_has_the_models_own_columns(site: Here) -> None:
    found = site.ask("/openapi.json").json
    assert found["openapi"].startswith("3.1")
    row = found["components"]["schemas"]["table.row"]
    assert set(row["properties"]) == {"age", "rooms", "town", "member", "since"}
    assert (
        row["properties"]["town"]["examples"] and "Zürich" in row["properties"]["town"]["examples"]
    )
    assert row["properties"]["member"]["type"] == ["boolean", "null"]
    assert row["properties"]["since"]["format"] == "date"
    assert found["paths"]["/predict"]["post"]["parameters"][0]["name"] == "interval"
    for path, methods in found["paths"].items():
        for method in methods:
            assert site.ask(path, method=method.upper()).status not in (404, 405), path


def test_the_examples_are_right(site: Here) -> None:
    for path, methods in site.ask("/openapi.json").json["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {})
        if "example" in content.get("application/json", {}):
            answer = site.ask(path, content["application/json"]["example"])
            assert answer.status == 200, (path, answer.content)
            assert not answer.json.get("notes"), path


def test_the_manual_loads_nothing(site: Here) -> None:
    answer = site.ask("/docs")
    text = answer.content.decode()
    assert answer.status == 200 and "/v2/models/NAME/infer" in text and "Zürich" in text
    for word in ("http-equiv", "<script", "src=", "<link", "@import", "url("):
        assert word not in text
    assert "sha256-" in answer.headers["Content-Security-Policy"]


def test_models_are_listed(site: Here) -> None:
    found = site.ask("/models").json["models"]
    assert [model["name"] for model in found] == ["table", "iris", "digits", "numbers"]
    assert found[0]["classes"] == ["no", "yes"] and len(found[0]["sha256"]) == 64


def test_the_page_is_told_what_each_model_says(site: Here) -> None:
    found = site.ask("/try", ROWS[0]).json
    assert {model["name"] for model in found["models"]} == {"constant", "linear", "mlp"}
    assert [model["chosen"] for model in found["models"]] == [True, False, False]
    assert {term["name"] for term in found["terms"]} == set(ROWS[0])
    assert all(set(term["terms"]) == {"yes"} for term in found["terms"])
    first = found["models"][0]
    assert (
        first["probabilities"]
        == site.ask("/predict", ROWS[0]).json["predictions"][0]["probabilities"]
    )
    assert {"name", "title", "chosen", "prediction", "probabilities", "notes"} == set(first)
    assert site.ask("/try", ROWS[:2]).status == 422


def test_nothing_else_is_there(site: Here) -> None:
    for path in (
        "/etc/passwd", "/../../etc/passwd", "/models/../predict", "/models/no/predict",
        "/v2/models/table/x", "/predict/", "//predict", "/%2e%2e/x", "/models/",
    ):  # fmt: skip
        answer = site.ask(path)
        assert answer.status == 404 and answer.json["error"], path
    for path, method in (("/predict", "GET"), ("/predict", "DELETE"), ("/models", "POST"),
                         ("/predict", "OPTIONS"), ("/v2/health/live", "PUT")):  # fmt: skip
        answer = site.ask(path, method=method)
        assert answer.status == 405 and answer.headers["Allow"], path
    assert site.ask("/v2/health/live", method="HEAD").status == 200


def test_strange_columns_are_served(tmp_path: Path) -> None:
    """Columns with the names of the forms, and classes that are numbers or hostile texts."""
    from serving import here, train

    lines = ["rows,columns,<b>x</b>,y"]
    lines += [f"{i % 9},{i % 4},{i % 3},{'<i>' if i % 9 > 4 else 'b'}" for i in range(120)]
    (tmp_path / "odd.csv").write_text("\n".join(lines) + "\n")
    run = train(tmp_path, "odd.csv", "odd", "--target", "y", "--model", "linear")
    with here(run) as own:
        row = {"rows": 1, "columns": 2, "<b>x</b>": 1}
        assert own.ask("/predict", row).status == 200
        assert own.ask("/predict", {name: [value] for name, value in row.items()}).status == 200
        assert b"<b>x" not in own.ask("/docs").content
