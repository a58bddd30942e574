"""The script for a net: the loop of ``linnet.net``, reduced to the settings of the recipe."""

from __future__ import annotations

import textwrap
from typing import Any

from linnet.core.registry import lookup
from linnet.errors import InputError
from linnet.integrations.eject import _layers, _shared
from linnet.integrations.eject._shared import Facts
from linnet.integrations.eject._text import code, script, spread
from linnet.net import OPTIMIZERS, OPTIONS
from linnet.net.averaging import SHARE
from linnet.net.optimizers import Choice
from linnet.net.schedules import RISE, THRESHOLD

RATES = {
    "constant": ("as it is set", "factor = 1.0"),
    "plateau": ("lower where validation losses stay", "factor = plateau"),
    "step": ("a fall every few epochs", "factor = $gamma ** (int(done) // $step_size)"),
    "exponential": ("a fall every epoch", "factor = $gamma ** int(done)"),
    "inverse": (
        "divided by a power of the epochs done",
        "factor = (1 + $step_size * int(done)) ** -$gamma",
    ),
    "cosine": ("half a cosine, down to 0", "factor = (1 + math.cos(math.pi * done / EPOCHS)) / 2"),
    "one_cycle": (
        "up from a 25th, then down to 0",
        """
        progress = done / EPOCHS
        if progress < $rise:
            factor = 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * progress / $rise)) / 2
        else:
            factor = (1 + math.cos(math.pi * (progress - $rise) / (1 - $rise))) / 2
        """,
    ),
}
"""Each schedule in words, and as code."""


def net(facts: Facts) -> str:
    """The whole script."""
    _refuse(facts)
    plan = facts.net
    call = "model(scale({}))"
    trained = call
    if plan.modes and facts.style == "tensors":
        trained = "model(scale({}), training=True)"
    first = [_shared.FILE, _shared.RANDOM, facts.reader.text]
    fit = [
        _smoothed(facts),
        _shared.scaling(facts),
        _rescaling(facts),
        _layers.written(plan, facts.style),
        _layers.drawn(plan, facts.style, wide=facts.wide),
        _shared.losses(facts),
        _optimizer(facts),
        _pace(facts),
        _augment(facts),
        _average(facts),
        _evaluate(facts, call) if facts.members == 1 else "",
        _loop(facts, trained),
    ]
    if facts.members == 1:
        sections = [*first, _shared.rows(facts), *fit, _end(facts)]
    else:
        sections = [*first, *_members(facts, fit, call)]
    return script(_shared.head(facts, _about(facts), sections), *sections)


def _members(facts: Facts, fit: list[str], call: str) -> list[str]:
    """The loop over the folds: the sections ``fit`` for each member, then the mean of all."""
    test = "test" in facts.parts
    loop = code(
        """
        $rows
        fold, x_all, y_all = rows["fold"], x_train, y_train$weights

        members, raws = [], []
        for number in range($members):  # each member learns from the rows of the other folds
            SEED = derive($seed, "member", number)
            others = fold != number
            $part
        """,
        rows=_shared.rows(facts),
        weights="\nw_all = w_train" if facts.weights else "",
        members=str(facts.members),
        seed=str(facts.recipe.seed),
        part="x_train, y_train = x_all[others], y_all[others]"
        + ("\nw_train = w_all[others]" if facts.weights else ""),
    )
    keep = code(
        """
        for name, tensor in state.items():
            tensor.copy_(best[name])
        members.append(best)
        $test
        print(f"member {number + 1} of $members done")
        """,
        members=str(facts.members),
        test=code(
            """
            with torch.no_grad():
                $eval
                raws.append(torch.cat([$raw for part in x_test.split(2048)]))
            """,
            eval="model.eval()" if facts.net.modes and facts.style != "tensors" else "",
            raw=_raw(facts, call, "part"),
        )
        if test
        else "",
    )
    inner = textwrap.indent(script(*fit, keep).replace("\n\n\n", "\n\n"), "    ")
    return [f"{loop}\n\n{inner}", _mean(facts)]


