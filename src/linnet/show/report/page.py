"""The report: the verdict, the reasons, the panels, and how to repeat the run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from linnet.core import files
from linnet.core.events import number
from linnet.core.history import History
from linnet.core.html import Html, join, put, tag
from linnet.core.language import language, tr, trn
from linnet.core.text import likely, percent
from linnet.errors import InputError, LinnetError
from linnet.figures import Figure, curves
from linnet.insight.checks.words import told as retold
from linnet.insight.choice import by_folds
from linnet.insight.claims import Chance
from linnet.insight.diagnosis import typical_probability
from linnet.insight.pairs import YARDSTICK, YARDSTICK_ABOUT, YARDSTICK_TITLE, correction
from linnet.insight.stopping import stopped
from linnet.insight.task import CHANCE, CLASSES, NUMBERS, basis, folds_of, task_in
from linnet.insight.verdict import headline, reason, together
from linnet.networks import BASELINE, LINE
from linnet.runs import directory
from linnet.runs.compare import differing
from linnet.runs.curve import read as read_curve
from linnet.runs.run import Run
from linnet.show.report import insights, windows
from linnet.show.report.document import Document
from linnet.show.report.html import Long, Share, scroll, shown, table

MANY_CLASSES = 40
"""With more classes, the confusion matrix is a figure and not a table."""

SMOOTHING = 0.7
"""The smoothing of the training loss; the raw loss is a pale line."""

MAX_COLUMNS = 20
"""The most columns of a table that are shown beside a mistake."""

MAX_MISTAKES, LEAST_MISTAKES = 96, 36
"""The most mistakes in a report; and in a static one, or of numbers."""

MAX_SHEET_BYTES = 100 << 10
"""The most bytes for the pictures of mistakes in a static report; if there are more, they are
drawn as one picture."""


def write(
    runs: Sequence[Path], out: Path, *, static: bool = False, lang: str | None = None
) -> None:
    """Write one HTML file about the runs, which any browser can open offline.

    ``static``: pictures without scripts, small enough for an e-mail. ``lang``: its language, "en"
    or "zh"; by default the one in force (``LINNET_LANG``).
    """
    with language(lang):
        _write(runs, out, static=static)


def _write(runs: Sequence[Path], out: Path, *, static: bool) -> None:
    if not runs:
        raise InputError("name a run to report on")
    report = Page(static=static)
    labelled = _labelled(runs)
    programs = {label: path for label, path in labelled.items() if windows.alone(path)}
    found = {label: Run(path) for label, path in labelled.items() if label not in programs}
    for run in found.values():
        insights.keep(run)
    parts = [report.run(label, run) for label, run in found.items()]
    parts += [windows.program(report, label, path) for label, path in programs.items()]
    if len(found) > 1:
        parts.insert(0, report.comparison(found))
    files.write(out, report.page(", ".join(labelled), join(parts)).encode())


def _labelled(runs: Sequence[Path]) -> dict[str, Path]:
    """Each run once, by its name; by its whole path if two runs have the same name."""
    places = {path.resolve(): path for path in runs}
    names = {
        where.name if os.path.isdir(where) else where.stem: run for where, run in places.items()
    }
    return names if len(names) == len(places) else {str(w): run for w, run in places.items()}


class Page(Document):
    """The report about runs."""

    def run(self, name: str, run: Run) -> Html:
        """The section about one run."""
        metrics, info, history = run.metrics, run.info, run.history()
        self.numbers[name] = metrics
        parts = [
            self.head(tr("The models")),
            _scores(metrics, history),
            self.figure(tr("Curves"), lambda: run.curves(smoothing=SMOOTHING)),
        ]
        if windows.has(run.place):
            parts.append(windows.windows(self, run.place))
        parts += self._tested(run)
        if LINE in metrics["models"]:
            title = tr("Coefficients of the line")
            parts.append(self.figure(title, lambda: run.weights(LINE)))
            parts += insights.penalties_part(self, run)
        if (run.place / directory.LEARNING).is_file():
            parts.append(self.figure(tr("Would more data help?"), run.learning_curve))
            parts.append(_fewer_rows(run))
        parts.append(self.figure(tr("Training rows"), run.examples))
        parts.append(_pair(self._data(info), self._spent(history)))
        parts.append(self._again(run, info))
        return tag("section", *self._top(name, run), self.contents(), *parts)

    def _top(self, name: str, run: Run) -> list[Html]:
        """The head: what it is about, which model to use and how sure that is, and why."""
        answer = run.answer()
        told = [tag("h1", name), tag("p", _about(run), class_="none")]
        if answer is not None:
            tiles = [
                tag("div", tag("dt", what), tag("dd", _unbroken(text)))
                for what, text in answer.facts()
            ]
            told += [tag("dl", *tiles, class_="tiles")]
            told += [tag("p", answer.sentence, class_="verdict"), tag("p", run.verdict)]
        else:
            told += [tag("p", run.verdict, class_="verdict")]
        return [*told, self._reasons(run)]

    def _tested(self, run: Run) -> list[Html]:
        """What the test rows say of the chosen model."""
        chosen, kept = run.chosen, insights.found(run)
        test = run.metrics["models"][chosen].get("test")
        if not test:
            return []
        title = run.history().titles().get(chosen, chosen)
        parts: list[Html] = []
        if classifies := task_in(test) is CLASSES:
            parts.append(_pair(self._confusion(run, test), self._classes(title, test)))
        else:
            parts.append(
                _pair(
                    self.figure(tr("Predicted against true"), run.residuals),
                    self.figure(tr("Residuals"), run.errors),
                )
            )
        parts.append(self._mistakes(run, tr("Mistakes") if classifies else tr("Largest errors")))
        if classifies:
            what = tr("Calibration: can the probabilities be trusted?")
            parts.append(self.figure(what, run.calibration))
            parts += insights.thresholds_part(self, run, kept)
        parts += insights.intervals_part(self, run)
        parts += insights.slices_part(self, run, kept)
        return parts + insights.importance_part(self, run, kept)

    def _confusion(self, run: Run, test: dict[str, Any]) -> Html:
        if "confusion" in test and len(test["classes"]) <= MANY_CLASSES:
            return join([self.head(tr("Confusion matrix")), _confusion(test)])
        return self.figure(tr("Confusion matrix"), run.confusion)

    def _classes(self, title: str, test: dict[str, Any]) -> Html:
        head = self.head(tr("Class by class: {model}", model=title))
        return join([head, _classes(test)])

    def _spent(self, history: History) -> Html:
        found = _spent(history)
        return join([self.head(tr("Where the time went")), found]) if found else Html()

    def _data(self, info: dict[str, Any]) -> Html:
        return join([self.head(tr("The data")), _data(info)])

    def _again(self, run: Run, info: dict[str, Any]) -> Html:
        return join([self.head(tr("Reproduce")), _again(run, info)])

    def comparison(self, runs: Mapping[str, Run]) -> Html:
        """The section that compares runs: their differences and their curves."""
        rows = [
            [key, *(str(_value(shown(value))) for value in values)]
            for key, values in differing([run.place for run in runs.values()])
        ]
        every = {name: run.history().series() for name, run in runs.items()}
        titles = {
            key: title for run in runs.values() for key, title in run.history().titles().items()
        }
        return tag(
            "section",
            tag("h1", tr("Comparison")),
            _best(runs),
            self.head(tr("What differs")),
            table([tr("setting"), *runs], rows)
            if rows
            else tag("p", tr("Nothing: the recipes are the same.")),
            self.figure(tr("Curves"), lambda: curves(every, smoothing=SMOOTHING, titles=titles)),
        )

    def _mistakes(self, run: Run, title: str) -> Html:
        """The mistakes of the chosen model: pictures, or rows of a table."""
        head = self.head(title)
        try:
            many = not self.static and "accuracy" in run.metrics["models"][run.chosen]["test"]
            figure = run.mistakes(count=MAX_MISTAKES if many else LEAST_MISTAKES)
        except LinnetError as error:
            return join([head, tag("p", str(error), class_="none")])
        if not figure.columns["row"]:
            return join([head, tag("p", tr("No mistakes: every test row was predicted right."))])
        sources = [image["source"] for image in figure.layout.get("images", ())]
        if self.static and sum(map(len, sources)) > MAX_SHEET_BYTES:
            self._parts.pop()
            return self.figure(title, lambda: figure)
        shown = _sheet(figure, sources) if sources else _rows(figure)
        if not self.static:
            shown = _filtered(figure, shown)
        return join([head, tag("p", figure.title, class_="none"), shown])

    def _reasons(self, run: Run) -> Html:
        """The diagnosis, and the warnings of the doctor."""
        found = [tag("li", str(claim)) for claim in run.reasons()]
        found += [
            tag(
                "li",
                tr(
                    "{where}: {what}",
                    where=tr("data") if finding.model is None else finding.model,
                    what=retold(finding.text),
                ),
            )
            for finding in run.history().findings
            if finding.severity == "warning"
        ]
        return tag("ul", *found, class_="reasons") if found else Html()


def _pair(*parts: Html) -> Html:
    """Parts beside each other; one below the other where there is little room."""
    return tag("div", *(tag("div", part) for part in parts if part), class_="pair")


def _unbroken(text: str) -> str:
    """Text in which a number and its % stay on one line; a Chinese bracket may begin another."""
    return text.replace(" %", "\u00a0%").replace("（", "\u200b（")


def _about(run: Run) -> str:
    """What the run is about, when it was made, and how long it took."""
    info, task = run.info, run.metrics["models"][run.chosen].get("test") or {}
    known = task_in(task)
    kinds = {"classification": tr("classification"), "regression": tr("regression")}
    seconds = sum(number(each["fit"].get("seconds")) for each in run.metrics["models"].values())
    parts = [
        str(info.get("data", {}).get("name") or ""),
        "" if known is None else kinds[known.name],
        str(info.get("created") or "")[:16].replace("T", " "),
        tr("fitted in {seconds} s", seconds=f"{seconds:,.1f}") if seconds > 0 else "",
    ]
    return " · ".join(part for part in parts if part)


def _best(runs: Mapping[str, Run]) -> Html:
    """The answer of each run, one below the other."""
    found = {name: answer for name, run in runs.items() if (answer := run.answer()) is not None}
    if not found:
        return Html()
    heads = [what for what, _ in next(iter(found.values())).facts()]
    heads[2] = tr("gain")  # over the line in one run, over the constant in another
    rows = []
    for name, answer in found.items():
        cells = [text for _, text in answer.facts()]
        cells[2] = f"{cells[2]} ({answer.over})"
        rows.append([name, *cells])
    return table([tr("run"), *heads], rows, blocks=True)


def _filtered(figure: Figure, shown: Html) -> Html:
    """Mistakes with choices of the true and of the predicted class, and a button for CSV."""
    columns = figure.columns
    parts: list[Html] = []
    if "probability" in columns:
        for name in (tr("true"), tr("predicted")):
            choice = tag("select", tag("option", tr("all")))
            parts.append(tag("label", name, " ", choice))
    count = f"{len(columns['row'])} / {len(columns['row'])}"
    parts += [tag("output", count), tag("button", tr("save as CSV"), type="button")]
    heads = files.dumps(list(columns)[:4])
    bar = tag("p", *parts, class_="filter")
    return tag("div", bar, shown, data_filter="", data_heads=heads)


def _scores(metrics: dict[str, Any], history: History) -> Html:
    rows = []
    beside = {n: each for n, each in metrics.get("yardstick", {}).items() if "fit" in each}
    every_scores = {**metrics["models"], **beside}
    for name, scores in every_scores.items():
        valid, test, fit = scores.get("valid", {}), scores.get("test"), scores["fit"]
        held = percent(valid["accuracy"]) if "accuracy" in valid else valid.get("rmse")
        title = tr(history.title(name)).removeprefix("the ")
        if name == metrics["chosen"]:
            title = tr("{model} (chosen)", model=title)
        elif name in beside:
            title = tr("{model} (yardstick)", model=title)
        rows.append(
            [
                title,
                headline(test) if test else None,
                _log_loss(test),
                held,
                valid.get("loss"),
                Long(stopped(fit, short=True)) if "stopped" in fit else None,
                tr("{seconds} s", seconds=f"{fit['seconds']:.1f}"),
            ]
        )
    folds = folds_of(next(iter(metrics["models"].values())).get("test") or {})
    tested = tr("test (95 % interval)")
    if folds:
        tested = tr("{folds} folds (95 % interval)", folds=folds)
    heads = [
        tr("model"), tested, tr("test log loss (typical probability)"), tr("validation"),
        tr("validation loss"), tr("why it stopped"), tr("fitted in"),
    ]  # fmt: skip
    if by_folds(metrics):
        heads[3:5] = [tr("out of fold"), tr("out-of-fold loss")]
    if all(row[2] is None for row in rows):  # regression
        heads, *rows = [[*row[:2], *row[3:]] for row in (heads, *rows)]
        heads[2] += " (RMSE)"
    every = [_own(scores.get("test")) for scores in every_scores.values()]
    names = list(dict.fromkeys(name for own in every for name in own))
    heads[2:2] = [tr("test {score}", score=name) for name in names]
    for row, own in zip(rows, every, strict=True):
        row[2:2] = [own.get(name) for name in names]
    rests = basis(next(iter(metrics["models"].values())).get("test", {}))
    told = [rests] if rests else []
    told += [
        tr("no yardstick: {why}", why=each["why"]) for each in _beside(metrics) if "why" in each
    ]
    told += [tr("the yardstick is {what}", what=tr(YARDSTICK_ABOUT))] if beside else []
    notes = [tag("p", text, class_="none") for text in told]
    return join([table(heads, rows, blocks=True), *notes, _pairs(metrics, history)])


def _beside(metrics: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The scores of the yardstick, if there is one."""
    return list(metrics.get("yardstick", {}).values())


