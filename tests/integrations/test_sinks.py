"""Sinks: what of a record arrives, once, in order, whatever the service does."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import typer
from typer.testing import CliRunner

import linnet
from helpers import command, seen
from linnet.cli.sync import sync
from linnet.compat.visdom import Visdom
from linnet.core import events as typed
from linnet.core.events import Start
from linnet.core.history import History
from linnet.core.record import Event, Record
from linnet.errors import InputError, LinnetWarning, RecipeError, WorkError
from linnet.integrations.sinks import SINKS, find, follower
from linnet.integrations.sinks.base import Sink, identity, picture_path, recipe
from linnet.integrations.sinks.visdom import _templates
from linnet.runs import directory, events

PACKAGES = {"mlflow": "mlflow", "tensorboard": "tensorboard", "trackio": "trackio"}
PACKAGES |= {"visdom": "visdom", "wandb": "wandb"}


class Memory(Sink):
    """Keeps what arrives; fails ``failures`` times, at the event number ``at``."""

    options = ("colour",)
    events: ClassVar[list[Event]] = []
    calls: ClassVar[list[tuple[Any, ...]]] = []
    failures: ClassVar[list[BaseException]] = []
    at: ClassVar[int] = 0

    def open(self, run: Path, options: Mapping[str, str]) -> None:
        self.calls.append(("open", dict(options)))

    def write(self, event: Event) -> None:
        if self.failures and len(self.events) == self.at:
            raise self.failures.pop()
        super().write(event)
        self.events.append(event)

    def scalars(self, values: dict[str, float], step: int, wall: float) -> None:
        self.calls.append(("scalars", values, step, wall))

    def summary(self, values: dict[str, float], wall: float) -> None:
        self.calls.append(("summary", values))

    def text(self, tag: str, text: str, step: int, wall: float) -> None:
        self.calls.append(("text", tag, text))

    def picture(self, tag: str, event: Event, step: int, wall: float) -> None:
        self.calls.append(("picture", tag, event["file"]))

    def close(self) -> None:
        self.calls.append(("close",))


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> type[Memory]:
    for name in ("events", "calls", "failures"):
        monkeypatch.setattr(Memory, name, [])
    monkeypatch.setitem(SINKS, "memory", f"{__name__}:Memory")
    monkeypatch.setattr(follower, "POLL_SECONDS", 0.05)
    return Memory


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on digits, with a program's windows beside it."""
    path = tmp_path_factory.mktemp("sinks") / "digits <b>1"
    linnet.train("digits", out=path, epochs=2)
    viz = Visdom(run=path)
    for step in range(5):
        opts = {"title": "mine", "legend": ["a", "b"]}
        viz.line([[1 / (step + 1), step]], [step], win="two", update="append", opts=opts)
    viz.images(torch.rand(4, 1, 8, 8), win="x", opts={"caption": "four"})
    viz.text("<i>[1 2 3]</i>", win="pred")
    viz.scatter([[1, 2], [3, 4]], [1, 2], win="points")
    viz.bar([1, 2, 3], win="bars", opts={"rownames": ["p", "q", "r"]})
    viz.heatmap([[1, 2], [3, 4]], win="heat")
    viz.text("elsewhere", win="pred", env="other")
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    copy = tmp_path / trained.name
    shutil.copytree(trained, copy)
    return copy


def write_run(path: Path, steps: int, state: str = "finished") -> Path:
    """A record of ``steps`` steps, and nothing else of a run."""
    path.mkdir(exist_ok=True)
    record = Record(path / "events.jsonl")
    record.write(typed.Start(format=1, wall=directory.now(), data="none"))
    for step in range(steps):
        values = {"loss": 1 / (step + 1)}
        record.write(typed.Step(model="mlp", step=step, epoch=0, values=values))
    record.close()
    directory.write_status(path, state)
    return path


def steps_of(found: list[Event]) -> list[int]:
    return [event["step"] for event in found if event["event"] == "step"]


@pytest.mark.parametrize("name", SINKS)
def test_every_sink_listed_is_one(name: str) -> None:
    assert issubclass(find(name), Sink)


def test_an_unknown_sink_is_named() -> None:
    with pytest.raises(RecipeError, match='unknown sink "tensorbord"; did you mean "tensorboard"'):
        find("tensorbord")


