"""No impossible sentence: claims are made of figures that are possible, whatever a run holds."""

import math
import re
from collections import Counter
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linnet.core.events import number, of
from linnet.core.history import History
from linnet.core.statistics import wilson
from linnet.insight import claims, diagnosis
from linnet.insight.claims import Estimate, Impossible, Sentence
from linnet.insight.diagnosis import Claim, Predictions, diagnose
from linnet.insight.pairs import between, certainty
from linnet.insight.task import CLASSES, NUMBERS, Task
from linnet.insight.verdict import Judgement, headline, judge, verdict

TITLES = {
    "constant": "the constant", "linear": "the line", "mlp": "the perceptron",
    "cnn": "the small net", "custom": "your {strange} network %s",
}  # fmt: skip
Metrics = dict[str, Any]


# figures


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("Share", 1.2), ("Share", -0.1), ("Share", math.nan), ("Size", -1.0), ("Size", math.inf),
        ("Chance", 1.5), ("Rows", 0), ("Count", 2.5), ("Count", -1), ("R2", 1.1), ("Fall", 1.01),
        ("Number", math.nan), ("Number", -math.inf), ("Points", 101), ("TestRows", 0.5),
    ],
)  # fmt: skip
def test_a_figure_that_is_not_possible_cannot_be_made(kind: str, value: float) -> None:
    made = getattr(claims, kind)
    with pytest.raises(Impossible):
        made(value)
    assert made.of(value) is None


def test_an_interval_contains_its_value_or_is_left_out() -> None:
    share = claims.Share
    whole = Estimate.of(share, 0.5, [0.4, 0.6])
    assert str(whole) == "50.00 % (40.00 to 60.00)"
    outside: Any
    for outside in ([0.6, 0.7], [0.6, 0.4], [0.1, 0.2], ["NaN", 0.6], None, [0.5], [0.4, 1.7]):
        assert str(Estimate.of(share, 0.5, outside)) == "50.00 %"
    assert Estimate.of(share, "NaN", [0.4, 0.6]) is None
    with pytest.raises(Impossible):
        Estimate(share(0.5), share(0.6), share(0.7))
    with pytest.raises(Impossible):
        Estimate(share(0.5), claims.Size(0.4), share(0.7))


def test_a_sentence_holds_only_figures_and_all_of_its_names() -> None:
    with pytest.raises(Impossible):
        Sentence("mlp", "{a}", {"a": 0.5})  # type: ignore[dict-item]
    with pytest.raises(KeyError):
        Sentence("mlp", "{a} of {b}", {"a": claims.Share(0.5)})
    with pytest.raises(Impossible):
        Judgement("mlp", "{a}", {"a": 0.5}, {}, "score")  # type: ignore[dict-item]
    with pytest.raises(Impossible):
        Claim("mlp", "{a}", {"a": 0.5}, cause="few classes", remedy="-")  # type: ignore[dict-item]


def certain(task: Task, found: Metrics, count: int = 1, first: bool = True) -> str:
    return str(certainty(task, found, count, first=first))


def test_numbers_of_the_verdict_are_for_people() -> None:
    assert certain(CLASSES, {"p_value": 4.4e-137}) == "McNemar p < 0.001"
    assert certain(CLASSES, {"p_value": 0.0312}) == "McNemar p = 0.031"
    assert certain(CLASSES, {"p_value": 0.0499}) == "McNemar p = 0.0499"
    assert certain(CLASSES, {"p_value": 1.5}) == ""
    holms = {"p_value": 0.02, "p_adjusted": 0.06}
    told = "McNemar p = 0.06 after Holm's correction for 3 comparisons"
    assert certain(CLASSES, holms, 3) == told
    assert certain(CLASSES, holms, 3, first=False) == "McNemar p = 0.06"
    # the line's squared errors less the net's: of a line whose error is 10
    found = {"difference": 9.0, "difference_interval": [-31.2, 29.98]}
    told = "mean squared error lower by 9, 95 % interval lower by 30 to higher by 31.2"
    assert certain(NUMBERS, found) == told
    found = {"difference": 9.0, "difference_interval": [2.0, 29.98]}
    told = "mean squared error lower by 9, 95 % interval 2 to 30"
    assert certain(NUMBERS, found) == told
    assert certain(NUMBERS, {"difference": 1, "difference_interval": [2, 3]}) == (
        "mean squared error lower by 1"
    )


