"""The form of one example and of the target: the only way from raw input to a tensor."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from linnet.core.closed import Closed
from linnet.core.registry import suggest
from linnet.core.text import counted, listed
from linnet.data.column import Column
from linnet.data.pictures.ground import Layout
from linnet.data.reading import Fit, Label, Reading
from linnet.errors import DataError, LinnetWarning

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from linnet.data.codes import Codes
    from linnet.data.rows import Rows
    from linnet.data.table import Table

MAX_CLASSES = 10_000
"""More classes than this are refused: the outputs of a model would not fit."""

MAX_INPUTS = 10_000_000
"""More numbers than this in one example are refused."""


class Schema(Closed):
    """One example and its target.

    If the rows are encoded from a table, ``fields`` are its columns and ``missing`` the additional
    values that meant missing; a model then takes data frames. A "record" is a row of a table before
    it is encoded, in float64; see ``linnet.data.columns``.

    A picture is uint8 (channels, height, width); if it was read from a table, ``columns`` are its
    pixels. A row is float32 or float64 (columns,); its columns may have no names. ``pixels``
    is the meaning of floating-point pictures at prediction: "byte" refuses them; "unit" takes them
    as 0..1, as they were in the training data. If pictures were scaled to this shape (the setting
    ``size``), ``fit`` says how, and pictures that come later are scaled, too. ``ground`` is the
    brightness of the ground of the training pictures, and of their ink, and ``layout`` how the ink
    lies in them; see ``linnet.data.pictures.ground``.
    """

    example: Literal["picture", "row", "record"]
    shape: tuple[int, ...] = Field(min_length=1, max_length=3)
    dtype: Literal["uint8", "float32", "float64"]
    pixels: Literal["byte", "unit"] = "byte"
    fit: Fit | None = None
    ground: tuple[int, int] | None = None
    layout: Layout | None = None
    columns: tuple[str, ...] = ()
    fields: tuple[Column, ...] = ()
    missing: tuple[str, ...] = ()
    task: Literal["classification", "regression"]
    targets: tuple[str, ...] = Field(min_length=1)
    classes: tuple[Label, ...] = Field(default=(), max_length=MAX_CLASSES)
    class_kind: Literal["int", "float", "bool", "text"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Schema:
        inputs = 1
        for size in self.shape:
            if size < 1:
                raise ValueError(f"a shape of {self.shape} holds no number")
            inputs *= size
        if inputs > MAX_INPUTS:
            raise ValueError(f"{inputs:,} numbers in one example; at most {MAX_INPUTS:,}")
        if len(self.shape) != (3 if self.example == "picture" else 1):
            raise ValueError(f"a {self.example} does not have the shape {self.shape}")
        if self.example == "picture":
            if self.columns and len(self.columns) != inputs:
                raise ValueError(f"{len(self.columns)} column names for {inputs} pixels")
        elif self.columns and len(self.columns) != self.shape[0]:
            raise ValueError(f"{len(self.columns)} column names for {self.shape[0]} columns")
        guides = self.fit, self.ground
        if guides != (None, None) and (self.example != "picture" or self.dtype != "uint8"):
            raise ValueError("fit and ground go with pictures of whole numbers")
        if self.layout is not None and self.ground is None:
            raise ValueError("a layout goes with pictures of one ground")
        if self.fields:
            self._check_fields()
        self._check_classes()
        return self

    def _check_classes(self) -> None:
        """Raise if the classes do not agree with the task, the target and their kind."""
        if (self.task == "classification") != (self.class_kind is not None):
            raise ValueError("class_kind goes with classification, and only with it")
        if self.task == "regression":
            if self.classes:
                raise ValueError("regression has no classes")
            return
        if len(self.classes) < 2:
            raise ValueError(f"classification needs two classes, found {len(self.classes)}")
        if len(self.targets) != 1:
            raise ValueError("classification has one target")
        kind = {"int": int, "float": float, "bool": bool, "text": str}[str(self.class_kind)]
        if any(type(label) is not kind for label in self.classes):
            raise ValueError(f"the classes are not all of the kind {self.class_kind}")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class is listed twice")

    def _check_fields(self) -> None:
        """Raise if the fields do not agree with the encoded columns."""
        used = [field for field in self.fields if field.used]
        if len({field.name for field in self.fields}) != len(self.fields):
            raise ValueError("a field is listed twice")
        if self.example == "picture":
            raise ValueError("fields go with rows")
        if self.example != "row":
            return
        if self.columns != tuple(name for field in used for name in field.names):
            raise ValueError("the columns do not agree with the encoded fields")
        for field in used:
            wanted = 0 if field.kind == "category" else max(1, len(field.parts))
            if len(field.fill) != wanted:
                raise ValueError(f"{len(field.fill)} values to impute, expected {wanted}")

    @property
    def words(self) -> str:
        """What is known and what is predicted: "4 columns; predicts species (3 classes)"."""
        shape = " x ".join(map(str, self.shape))
        takes = (
            f"pictures of {shape}" if self.example == "picture" else counted(self.wide, "column")
        )
        many = f" ({len(self.classes):,} classes)" if self.task == "classification" else ""
        return f"{takes}; predicts {listed(self.targets, 3)}{many}"

    @property
    def wide(self) -> int:
        """How many columns an example is made from."""
        return sum(field.used for field in self.fields) or self.shape[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The classes as text, in order."""
        return tuple(str(label) for label in self.classes)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The name of each output of a line: a class (of two, the second) or a target."""
        if self.task == "regression":
            return self.targets
        return self.names if len(self.classes) > 2 else self.names[1:]

    @property
    def tabular(self) -> bool:
        """Whether the examples come from tables, by the names of columns."""
        return bool(self.fields) or (self.example == "picture" and bool(self.columns))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Which columns of a row are numbers: those of tables' numbers and dates, not the 0/1
        columns of categories, booleans and missing values. Of rows without ``fields``, all."""
        if not self.fields:
            return tuple(range(self.shape[0])) if self.example == "row" else ()
        found: list[int] = []
        place = 0
        for field in self.fields:
            if field.used:
                if field.kind in ("number", "date"):
                    found += range(place, place + len(field.fill))
                place += len(field.names)
        return tuple(found)

    @property
    def coded(self) -> bool:
        """Whether the rows of tables are encoded as ``linnet.data.coded.Coded``."""
        from linnet.data import columns

        return self.example == "row" and any(columns.coded(self.fields))

    def encode(self, raw: Any) -> Tensor:
        """Raw examples as ``(rows, *shape)`` in the dtype of the training data.

        A single picture is (height, width) or (channels, height, width), a single row (columns,);
        a batch has one more dimension. If the model was trained on a table, ``raw`` is a data frame
        (pandas, polars, pyarrow, ...), matched by the names of its columns; or a mapping from these
        names to the values of a row, or a list of such rows.
        """
        import numpy as np
        import torch

        from linnet.data.memory.frames import Frames

        if isinstance(raw, Mapping) or _are_rows(raw):
            return self._encode_mappings(raw)
        if self.tabular and Frames().matches(raw):
            return self.encode_table(Frames().read(raw, Reading(missing=self.missing)))
        array = self.encode_array(raw)
        if (told := self.look(array)) is not None:
            warnings.warn(told, LinnetWarning, stacklevel=2)
        return torch.from_numpy(np.require(array, requirements=["C", "W"]))

    def _encode_mappings(self, raw: Any) -> Tensor:
        import torch

        from linnet.data.coded import coded
        from linnet.data.codes import Codes

        if self.example == "picture" and not self.columns:
            raise DataError("the model takes pictures, not rows with names: give arrays of pixels")
        x, notes = self.encode_rows([raw] if isinstance(raw, Mapping) else raw)
        for note in notes:
            warnings.warn(note, LinnetWarning, stacklevel=3)
        return coded(x) if isinstance(x, Codes) else torch.from_numpy(x)

    def encode_array(self, raw: Any) -> np.ndarray[Any, Any]:
        """The same for raw examples that are no data frame, as an array of NumPy; needs no
        PyTorch. It may share the memory of ``raw``."""
        import numpy as np

        from linnet.data.memory.values import as_array

        if self.fit is not None and isinstance(raw, (list, tuple)) and raw:
            found = [as_array(one, "a picture") for one in raw]
            if found[0].ndim > 1:  # pictures, which may differ in size
                return np.concatenate([self.encode_array(one) for one in found])
        array = as_array(raw, "the input")
        if array.dtype.kind not in "buif":
            raise DataError(f"the input holds {array.dtype}; expected numbers")
        array = self._batch(array)
        array = self._pixels(array) if self.dtype == "uint8" else array.astype(self.dtype)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row, *place = (int(i[0]) for i in np.nonzero(~np.isfinite(array)))
            where = f'column "{self.columns[place[0]]}"' if self.columns else f"place {place}"
            raise DataError(
                f"row {row}, {where}: {array[(row, *place)]} where a finite number was expected; "
                "replace or drop missing values first"
            )
        return array

    def look(self, pictures: np.ndarray[Any, Any]) -> str | None:
        """A warning if pictures (rows, *shape) have another ground than those of training, more of
        them than training itself could have."""
        if self.ground is None:
            return None
        from linnet.data.pictures.ground import ALIKE, inverted

        count, rows = inverted(pictures, self.ground), len(pictures)
        if count <= (1 - ALIKE) * rows:
            return None
        alone = "" if count == rows else "; it swaps all pictures, so predict these alone"
        own, other = ("dark", "light") if self.ground[0] < self.ground[1] else ("light", "dark")
        return (
            f"{count:,} of {counted(rows, 'picture')} {'has' if rows == 1 else 'have'} a {other} "
            f"edge, and the training pictures a {own} one; if dark and light are swapped, add "
            f"--invert (in Python: invert=True, or 255 - x){alone}"
        )

    def reading(self, reading: Reading) -> Reading:
        """The settings to read a table for this schema: ``reading`` with these column kinds."""
        kinds = {field.name: field.kind for field in self.fields if field.used}
        return reading.model_copy(update={"columns": kinds, "drop": ()})

    def encode_rows(self, rows: Sequence[Mapping[str, Any]]) -> Rows:
        """Rows of a table, each a mapping from the names of columns to values as JSON has them, as
        arrays of NumPy with the same bits as ``encode`` gives a data frame of the row; and notes.

        Needs neither PyTorch nor, for usual values, polars; quick for a few rows. For more than one
        call make a ``linnet.data.rows.Encoder`` and keep it.
        """
        from linnet.data.rows import Encoder

        return Encoder(self).encode(rows)

    def encode_table(self, table: Table) -> Tensor:
        """Encode the rows of a table as examples (rows, columns); this empties the table.

        Warns about values that the training rows did not have.
        """
        import torch

        from linnet.data.coded import coded
        from linnet.data.codes import Codes

        name = table.name
        x, told = self.table_arrays(table)
        for text in told:
            warnings.warn(f"{name}: {text}", LinnetWarning, stacklevel=3)
        return coded(x) if isinstance(x, Codes) else torch.from_numpy(x)

    def table_arrays(self, table: Table) -> tuple[np.ndarray[Any, Any] | Codes, list[str]]:
        """The same as arrays of NumPy, and the warnings; needs no PyTorch."""
        from linnet.data import columns

        if self.example == "picture":
            from linnet.data import pixels

            return pixels.encode(table, self.columns, self.shape), []
        rows = columns.records(self.fields, table, self.missing)
        told = [f"the column {text}" for text in columns.unknown(self.fields, rows)]
        return columns.as_arrays(self.fields, rows, self.dtype, self.fields), told

    def learn(
        self,
        records: np.ndarray[Any, Any],
        rows: np.ndarray[Any, Any] | None,
        most: int,
        seed: int = 0,
    ) -> Schema:
        """The schema of encoded rows, learnt from ``records`` (rows, used columns).

        ``rows`` are the numbers of the training rows; None means all. If there are more than
        ``most`` categories, the rarest share a column. ``seed`` draws rows if they are very many.
        """
        from linnet.data import columns

        used = [field for field in self.fields if field.used]

        def learn(index: int) -> tuple[Column, bool]:
            values = records[:, index]
            return columns.learn(used[index], values if rows is None else values[rows], most, seed)

        return self.learnt(columns.in_threads(learn, range(len(used))))

    def learnt(self, learnt: Sequence[tuple[Column, bool]]) -> Schema:
        """The schema of encoded rows, from what ``columns.learn`` says of each used column."""
        narrow = all(enough for _, enough in learnt)
        left = iter(learnt)
        fields = [next(left)[0] if field.used else field for field in self.fields]
        names = tuple(name for field in fields for name in field.names if field.used)
        plain = {key: getattr(self, key) for key in type(self).model_fields}
        changed = {
            "example": "row",
            "shape": (len(names),),
            "columns": names,
            "fields": tuple(fields),
            "dtype": "float32" if narrow else "float64",
        }
        return Schema(**{**plain, **changed})

    def _batch(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """``array`` as a batch of examples; pictures are scaled, if those in training were."""
        shape = self.shape
        if array.shape[1:] == shape:
            return array
        if array.shape == shape:
            return array[None]
        if self.example == "picture":
            found = self._arranged(array)
            if found is not None and found.shape[1:] == shape:
                return found
            if found is not None and self.fit is not None:
                return self._scaled(self._pixels(found))
        hint = (
            "scale the pictures first, or train with a size (size=32, ...), and the model will"
            if self.example == "picture"
            else "give the columns " + ", ".join(self.columns[:8])
            if not self.fields
            else "give a data frame with the columns "
            + ", ".join(field.name for field in self.fields[:20] if field.used)
        )
        raise DataError(
            f"an input of shape {array.shape} is neither a {self.example} of shape {shape} nor a "
            f"batch of them; {hint}"
        )

    def _arranged(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
        """One picture or several, with their channels first or last, or grey ones without, as
        (rows, channels, height, width) of any size; None if it is no such array."""
        channels = self.shape[0]
        if channels == 1 and array.ndim in (2, 3) and array.shape[-1] != 1:
            return array.reshape(-1, 1, *array.shape[-2:])
        if array.ndim == 2:
            array = array[None]
        if array.ndim == 3:
            array = array[None]
        if array.ndim != 4:
            return None
        if array.shape[1] in (1, channels):  # grey is a colour, too
            return array.repeat(channels // array.shape[1], axis=1)
        return array.transpose(0, 3, 1, 2) if array.shape[3] == channels else None

    def _scaled(self, pictures: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Pictures (rows, channels, height, width) of uint8, scaled to the shape of the schema."""
        import numpy as np

        from linnet.data.pictures.picture import fitted

        assert self.fit is not None
        height, width = self.shape[1:]
        return np.stack([fitted(picture, (height, width), self.fit) for picture in pictures])

    def _pixels(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Pixels as uint8, exactly or not at all."""
        import numpy as np

        if array.dtype == np.uint8:
            return array
        if array.dtype.kind == "f":
            if self.pixels == "byte":
                raise DataError(
                    f"the pictures are {array.dtype}; the model learned from whole numbers 0 to "
                    "255: give uint8 (for floats in 0..1, (x * 255).round() as uint8)"
                )
            result = unit_pixels(array)
            if result is None:
                raise DataError(
                    "the pictures are not k/255 for whole k from 0 to 255, as the training data "
                    "were: undo any normalisation, or give uint8"
                )
            return result
        if array.size and (array.min() < 0 or array.max() > 255):
            raise DataError(
                f"pixels from {array.min()} to {array.max()}; expected whole numbers 0 to 255"
            )
        codes: np.ndarray[Any, Any] = array.astype(np.uint8)
        return codes

    def encode_labels(self, labels: np.ndarray[Any, Any]) -> Tensor:
        """Class labels ``(rows,)`` as int64 codes; raises DataError for an unknown label."""
        import torch

        code = {label: index for index, label in enumerate(self.classes)}
        codes = []
        for row, label in enumerate(labels.tolist()):
            if label not in code:
                raise DataError(
                    f"row {row}: the label {label!r} is not among the classes; "
                    f"{suggest(str(label), self.names)}"
                )
            codes.append(code[label])
        return torch.tensor(codes, dtype=torch.int64)

    def decode(self, codes: Tensor) -> np.ndarray[Any, Any]:
        """Class codes ``(rows,)`` as an array of labels."""
        import numpy as np

        labels: np.ndarray[Any, Any] = np.asarray(self.classes)[codes.cpu().numpy()]
        return labels


def _are_rows(raw: Any) -> bool:
    """Whether it is a list of rows, each a mapping."""
    return isinstance(raw, (list, tuple)) and bool(raw) and isinstance(raw[0], Mapping)


def unit_pixels(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """Floats in 0..1 as uint8 if they are exactly k/255 (as ``ToTensor`` gives them), else None."""
    import numpy as np

    scaled = np.rint(array.astype(np.float32) * np.float32(255))
    if not np.isfinite(scaled).all() or (array.size and (scaled.min() < 0 or scaled.max() > 255)):
        return None
    codes: np.ndarray[Any, Any] = scaled.astype(np.uint8)
    exact = np.abs(codes.astype(np.float32) / np.float32(255) - array) <= 1e-6
    return codes if exact.all() else None
