"""The common part of the scripts for lines and nets: from the imports to the examples."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import getsource
from pathlib import Path

from linnet.core.randomness import derive
from linnet.core.text import plural
from linnet.errors import InputError
from linnet.fit.artifact import Manifest
from linnet.fit.recipe import Recipe
from linnet.integrations.eject._data import Reader
from linnet.integrations.eject._layers import Plan, Style
from linnet.integrations.eject._text import code, plain, quoted
from linnet.networks.scaling import FARTHEST


@dataclass(frozen=True)
class Facts:
    """The facts about a run from which a script is written."""

    run: Path
    name: str
    style: Style
    recipe: Recipe
    manifest: Manifest
    reader: Reader
    net: Plan
    threads: int | None
    versions: dict[str, str]
    data: str
    weighted: bool
    soft: bool
    parts: frozenset[str]
    """Those of train, valid and test that have rows."""
    members: int = 1
    """Of how many nets the model is the mean, each fitted without one fold of the rows."""

    def fitted(self, key: str) -> float | None:
        """A number from the model's ``fit`` in ``metrics.json``."""
        value = self.manifest.fit.get(key)
        if value is not None and type(value) not in (int, float):
            raise InputError(f"{self.run}: {key} of the fit is {value!r}; expected a number")
        return None if value is None else float(value)  # type: ignore[arg-type]

    @property
    def objective(self) -> str:
        return self.manifest.objective

    @property
    def classifies(self) -> bool:
        return self.objective != "squared"

    @property
    def wide(self) -> bool:
        return self.manifest.dtype == "float64"

    @property
    def cast(self) -> str:
        """The tensor method that converts to the network's dtype."""
        return "double" if self.wide else "float"

    @property
    def score(self) -> str:
        return "accuracy" if self.classifies else "RMSE"

    @property
    def bytes(self) -> bool:
        return self.manifest.schema_.dtype == "uint8"

    @property
    def weights(self) -> bool:
        """Whether rows have weights."""
        return self.weighted or self.recipe.class_weight is not None


def about(facts: Facts, what: str, same: str) -> str:
    """The docstring of a script: what it trains, what it needs, what it writes."""
    threads = f" and {facts.threads} {plural(facts.threads, 'thread')}" if facts.threads else ""
    torch = plain(facts.versions.get("torch", "").split("+")[0])
    others = ", and scikit-learn for the data" if "sklearn" in "".join(facts.reader.imports) else ""
    text = (
        f"It needs torch and numpy{others}, and nothing of linnet. It reads the run's row numbers. "
        f"With PyTorch {torch}, the same kind of CPU{threads}, it ends with {same}."
    )
    return "\n".join(
        [
            textwrap.shorten(
                f"Trains {what} on {plain(facts.data)} as linnet did", 96, placeholder=" ..."
            )
            + ".",
            "",
            *textwrap.wrap(text, 96),
            "",
            f"Written by: linnet eject RUN --style {facts.style}",
            "",
        ]
    )


def head(facts: Facts, docstring: str, sections: Sequence[str]) -> str:
    """The docstring, the imports of the sections, and the constants."""
    text = "\n".join(sections)

    def used(*lines: str) -> list[str]:
        found = []
        for line in lines:
            name = line.split(" as ")[-1].split()[-1]
            if re.search(rf"\b{name}[.(]", text) or name == "Path":
                found.append(line)
        return found

    imports = used(
        "import gzip", "import json", "import math", "from hashlib import blake2b",
        "from pathlib import Path",
    )  # fmt: skip
    others = used("import numpy as np", "import torch", "import torch.nn.functional as F")
    others += [*facts.reader.imports, *used("from torch import nn")]
    constants = [f"RUN = Path({quoted(str(facts.run))})"]
    if facts.reader.place is not None:
        constants.append(f"DATA = Path({quoted(facts.reader.place)})")
    if "SEED" in text:
        constants.append(f"SEED = {facts.recipe.seed}")
    settings = []
    if facts.threads:
        settings.append(f"torch.set_num_threads({facts.threads})  # others sum up in another order")
    if facts.wide or facts.name == "linear":
        settings.append("torch.set_default_dtype(torch.float64)")
    parts = [f'"""{docstring}"""', "\n".join(imports), "\n".join(others), "\n".join(constants)]
    return "\n\n".join([*parts, *(["\n".join(settings)] if settings else [])])