def test_a_headline_leaves_out_what_is_not_known() -> None:
    test = {"rmse": 2.0, "rmse_interval": [2.0, 2.0], "r2": "NaN", "rows": 1}
    assert headline(test) == "RMSE 2 (2 to 2)"
    assert headline({**test, "rmse": "Infinity"}) == "RMSE not finite"
    one = {"by": "group", "column": "shop", "units": 1}
    assert headline({**test, "r2": 0.5, "interval": one}) == "RMSE 2, R2 0.500"


# the verdict


def classes(accuracy: float, log_loss: float, valid: float | None = None, rows: int = 400) -> Any:
    test: Metrics = {"accuracy": accuracy, "log_loss": log_loss, "rows": rows}
    test["accuracy_interval"] = list(wilson(accuracy * rows, rows))
    return {"test": test, **({} if valid is None else {"valid": {"loss": valid}})}


def numbers(rmse: float, r2: float, valid: float | None = None, rows: int = 400) -> Any:
    test = {"rmse": rmse, "rmse_interval": [0.8 * rmse, 1.3 * rmse], "r2": r2, "rows": rows}
    return {"test": test, **({} if valid is None else {"valid": {"loss": valid}})}


def chance(better: str, p: float) -> Metrics:
    return {"test": "McNemar", "p_value": p, "significant": p < 0.05, "better": better}


def run(chosen: str, comparisons: Metrics | None = None, **models: Any) -> Metrics:
    """``comparisons`` are of a net with the line, by its name; "trees" is the yardstick, compared
    with the chosen model."""
    pairs = []
    for name, each in (comparisons or {}).items():
        other = chosen if name == "trees" else "linear"
        better = {"net": name, "line": other}.get(each.get("better"))
        pair = {"p_adjusted": each.get("p_value", 0.0), **each, "pair": [name, other]}
        pairs.append({**pair, "better": better})
    beside = {"trees": models.pop("trees")} if "trees" in models else {}
    return {"chosen": chosen, "models": models, "comparisons": pairs, "yardstick": beside}


def kinds(metrics: Metrics) -> list[str]:
    return [sentence.kind for sentence in judge(metrics, TITLES)]


def test_verdicts_say_which_it_is() -> None:
    models = {
        "constant": classes(0.5, 0.7, 0.7),
        "linear": classes(0.8, 0.5, 0.5),
        "mlp": classes(0.9, 0.3, 0.3),
    }
    better = run("mlp", {"mlp": chance("net", 0.01)}, **models)
    assert verdict(better, TITLES) == (
        "The perceptron is better than the line: accuracy 90.00 % (86.67 to 92.57) against "
        "accuracy 80.00 % (75.80 to 83.63) on 400 test rows (McNemar p = 0.01). Predictions come "
        "from the perceptron, because its validation loss is the lowest."
    )
    models["linear"], models["mlp"] = models["mlp"], models["linear"]
    assert kinds(run("linear", {"mlp": chance("line", 0.01)}, **models)) == ["worse", "chosen"]
    unsure = run("linear", {"mlp": chance("line", 0.2)}, **models)
    assert "The difference may be chance. Predictions come from the line" in verdict(unsure, TITLES)
    alone = run("linear", constant=models["constant"], linear=models["linear"])
    assert kinds(alone) == ["score"] and "the best constant has" in verdict(alone, TITLES)
    none = run("linear", constant={}, linear={})
    assert verdict(none, TITLES) == (
        "No rows were kept for a test, so no score is claimed; the models were fitted on all rows."
    )