def _mean(facts: Facts) -> str:
    """The scores of the mean of the members, and whether their weights are those of the run."""
    words = _layers.names(facts.net, facts.style)
    test = ""
    if "test" in facts.parts:
        guess, right = _guess(facts)
        score = f"({guess} == {right}).double().mean().item()".replace("y.argmax", "y_test.argmax")
        if right == "y":
            score = f"({guess} == y_test).double().mean().item()"
        if not facts.classifies:
            score = "(raw - y_test.reshape(raw.shape)).square().mean().sqrt().item()"
        test = code(
            """
            raw = (sum(raws[1:], raws[0]) / len(raws)).double()
            score = $score
            print(f"test rows: $what {score:.4f}")
            """,
            score=score, what=facts.score,
        )  # fmt: skip
    return code(
        """
        # the mean of the members: scored, saved, and compared with the run's own

        $test
        $names
        found = {
            f"members.{number}.{there}": member[here]
            for number, member in enumerate(members)
            for here, there in names.items()
        }
        np.savez("$name.npz", **{name: tensor.numpy() for name, tensor in found.items()})
        file = RUN / "$name.safetensors"
        if file.is_file():
            run = tensors(file)
            same = all(torch.equal(tensor, run[name]) for name, tensor in found.items())
            print("the same weights as the run, to the bit:", "yes" if same else "no")
        """,
        test=test, name=facts.name,
        names=spread("names = {", [f'"{here}": "{there}"' for here, there in words.items()], "}"),
    )  # fmt: skip


def _guess(facts: Facts) -> tuple[str, str]:
    """The code of the predicted and of the right class."""
    guess = "raw.argmax(1)" if facts.objective == "softmax" else "(raw[:, 0] > 0)"
    return guess, "y.argmax(1)" if facts.soft else "y"


def _refuse(facts: Facts) -> None:
    recipe = facts.recipe
    if facts.members > 1 and recipe.lr == "find":
        raise InputError(
            f"{facts.run}: eject cannot write lr=find with folds, where each member has its own"
        )
    if recipe.recompute_norm and facts.net.norm:
        raise InputError(f"{facts.run}: eject cannot write recompute_norm=true")
    if recipe.precision != "full":
        raise InputError(f"{facts.run}: eject cannot write precision={recipe.precision}")
    if recipe.schedule == "plateau" and "valid" not in facts.parts:
        raise InputError(f"{facts.run}: eject cannot write schedule=plateau without valid rows")
    if recipe.device != "cpu":
        raise InputError(
            f"{facts.run} was trained on {recipe.device}; eject writes for a CPU, as no other "
            "device promises the same bits"
        )


def _about(facts: Facts) -> str:
    sizes = facts.manifest.network["channels" if facts.name == "cnn" else "widths"]
    what = "channels" if facts.name == "cnn" else "widths"
    inner = "-".join(map(str, sizes))  # type: ignore[arg-type]
    inner += f", the mean of {facts.members}" if facts.members > 1 else ""
    same = "the same weights as the run, to the bit, which the last line says"
    return _shared.about(facts, f"{facts.name}, {what} {inner},", same)


def _smoothed(facts: Facts) -> str:
    share = facts.recipe.label_smoothing
    if not share:
        return ""
    classes = len(facts.manifest.schema_.classes)
    return code(
        """
        # label smoothing: a share of each row's target is spread evenly over all classes
        y = $hard
        targets = ((1 - $share) * y + $share / $classes)$second.$cast()
        """,
        hard="y_train.double()" if facts.soft else f"F.one_hot(y_train, {classes}).double()",
        share=repr(share), classes=str(classes), second="[:, 1]" if classes == 2 else "",
        cast=facts.cast,
    )  # fmt: skip


def _rescaling(facts: Facts) -> str:
    if facts.classifies:
        return ""
    return code(
        """
        # outputs are deviations from the target's mean, in units of its deviation
        y = y_train.double().reshape(len(y_train), -1)
        share = $weight.double()
        share = (share / share.sum())[:, None]
        middle = (share * y).sum(0)
        unit = (share * (y - middle).square()).sum(0).sqrt()
        middle, unit = middle.$cast(), torch.where(unit > 0, unit, 1).$cast()
        """,
        weight="w_train" if facts.weights else "torch.ones(len(y_train))",
        cast=facts.cast,
    )


def _raw(facts: Facts, call: str, x: str) -> str:
    """The code for the raw predictions of ``x``."""
    return call.format(x) + ("" if facts.classifies else " * unit + middle")


def _goal(facts: Facts) -> list[str]:
    """The code from ``raw``, ``y`` and ``w`` of a batch to its ``loss``."""
    each = "losses(raw, y)"
    if not facts.classifies:
        each = "losses(raw / unit, y.reshape(raw.shape) / unit)"
    summed = facts.recipe.reduction == "sum"
    if not facts.weights:
        return [f"loss = {each}.{'sum' if summed else 'mean'}()"]
    lines = [f"each = {each}", "w = w.to(each.dtype)", "loss = (each * w).sum()"]
    return lines if summed else [*lines[:-1], "loss = (each * w).sum() / w.sum().clamp(min=1e-30)"]