FILE = '''
def tensors(path):
    """The tensors of a .safetensors file: how long its header is, the header in JSON, numbers."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    kinds = {"F32": np.float32, "F64": np.float64, "I64": np.int64, "I8": np.int8}
    found = {}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            numbers = np.frombuffer(content[start + first : start + last], kinds[entry["dtype"]])
            found[name] = torch.from_numpy(numbers.reshape(entry["shape"]).copy())
    return found
'''

RANDOM = f'''
{getsource(derive)}

def generator(*purpose):
    """All that is random is a function of SEED and a purpose: nothing has to be remembered."""
    return torch.Generator().manual_seed(derive(SEED, *purpose))
'''


def rows(facts: Facts) -> str:
    """The parts of the data, each with its examples, targets and weights."""
    lines = ['rows = tensors(RUN / "split.safetensors")']
    for part in ("train", "valid", "test"):
        if part in facts.parts:
            lines.append(f'x_{part}, y_{part} = x[rows["{part}"]], y[rows["{part}"]]')
    return "\n".join([*lines, *_weights(facts)])


def _weights(facts: Facts) -> list[str]:
    """The code of the rows' weights."""
    lines: list[str] = []
    weighting = facts.recipe.class_weight
    if weighting is not None:
        lines.append("")
        count = len(facts.manifest.schema_.classes)
        codes = "y_train.argmax(1)" if facts.soft else "y_train"
        if isinstance(weighting, str):
            lines += [
                "# each class weighs as much as every other",
                f"counts = torch.bincount({codes}, minlength={count}).double()",
                f"by_class = len(x_train) / ({count} * counts.clamp(min=1))",
            ]
        else:
            lines.append(f"by_class = torch.tensor({list(weighting)}, dtype=torch.float64)")
    if facts.weights:
        for part in ("train", "valid"):
            if part not in facts.parts:
                continue
            terms = []
            if weighting is not None:
                of = f"y_{part}.double() @ by_class" if facts.soft else f"by_class[y_{part}]"
                terms.append(of)
            if facts.weighted:
                terms.append(f'weight[rows["{part}"]]')
            lines.append(f"w_{part} = {' * '.join(terms)}")
    return lines


def scaling(facts: Facts) -> str:
    """From raw examples to standardised numbers."""
    kind = facts.manifest.network["scale"]
    flat = "" if facts.net.kind == "cnn" else ".flatten(1)"
    last = ".contiguous(memory_format=torch.channels_last)" if facts.net.kind == "cnn" else ""
    bounds = facts.net.kind == "mlp" and kind == "standard"
    cast = facts.cast
    if kind == "none":
        return code(
            """
            def scale(x):
                return x.$cast()$flat$last
            """,
            cast=cast,
            flat=flat,
            last=last,
        )
    made = _statistics(facts)
    numbers = "(x.$cast() - shift) * factor" if facts.bytes else "((x - shift) * factor).$cast()"
    if bounds:
        bounded = code(
            """
            def standard(x):
                return $numbers


            ends = standard(torch.stack([x_train.amin(0), x_train.amax(0)]))
            low, high = ends.clamp(-$farthest, $farthest)


            def scale(x):
                return standard(x).clamp(low, high)$flat  # none beyond those of the training rows
            """,
            numbers=code(numbers, cast=cast),
            farthest=repr(FARTHEST),
            flat=flat,
        )
        return f"{made}\n\n\n{bounded}"
    function = code(
        """
        def scale(x):
            return $numbers$flat$last
        """,
        numbers=code(f"({numbers})" if facts.bytes else numbers, cast=cast),
        flat=flat,
        last=last,
    )
    return f"{made}\n\n\n{function}"


