"""``linnet serve`` beside LitServe, MLflow's own server and a plain FastAPI app around onnxruntime.

    python benchmarks/serving/run.py RUN --peers PYTHON [--seconds 5] [--core 0]

The model is the run's chosen one: linnet reads the run, MLflow the folder of ``linnet export --to
mlflow``, the others the file of ``linnet export --to onnx``. Each server has the same core, one
process where it can (LitServe has two, one for requests and one for the model), and is measured
alone, in turn; wrk has the other core. Rows come from the run's data. A server that does not give
linnet's probabilities within 1e-5 is not measured.

``PYTHON`` is that of an environment with ``requirements.txt``; for MLflow linnet is put on its
path, so what linnet needs must be there too (``--mlflow PYTHON`` names another environment).
wrk is Debian's package of that name.

For each number of connections and rows in a body: requests and rows a second, the median and the
99th percentile of the latency, and the CPU time of the server's processes for one request.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
CASES = ((1, 1), (16, 1), (1, 64), (4, 1000))
"""Connections, and rows in a body."""

DEMANDS = {
    (16, 1): (
        "at least 2,500 requests/s, p99 at most 15 ms",
        lambda a: a.rate >= 2500 and a.p99 <= 15,
    ),
    (1, 1): ("p50 at most 1.5 ms", lambda a: a.p50 <= 1.5),
    (4, 1000): ("at least 50,000 rows/s", lambda a: a.rate * 1000 >= 50_000),
}  # fmt: skip


class Peer(NamedTuple):
    """A server: how it is started, where it is asked, and what its body is around the rows."""

    name: str
    command: list[str]
    path: str = "/predict"
    around: str = "%s"


class Found(NamedTuple):
    rate: float
    p50: float
    p99: float
    cpu: float
    errors: int


def rows_of(run: Path, count: int) -> list[dict[str, Any]]:
    """Rows of the run's data, with the columns that the model takes, over and over."""
    sys.path.insert(0, str(SOURCE))
    import polars as pl

    from linnet.runs.run import load

    model = load(run)
    recipe = model.manifest.recipe
    frame = pl.read_csv(str(recipe["data"]), infer_schema_length=None)
    names = [field.name for field in model.schema.fields if field.used]
    known = frame.select(names).drop_nulls().to_dicts()
    return [known[i % len(known)] for i in range(count)]


