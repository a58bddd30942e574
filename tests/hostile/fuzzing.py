"""Every reader on files that were changed at random: a result or a ``LinnetError``, nothing else.

``python tests/hostile/fuzzing.py`` (``make fuzz``) prints a table of reader, seeds, inputs,
crashers, worst time and worst memory; ``fuzz`` is what the tests call. Inputs are read in a child
process under limits, and with an audit hook (``watching``); input ``index`` of a reader is a
function of the seed's number and the index alone.

What counts as a crasher: an exception that is no ``LinnetError``; a warning that is not linnet's;
words on standard error; a crash; more than ``SECONDS``; more than ``BYTES`` above what was held
before; and whatever ``watching`` tells of.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutation import mutate
from watching import watch

SECONDS = 10.0
BYTES = 1 << 30
CRASHERS = Path(__file__).with_name("crashers")
SOURCES = Path(os.environ.get("LINNET_FUZZ", "/nowhere"))
"""Where the data of the runs is that are read: a run names it, and it is read again."""

Files = dict[str, bytes]
"""A place by its files: their content by their names below it."""


@dataclass(frozen=True)
class Reader:
    """``seeds`` makes good places; ``read`` reads one as a user's command would."""

    seeds: Callable[[Path], list[Files]]
    read: Callable[[Path], object]
    only: tuple[str, ...] = ()
    """The ends of the names of the files that are changed; by default all."""


def of_folder(place: Path) -> Files:
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


# --------------------------------------------------------------------------------- good places


def _numbers() -> Any:
    import numpy as np

    return np.random.default_rng(7)


def _pictures() -> tuple[Any, Any]:
    import numpy as np

    return _numbers().integers(0, 256, (12, 3, 4), dtype=np.uint8), np.arange(
        12, dtype=np.uint8
    ) % 3


def _idx(array: Any) -> bytes:
    head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + bytes(array.tobytes())


def idx_seeds(folder: Path) -> list[Files]:
    x, y = _pictures()
    names = "train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"
    parts = dict(zip(names, map(_idx, (x[:8], y[:8], x[8:], y[8:])), strict=True))
    whole = {f"{name}-ubyte": content for name, content in parts.items()}
    return [whole, {k: v for k, v in whole.items() if k.startswith("train")}]


def gzip_seeds(folder: Path) -> list[Files]:
    import gzip

    pictures = [{f"{k}.gz": gzip.compress(v, mtime=0) for k, v in idx_seeds(folder)[0].items()}]
    return [*pictures, {"a.csv.gz": gzip.compress(_csv(), mtime=0)}]


def cifar_seeds(folder: Path) -> list[Files]:
    import numpy as np

    def batch(labels: int) -> bytes:
        rows = _numbers().integers(0, 256, (2, labels + 3072), dtype=np.uint8)
        rows[:, :labels] = [[0], [1]]
        return bytes(rows.tobytes())

    ten = {
        "data_batch_1.bin": batch(1),
        "test_batch.bin": batch(1),
        "batches.meta.txt": b"a\nb\nc\n",
    }
    return [ten, {"train.bin": batch(2), "test.bin": batch(2)}]


def picture_seeds(folder: Path) -> list[Files]:
    import io

    import numpy as np
    from PIL import Image

    deep = _numbers().integers(0, 65535, (6, 5)).astype(np.uint16)
    colour = Image.fromarray(_numbers().integers(0, 256, (6, 5, 3), dtype=np.uint8))

    def saved(image: Any, form: str, **options: Any) -> bytes:
        out = io.BytesIO()
        image.save(out, form, **options)
        return out.getvalue()

    exif = Image.Exif()
    exif[0x0112] = 6
    pictures = {
        "grey.png": saved(colour.convert("L"), "PNG"),
        "deep.png": saved(Image.fromarray(deep), "PNG"),
        "palette.png": saved(colour.convert("P"), "PNG", transparency=0),
        "alpha.png": saved(colour.convert("RGBA"), "PNG"),
        "moving.png": saved(colour, "PNG", save_all=True, append_images=[colour.rotate(90)]),
        "rgb.jpg": saved(colour, "JPEG", exif=exif),
        "cmyk.jpeg": saved(colour.convert("CMYK"), "JPEG", progressive=True),
        "interlaced.png": saved(colour, "PNG", optimize=True, exif=exif),
    }
    plain = saved(colour, "PNG")
    return [
        {f"a/{name}": content, "b/plain.png": plain}
        for name, content in pictures.items()
    ]  # fmt: skip


