"""One thing that a check of demonstrations has found."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]


class Finding(NamedTuple):
    """What is wrong, where, and what to do, in one line."""

    severity: Severity  # cannot be used, probably not what you want, or good to know
    message: str
