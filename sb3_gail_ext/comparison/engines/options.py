"""Read an engine's options; a word it does not know is an error, not ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sb3_gail_ext.comparison.engines.errors import EngineError


def take(options: Mapping[str, Any], engine: str, **defaults: Any) -> dict[str, Any]:
    """The options, completed by the defaults.

    :raises EngineError: for an option that has no default.
    """
    unknown = [name for name in options if name not in defaults]
    if unknown:
        known = ", ".join(defaults) or "none"
        raise EngineError(f"engine {engine} has no option {unknown[0]!r}; it has: {known}")
    return {**defaults, **options}