def test_another_package_brings_a_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[linnet.sinks]\nother = {__name__}:Memory\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find("other") is Memory


def test_a_run_arrives_under_the_names_of_its_models(run: Path, memory: type[Memory]) -> None:
    count = follower.follow(run, "memory", {"colour": "red"})
    record = events.read_all(run / "events.jsonl")
    (begun, *_) = record
    assert memory.calls[0] == ("open", {"colour": "red"}) and memory.calls[-1] == ("close",)
    assert count == len(memory.events) > len(record)
    curves = History.of(record).series()
    assert isinstance(begun, Start)
    for model, part, key in [
        ("mlp", "train", "loss"),
        ("mlp", "train", "lr"),
        ("mlp", "train", "accuracy"),
        ("linear", "valid", "accuracy"),
    ]:
        tag = f"{model}/{part}/{key}"
        scalars = [call for call in memory.calls if call[0] == "scalars" and tag in call[1]]
        curve = curves[model][part]
        points = zip(curve["step"], curve["time"], curve[key], strict=True)
        given = [point for point in points if point[2] is not None]
        assert [(call[2], call[1][tag]) for call in scalars] == [(s, v) for s, _, v in given]
        times = [call[3] for call in scalars]
        assert times == sorted(times)
        first = given[0][1]
        assert times[0] - follower._wall(begun, 0) == pytest.approx(first, abs=1e-5)
    scores = {k: v for call in memory.calls if call[0] == "summary" for k, v in call[1].items()}
    metrics = directory.read_metrics(run)["models"]
    assert scores["mlp/test/accuracy"] == metrics["mlp"]["test"]["accuracy"]
    assert not any("confusion" in tag for tag in scores)


def test_windows_of_programs_arrive_too(run: Path, memory: type[Memory]) -> None:
    follower.follow(run, "memory")
    points = [c for c in memory.calls if c[0] == "scalars" and "main/two/b" in c[1]]
    assert [(call[2], call[1]["main/two/b"]) for call in points] == [(i, i) for i in range(5)]
    assert ("text", "main/pred", "<i>[1 2 3]</i>") in memory.calls
    assert ("text", "other/pred", "elsewhere") in memory.calls
    (picture,) = (call for call in memory.calls if call[0] == "picture")
    assert picture[1] == "main/x" and (run / picture[2]).is_file()


def test_a_second_sync_sends_only_what_is_new(tmp_path: Path, memory: type[Memory]) -> None:
    run = write_run(tmp_path / "run", 10)
    assert follower.follow(run, "memory") == 11
    assert follower.follow(run, "memory") == 0
    with open(run / "events.jsonl", "a") as file:
        file.write('{"event":"step","time":1,"model":"mlp","step":10,"loss":0.5}\n{"event":"st')
    assert follower.follow(run, "memory") == 1  # and the torn line waits
    with open(run / "events.jsonl", "a") as file:
        file.write('ep","time":2,"model":"mlp","step":11,"loss":0.5}\n')
    assert follower.follow(run, "memory") == 1
    assert steps_of(memory.events) == list(range(12))
    walls = [event["wall"] for event in memory.events]
    assert walls == sorted(walls) and walls[-1] - time.time() < 60  # the start is remembered