def test_what_is_below_the_constant_is_not_sold_as_good() -> None:
    """Both, one, and one alone."""
    better = {"difference": 0.96, "difference_interval": [0.1, 2.0], "significant": True}
    both = run(
        "mlp", {"mlp": {**better, "better": "net"}}, constant=numbers(2, 0, 4),
        linear=numbers(2.5, -0.5, 6), mlp=numbers(2.3, -0.3, 5),
    )  # fmt: skip
    assert kinds(both) == ["no better", "chosen"]
    told = verdict(both, TITLES)
    assert told.startswith("Neither the line nor the perceptron is better than the best constant")
    assert "still come from the perceptron" in told
    assert "neither its validation loss nor its test score is better than the best" in told
    both["models"]["constant"]["valid"]["loss"] = 9
    assert "gives no reason to use them" in verdict(both, TITLES)
    one = run(
        "mlp", {"mlp": {**better, "better": "net"}}, constant=numbers(2.4, 0, 4),
        linear=numbers(2.5, -0.1, 6), mlp=numbers(2.2, 0.1, 5),
    )  # fmt: skip
    assert kinds(one) == ["better", "no better", "chosen"]
    assert "The line is not better than the best constant" in verdict(one, TITLES)
    alone = run("linear", constant=numbers(1, 0, 4), linear=numbers(2, -3, 6))
    assert kinds(alone) == ["no better", "chosen"] and "neither" in verdict(alone, TITLES)
    unlucky = run("linear", constant=numbers(3, 0, 4), linear=numbers(2, 0.3, 4.1))
    assert kinds(unlucky) == ["score", "chosen"]
    assert "its validation loss is not better than the best constant's" in verdict(unlucky, TITLES)


def test_a_line_that_is_no_better_is_not_offered() -> None:
    unsure = {"difference": 1.0, "difference_interval": [-1, 2], "significant": False}
    found = run(
        "mlp", {"mlp": {**unsure, "better": "net"}}, constant=numbers(2.4, 0, 4),
        linear=numbers(2.5, -0.1, 6), mlp=numbers(2.2, 0.1, 5),
    )  # fmt: skip
    told = verdict(found, TITLES)
    assert "--model linear" not in told and "simpler" not in told


def test_probabilities_may_be_better_where_accuracy_is_not() -> None:
    rare = run("linear", constant=classes(0.99, 0.056, 0.06), linear=classes(0.99, 0.03, 0.03))
    told = verdict(rare, TITLES)
    assert kinds(rare) == ["no better"]
    assert "not more accurate than the best constant" in told
    assert "log loss 0.03 against 0.056" in told and "no reason" not in told


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("may be chance", "The difference may be chance"),
        ("rests on one row", "The difference rests on one row"),
        ("too few groups", "There are too few groups for a claim"),
        ("too few rows", "There are too few rows for a claim"),
        ("errors are not finite", "Some errors are not finite"),
    ],
)
def test_what_is_not_shown_says_why(why: str, words: str) -> None:
    models = {"constant": classes(0.5, 0.7), "linear": classes(0.8, 0.5), "mlp": classes(0.9, 0.4)}
    found = run("mlp", {"mlp": {**chance("net", 0.01), "significant": False, "why": why}}, **models)
    assert kinds(found)[0] == "not shown" and words in verdict(found, TITLES)


def test_groups_that_an_interval_rests_on_are_told() -> None:
    models = {"constant": classes(0.5, 0.7), "linear": classes(0.8, 0.5)}
    for each in models.values():
        each["test"]["interval"] = {"by": "group", "column": "{shop}", "units": 12}
    assert "on 400 test rows in 12 groups of '{shop}'" in verdict(run("linear", **models), TITLES)


@pytest.mark.parametrize("chosen", ["linear", "mlp"])
@pytest.mark.parametrize("p", [0.001, 0.4])
@pytest.mark.parametrize("better", ["net", "line"])
def test_whose_the_predictions_are_is_always_said(chosen: str, p: float, better: str) -> None:
    good, bad = (0.9, 0.3), (0.8, 0.5)
    line, net = (bad, good) if better == "net" else (good, bad)
    losses = {"linear": 0.5, "mlp": 0.5, chosen: 0.2}
    found = run(
        chosen, {"mlp": chance(better, p)}, constant=classes(0.5, 0.7, 0.7),
        linear=classes(*line, losses["linear"]), mlp=classes(*net, losses["mlp"]),
    )  # fmt: skip
    (last,) = [sentence for sentence in judge(found, TITLES) if sentence.kind == "chosen"]
    assert f"come from {TITLES[chosen]}" in last.text and last.model == chosen
    agrees = (chosen == "mlp") == (better == "net" and p < 0.05)
    agrees |= chosen == "linear" and p >= 0.05
    assert ("still" in last.text) == (not agrees) == ("--model" in last.text)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (
            {"by": "validation", "lowest": "mlp"},
            "because its validation loss is the lowest, by more",
        ),
        ({"by": "folds", "lowest": "mlp"}, "because its out-of-fold loss is the lowest, by more"),
        ({}, "because its validation loss is the lowest."),
    ],
)
def test_why_a_net_is_chosen(choice: Metrics, words: str) -> None:
    found = run(
        "mlp", {"mlp": chance("net", 0.01)}, constant=classes(0.5, 0.7, 0.7),
        linear=classes(0.8, 0.5, 0.5), mlp=classes(0.9, 0.3, 0.3),
    )  # fmt: skip
    assert words in verdict({**found, "choice": choice}, TITLES)


