"""Public clients of the protocols, where they are installed: with this Python, or with the one that
``LINNET_CLIENTS`` names (an environment with ``tritonclient[http]`` and ``mlflow``)."""

import json
import os
import subprocess
import sys

import pytest
from serving import Here, rows_of

from helpers import TESTS

pytest_plugins = ("served",)

ROWS = [row for row in rows_of(20) if row["age"] is not None]
PYTHON = os.environ.get("LINNET_CLIENTS", sys.executable)
MODULES = {"triton": "tritonclient.http", "mlflow": "mlflow.pyfunc.scoring_server.client"}


@pytest.mark.parametrize("client", MODULES)
def test_a_client_gets_the_same_numbers(site: Here, client: str) -> None:
    known = subprocess.run([PYTHON, "-c", f"import {MODULES[client]}"], capture_output=True)
    if known.returncode:
        pytest.skip(f"{MODULES[client]} is not installed; LINNET_CLIENTS names another Python")
    done = subprocess.run(
        [PYTHON, str(TESTS / "serve" / "clients.py"), client, str(site.port)],
        input=json.dumps(ROWS), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    labels, p = json.loads(done.stdout)
    wanted = site.ask("/predict", ROWS).json["predictions"]
    assert labels == [row["prediction"] for row in wanted]
    assert p == [list(row["probabilities"].values()) for row in wanted]
