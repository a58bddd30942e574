"""Standard errors: the figures are statsmodels', and invalid ones are refused."""

import sys
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression

from linnet.errors import InputError
from linnet.insight.inference import Inference, NoInference, infer

SIZES = np.array([1e-4, 1.0, 1e4])
ROBUST = ["HC0", "HC1", "HC2", "HC3"]


@pytest.fixture(scope="module")
def sm() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("statsmodels.api")


def features(rows: int = 300) -> Any:
    """Correlated features of very different sizes, far from 0."""
    random = np.random.default_rng(3)
    return (random.normal(size=(rows, 3)) @ random.normal(size=(3, 3)) + [3, -20, 5]) * SIZES


def problem(classes: int, rows: int = 300) -> tuple[Any, Any]:
    random = np.random.default_rng(classes)
    x = features(rows)
    signal = ((x - x.mean(0)) / x.std(0)) @ random.normal(size=(3, classes))
    return x, (signal + random.gumbel(size=(rows, classes))).argmax(1)


def iris() -> tuple[Any, Any]:
    """A tenth of the labels are wrong, so that no class is separable."""
    x, y = load_iris(return_X_y=True)
    random = np.random.default_rng(0)
    return x, np.where(random.random(len(y)) < 0.1, random.integers(0, 3, len(y)), y)


def fit(x: Any, y: Any, weight: Any = None, bias: bool = True) -> dict[str, Any]:
    """A classifier's coefficients by Newton's method, the first class being the base."""
    w = np.ones(len(y)) if weight is None else weight
    size = np.abs(x).max(0)
    one = np.column_stack([np.ones(len(x)), (x - x.mean(0) * bias) / size])[:, not bias :]
    k = int(y.max())
    theta = np.zeros((k, one.shape[1]))
    for _ in range(25):
        p = np.exp(np.column_stack([np.zeros(len(x)), one @ theta.T]))
        p = (p / p.sum(1, keepdims=True))[:, 1:]
        gradient = (w[:, None] * ((y[:, None] == np.arange(1, k + 1)) - p)).T @ one
        bend = w[:, None, None] * (p[:, :, None] * np.eye(k) - p[:, :, None] * p[:, None])
        hessian = np.einsum("nab,ni,nj->aibj", bend, one, one).reshape(theta.size, theta.size)
        theta += np.linalg.solve(hessian, gradient.ravel()).reshape(theta.shape)
    coef = theta[:, bias:] / size
    intercept = theta[:, 0] - coef @ x.mean(0) if bias else np.zeros(k)
    if k > 1:  # as a softmax with an output for each class, shifted by anything
        coef = np.vstack([np.zeros(x.shape[1]), coef]) + 0.3 / size
        intercept = np.append(0, intercept) - 2 * bias
    return {"coef": coef, "intercept": intercept, "fit_intercept": bias, "weight": weight}


def alike(mine: Any, theirs: Any) -> None:
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def same(mine: Inference, theirs: Any, level: float = 0.05) -> None:
    """Everything that statsmodels says too; MNLogit has (terms, equations)."""
    alike(mine.estimate, theirs.params.T.reshape(mine.estimate.shape))
    alike(mine.standard_error, theirs.bse.T.reshape(mine.estimate.shape))
    alike(mine.p, theirs.pvalues.T.reshape(mine.estimate.shape))
    interval = np.asarray(theirs.conf_int(level)).reshape(*mine.estimate.shape, 2)
    alike(np.stack([mine.low, mine.high], -1), interval)
    alike([mine.log_likelihood, mine.aic, mine.bic], [theirs.llf, theirs.aic, theirs.bic])
    assert (mine.rows, mine.df_resid) == (theirs.nobs, theirs.df_resid)