def test_a_failing_service_is_tried_again(
    tmp_path: Path, memory: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    run = write_run(tmp_path / "run", 10)
    memory.failures += [ConnectionError("gone"), TimeoutError("slow")]
    monkeypatch.setattr(memory, "at", 5)
    with pytest.warns(LinnetWarning, match="memory: write failed: .*; trying again") as warned:
        follower.follow(run, "memory")
    assert len(warned) == 2
    assert steps_of(memory.events) == list(range(10))


def test_a_dead_service_is_given_up_and_goes_on_later(
    tmp_path: Path, memory: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run", 10)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    memory.failures += [ConnectionError("gone")] * 100
    monkeypatch.setattr(memory, "at", 5)
    with (
        pytest.warns(LinnetWarning, match="trying again"),
        pytest.raises(WorkError, match=r"given up after 0.2 s.*continues from here") as error,
    ):
        follower.follow(run, "memory", patience=0.2)
    assert error.value.exit_code == 1
    assert {name: (run / name).read_bytes() for name in before} == before
    memory.failures.clear()
    follower.follow(run, "memory")
    assert steps_of(memory.events) == list(range(10))


def test_a_stopped_sync_goes_on_where_it_was(
    tmp_path: Path, memory: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "run", 10)
    memory.failures += [KeyboardInterrupt()]
    monkeypatch.setattr(memory, "at", 5)
    with pytest.raises(KeyboardInterrupt):
        follower.follow(run, "memory")
    assert memory.calls[-1] == ("close",)
    follower.follow(run, "memory")
    assert steps_of(memory.events) == list(range(10))


def test_what_a_resume_took_back_is_not_sent(tmp_path: Path, memory: type[Memory]) -> None:
    run = write_run(tmp_path / "run", 10)
    record = Record(run / "events.jsonl")
    record.write(typed.Resume(model="mlp", step=4))
    record.write(typed.Step(model="mlp", step=5, values={"loss": 2.0}))
    record.close()
    follower.follow(run, "memory")
    assert steps_of(memory.events) == [0, 1, 2, 3, 4, 5]
    assert memory.events[-1]["loss"] == 2.0


TRAINER = """
import os, signal, sys, time
from pathlib import Path
from linnet.core import events
from linnet.core.record import Record
from linnet.runs import directory
path = Path(sys.argv[1])
path.mkdir()
with directory.Heartbeat(path):
    record = Record(path / "events.jsonl")
    record.write(events.Start(format=1, wall=directory.now()))
    for step in range(40):
        record.write(events.Step(model="mlp", step=step, values={"loss": 1.0}))
        time.sleep(0.02)
    if "kill" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.multiprocess
@pytest.mark.parametrize("how", ["end", "kill"])
def test_a_live_run_is_followed_to_its_end(tmp_path: Path, memory: type[Memory], how: str) -> None:
    run = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", TRAINER, str(run), how]) as trainer:
        while not run.is_dir():
            time.sleep(0.01)
        follower.follow(run, "memory", live=True)
        assert trainer.poll() is not None or how == "end"
    assert steps_of(memory.events) == list(range(40))


def test_wrong_requests_are_refused(
    tmp_path: Path, memory: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RecipeError, match='no option "color"; it has: colour'):
        follower.follow(write_run(tmp_path / "run", 1), "memory", {"color": "red"})
    with pytest.raises(InputError, match="there is no run"):
        follower.follow(tmp_path / "none", "memory")
    with pytest.raises(InputError, match=r"holds no events.jsonl"):
        follower.follow(tmp_path, "memory")
    monkeypatch.setattr(follower, "STARTING_SECONDS", 0.1)
    with pytest.raises(InputError, match=r"holds no events.jsonl"):
        follower.follow(tmp_path, "memory", live=True)


@pytest.mark.parametrize(("name", "package"), PACKAGES.items())
def test_a_missing_package_is_one_line_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    for module in [package, *(m for m in sys.modules if m.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(WorkError, match=rf'pip install "linnet\[{name}\]"'):
        follower.follow(write_run(tmp_path / "run", 1), name)


REFUSED = {
    "tensorbord": (2, 'unknown sink "tensorbord"; did you mean "tensorboard"?'),
    "memory,xyz": (2, 'unknown sink "xyz"; known: '),
    **{
        name: (2, f'the sink "{name}" needs the package {package}: pip install "linnet[{name}]"')
        for name, package in PACKAGES.items()
    },
}


@pytest.mark.parametrize("to", REFUSED)
def test_a_run_that_cannot_be_logged_is_refused_before_anything_is_read(
    to: str, tmp_path: Path, memory: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in PACKAGES.values():
        monkeypatch.setitem(sys.modules, package, None)
    code, words = REFUSED[to]
    for given in (to, to.split(","), ["memory", to]):
        with pytest.raises(InputError, match=re.escape(words)):
            linnet.train("no such data", to=given, out=tmp_path / "r")
    done = command("train", "no such data", "--to", to, columns=80, terminal=True, cwd=tmp_path)
    assert done.returncode == code and words in " ".join(seen(done.stderr))
    assert max(map(len, seen(done.stderr))) <= 80
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_sink_may_be_a_text(
    tmp_path: Path, memory: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[str] = []
    monkeypatch.setattr(directory, "follow", lambda path, sink: followed.append(sink))
    for number, given in enumerate(("memory", ["memory"], "memory, memory", None, ())):
        linnet.train("iris", model="linear", to=given, out=tmp_path / str(number))  # type: ignore[arg-type]
    assert followed == ["memory"] * 3
    with pytest.raises(RecipeError, match="expected names of sinks"):
        linnet.train("iris", to=[3])  # type: ignore[list-item]


def test_the_command_says_how_much_was_sent(tmp_path: Path, memory: type[Memory]) -> None:
    app = typer.Typer()
    app.command()(sync)
    run = str(write_run(tmp_path / "run", 3))
    done = CliRunner().invoke(app, [run, "--to", "memory", "--option", "colour=a=b"])
    assert done.exit_code == 0 and f"4 events of {run} sent to memory" in done.output
    assert memory.calls[0] == ("open", {"colour": "a=b"})
    wrong = CliRunner().invoke(app, [run, "--to", "memory", "--option", "colour"])
    assert wrong.exit_code == 2


def test_a_picture_is_read_from_the_run_alone(tmp_path: Path) -> None:
    (tmp_path / "run" / "media").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"x")
    (tmp_path / "run" / "media" / "a.png").write_bytes(b"x")
    (tmp_path / "run" / "media" / "link.png").symlink_to(tmp_path / "secret.png")
    for file in ("../secret.png", "media/../../secret.png", "media/link.png", "media/none.png"):
        assert picture_path(tmp_path / "run", {"file": file}) is None
    assert picture_path(tmp_path / "run", {"file": "media/a.png"}) is not None


def test_a_run_has_one_identity_wherever_it_lies(run: Path, trained: Path, tmp_path: Path) -> None:
    assert identity(run) == identity(trained)
    shutil.copytree(run, tmp_path / "renamed")
    assert identity(tmp_path / "renamed") != identity(run)
    assert recipe(run)["epochs"] == 2 and recipe(run)["model"] == '["linear","mlp"]'


# Against the real packages, each in a process of its own, as in use.


def need(package: str) -> None:
    if find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed")


def send(run: Path, name: str, *options: str, **variables: str) -> None:
    """Sync twice, as a process each; the second time there is nothing to send."""
    source = f"""
import sys
from pathlib import Path
from linnet.integrations.sinks.follower import follow
options = dict(text.split("=", 1) for text in sys.argv[2:])
print("sent", follow(Path(sys.argv[1]), {name!r}, options, patience=5))
"""
    command = [sys.executable, "-c", source, str(run), *options]
    for expected in (len(all_events(run)), 0):
        done = subprocess.run(
            command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, done.stderr
        assert f"sent {expected}\n" in done.stdout


def read(source: str, *arguments: str, **variables: str) -> Any:
    """What the program ``source`` prints last, as JSON."""
    command = [sys.executable, "-c", source, *arguments]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def all_events(run: Path) -> list[Event]:
    records = follower._records(run)
    return [event.plain() for path in records for event in events.read_all(path)]


def curve(run: Path, model: str, part: str, key: str) -> list[list[float]]:
    """``[step, value]`` of each point, as recorded."""
    found = History.of(events.read_all(run / "events.jsonl")).series()[model][part]
    return [[s, v] for s, v in zip(found["step"], found[key], strict=True) if v is not None]


def test_tensorboard_reads_what_was_sent(run: Path) -> None:
    need("tensorboard")
    send(run, "tensorboard")
    found = read(
        """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
board = EventAccumulator(sys.argv[1], {"scalars": 0, "images": 0, "tensors": 0})
board.Reload()
points = lambda tag: [[e.step, e.value] for e in board.Scalars(tag)]
print(json.dumps({
    "loss": points("mlp/train/loss"),
    "accuracy": points("linear/valid/accuracy"),
    "test": points("mlp/test/accuracy"),
    "two": points("main/two/b"),
    "text": board.Tensors("main/pred")[0].tensor_proto.string_val[0].decode(),
    "image": [[e.width, e.height] for e in board.Images("main/x")],
    "hparams": "epochs" in str(board.summary_metadata["_hparams_/session_start_info"]),
}))
""",
        str(run / "tensorboard"),
    )
    assert found["loss"] == [[s, pytest.approx(v)] for s, v in curve(run, "mlp", "train", "loss")]
    valid = curve(run, "linear", "valid", "accuracy")
    assert found["accuracy"] == [[step, pytest.approx(value)] for step, value in valid]
    test = directory.read_metrics(run)["models"]["mlp"]["test"]["accuracy"]
    assert found["test"] == [[0, pytest.approx(test)]]
    assert found["two"] == [[step, step] for step in range(5)]
    assert found["text"] == "<i>[1 2 3]</i>" and found["image"] == [[48, 12]]
    assert found["hparams"]


def test_mlflow_reads_what_was_sent(run: Path, tmp_path: Path) -> None:
    need("mlflow")
    uri = (tmp_path / "store").as_uri()
    send(run, "mlflow", f"uri={uri}")
    found = read(
        """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
number = client.get_experiment_by_name("linnet").experiment_id
(run,) = client.search_runs([number])
history = lambda key: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, key)]
print(json.dumps({
    "loss": history("mlp/train/loss"),
    "test": history("mlp/test/accuracy"),
    "params": run.data.params,
    "name": run.info.run_name,
    "status": run.info.status,
    "artifacts": [a.path for a in client.list_artifacts(run.info.run_id, "main")],
}))
""",
        uri,
        MLFLOW_ALLOW_FILE_STORE="true",
    )
    assert sorted(found["loss"]) == curve(run, "mlp", "train", "loss")
    assert found["test"] == [[0, directory.read_metrics(run)["models"]["mlp"]["test"]["accuracy"]]]
    assert found["params"]["epochs"] == "2" and found["status"] == "FINISHED"
    assert found["name"] == run.name and set(found["artifacts"]) >= {"main/x", "main/pred.txt"}


def test_wandb_keeps_what_was_sent_offline(run: Path) -> None:
    need("wandb")
    send(run, "wandb", "mode=offline", WANDB_SILENT="true")
    first, *_ = sorted((run / "wandb").glob("offline-run-*"), key=lambda path: path.stat().st_mtime)
    (file,) = first.glob("*.wandb")
    found = read(
        """
