"""The script for a line: the same objective, solved by ``torch.linalg.lstsq`` or L-BFGS."""

from __future__ import annotations

from linnet.integrations.eject import _layers, _shared
from linnet.integrations.eject._shared import Facts
from linnet.integrations.eject._text import code, script


def line(facts: Facts) -> str:
    """The whole script."""
    sections = [
        _shared.FILE,
        facts.reader.text,
        _shared.rows(facts),
        _shared.scaling(facts),
        _layers.written(facts.net, facts.style),
        _shared.losses(facts),
        _objective(facts),
        _solve(facts),
        _end(facts),
    ]
    kind = {"softmax": "softmax", "logistic": "logistic", "squared": "linear"}[facts.objective]
    same = "an objective within 1e-6 of the run's, and its predictions"
    return script(_shared.head(facts, _shared.about(facts, f"{kind} regression", same), sections),
                  *sections)  # fmt: skip


def _objective(facts: Facts) -> str:
    penalty = facts.fitted("penalty") or 0.0
    return code(
        """
        ALPHA = $penalty  # the penalty that the run chose by rows that were held out
        z = scale(x_train).double()
        $free
        """,
        penalty=repr(penalty),
        free="" if facts.recipe.intercept else "parameters = parameters[:1]  # no bias",
    )


def _solve(facts: Facts) -> str:
    return _search(facts) if facts.classifies else _exact(facts)


def _search(facts: Facts) -> str:
    weights, bias = _layers.names(facts.net, facts.style)
    mean = "each.mean()"
    if facts.weights:
        mean = "each @ w_train.double() / w_train.double().sum()"
    return code(
        '''
        # axes in which the objective bends alike in all directions: a tenth of the steps
        $middle
        bend = (z - middle).T @ (z - middle) / (4 * len(z)) + ALPHA * torch.eye(z.shape[1])
        values, vectors = torch.linalg.eigh(bend)
        axes = vectors / values.clamp(min=1e-9 * values.max()).sqrt()
        z = (z - middle) @ axes
        weight = parameters[0]


        def objective():
            """The mean loss, and half the penalty times the weights' squares; the bias is free."""
            each = losses(model(z), $target)
            penalty = ALPHA / 2 * (weight @ axes.T).square().sum()
            return $mean + penalty


        def closure():
            optimizer.zero_grad()
            loss = objective()
            loss.backward()
            return loss.detach()


        optimizer = torch.optim.LBFGS(
            parameters,
            max_iter=5_000,
            tolerance_grad=1e-8,
            tolerance_change=1e-12,
            history_size=30,
            line_search_fn="strong_wolfe",
        )
        for tensor in state.values():
            tensor.zero_()
        optimizer.step(closure)
        found = objective().item()
        state["$weights"].copy_(state["$weights"] @ axes.T)  # back to the inputs' own axes
        state["$bias"].sub_(state["$weights"] @ middle)
        ''',
        middle=f"middle = {'z.mean(0)' if facts.recipe.intercept else 'torch.zeros(z.shape[1])'}",
        mean=mean, target="y_train.double()" if facts.soft else "y_train",
        weights=weights, bias=bias,
    )  # fmt: skip


def _exact(facts: Facts) -> str:
    weights, bias = _layers.names(facts.net, facts.style)
    heavy = "w_train.double()" if facts.weights else "torch.ones(len(x_train))"
    middle = code(
        """
        mean, middle = share @ z, share @ target
        """
        if facts.recipe.intercept
        else """
        mean, middle = torch.zeros(z.shape[1]), torch.zeros(target.shape[1])
        """
    )
    return code(
        """
        # the answer in one step: the rows about their means, and the penalty as rows of its own
        target = y_train.double().reshape(len(y_train), -1)
        share = $heavy
        share = share / share.sum()
        $middle
        rows, sides = z - mean, target - middle
        root = share.sqrt()[:, None]
        penalty = ALPHA**0.5 * torch.eye(rows.shape[1])
        rows = torch.cat([root * rows, penalty])
        sides = torch.cat([root * sides, torch.zeros(rows.shape[1], sides.shape[1])])
        solution = torch.linalg.lstsq(rows, sides, driver="gelsd").solution
        state["$weights"].copy_(solution.T)
        state["$bias"].copy_(middle - mean @ solution)
        each = losses(z @ solution + state["$bias"], target)
        found = (share @ each + ALPHA / 2 * solution.square().sum()).item()
        """,
        heavy=heavy, middle=middle, weights=weights, bias=bias,
    )  # fmt: skip


def _end(facts: Facts) -> str:
    found = facts.fitted("objective")
    words = _layers.names(facts.net, facts.style)
    (here, weight), (there, bias) = words.items()
    part = "test" if "test" in facts.parts else "train"
    if facts.objective == "softmax":
        predicted = "raw.softmax(1)"
    elif facts.objective == "logistic":
        predicted = "raw.sigmoid()"
    else:
        predicted = "raw"
    if facts.classifies:
        guess = "raw.argmax(1)" if facts.objective == "softmax" else "(raw[:, 0] > 0)"
        right = f"y_{part}.argmax(1)" if facts.soft else f"y_{part}"
        score = f"({guess} == {right}).double().mean()"
    else:
        score = f"(raw - y_{part}.reshape(raw.shape)).square().mean().sqrt()"
    return code(
        """
        # how far the answer lies from the run's

        names = {"$here": "$weight", "$there": "$bias"}
        np.savez("linear.npz", **{name: tensor.numpy() for name, tensor in state.items()})
        with torch.no_grad():
            print(f"objective {found:.9f}, the run's $found")
            raw = model(scale(x_$part).double())
            print(f"$part rows: $score {$value:.4f}")
            file = RUN / "linear.safetensors"
            if file.is_file():
                mine, run = $predicted, tensors(file)
                for name, tensor in state.items():
                    tensor.copy_(run[names[name]])
                raw = model(scale(x_$part).double())
                furthest = (mine - $predicted).abs().max()
                print(f"predictions differ from the run's by at most {furthest:.1e}")
        """,
        here=here, there=there, weight=weight, bias=bias, predicted=predicted, part=part,
        score=facts.score, value=score,
        found="is not known" if found is None else f"is {found:.9f}",
    )  # fmt: skip