def _optimizer(facts: Facts) -> str:
    recipe = facts.recipe
    choice: Choice = lookup(OPTIMIZERS, recipe.optimizer, "optimizer")
    start = f"optimizer = torch.optim.{choice.kind.__name__}("
    if recipe.optimizer == "lbfgs":
        options = [repr(_lr(facts)), 'line_search_fn="strong_wolfe"']
        return spread(start, ["parameters", *options], ")")
    takes = [key for key, takers in OPTIONS.items() if recipe.optimizer in takers]
    given: dict[str, Any] = dict(choice.defaults or {})
    for key in takes:
        value = getattr(recipe, key)
        if key != "weight_decay" and value is not None:
            given[key] = value
    options = [f"lr={_lr(facts)!r}", *(f"{key}={value!r}" for key, value in given.items())]
    decays = "weight_decay" in takes
    if decays and not recipe.weight_decay:
        options.append("weight_decay=0.0")
    if choice.defaults is not None:
        options.append("fused=True")
    if not (decays and recipe.weight_decay):
        return spread(start, ["parameters", *options], ")")
    return code(
        """
        # weights decay; biases and norms do not
        groups = [
            {"params": [p for p in parameters if p.dim() > 1], "weight_decay": $decay},
            {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
        ]
        $made
        """,
        decay=repr(recipe.weight_decay),
        made=spread(start, ["groups", *options], ")"),
    )


def _lr(facts: Facts) -> float:
    found = facts.fitted("lr_found")
    rate = facts.recipe.lr if found is None else found
    assert isinstance(rate, float)
    return rate


def _pace(facts: Facts) -> str:
    """The code for the batches and the learning-rate schedule."""
    recipe = facts.recipe
    if recipe.schedule not in RATES:
        raise InputError(f"{facts.run}: eject cannot write schedule={recipe.schedule}")
    about, body = RATES[recipe.schedule]
    body = code(
        body, rise=repr(RISE), gamma=repr(recipe.gamma), step_size=str(recipe.step_size)
    )  # fmt: skip
    if recipe.warmup:
        about += ", after a rise"
        body += f"\nfactor *= min((done + 1 / PER_EPOCH) / {recipe.warmup!r}, 1.0)"
    sizes = "[rest] * (rest > 0)"
    if facts.net.norm:
        sizes = "[rest] * (rest > 1)\nSIZES[-1] += rest == 1  # no batch is a single row"
    return code(
        '''
        EPOCHS, BATCH = $epochs, min($size, len(x_train))
        whole, rest = divmod(len(x_train), BATCH)
        SIZES = [BATCH] * whole + $sizes
        PER_EPOCH = len(SIZES)
        $plateau


        def rate(done):
            """The learning rate after so many epochs: $about."""
            $body
            return $lr * factor


        def batches():
            """The row numbers of each batch, shuffled anew in each epoch."""
            for epoch in range(EPOCHS):
                order = torch.randperm(len(x_train), generator=generator("batches", epoch))
                yield from order.split(SIZES)
        ''',
        epochs=str(recipe.epochs), size=str(recipe.batch_size), sizes=sizes, about=about,
        body=body, lr=repr(_lr(facts)),
        plateau="plateau, lowest, waited = 1.0, math.inf, 0" * (recipe.schedule == "plateau"),
    )  # fmt: skip


def _augments(facts: Facts) -> bool:
    return bool(facts.recipe.shift or facts.recipe.flip or facts.recipe.cutout)


def _augment(facts: Facts) -> str:
    recipe = facts.recipe
    if not _augments(facts):
        return ""
    pieces, what = [], []
    if recipe.shift:
        what.append(f"moved by up to {recipe.shift}, the edge repeated")
        pieces.append(
            code(
                """
                down, right = draw(-$shift, $shift + 1, 2)
                h = (torch.arange(height) + down[:, None]).clamp(0, height - 1)
                w = (torch.arange(width) + right[:, None]).clamp(0, width - 1)
                place = (h[:, :, None] * width + w[:, None, :]).reshape(len(x), 1, height * width)
                flat = x.reshape(len(x), -1, height * width)
                x = flat.gather(2, place.expand(flat.shape)).reshape(x.shape)
                """,
                shift=str(recipe.shift),
            )
        )
    if recipe.flip:
        what.append("mirrored")
        pieces.append("x = torch.where(draw(0, 2).bool()[:, None, None, None], x.flip(-1), x)")
    if recipe.cutout:
        what.append("with a hole")
        pieces.append(
            code(
                """
                top = draw(0, height)[:, None] - $side // 2
                left = draw(0, width)[:, None] - $side // 2
                h, w = torch.arange(height), torch.arange(width)
                tall = (h >= top) & (h < top + $side)
                wide = (w >= left) & (w < left + $side)
                x = x.masked_fill((tall[:, :, None] & wide[:, None, :])[:, None], FILL)
                """,
                side=str(recipe.cutout),
            )
        )
    function = code(
        '''
        def augmented(x, step):
            """Pictures at random $what."""
            random = generator("augment", step)
            $sizes

            def draw(low, high, *shape):
                return torch.randint(low, high, (*shape, len(x)), generator=random)

            $pieces
            return x
        ''',
        what=" and ".join(what), pieces="\n".join(pieces),
        sizes="height, width = x.shape[-2:]" if recipe.shift or recipe.cutout else "",
    )  # fmt: skip
    fill = "FILL = x_train[:1000].float().mean().item()\n\n\n" if recipe.cutout else ""
    return fill + function