def npz_seeds(folder: Path) -> list[Files]:
    import io

    import numpy as np

    def saved(save: Callable[..., None], **arrays: Any) -> Files:
        out = io.BytesIO()
        save(out, **arrays)
        return {"a.npz": out.getvalue()}

    x, y = _pictures()
    table = _numbers().normal(size=(9, 2))
    return [
        saved(np.savez, X=x, y=y),
        saved(np.savez_compressed, X=table.astype(">f4"), y=np.array(["a", "b", "c"] * 3)),
        saved(np.savez, x_train=x, y_train=y, x_test=x[:4], y_test=y[:4]),
        saved(np.savez_compressed, X=np.asfortranarray(table), y=table[:, 0] > 0),
    ]


def _csv() -> bytes:
    rows = ["a,b,day,yes,y"]
    for row in range(24):
        day = f"2024-01-{1 + row:02}"
        even, answer = str(row % 2 == 0).lower(), "no" if row % 3 else "yes"
        rows.append(f"{row / 7:.3f},{'xyz'[row % 3]},{day},{even},{answer}")
    return "\n".join(rows).encode() + b"\n"


def csv_seeds(folder: Path) -> list[Files]:
    quoted = _csv().replace(b",x,", b',"x, ""and"" y",').replace(b",z,", b",,")
    semi = _csv().replace(b",", b";").replace(b".", b",")
    return [
        {"a.csv": _csv()},
        {"a.csv": quoted},
        {"a.csv": semi},
        {"a.csv": b"\xff\xfe" + _csv().decode().encode("utf-16-le")},
        {"a.csv": _csv().replace(b"\n", b"\r\n")},
    ]


def packed_seeds(folder: Path) -> list[Files]:
    import bz2
    import io
    import lzma
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", _csv())
        archive.writestr("about.md", "of a test")
    return [
        {"a.csv.xz": lzma.compress(_csv())},
        {"a.csv.bz2": bz2.compress(_csv())},
        {"a.zip": packed.getvalue()},
    ]


def jsonl_seeds(folder: Path) -> list[Files]:
    import csv
    import json

    rows = list(csv.DictReader(_csv().decode().splitlines()))
    lines = [
        json.dumps({**row, "n": number, "b": number % 2 == 0}) for number, row in enumerate(rows)
    ]
    return [{"a.jsonl": "\n".join(lines).encode()}]


def arrow_seeds(folder: Path) -> list[Files]:
    import io
    from datetime import date
    from typing import Literal

    import polars as pl

    words = pl.Series(["u", "v", None, "u"], dtype=pl.Categorical)
    days = [date(2024, 1, day) for day in range(1, 5)]
    text = ["a", "x" * 40, None, "é"]
    frame = pl.DataFrame({"n": [1.5, 2, 3, None], "i": range(4), "s": text, "c": words, "d": days})
    seeds = []
    kinds: tuple[Literal["uncompressed", "lz4", "zstd"], ...] = ("uncompressed", "lz4", "zstd")
    for compression in kinds:
        for level in (pl.CompatLevel.oldest(), pl.CompatLevel.newest()):
            packed = io.BytesIO()
            frame.write_ipc(packed, compression=compression, compat_level=level)
            seeds.append({"a.arrow": packed.getvalue()})
    return seeds


