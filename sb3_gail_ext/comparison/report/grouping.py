"""Entries of a summary and runs, by environment and number of demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sb3_gail_ext.comparison.report.wording import ALL, demonstrations_order

Entry = dict[str, Any]


def environment_of(result: Entry) -> str:
    return str(result["task"]["env_id"])


def by_environment(entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """Entries by their `env_id`, all environments first.

    Where there is but one environment, "all" would be said twice and is left out.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(str(entry["env_id"]), []).append(entry)
    if set(groups) != {ALL} and len(groups) <= 2:
        groups.pop(ALL, None)
    return sorted(groups.items(), key=lambda group: group[0] != ALL)  # stable


def by_demonstrations(entries: Sequence[Entry]) -> list[tuple[int | None, list[Entry]]]:
    """Entries by their `n_demonstrations`, the fewest first."""
    groups: dict[int | None, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry["n_demonstrations"], []).append(entry)
    return sorted(groups.items(), key=lambda group: demonstrations_order(group[0]))