def test_a_simpler_model_is_chosen_within_one_standard_error() -> None:
    found = run(
        "linear", {"mlp": chance("net", 0.4)}, constant=classes(0.5, 0.7, 0.7),
        linear=classes(0.88, 0.35, 0.35), mlp=classes(0.9, 0.3, 0.3),
    )  # fmt: skip
    found["choice"] = {"by": "validation", "lowest": "mlp"}
    told = verdict(found, TITLES)
    assert told.endswith(
        "Predictions come from the line, the simpler model: its validation loss is within one "
        "standard error of that of the perceptron."
    )
    assert "--model" not in told and "still" not in told


@pytest.mark.parametrize(
    ("accuracy", "better", "p", "words"),
    [
        (0.97, "net", 0.001, "): better than the perceptron (McNemar p = 0.002)"),
        (0.8, "line", 0.001, "): worse than the perceptron (McNemar p = 0.002)"),
        (0.91, "net", 0.3, "; the difference from the perceptron may be chance (McNemar p = 0.6)"),
        (0.9, None, 1.0, "86.67 to 92.57)."),
    ],
)
def test_the_yardstick_is_held_against_the_chosen_model(
    accuracy: float, better: str | None, p: float, words: str
) -> None:
    beside = {**chance(str(better), p), "p_adjusted": min(1.0, 2 * p)}
    found = run(
        "mlp", {"mlp": chance("net", 0.01), "trees": beside}, constant=classes(0.5, 0.7, 0.7),
        linear=classes(0.8, 0.5, 0.5), mlp=classes(0.9, 0.3, 0.3), trees=classes(accuracy, 0.2),
    )  # fmt: skip
    assert kinds(found) == ["better", "yardstick", "chosen"]
    told = str(judge(found, TITLES)[1])
    assert told.startswith("Boosted trees, the yardstick, have accuracy") and words in told
    assert "after Holm's correction for 2 comparisons" in str(judge(found, TITLES)[0])


def test_no_model_below_the_constant_is_praised_for_being_better_than_trees() -> None:
    found = run(
        "linear", {"trees": {"significant": True, "better": "line"}}, constant=numbers(2, 0, 4),
        linear=numbers(2.5, -0.5, 3), trees=numbers(5, -4),
    )  # fmt: skip
    assert kinds(found) == ["no better", "yardstick", "chosen"]
    assert "worse than" not in verdict(found, TITLES)


# whatever a run holds

WEIRD = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(["NaN", "Infinity", "-Infinity", 0.0, 1.0, -0.0, 1e300, 5e-324, 1e-17, 0.5]),
)
SHARES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5]))
NONE = st.none()


@st.composite
def scores(draw: Any, task: str, weird: bool) -> Any:
    rows = draw(st.one_of(st.just(1), st.integers(1, 10**6)))
    if task == "classes":
        accuracy = draw(st.one_of(SHARES, WEIRD) if weird else SHARES)
        hits = round(rows * accuracy) if isinstance(accuracy, float) and 0 <= accuracy <= 1 else 0
        accuracy = accuracy if weird else hits / rows
        interval = list(wilson(hits, rows))
        test = {"accuracy": accuracy, "log_loss": draw(WEIRD), "rows": rows}
        test["accuracy_interval"] = draw(st.lists(WEIRD, max_size=3)) if weird else interval
    else:
        rmse = draw(WEIRD if weird else st.floats(0, 1e150))
        test = {"rmse": rmse, "r2": draw(WEIRD), "mae": draw(WEIRD), "rows": rows}
        ends = [0.5 * rmse, 2 * rmse] if isinstance(rmse, float) else [0, 1]
        test["rmse_interval"] = draw(st.lists(WEIRD, max_size=3)) if weird else ends
    if draw(st.booleans()):
        test["interval"] = {"by": "group", "column": "a {b} %s", "units": draw(st.integers(1, 30))}
    return {"test": test, **({"valid": {"loss": draw(WEIRD)}} if draw(st.booleans()) else {})}


