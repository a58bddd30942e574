"""Numbers and sentences as people read them."""

import math
import random
import sys

import pytest

from helpers import Screen, posix
from linnet.core.text import (
    WHOLE,
    cell,
    columns,
    figure,
    fixed,
    likely,
    numeric,
    say,
    width_of,
    wrapped,
)
from linnet.insight.claims import Chance, Change, Estimate, Size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (1.0, "1"), (0.5, "0.5"), (-0.0125, "-0.0125"), (54.3123, "54.31"),
        (99.995, "100"),
        (999.96, "1,000"), (9999.7, "10,000"), (1234.5, "1,235"), (18574.3, "18,574"),
        (-18574.3, "-18,574"),
        (7.85e6, "7,850,000"), (1.5e9, "1,500,000,000"), (0.0001234, "0.0001234"),
        (1.234e-5, "1.234e-05"),
        (2.5e12, "2.5e+12"), (math.nan, "nan"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_ordinary_numbers_have_no_powers_of_ten(value: float, text: str) -> None:
    assert figure(value) == text == cell(value)


def test_a_number_of_four_digits_is_as_near_as_four_digits_can_be() -> None:
    draws = random.Random(0)
    for _ in range(2000):
        value = draws.choice([-1, 1]) * 10 ** draws.uniform(-4, 11.9)
        for digits in (2, 3, 4, 6):
            text = figure(value, digits)
            assert "e" not in text
            near = abs(float(text.replace(",", "")) - value)
            place = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
            assert near <= max(0.5 * min(place, 1.0), 1e-12) * (1 + 1e-9)
    assert "e" in figure(WHOLE) and "e" in figure(0.00001)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.00 %"), (1e-10, "<0.01 %"), (0.00009, "<0.01 %"), (0.0001, "0.01 %"),
        (0.9997, "99.97 %"),
        (0.99999999, ">99.99 %"), (1.0, "100.00 %"), (0.5, "50.00 %"),
    ],
)  # fmt: skip
def test_probabilities(share: float, text: str) -> None:
    assert likely(share) == text


def test_figures_of_sentences_are_written_alike() -> None:
    assert str(Estimate(Size(18574.0), Size(17000.5), Size(20100.0))) == "18,574 (17,001 to 20,100)"
    assert str(Change(-123456.0)) == "lower by 123,456"
    assert fixed(12345678.9) == "12,345,679" and fixed(0.25) == "0.2500"
    # what a page's JavaScript shows: it rounds a tie up, and a p-value is often one
    assert str(Chance(0.0625)) == "p = 0.063" and str(Chance(0.1875)) == "p = 0.19"
    assert str(Chance(0.0498)) == "p = 0.0498" and str(Chance(0.05)) == "p = 0.05"


PROSE = (
    "the file people.csv, row 17, column height: 1,80 is not a number; correct it, or read it with "
    "--set decimal=, and see http://127.0.0.1:59909/?token=abcdefghijklmnop for 92.07 % of the rows"
)


@pytest.mark.parametrize("width", [20, 40, 61, 80, 120])
@pytest.mark.parametrize("indent", [0, 9])
def test_prose_is_broken_between_words(width: int, indent: int) -> None:
    lines = wrapped(f"  note: {PROSE}", width, indent)
    assert lines[0].startswith("  note: ")
    assert " ".join(line.strip() for line in lines) == f"note: {PROSE}"
    for line in lines:
        assert len(line) <= width or " " not in line.strip()
        assert not line.strip().startswith("%") and not line.endswith(" ")
    assert all(line.startswith(" " * min(indent, width // 2)) for line in lines[1:])


def test_wide_letters_take_two_columns() -> None:
    assert columns("abc") == 3 and columns("客户.csv") == 8 and columns("e\u0301") == 1
    assert wrapped("客户 客户 客户", 9) == ["客户 客户", "客户"]
    assert wrapped("", 80) == [""] and wrapped("  ", 80) == ["  "]


def test_only_a_terminal_gets_broken_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    say(PROSE)
    say(PROSE, error=True)
    assert capsys.readouterr() == (f"{PROSE}\n", f"{PROSE}\n")
    for stream, error in (("stdout", False), ("stderr", True)):
        screen = Screen()
        monkeypatch.setattr(sys, stream, screen)
        say(PROSE + "\x1b[2J", error=error)
        lines = screen.getvalue().splitlines()
        assert len(lines) > 4 and "\x1b" not in screen.getvalue()
        assert all(len(line) <= 40 or line.startswith("http") for line in lines)


@posix
def test_the_width_is_that_of_the_terminal_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of standard output, which may be piped."""
    import fcntl
    import pty
    import struct
    import termios

    monkeypatch.delenv("COLUMNS", raising=False)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 44, 0, 0))
    with open(slave, "w") as screen, open(master, "rb", buffering=0) as seen:
        monkeypatch.setattr(sys, "stderr", screen)
        say(PROSE, error=True)
        lines = seen.read(4096).decode().split("\r\n")
    assert 40 < max(len(line) for line in lines if not line.startswith("http")) <= 44
    monkeypatch.setenv("COLUMNS", "60")
    assert width_of(sys.stdout) == 60
    monkeypatch.setenv("COLUMNS", "none")
    assert width_of(Screen()) == 80


def test_numbers_and_percentages_stand_right() -> None:
    for value in (1, 0.5, -3, "99.97 %", "<0.01 %", ">99.99 %", "-1.0 %"):
        assert numeric(value)
    for other in (True, None, "", " %", "5", "a %", "accuracy 5.00 %", "loss 0.1, 5 %", [1]):
        assert not numeric(other)


def test_chinese_is_broken_between_characters_and_not_before_a_mark() -> None:
    text = "没有证据表明多层感知机优于线性模型：在30个测试样本上，准确率（93.33 %）。"
    lines = wrapped(text, 20)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(columns(line) <= 20 for line in lines) and len(lines) == 4
    assert not any(line[0] in "，。；：、）%" or line[-1] == "（" for line in lines)
    assert wrapped("a/long/path/that/has/no/space ok", 10) == [
        "a/long/path/that/has/no/space",
        "ok",
    ]