def _average(facts: Facts) -> str:
    """The code that averages the weights; the average is scored in their place."""
    recipe = facts.recipe
    if recipe.averaging == "none":
        return ""
    words = _layers.names(facts.net, facts.style)
    trained = [f'"{name}"' for name, run in words.items() if ".running_" not in run]
    ema = recipe.averaging == "ema"
    return code(
        '''
        # what is scored and kept is an average of the weights: $about
        average = {name: tensor.clone() for name, tensor in state.items()}
        $trained
        averaged = 0


        @torch.no_grad()
        def take_in(done):
            """The weights after so many steps."""
            global averaged
            due = $due
            if averaged and due:
                for name in trained:
                    average[name].lerp_(state[name], $share)
            elif not averaged:
                for name in trained:
                    average[name].copy_(state[name])
            averaged += due


        def exchange():
            """The average takes the place of the weights, and they its own."""
            for name, tensor in state.items():
                if name in trained:
                    kept = tensor.clone()
                    tensor.copy_(average[name])
                    average[name].copy_(kept)
        ''',
        about="exponential, of every step" if ema else "of the ends of the last epochs",
        trained=spread("trained = [", trained, "]"),
        due="True" if ema else f"not done % PER_EPOCH and done / PER_EPOCH > {SHARE!r} * EPOCHS",
        share=repr(1 - recipe.average_decay) if ema else "1 / (averaged + 1)",
    )


def _evaluate(facts: Facts, call: str) -> str:
    modes = facts.net.modes and facts.style != "tensors"
    raw = _raw(facts, call, "part")
    if facts.classifies:
        guess, right = _guess(facts)
        score = f"({guess} == {right}).double().mean().item()"
    else:
        raw = f"({raw})"
        score = "(raw - y.reshape(raw.shape)).square().mean().sqrt().item()"
    mean = "each.mean()"
    if facts.weights:
        mean = "each.mean() if w is None else each @ w.double() / w.double().sum()"
    return code(
        '''
        @torch.no_grad()
        def evaluate(x, y$weight):
            """Mean loss and $what, of 2,048 rows at once, summed up in float64."""
            $eval
            raw = torch.cat([$raw.double() for part in x.split(2048)])
            $train
            each = losses(raw, $target)
            loss = $mean
            return loss.item(), $score
        ''',
        weight=", w=None" if facts.weights else "", what=facts.score,
        eval="model.eval()" if modes else "", train="model.train()" if modes else "",
        raw=raw, mean=mean, score=score,
        target="y.double()" if not facts.classifies or facts.soft else "y",
    )  # fmt: skip


def _loop(facts: Facts, call: str) -> str:
    recipe = facts.recipe
    target = "targets" if recipe.label_smoothing else "y_train"
    body = [f"x, y = x_train[chosen], {target}[chosen]"]
    if facts.weights:
        body.append("w = w_train[chosen]")
    if _augments(facts):
        body.append("x = augmented(x, step)")
    if facts.net.draws:
        body.append('torch.manual_seed(derive(SEED, "dropout", step))')
    clip = recipe.clip and f"torch.nn.utils.clip_grad_norm_(parameters, {recipe.clip!r})"
    update = [
        f"raw = {_raw(facts, call, 'x')}",
        *_goal(facts),
        "optimizer.zero_grad()",
        "loss.backward()",
        *([clip] if clip else []),
    ]
    if recipe.optimizer == "lbfgs":  # computes the loss again, each time with the same dropout
        random = facts.net.draws
        body += [
            *(["random = torch.get_rng_state()"] if random else []),
            "",
            "def closure():",
            *(["    torch.set_rng_state(random)"] if random else []),
            *(f"    {line.replace('w = w.', 'heavy = w.')}" for line in update),
            "    return loss.detach()",
            "",
            "optimizer.step(closure)",
        ]
        body = [line.replace("* w)", "* heavy)").replace("/ w.sum", "/ heavy.sum") for line in body]
    else:
        body += [*update, "optimizer.step()"]
    falls, begin = _falling(facts)
    return code(
        """
        best, best_loss, stale = {}, math.inf, 0
        $begin
        for step, chosen in enumerate(batches()):
            for group in optimizer.param_groups:
                group["lr"] = rate(step / PER_EPOCH)
            $body
            done = step + 1
            $falls
            $average
            $due
                continue
            $scored
        """,
        begin=begin, body="\n".join(body), falls=falls,
        average="take_in(done)" if recipe.averaging != "none" else "",
        due=_due(facts), scored="\n".join(_scored(facts)),
    )  # fmt: skip