@st.composite
def compared(draw: Any, task: str) -> Any:
    found = {"significant": draw(st.booleans()), "better": draw(st.sampled_from(["net", "line"]))}
    if draw(st.booleans()):
        found["p_value"] = draw(st.one_of(SHARES, WEIRD))
    if task == "numbers" or draw(st.booleans()):
        found["difference"] = draw(WEIRD)
        found["difference_interval"] = draw(st.lists(WEIRD, min_size=2, max_size=2))
    if draw(st.booleans()):
        found["why"] = draw(st.sampled_from(["may be chance", "too few rows", "rests on one row"]))
    return found


@st.composite
def metrics_of_runs(draw: Any) -> Metrics:
    task, weird = draw(st.sampled_from(["classes", "numbers"])), draw(st.booleans())
    nets = draw(st.lists(st.sampled_from(["mlp", "cnn", "custom"]), max_size=3, unique=True))
    line = draw(st.booleans()) or not nets
    names = ["constant", *(["linear"] if line else []), *nets]
    models = {name: draw(scores(task, weird)) for name in names}
    if draw(st.integers(0, 9)) == 0:
        models = {name: {k: v for k, v in m.items() if k != "test"} for name, m in models.items()}
    tested = line and "test" in models["constant"]
    comparisons = {name: draw(compared(task)) for name in nets} if tested else {}
    if "test" in models["constant"] and draw(st.booleans()):
        models["trees"] = draw(scores(task, weird))
        comparisons["trees"] = draw(compared(task))
    found = run(draw(st.sampled_from(names[1:])), comparisons, **models)
    if draw(st.booleans()):
        found["choice"] = {
            "by": draw(st.sampled_from(["validation", "folds"])),
            "lowest": draw(st.sampled_from([*names, "gone"])),
        }
    return found


WORDS = re.compile(r"\{[^}]*\}|R2|95 %")


def sound(sentence: Sentence) -> None:
    """A sentence is made of its figures, and they are possible together."""
    text, figures = sentence.text, sentence.figures
    assert not text[0].islower() and text.count("(") == text.count(")")
    plain = text
    for name in [*TITLES.values(), *sentence.names.values()]:
        plain = plain.replace(name, "X").replace(name[0].upper() + name[1:], "X")
    assert not re.search(r"\b(nan|inf|none)\b", plain, re.I), text
    assert "  " not in plain and "()" not in plain and " ," not in plain, text
    assert not re.search(r"\d", WORDS.sub("", sentence.form)), sentence.form
    for name, value in figures.items():
        assert type(value) is float and math.isfinite(value)
        if f"{name} low" in figures:
            slack = 1e-9 * max(abs(figures[f"{name} low"]), abs(figures[f"{name} high"]))
            assert figures[f"{name} low"] - slack <= value <= figures[f"{name} high"] + slack
    for figure in sentence.evidence.values():
        parts = (figure.value, figure.low, figure.high) if isinstance(figure, Estimate) else ()
        for part in parts or (figure,):
            assert isinstance(part, claims.Figure) and part.least <= part.value <= part.most


def judged(metrics: Metrics) -> list[Judgement]:
    """The sentences, after all that must hold of them."""
    found = judge(metrics, TITLES)
    assert verdict(metrics, TITLES) == " ".join(map(str, found)) != ""
    models = metrics["models"]
    told = Counter(kind for sentence in found if (kind := sentence.kind) in ("chosen", "no test"))
    assert all(count == 1 for count in told.values())
    assert told["chosen"] or len(models) == 2
    assert told["no test"] == ("test" not in models["constant"])
    task = CLASSES if "accuracy" in models["constant"].get("test", {}) else NUMBERS
    sign = 1 if task is CLASSES else -1

    def score(name: str) -> float:
        return sign * number({**models, **metrics["yardstick"]}[name]["test"][task.score])

    for sentence in found:
        sound(sentence)
        assert str(sentence).endswith(".")
        if sentence.kind == "better":
            assert score(sentence.model) > score("linear")
            found_better = between(metrics["comparisons"], sentence.model, "linear")
            assert found_better is not None and found_better["significant"]
        elif sentence.kind == "worse":
            assert score(sentence.model) < score("linear")
        elif sentence.kind == "score":
            assert all("trees" in each["pair"] for each in metrics["comparisons"])
        elif sentence.kind == "yardstick":
            assert sentence.model == "trees"
            assert ": better than" not in sentence.text or score("trees") > score(metrics["chosen"])
            if ": worse than" in sentence.text:
                assert score("trees") < score(metrics["chosen"])
                assert not score(metrics["chosen"]) <= score("constant")
    compared = Counter(s.model for s in found if s.kind in ("better", "worse", "not shown"))
    assert all(count == 1 for count in compared.values())
    if "test" in models["constant"] and not math.isnan(score("constant")):
        for name in [name for name in models if name != "constant"]:
            if not score(name) > score("constant"):
                assert f"{TITLES[name]}" in " ".join(
                    s.text[0].lower() + s.text[1:] for s in found if s.kind == "no better"
                )
    return found


