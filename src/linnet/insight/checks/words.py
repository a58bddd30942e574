"""Findings of the doctor and notes on data in the language of who reads them.

A run keeps them in English. Here are the sentences in which they are written, with places for what
changes; a text that fits one of them is told in another language, any other stays English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from linnet.core.language import LANGUAGES, current, marked, tr, trn

PARTS = (
    # what
    marked("{columns} left out as text: {names}"),
    marked("{columns} left out as identifiers: {names}"),
    marked("{columns} left out as constant: {names}"),
    marked("{columns} with one value in all {rows}: {names}"),
    marked("the column {name} counts the rows, from {first} to {last}"),
    marked("the column {name} has each whole number from {first} to {last} once"),
    marked("of {count} columns only the first {few} were checked one by one"),
    marked("the test part is not like training in {what}, and {count} more"),
    marked("the test part is not like training in {what}"),
    marked("{rows} of {all} are equal to a row of another class: {one} is {a} and {other} is {b}"),
    marked(
        "{pictures} of {all} are equal to a picture of another class: {one} is {a} and {other} is "
        "{b}"
    ),
    marked("{count} of {rows} repeat an earlier one, including the target"),
    marked("{count} of {rows} repeats an earlier one, including the target"),
    marked("{count} of {rows} repeat an earlier one"),
    marked("{count} of {rows} are in training or validation too, including the target"),
    marked("{count} of {rows} is in training or validation too, including the target"),
    marked("{count} of {rows} are in training or validation too"),
    marked("{count} of {rows} are in training too, including the target"),
    marked("{count} of {rows} is in training too, including the target"),
    marked("{count} of {rows} are in training too"),
    marked("{count} of {rows} are equal to a training or validation row in all but the target"),
    marked(
        "{count} of {rows} are equal to a training or validation row in all but the column {name}"
    ),
    marked("the column {name} alone gives the target {target} in {right} of {rows}"),
    marked("the column {name} is nearly the target {target} (correlation {number})"),
    marked("the column {name} has numbers far from all others: those {ends} count as missing"),
    marked("below {low} or above {high}"),
    marked("the column {name} has 0 in {rows}, but all others are from {low} to {high}"),
    marked(
        "the column {name} has {value} in {rows}, but all others are from {low} to {high}, as if "
        "it means 'missing' or 'more'"
    ),
    marked("the column {name} has {value} in {rows}, but all others are from {low} to {high}"),
    marked(
        "the column {name} has {value} in {rows}, but all others but {aside} are from {low} to "
        "{high}"
    ),
    marked(
        "the target {name} of a row is similar to that of the row before (correlation {number})"
    ),
    marked("the rows are sorted by the target {name}, class by class"),
    marked("the rows are sorted by the target {name}"),
    marked(
        "the class of a row predicts that of the next in {share} of the rows; the most frequent "
        "class alone gives {base}"
    ),
    marked("{classes} with few of the {rows}: {names}"),
    marked("{rows} are of a class that training lacks: {names}"),
    # why
    marked("models here read numbers, categories and dates"),
    marked("a value that is different in every row cannot help to predict new rows"),
    marked("a value that is the same in every row cannot help to predict"),
    marked("it gives the position of a row in the file, which new rows do not have"),
    marked("the column may just number the rows"),
    marked("checking more would take long"),
    marked("a pattern of the training rows may not hold there"),
    marked("no model can be right about both"),
    marked("duplicates count twice and may be in both training and test"),
    marked("so few hardly change a score"),
    marked("rows with so few possible values are often equal by chance"),
    marked("a model may have memorised them, so its score there is too good"),
    marked(
        "if they are of one person or thing, a model may have memorised it, and its score there is "
        "too good"
    ),
    marked(
        "they may be of one person or thing, which a model may have memorised, so its score there "
        "is too good"
    ),
    marked("a model would copy the answer from it, but in real use the answer is not known"),
    marked("a part cut off at the end would differ from the rest"),
    marked("a 0 that was not measured is a wrong number"),
    marked("as a number it outweighs all others"),
    marked("as numbers they outweigh all others"),
    marked("what was read may not be what was meant"),
    marked("no model can predict a class that was not in training"),
    marked(
        "always predicting {name} is right for {share} of the rows, so accuracy says little about "
        "the others"
    ),
    # remedy
    marked("nothing to do, unless one is something else (columns.NAME=category)"),
    marked("nothing to do, unless they should vary"),
    marked("nothing to do, unless the others matter more"),
    marked("nothing to do, if the class also depends on things that are not in the columns"),
    marked("nothing to do, because rows are shuffled"),
    marked(
        "nothing to do, because rows are shuffled, unless they are ordered by time or groups "
        "(time=COLUMN, group=COLUMN)"
    ),
    marked("nothing to do, if they are independent rows; if not, {remedy}"),
    marked("nothing to do, if they are independent pictures; if not, {remedy}"),
    marked("nothing to do, if this is intended"),
    marked("nothing to do, if this is so"),
    marked("nothing to do"),
    marked("remove them, unless they are independent rows that happen to be equal"),
    marked("remove them, unless they are independent pictures that happen to be equal"),
    marked("remove the copies, or keep the rows of one person or thing in one part (group=COLUMN)"),
    marked("remove the copies"),
    marked("look at them, and correct or remove those with a wrong label"),
    marked(
        "look at the recall of each class, and set class_weight=balanced if all classes matter "
        "equally"
    ),
    marked("check whether 0 means a missing value there"),
    marked("correct it, or remove the row"),
    marked("correct them; if they are right, give the column's logarithm"),
    marked(
        "if it means missing, leave it empty in the data, or for a text file set missing={value}"
    ),
    marked("if it means missing, leave it empty in the data"),
    marked("leave it out (drop={name}), unless it is really known before the target"),
    marked("leave it out (drop={name}); if it is a time, train on the past (time={time})"),
    marked("leave it out (drop={name})"),
    marked("if it is an identifier or a rank, leave it out (drop={name})"),
    marked(
        "check how the parts were made: a score is valid only for rows like those of the test part"
    ),
    marked("split the rows in another way, or leave such rows out"),
    # notes of what was read
    marked("left out, as they are text: {names}"),
    marked("left out, as they are identifiers: {names}"),
    marked("left out, as they are constant: {names}"),
    marked("{count} of {classes} have one row, kept for training"),
    marked("{name} splits the rows, and is left out of the examples"),
    marked("{name} is read as numbers: {text} is {value}"),
    marked("{name} has several units ({units}), and its numbers are read as they stand"),
    marked("{columns} without a name and a value: left out"),
    marked("convert them to one unit, unless they mean the same"),
    # thresholds
    marked("F1 {f1} ({low} to {high}) at {threshold}, {half} at 0.5"),
    marked("mean cost {cost} ({low} to {high}) at {threshold}, {half} at 0.5"),
    # within these
    marked("the column {name} (median {one} and {other})"),
    marked("the target {name} (median {one} and {other})"),
    marked("the column {name} ({label}: {one} and {other} of the rows)"),
    marked("the target {name} ({label}: {one} and {other} of the rows)"),
    marked("the column {name}"),
    marked("the target {name}"),
    marked("{count} test rows ({share})"),
    marked("{count} validation rows ({share})"),
    marked("{count} test rows"),
    marked("{count} validation rows"),
)  # fmt: skip
"""The sentences of findings and notes, and what stands in them; a more special one comes first."""


def told(text: str) -> str:
    """A finding or a note, as it was stored, in the language in force."""
    if current() == LANGUAGES[0]:
        return text
    for rest, remedy in _cuts(text, "; "):
        told_remedy = _known(remedy)
        if told_remedy is None:
            continue
        for before, why in _cuts(rest, ": "):
            what, because = _known(before), _known(why)
            if what is not None and because is not None:
                return tr("{what}: {why}; {remedy}", what=what, why=because, remedy=told_remedy)
        if (what := _known(rest)) is not None:
            return tr("{what}; {remedy}", what=what, remedy=told_remedy)
    return _known(text) or text


def _cuts(text: str, mark: str) -> Iterator[tuple[str, str]]:
    """The text before and after each ``mark``."""
    start = text.find(mark)
    while start >= 0:
        yield text[:start], text[start + len(mark) :]
        start = text.find(mark, start + 1)


def _known(text: str) -> str | None:
    """The text by the first sentence that it fits; None if there is none."""
    for one, many in COUNTS:
        if found := re.fullmatch(f"([0-9,]+) (?:{one}|{many})", text):
            return COUNTS[one, many](int(found[1].replace(",", "")))
    for sentence, pattern in _patterns():
        if found := pattern.fullmatch(text):
            parts = found.groupdict().items()
            return tr(sentence, **{key: _known(part) or part for key, part in parts})
    return None


COUNTS = {
    ("row", "rows"): lambda count: trn("{n} row", "{n} rows", count),
    ("column", "columns"): lambda count: trn("{n} column", "{n} columns", count),
    ("class", "classes"): lambda count: trn("{n} class", "{n} classes", count),
    ("picture", "pictures"): lambda count: trn("{n} picture", "{n} pictures", count),
}


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Each sentence with the pattern of the texts that fit it."""
    made = []
    for sentence in PARTS:
        bare = sentence in ("the column {name}", "the target {name}")
        value = "(?P<\\1>['\"].*['\"])" if bare else r"(?P<\1>.+?)"
        plain = re.sub(r"\\\{(\w+)\\\}", value, re.escape(sentence))
        made.append((sentence, re.compile(plain, re.DOTALL)))
    return tuple(made)