def _pairs(metrics: Mapping[str, Any], history: History) -> Html:
    """The paired tests of the models, and of the yardstick."""
    comparisons = metrics.get("comparisons", [])
    if not comparisons:
        return Html()
    titles = {name: tr(history.title(name)).removeprefix("the ") for name in metrics["models"]}
    titles |= dict.fromkeys(metrics.get("yardstick", {}), tr(YARDSTICK_TITLE))
    rows = []
    for each in comparisons:
        better, why = each.get("better"), reason(str(each.get("why") or CHANCE))
        result = tr("not shown: {why}", why=why)
        if each["significant"] and better == YARDSTICK:
            result = tr("{trees} are better", trees=titles[better])
        elif each["significant"]:
            result = tr("{model} is better", model=titles.get(better, better))
        p = Chance.of(each.get("p_adjusted", each.get("p_value")))
        rows.append(
            [
                together(
                    [titles.get(name, name) for name in each["pair"]], tr("{one} against {other}")
                ),
                _advantage(each),
                None if p is None else str(p).removeprefix("p ").removeprefix("= "),
                result,
            ]
        )
    mcnemar = comparisons[0].get("test", "McNemar") == "McNemar"
    test = tr("p (McNemar)") if mcnemar else tr("p (paired t)")
    heads = [tr("pair"), tr("difference"), test, tr("result")]
    words = correction(comparisons)
    note = tag("p", words, class_="none") if words else Html()
    return join([table(heads, rows, blocks=True), note])


