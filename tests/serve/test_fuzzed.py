"""Bodies and requests changed at random: no crash, and an answer in the form of its protocol."""

import contextlib
import http.client
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import CSV, JSON, Here, as_csv, form, here, png, rows_of, tensors_of

import mutation

pytest_plugins = ("served",)

ROWS = rows_of(3)
FINE = (200, 400, 401, 403, 404, 405, 413, 415, 421, 422)


def split_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}


def columns_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: [row[name] for row in rows] for name in rows[0]}


PICTURE = np.arange(64).reshape(8, 8) * 3

PROTOCOLS: dict[str, tuple[str, str, list[Any]]] = {
    "predict": ("/predict", "x.json", [ROWS, ROWS[0], columns_of(ROWS), {"rows": ROWS}]),
    "csv": ("/predict", "x.csv", [as_csv(ROWS)]),
    "arrays": ("/models/digits/predict", "x.json", [PICTURE.tolist()]),
    "pictures": ("/models/digits/predict", "x.png", [png(PICTURE)]),
    "forms": ("/models/digits/predict", "x.form", [form(("image/png", png(PICTURE)))[0]]),
    "v2": ("/v2/models/table/infer", "x.json", [{"id": "1", "inputs": tensors_of(ROWS)}]),
    "mlflow": ("/invocations", "x.json", [{"dataframe_split": split_of(ROWS)},
               {"dataframe_records": ROWS}, {"instances": ROWS}, {"inputs": columns_of(ROWS)}]),
    "try": ("/try", "x.json", [ROWS[0]]),
}  # fmt: skip
TYPES = {".json": JSON, ".csv": CSV, ".png": {"Content-Type": "image/png"},
         ".form": form()[1]}  # fmt: skip


def content(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def refuse(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


@pytest.fixture(scope="module")
def fuzzed(table: Path, digits: Path) -> Any:
    with here(table, digits) as own:
        yield own


@pytest.mark.parametrize(
    "count",
    [
        100,
        pytest.param(1_000, marks=pytest.mark.slow),
        pytest.param(20_000, marks=pytest.mark.soak),
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_changed_bodies(fuzzed: Here, protocol: str, count: int, capfd: Any) -> None:
    path, name, good = PROTOCOLS[protocol]
    samples = [content(each) for each in good]
    rng = random.Random(protocol)
    headers = TYPES[name[name.index(".") :]]
    wanted = fuzzed.ask(path, samples[0], **headers)
    assert wanted.status == 200, wanted.content
    line = http.client.HTTPConnection("127.0.0.1", fuzzed.port, timeout=60)
    statuses = set()
    for _ in range(count):
        body = mutation.mutate(rng, name, rng.choice(samples), samples)
        line.request("POST", path, body, headers)
        answer = line.getresponse()
        told = json.loads(answer.read(), parse_constant=refuse)
        assert answer.status in FINE, (answer.status, body)
        assert isinstance(told, dict) and (answer.status == 200 or told.keys() & {
            "error", "message"}), body  # fmt: skip
        statuses.add(answer.status)
    line.close()
    assert 200 in statuses or protocol == "pictures"
    assert statuses & {400, 422}
    assert fuzzed.ask(path, samples[0], **headers).content == wanted.content
    assert fuzzed.service._held == 0 and fuzzed.service.work.waiting == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "count",
    [
        100,
        pytest.param(1_000, marks=pytest.mark.slow),
        pytest.param(20_000, marks=pytest.mark.soak),
    ],
)
def test_changed_requests(fuzzed: Here, count: int, capfd: Any) -> None:
    """Bytes of whole requests are changed: the head, the lengths, the chunks."""
    rng = random.Random(3)
    body = content(ROWS)
    start = (
        f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{fuzzed.port}\r\nOrigin: http://127.0.0.1\r\n"
        "Content-Type: application/json\r\nConnection: close\r\n"
    ).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i : i + 50]), body[i : i + 50])
                      for i in range(0, len(body), 50))  # fmt: skip
    samples = [
        start + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        start + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n",
        b"GET /v2/models/table HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ]
    for _ in range(count):
        asked = mutation.as_bytes(rng, rng.choice(samples), samples)
        with contextlib.suppress(TimeoutError):  # what lacks its end waits for it
            answer = fuzzed.raw(asked, 0.05)
            if answer:
                assert answer.startswith(b"HTTP/1.1 "), asked
                assert int(answer[9:12]) in (*FINE, 100, 501), (asked, answer[:200])
    assert fuzzed.ask("/predict", ROWS).status == 200
    assert "error" not in capfd.readouterr().err