def parquet_seeds(folder: Path) -> list[Files]:
    import io

    import numpy as np
    import polars
    import pyarrow
    import pyarrow.parquet

    frame = polars.read_csv(io.BytesIO(_csv()), try_parse_dates=True)
    frame = frame.with_columns(c=polars.col("b").cast(polars.Categorical), n=polars.lit(None))
    seeds = []
    for compression in ("zstd", "snappy", "uncompressed", "gzip", "lz4"):
        out = io.BytesIO()
        frame.write_parquet(out, compression=compression, row_group_size=10)
        seeds.append({"a.parquet": out.getvalue()})
    table = pyarrow.table({
        "a": pyarrow.array(np.arange(20) / 3, mask=np.arange(20) % 5 == 0),
        "t": pyarrow.array([10**15 + i for i in range(20)], pyarrow.timestamp("us", "UTC")),
        "m": pyarrow.array([f"{i}.25" for i in range(20)]).cast(pyarrow.decimal128(9, 2)),
        "y": [str(i % 3) for i in range(20)],
    })  # fmt: skip
    for version, page in (("1.0", "1.0"), ("2.6", "2.0")):
        sink = io.BytesIO()
        pyarrow.parquet.write_table(
            table, sink, version=version, data_page_version=page, write_page_checksum=True,
            compression="snappy",
        )  # fmt: skip
        seeds.append({"a.parquet": sink.getvalue()})
    sink = io.BytesIO()
    encoding = {"i": "DELTA_BINARY_PACKED", "y": "DELTA_BYTE_ARRAY"}
    pyarrow.parquet.write_table(
        pyarrow.table({"i": np.arange(20) * 7, "y": [f"class {i % 3}" for i in range(20)]}),
        sink, use_dictionary=False, column_encoding=encoding, compression="none",
    )  # fmt: skip
    seeds.append({"a.parquet": sink.getvalue()})
    return seeds


def recipe_seeds(folder: Path) -> list[Files]:
    from linnet.fit.recipe import Recipe

    own = b"""model = "auto"
seed = 3
target = ["y"]
drop = ["a", "b"]
epochs = 3
lr = 1e-3
widths = [8, 4]
penalty = [0.1, 0.01]
device = "cpu"
class_weight = "balanced"
classes = ["x", "y"]
max_categories = 20
dropout = 0.5

[columns]
a = "number"
"b c" = "category"
"""
    return [{"r.toml": Recipe().toml().encode()}, {"r.toml": own}]


_RUNS: dict[Path, list[Path]] = {}


def runs(folder: Path) -> list[Path]:
    """Three small runs: pictures, a table with classes, a table with numbers."""
    if folder in _RUNS:
        return _RUNS[folder]
    import linnet

    source = folder / "source"
    source.mkdir(parents=True, exist_ok=True)
    (source / "t.csv").write_bytes(_csv() * 1)
    rows = (f"{row % 7},{row % 5 / 3:.3f},{row * 0.7 % 3:.2f}" for row in range(40))
    (source / "u.csv").write_text("a,b,y\n" + "\n".join(rows) + "\n")
    x, y = _pictures()
    import numpy as np

    x, y = np.concatenate([x] * 3), np.concatenate([y] * 3)
    small: dict[str, Any] = {"widths": [3], "epochs": 2, "seed": 1}
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, place, settings in (
            ("pictures", (x, y), {"model": "mlp", **small}),
            ("classes", source / "t.csv", {"model": "mlp", "target": "y", **small}),
            ("numbers", source / "u.csv", {"model": "linear", "target": "y"}),
        ):
            linnet.train(place, out=source / name, **settings)
            found.append(source / name)
    _RUNS[folder] = found
    return found


LEFT = ("report.html", ".lock")


def run_seeds(folder: Path) -> list[Files]:
    import hashlib

    seeds = []
    for path in runs(folder):
        seed = {
            name: content
            for name, content in of_folder(path).items()
            if not name.startswith("checkpoints") and name not in LEFT
        }
        sha = {
            name: hashlib.sha256(seed[name]).hexdigest()
            for name in ("recipe.toml", "split.safetensors", "metrics.json")
        }
        point = {"rows": 4, "loss": 1.0, "loss_interval": [0.5, 1.5], "score": 0.5,
                 "score_interval": [0.25, 0.75], "penalty": None}  # fmt: skip
        change = {"before": 4, "rows": 8, "loss_before": 1.0, "loss": 0.5, "fall": 0.5,
                  "fall_interval": [0.25, 0.75]}  # fmt: skip
        curve = {"format": 1, "of": sha, "score": "accuracy", "valid_rows": 9, "drawn": "random",
                 "points": {"mlp": [point, {**point, "rows": 8}]}, "changes": {"mlp": [change]},
                 "notes": ["a note"]}  # fmt: skip
        seed["learning_curve.json"] = json.dumps(curve).encode()
        seed["insight.json"] = json.dumps({"format": 1, "of": sha, **_insight()}).encode()
        seed["visdom-main.jsonl"] = _visdom()
        seeds.append(seed)
    return seeds


