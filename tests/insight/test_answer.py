"""The answer of a run says what its verdict and its choice say."""

from hypothesis import given, settings
from test_verdict import TITLES, Metrics, chance, classes, metrics_of_runs, numbers, run

from linnet.core.language import language
from linnet.insight.answer import answer
from linnet.insight.verdict import judge, verdict

CONSTANT = classes(0.5, 0.7, 0.7)
LOW, HIGH = classes(0.8, 0.5, 0.5), classes(0.9, 0.3, 0.3)


def said(metrics: Metrics) -> str:
    found = answer(metrics, TITLES)
    assert found is not None
    return found.sentence


def test_one_answer_for_each_outcome() -> None:
    models = {"constant": CONSTANT, "linear": LOW, "mlp": HIGH}
    better = run("mlp", {"mlp": chance("net", 0.01)}, **models)
    assert said(better) == "Use the perceptron: it is better than the line."
    found = answer(better, TITLES)
    assert found is not None and dict(found.facts()) == {
        "model to use": "perceptron",
        "test score (95 % interval)": "accuracy 90.00 % (86.67 to 92.57)",
        "gain over line": "+10.00 points",
        "tested on": "400 test rows",
        "how sure": "McNemar p = 0.01",
    }
    assert found.line() == (
        "accuracy 90.00 % (86.67 to 92.57) on 400 test rows; against the line: +10.00 points "
        "(McNemar p = 0.01)"
    )
    unsure = run("linear", {"mlp": chance("net", 0.3)}, **models)
    assert said(unsure) == "Use the line: the perceptron is not shown to be better."
    unsure = run("mlp", {"mlp": chance("net", 0.3)}, **models)
    assert said(unsure).endswith("the test rows do not show that it is better than the line.")
    other = run("linear", {"mlp": chance("net", 0.01)}, **models)
    assert said(other).endswith("with care: on the test rows the perceptron is better.")
    other = run("mlp", {"mlp": chance("line", 0.01)}, constant=CONSTANT, linear=HIGH, mlp=LOW)
    assert said(other).endswith("with care: on the test rows the line is better.")
    worse = run("linear", {"mlp": chance("line", 0.01)}, constant=CONSTANT, linear=HIGH, mlp=LOW)
    assert said(worse) == "Use the line: it is better than the perceptron."
    tie = run("linear", {"mlp": chance("", 1.0)}, constant=CONSTANT, linear=LOW, mlp=LOW)
    assert said(tie) == "Use the line: it is as good as the perceptron, and simpler."
    assert "both have accuracy 80.00 %" in verdict(tie, TITLES)


def test_a_model_alone_is_compared_with_the_constant() -> None:
    alone = run("mlp", None, constant=CONSTANT, mlp=HIGH)
    assert said(alone).startswith(
        "Use the perceptron: it is better than the best constant; no line"
    )
    alone = run("linear", None, constant=CONSTANT, linear=HIGH)
    assert said(alone) == "Use the line: it is better than the best constant."
    near = run("mlp", None, constant=CONSTANT, mlp=classes(0.52, 0.6, 0.6))
    assert "not shown to be better than the best constant" in said(near)
    poor = run("mlp", None, constant=CONSTANT, mlp=classes(0.5, 0.7, 0.7))
    found = answer(poor, TITLES)
    assert found is not None and (found.model, found.title) == ("mlp", "none yet")
    likelier = run("mlp", None, constant=CONSTANT, mlp=classes(0.5, 0.6, 0.6))
    assert said(likelier).startswith("Use the probabilities of the perceptron alone")
    assert said(run("constant", None, constant=CONSTANT)).startswith("Only the best constant")
    error = run("mlp", None, constant=numbers(10, 0.0, 1), mlp=numbers(5, 0.7, 0.3))
    found = answer(error, TITLES)
    assert found is not None and found.gain == "RMSE lower by 50 %"
    untested = {"chosen": "mlp", "models": {"constant": {}, "mlp": {"valid": {"loss": 0.5}}}}
    found = answer(untested, TITLES)
    assert found is not None and found.score == "–" and "no score is claimed" in found.sentence
    assert found.line() == ""


@given(metrics_of_runs())
@settings(max_examples=100, deadline=None)
def test_the_answer_agrees_with_choice_and_verdict(metrics: Metrics) -> None:
    for name in ("en", "zh"):
        with language(name):
            found, sentences = answer(metrics, TITLES), judge(metrics, TITLES)
        assert found is not None and found.model == metrics["chosen"]
        texts = [*(text for fact in found.facts() for text in fact), found.sentence, found.line()]
        for text in texts:
            assert "nan" not in text and "inf" not in text and "{line}" not in text, text
        outcomes = {each.model: each.kind for each in sentences if each.kind != "chosen"}
        if name == "en" and found.sentence.endswith(": it is better than the line."):
            assert outcomes[found.model] == "better"
