"""The drop-in for Visdom: what a program shows is what is read back."""

import json
import math
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from linnet.errors import InputError
from linnet.integrations.compat import windows
from linnet.integrations.compat.visdom import INSTEAD, Visdom
from linnet.integrations.compat.windows import Window
from linnet.runs import directory

CURVE = """
import torch
from torch import nn, optim
from linnet.compat.visdom import Visdom

viz = Visdom()
viz.line([0.], [0.], win='train_loss', opts=dict(title='train loss'))

net = nn.Linear(4, 3)
optimizer = optim.SGD(net.parameters(), lr=0.1)
criteon = nn.CrossEntropyLoss()
global_step = 0
for epoch in range(3):
    for batch_idx in range(5):
        data, target = torch.rand(8, 4), torch.randint(3, (8,))
        loss = criteon(net(data), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        global_step += 1
        viz.line([loss.item()], [global_step], win='train_loss', update='append')
"""

TWO = """
import numpy as np
import torch
import visdom_or_not as visdom

viz = visdom.Visdom(server='http://127.0.0.1', port=8097, use_incoming_socket=False)
assert viz.check_connection(timeout_seconds=3), 'No connection could be formed quickly'
viz.line([[0.0, 0.0]], [0.], win='test',
         opts=dict(title='test loss&acc.', legend=['loss', 'acc.']))
for step in range(1, 11):
    test_loss, correct = torch.tensor(1.0 / step), step / 10
    viz.line([[test_loss, correct]], [step], win='test', update='append')

vis = visdom.Visdom(env='seq2seq')
loss_plot = None
for epoch in range(4):
    y, x = np.array([[1.0 - epoch / 4, 1.1 - epoch / 4]]), np.column_stack((epoch, epoch))
    if loss_plot is None:
        loss_plot = vis.line(Y=y, X=x, opts=dict(legend=['train', 'valid'], showlegend=True))
    else:
        vis.line(X=x, Y=y, win=loss_plot, update='append')
"""

PICTURES = """
import torch
from linnet.compat.visdom import Visdom

torch.manual_seed(0)
viz = Visdom(env='digits')
x = torch.rand(20, 784)
logits = torch.randn(20, 10, requires_grad=True)
pred = logits.argmax(dim=1)
viz.images(x.view(-1, 1, 28, 28), win='x')
viz.text(str(pred.detach().cpu().numpy()), win='pred', opts=dict(title='pred'))
viz.image(x[0].view(28, 28), win='first', opts={'caption': 'the first'})
"""


@pytest.fixture
def viz(tmp_path: Path) -> Visdom:
    return Visdom(run=tmp_path)


def shown(viz: Visdom, env: str = "main") -> dict[str, Window]:
    assert viz._run is not None
    return windows.windows(windows.environments(viz._run)[env])


def lines(window: Window) -> dict[str, tuple[list[Any], list[Any]]]:
    return {line.name: (line.x, line.y) for line in window.lines}