import json, sys
from pathlib import Path
from wandb.proto import wandb_internal_pb2 as proto

def messages(content):  # LevelDB's log: blocks of 32 KiB; parts with sum, length and kind
    place, message = 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        message += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield message
            message = b""

rows, summary, config, pictures = [], {}, {}, 0
key = lambda item: "/".join(item.nested_key) or item.key
for data in messages(Path(sys.argv[1]).read_bytes()):
    record = proto.Record()
    record.ParseFromString(data)
    row = {key(item): json.loads(item.value_json) for item in record.history.item}
    rows.append([row.get("mlp/step"), row.get("mlp/train/loss")])
    pictures += "main/x/path" in row
    summary |= {key(item): json.loads(item.value_json) for item in record.summary.update}
    config |= {key(item): json.loads(item.value_json) for item in record.run.config.update}
print(json.dumps({
    "loss": [row for row in rows if row[1] is not None],
    "test": summary["mlp/test/accuracy"], "epochs": config["epochs"], "pictures": pictures,
}))
""",
        str(file),
    )
    assert found["loss"] == curve(run, "mlp", "train", "loss")
    assert found["test"] == directory.read_metrics(run)["models"]["mlp"]["test"]["accuracy"]
    assert found["epochs"] == 2 and found["pictures"] == 1


def test_trackio_keeps_what_was_sent(run: Path, tmp_path: Path) -> None:
    need("trackio")
    folder = str(tmp_path / "trackio")
    send(run, "trackio", TRACKIO_DIR=folder)
    found = read(
        """