@settings(deadline=None, max_examples=200)
@given(metrics_of_runs())
def test_no_sentence_of_the_verdict_is_impossible(metrics: Metrics) -> None:
    judged(metrics)


@pytest.mark.soak
@settings(deadline=None, max_examples=10_000)
@given(metrics_of_runs())
def test_no_sentence_of_very_many_verdicts_is_impossible(metrics: Metrics) -> None:
    judged(metrics)


# the diagnosis


def pick(random: np.random.Generator, *values: Any) -> Any:
    """One of the values, as it is."""
    return values[int(random.integers(len(values)))]


def walk(random: np.random.Generator, start: float, count: int) -> list[Any]:
    """Losses that go somewhere; sometimes one is not finite."""
    drift = random.choice([-0.5, -0.1, -0.01, 0.0, 0.1])
    steps = drift + random.choice([0.0, 0.02, 0.3]) * random.normal(size=count)
    losses: list[Any] = (start * np.exp(np.cumsum(steps))).tolist()
    bend = int(random.integers(0, count + 1)) if random.random() < 0.5 else count
    for index in range(bend, count):  # from here on it rises
        losses[index] = losses[bend - 1] * (1 + 0.15 * (index - bend + 1)) if bend else start
    if random.random() < 0.15:
        losses[int(random.integers(count))] = pick(random, "NaN", "Infinity", 1e299, 0.0, -1.0)
    return losses


def rates(random: np.random.Generator, count: int) -> Any:
    """Learning rates: constant, falling, a warm-up that ends, one that does not."""
    rate = 10.0 ** random.uniform(-7, 3)
    share = (1 + np.arange(count)) / count
    shapes = [np.ones(count), 1 - share, np.minimum(1, 3 * share), share, np.sin(np.pi * share)]
    return rate * shapes[int(random.integers(len(shapes)))]


def net(random: np.random.Generator, name: str, unit: float) -> list[dict[str, Any]]:
    epochs, per = int(random.integers(1, 16)), int(random.integers(1, 5))
    at = {"event": "evaluate", "model": name}
    found: list[dict[str, Any]] = [
        {"event": "begin", "model": name, "title": TITLES[name]},
        {**at, "step": 0, "epoch": 0, "valid": {"loss": unit * random.uniform(0.9, 1.5)}},
    ]
    train = walk(random, unit * random.uniform(0.2, 1.5), epochs)
    valid = walk(random, unit * random.uniform(0.2, 1.5), epochs)
    rate = rates(random, epochs * per)
    knows = random.random() < 0.9
    for epoch in range(1, epochs + 1):
        for step in range((epoch - 1) * per + 1, epoch * per + 1):
            line = {"event": "step", "model": name, "step": step, "loss": train[epoch - 1]}
            line |= {"lr": float(rate[step - 1])} if random.random() < 0.97 else {}
            found.append(line | ({"epoch": epoch - 1} if knows else {}))
        found.append({**at, "step": epoch * per, "valid": {"loss": valid[epoch - 1]}})
        found[-1] |= {"epoch": epoch} if knows else {}
    if random.random() < 0.9:
        stopped = str(random.choice(["epochs", "early_stopping", "no_progress"]))
        found.append({"event": "fit", "model": name, "reason": "-", "stopped": stopped})
    return found