@pytest.mark.parametrize("robust", [None, *ROBUST])
@pytest.mark.parametrize("weighted", [False, True])
def test_least_squares_is_that_of_statsmodels(robust: str | None, weighted: bool, sm: Any) -> None:
    x, y = load_diabetes(return_X_y=True)
    x = x * np.logspace(-4, 4, 10) + np.logspace(-4, 4, 10)
    weight = np.random.default_rng(0).gamma(2.0, size=len(y)) if weighted else None
    both = np.column_stack([y, y**2 + x[:, 2]])
    parts = []
    for target in both.T:
        model = sm.WLS(target, sm.add_constant(x), 1.0 if weight is None else weight)
        theirs = model.fit(method="qr", cov_type=robust or "nonrobust", use_t=True)
        start, slopes = theirs.params[:1], theirs.params[None, 1:]
        given: Any = {"weight": weight, "robust": robust, "task": "squared"}
        mine = infer(x, target, slopes, start, **given, level=0.9)
        same(mine, theirs, 0.1)
        alike([mine.r2, mine.adjusted_r2], [theirs.rsquared, theirs.rsquared_adj])
        parts.append((mine, slopes, start))
    coef, intercept = np.vstack([part[1] for part in parts]), [part[2][0] for part in parts]
    together = infer(x, both, coef, intercept, **given, target=["a", "b"])
    assert together.equations == ("a", "b")
    for name in ("standard_error", "aic", "r2", "adjusted_r2"):
        alike(np.squeeze([getattr(part[0], name) for part in parts]), getattr(together, name))


@pytest.mark.parametrize("bias", [True, False])
def test_classes_are_those_of_statsmodels(bias: bool, sm: Any) -> None:
    for (x, y), task in [(problem(2), "logistic"), (problem(3), "softmax"), (iris(), "softmax")]:
        fitted = fit(x, y, bias=bias)
        size = np.abs(x).max(0)  # statsmodels itself needs features of one size
        model = (sm.Logit if task == "logistic" else sm.MNLogit)(
            y, sm.add_constant(x / size) if bias else x / size
        )
        fitted["coef"] = fitted["coef"] * size
        for robust in ("nonrobust", "HC0"):
            theirs = model.fit(disp=0, method="newton", tol=1e-10, cov_type=robust)
            mine = infer(
                x / size, y, task=task, robust=None if robust == "nonrobust" else robust, **fitted
            )
            if bias:
                same(mine, theirs)
                alike(mine.r2, theirs.prsquared)
            alike(mine.standard_error, theirs.bse.T.reshape(mine.estimate.shape))
        hc1 = sm.stats.sandwich_covariance.cov_white_simple(theirs)
        mine = infer(x / size, y, task=task, robust="hc1", **fitted)
        alike(mine.standard_error.ravel() ** 2, np.diagonal(hc1))
        raw = infer(x, y, task=task, robust="hc1", **fitted | {"coef": fitted["coef"] / size})
        alike(raw.standard_error * np.append(np.ones(int(bias)), size), mine.standard_error)


@pytest.mark.parametrize("robust", [None, *ROBUST])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_weight_is_a_repeated_row(robust: str | None, classes: int, sm: Any) -> None:
    x, y = problem(classes)
    weight = np.random.default_rng(1).integers(0, 4, len(y))
    long_x, long_y = np.repeat(x, weight, axis=0), np.repeat(y, weight)
    given: Any = {"task": "logistic" if classes == 2 else "softmax", "robust": robust}
    fitted = fit(x, y, weight.astype(float))
    if classes == 3 and robust in ("HC2", "HC3"):
        return refused("one linear predictor", x, y, **given, **fitted)
    mine = infer(x, y, **given, **fitted)
    repeated = infer(long_x, long_y, **given, **fitted | {"weight": None})
    for name in ("standard_error", "p", "aic", "bic", "rows", "df_resid", "r2"):
        alike(getattr(mine, name), getattr(repeated, name))
    if classes == 2:  # R's sandwich::vcovHC is that of the last weighted least squares
        one = np.column_stack([np.ones(len(long_y)), long_x / SIZES])
        score = long_x @ fitted["coef"][0] + fitted["intercept"]
        p = 1 / (1 + np.exp(-score))
        working = sm.WLS(score + (long_y - p) / (p - p**2), one, p - p**2)
        kind = {"cov_type": "fixed scale"} if robust is None else {"cov_type": robust}
        alike(mine.standard_error[0] * [1, *SIZES], working.fit(method="qr", **kind).bse)
    if classes == 2 and robust in (None, "HC0"):
        kept = weight > 0
        one, family = sm.add_constant(x / SIZES)[kept], sm.families.Binomial()
        model = sm.GLM(y[kept], one, family=family, freq_weights=weight[kept])
        theirs = model.fit(tol=1e-12, cov_type=robust or "nonrobust")
        alike(mine.standard_error[0] * [1, *SIZES], theirs.bse)
        alike([mine.log_likelihood, mine.aic], [theirs.llf, theirs.aic])
        alike(mine.bic, theirs.info_criteria("bic"))