def run_program(source: str, folder: Path) -> Path:
    """Run ``source`` in ``folder``, where ``visdom_or_not`` is the drop-in; returns its runs."""
    (folder / "visdom_or_not.py").write_text("from linnet.compat.visdom import Visdom\n")
    (folder / "program.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "runs"


@pytest.mark.slow
def test_a_tutorial_with_a_loss_curve_runs_unchanged(tmp_path: Path) -> None:
    run = run_program(CURVE, tmp_path) / "visdom-main"
    window = windows.windows(run / "visdom-main.jsonl")["train_loss"]
    ((name, (x, y)),) = lines(window).items()
    assert (window.kind, window.title, name) == ("lines", "train loss", "1")
    assert x == list(range(16)) and y[0] == 0 and all(0.3 < loss < 3 for loss in y[1:])
    assert directory.state_of(run) == ("finished", None)
    (row,) = directory.list_runs(tmp_path / "runs")
    assert (row["name"], row["data"], row["state"]) == ("visdom-main", "visdom main", "finished")


def test_a_tutorial_with_two_curves_and_a_legend_runs_unchanged(tmp_path: Path) -> None:
    root = run_program(TWO, tmp_path)
    test = windows.windows(root / "visdom-main" / "visdom-main.jsonl")["test"]
    assert test.title == "test loss&acc."
    assert lines(test)["acc."] == (list(range(11)), [0.0, *(i / 10 for i in range(1, 11))])
    assert lines(test)["loss"][1][1:] == pytest.approx([1 / step for step in range(1, 11)])
    assert [line.name for line in test.lines] == ["loss", "acc."]
    (other,) = windows.windows(root / "visdom-seq2seq" / "visdom-seq2seq.jsonl").values()
    assert lines(other)["valid"][1] == pytest.approx([1.1, 0.85, 0.6, 0.35])
    assert other.opts["showlegend"] is True


@pytest.mark.slow
def test_a_tutorial_with_pictures_and_predictions_runs_unchanged(tmp_path: Path) -> None:
    run = run_program(PICTURES, tmp_path) / "visdom-digits"
    found = windows.windows(run / "visdom-digits.jsonl")
    sheet = Image.open(run / found["x"].pictures[-1].file)
    assert sheet.size == (8 * 32, 3 * 32) and sheet.mode == "L"
    torch.manual_seed(0)
    first = (torch.rand(20, 784)[0].view(28, 28) * 255).round().numpy()
    assert (np.asarray(sheet)[2:30, 2:30] == first).all()
    assert (np.asarray(sheet)[64:, 5 * 32 :] == 255).all()  # the cells left over
    assert (np.asarray(Image.open(run / found["first"].pictures[-1].file)) == first).all()
    assert found["first"].pictures[-1].caption == "the first"
    assert found["pred"].title == "pred" and found["pred"].text.startswith("[")


def test_a_killed_program_has_lost_nothing(tmp_path: Path) -> None:
    source = """
import os, signal
from linnet.compat.visdom import Visdom
viz = Visdom()
for step in range(1000):
    viz.line([step / 7], [step], win="loss", update="append")
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", source], cwd=tmp_path, timeout=120)
    assert done.returncode == -signal.SIGKILL
    run = tmp_path / "runs" / "visdom-main"
    ((x, y),) = lines(windows.windows(run / "visdom-main.jsonl")["loss"]).values()
    assert x == list(range(1000)) and y == [step / 7 for step in range(1000)]
    assert directory.state_of(run)[0] == "crashed"


def test_a_program_that_fails_leaves_its_error(tmp_path: Path) -> None:
    source = "from linnet.compat.visdom import Visdom; Visdom(); raise OSError('no disk')"
    done = subprocess.run([sys.executable, "-c", source], cwd=tmp_path, stderr=subprocess.PIPE)
    assert done.returncode == 1
    state = directory.state_of(tmp_path / "runs" / "visdom-main")
    assert state == ("failed", "OSError: no disk")


def test_a_second_program_appends_to_the_first(tmp_path: Path) -> None:
    source = """
from linnet.compat.visdom import Visdom
viz = Visdom()
print(viz.win_exists("loss"), viz.get_env_list())
viz.line([[1, 2]], [3], win="loss", update="append", opts=dict(legend=["a", "b"]))
"""
    said = [
        subprocess.run([sys.executable, "-c", source], cwd=tmp_path, stdout=subprocess.PIPE).stdout
        for _ in range(2)
    ]
    assert said == [b"False ['main']\n", b"True ['main']\n"]
    run = tmp_path / "runs" / "visdom-main"
    found = windows.windows(run / "visdom-main.jsonl")["loss"]
    assert lines(found) == {"a": ([3, 3], [1, 1]), "b": ([3, 3], [2, 2])}


def test_a_torn_last_line_does_not_spoil_the_next(viz: Visdom, tmp_path: Path) -> None:
    path = tmp_path / "visdom-other.jsonl"
    path.write_text('{"event":"start","env":"other"}\n{"event":"line","wi')
    viz.text("after", win="t", env="other")
    assert list(shown(viz, "other")) == ["t"]
    assert shown(viz, "other")["t"].text == "after"


def test_windows_of_a_run_leave_its_own_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.write_status(tmp_path, "running")
    (tmp_path / "events.jsonl").write_text("")
    before = (tmp_path / "status.json").read_bytes()
    monkeypatch.setenv("LINNET_RUN", str(tmp_path))
    Visdom().line([1.0], [1.0], win="mine")
    assert (tmp_path / "events.jsonl").read_text() == ""
    assert (tmp_path / "status.json").read_bytes() == before
    assert list(windows.windows(tmp_path / "visdom-main.jsonl")) == ["mine"]


def test_a_run_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no run .*gone"):
        Visdom(run=tmp_path / "gone")


def test_lines_are_appended_by_name_in_any_order(viz: Visdom) -> None:
    choose = random.Random(0)
    expected: dict[str, tuple[list[float], list[float]]] = {}
    for step in range(200):
        name = choose.choice(["train", "valid", "<b>test</b>"])
        viz.line([step * 0.5], [step], win="loss", update="append", name=name)
        x, y = expected.setdefault(name, ([], []))
        x.append(step)
        y.append(step * 0.5)
    assert lines(shown(viz)["loss"]) == expected


def test_a_legend_finds_lines_by_name_whatever_the_order(viz: Visdom) -> None:
    viz.line([[1, 2]], [0], win="w", opts={"legend": ["a", "b"]})
    viz.line([[20, 10]], [1], win="w", update="append", opts={"legend": ["b", "a"]})
    viz.line([11], [2], win="w", update="append", name="a")
    viz.line([[12, 22]], [3], win="w", update="append")
    assert lines(shown(viz)["w"]) == {
        "a": ([0, 1, 2, 3], [1, 10, 11, 12]),
        "b": ([0, 1, 3], [2, 20, 22]),
    }


def test_a_line_without_update_replaces_the_window(viz: Visdom) -> None:
    viz.line([1.0, 2.0], win="w", opts={"title": "old", "xlabel": "x"})
    viz.line([3.0], [5.0], win="w", opts={"title": "new"})
    window = shown(viz)["w"]
    assert lines(window) == {"1": ([5.0], [3.0])} and window.opts == {"title": "new"}


def test_update_replaces_or_removes_one_line(viz: Visdom) -> None:
    viz.line([[1, 2], [3, 4]], [0, 1], win="w", opts={"legend": ["a", "b"]})
    viz.line([9.0], [9.0], win="w", name="b", update="replace")
    assert lines(shown(viz)["w"]) == {"a": ([0, 1], [1, 3]), "b": ([9], [9])}
    viz.line(None, win="w", name="a", update="remove")
    assert lines(shown(viz)["w"]) == {"b": ([9], [9])}


def test_options_of_an_update_are_added_and_written_once(viz: Visdom, tmp_path: Path) -> None:
    for step in range(3):
        opts = {"title": "loss", "linecolor": np.array([[1, 2, 3]])}
        viz.line([1.0], [step], win="w", update="append", opts=opts)
    viz.line([1.0], [3], win="w", update="append", opts={"title": "accuracy"})
    assert shown(viz)["w"].opts == {"title": "accuracy", "linecolor": [[1, 2, 3]]}
    assert (tmp_path / "visdom-main.jsonl").read_text().count("linecolor") == 1


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        np.array,
        torch.tensor,
        lambda values: torch.tensor(values, requires_grad=True),
        lambda values: torch.tensor(values, dtype=torch.bfloat16),
        lambda values: [torch.tensor(value, requires_grad=True) for value in values],
        lambda values: [np.float32(value) for value in values],
    ],
)
def test_numbers_of_every_kind_are_taken(viz: Visdom, make: Callable[[list[float]], Any]) -> None:
    viz.line(make([1.0, 2.5]), make([0.0, 4.0]), win="w")
    assert lines(shown(viz)["w"]) == {"1": ([0.0, 4.0], [1.0, 2.5])}


def test_a_single_number_is_a_point(viz: Visdom) -> None:
    viz.line(0.5, 3, win="w", update="append")
    viz.line(torch.tensor(0.25), 4, win="w", update="append")
    assert lines(shown(viz)["w"]) == {"1": ([3, 4], [0.5, 0.25])}


def test_without_x_points_are_spread_from_0_to_1(viz: Visdom) -> None:
    viz.line(np.arange(10.0).reshape(5, 2), win="w")
    assert lines(shown(viz)["w"]) == {
        "1": ([0, 0.25, 0.5, 0.75, 1], [0, 2, 4, 6, 8]),
        "2": ([0, 0.25, 0.5, 0.75, 1], [1, 3, 5, 7, 9]),
    }


def test_nan_is_kept_and_masks_an_update(viz: Visdom, tmp_path: Path) -> None:
    viz.line([[1, math.nan]], [0], win="w")
    viz.line([[math.inf, 5.0]], [[1, math.nan]], win="w", update="append")
    found = lines(shown(viz)["w"])
    assert found["1"] == ([0, 1], [1, math.inf])
    assert found["2"][0] == [0] and math.isnan(found["2"][1][0])
    for line in (tmp_path / "visdom-main.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_shapes_that_do_not_fit_are_refused_and_write_nothing(viz: Visdom, tmp_path: Path) -> None:
    viz.line([1.0], [1.0], win="w")
    before = (tmp_path / "visdom-main.jsonl").read_bytes()
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: viz.line([1, 2], [1], win="w"), r"X of shape \(1,\), Y of shape \(2,\)"),
        (lambda: viz.line(np.zeros((2, 2, 2)), win="w"), "1 or 2 axes"),
        (lambda: viz.line([], [], win="w"), "no line"),
        (lambda: viz.line(["a"], [1], win="w"), "must be numbers"),
        (lambda: viz.line([[1, 2], [3]], win="w"), "must be numbers"),
        (lambda: viz.line([1], win="w", update="append"), "needs X"),
        (lambda: viz.line([1], [1], update="append"), "needs win="),
        (lambda: viz.line([1], [1], win="w", update="appand"), "expected append"),
        (lambda: viz.line([[1, 2]], [1], win="w", name="a"), "is for one line"),
        (lambda: viz.line([[1, 2]], [1], win="w", opts={"legend": ["a"]}), "1 names .* 2 lines"),
        (lambda: viz.line([1], [1], win="w", opts={"legend": "ab"}), "a list of names"),
        (lambda: viz.line(None, win="w", update="remove"), "needs the name"),
        (lambda: viz.scatter([[1.0]], win="w"), r"\(n, 2\) or \(n, 3\)"),
        (lambda: viz.scatter([[1, 2]], [0], win="w"), "numbers of groups"),
        (lambda: viz.scatter([[1, 2]], [1, 1], win="w"), "must have one length"),
        (lambda: viz.bar([1, 2], [1], win="w"), "must have one length"),
        (lambda: viz.bar([1, 2], opts={"rownames": ["a"]}, win="w"), "1 rownames for 2"),
        (lambda: viz.histogram([[1, 2], [3, 4]], win="w"), "finite numbers"),
        (lambda: viz.histogram([1, math.nan], win="w"), "finite numbers"),
        (lambda: viz.heatmap([1, 2], win="w"), r"\(rows, columns\)"),
        (lambda: viz.heatmap([[1]], opts={"columnnames": []}, win="w"), "0 columnnames for 1"),
        (lambda: viz.image(np.zeros((2, 5, 5)), win="w"), "with 1, 3 or 4 channels"),
        (lambda: viz.images([np.zeros((1, 5, 5)), np.zeros((1, 4, 5))]), "of one shape"),
        (lambda: viz.images(np.zeros((3, 2, 5, 5))), r"\(n, channels, height, width\)"),
    ]
    for call, message in wrong:
        with pytest.raises(InputError, match=message):
            call()
    assert (tmp_path / "visdom-main.jsonl").read_bytes() == before


def test_points_fall_into_groups(viz: Visdom) -> None:
    opts = {"legend": ["a", "b"], "textlabels": ["p", "q", "r"]}
    viz.scatter([[1, 2], [3, 4], [5, 6]], [2, 1, 2], win="w", opts=opts)
    window = shown(viz)["w"]
    assert lines(window) == {"a": ([3], [4]), "b": ([1, 5], [2, 6])}
    assert [line.labels for line in window.lines] == [["q"], ["p", "r"]]
    assert all(line.points for line in window.lines)
    viz.scatter([7.0], [8.0], win="w", name="b", update="append")
    assert lines(shown(viz)["w"])["b"] == ([1, 5, 7], [2, 6, 8])
    viz.scatter(np.eye(3), win="deep")
    assert shown(viz)["deep"].lines[0].z == [0, 0, 1]


def test_bars_and_histograms(viz: Visdom) -> None:
    viz.bar([[1, 2], [3, 4]], win="b", opts={"legend": ["x", "y"], "rownames": ["r", "s"]})
    assert lines(shown(viz)["b"]) == {"x": (["r", "s"], [1, 3]), "y": (["r", "s"], [2, 4])}
    viz.bar([5, 6], win="b")
    assert lines(shown(viz)["b"]) == {"1": ([1, 2], [5, 6])}
    viz.histogram([0.0, 0.1, 0.9, 1.0, 1.0], win="h", opts={"numbins": 2})
    assert lines(shown(viz)["h"]) == {"1": ([0.25, 0.75], [2, 3])}


def test_a_heatmap_grows_on_every_side(viz: Visdom) -> None:
    viz.heatmap([[1, 2]], win="h", opts={"rownames": ["a"], "columnnames": ["x", "y"]})
    viz.heatmap([[3, 4]], win="h", update="appendRow", opts={"rownames": ["b"]})
    viz.heatmap([[5], [6]], win="h", update="prependColumn", opts={"columnnames": ["w"]})
    window = shown(viz)["h"]
    assert window.matrix == [[5, 1, 2], [6, 3, 4]]
    assert (window.rows, window.columns) == (["a", "b"], ["w", "x", "y"])
    viz.heatmap(None, win="h", update="remove")
    assert not viz.win_exists("h") and "h" not in shown(viz)


def test_earlier_pictures_of_a_window_are_kept(viz: Visdom, tmp_path: Path) -> None:
    for shade in (10, 20, 30):
        viz.image(np.full((3, 4, 5), shade, np.uint8), win="w", opts={"caption": f"<i>{shade}"})
    pictures = shown(viz)["w"].pictures
    assert [picture.caption for picture in pictures] == ["<i>10", "<i>20", "<i>30"]
    for picture, shade in zip(pictures, (10, 20, 30), strict=True):
        pixels = np.asarray(Image.open(tmp_path / picture.file))
        assert pixels.shape == (4, 5, 3) and (pixels == shade).all()
        assert (picture.width, picture.height) == (5, 4)


def test_pixels_keep_their_meaning(viz: Visdom, tmp_path: Path) -> None:
    def pixels(values: Any) -> list[int]:
        viz.image(values, win="w")
        return np.asarray(Image.open(tmp_path / shown(viz)["w"].pictures[-1].file)).ravel().tolist()

    assert pixels(np.array([[0.0, 0.5, 1.0]])) == [0, 128, 255]
    assert pixels(np.array([[0.0, 128.0, 300.0]])) == [0, 128, 255]
    assert pixels(torch.tensor([[-1.0, 0.0, 3.0]])) == [0, 64, 255]
    assert pixels(np.array([[0, 7, 255]], np.uint8)) == [0, 7, 255]
    assert pixels(np.array([[True, False]])) == [255, 0]
    assert pixels(np.array([[math.nan, 1.0]])) == [0, 255]


def test_a_sheet_has_the_colours_and_the_gaps(viz: Visdom, tmp_path: Path) -> None:
    batch = [np.full((3, 2, 3), shade, np.uint8) for shade in range(5)]
    viz.images(batch, nrow=2, padding=1, win="w")
    sheet = np.asarray(Image.open(tmp_path / shown(viz)["w"].pictures[-1].file))
    assert sheet.shape == (3 * 4, 2 * 5, 3)
    assert (sheet[9:11, 1:4] == 4).all() and (sheet[8:, 5:] == 255).all()
    assert (sheet[0] == 255).all() and (sheet[1:3, 6:9] == 1).all()


def test_a_figure_is_a_picture(viz: Visdom, tmp_path: Path) -> None:
    class Figure:  # what matplotlib's has
        def savefig(self, file: BytesIO, format: str) -> None:
            Image.new("RGB", (6, 4), "red").save(file, format)

    viz.matplot(Figure(), win="m", opts={"title": "a figure"})
    (picture,) = shown(viz)["m"].pictures
    assert (picture.width, picture.height) == (6, 4)
    assert Image.open(tmp_path / picture.file).getpixel((0, 0)) == (255, 0, 0)


def test_text_is_appended_as_lines(viz: Visdom) -> None:
    viz.text("<script>one</script>", win="t", opts={"title": "log"})
    viz.text("two<br>three", win="t", append=True)
    assert shown(viz)["t"].text == "<script>one</script>\ntwo\nthree"
    viz.text("anew", win="t")
    assert shown(viz)["t"].text == "anew"


def test_windows_are_closed(viz: Visdom) -> None:
    names = [viz.text("a"), viz.text("b"), viz.text("c", win="c")]
    assert len(set(names)) == 3 and all(map(viz.win_exists, names))
    viz.close("c")
    assert list(shown(viz)) == names[:2] and not viz.win_exists("c")
    viz.close()
    assert shown(viz) == {} and not viz.win_exists(names[0])


def test_environments_stand_apart(viz: Visdom) -> None:
    hostile = ["a/b", "../../x", "a_b", "<b>", "", "x" * 300, "ä"]
    for env in hostile:
        viz.text(env, win="t", env=env)
    assert viz.get_env_list() == sorted(["main", *hostile])
    assert [shown(viz, env)["t"].text for env in hostile] == hostile
    assert viz.save(["main"]) == ["main"] and viz.check_connection()
    assert viz._run is not None and not list(viz._run.parent.glob("visdom-*"))


def test_two_of_a_kind_share_one_writer(tmp_path: Path) -> None:
    one, two = Visdom(run=tmp_path), Visdom(run=tmp_path)
    one.line([[1, 2]], [0], win="w", opts={"legend": ["a", "b"]})
    assert two.win_exists("w")
    two.line([[3, 4]], [1], win="w", update="append")
    assert lines(shown(one)["w"]) == {"a": ([0, 1], [1, 3]), "b": ([0, 1], [2, 4])}


def test_the_writer_keeps_nothing_that_grows(viz: Visdom) -> None:
    viz.line([0.0], [0], win="w")
    for step in range(2000):
        viz.line([1.0], [step], win="w", update="append")
    drawn = viz._at(None).drawn["w"]
    assert (drawn.kind, drawn.names, drawn.opts) == ("lines", ["1"], None)


def test_other_calls_say_what_to_use(viz: Visdom) -> None:
    with pytest.raises(NotImplementedError, match=r"no video\(\); use image\(\)"):
        viz.video(torch.zeros(2, 3, 4, 4))
    for name in INSTEAD:
        with pytest.raises(NotImplementedError, match="; use "):
            getattr(viz, name)()
    assert not hasattr(viz, "vidio")


def test_every_call_of_visdom_is_there_or_refused(viz: Visdom) -> None:
    real = pytest.importorskip("visdom", reason="the package visdom is not installed").Visdom
    ours = {name for name in dir(Visdom) if not name.startswith("_")} | set(INSTEAD)
    theirs = {name for name in vars(real) if not name.startswith("_")}
    assert theirs - ours <= {"session", "setup_polling", "setup_socket"}


def test_events_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "visdom-main.jsonl"
    events: list[dict[str, Any]] = [
        {"event": "line", "win": "w"},
        {"event": "line", "win": "w", "lines": 3},
        {"event": "line", "win": "w", "lines": [{"name": "a", "x": ["b"], "y": [1]}]},
        {"event": "image", "win": "p", "file": "../../secret.png", "width": 1, "height": 1},
        {"event": "image", "win": "p", "file": "media/../../secret.png", "width": 1, "height": 1},
        {"event": "heatmap", "win": "h", "z": 5},
        {"event": "text", "win": "t"},
        {"event": "text", "win": "good", "text": "kept", "opts": [1]},
        {"event": "text", "win": "good", "text": "kept"},
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    found = windows.windows(path)
    assert found["good"].text == "kept" and "p" not in found
