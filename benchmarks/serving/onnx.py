"""What an exported model costs in onnxruntime, on one core: its size, how long a session takes to
open, and CPU microseconds a row, one at a time and in bodies of a thousand.

    python benchmarks/serving/onnx.py FILE.onnx ...

Only numpy and onnxruntime are needed, so it also runs in an environment of an older onnxruntime.
Each figure is the least of several rounds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

ROUNDS, SECONDS = 7, 0.2
KINDS = {"tensor(double)": np.float64, "tensor(float)": np.float32, "tensor(int64)": np.int64,
         "tensor(uint8)": np.uint8}  # fmt: skip


def main(paths: list[str]) -> None:
    print(f"onnxruntime {onnxruntime.__version__}, one thread")
    print(f"{'file':28} {'KB':>7} {'open ms':>8} {'us, 1 row':>10} {'us a row of 1,000':>18}")
    for path in map(Path, paths):
        content = path.read_bytes()
        began = [timed(lambda: opened(content), 1) for _ in range(ROUNDS)]  # noqa: B023
        session = opened(content)
        one, many = (feed(session, rows) for rows in (1, 1000))
        single = per_call(lambda: session.run(None, one))  # noqa: B023
        several = per_call(lambda: session.run(None, many)) / 1000  # noqa: B023
        size = len(content) / 1000
        print(f"{path.name:28} {size:7.1f} {min(began) * 1e3:8.1f} {single * 1e6:10.1f} "
              f"{several * 1e6:18.2f}")  # fmt: skip


def opened(content: bytes) -> Any:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, settings, ["CPUExecutionProvider"])


def feed(session: Any, rows: int) -> dict[str, Any]:
    """Ordinary rows: ones, and for text words that the model does not know."""
    meta = session.get_modelmeta().custom_metadata_map
    fields = json.loads(meta["linnet"])["schema"]["fields"]
    known = {field["name"]: field["categories"] for field in fields if field["categories"]}
    found = {}
    for each in session.get_inputs():
        shape = (rows, *each.shape[1:])
        if each.type == "tensor(string)":
            words = known.get(each.name, ["a"])
            values = [words[row % len(words)] for row in range(rows)]
            found[each.name] = np.array(values, object)[:, None]
        else:
            found[each.name] = np.ones(shape, KINDS[each.type])
    return found


def timed(call: Callable[[], Any], times: int) -> float:
    """CPU seconds of a call."""
    begin = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begin) / times


def per_call(call: Callable[[], Any]) -> float:
    """The least CPU seconds of a call, of several rounds."""
    times = max(1, int(SECONDS / max(timed(call, 3), 1e-7)))
    return min(timed(call, times) for _ in range(ROUNDS))


if __name__ == "__main__":
    main(sys.argv[1:])