def _advantage(comparison: Mapping[str, Any]) -> str | None:
    """By how much the first of a pair is ahead."""
    if "only_right" in comparison:
        one, other = comparison["only_right"]
        return tr("right alone on {one} and {other} rows", one=f"{one:,}", other=f"{other:,}")
    return str(NUMBERS.change(comparison)) or None


def _own(test: dict[str, Any] | None) -> dict[str, float]:
    """The additional test scores of the objective."""
    task = task_in(test or {})
    return {} if task is None or test is None else task.own(test)


def _spent(history: History) -> Html:
    """How the seconds of each fit divide, and the memory of the process."""
    fits: dict[str, list[Any]] = {}
    for model, fit in history.models.items():
        if fit.spent is None or model == BASELINE:
            continue
        parts = (fit.spent.batches, fit.spent.steps, fit.spent.evaluate, fit.spent.record)
        seconds = [part if isinstance(part, float) else None for part in parts]
        total = sum(s for s in seconds if s is not None) or 1.0
        told = [
            None
            if s is None
            else tr("{seconds} s ({share} %)", seconds=f"{s:.2f}", share=f"{100 * s / total:.1f}")
            for s in seconds
        ]
        memory = fit.spent.memory
        held = None if memory is None else f"{memory / 1e6:,.0f} MB"
        fits[tr(history.title(model)).removeprefix("the ")] = [*told, held]
    names = [
        tr("making batches"), tr("forward, backward, update"), tr("evaluating"),
        tr("record and checkpoints"), tr("memory"),
    ]  # fmt: skip
    rows = [list(row) for row in zip(names, *fits.values(), strict=True)]
    heads = ["", *fits]
    if not fits:
        return Html()
    return table(heads, rows, blocks=True)


