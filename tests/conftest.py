"""What several tests share."""

import os
from pathlib import Path

import pytest
import torch

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
torch.set_num_threads(2 if WORKERS == 1 else 1)
if WORKERS > 1:  # children too
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def mnist_folder() -> Path:
    """The folder with the four real MNIST files; skips where there is none."""
    root = os.environ.get("LINNET_DATA")
    if not root or not (Path(root) / "mnist").is_dir():
        pytest.skip("LINNET_DATA does not point at a folder with mnist/")
    return Path(root) / "mnist"
