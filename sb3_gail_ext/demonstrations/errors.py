"""The one error that unusable demonstrations raise."""

from __future__ import annotations


class DemonstrationError(ValueError):
    """Demonstrations cannot be used: the message says which file, which array and what to do."""