def _insight() -> dict[str, Any]:
    """Of each part of the file what the report draws, for a table and for both models."""
    both = ("linear", "mlp")
    column = {"columns": ["a", "b"], "loss": 0.5, "interval": [0.25, 0.75], "score": 0.1,
              "p_value": 0.01, "p_adjusted": 0.02, "significant": True, "why": None}  # fmt: skip
    every = {"measure": "log loss", "base": 0.5, "score": "accuracy", "rows": 20, "repeats": 5,
             "columns": [column, {**column, "columns": ["c"]}],
             "units": {"by": "group", "column": "c", "units": 4}}  # fmt: skip
    one = {"columns": ["a"], "values": [[0.5, 1.5]], "ordered": [True], "outputs": ["yes"],
           "curves": {name: [[0.25, 0.75]] for name in both}, "rows": 20,
           "classifies": True}  # fmt: skip
    curves = {name: [[[0.25, 0.5], [0.5, 0.75]]] for name in both}
    two = {**one, "columns": ["a", "b"], "values": [[0.5, 1.5], ["u", "v"]],
           "ordered": [True, False], "curves": curves}  # fmt: skip
    part = {"column": "a", "value": "u", "rows": 30, "score": 0.5, "interval": [0.25, 0.75],
            "rest": 0.75, "excess": 0.25, "excess_interval": [0.1, 0.4], "p_value": 0.01,
            "p_adjusted": 0.02, "worse": True}  # fmt: skip
    parts = {"score": "accuracy", "whole": 0.7, "rows": 60, "tested": 1,
             "slices": [part, {"column": "a", "value": "v", "rows": 3, "score": 0.5,
                               "interval": [0.1, 0.9], "why": "too few rows"}]}  # fmt: skip
    threshold = {"by_rows": "validation", "words": "words", "test": {},
                 "choice": {"by": "f1", "rows": 20, "chosen": {"threshold": 0.5}}}  # fmt: skip
    return {"why": {"pair": "a text"}, "importance": dict.fromkeys(both, every),
            "dependence": [one], "pair": two, "slices": dict.fromkeys(both, parts),
            "threshold": threshold}  # fmt: skip


def _visdom() -> bytes:
    line = {"name": "1", "x": [0, 1, 2], "y": [1.0, 0.5, "NaN"]}
    dots = {**line, "z": [1, 2, 3], "labels": ["a", "b", "c"]}
    file = "media/" + "0" * 64 + ".png"
    shown: list[dict[str, Any]] = [
        {"event": "start", "env": "main", "wall": "2026-01-01T00:00:00+00:00", "format": 1},
        {"event": "line", "win": "loss", "lines": [line], "opts": {"title": "Loss"}},
        {"event": "line", "win": "loss", "lines": [line], "update": "append"},
        {"event": "scatter", "win": "dots", "lines": [dots]},
        {"event": "bar", "win": "bars", "lines": [{"name": "1", "x": ["u", "v"], "y": [1, 2]}]},
        {"event": "heatmap", "win": "heat", "z": [[1, 2], [3, 4]], "rows": ["a", "b"]},
        {"event": "heatmap", "win": "heat", "z": [[5, 6]], "update": "appendRow"},
        {"event": "image", "win": "pic", "file": file, "width": 3, "height": 2},
        {"event": "text", "win": "words", "text": "hello<br>you", "append": True},
        {"event": "close", "win": "none"},
    ]  # fmt: skip
    return b"".join(
        json.dumps({**event, "time": number / 2}).encode() + b"\n"
        for number, event in enumerate(shown)
    )


