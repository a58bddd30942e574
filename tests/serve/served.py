"""The models that the tests of the server share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Here, a_table, here, train


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def table(trained: Path) -> Path:
    """A run on a table with a column of each kind, of two classes."""
    return a_table(trained)


@pytest.fixture(scope="session")
def iris(trained: Path) -> Path:
    """A run on rows of numbers."""
    return train(trained, "iris", "iris", "--model", "linear")


@pytest.fixture(scope="session")
def digits(trained: Path) -> Path:
    """A run on pictures of 8 x 8."""
    return train(trained, "digits", "digits", "--model", "linear", "--set", "penalty=0.01")


@pytest.fixture(scope="session")
def numbers(trained: Path) -> Path:
    """A run on a table with two targets that are numbers."""
    lines = ["a,b,c,d", *(f"{i % 7},{i % 5},{i % 7 + i % 5},{i % 7 - i % 5}" for i in range(120))]
    (trained / "numbers.csv").write_text("\n".join(lines) + "\n")
    return train(trained, "numbers.csv", "numbers", "--target", "c,d", "--model", "linear")


@pytest.fixture(scope="session")
def site(table: Path, iris: Path, digits: Path, numbers: Path) -> Iterator[Here]:
    """A server of all of them, the table first."""
    with here(table, iris, digits, numbers) as found:
        yield found
