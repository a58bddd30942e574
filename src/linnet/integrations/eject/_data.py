"""How a script reads the run's data.

It loads scikit-learn's data sets from there, and reads IDX and CIFAR files directly. For all other
data it reads a file of encoded rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from linnet.data import BUILTIN, known
from linnet.data.pictures import cifar, idx
from linnet.data.reading import Label
from linnet.data.schema import Schema
from linnet.fit.recipe import Recipe
from linnet.integrations.eject._text import code, quoted, spread


@dataclass(frozen=True)
class Reader:
    """``text`` is code that defines ``x`` and ``y``; ``imports`` are its imports."""

    text: str
    place: str | None
    imports: tuple[str, ...] = ()


def reader(place: str, recipe: Recipe, schema: Schema) -> Reader | None:
    """The code that reads ``place`` without linnet; None if NumPy alone is not enough."""
    if recipe.size:
        return None
    if place in BUILTIN:
        return _builtin(place, recipe, schema)
    folder = known.find(place) if place in known.KNOWN else Path(place)
    if not folder.is_dir():
        return None
    names = known.KNOWN[place].classes if place in known.KNOWN else None
    found = idx.find_folder(folder)
    if found is not None:
        return _idx(found, recipe, schema, names)
    if cifar.find(folder) is not None and names is not None:
        return _cifar(folder, recipe, schema, names)
    return None


def encoded(place: str, schema: Schema, weighted: bool, soft: bool) -> Reader:
    """The code that reads encoded rows from a ``.npz``."""
    if schema.task == "regression":
        about = "numbers to predict"
    else:
        about = "probabilities of classes" if soft else "codes of the classes"
    weights = 'weight = torch.from_numpy(held["weight"])' if weighted else ""
    return Reader(
        code(
            """
            # the data: examples as linnet encoded them, and $about

            with np.load(DATA) as held:
                x, y = torch.from_numpy(held["x"]), torch.from_numpy(held["y"])
                $weights
            """,
            about=about,
            weights=weights,
        ),
        place,
    )


def _builtin(place: str, recipe: Recipe, schema: Schema) -> Reader:
    if place == "digits":
        read = code(
            """
            # the data: pictures as bytes, (rows, channels, height, width)

            digits = load_digits()
            x = torch.from_numpy(digits.images.astype(np.uint8))[:, None]
            y = torch.from_numpy(digits.target)
            """
        )
        names: Sequence[Label] = tuple(range(10))
    else:
        import sklearn.datasets

        read = code(
            """
            # the data: a row for each example

            table = load_$place()
            x, y = torch.from_numpy(table.data), torch.from_numpy(table.target)
            """,
            place=place,
        )
        bunch = getattr(sklearn.datasets, f"load_{place}")()
        names = [str(name) for name in getattr(bunch, "target_names", [])]
    imports = (f"from sklearn.datasets import load_{place}",)
    return Reader("\n".join([read, *_select(recipe, schema, names)]), None, imports)


def _idx(folder: Path, recipe: Recipe, schema: Schema, names: Sequence[Label] | None) -> Reader:
    parts = [part for part in idx.PARTS if idx.find(folder, part, "images") is not None]
    files = {
        what: [
            f"idx({quoted(path.name)})" for part in parts if (path := idx.find(folder, part, what))
        ]
        for what in ("images", "labels")
    }
    read = code(
        """
        # the data: pictures as bytes, (rows, channels, height, width); test rows come last


        def idx(name):
            \"\"\"An IDX file: the kind of number, how many sizes, the sizes, the bytes.\"\"\"
            content = (DATA / name).read_bytes()
            if content[:2] == b"\\x1f\\x8b":
                content = gzip.decompress(content)
            count = content[3]
            sizes = np.frombuffer(content, ">i4", count, offset=4)
            return np.frombuffer(content, np.uint8, offset=4 + 4 * count).reshape(sizes)


        $images
        $labels
        """,
        images=_joined("x", files["images"], "[:, None]"),
        labels=_joined("y", files["labels"], ".long()"),
    )
    return Reader("\n".join([read, *_select(recipe, schema, names)]), str(folder))


def _cifar(folder: Path, recipe: Recipe, schema: Schema, names: Sequence[Label]) -> Reader:
    found = cifar.find(folder)
    assert found is not None
    place, labels = found
    if labels == 1:
        batches = sorted(path.name for path in place.glob("data_batch_*.bin"))
        files = [*batches, "test_batch.bin"]
    else:
        files = ["train.bin", "test.bin"]
    read = code(
        """
        # the data: pictures as bytes, (rows, channels, height, width), each behind its label

        $files
        rows = np.concatenate([np.fromfile(DATA / name, np.uint8) for name in names])
        rows = rows.reshape(-1, $width)
        x = torch.from_numpy(rows[:, $labels:].reshape(-1, 3, 32, 32))
        y = torch.from_numpy(rows[:, $code]).long()
        """,
        files=spread("names = [", [quoted(name) for name in files], "]"),
        width=str(cifar.PIXELS + labels),
        labels=str(labels),
        code=str(labels - 1),
    )
    return Reader("\n".join([read, *_select(recipe, schema, names)]), str(place))


def _joined(name: str, parts: Sequence[str], then: str) -> str:
    array = f"np.concatenate([{', '.join(parts)}])" if len(parts) > 1 else f"{parts[0]}.copy()"
    line = f"{name} = torch.from_numpy({array}){then}"
    if len(line) <= 100:
        return line
    inner = spread("np.concatenate([", parts, "])", 4).replace("\n", "\n    ")
    return f"{name} = torch.from_numpy(\n    {inner}\n){then}"


def _select(recipe: Recipe, schema: Schema, names: Sequence[Label] | None) -> list[str]:
    """The code that makes class codes 0, 1, ... of the kept classes, or one against all others."""
    if schema.task == "regression":
        return []

    def number(label: Label) -> int:
        texts = [str(name) for name in names] if names else []
        return texts.index(str(label)) if names else int(label)

    found = []
    own = range(len(names)) if names else ()
    if recipe.classes is not None:
        kept = sorted(number(label) for label in recipe.classes)
        found.append(f"kept = torch.isin(y, torch.tensor({kept}))")
        found.append("x, y = x[kept], y[kept]")
        own = ()
    else:
        kept = [number(label) for label in schema.classes] if recipe.positive is None else []
    if recipe.positive is not None:
        found.append(f"y = (y == {number(recipe.positive)}).long()")
    elif kept != list(own or range(len(kept))):
        found.append(f"y = torch.searchsorted(torch.tensor({kept}), y)")
    return found
