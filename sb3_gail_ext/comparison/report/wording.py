"""Numbers, counts and times as a reader wants to see them."""

from __future__ import annotations

import math
from collections.abc import Iterable

ALL = "all"  # what `summary` calls the environments taken together


def number(value: float | None, digits: int = 2) -> str:
    """`0.97`; `-` for what is not known."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.{digits}f}"


def interval(low: float | None, high: float | None) -> str:
    """`0.95 to 1.00`; `-` unless both ends are known."""
    ends = number(low), number(high)
    return "-" if "-" in ends else " to ".join(ends)


def count(n: int, noun: str) -> str:
    """`1 run`, `1,200 runs`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def runs(counts: Iterable[int]) -> str:
    """`5 runs`, or `3 to 5 runs` where points rest on different numbers of them."""
    known = sorted(set(counts))
    if not known:
        return "no runs"
    return count(known[0], "run") if len(known) == 1 else f"{known[0]} to {known[-1]} runs"


def demonstrations(n: int | None) -> str:
    """`4 demonstrations`; None is what a task says for all that the file has."""
    return "all demonstrations" if n is None else count(n, "demonstration")


def environment(env_id: str) -> str:
    return "All environments" if env_id == ALL else env_id


def duration(seconds: float) -> str:
    """`48 s`, `12 min`, `3 h 05 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e5 else f"{n_bytes / 1e3:.0f} kB"


def demonstrations_order(n: int | None) -> float:
    """Sorts numbers of demonstrations, with all of the file's last."""
    return math.inf if n is None else n
