"""Packed text files: gzip, bzip2, xz, and a zip that holds one table."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pytest

import linnet
from costs import MEGABYTE
from helpers import refusal
from linnet.data.read import read_raw
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.data.text import packed

CONTENT = b"a,b\n1,x\n2,y\n"


def load(path: Path, **settings: Any) -> Table:
    found = read_raw(path, Reading(**settings))
    assert isinstance(found, Table)
    return found


def refused(path: Path) -> str:
    said = refusal(load, path)
    assert str(path) in said and len(said) < 1000
    return said


def zipped(members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", kind) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


PACKED = {
    "t.csv.gz": gzip.compress(CONTENT),
    "t.csv.bz2": bz2.compress(CONTENT[:5]) + bz2.compress(CONTENT[5:]),
    "t.csv.xz": lzma.compress(CONTENT[:5]) + bytes(4) + lzma.compress(CONTENT[5:]),
    "t.tsv.xz": lzma.compress(CONTENT.replace(b",", b"\t"), preset=9),
    "t.csv": bz2.compress(CONTENT),
    "archive.zip": zipped({"data/t.csv": CONTENT, "__MACOSX/._t.csv": b"x", "data/": b""}),
    "T.ZIP": zipped({"t.txt": CONTENT}, zipfile.ZIP_STORED),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_table_is_read_as_the_table(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PACKED[name])
    table = load(tmp_path / name)
    assert {name: column.to_list() for name, column in table.columns.items()} == {
        "a": [1, 2], "b": ["x", "y"],
    }  # fmt: skip
    assert table.name == "t" and table.notes == () and table.where(1) == "line 3"


def test_what_else_a_zip_holds_is_named(tmp_path: Path) -> None:
    path = tmp_path / "adult.zip"
    path.write_bytes(zipped({"adult.names": b"about", "adult.data": CONTENT, "read.txt": b"me"}))
    assert load(path).notes == (
        "of the zip adult.data is read, and left out: adult.names, read.txt",
    )


@pytest.mark.parametrize(
    "members",
    [
        {"train.csv": CONTENT, "test.csv": CONTENT},
        {"t.csv": CONTENT, "a/1.png": b"x"},
        {"about.md": b"x"},
    ],
)
def test_a_zip_of_several_tables_or_of_pictures_is_no_table(
    tmp_path: Path, members: dict[str, bytes]
) -> None:
    (tmp_path / "t.zip").write_bytes(zipped(members))
    assert packed.inside(tmp_path / "t.zip") is None


@pytest.mark.parametrize("name", ["t.csv.bz2", "t.csv.xz"])
@pytest.mark.parametrize("change", ["cut", "flip", "more"])
def test_a_damaged_file_is_told(tmp_path: Path, name: str, change: str) -> None:
    content = bytearray(PACKED[name])
    if change == "flip":
        content[len(content) // 2] ^= 255
    content = {"cut": content[:-9], "flip": content, "more": content + b"tail"}[change]
    (tmp_path / name).write_bytes(content)
    kind = "xz" if name.endswith("xz") else "bzip2"
    said = refused(tmp_path / name)
    assert f"broken {kind}" in said and "fetch or copy it again" in said


def test_a_damaged_zip_is_told(tmp_path: Path) -> None:
    content = zipped({"t.csv": CONTENT * 50})
    (tmp_path / "t.zip").write_bytes(content[:40] + b"\0\1\2\3" + content[44:])
    assert "broken zip" in refused(tmp_path / "t.zip")
    locked = bytearray(content)
    locked[6] |= 1
    locked[content.rindex(b"PK\1\2") + 8] |= 1
    (tmp_path / "t.zip").write_bytes(locked)
    assert "t.csv is encrypted" in refused(tmp_path / "t.zip")


@pytest.mark.slow
@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_a_file_that_swells_is_refused(tmp_path: Path, pack: Any) -> None:
    content = pack(b"a,b\n" + b"0,1\n" * (10 * MEGABYTE))
    assert len(content) < MEGABYTE // 50
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    assert "MAX_GZIP_RATIO" in refused(path)
    path = tmp_path / "t.zip"
    path.write_bytes(zipped({"t.csv": b"a,b\n" + b"0,1\n" * (10 * MEGABYTE)}))
    assert "MAX_GZIP_RATIO" in refused(path)


def test_xz_that_needs_much_memory_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    head = lzma.compress(CONTENT, filters=[{**filters[0], "dict_size": 1 << 20}])
    at = head.index(b"\x21\x01") + 2  # LZMA2's only property: the size of its dictionary
    block = bytearray(head)
    block[at] = 36  # 1 GB
    length = 4 * (block[12] + 1)
    block[12 + length - 4 : 12 + length] = (
        __import__("zlib").crc32(bytes(block[12 : 12 + length - 4])).to_bytes(4, "little")
    )
    (tmp_path / "t.csv.xz").write_bytes(block)
    assert "Memory usage limit exceeded" in refused(tmp_path / "t.csv.xz")


def test_a_workbook_under_the_name_of_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(zipped({"xl/workbook.xml": b"<x/>"}))
    assert "begins as a zip, or as an Excel workbook" in refused(tmp_path / "t.csv")


def test_a_zip_with_a_long_list_of_members_is_not_looked_into(tmp_path: Path) -> None:
    content = bytearray(zipped({"t.csv": CONTENT}))
    end = content.rindex(b"PK\5\6")
    content[end + 12 : end + 16] = (packed.MAX_ZIP_LIST_BYTES + 1).to_bytes(4, "little")
    (tmp_path / "t.zip").write_bytes(content)
    assert packed.inside(tmp_path / "t.zip") is None
    with pytest.raises(linnet.LinnetError):
        load(tmp_path / "t.zip")


def test_a_name_in_an_encoding_that_nothing_tells_is_that_of_the_zip(tmp_path: Path) -> None:
    content = zipped({"xxxx.csv": CONTENT}).replace(b"xxxx.csv", "数据".encode("gbk") + b".csv")
    (tmp_path / "数据集.zip").write_bytes(content)
    assert load(tmp_path / "数据集.zip").name == "数据集"
    (tmp_path / "b.zip").write_bytes(zipped({"数据.csv": CONTENT}))
    assert load(tmp_path / "b.zip").name == "数据"
