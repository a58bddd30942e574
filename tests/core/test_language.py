"""The languages: the catalogues hold what the code says, and no record is translated."""

import gettext
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from babel.messages.pofile import read_po
from typer.testing import CliRunner

import linnet
from helpers import ROOT
from linnet.cli import app
from linnet.core.language import LANGUAGES, current, language, tr, trn
from linnet.errors import InputError

CHINESE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
PLACE = re.compile(r"\{([^{}]*)\}")


@pytest.fixture(scope="module")
def words() -> ModuleType:
    place = importlib.util.spec_from_file_location("words", ROOT / "docs" / "words.py")
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", LANGUAGES[1:])
def test_a_catalogue_has_the_texts_of_the_code_all_translated(words: ModuleType, name: str) -> None:
    path: Path = words.catalogue(name)
    with path.open("rb") as file:
        held: Any = read_po(file, locale=name)
    of_code = {message.id for message in words.extracted(name)}
    assert {message.id for message in held} == of_code, "run make words, and translate"
    assert not held.obsolete and not any(message.fuzzy for message in held if message.id)
    with path.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in held:
        if not message.id:
            continue
        ids, strings = listed(message.id), listed(message.string)
        assert all(strings), f"not translated: {ids}"
        for text in [*ids, *strings]:
            assert set(PLACE.findall(text)) == set(PLACE.findall(ids[-1])), text
        one, many = ids[0], ids[-1]
        read = compiled.ngettext(one, many, 2) if len(ids) > 1 else compiled.gettext(one)
        assert read == strings[0], "run make words"


def listed(texts: Any) -> list[str]:
    """One text, or singular and plural."""
    return [texts] if isinstance(texts, str) else list(texts)


def test_a_call_within_a_call_is_found_and_a_text_that_changes_is_refused(
    words: ModuleType,
) -> None:
    source = 'tr("a {b}", b=tr("c"))\ntrn("{n} x", "{n} xs", 2)\ntr(title)\nmarked("d" "e")'
    assert list(words.texts(source)) == [("a {b}",), ("c",), ("{n} x", "{n} xs"), ("de",)]
    with pytest.raises(ValueError, match="line 1"):
        list(words.texts('tr(f"a {b}")'))


def test_the_language_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINNET_LANG", raising=False)
    assert tr("the line") == "the line" and trn("{n} row", "{n} rows", 1) == "1 row"
    with language("zh"):
        assert tr("the line") == "线性模型" and trn("{n} row", "{n} rows", 1200) == "1,200 行"
        assert tr("no such text {x}", x=1) == "no such text 1" and tr("") == ""
        with language("en"):
            assert tr("the line") == "the line"
        with language(None):
            assert current() == "zh"
    monkeypatch.setenv("LINNET_LANG", "zh_CN.UTF-8")
    assert current() == "zh"
    monkeypatch.setenv("LINNET_LANG", "fr")
    with pytest.raises(InputError, match="LINNET_LANG=fr: expected one of en, zh"):
        current()


def test_an_unknown_language_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for words, variable in ((["--lang", "fr"], "en"), ([], "fr")):
        monkeypatch.setenv("LINNET_LANG", variable)
        done = CliRunner().invoke(app, ["evaluate", "nowhere", "iris", *words])
        assert done.exit_code == 2
        assert done.output.count("\n") == 1 and "=fr: expected one of en, zh" in done.output


def test_people_read_their_language_and_files_stay_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINNET_LANG", "zh")
    words = ["train", "iris", "--model", "linear", "--out", str(tmp_path / "run"), "--no-view"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert "建议使用线性模型：" in done.output and "已收敛" in done.output
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "建议使用线性模型：" in page
    for path in (tmp_path / "run").iterdir():
        if path.suffix in (".json", ".jsonl", ".toml", ".txt"):
            assert not CHINESE.search(path.read_text("utf-8")), path.name

    run = linnet.Run(tmp_path / "run")
    assert "线性模型" in run.verdict
    for name, title in (("en", "line"), ("zh", "线性模型")):
        answer = run.answer(lang=name)
        assert answer is not None and answer.title == title
        reasons = run.reasons(lang=name)
        assert all(bool(CHINESE.search(str(each))) == (name == "zh") for each in reasons)
    monkeypatch.setenv("LINNET_LANG", "en")
    assert run.verdict == run.metrics["verdict"]
    shown = CliRunner().invoke(app, ["runs", "show", str(run.path), "--lang", "zh"])
    assert run.verdict not in shown.output and "线性模型" in shown.output
