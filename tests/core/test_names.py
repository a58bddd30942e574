"""Names of files and folders from any text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.core.text import MOST_STEM_BYTES, stem


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("iris", "iris"),
        ("客户utf8", "客户utf8"),
        ("客户", "客户"),
        ("Umsätze (März)", "Umsätze_März"),
        ("e\u0301te\u0301", "été"),
        ("हिन्दी डेटा", "हिन्दी_डेटा"),
        ("данные.v2", "данные.v2"),
        ("../../etc/passwd", "etc_passwd"),
        ("a\u202eb\x1b[31m", "a_b_31m"),
        ("\udcff\udcfe", ""),
        ("😀", ""),
        ("\u3164", ""),
    ],
)
def test_names_keep_letters_and_digits_of_all_scripts(text: str, name: str) -> None:
    assert stem(text) == name


@given(st.text(max_size=200))
def test_any_text_becomes_a_safe_name(text: str) -> None:
    name = stem(text)
    assert len(name.encode()) <= MOST_STEM_BYTES and name.isprintable()
    assert not set(name) & set("/\\:*?\"<>|#%& '`$") and not name.startswith((".", "-"))
    assert stem(name) == name == unicodedata.normalize("NFC", name)
