"""The page writes numbers as Python does."""

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import linnet
from linnet.core.text import figure, likely, percent
from linnet.insight.claims import R2, Chance, Share

PAGE = Path(linnet.__file__).parent / "show" / "view" / "static" / "page.js"
NODE = shutil.which("node")

CALLS = """
const told = (v) => ({
  figure: figure(v), likely: likely(v), percent: percent(v), chance: chance(v),
  share: headline({ accuracy: v, accuracy_interval: [v, v] }), size: headline({ rmse: v, r2: v }),
});
console.log(JSON.stringify(JSON.parse(input).map(told)));
"""


@pytest.mark.skipif(NODE is None, reason="no node")
def test_a_number_is_the_same_on_the_page_and_in_a_verdict() -> None:
    draws = random.Random(0)
    shares = [hits / rows for rows in (30, 32, 64, 160, 1000) for hits in range(1, rows)]
    shares += [0.0, 1.0, 0.0625, 0.05, 0.0498, 0.049996, 1e-10, 1 - 1e-10, 0.9999]
    large = [10 ** draws.uniform(0, 11.9) for _ in range(500)]
    large += [-0.0, -0.0001, -0.0004, -0.0006, -1.5, -999.97, -1234.5, -18574.2]
    large += [1234.5, 999.95, 999.96, 9999.5, 18574, 7.85e6, 0.15625, 2.5]
    parts = re.split(r"^(?=(?:const|function) )", PAGE.read_text(), flags=re.MULTILINE)
    names = "t|up|none|isNumber|whole|percent|likely|shown|figure|headline|chance"
    code = "".join(p for p in parts if re.match(rf"(?:const|function) (?:{names})\b", p))
    assert NODE is not None
    code = f"const WORDS = {{}};{code}{CALLS}"
    values = json.dumps(shares + large)
    read = "const input = require('fs').readFileSync(0, 'utf8');"
    done = subprocess.run([NODE, "-e", read + code], input=values, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    for value, told in zip(shares + large, json.loads(done.stdout), strict=True):
        if abs(value) >= 1e-4 or not value:
            assert told["figure"] == figure(value), value
            assert told["size"].startswith(f"RMSE {figure(value)}")
        if value <= 1:
            assert told["size"].endswith(f", R2 {R2(value).bare}")
        if 0 <= value <= 1:
            share = Share(value)
            assert (told["likely"], told["percent"]) == (likely(value), percent(value)), value
            assert told["share"] == f"accuracy {share} ({share.bare} to {share.bare})"
            assert told["chance"] == f"p {Chance(value).bare}", value