def _statistics(facts: Facts) -> str:
    """The shift and the factor of the scaling: as given, or from the training rows."""
    recipe, cast = facts.recipe, facts.cast
    kind, inputs = facts.manifest.network["scale"], facts.manifest.network["inputs"]
    if not isinstance(recipe.scaling, str):
        mean, deviation = recipe.scaling
        unit = 255.0 if facts.bytes else 1.0
        return code(
            """
            # inputs are scaled by a mean and a deviation that were given$units
            shift, factor = torch.tensor([$mean]), torch.tensor([$factor])
            """,
            units=", in units of 255" if facts.bytes else "",
            mean=repr(mean * unit), factor=repr(1 / (deviation * unit)),
        )  # fmt: skip
    if kind == "pixel" and facts.bytes:
        return code(
            """
            # pixels are scaled by their mean and deviation in the training rows
            counts = torch.bincount(x_train.flatten(), minlength=256).double()
            values = torch.arange(256, dtype=torch.float64)
            mean = (counts * values).sum() / counts.sum()
            variance = (counts * (values - mean).square()).sum() / counts.sum()
            shift, factor = mean.$cast().reshape(1), (1 / variance.sqrt()).$cast().reshape(1)
            """,
            cast=cast,
        )
    if kind == "pixel":
        return code(
            """
            # pixels are scaled by their mean and deviation in the training rows
            mean, deviation = x_train.double().mean(), x_train.double().std(correction=0)
            shift, factor = mean.$cast().reshape(1), (1 / deviation).$cast().reshape(1)
            """,
            cast=cast,
        )
    width = 1
    for size in inputs:  # type: ignore[union-attr]
        width *= int(size)  # type: ignore[arg-type]
    return code(
        """
        # columns have mean 0 and deviation 1 in the training rows; those of 0 and 1 stay
        origin = x_train[:1].double()
        total, squares, binary = 0, 0, True
        for part in x_train.split($rows):
            binary = binary & ((part == 0) | (part == 1)).all(0)
            total = total + (part.double() - origin).sum(0)
            squares = squares + (part.double() - origin).square().sum(0)
        mean = total / len(x_train)
        deviation = (squares / len(x_train) - mean.square()).clamp(min=0).sqrt()
        mean = torch.where(binary, 0, mean + origin[0])
        deviation = torch.where(binary, 1, deviation)
        factor = torch.where(deviation <= 1e-12 * mean.abs(), 1, 1 / deviation).$cast()
        shift = mean.$cast()
        """,
        rows=f"{max(1, (1 << 22) // width):_}", cast=cast,
    )  # fmt: skip


def losses(facts: Facts) -> str:
    """The loss of each row, as a function of raw predictions."""
    soft = facts.soft or (facts.name != "linear" and facts.recipe.label_smoothing > 0)
    if facts.objective == "softmax":
        about = "The cross entropy of each row."
        target = "y.to(raw.dtype) if y.dim() > 1 else y" if soft else "y"
        body = f'return F.cross_entropy(raw, {target}, reduction="none")'
    elif facts.objective == "logistic":
        about = "The cross entropy of each row, in a form that never cancels."
        share = "y if y.dim() == 1 else y[:, 1]" if facts.soft else "y"
        share = f"({share})" if facts.soft else share
        body = f"logit, y = raw[:, 0], {share}.to(raw.dtype)\n"
        body += "return -y * F.logsigmoid(logit) - (1 - y) * F.logsigmoid(-logit)"
    else:
        about = "Half the squared error of each row."
        body = "return (raw - y.reshape(raw.shape)).square().sum(1) / 2"
    return code(
        '''
        def losses(raw, y):
            """$about"""
            $body
        ''',
        about=about,
        body=body,
    )