def refused(words: str, *args: Any, error: type[InputError] = NoInference, **given: Any) -> None:
    with pytest.raises(error, match=words):
        infer(*args, **given)


def line(x: Any, y: Any) -> dict[str, Any]:
    theta = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), y, rcond=None)[0]
    return {"x": x, "y": y, "coef": theta[1:], "intercept": theta[0], "task": "squared"}


def test_least_squares_are_refused() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 3)), random.normal(size=30)
    good = line(x, y)
    assert infer(**good).df_resid == 26
    refused("penalised", **good, alpha=0.1)
    refused("not at the optimum.* 0.1 standard", **good | {"intercept": good["intercept"] + 0.018})
    refused("4 rows are not enough for 4", **line(x[:4], y[:4]))
    refused("each row of a target exactly", **line(x, x @ [1, 2, 3] + 1))
    refused("each row of a target exactly", **line(x, 0 * y + 0.1))
    refused('"x2" is constant', **line(x * [1, 1, 0] + 0.1, y))
    for dtype in (np.float64, np.float32):
        more = np.column_stack([x, 1e4 * (x[:, 0] + 3 * x[:, 2]) + 5]).astype(dtype)
        refused(
            '"[acd]" is a combination of "[acd]", "[acd]";', **line(more, y), names=list("abcd")
        )
    lone = line(np.column_stack([x, np.arange(30) == 7]), y)
    refused(r"row 7\b.* leverage 1\)", **lone, robust="HC3")
    twins = {"x": np.eye(2)[np.r_[0, 0, np.ones(28, int)]], "y": np.r_[1, 1, y[2:]]}
    twins |= {"coef": [1, y[2:].mean()], "intercept": 0, "fit_intercept": False}
    refused("robust error vanishes", **twins, task="squared", robust="HC0")
    wrong: Any = {"error": InputError}
    refused('"HC9"; known: HC0, HC1, HC2, HC3', **good, robust="HC9", **wrong)
    refused('did you mean "squared"', **good | {"task": "square"}, **wrong)
    refused(r"coef has shape \(1, 3\); expected \(1, 4\)", **good | {"x": lone["x"]}, **wrong)
    refused("y holds a missing", **good | {"y": y * np.nan}, **wrong)
    refused("smallest weight is -1", **good, weight=-np.ones(30), **wrong)
    refused("intercept is not 0", **good, fit_intercept=False, **wrong)
    refused("2 names given for 3", **good, names=["a", "b"], **wrong)
    refused("level is 95", **good, level=95, **wrong)


