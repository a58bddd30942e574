"""How large the JSON files are that linnet reads: each limit is what linnet itself could write.

``files.loads`` checks them before it parses, so that a file from anyone costs little: its bytes
first, then its depth, then an upper bound on the number of its values, which is the number of
commas, of brackets and of braces that open. Who writes such a file checks before the work that it
stays within (``files.writable``).
"""

from __future__ import annotations

from typing import NamedTuple


class Limit(NamedTuple):
    """The most bytes of a JSON text, and the most values in it; ``name`` is that of the limit."""

    name: str
    bytes: int
    values: int


MAX_FOLDS = 127
"""The most folds of rows: the number of a fold is kept in one byte."""

MAX_JSON_DEPTH = 100
"""The deepest nesting of any JSON text."""

MAX_JSON_KEYS = 50_000
"""The most keys of one object: linnet's largest have one for each tensor, or each column that a
recipe names."""

MAX_JSON = Limit("MAX_JSON", 16 << 20, 1_000_000)
"""Any file without a smaller limit of its own."""

MAX_STATUS = Limit("MAX_STATUS", 256 << 10, 1_000)
"""``status.json``: a few texts, of which the error may be long."""

MAX_INFO = Limit("MAX_INFO", 4 << 20, 100_000)
"""``run.json``: the command, versions, notes about the data."""

MAX_METRICS = Limit("MAX_METRICS", 16 << 20, 1_000_000)
"""``metrics.json``: of 10,000 classes five numbers each for each model, and of at most 200 classes
the confusion matrix (``insight.task.MAX_CONFUSION``): 50,000 values a model."""

MAX_CURVE = Limit("MAX_CURVE", 4 << 20, 200_000)
"""``learning_curve.json``: some dozens of points a model."""

MAX_HEADER = Limit("MAX_HEADER", 32 << 20, 1_500_000)
"""The header of a model file (``MAX_HEADER_BYTES``): its manifest as one text, whose commas count
here too, and about six values for each tensor."""

MAX_MANIFEST = Limit("MAX_MANIFEST", 16 << 20, 1_000_000)
"""The manifest of a model (``MAX_MANIFEST_BYTES``): about 20 values and 200 bytes for each column
of a table."""

MAX_EVENT = Limit("MAX_EVENT", 16 << 20, 1_000_000)
"""One line of a record: the longest are scores of 10,000 classes, or a heatmap that a program
drew."""
