"""What several tests share."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(2)


@pytest.fixture
def mnist_folder() -> Path:
    """The folder with the four real MNIST files; skips where there is none."""
    root = os.environ.get("LINNET_DATA")
    if not root or not (Path(root) / "mnist").is_dir():
        pytest.skip("LINNET_DATA does not point at a folder with mnist/")
    return Path(root) / "mnist"