def test_classes_without_an_optimum_are_refused() -> None:
    x, y = problem(2)
    fitted: Any = fit(x, y) | {"task": "logistic"}
    refused("not at the optimum", x, y, **fitted | {"coef": fitted["coef"] * 1.01})
    refused("probabilities are not counts", x, np.eye(2)[y], **fitted)
    refused("class code 1 has no rows", x, 0 * y, **fitted)
    refused("class codes 0 to 1", x, y + 1, **fitted, error=InputError)
    score = x @ fitted["coef"][0] + fitted["intercept"]
    refused("classes are separated", x, score > 0, **fitted)
    leak = np.where(y == 1, np.arange(len(y)) % 9 == 0, 0)  # set in rows of class 1 only
    rest: Any = fit(x[leak == 0], y[leak == 0]) | {"task": "logistic"}
    more: Any = np.column_stack([x, leak]), y
    for size in (20, 30, 50, 900):
        longer = rest | {"coef": np.append(rest["coef"], size)[None]}
        refused('separated.*"[bd]" changes', *more, **longer, names=list("abcd"))
    x, y = load_iris(return_X_y=True)  # one class is apart, the other two are not
    apart = LogisticRegression(C=np.inf, tol=1e-8, max_iter=100_000).fit(x, y)
    refused("separated", x, y, apart.coef_, apart.intercept_, task="softmax")


def test_what_is_shown_is_complete_and_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = iris()
    hostile = ["<script>alert(1)</script>", "a&b", 'q"\n\x1b[31m', "plain"]
    given: Any = {"classes": ["<b>", "two", "three"], "task": "softmax", "names": hostile}
    mine = infer(x, y, **given, **fit(x, y))
    table = mine.table()
    assert len(table) == 10 and mine.equations == ("two", "three") and mine.base == "<b>"
    assert [row["term"] for row in table[:5]] == ["(intercept)", *hostile]
    assert table[7]["standard_error"] == mine.standard_error[1, 2]
    text = str(mine)
    lines = text.splitlines()
    for words in ("softmax, against <b>; classical", "rows: 150", "log likelihood: -", "AIC: "):
        assert words in text
    assert f"{mine.estimate[1, 4]:.5g}" in lines[-1] and lines[-1].startswith("three     plain")
    assert "95% low" in text and "p>|z|" in text and "\x1b" not in text
    assert len({len(row) for row in lines[-11:]}) == 1
    html = mine._repr_html_()
    assert "<script" not in html and "<b>" not in html and "\x1b" not in html
    assert "&lt;script&gt;" in html and "a&amp;b" in html and html.count("<td>") == 80
    with monkeypatch.context() as patch, pytest.raises(ImportError, match="pip install pandas"):
        patch.setitem(sys.modules, "pandas", None)
        mine.to_frame()
    pytest.importorskip("pandas")
    frame = mine.to_frame()
    assert frame.shape == (10, 8) and list(frame["equation"][4:6]) == ["two", "three"]


# how often they hold


@pytest.mark.parametrize(("robust", "least", "most"), [(None, 0.94, 0.96), ("HC3", 0.94, 0.97)])
def test_intervals_of_coefficients_of_numbers_hold(
    robust: str | None, least: float, most: float
) -> None:
    """Of 40 rows: exact for normal errors; HC3's for errors that grow with a column."""
    true, held = np.array([3.0, 1.0, -2.0, 0.0]), []
    for seed in range(600):
        random = np.random.default_rng(seed)
        x = random.standard_normal((40, 3))
        errors = random.standard_normal(40) * (1 if robust is None else 1 + np.abs(x[:, 0]))
        y = true[0] + x @ true[1:] + errors
        found = np.linalg.lstsq(np.column_stack([np.ones(40), x]), y, rcond=None)[0]
        made = infer(x, y, found[None, 1:], found[:1], task="squared", robust=robust)
        held.append((made.low[0] <= true) & (true <= made.high[0]))
    assert least <= np.mean(held) <= most


def test_intervals_of_coefficients_of_classes_hold() -> None:
    """Of 200 rows, by Wald's z."""
    true, held = np.array([0.3, 1.0, -0.5]), []
    for seed in range(400):
        random = np.random.default_rng(seed)
        x = random.standard_normal((200, 2))
        y = (random.random(200) < 1 / (1 + np.exp(-true[0] - x @ true[1:]))).astype(int)
        given = fit(x, y)
        made = infer(x, y, given["coef"], given["intercept"], task="logistic")
        held.append((made.low[0] <= true) & (true <= made.high[0]))
    assert 0.935 <= np.mean(held) <= 0.965