def model_seeds(folder: Path) -> list[Files]:
    seeds = []
    for path in runs(folder):
        for name in ("constant", "linear", "mlp"):
            if (path / f"{name}.safetensors").is_file():
                seeds.append({"m.safetensors": (path / f"{name}.safetensors").read_bytes()})
    return seeds


def event_seeds(folder: Path) -> list[Files]:
    names = ("events.jsonl", "status.json")
    return [{name: (path / name).read_bytes() for name in names} for path in runs(folder)]


def visdom_seeds(folder: Path) -> list[Files]:
    return [{"visdom-main.jsonl": _visdom()}]


def zip_seeds(folder: Path) -> list[Files]:
    from linnet.runs import archive

    seeds = []
    for path in runs(folder):
        out = folder / f"{path.name}.zip"
        archive.pack(path, out)
        seeds.append({"r.zip": out.read_bytes()})
    return seeds


# ---------------------------------------------------------------------------------- the reading


def read_data(place: Path) -> object:
    from linnet.data.read import read

    files = [path for path in place.iterdir() if path.is_file()]
    if len(files) == 1 and files[0].suffix != ".bin":
        place = files[0]
    table = place.name.endswith((".csv", ".csv.gz", ".parquet"))
    return read(place, "y" if table else None)


def read_table_raw(place: Path) -> object:
    """The columns alone, without deciding what they are: three times as quick."""
    from linnet.data.read import read_raw
    from linnet.data.reading import Reading

    return read_raw(next(place.iterdir()), Reading())


def read_packed(place: Path) -> object:
    """A packed text; a zip in which no table is found would be unpacked into a folder."""
    from linnet.data.reading import Reading
    from linnet.data.text.csv import Csv

    path = next(place.iterdir())
    return Csv().read(path, Reading()) if Csv().matches(path) else None


def read_recipe(place: Path) -> object:
    from linnet.fit.recipe import Recipe
    from linnet.fit.settings import read_recipe

    recipe = Recipe.make(read_recipe(place / "r.toml"), "r.toml")
    return Recipe.make(_toml(recipe.toml()), "r.toml")