def _log_loss(test: dict[str, Any] | None) -> str | None:
    if not test or "log_loss" not in test:
        return None
    loss = test["log_loss"]
    return f"{loss:.4f} ({percent(typical_probability(loss))})"


def _classes(test: dict[str, Any]) -> Html:
    keys = ("precision", "recall", "f1")
    rows = [
        [str(label), *(Share(test[key][index]) for key in keys), test["support"][index]]
        for index, label in enumerate(test["classes"])
    ]
    heads = [tr("class"), tr("precision"), tr("recall"), "F1", tr("support")]
    return table(heads, rows)


def _confusion(test: dict[str, Any]) -> Html:
    """The confusion matrix: true classes down, predicted ones across. A cell shows the number of
    rows and its share of the true class. The share is also the shade; errors are shaded relative to
    the largest one."""
    labels = [str(label) for label in test["classes"]]
    shares = [[n / (sum(counts) or 1) for n in counts] for counts in test["confusion"]]
    wrong = [x for i, row in enumerate(shares) for j, x in enumerate(row) if i != j]
    most = max(wrong, default=0) or 1
    rows = []
    for i, (label, counts) in enumerate(zip(labels, test["confusion"], strict=True)):
        cells = []
        for j, (count, share) in enumerate(zip(counts, shares[i], strict=True)):
            told = tr(
                "true {true}, predicted {predicted}: {count} rows, {share}",
                true=label,
                predicted=labels[j],
                count=f"{count:,}",
                share=f"{100 * share:.1f} %",
            )
            part = tag("small", f"{100 * share:.{1 if share < 0.1 else 0}f} %")
            shade = f"--share:{share if i == j else share / most:.3f}"
            cells.append(
                tag(
                    "td",
                    *([f"{count:,}", part] if count else []),
                    class_="wrong" if count and i != j else None,
                    style=shade if count else "--share:0",
                    title=told,
                )
            )
        rows.append(tag("tr", tag("th", label, scope="row", title=label), *cells))
    heads = (tag("th", label, scope="col", title=label) for label in labels)
    head = tag("tr", tag("th", tr("true \\ pred.")), *heads)
    inner = tag("table", tag("thead", head), tag("tbody", *rows), class_="confusion")
    words = tr(
        "Test rows by true class (down) and predicted one (across); share of the true class."
    )
    return join([tag("p", words, class_="none"), scroll(inner, label=tr("Confusion matrix"))])


