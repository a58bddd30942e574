"""Examples, targets and their schema in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from linnet.core.files import canonical
from linnet.core.registry import suggest
from linnet.core.text import listed
from linnet.data import columns
from linnet.data.coded import Coded
from linnet.data.pictures.ground import ground_of, layout_of
from linnet.data.reading import Label, Reading
from linnet.data.schema import Schema
from linnet.data.split import Division, Split, Units, split
from linnet.errors import DataError, RecipeError, printable

GUIDES = ("fit", "ground", "layout")
"""What a schema says of pictures that come later. It is no part of the fingerprint: the pictures
themselves are."""

DESCRIBED = ("range", "typical")
"""What a column tells people of the training rows; no part of the fingerprint either."""

BLOCK = 1 << 16
"""The number of rows that are hashed at once."""


@dataclass(frozen=True)
class Dataset:
    """Examples with targets.

    ``x`` is ``(rows, *schema.shape)`` in its original dtype: pictures stay uint8 until the batch.
    The rows of a table with many categories are ``Coded``; ``x.dense()`` is the plain tensor.
    ``y`` is int64 (rows,) class codes, floating (rows, classes) probabilities, or floating (rows,)
    or (rows, targets) numbers. Without a target it is (rows, 0). ``weight`` is floating (rows,) or
    None. The last ``test_rows`` rows are the data's own test part. ``division`` is the split by a
    column. ``notes`` are the remarks of the source. ``files`` are the names of the files of
    pictures to predict, one a row. A table holds records until ``learn``. ``mapped`` is the
    folder of the store whose files the tensors are (``linnet.data.store``): consecutive rows are
    taken without a copy.
    """

    x: Tensor
    y: Tensor
    schema: Schema
    weight: Tensor | None = None
    test_rows: int = 0
    name: str = "data"
    notes: tuple[str, ...] = ()
    division: Division | None = None
    files: tuple[str, ...] = ()
    mapped: Path | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        about, shape = self.schema, " x ".join(map(str, self.schema.shape))
        many = f"pictures of {shape}" if about.example == "picture" else f"rows x {about.wide}"
        told = f"{len(about.classes):,} classes"
        if about.task == "regression":
            told = f"target {listed(about.targets, 3)}" if about.targets else "no target"
        return printable(f"Dataset({self.name!r}, {len(self):,} {many}, {told})")

    @property
    def soft(self) -> bool:
        """Whether the targets are probabilities of classes rather than class codes."""
        return self.schema.task == "classification" and self.y.is_floating_point()

    @property
    def codes(self) -> Tensor:
        """The class code of every row (rows,); for soft targets the most probable class."""
        return self.y.argmax(dim=1) if self.soft else self.y

    def units(self) -> Units | None:
        """The groups of rows, or the blocks of time, within which rows may depend on each other;
        None if each row is independent."""
        return None if self.division is None else self.division.units()

    def take(self, rows: Tensor) -> Dataset:
        """A data set of these rows, in this order, without its own test part."""
        if self.mapped and _consecutive(rows):
            first = int(rows[0]) if len(rows) else 0
            some = slice(first, first + len(rows))
            weight = None if self.weight is None else self.weight[some]
            return replace(self, x=self.x[some], y=self.y[some], weight=weight, test_rows=0)
        weight = None if self.weight is None else self.weight[rows]
        division = None if self.division is None else self.division.take(rows)
        return Dataset(
            self.x[rows], self.y[rows], self.schema, weight, name=self.name, division=division,
            files=self._files(rows),
        )  # fmt: skip

    def _files(self, rows: Tensor) -> tuple[str, ...]:
        return tuple(self.files[row] for row in rows.tolist()) if self.files else ()

    def to(self, device: torch.device) -> Dataset:
        """The same data set on ``device``; on MPS, which has no float64, in float32."""

        def there(values: Tensor) -> Tensor:
            narrow = device.type == "mps" and values.dtype == torch.float64
            return (values.float() if narrow else values).to(device)

        weight = None if self.weight is None else there(self.weight)
        return replace(self, x=there(self.x), y=there(self.y), weight=weight)

    def fingerprint(self) -> str:
        """A sha256 over schema, examples, targets and weights; see ``GUIDES``, ``DESCRIBED``."""
        told = {key: value for key, value in self.schema.plain().items() if key not in GUIDES}
        told["fields"] = [
            {key: value for key, value in field.items() if key not in DESCRIBED}
            for field in told["fields"]
        ]
        digest = hashlib.sha256(canonical([told, self.test_rows]))
        inputs = self.x.parts() if isinstance(self.x, Coded) else (self.x,)
        for tensor in (*inputs, self.y, self.weight):
            if tensor is not None:
                digest.update(canonical([str(tensor.dtype), list(tensor.shape)]))
                for part in tensor.split(BLOCK):
                    digest.update(part.contiguous().cpu().numpy().data)
        return digest.hexdigest()

    def split(self, *, test: float | int, valid: float | int | None, seed: int) -> Split:
        """Split the rows by seed; see ``linnet.data.split``."""
        codes = self.codes if self.schema.task == "classification" else None
        return split(
            codes, len(self), own=self.test_rows, division=self.division,
            test=test, valid=valid, seed=seed,
        )  # fmt: skip

    def learn(self, rows: Tensor, most: int = Reading().max_categories, seed: int = 0) -> Dataset:
        """Encode records with means and categories of the training rows (numbers ``rows``); of
        pictures learn the ground and the layout. With more than ``most`` categories, the rarest
        share a column. ``seed`` draws the rows that medians are computed from, if they are very
        many."""
        if self.schema.example == "picture" and self.schema.dtype == "uint8":
            ground = ground_of(self.x[rows])
            layout = None if ground is None else layout_of(self.x[rows], ground)
            known = {"ground": ground, "layout": layout}
            return replace(self, schema=self.schema.model_copy(update=known))
        if self.schema.example != "record":
            return self
        records = self.x.numpy()
        all_rows = len(rows) == len(self)
        schema = self.schema.learn(records, None if all_rows else rows.numpy(), most, seed)
        encoded = columns.encoded(schema.fields, records, schema.dtype, self.schema.fields)
        return replace(self, x=encoded, schema=schema)

    def select(
        self, classes: tuple[Label, ...] | None = None, positive: Label | None = None
    ) -> Dataset:
        """Keep the rows of ``classes`` only, then make ``positive`` one class against the rest."""
        result = self
        if classes is not None:
            result = result._keep(tuple(self._code(label) for label in classes))
        if positive is not None:
            if result.soft:
                raise RecipeError("positive= needs class labels; the targets are probabilities")
            name = str(result.schema.classes[result._code(positive)])
            schema = result.schema.model_copy(
                update={"classes": (f"not {name}", name), "class_kind": "text"}
            )
            y = (result.y == result._code(positive)).long()
            result = replace(result, y=y, schema=schema)
        return result

    def _code(self, label: Label) -> int:
        if self.schema.task != "classification":
            raise RecipeError(f"{self.name} is regression: it has no class {label!r}")
        if str(label) not in self.schema.names:
            raise RecipeError(
                f'{self.name} has no class "{label}"; {suggest(str(label), self.schema.names)}'
            )
        return self.schema.names.index(str(label))

    def _keep(self, codes: tuple[int, ...]) -> Dataset:
        if self.soft:
            raise RecipeError("classes= needs class labels; the targets are probabilities")
        if len(set(codes)) < 2:
            raise RecipeError(f"classes= keeps {len(set(codes))} class; name two or more")
        kept = sorted(set(codes))
        recode = torch.full((len(self.schema.classes),), -1, dtype=torch.int64)
        recode[kept] = torch.arange(len(kept))
        rows = torch.nonzero(recode[self.y] >= 0).flatten()
        schema = self.schema.model_copy(
            update={"classes": tuple(self.schema.classes[code] for code in kept)}
        )
        test_rows = int((rows >= len(self) - self.test_rows).sum())
        weight = None if self.weight is None else self.weight[rows]
        return replace(
            self,
            x=self.x[rows],
            y=recode[self.y[rows]],
            weight=weight,
            schema=schema,
            test_rows=test_rows,
            division=None if self.division is None else self.division.take(rows),
            files=self._files(rows),
        )

    def conform(self, schema: Schema) -> Dataset:
        """The same data, encoded by a model's ``schema``; raises DataError if it does not fit.

        The records of a table are encoded with the means and categories of the model; columns that
        the model does not know are left out.
        """
        if self.schema == schema:
            return self
        if self.schema.task != schema.task:
            raise DataError(f"{self.name} is {self.schema.task}; the model does {schema.task}")
        records = self.schema.example == "record" and bool(schema.fields)
        if self.schema.example != schema.example and not records:
            raise DataError(
                f"{self.name} holds {self.schema.example}s; the model takes {schema.example}s"
            )
        if schema.example == self.schema.example == "row" and self.schema.columns != schema.columns:
            missing = [name for name in schema.columns if name not in self.schema.columns]
            raise DataError(
                f"{self.name}: the columns are not the model's; "
                + (f"missing: {', '.join(missing[:8])}" if missing else "expected the same order")
            )
        y = self.y
        if self.soft and self.schema.classes != schema.classes:
            raise DataError(f"{self.name}: its classes are not the model's")
        if schema.task == "classification" and self.schema.classes != schema.classes:
            y = schema.encode_labels(self.schema.decode(self.y))
        elif schema.task == "regression" and len(schema.targets) != len(self.schema.targets):
            raise DataError(
                f"{self.name} has {len(self.schema.targets)} targets, the model "
                f"{len(schema.targets)}"
            )
        x = self._encoded(schema) if records else schema.encode(self._pixels(schema))
        return replace(self, x=x, y=y, schema=schema)

    def _encoded(self, schema: Schema) -> Tensor:
        """The records, encoded by a model's ``schema``."""
        mine = [field for field in self.schema.fields if field.used]
        places = {field.name: place for place, field in enumerate(mine)}
        used = [field for field in schema.fields if field.used]
        missing = [field.name for field in used if field.name not in places]
        if missing:
            raise DataError(
                f"{self.name}: the columns are not the model's; missing: {listed(missing, 8)}"
            )
        order = [places[field.name] for field in used]
        for field, place in zip(used, order, strict=True):
            if mine[place].kind != field.kind:
                raise DataError(
                    f"{self.name}: the column {field.name!r} is read as {mine[place].kind}; the "
                    f"model takes it as {field.kind}: declare it, columns.{field.name}={field.kind}"
                )
        rows = self.x.numpy()[:, order]
        before = [mine[place] for place in order]
        return columns.encoded(schema.fields, rows, schema.dtype, before)

    def _pixels(self, schema: Schema) -> Tensor:
        """The examples; pictures in the unit and with the channels of a model's ``schema``."""
        x = self.x
        if schema.example != "picture":
            return x
        if schema.dtype != "uint8" and x.dtype == torch.uint8:
            if self.schema.pixels != "unit":
                raise DataError(
                    f"{self.name}: its pixels are whole numbers 0 to 255; the model learned from "
                    f"{schema.dtype}, in another unit: give the pictures as they were in training"
                )
            x = x.float() / 255
        channels = schema.shape[0]
        if x.shape[1] == 1 and channels == 3:
            return x.expand(-1, 3, -1, -1)
        if x.shape[1] == 3 and channels == 1:
            if not (x == x[:, :1]).all():
                raise DataError(
                    f"{self.name}: its pictures are in colour; the model takes grey ones: convert "
                    "them as the training pictures were"
                )
            return x[:, :1]
        return x

    def describe(self) -> dict[str, Any]:
        """The facts of ``linnet data show``: rows, shape, dtype, range, mean, deviation, counts."""
        mean, deviation = moments(self.x)
        low, high = self.x.ends() if isinstance(self.x, Coded) else (self.x, self.x)
        facts: dict[str, Any] = {
            "name": self.name,
            "rows": len(self),
            "test_rows": self.test_rows,
            "example": self.schema.example,
            "shape": list(self.schema.shape),
            "dtype": self.schema.dtype,
            "range": [low.min().item(), high.max().item()],
            "mean": mean,
            "deviation": deviation,
            "columns": list(self.schema.columns),
            "task": self.schema.task,
            "targets": list(self.schema.targets),
            "notes": list(self.notes),
        }
        if self.schema.task == "classification":
            facts["classes"] = list(self.schema.classes)
            facts["class_kind"] = self.schema.class_kind
            facts["counts"] = torch.bincount(
                self.codes, minlength=len(self.schema.classes)
            ).tolist()
        else:
            y = self.y.double().reshape(len(self), -1)
            facts["target_range"] = [y.min(0).values.tolist(), y.max(0).values.tolist()]
            facts["target_mean"] = y.mean(0).tolist()
            facts["target_deviation"] = y.std(0, correction=0).tolist()
        return facts


def _consecutive(rows: Tensor) -> bool:
    """Whether these row numbers are consecutive."""
    parts = (part.diff() == 1 for part in rows.split(BLOCK))
    return bool(len(rows) == 0 or rows[-1] - rows[0] == len(rows) - 1) and all(
        bool(part.all()) for part in parts
    )


def moments(x: Tensor) -> tuple[float, float]:
    """Mean and deviation of all numbers in ``x``; exact for uint8, from its histogram."""
    if x.dtype == torch.uint8:
        counts = torch.bincount(x.flatten(), minlength=256).double()
        values = torch.arange(256, dtype=torch.float64, device=counts.device)
        mean = (counts * values).sum() / counts.sum()
        variance = (counts * (values - mean).square()).sum() / counts.sum()
        return mean.item(), variance.sqrt().item()
    if isinstance(x, Coded):
        return x.moments()
    wide = x.double()
    return wide.mean().item(), wide.std(correction=0).item()