import json, sys
from trackio.sqlite_storage import SQLiteStorage
(name,) = SQLiteStorage.get_runs("linnet")
rows = SQLiteStorage.get_logs("linnet", name)
points = lambda tag: [[row["step"], row[tag]] for row in rows if tag in row]
print(json.dumps({
    "name": name, "loss": points("mlp/train/loss"), "test": points("mlp/test/accuracy"),
    "pictures": len(points("main/x")),
    "epochs": SQLiteStorage.get_run_config("linnet", name)["epochs"],
}))
""",
        TRACKIO_DIR=folder,
    )
    assert found["loss"] == curve(run, "mlp", "train", "loss")
    assert found["test"] == [[0, directory.read_metrics(run)["models"]["mlp"]["test"]["accuracy"]]]
    assert (found["name"], found["epochs"], found["pictures"]) == (run.name, 2, 1)


@pytest.fixture
def visdom_port(tmp_path: Path) -> Iterator[int]:
    """A real Visdom server, which fetches no scripts."""
    need("visdom")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    source = "from visdom.server.run_server import main; main()"
    options = ["-port", str(port), "-env_path", f"{tmp_path}/", "-bind_local"]
    with subprocess.Popen(
        [sys.executable, "-c", source, *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            wait_for(lambda: socket.create_connection(("127.0.0.1", port)).close())
            yield port
        finally:
            server.kill()


def wait_for(call: Callable[[], None]) -> None:
    for _ in range(300):
        try:
            return call()
        except OSError:
            time.sleep(0.1)
    pytest.fail("the server does not answer")


def test_a_visdom_server_shows_what_was_sent(run: Path, visdom_port: int) -> None:
    send(run, "visdom", f"port={visdom_port}", "env=mine")
    found = read(
        """
