"""Tell where the time of a training loop goes, without touching the loop."""

from __future__ import annotations

import functools
import time
from typing import Any


class Stopwatch:
    """Exclusive seconds per stage: a stage that calls another does not count the other's time.

    What no stage claims is `rest`: the algorithm's own loop, callbacks, logging.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running = ["rest"]
        self._since = time.perf_counter()

    def restart(self) -> None:
        """Forget what was measured, as after a warm-up."""
        self.seconds = {}
        self._since = time.perf_counter()

    def read(self) -> dict[str, float]:
        """Seconds per stage since the last `restart`; their sum is the wall-clock time."""
        self._book()
        return dict(self.seconds)

    def watch(self, owner: Any, method: str, stage: str) -> None:
        """Book the time that `owner.method` takes under `stage`; shadows it on the instance."""
        original = getattr(owner, method)

        @functools.wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._book()
            self._running.append(stage)
            try:
                return original(*args, **kwargs)
            finally:
                self._book()
                self._running.pop()

        setattr(owner, method, timed)

    def _book(self) -> None:
        now = time.perf_counter()
        stage = self._running[-1]
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now
