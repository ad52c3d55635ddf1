"""The table of scores, with each interval as a bar to compare by eye."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sb3_gail_ext.comparison.report.grouping import by_demonstrations, by_environment

_BAR_END = 1.2  # the score at the right end of a bar; it begins at 0


class Bar(NamedTuple):
    """Places in per cent of the bar's width."""

    start: float
    length: float
    middle: float
    expert: float = 100 / _BAR_END


class Row(NamedTuple):
    entry: dict[str, Any]  # of `summary["table"]`
    bar: Bar | None  # None: no interval


Rows = list[tuple[int | None, list[Row]]]  # by number of demonstrations


def table_rows(entries: Sequence[dict[str, Any]], methods: Sequence[str]) -> list[tuple[str, Rows]]:
    """By environment, then by number of demonstrations; in the order of `methods`."""
    return [
        (
            env_id,
            [
                (n, [Row(e, _bar(e)) for e in sorted(g, key=lambda e: methods.index(e["method"]))])
                for n, g in by_demonstrations(group)
            ],
        )
        for env_id, group in by_environment(entries)
    ]


def _bar(entry: dict[str, Any]) -> Bar | None:
    iqm, low, high = (entry[key] for key in ("iqm", "low", "high"))
    if iqm is None or low is None or high is None:
        return None
    start, end, middle = (100 * min(max(v / _BAR_END, 0.0), 1.0) for v in (low, high, iqm))
    return Bar(start, end - start, middle)