def _sheet(figure: Figure, sources: list[str]) -> Html:
    """Pictures with their true class, their predicted class, and its probability."""
    columns = figure.columns
    chances = columns.get("probability", [None] * len(sources))
    made = []
    for source, row, true, predicted, p in zip(
        sources, columns["row"], columns["true"], columns["predicted"], chances, strict=True
    ):
        words = f"{_value(true)} → {_value(predicted)}"
        told = tr("row {row}: true {words}", row=f"{row:,}", words=words)
        told += "" if p is None else tr(", probability {number}", number=f"{p:.4f}")
        sure = "" if p is None else f" · {100 * p:.0f}\u00a0%"
        caption = tag("figcaption", words, sure, title=told)
        cells = [str(row), str(_value(true)), str(_value(predicted))]
        cells += [] if p is None else [f"{p:.6g}"]
        picture = tag("img", src=source, alt=told, loading="lazy")
        made.append(tag("figure", picture, caption, data_cells=files.dumps(cells)))
    return tag("div", *made, class_="sheet")


def _rows(figure: Figure) -> Html:
    """Rows of a table, with the prediction in front; empty if there are none."""
    told = 4 if "probability" in figure.columns else 3
    columns = dict(list(figure.columns.items())[: told + MAX_COLUMNS])
    if "probability" in columns:
        columns["probability"] = [likely(share) for share in columns["probability"]]
    rows = [[_value(cell) for cell in row] for row in zip(*columns.values(), strict=True)]
    named = [tr("row"), tr("true"), tr("predicted"), tr("probability")][:told]
    return table([*named, *list(columns)[told:]], rows) if rows else Html()