def _falling(facts: Facts) -> tuple[str, str]:
    """For ``min_delta``: the code in the loop, and the code before it."""
    recipe = facts.recipe
    if recipe.min_delta is None:
        return "", ""
    rows = "float(w.to(raw.dtype).sum())" if facts.weights else "len(chosen)"
    times = f" * {rows}" if recipe.reduction == "mean" else ""
    text = code(
        """
        total, seen, over = total + loss.item()$times, seen + $rows, False
        if done % PER_EPOCH == 0:  # an epoch's mean loss must be lower than those before
            mean, total, seen = total / seen, 0.0, 0.0
            risen = risen + 1 if mean > least - $delta else 0
            least, over = min(least, mean), risen > $patience
        """,
        rows=rows, times=times, delta=repr(recipe.min_delta), patience=str(recipe.patience),
    )  # fmt: skip
    return text, "least, risen, total, seen = math.inf, 0, 0.0, 0.0"


def _due(facts: Facts) -> str:
    """The condition under which a step is not scored."""
    every = facts.recipe.evaluate_every
    count = str(int(every.number))
    if every.unit != "steps":
        count = "PER_EPOCH" if every.steps(1) == 1 else f"({every.steps(1)} * PER_EPOCH)"
    line = f"if done % {count}"
    if count != "PER_EPOCH":
        line += " and done < EPOCHS * PER_EPOCH"
    return line + (" and not over:" if facts.recipe.min_delta is not None else ":")


def _scored(facts: Facts) -> list[str]:
    """The code that scores the weights and keeps the best."""
    recipe = facts.recipe
    swap = ["exchange()"] if recipe.averaging != "none" else []
    keep = "best = {name: tensor.clone() for name, tensor in state.items()}"
    over = recipe.min_delta is not None
    if "valid" not in facts.parts:
        return [*swap, keep, *swap, *(["if over:", "    break"] if over else [])]
    given = "x_valid, y_valid" + (", w_valid" if facts.weights else "")
    told = (
        f"epoch {{done / PER_EPOCH:g}}: validation loss {{loss:.6f}}, {facts.score} {{score:.4f}}"
    )
    lines = [
        *swap,
        f"loss, score = evaluate({given})",
        f'print(f"{told}")',
        "if loss < best_loss:",
        "    best_loss, stale = loss, 0",
        f"    {keep}",
        "else:",
        "    stale += 1",
        *swap,
        f"if stale >= {recipe.patience}{' or over' if over else ''}:",
        "    break",
    ]
    if recipe.schedule == "plateau":
        lines += [
            f"if loss < lowest * (1 - {THRESHOLD!r}):",
            "    lowest, waited = loss, 0",
            "else:",
            "    waited += 1",
            f"if waited > {recipe.step_size}:",
            f"    plateau, waited = plateau * {recipe.gamma!r}, 0",
        ]
    return lines


def _end(facts: Facts) -> str:
    words = _layers.names(facts.net, facts.style)
    test = ""
    if "test" in facts.parts:
        test = (
            "loss, score = evaluate(x_test, y_test)\n"
            f'print(f"test rows: {facts.score} {{score:.4f}}, loss {{loss:.6f}}")'
        )
    return code(
        """
        # the best weights: scored, saved, and compared with the run's own

        for name, tensor in state.items():
            tensor.copy_(best[name])
        $test
        np.savez("$name.npz", **{name: tensor.numpy() for name, tensor in best.items()})
        $names
        file = RUN / "$name.safetensors"
        if file.is_file():
            run = tensors(file)
            same = all(torch.equal(best[name], run[there]) for name, there in names.items())
            print("the same weights as the run, to the bit:", "yes" if same else "no")
        """,
        test=test, name=facts.name,
        names=spread("names = {", [f'"{here}": "{there}"' for here, there in words.items()], "}"),
    )  # fmt: skip
