"""A run as an object, and models from files and runs."""

from __future__ import annotations

import contextlib
import copy
import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from math import isnan, prod
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Literal

from linnet.core import files, registry
from linnet.core.events import Plain
from linnet.core.files import Place
from linnet.core.history import History, Parts, join
from linnet.core.language import language, tr
from linnet.core.text import figure
from linnet.errors import DataError, InputError, LinnetError, ModelError, printable
from linnet.fit import artifact
from linnet.fit.artifact import Artifact
from linnet.insight.task import MAX_CONFUSION
from linnet.networks import LINE, OWN
from linnet.runs import archive, directory, events
from linnet.runs.curve import read as read_curve

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from linnet.data.column import Column
    from linnet.data.dataset import Dataset
    from linnet.data.schema import Schema
    from linnet.figures import Figure
    from linnet.figures._curves import Axis
    from linnet.fit.artifact import Manifest
    from linnet.insight.answer import Answer
    from linnet.insight.conformal import Calibration
    from linnet.insight.dependence import Dependence
    from linnet.insight.diagnosis import Reasons
    from linnet.insight.importance import Importances
    from linnet.insight.slices import Slices
    from linnet.runs.insights import Threshold
    from linnet.runs.validation import Metrics, Test, Yardstick

    Array = np.ndarray[Any, Any]


MAX_PARENTS = 20
"""The curves of at most this many runs, each started from the weights of the one before, are drawn
as one curve."""


