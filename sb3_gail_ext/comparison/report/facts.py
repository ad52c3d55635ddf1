"""Nested settings and cards as rows to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST = 6  # of a list that is shown in full


def facts(tree: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values; `{"a": {"b": 1}}` is `("a: b", "1")`."""
    return list(_flat(tree, ""))


def _flat(tree: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}: ")
        else:
            yield name, _text(value)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return _list(value)
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,}"
    return str(value)


def _list(values: list[Any]) -> str:
    if len(values) <= _LONGEST:
        return ", ".join(map(_text, values)) or "none"
    if all(isinstance(v, int | float) for v in values):
        return f"{len(values)} values from {min(values)} to {max(values)}"
    return f"{len(values)} values"