def tree(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += tree(int(child))
    return found


def seconds_of(pid: int) -> float:
    """The CPU time of a process and all that it has started."""
    ticks = 0
    for each in tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """The resident megabytes of a process and all that it has started."""
    text = [Path(f"/proc/{each}/status").read_text() for each in tree(pid)]
    return sum(int(t.split("VmRSS:")[1].split()[0]) for t in text if "VmRSS:" in t) / 1024


def free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


def ask(port: int, path: str, body: bytes) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def shares(answer: Any) -> list[list[float]]:
    """The probabilities in an answer of any server."""
    found = []
    for row in answer["predictions"]:
        p = row.get("probabilities")
        if p is None:
            p = [value for key, value in row.items() if key.startswith("p_")]
        found.append(list(p.values()) if isinstance(p, dict) else p)
    return found


def wrk(port: int, path: str, body: bytes, connections: int, seconds: int, core: int) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f"wrk.body = [==[{body.decode()}]==]\n"
        )
        script.flush()
        words = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
                 "--timeout", "30s", "--latency", "-s", script.name,
                 f"http://127.0.0.1:{port}{path}"]  # fmt: skip
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def milliseconds(text: str, share: str) -> float:
    value, unit = re.search(rf"{share}\s+([\d.]+)(us|ms|s)\b", text).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def measured(
    pid: int, port: int, peer: Peer, body: bytes, connections: int, seconds: int, core: int
) -> Found:
    wrk(port, peer.path, body, connections, 1, core)  # warm
    before = seconds_of(pid)
    text = wrk(port, peer.path, body, connections, seconds, core)
    spent = seconds_of(pid) - before
    count = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])  # type: ignore[index]
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    lost = re.search(r"Socket errors: (.*)", text)
    errors = int(bad[1]) if bad else 0
    errors += sum(map(int, re.findall(r"\d+", lost[1]))) if lost else 0
    return Found(
        rate, milliseconds(text, "50%"), milliseconds(text, "99%"), spent / count * 1e6, errors
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--peers", help="the Python of an environment with requirements.txt")
    parser.add_argument("--mlflow", help="the Python of one with MLflow and what linnet needs")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    core, other = given.core, 1 - given.core
    python, peers = sys.executable, given.peers
    environment = {
        **os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    if given.mlflow:  # MLflow starts uvicorn by its name
        folder_of = str(Path(given.mlflow).parent)
        environment["PATH"] = os.pathsep.join([folder_of, environment["PATH"]])
    results: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        servers = [
            Peer("linnet", [python, "-P", "-m", "linnet", "serve", str(given.run), "--port"])
        ]
        if peers:
            file = Path(folder) / "model.onnx"
            linnet(python, environment, "export", given.run, "--to", "onnx", "--out", file)
            script = str(HERE / "peers.py")
            for name, around in (("fastapi", "%s"), ("litserve", '{"rows": %s}')):
                servers.append(Peer(name, [peers, script, name, str(file)], around=around))
        if given.mlflow:
            place = Path(folder) / "mlflow"
            linnet(python, environment, "export", given.run, "--to", "mlflow", "--out", place)
            words = [given.mlflow, "-m", "mlflow", "models", "serve", "-m", str(place),
                     "--env-manager", "local", "--workers", "1", "--port"]  # fmt: skip
            around = '{"dataframe_records": %s}'
            servers.append(Peer("mlflow", words, "/invocations", around))
        rows = rows_of(given.run, 1000)
        log = stack.enter_context(open(Path(folder) / "log", "w+b"))
        wanted: list[list[float]] | None = None
        for peer in servers:
            if given.only and peer.name not in (*given.only, "linnet"):
                continue
            port = free_port()
            start = time.monotonic()
            process = subprocess.Popen(
                ["taskset", "-c", str(core), *peer.command, str(port)], env=environment,
                stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
            )  # fmt: skip
            try:
                first = (peer.around % json.dumps(rows[:50])).encode()
                answer = waited(process, port, peer.path, first)
                ready = time.monotonic() - start
                p = shares(answer)
                wanted = wanted or p
                far = max(abs(a - b) for x, y in zip(p, wanted, strict=True)
                          for a, b in zip(x, y, strict=True))  # fmt: skip
                assert far < 1e-5, f"{peer.name}: probabilities differ by {far}"
                memory = resident(process.pid)
                print(f"\n{peer.name}: ready in {ready:.2f} s, {memory:.0f} MB", flush=True)
                results[peer.name] = {"ready": ready, "memory": memory, "cases": {}}
                for connections, count in CASES:
                    body = (peer.around % json.dumps(rows[:count])).encode()
                    found = measured(
                        process.pid, port, peer, body, connections, given.seconds, other
                    )
                    told(peer, connections, count, found)
                    results[peer.name]["cases"][f"{connections}x{count}"] = found._asdict()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if given.json:
        given.json.write_text(json.dumps({"load": os.getloadavg(), **results}, indent=1))
    return 0


def linnet(python: str, environment: dict[str, str], *words: object) -> None:
    subprocess.run(
        [python, "-P", "-m", "linnet", *map(str, words)], env=environment, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def waited(process: subprocess.Popen[bytes], port: int, path: str, body: bytes) -> Any:
    end = time.monotonic() + 120
    while True:
        try:
            return ask(port, path, body)
        except OSError as error:
            if process.poll() is not None:
                raise SystemExit(f"it ended with the code {process.returncode}") from error
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def told(peer: Peer, connections: int, count: int, found: Found) -> None:
    words = (
        f"  {connections:3d} connections, {count:5,d} rows: {found.rate:8,.0f} requests/s, "
        f"{found.rate * count:9,.0f} rows/s, p50 {found.p50:7.2f} ms, p99 {found.p99:7.2f} ms, "
        f"{found.cpu:8,.0f} us CPU a request"
    )
    if found.errors:
        words += f", {found.errors} ERRORS"
    if peer.name == "linnet" and (connections, count) in DEMANDS:
        demand, holds = DEMANDS[connections, count]
        words += f"; wanted {demand}: {'yes' if holds(found) else 'NO'}"
    print(words, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
