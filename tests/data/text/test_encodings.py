"""Text files that are not UTF-8: Chinese is recognised, all others are refused with the words."""

import random
from pathlib import Path
from typing import Any

import pytest

from helpers import refusal
from linnet.data.reading import Reading
from linnet.data.table import Table
from linnet.data.text import chinese, lines
from linnet.data.text.csv import Csv

CUSTOMERS = "客户编号,姓名,性别,城市,购买金额\n1,张伟,男,北京,3.5\n2,王芳,女,上海,4.5\n"
NOTE = "the text is not UTF-8, and is read as Chinese in gb18030 (GBK), which it fits"


def put(folder: Path, content: bytes) -> Path:
    path = folder / "客户.csv"
    path.write_bytes(content)
    return path


def load(path: Path, **settings: Any) -> Table:
    return Csv().read(path, Reading(**settings))


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "gb2312"])
@pytest.mark.parametrize("size", [5, 4 << 20])
def test_a_chinese_file_of_excel_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, size: int
) -> None:
    monkeypatch.setattr(lines, "CHUNK_BYTES", size)
    table = load(put(tmp_path, CUSTOMERS.encode(encoding)))
    assert list(table.columns) == ["客户编号", "姓名", "性别", "城市", "购买金额"]
    assert table.columns["城市"].to_list() == ["北京", "上海"] and table.notes[0] == NOTE
    assert table.where(1) == "line 3"


def test_a_single_chinese_value_far_down_is_read(tmp_path: Path) -> None:
    content = "a,b\n" + "1,x\n" * 3_000_000 + "2,中国人民\n"
    table = load(put(tmp_path, content.encode("gbk")))
    assert table.columns["b"][-1] == "中国人民" and table.notes[0] == NOTE


WESTERN = {
    "cp1252": "Name,Straße\nMüller,Größe\nÆvar,naïve\n",
    "cp1250": "imię,miasto\nŁukasz,Łódź\nŻaneta,Kraków\n",
    "cp1251": "ИМЯ,ГОРОД\nАННА,МОСКВА\nПЁТР,КАЗАНЬ\n",  # words of even length fit GB18030
    "koi8_r": "имя,город\nанна,москва\nкира,казань\n",
    "cp1253": "όνομα,πόλη\nΆννα,Αθήνα\n",
    "cp1256": "الاسم,المدينة\nليلى,دبي\n",
    "cp949": "이름,도시,고객번호\n김철수,서울,가나다라\n이영희,부산,마바사아\n",
    "euc_jp": "名前,都市,年齢\n田中,東京,大阪\n鈴木,京都,神戸\n",
    "shift_jis": "名前,都市,年齢\n田中,東京,大阪\n鈴木,京都,神戸\n",
    "big5": "姓名,城市,年齡\n陳大文,台北,高雄\n林小明,台中,台南\n",
}


@pytest.mark.parametrize("encoding", WESTERN)
def test_other_encodings_are_never_taken_for_chinese(tmp_path: Path, encoding: str) -> None:
    said = refusal(load, put(tmp_path, WESTERN[encoding].encode(encoding)))
    assert "is not valid UTF-8" in said and "--set encoding=cp1252, or latin-1, gb18030" in said
    given = load(put(tmp_path, WESTERN[encoding].encode(encoding)), encoding=encoding)
    assert ",".join(given.columns) == WESTERN[encoding].split("\n")[0]


def test_the_error_shows_the_value_in_each_encoding(tmp_path: Path) -> None:
    said = refusal(load, put(tmp_path, "a,b\n1,Müller\n".encode("cp1252")))
    assert "line 2, byte 7" in said and '"Müller" in cp1252, "M黮ler" in gb18030' in said


def test_too_few_signs_decide_nothing(tmp_path: Path) -> None:
    assert '"男" in gb18030' in refusal(load, put(tmp_path, "sex\n男\n女\n".encode("gbk")))


def test_damaged_chinese_is_refused_as_it_came(tmp_path: Path) -> None:
    said = refusal(load, put(tmp_path, CUSTOMERS.encode("gbk") + b"3,\xff\xff,x,y,1\n"))
    assert "line 1, byte 0: 0xbf is not valid UTF-8" in said


def test_random_signs_of_the_first_level_are_not_chinese(tmp_path: Path) -> None:
    """As Hangul is in EUC-KR: any pair of bytes of the first level of GB2312."""
    draw = random.Random(0)
    level = [bytes([a, b]) for a in range(0xB0, 0xD7) for b in range(0xA1, 0xFF)]
    taken = 0
    for _ in range(400):
        content = b"a\n" + b"".join(draw.sample(level, draw.randrange(4, 40)))
        path = put(tmp_path, content)
        with open(path, "rb") as file:
            taken += chinese.is_chinese(file, path)
    assert taken <= 4
