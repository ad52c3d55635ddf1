"""With what settings each method was trained."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sb3_gail_ext.comparison.report.facts import facts
from sb3_gail_ext.comparison.report.grouping import environment_of


class Settings(NamedTuple):
    """What some runs of one method have in common."""

    method: str
    env_ids: list[str]
    n_runs: int
    rows: list[tuple[str, str]]


def settings_of(results: Sequence[dict[str, Any]], methods: Iterable[str]) -> list[Settings]:
    """Runs of one method that were asked for the same stand together."""
    return [
        Settings(
            method,
            list(dict.fromkeys(map(environment_of, group))),
            len(group),
            facts(_asked(group[0])),
        )
        for method in methods
        for group in _alike([r for r in results if r["label"] == method])
    ]


def _alike(results: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        key = json.dumps(_asked(result), sort_keys=True, default=str)
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def _asked(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": result["method"],
        "total_timesteps": result["total_timesteps"],
        "subsample": result["task"].get("subsample"),
        **result["settings"],
        "measured": result.get("measure", {}),
    }