def line(random: np.random.Generator, unit: float) -> list[dict[str, Any]]:
    tried = 10.0 ** -np.arange(int(random.integers(1, 6))) * random.choice([10.0, 1.0, 1e-6, 0.0])
    at = {"model": "linear", "epoch": 0}
    found: list[dict[str, Any]] = [
        {"event": "begin", "model": "linear", "title": "the line"},
        {"event": "evaluate", **at, "step": 0, "valid": {"loss": unit}},
    ]
    for step, penalty in enumerate(tried.tolist(), start=1):
        loss = unit * random.uniform(0.001, 1.0)
        values = {"loss": loss, "objective": loss * random.uniform(1, 1.6), "penalty": penalty}
        found.append({"event": "step", **at, "step": step, **values})
        valid = unit * random.uniform(0.001, 2.0)
        found.append({"event": "evaluate", **at, "step": step, "valid": {"loss": valid}})
    gap = pick(random, None, 0.0, 1e-9, 9e-4 * unit, 0.3, math.nan, math.inf)
    facts: dict[str, Any] = {} if gap is None else {"gap": gap}
    stopped = str(random.choice(["converged", "rounding", "stuck", "max_iter", "separation"]))
    facts |= {"converged": bool(random.random() < 0.7), "stopped": stopped}
    facts["best_step"] = int(random.integers(1, len(tried) + 1))
    return [*found, {"event": "fit", "model": "linear", "reason": "-", **facts}]


def test_scores(random: np.random.Generator, task: str, name: str) -> Metrics:
    rows = int(random.choice([1, 30, 500, 20_000]))
    if task == "numbers":
        found: Metrics
        rmse = pick(random, 0.0, 1.0, 1e200) * random.uniform(0.1, 1)
        found = {"rmse": rmse, "rmse_interval": [0.9 * rmse, 1.1 * rmse], "rows": rows}
        found["r2"] = pick(random, "NaN", 0.0, -4.0, 0.5, 0.99, 1.0)
        return {"test": found, "valid": {"loss": 1.0, "rmse": rmse * pick(random, 1.0, 3.0)}}
    count = int(random.integers(2, 6))
    right = rows * random.dirichlet(np.ones(count)) * random.uniform(0.2, 1, count)
    matrix = np.diag(right.astype(int))
    matrix[int(random.integers(count)), 0] += int(0.2 * rows)
    rows = max(1, int(matrix.sum()))
    support = matrix.sum(1).clip(1)
    hits = int(matrix.diagonal().sum())
    test: Metrics = {
        "accuracy": hits / rows, "accuracy_interval": list(wilson(hits, rows)), "rows": rows,
        "classes": [f"{{class}} {code}" for code in range(count)], "confusion": matrix.tolist(),
        "recall": (matrix.diagonal() / support).tolist(), "log_loss": 0.3,
    }  # fmt: skip
    return {"test": test, "valid": {"loss": 1.0, "accuracy": float(random.random())}}


test_scores.__test__ = False  # type: ignore[attr-defined]


def predicted(random: np.random.Generator) -> Predictions:
    rows, count = int(random.choice([1, 120, 1000])), int(random.integers(2, 7))
    p = random.dirichlet(np.full(count, random.choice([0.02, 0.2, 2.0])), rows)
    y = (random.random((rows, 1)) > p.cumsum(1)).sum(1).clip(max=count - 1)
    wrong = random.random(rows) < random.choice([0.0, 0.1, 0.2])
    y = np.where(wrong, (y + 1) % count, y)
    return Predictions(np.arange(rows), y, p)


def changes(random: np.random.Generator) -> list[dict[str, Any]]:
    losses = np.abs(walk_numbers(random))
    found: list[dict[str, Any]] = []
    for before, loss in zip((100, 200), losses, strict=True):
        fall = float(loss * random.uniform(-2, 1))
        ends = sorted(fall + float(loss) * random.normal(size=2))
        found.append({"before": before, "rows": 400, "loss_before": float(loss)})
        found[-1] |= {"fall": fall, "fall_interval": ends, "loss": float(loss) - fall}
    return found


def walk_numbers(random: np.random.Generator) -> Any:
    return random.choice([0.0, 1e-300, 1.0, 1e200], 2) * random.uniform(0.5, 1, 2)


FITS = {
    "rate too high", "rate too low", "stopped short", "under-fitting", "over-fitting",
    "line at its optimum",
}  # fmt: skip
ROWS = {"few classes", "wrong labels", "parts differ"}


