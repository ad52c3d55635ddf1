"""On what the runs were made, with which versions, and how long they took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Cost(NamedTuple):
    method: str
    n_runs: int
    env_steps: int  # of the run that took most
    seconds: float  # median
    shortest: float
    longest: float
    peak_memory_mb: float | None  # of the run that took most


def costs(results: Sequence[dict[str, Any]], methods: Iterable[str]) -> list[Cost]:
    """What a run of each method takes."""
    groups = [(m, [r for r in results if r["label"] == m]) for m in methods]
    return [_cost(method, group) for method, group in groups if group]


def versions(results: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Packages and their versions; several of one package if the runs had several."""
    found: dict[str, list[str]] = {}
    for result in results:
        for package, version in result["versions"].items():
            found.setdefault(package, []).append(str(version))
    return [(package, " and ".join(dict.fromkeys(all_))) for package, all_ in found.items()]


def machines(results: Sequence[dict[str, Any]]) -> list[str]:
    """The machines, as the runs name them."""
    return list(dict.fromkeys(str(result["hardware"]) for result in results))


def _cost(method: str, results: Sequence[dict[str, Any]]) -> Cost:
    seconds = [r["seconds"] for r in results]
    memory = [r["peak_memory_mb"] for r in results if r.get("peak_memory_mb") is not None]
    return Cost(
        method,
        len(results),
        max(r["result"].get("env_steps", 0) for r in results),
        float(np.median(seconds)),
        min(seconds),
        max(seconds),
        max(memory, default=None),
    )