def _value(value: Any) -> Any:
    """A value of a prediction, or of a column, as a cell."""
    if isinstance(value, list):
        return ", ".join(str(shown(part)) for part in value)
    return None if value == "" else value


def _fewer_rows(run: Run) -> Html:
    """How the learning curve was made, which points it lacks, and why."""
    curve = read_curve(run.place)
    if curve is None:
        return Html()
    drawn = {
        "random": tr("drawn at random"),
        "classes": tr("drawn class by class"),
        "groups": tr("drawn by whole groups"),
        "latest": tr("the latest"),
    }[curve.drawn]
    held = tr("validation rows")
    if run.info.get("data", {}).get("folds"):
        held = tr("training rows of one fold, which none of these fits has")
    words = tr(
        "Fitted again on fewer training rows, {drawn}, with the same number of steps. Each part "
        "contains the smaller ones. Scored on the {held}; the test rows are not used.",
        drawn=drawn,
        held=held,
    )
    notes = tag("ul", *(tag("li", note) for note in curve.notes)) if curve.notes else Html()
    return join([tag("p", words, class_="none"), notes])


def _data(info: dict[str, Any]) -> Html:
    about = info.get("data", {})
    names = {
        "name": tr("name"), "place": tr("place"), "rows": tr("rows"),
        "train_rows": tr("training rows"), "folds": tr("folds"),
        "valid_rows": tr("validation rows"), "test_rows": tr("test rows"),
        "fingerprint": tr("fingerprint"), "split": tr("split"),
    }  # fmt: skip
    rows = [
        [name, str(shown(about[key]))]
        for key, name in names.items()
        if about.get(key) is not None and not (key == "valid_rows" and about.get("folds"))
    ]
    notes = [tag("li", retold(note)) for note in about.get("notes", [])]
    return join([table(["", ""], rows), tag("ul", *notes) if notes else Html()])


def _again(run: Run, info: dict[str, Any]) -> Html:
    """How to repeat the run: command, versions, code, machine, recipe."""
    command = shlex.join(str(word) for word in info.get("command", []))
    git, hardware = info.get("git") or {}, info.get("hardware", {})
    state = git.get("commit")
    if git.get("dirty"):
        state = tr("{code}, with changes (sha256 {hash})", code=state, hash=git.get("changes"))
    versions = ", ".join(f"{k} {v}" for k, v in info.get("versions", {}).items())
    threads = trn("{n} thread", "{n} threads", int(number(hardware.get("threads"))))
    rows: list[list[Any]] = [
        [tr("repeat"), f"linnet runs repeat {shlex.quote(str(run.path))}"],
        [tr("command"), command],
        [tr("made"), info.get("created")],
        [tr("seed"), str(info.get("seed"))],
        [tr("versions"), versions],
        [tr("code"), state],
        [tr("machine"), f"{hardware.get('processor')}, {threads}"],
        [tr("device"), info.get("device")],
    ]
    recipe = files.read(run.place / directory.RECIPE).decode(errors="replace")
    return join(
        [
            table(["", ""], rows),
            tag("details", tag("summary", tr("the whole recipe")), tag("pre", put(recipe))),
        ]
    )
