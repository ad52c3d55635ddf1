"""Seconds of training, those of earlier processes of the same run included."""

from __future__ import annotations

import time
from typing import Any


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._before = 0.0

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def state(self) -> dict[str, Any]:
        """As JSON, for a checkpoint."""
        return {"seconds": self.seconds()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._before = state["seconds"]