def _toml(text: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(text)


def read_model(place: Path) -> object:
    import numpy as np

    from linnet.fit import artifact

    model = artifact.load(place / "m.safetensors")
    schema = model.schema
    model.layers()
    if schema.fields:
        import polars

        used = [field for field in schema.fields if field.used]
        frame = polars.DataFrame({field.name: [None, None] for field in used})
        with contextlib.suppress(ValueError):
            return model.predict(frame)
    return model.predict(np.zeros((2, *schema.shape), schema.dtype))


def _each(*calls: Callable[[], object]) -> None:
    """All of the calls; that one is refused does not hold back the next."""
    from linnet.errors import LinnetError

    refusals = []
    for call in calls:
        try:
            call()
        except LinnetError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


def read_run(place: Path) -> object:
    """What lists, compares and opens runs."""
    from linnet.runs import directory, insights, query
    from linnet.runs.compare import differing
    from linnet.runs.curve import read as read_curve
    from linnet.runs.run import Run

    def opened() -> None:
        run = Run(place)
        _each(
            lambda: run.chosen and run.verdict, lambda: run.state, lambda: run.info, run.split,
            run.data_place, lambda: run._predictions(run.chosen), lambda: run.name,
            lambda: insights.read(run.place), lambda: insights.penalties(run), run.cv_plus,
            run.threshold, run.intervals,
        )  # fmt: skip

    _each(
        opened, lambda: directory.describe(place), lambda: query.facts(place),
        lambda: differing([place, place]), lambda: read_curve(place),
    )  # fmt: skip
    return None


def read_report(place: Path) -> object:
    """What draws a run: every figure of the report and of a notebook."""
    from linnet.runs.run import Run
    from linnet.show.report import page

    run = Run(place)
    _each(
        lambda: page.Page(static=False).run("r", run), run._repr_html_, lambda: run.model,
        run.learning_curve, run.weights,
    )  # fmt: skip
    return None


def read_zip(place: Path) -> object:
    from linnet.runs import query
    from linnet.runs.run import Run

    run = Run(place / "r.zip")
    _each(lambda: run.chosen and run.verdict, lambda: run.model, run.split, run.curves,
          run.confusion, run.residuals, lambda: run.info,
          lambda: query.facts(run.place))  # fmt: skip
    return None


def read_events(place: Path) -> object:
    from linnet.core.history import History
    from linnet.figures import curves
    from linnet.insight.diagnosis import diagnose
    from linnet.runs import events
    from linnet.show.view.follower import Follower

    found = events.read_all(place / "events.jsonl")
    history = History.of(found)
    series = history.series()

    def follow() -> None:
        follower = Follower(place, "r")
        follower.look()
        while follower.read():
            pass

    _each(
        follow,
        lambda: curves({"r": series}),
        lambda: curves({"r": series}, x="time", log=True, smoothing=0.5),
        lambda: diagnose(history, {"models": {}}, {}),
    )
    return None


def read_visdom(place: Path) -> object:
    from linnet.integrations.compat import windows
    from linnet.show.report.document import Document
    from linnet.show.report.windows import windows as drawn
    from linnet.show.view.windows import Windows

    for path in windows.environments(place).values():
        windows.windows(path)
    _each(lambda: drawn(Document(), place), lambda: Windows(place))
    return None


FILES_OF_RUN = (".json", ".parquet", "split.safetensors", ".toml", ".jsonl")

READERS: dict[str, Reader] = {
    "idx": Reader(idx_seeds, read_data),
    "gzip": Reader(gzip_seeds, read_data),
    "cifar": Reader(cifar_seeds, read_data),
    "pictures": Reader(picture_seeds, read_data),
    "npz": Reader(npz_seeds, read_data),
    "csv": Reader(csv_seeds, read_data),
    "parquet": Reader(parquet_seeds, read_data),
    "packed": Reader(packed_seeds, read_packed),
    "jsonl": Reader(jsonl_seeds, read_table_raw),
    "arrow": Reader(arrow_seeds, read_table_raw),
    "recipe": Reader(recipe_seeds, read_recipe),
    "model": Reader(model_seeds, read_model),
    "events": Reader(event_seeds, read_events, only=("events.jsonl",)),
    "visdom": Reader(visdom_seeds, read_visdom),
    "zip": Reader(zip_seeds, read_zip),
    "run": Reader(run_seeds, read_run, only=FILES_OF_RUN),
    "report": Reader(run_seeds, read_report, only=FILES_OF_RUN),
}


# ------------------------------------------------------------------------------------ the child


@dataclass
class Row:
    """What came of a reader's inputs."""

    reader: str
    seeds: int
    inputs: int = 0
    results: int = 0
    seconds: float = 0.0
    held: int = 0
    crashers: list[Crasher] = field(default_factory=list)


@dataclass(frozen=True)
class Crasher:
    """An input, by the file that it changes, and what was wrong."""

    index: int
    file: str
    content: bytes
    what: str


NUMBERS = struct.Struct("6q")
"""Of a reader, shared with the parent: next input, done, results, microseconds, bytes, spent."""


def case(reader: str, seed: int, index: int, places: Sequence[Files]) -> tuple[int, str, bytes]:
    """Which place is changed, which file of it, and to what."""
    rng = random.Random(f"{seed}/{reader}/{index}")
    at = rng.randrange(len(places))
    only = READERS[reader].only
    names = sorted(name for name in places[at] if not only or name.endswith(only))
    name = rng.choice(names)
    ending = name.rpartition(".")[2]
    others = [
        place[other] for place in places for other in sorted(place) if other.endswith(f".{ending}")
    ]
    return at, name, mutate(rng, name, places[at][name], others)


def _peak(reset: bool) -> int:
    """The most bytes held since the last reset."""
    if reset:
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        return 0
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) << 10
    return 0


