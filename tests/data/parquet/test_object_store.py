"""Parquet in an object store, from a local server that speaks S3; skipped where moto is missing."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

import linnet
from linnet.data.parquet.blocks import Far, is_far
from linnet.data.reading import Reading
from linnet.errors import DataError

server_of_moto = pytest.importorskip("moto.server", reason="moto is not installed")
boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")


def frame(start: int, rows: int) -> pl.DataFrame:
    numbers = range(start, start + rows)
    return pl.DataFrame(
        {
            "a": [n * 0.37 for n in numbers],
            "w": [f"word {n % 3}" for n in numbers],
            "y": [n % 17 + n * 0.01 for n in numbers],
        }
    )


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = server_of_moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    _, port = server.get_host_and_port()
    for key, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="rows")
    for name, part in (("b", frame(700, 300)), ("a", frame(0, 700))):
        content = BytesIO()
        part.write_parquet(content, row_group_size=100)
        client.put_object(Bucket="rows", Key=f"t/{name}.parquet", Body=content.getvalue())
    yield "s3://rows/t"
    server.stop()


def test_objects_are_read_by_blocks(bucket: str) -> None:
    assert is_far(bucket)
    far = Far(bucket, Reading(drop=("w",)))
    assert (len(far), far.columns, far.where(701)) == (1000, ["a", "y"], "row 1 of b.parquet")
    tables = [far.table(block) for block in far.blocks(128)]
    assert max(map(len, tables)) == 128
    found = pl.concat([table.columns["a"] for table in tables])
    assert found.equals(frame(0, 1000)["a"])
    one = Far(f"{bucket}/b.parquet", Reading())
    assert one.whole(["w"])["w"].equals(frame(700, 300)["w"])


def test_a_line_is_fitted_as_to_the_files(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    frame(0, 700).write_parquet(tmp_path / "t" / "a.parquet")
    frame(700, 300).write_parquet(tmp_path / "t" / "b.parquet")
    runs = [
        linnet.train(place, target="y", model="linear", out=tmp_path / f"run{number}", echo=False,
                     store=str(tmp_path / f"s{number}"), yardstick="none")
        for number, place in enumerate((bucket, tmp_path / "t"))
    ]  # fmt: skip
    far, near = (run.models["linear"] for run in runs)
    assert far.schema == near.schema
    for mine, theirs in zip(far.module.parameters(), near.module.parameters(), strict=True):
        assert mine.equal(theirs)


def test_an_address_without_objects_is_told(bucket: str) -> None:
    with pytest.raises(DataError, match="s3://rows/none"):
        Far(f"{bucket.removesuffix('t')}none", Reading())
    assert not is_far("a/b")