def diagnosed(seed: int) -> list[Claim]:
    """The claims about a generated run, after all that must hold of them."""
    random = np.random.default_rng(seed)
    unit = float(random.choice([1.0, 2.3, 1e4, 1e-6]))
    nets = [str(n) for n in random.permutation(["mlp", "cnn", "custom"])[: random.integers(0, 3)]]
    events: list[dict[str, Any]] = [
        {"event": "begin", "model": "constant"},
        {"event": "step", "model": "constant", "step": 0, "epoch": 0, "loss": unit},
        {"event": "evaluate", "model": "constant", "step": 0, "valid": {"loss": unit}},
    ]
    has_line = bool(random.random() < 0.8) or not nets
    if has_line:
        events += line(random, unit)
    for name in nets:
        events += net(random, name, unit)
    names = ["constant", *(["linear"] if has_line else []), *nets]
    trees = bool(random.random() < 0.7)
    task = str(random.choice(["classes", "numbers"]))
    metrics: Metrics = run(
        str(random.choice(names[1:])),
        {n: chance(str(random.choice(["net", "line"])), float(random.random() ** 9)) for n in nets},
        **{name: test_scores(random, task, name) for name in [*names, *["trees"] * trees]},
    )
    if trees:
        sure = chance("", float(random.random() ** 9))
        better = str(random.choice(["trees", metrics["chosen"]]))
        pair = {"pair": ["trees", metrics["chosen"]], "better": better}
        metrics["comparisons"].append({**sure, **pair})
    recipes: dict[str, Any] = {
        name: {"lr": "find", "class_weight": "balanced", "dropout": 0.0, "weight_decay": 0.0}
        for name in names
        if random.random() < 0.5
    }
    history = History.of(map(of, events))
    found = diagnose(
        history,
        metrics if random.random() < 0.9 else None,
        {metrics["chosen"]: predicted(random)} if task == "classes" else None,
        valid_rows=int(random.choice([1, 100, 5000])),
        error="Diverged: -" if random.random() < 0.1 else None,
        changes={name: changes(random) for name in names},
        recipes=recipes,
        left_out={"identifier": ["{a}", "b"], "text": ["c"]} if random.random() < 0.5 else None,
        pictures=seed % 3 == 0,
    )
    for claim in found:
        sound(claim)
        assert "{model}" not in claim.remedy
        curve = diagnosis._Curve(history.models[claim.model]) if claim.cause in FITS else None
        if claim.cause == "over-fitting" and curve is not None and claim.model != "linear":
            rate = curve.rate[np.isfinite(curve.rate)]
            assert len(rate) < 2 or rate[-1] < rate.max() or rate[-1] <= rate[-2]
            if "epoch" in claim.figures and "since" in claim.text:
                epoch = claim.figures["epoch"]
                until = curve.step <= curve.at[np.flatnonzero(curve.epoch == epoch)[-1]]
                assert np.nanmax(curve.rate[until]) >= 0.5 * np.nanmax(curve.rate)
            assert claim.figures["training loss at the end"] < claim.figures["training loss then"]
        if claim.cause == "line at its optimum":
            assert claim.figures["gap"] <= 0.01 * claim.figures["training loss"]
            assert "cannot" not in claim.text
        if claim.model == "linear" and "penalty=auto" in claim.remedy and curve is not None:
            assert len(set(diagnosis._column(curve.writings, "penalty").tolist())) == 1
        if claim.model in recipes:
            assert not re.search("lr=find|balanced|less (weight_decay|dropout)", claim.remedy)
    for kinds in (FITS, ROWS):
        counts = Counter(claim.model for claim in found if claim.cause in kinds)
        assert all(count == 1 for count in counts.values()), counts
    causes = [claim.cause for claim in found]
    if "columns left out" in causes:
        assert causes[0] == "columns left out"
    return found


EXPECTED = {*FITS, *ROWS, *get_args(diagnosis.Notice), *get_args(diagnosis.Prospect)}


def test_no_claim_of_the_diagnosis_is_impossible() -> None:
    told = Counter(claim.cause for seed in range(400) for claim in diagnosed(seed))
    assert set(told) == EXPECTED, EXPECTED - set(told)


@pytest.mark.soak
def test_no_claim_of_very_many_diagnoses_is_impossible() -> None:
    for seed in range(1000, 30_000):
        diagnosed(seed)