import json, sys
import visdom
client = visdom.Visdom(port=int(sys.argv[1]), use_incoming_socket=False)
print(json.dumps({env: json.loads(client.get_window_data(None, env)) for env in sys.argv[2:]}))
""",
        str(visdom_port),
        "mine",
        "mine_other",
    )
    assert found["mine_other"]["pred"]["content"] == "elsewhere"
    shown = found["mine"]
    traces = {trace["name"]: trace for trace in shown["mlp/loss"]["content"]["data"]}
    for name in ("train", "valid"):
        points = zip(traces[name]["x"], traces[name]["y"], strict=True)
        assert [list(point) for point in points] == curve(run, "mlp", name, "loss")
    two = shown["two"]["content"]["data"]
    assert [(trace["name"], trace["y"]) for trace in two][1] == ("b", [0, 1, 2, 3, 4])
    assert shown["two"]["title"] == "mine"
    assert shown["pred"]["content"] == "&lt;i&gt;[1 2 3]&lt;/i&gt;"
    assert shown["x"]["content"]["src"].startswith("data:image/png;base64,")
    assert shown["x"]["content"]["caption"] == "four"
    assert shown["heat"]["content"]["data"][0]["z"] == [[1, 2], [3, 4]]
    assert shown["bars"]["content"]["data"][0]["x"] == ["p", "q", "r"]
    assert [trace["x"] for trace in shown["points"]["content"]["data"]] == [[1], [3]]
    confusion = directory.read_metrics(run)["models"]["mlp"]["test"]["confusion"]
    assert shown["mlp/confusion"]["content"]["data"][0]["z"] == confusion
    assert shown["verdict"]["content"].startswith("The perceptron")
    assert shown["linear/weights"]["type"] == "image"


def test_the_weights_of_a_line_on_pictures_are_pictures(run: Path) -> None:
    pictures = _templates(run / "linear.safetensors")
    model = linnet.load(run, "linear")
    weight = model.module.state_dict()["linear.weight"].numpy().reshape(10, 1, 8, 8)
    assert pictures.shape == (10, 1, 8, 8) and pictures.min() >= 0 and pictures.max() <= 1
    assert (pictures - 0.5) * 2 * abs(weight).max() == pytest.approx(weight, abs=1e-6)
    assert _templates(run / "none.safetensors") is None


def test_a_visdom_server_that_is_not_there_is_given_up(run: Path) -> None:
    need("visdom")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = """
import sys
from pathlib import Path
from linnet.integrations.sinks.follower import follow
follow(Path(sys.argv[1]), "visdom", {"port": sys.argv[2]}, patience=0.1)
"""
    command = [sys.executable, "-c", source, str(run), str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "visdom: open failed: ConnectionError" in done.stderr and "given up" in done.stderr
