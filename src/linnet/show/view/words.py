"""The texts of the live page in the language in force.

``page.html`` marks its texts with ``{{two braces}}``, and ``page.js`` asks for its own by
``t("text with {placeholder}", {placeholder: value})``. Both write them in English. The server sends
the page with the first ones translated, and with a table from English to the language in force for
the second. Each text stands below once, as the first argument of ``tr``, so that who translates
finds all of them; a test holds this list to both files.
"""

from __future__ import annotations

import re

from linnet.core.html import ICON, data, put
from linnet.core.language import LANGUAGES, current, language, tr

MARK = re.compile(r"\{\{(.+?)\}\}")
"""A text of ``page.html``."""


def texts() -> list[str]:
    """All texts of the page in the language in force, in one order in every language."""
    return [
        tr("Go to the run"),
        tr("connecting …"),
        tr("This page needs JavaScript, which is switched off."),
        tr("Runs"),
        tr("Filter the runs"),
        tr("filter: words, or lr<0.01 and accuracy>0.98"),
        tr("which runs are drawn"),
        tr("draw:"),
        tr("like the open one"),
        tr("only the open one"),
        tr("all"),
        tr("none"),
        tr("Windows"),
        tr("environment"),
        tr("log scale"),
        tr("smoothing"),
        tr("Curves"),
        tr("models"),
        tr("axis"),
        tr("epoch"),
        tr("step"),
        tr("time (s)"),
        tr("with start and spikes"),
        tr("Loading the script that draws the curves …"),
        tr("Throughput and steps"),
        tr("yes"),
        tr("no"),
        tr("accuracy"),
        tr("{low} to {high}"),
        tr("running"),
        tr("finished"),
        tr("stopped"),
        tr("failed"),
        tr("crashed"),
        tr("unreadable"),
        tr("live"),
        tr("the viewer does not answer; trying again"),
        tr("{hours} h {minutes} min"),
        tr("{minutes} min {seconds} s"),
        tr("{seconds} s"),
        tr("{shown} of {all}"),
        tr("run"),
        tr("state"),
        tr("score"),
        tr("model"),
        tr("made"),
        tr("drawn among the curves"),
        tr("draw"),
        tr("No runs here yet; new runs appear automatically."),
        tr("unknown data"),
        tr("runs: {count}"),
        tr("draw these"),
        tr("test rows"),
        tr("rows that were held out from training, not the test rows"),
        tr("validation"),
        tr("draw {name}"),
        tr("Its process has ended unexpectedly; the files that it wrote are kept."),
        tr("step {step} of {steps}"),
        tr("step {step}"),
        tr("member {member} of {members}, "),
        tr("epoch {epoch}"),
        tr("validation {score} now"),
        tr("{score} at its best"),
        tr("{count} samples per second"),
        tr("{time} so far"),
        tr("about {time} left for this model"),
        tr("steps done"),
        tr("running …"),
        tr("show this model below"),
        tr("; not shown to differ: {why}"),
        tr("may be chance"),
        tr("{one} against {other}: right alone on {first} and {second} rows; {test} {chance}"),
        tr(
            "{one} against {other}: mean squared error lower by {difference} (95 % interval "
            "{low} to {high}); {chance}"
        ),
        tr("p-values after Holm's correction for {count} comparisons"),
        tr(
            "({name}): the yardstick, boosted trees of scikit-learn on the same training "
            "rows; never chosen, not saved"
        ),
        tr("no yardstick: {why}"),
        tr("out of fold"),
        tr("validation, at its best"),
        tr("★ chosen by out-of-fold loss"),
        tr("★ chosen by validation loss"),
        tr("The models"),
        tr("{folds} folds (95 % interval)"),
        tr("test (95 % interval)"),
        tr("interval"),
        tr("fitted in"),
        tr("stopped because"),
        tr("scores"),
        tr("★ chosen as the first model"),
        tr("a model's name shows it in the panels below"),
        tr("← further down"),
        tr("further up →"),
        tr(", the {count} classes with the most errors of {all}"),
        tr("true {true}, predicted {predicted}: {count} rows, {share}"),
        tr("confusion matrix"),
        tr("true classes down, predicted ones across"),
        tr("true \\ pred."),
        tr("Confusion matrix of {model}"),
        tr("test rows, and their share of the true class; a cell filters the mistakes below"),
        tr("in their order"),
        tr("lowest F1 first"),
        tr("Class by class: {model}"),
        tr("class"),
        tr("precision"),
        tr("recall"),
        tr("support"),
        tr("scores per class"),
        tr("Mistakes"),
        tr("No mistakes: every test row was predicted right."),
        tr("order"),
        tr("most confident first"),
        tr("largest first"),
        tr("by pair"),
        tr("by row"),
        tr("true {true}, predicted {predicted}: {count} shown "),
        tr("(these are right: no mistakes) "),
        tr("show all"),
        tr("row {row}: true {true}, predicted {predicted} {probability}"),
        tr("row {row}"),
        tr("mistakes"),
        tr("show more ({count})"),
        tr("making batches"),
        tr("forward, backward, update"),
        tr("evaluating"),
        tr("record and checkpoints"),
        tr("shares"),
        tr("Where the time went"),
        tr("command"),
        tr("seed"),
        tr("device"),
        tr("threads"),
        tr("versions"),
        tr("machine"),
        tr(", with changes"),
        tr("Reproduce"),
        tr("recipe"),
        tr("data, code and machine"),
        tr("findings ({count})"),
        tr("Calibration: can the probabilities be trusted?"),
        tr("Predicted against true"),
        tr("Weights"),
        tr("Would more data help?"),
        tr("Training rows"),
        tr("Residuals"),
        tr("ROC, and precision against recall"),
        tr("Thresholds"),
        tr("How sure is each prediction?"),
        tr("For whom does it fail?"),
        tr("Which columns matter?"),
        tr("How do predictions depend on them?"),
        tr("The path of penalties of the line"),
        tr("loading …"),
        tr("the viewer does not answer"),
        tr("pictures shown in {title}"),
        tr("after {seconds} s"),
        tr("The script that draws the curves could not be loaded."),
        tr("training"),
        tr("level of its end"),
        tr("level of its best"),
        tr("save as SVG"),
        tr("save the numbers as CSV"),
        tr("loss"),
        tr("log loss (nats)"),
        tr("loss (half the squared error)"),
        tr("error rate (%)"),
        tr("RMSE (unit of the target)"),
        tr("samples per second"),
        tr("learning rate"),
        tr("memory (MB)"),
        tr("largest gradient entry"),
        tr("training (the loss is smoothed; the pale line is not)"),
        tr("validation or out of fold"),
        tr("kept"),
        tr("lowest validation loss or kept"),
        tr("lowest validation loss"),
        tr("without epochs: level of what is kept, training"),
        tr("without epochs: level of what is kept, held-out rows"),
        tr("each member of the net has a line of its own"),
        tr("there are more lines than colours: point at a name to show only its line"),
        tr("automatic"),
        tr("paused while hidden"),
    ]


def table() -> dict[str, str]:
    """The texts of the page by their English; empty in English."""
    with language(LANGUAGES[0]):
        english = texts()
    return {key: text for key, text in zip(english, texts(), strict=True) if key != text}


def translate(page: str) -> str:
    """``page.html`` in the language in force, with the table for its script."""
    own = table()
    special = {"words": data(own), "language": put(current()), "icon": put(ICON)}
    return MARK.sub(lambda found: special.get(found[1]) or put(own.get(found[1], found[1])), page)