def attempt(reader: Reader, place: Path) -> tuple[bool, str | None]:
    """Whether it is read, and what is wrong if it is neither that nor a refusal."""
    from linnet.errors import LinnetError, LinnetWarning

    result = False
    try:
        with warnings.catch_warnings(), watch(place, SOURCES) as seen:
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", LinnetWarning)
            reader.read(place)
            result = True
    except LinnetError as error:
        text = str(error)
        if "Traceback" in text or len(text) > 20_000:
            return False, f"a message of {len(text)} letters: {text[:200]}"
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if "/linnet/" in f.filename] or list(frames)
        at = f"{Path(own[-1].filename).name}:{own[-1].name}"
        return False, f"{type(error).__name__} at {at}: {str(error)[:200]}"
    return result, f"watched: {'; '.join(seen[:3])}" if seen else None


def child(names: Sequence[str], seed: int, count: int, folder: Path) -> None:
    """Read the inputs that are left; what is wrong goes to standard output as lines of JSON."""
    import torch

    torch.set_num_threads(1)
    noise = tempfile.TemporaryFile()  # noqa: SIM115
    os.dup2(noise.fileno(), 2)
    with open(folder / "shared", "r+b") as file:
        shared = mmap.mmap(file.fileno(), 0)
    for row, name in enumerate(names):
        reader = READERS[name]
        places = [of_folder(path) for path in sorted((folder / "seeds" / name).iterdir())]
        work = [folder / "work" / name / str(at) for at in range(len(places))]
        for place, seed_files in zip(work, places, strict=True):
            lay(place, seed_files)
            with contextlib.suppress(ValueError, RuntimeError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader.read(place)  # what is imported when first used is there now
        first, done, results, worst, held, spent = NUMBERS.unpack_from(shared, row * NUMBERS.size)
        with open("/proc/self/statm") as statm:
            virtual = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (virtual + 2 * BYTES, resource.RLIM_INFINITY))
        for index in range(first, count):
            at, changed, content = case(name, seed, index, places)
            path = work[at] / changed
            path.write_bytes(content)
            _peak(True)
            before = _peak(False)
            NUMBERS.pack_into(
                shared, row * NUMBERS.size, index + 1, done, results, worst, held, spent
            )
            struct.pack_into("d", shared, len(names) * NUMBERS.size, time.monotonic())
            start = time.perf_counter()
            result, wrong = attempt(reader, work[at])
            took = int((time.perf_counter() - start) * 1e6)
            more = _peak(False) - before
            path.write_bytes(places[at][changed])
            words = noise.seek(0, 2)
            if words:
                noise.seek(0)
                wrong = wrong or f"stderr: {noise.read(300).decode(errors='replace')}"
                noise.truncate(0)
            if took > SECONDS * 1e6:
                wrong = wrong or f"took {took / 1e6:.1f} s"
            if more > BYTES:
                wrong = wrong or f"held {more:,} bytes"
            done, results = done + 1, results + result
            worst, held, spent = max(worst, took), max(held, more), spent + took
            if wrong:
                print(json.dumps({"reader": name, "index": index, "what": wrong}), flush=True)
        NUMBERS.pack_into(shared, row * NUMBERS.size, count, done, results, worst, held, spent)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        struct.pack_into("d", shared, len(names) * NUMBERS.size, 0.0)


def lay(place: Path, content: Files) -> None:
    for name, part in content.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(part)


# ----------------------------------------------------------------------------------- the parent


