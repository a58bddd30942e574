"""All checks of the data before anything is trained."""

from __future__ import annotations

from linnet.data.dataset import Dataset
from linnet.data.split import Split
from linnet.insight.checks.columns import columns
from linnet.insight.checks.drift import drift
from linnet.insight.checks.duplicates import duplicates
from linnet.insight.checks.finding import Finding
from linnet.insight.checks.leakage import leakage
from linnet.insight.checks.order import order
from linnet.insight.checks.ranges import ranges
from linnet.insight.checks.reading import reading
from linnet.insight.checks.target import target

CHECKS = {
    "what was read": reading,
    "copies of the target": leakage,
    "classes": target,
    "duplicates": duplicates,
    "ranges": ranges,
    "drift": drift,
    "columns without information": columns,
    "the order of rows": order,
}
"""The checks by name, in the order of the report."""

GRAVITY = ("stop", "warning", "note")


def examine(data: Dataset, split: Split | None = None) -> list[Finding]:
    """The findings about ``data``, the most severe first; with ``split``, also about its parts.

    ``data`` is a table of records, rows of numbers, or pictures. It is not changed.
    """
    if not len(data):
        return []
    found = [finding for check in CHECKS.values() for finding in check(data, split)]
    return sorted(found, key=lambda finding: GRAVITY.index(finding.severity))