class Run:
    """A run of ``linnet train``: its directory, or a zip of it."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        network: nn.Module | None = None,
        *,
        plugins: Sequence[str] = (),
    ) -> None:
        """``network`` is the module of the model "custom", if the run has one; ``plugins`` are the
        names of parts of other packages that may be imported for its models."""
        registry.allow(plugins)
        self.path = Path(path)
        self.place: Place = archive.run_place(self.path)
        """The place of its files: ``path`` itself, or the inside of a zip."""
        self._network = network
        self._history: tuple[files.About | None, History] | None = None
        if not self._runs or (self.place / directory.METRICS).is_file():
            _ = self.metrics

    def __repr__(self) -> str:
        from linnet.insight.task import tested

        told = ""
        with contextlib.suppress(LinnetError, OSError):  # what is wrong is raised where it is used
            told = f", {self.state}"
            told = f", {self.chosen}: {tested(self.metrics['models'][self.chosen].get('test'))}"
        return printable(f"Run({str(self.path)!r}{told.removesuffix(': ')})")

    @property
    def name(self) -> str:
        """The name of the run: its folder's name, or the zip's name without its suffix."""
        path = self.path.resolve()
        return path.name if path.is_dir() else path.stem

    @property
    def _runs(self) -> bool:
        """Whether it is a run at all, finished or not."""
        return (self.place / directory.EVENTS).is_file()

    @property
    def state(self) -> str | None:
        """running, finished, stopped, failed, or crashed: its process has ended."""
        return directory.state_of(self.place)[0]

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """``metrics.json``: the scores. Raises ``InputError`` if the run has not finished; its
        ``events()``, ``curves()`` and ``info`` can be used."""
        if self._runs and not (self.place / directory.METRICS).is_file():
            yet = " yet" if self.state == "running" else ""
            raise InputError(f"{self.path} is {self.state}, and has no {directory.METRICS}{yet}")
        return directory.read_metrics(self.place)

    @cached_property
    def scores(self) -> Metrics:
        """``metrics`` as an object with named, typed attributes: ``scores.models["mlp"].test.rows``
        is ``metrics["models"]["mlp"]["test"]["rows"]``. What a run has no such thing of is None."""
        from linnet.runs import validation

        return validation.metrics(self.metrics, str(self.place / directory.METRICS))

    @property
    def chosen(self) -> str:
        """The name of the model that predicts: the simplest one whose loss on validation rows, or
        out of fold, is within one standard error of the lowest."""
        return self.scores.chosen

    @property
    def yardstick(self) -> Yardstick | None:
        """The scores of boosted trees on the same rows: ``run.yardstick.test.accuracy``. They are
        none of the ``models``. None if the recipe has ``yardstick=none``; if there could be no
        trees, its ``why`` says why."""
        return next(iter(self.scores.yardstick.values()), None)

    @property
    def verdict(self) -> str:
        """Is the net better than the line? The answer in words, in the language in force
        (``LINNET_LANG``)."""
        from linnet.insight.answer import spoken

        return spoken(self.metrics, self._titles)

    def answer(self, lang: str | None = None) -> Answer | None:
        """Which model to use, its score, what it gains and how sure that is; see
        ``linnet.insight.answer``. ``lang`` is ``"en"`` or ``"zh"``, by default the language in
        force (``LINNET_LANG``). None if the run's scores name no model of it."""
        from linnet.insight.answer import answer

        with language(lang):
            return answer(self.metrics, self._titles())

    def _titles(self) -> dict[str, str]:
        """The title of each model, and of the yardstick."""
        names = [*self.metrics["models"], *self.metrics.get("yardstick", {})]
        try:
            history = self.history()
        except (LinnetError, OSError):  # the record is gone or damaged: call them by their names
            return dict(zip(names, names, strict=True))
        return {name: history.title(name) for name in names}

    @cached_property
    def model(self) -> Artifact:
        """The chosen model; of a run with a network of your own, which was given to ``train`` or to
        ``Run``, that network, whichever model was chosen."""
        own = self._network is not None and OWN in self.scores.models
        return self.models[OWN if own else self.chosen]

    def score(self, x: Any, y: Any) -> float:
        """Accuracy or R2 of ``model`` on other rows: ``run.model.score(x, y)``. The scores on the
        run's own test rows, with intervals, are in ``scores``."""
        return self.model.score(x, y)

    @cached_property
    def models(self) -> dict[str, Artifact]:
        """Every model of the run, by name; a module of your own is copied."""
        return {
            name: artifact.load(
                self.place / f"{name}.safetensors",
                copy.deepcopy(self._network) if name == OWN else None,
            )
            for name in self.scores.models
        }

    @cached_property
    def info(self) -> dict[str, Any]:
        """``run.json``: command, data, versions, hardware."""
        return directory.read_info(self.place)

    def split(self) -> dict[str, Any]:
        """The row numbers of the training, validation and test part, as int64 tensors."""
        return directory.read_split(self.place)

    def draft(self, data: Any = None, model: str | None = None) -> Dataset:
        """All rows of the run before encoding, read again from the run's source or from ``data``.

        They are read with the settings of the chosen model, or of ``model``. Raises ``DataError``
        if it is not the data of the run.
        """
        from linnet.data.read import read_draft
        from linnet.data.reading import Reading

        place = self.data_place() if data is None else data
        recipe = self._manifest(model or self.chosen).recipe
        if recipe.get("store") is not None:
            raise InputError(
                f"{self.path}: its rows are in the store {recipe['store']}, encoded; what looks at "
                "all rows as they were read needs a run on data in memory: train on fewer rows"
            )
        names = Reading.model_fields
        reading = Reading.parse({k: v for k, v in recipe.items() if k in names}, "recipe")
        draft = read_draft(place, reading)
        split = self.split()
        if any(len(rows) and rows.max() >= len(draft) for rows in split.values()):
            raise DataError(f"{place} is not the data of the run: it has {len(draft):,} rows")
        seed = recipe.get("seed")
        seed = seed if isinstance(seed, int) else 0
        dataset = draft.learn(split["train"], reading.max_categories, seed)
        if dataset.fingerprint() != self.info.get("data", {}).get("fingerprint"):
            raise DataError(f"{place} is not the data of the run: its fingerprint differs")
        return draft

    def events(self) -> list[Plain]:
        """All events of the run's record, in order, as dicts. The key ``event`` names the kind of
        each; see ``linnet.core.events``."""
        return [event.plain() for event in events.read_all(self.place / directory.EVENTS)]

    def history(self) -> History:
        """The events as curves, for each fit; see ``linnet.core.history``. It is read again only
        after the record has changed."""
        path = self.place / directory.EVENTS
        try:
            about = files.about(path)
        except OSError:
            about = None
        if self._history is None or self._history[0] != about:
            self._history = about, events.history(path)
        return self._history[1]

    def reasons(self, lang: str | None = None) -> Reasons:
        """Diagnosis: why the models are not better, the most important reason first. The list is
        printed as sentences, in the language ``lang``: ``"en"`` or ``"zh"``, by default the
        language in force (``LINNET_LANG``)."""
        with language(lang):
            return self._reasons()

    def _reasons(self) -> Reasons:
        from linnet.insight.diagnosis import Predictions, Reasons, diagnose

        chosen, held = self.chosen, {}
        test = self.scores.models[chosen].test
        classes = None if test is None else test.classes
        if classes and (self.place / directory.PREDICTIONS / f"{chosen}.parquet").is_file():
            found = self._predictions(chosen)
            codes = _codes(found["y"], classes)
            if "p" in found and "top" not in found:
                held = {chosen: Predictions(found["row"], codes, found["p"])}
        rows = self.info.get("data", {}).get("valid_rows")
        curve = read_curve(self.place)
        manifests = self._readable()
        claims = diagnose(
            self.history(),
            self.metrics,
            held,
            valid_rows=rows,
            changes={} if curve is None else curve.plain()["changes"],
            recipes={name: manifest.recipe for name, manifest in manifests.items()},
            left_out=_left_out(manifests[chosen]) if chosen in manifests else {},
            pictures=any(each.schema_.example == "picture" for each in manifests.values()),
        )
        return Reasons(claims)

    def _readable(self) -> dict[str, Manifest]:
        """The manifests of the models whose files can be read."""
        found = {}
        for name in self.scores.models:
            with contextlib.suppress(LinnetError, OSError):
                found[name] = self._manifest(name)
        return found

    def curves(self, x: Axis = "epoch", log: bool = False, smoothing: float = 0.0) -> Figure:
        """Loss and accuracy, or RMSE, of training and validation; see ``linnet.figures.curves``."""
        from linnet.figures import curves

        series, titles = self._series(), self.history().titles()
        return curves({self.name: series}, x=x, log=log, smoothing=smoothing, titles=titles)

    def learning_curve(self) -> Figure:
        """Validation loss and accuracy, or RMSE, by the number of training rows. Raises
        ``InputError`` if ``linnet report RUN --learning-curve`` has not computed it."""
        from linnet.figures import learning_curve

        curve = read_curve(self.place)
        if curve is None:
            raise InputError(
                f"{self.path}: no learning curve yet; linnet report {quote(str(self.path))} "
                "--learning-curve fits the models on fewer rows, and saves the curve"
            )
        plain = curve.plain()
        return learning_curve(
            plain["points"], plain["score"], plain["valid_rows"], plain["interval"]
        )

    def _series(self, parents: int = MAX_PARENTS) -> dict[str, Parts]:
        """The curves. If the run started from the weights of another run, they continue the curves
        of that run, from the step at which it had these weights."""
        own = self.history().series()
        try:
            parent = self.info.get("parent")
            if parent is None or not parents:
                return own
            past = Run(parent)
            before, models = past._series(parents - 1), past.scores.models
        except LinnetError:  # the parent run is gone
            return own
        for name in own.keys() & before.keys() & models.keys():
            fitted = models[name].fit
            if fitted.best_epoch:  # a net; a line has no epochs
                own[name] = join(before[name], own[name], fitted.best_step)
        return own

    def confusion(self, model: str | None = None) -> Figure:
        """The confusion matrix of the test rows, of the chosen model or ``model``."""
        from linnet.figures import confusion

        test = self._tested(self._named(model), "confusion()", "accuracy")
        if test.confusion is None:
            raise InputError(
                f"{self.path}: no confusion matrix of {len(test.classes or ()):,} classes; at most "
                f"{MAX_CONFUSION} (MAX_CONFUSION); predictions/ holds the test rows"
            )
        return confusion(test.classes or [], test.confusion)

    def calibration(self, model: str | None = None) -> Figure:
        """Calibration: how often predictions of test rows are right, by their probability."""
        from linnet.figures import calibration

        name = self._named(model)
        classes = self._tested(name, "calibration()", "accuracy").classes or []
        found = self._predictions(name)
        y, p, others = _codes(found["y"], classes), found["p"], 0.0
        if "top" in found:
            from linnet.insight.shares import narrow

            y, p, others = narrow(found, y)
            classes = list(range(p.shape[1]))
        return calibration(y, p, classes, found.get("group"), others)

    def residuals(self, model: str | None = None) -> Figure:
        """Predicted against true numbers of the test rows of a regression."""
        from linnet.figures import residuals

        name = self._named(model)
        self._tested(name, "residuals()", "rmse")
        found = self._predictions(name)
        targets = self._manifest(name).schema_.targets
        return residuals(found["y"], found["prediction"], targets, found["row"])

    def importance(self, model: str | None = None, data: Any = None) -> Importances:
        """Which columns matter to the chosen model, or to ``model``: how much its loss on the test
        rows grows when the values of a column are exchanged among them, with 95 % intervals, the
        most important first; see ``linnet.insight.importance``.

        The test rows are read again from the run's source or from ``data``. Raises ``InputError``
        for pictures, and if the run has no test rows; ``DataError`` if it is not the run's data.
        """
        from linnet.runs import insights

        return insights.importance(self, self._named(model), insights.test_rows(self, data))

    def dependence(self, *columns: str, data: Any = None) -> Dependence:
        """How the mean prediction changes with the value of a column, or of two, by the line and by
        the chosen model: ``run.dependence("hour")``; see ``linnet.insight.dependence``. A part of a
        date is named "when.hour". Rows are read as for ``importance``."""
        from linnet.runs import insights

        return insights.dependence(self, columns, insights.test_rows(self, data))

    def slices(self, model: str | None = None, data: Any = None) -> Slices:
        """The score of the chosen model, or of ``model``, on each category of a column and each
        quarter of a number, the worst first; see ``linnet.insight.slices``. Rows are read as for
        ``importance``."""
        from linnet.runs import insights

        return insights.slices(self, self._named(model), insights.test_rows(self, data))

    def threshold(
        self,
        by: Literal["f1", "cost"] = "f1",
        costs: tuple[float, float] = (1.0, 1.0),
        model: str | None = None,
        data: Any = None,
    ) -> Threshold:
        """Where to cut the probability of the second of two classes: the threshold with the largest
        F1, or the smallest cost, of the validation rows (with folds, of the training rows out of
        fold), and its scores on the test rows with 95 % intervals. ``costs`` are those of a false
        positive and of a false negative. A run of an earlier linnet has not kept the predictions of
        validation rows: they are read again from its source or from ``data``."""
        from linnet.insight.thresholds import Costs
        from linnet.runs import insights

        return insights.threshold(self, self._named(model), by, Costs(*costs), data)

    def roc(self) -> Figure:
        """The ROC curve and precision against recall of line and chosen model, on test rows of two
        classes."""
        from linnet.figures import roc
        from linnet.runs import insights

        titles = self.history().titles()
        found = {titles.get(name, name): each for name, each in insights.roc(self).items()}
        return roc(found, insights.positive(self, self.chosen)[3])

    def intervals(self, model: str | None = None, *, scaled: bool = False) -> Calibration:
        """What turns predictions of the chosen model, or of ``model``, into intervals or sets that
        hold with a given probability, calibrated by the test rows, which chose nothing; see
        ``linnet.insight.conformal``. ``run.intervals().interval(run.model.predict(x), 0.9)`` are
        the ends for numbers, ``.sets(run.model.predict_proba(x), 0.9)`` the sets of classes.
        ``scaled``: wider where residuals are larger."""
        from linnet.runs import insights

        return insights.calibration(self, self._named(model), scaled=scaled)

    def errors(self, model: str | None = None) -> Figure:
        """The residuals of the test rows of a regression: by the prediction, and as a histogram,
        with MAE and RMSE."""
        from linnet.figures import errors

        name = self._named(model)
        self._tested(name, "errors()", "rmse")
        found = self._predictions(name)
        targets = self._manifest(name).schema_.targets
        if len(targets) != 1:
            raise InputError(f"errors() is for one target, and this run has {len(targets)}")
        return errors(found["y"], found["prediction"], targets[0])

    def penalties(self) -> Figure:
        """The path of penalties of the line: its validation loss by the penalty, with the chosen
        one. Raises ``InputError`` if one penalty alone was fitted."""
        from linnet.figures import penalties
        from linnet.runs import insights

        at, loss, chosen, folds = insights.penalties(self)
        return penalties(at, loss, chosen, folds=folds)

    def mistakes(self, model: str | None = None, data: Any = None, count: int = 36) -> Figure:
        """The test rows that the chosen model, or ``model``, predicted wrongly, the most confident
        first; for regression, those with the largest errors.

        Pictures, or the columns of a table, are read again from the run's source or from ``data``.
        Raises ``DataError`` if ``data`` is not the data of the run. If the run's source is gone,
        only rows and numbers are shown, and the title says so.
        """
        from linnet.figures import mistakes, worst

        name = self._named(model)
        classes = self._tested(name, "mistakes()").classes
        found = self._predictions(name)
        y, prediction, p = found["y"], found["prediction"], found.get("p")
        if classes is not None:
            y, prediction = _codes(y, classes), _codes(prediction, classes)
        every = worst(y, prediction, p if classes is not None else None)
        called = self.history().titles().get(name, name)
        chosen = every[: max(count, 0)]
        told = {"rows": f"{len(found['row']):,}", "model": called}
        if classes is None:
            title = tr("The largest errors of {rows} test rows, {model}", **told)
        elif not len(every):
            title = tr("No mistakes in {rows} test rows, {model}", **told)
        else:
            told["count"] = f"{len(every):,}"
            title = tr("{count} mistakes in {rows} test rows, {model}", **told)
            if len(chosen) < len(every):
                told["shown"] = f"{len(chosen):,}"
                title = tr("{shown} of {count} mistakes in {rows} test rows, {model}", **told)
        shown: dict[str, Any] = {}
        if len(chosen):
            try:
                shown = self._reread(name, data, found["row"][chosen])
            except (LinnetError, OSError) as error:
                if data is not None:
                    raise
                title += f" (without the examples: {error})"
        return mistakes(
            found["row"][chosen].tolist(),
            found["y"][chosen].tolist(),
            found["prediction"][chosen].tolist(),
            None if p is None else p[chosen].max(1).tolist(),
            title=title,
            **shown,
        )

    def examples(self, data: Any = None) -> Figure:
        """The training rows: a sheet of pictures of each class, or the distribution of each column
        of a table; see ``linnet.figures.look``.

        They are read again from the run's source or from ``data``. Raises ``DataError`` if it is
        not the data of the run.
        """
        from linnet.figures import look

        return look(self.draft(data).take(self.split()["train"]))

    def weights(self, model: str | None = None) -> Figure:
        """The first layer's weights of the chosen model, or of ``model``. For pictures they are
        shown as pictures. For a table they are the line's coefficients, also if a net is chosen."""
        from linnet.figures import coefficients, templates

        name = self._named(model)
        manifest = self._manifest(name)
        picture = manifest.schema_.example == "picture"
        if _shown_tensor(manifest) is None and model is None and LINE in self.scores.models:
            name, manifest = LINE, self._manifest(LINE)
        tensor = _shown_tensor(manifest)
        if tensor is None:
            every = (m for m in self.scores.models if _shown_tensor(self._manifest(m)))
            raise InputError(
                f'{self.path}: single weights of "{name}" on {manifest.schema_.example}s have no '
                f"meaning; models of this run whose weights have: {', '.join(every) or 'none'}"
            )
        weight = self._weight(name, tensor)
        schema = manifest.schema_
        if name == LINE:
            outputs = _outputs(schema)
            if weight.shape != (len(outputs), prod(schema.shape)):
                raise ModelError(f"{self.path}: {name} has weights of shape {weight.shape}")
            if picture:
                shaped = weight.reshape(len(weight), *schema.shape)
                return templates(shaped, outputs, tr("Weights of the line, one picture a class"))
            unit = tr("unit of the target")
            if schema.task == "classification":
                unit = tr("log-odds")
            scaled = manifest.network.get("scale") != "none"
            unit = tr("{unit} per deviation", unit=unit) if scaled else unit
            title = tr("Coefficients of the line")
            if len(outputs) == 1:
                title += tr(", for {name}", name=schema.targets[0])
                title += f" = {outputs[0]}" if schema.task == "classification" else ""
            if scaled:
                title += tr(", per standard deviation of the column (0/1: from 0 to 1)")
            return coefficients(weight, schema.columns, outputs, title, unit)
        units = [f"unit {index}" for index in range(len(weight))]
        shape = schema.shape if weight.ndim == 2 else weight.shape[1:]
        if prod(weight.shape) != len(weight) * prod(shape):
            raise ModelError(f"{self.path}: {name} has weights of shape {weight.shape}")
        return templates(
            weight.reshape(len(weight), *shape),
            units,
            tr("First layer's weights of {model}", model=name),
        )

    def _repr_html_(self) -> str:
        """The verdict, the models with their curves and scores, and the diagnosis; for a run
        without scores, its state and the curves so far."""
        from linnet.core.html import Html, put
        from linnet.figures.notebook import curve, paragraph, table
        from linnet.insight.choice import by_folds, words
        from linnet.insight.pairs import YARDSTICK
        from linnet.insight.verdict import headline

        scored = (self.place / directory.METRICS).is_file()
        try:
            written = self.history().series()
            reasons = self.reasons() if scored else []
        except (LinnetError, OSError):  # show the scores without them
            written, reasons = {}, []

        def drawn(name: str) -> Html:
            return curve(
                {
                    f"{words} loss": (part.get("step", ()), part.get("loss", ()))
                    for key, words in (("train", "training"), ("valid", "validation"))
                    if (part := written.get(name, {}).get(key, {}))
                    and len(part.get("loss", ())) == len(part["step"])
                }
            )

        where = Html(f"<code>{put(str(self.path))}</code>")
        name = Html(f"<b>{put(self.name)}</b>: ")
        if not scored:
            state, error = directory.state_of(self.place)
            told = f"{state}: {error}" if error else state or "unfinished"
            title = paragraph(name, told if state == "running" else f"{told}; it has no scores")
            curves = table(("model", "by step"), [[model, drawn(model)] for model in written])
            last = paragraph("– – validation; files: ", where)
            return f"<div>{title}{curves if written else ''}{last}</div>"
        rows = []
        for model, found in self.metrics["models"].items():
            test = found.get("test")
            score = headline(test) if test else "no test rows"
            star = " ★" if model == self.chosen else ""
            loss = found.get("valid", {}).get("loss", "–")
            seconds = f"{found['fit']['seconds']:.1f} s"
            rows.append([model + star, loss, drawn(model), score, seconds])
        for model, found in self.metrics.get("yardstick", {}).items():
            if test := found.get("test"):
                loss = found.get("valid", {}).get("loss", "–")
                seconds = f"{found['fit']['seconds']:.1f} s"
                rows.append([f"({model})", loss, "", headline(test), seconds])
        folded = by_folds(self.metrics)
        held = "out-of-fold" if folded else "validation"
        head = ("model", f"{held} loss", "by step", "test", "fitted in")
        why = "".join(paragraph(f"Why: {claim}") for claim in reasons)
        by = words(self.metrics.get("choice") or {})
        beside = f"({YARDSTICK}) the yardstick; " if self.metrics.get("yardstick") else ""
        dashed = "out of fold" if folded else "validation"
        last = paragraph(f"★ {by}; {beside}– – {dashed}; files: ", where)
        return f"<div>{paragraph(name, self.verdict)}{table(head, rows)}{why}{last}</div>"

    def _named(self, model: str | None) -> str:
        """``model``, or the chosen model; raises ``InputError`` if the run has no such model."""
        if model is None:
            return self.chosen
        if model not in self.scores.models:
            known = ", ".join(self.scores.models)
            raise InputError(f'{self.path} has no model "{model}"; it has {known}')
        return model

    def _tested(self, model: str, call: str, key: str | None = None) -> Test:
        """The test scores of a model; raises ``InputError`` if it has none, or not ``key``."""
        test = self.scores.models[model].test
        if test is None:
            raise InputError(
                f"{self.path}: {call} shows test rows, and this run has none (curves() and "
                f"weights() need none). {self.verdict}"
            )
        if key is not None and getattr(test, key) is None:
            numbers = test.rmse is not None
            here = "residuals() and mistakes()" if numbers else "confusion(), mistakes()"
            here += "" if numbers else " and calibration()"
            task, other = ("regression", "classes") if numbers else ("classes", "numbers")
            raise InputError(
                f"{self.path}: {call} is for {other}, and this run is {task}; it has {here}"
            )
        return test

    def _manifest(self, model: str) -> artifact.Manifest:
        return artifact.read_manifest(self.place / f"{model}.safetensors")

    def _weight(self, model: str, tensor: str) -> Array:
        """A tensor of a model's file."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = self.place / f"{model}.safetensors"
        try:
            weight: Array = load(files.read(path))[tensor]
        except (OSError, SafetensorError, KeyError) as error:
            raise ModelError(f"{path}: cannot read the tensor {tensor}: {error}") from error
        return weight

    def _predictions(self, model: str, folder: str = directory.PREDICTIONS) -> dict[str, Array]:
        """``row``, ``y``, ``prediction`` and, for classes, ``p`` of the test rows, or of those in
        another ``folder``; with groups or times also ``group``."""
        from linnet.data.parquet.parquet import read_content

        path = self.place / folder / f"{model}.parquet"
        try:
            frame = read_content(files.read(path), str(path))
        except OSError as error:
            raise InputError(f"{path}: cannot read: {error}") from error
        missing = {"row", "y", "prediction"} - set(frame.columns)
        if missing:
            raise InputError(f"{path}: the columns {', '.join(sorted(missing))} are missing")
        found = {name: frame[name].to_numpy() for name in frame.columns}
        for name in {"row", "group"} & set(found):
            if found[name].dtype.kind not in "iu":
                raise InputError(f"{path}: the column {name} does not hold whole numbers")
        if "p" in found and (found["p"].ndim != 2 or found["p"].dtype.kind != "f"):
            raise InputError(f"{path}: the column p must hold a list of numbers, all equally long")
        if "top" in found and not _fits(found):
            raise InputError(
                f"{path}: the columns top, p, p_y and p_squares are not those of many classes"
            )
        return found

    def _reread(self, model: str, data: Any, rows: Array) -> dict[str, Any]:
        """The examples of some rows as arguments of ``mistakes``: ``pictures`` or a ``table``."""
        import torch

        draft = self.draft(data, model)
        if rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= len(draft):
            raise DataError(f"a row of the predictions is not from 0 to {len(draft) - 1}")
        chosen = draft.take(torch.tensor(rows, dtype=torch.int64)).x.numpy()
        if draft.schema.example == "picture":
            return {"pictures": chosen}
        if draft.schema.example == "row":
            return {"table": dict(zip(draft.schema.columns, chosen.T.tolist(), strict=True))}
        used = [column for column in draft.schema.fields if column.used]
        return {
            "table": {
                column.name: [_shown(column, value) for value in values]
                for column, values in zip(used, chosen.T.tolist(), strict=True)
            }
        }

    def data_place(self) -> str:
        """The place of the run's data. A path that does not exist here is taken relative to the
        run's working directory. A known name of a data set stays a name, even if such a file
        exists."""
        from linnet.data import BUILTIN, standard
        from linnet.data.known import KNOWN

        place = self.info.get("data", {}).get("place")
        if not isinstance(place, str):
            raise DataError("the run was trained on data in memory; give it as data=")
        if place == standard.PLACE:
            raise DataError(
                f"{self.path} was trained on {standard.GONE}; give the same data as a file: linnet "
                f"train FILE --resume {shlex.quote(str(self.path))}, or data=FILE"
            )
        if place in BUILTIN or place in KNOWN:
            return place
        there = Path(str(self.info.get("directory", "."))) / place
        return str(there) if not _exists(Path(place)) and _exists(there) else place


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def load(
    place: str | os.PathLike[str],
    model: str | None = None,
    *,
    network: nn.Module | None = None,
    plugins: Sequence[str] = (),
) -> Artifact:
    """The model in a file, or the chosen model of a run, or the one named ``model``.

    If the model was trained from a module of your own, pass such a module as ``network``; it
    receives the weights in the file. ``plugins`` are the names of networks or objectives of other
    packages that may be imported for it: a file alone cannot cause an import.
    """
    registry.allow(plugins)
    return artifact.load(archive.model_place(Path(place), model), network)


def _fits(found: Mapping[str, Array]) -> bool:
    """Whether the columns are what ``insight.shares.kept`` gives of many classes."""
    if not {"p", "p_y", "p_squares"} <= set(found):
        return False
    floats = found["p_y"].dtype.kind == found["p_squares"].dtype.kind == "f"
    return floats and found["top"].dtype.kind in "iu" and found["top"].shape == found["p"].shape


def _codes(labels: Array, classes: Sequence[Any]) -> Array:
    """Labels (rows,) as codes of the classes."""
    import numpy as np

    place = {label: code for code, label in enumerate(classes)}
    try:
        return np.array([place[label] for label in labels.tolist()], dtype=np.int64)
    except KeyError as error:
        raise InputError(f"the label {error.args[0]!r} is not among the classes") from None


def _left_out(manifest: Manifest) -> dict[str, list[str]]:
    """The columns that a model has not seen, by kind, but for those that the user named."""
    recipe = manifest.recipe
    columns: Any = recipe.get("columns") or ()
    meant = {recipe.get("split"), recipe.get("group"), *columns}
    found: dict[str, list[str]] = {}
    for column in manifest.schema_.fields:
        if column.kind in ("text", "identifier") and column.name not in meant:
            found.setdefault(column.kind, []).append(column.name)
    return found


def _shown_tensor(manifest: artifact.Manifest) -> str | None:
    """The tensor whose single weights have a meaning for a model's examples; None if there is
    none."""
    if manifest.shown is None:
        return None
    tensor, examples = manifest.shown
    return tensor if examples in ("any", manifest.schema_.example) else None


def _outputs(schema: Schema) -> tuple[str, ...]:
    """The name of each output of a line: a class (of two, the second) or a target."""
    if schema.task == "regression":
        return schema.targets
    return schema.names if len(schema.classes) > 2 else schema.names[1:]


def _shown(column: Column, value: float) -> str:
    """A number of a column before encoding, as the data source shows it."""
    if isnan(value):
        return ""
    if column.kind == "category":
        return column.categories[int(value)] if value >= 0 else "(unknown)"
    if column.kind == "boolean":
        return "true" if value else "false"
    if column.kind == "date":
        form = "%Y-%m-%d %H:%M" if column.timed else "%Y-%m-%d"
        return datetime.fromtimestamp(value, UTC).strftime(form)
    return figure(value, 6).replace(",", "")