def fuzz(names: Sequence[str], count: int, folder: Path, seed: int = 1) -> list[Row]:
    """``count`` inputs for each reader; a child that dies or hangs is started again after it."""
    rows, places = [], {}
    for name in names:
        seeds = READERS[name].seeds(folder / "runs")
        for number, content in enumerate(seeds):
            lay(folder / "seeds" / name / f"{number:03}", content)
        places[name] = seeds
        rows.append(Row(name, len(seeds)))
    size = len(names) * NUMBERS.size + 8
    (folder / "shared").write_bytes(bytes(size))
    (folder / "work").mkdir(exist_ok=True)
    command = [sys.executable, "-P", __file__, "--child", *names, "--inputs", str(count),
               "--seed", str(seed), "--folder", str(folder)]  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1",
           "LINNET_FUZZ": str(folder / "runs"),
           "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}  # fmt: skip
    with open(folder / "shared", "r+b") as file:
        shared = mmap.mmap(file.fileno(), 0)

    def told(lines: Iterator[str]) -> None:
        for line in lines:
            found = json.loads(line)
            add(found["reader"], found["index"], found["what"])

    def add(name: str, index: int, what: str) -> None:
        _, file, content = case(name, seed, index, places[name])
        row = rows[names.index(name)]
        row.crashers.append(Crasher(index, file, content, what))

    while True:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(command, stdout=out, stderr=errors, env=env)
            hung = False
            while process.poll() is None:
                time.sleep(0.05)
                (began,) = struct.unpack_from("d", shared, len(names) * NUMBERS.size)
                if began and time.monotonic() - began > SECONDS + 5:
                    process.kill()
                    process.wait()
                    hung = True
            out.seek(0)
            told(iter(out))
            errors.seek(0)
            words = errors.read()
        if process.returncode == 0:
            break
        row = next(
            (r for r in range(len(names))
             if NUMBERS.unpack_from(shared, r * NUMBERS.size)[0] < count), len(names) - 1
        )  # fmt: skip
        first, done, results, worst, held, spent = NUMBERS.unpack_from(shared, row * NUMBERS.size)
        if not first or done == first:
            raise RuntimeError(f"the child that reads {names[row]} cannot start: {words[-2000:]}")
        code = process.returncode
        what = f"exit {code}: {words[-300:]}"
        if hung or code < 0:
            what = f"took over {SECONDS:g} s" if hung else f"died of {signal.Signals(-code).name}"
        add(names[row], first - 1, what)
        NUMBERS.pack_into(shared, row * NUMBERS.size, first, done + 1, results, worst, held, spent)
        struct.pack_into("d", shared, len(names) * NUMBERS.size, 0.0)
    for number, row_found in enumerate(rows):
        _, done, results, worst, held, _ = NUMBERS.unpack_from(shared, number * NUMBERS.size)
        row_found.inputs, row_found.results = done, results
        row_found.seconds, row_found.held = worst / 1e6, held
    return rows


def kinds(row: Row) -> dict[str, list[Crasher]]:
    """The crashers by what was wrong, numbers and quotes aside; the shortest of each first."""
    import re

    found: dict[str, list[Crasher]] = {}
    for crasher in row.crashers:
        head = crasher.what.split(": ")[0] if " at " in crasher.what else crasher.what[:60]
        found.setdefault(re.sub(r"\d+", "N", head), []).append(crasher)
    return {kind: sorted(them, key=lambda c: len(c.content)) for kind, them in found.items()}


def keep(row: Row, root: Path) -> None:
    """One file of each kind of crasher, below ``root``: ``<reader>/<kind>/<the file's place>``."""
    import re

    for kind, crashers in kinds(row).items():
        name = re.sub(r"[^A-Za-z0-9_]+", "-", kind).strip("-")[:60]
        path = root / row.reader / name / crashers[0].file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(crashers[0].content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", help=f"of {', '.join(READERS)}; by default all")
    parser.add_argument("--inputs", type=int, default=50_000, help="for each reader")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the crashers that are found")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.seed, given.inputs, given.folder)
        return
    heads = ("seeds", "inputs", "read", "crashers", "worst s", "worst MB")
    print(f"{'reader':10} {heads[0]:>5}", *(f"{head:>8}" for head in heads[1:]))
    wrong = 0
    for name in given.readers or READERS:
        with tempfile.TemporaryDirectory() as folder:
            (row,) = fuzz([name], given.inputs, Path(folder), given.seed)
        print(
            f"{row.reader:10} {row.seeds:5} {row.inputs:8,} {row.results:8,} "
            f"{len(row.crashers):8,} {row.seconds:8.3f} {row.held / 1e6:8.1f}",
            flush=True,
        )
        for kind, crashers in kinds(row).items():
            first = crashers[0]
            print(f"    {len(crashers):6,} {kind}   e.g. {first.index}: {first.what[:200]}")
        wrong += len(row.crashers)
        if given.keep:
            keep(row, given.keep)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
