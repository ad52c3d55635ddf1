"""The one error that engines raise."""

from __future__ import annotations


class EngineError(RuntimeError):
    """A comparison did not come to its end: one line says what failed, where its log is, or
    what to install or to start."""
