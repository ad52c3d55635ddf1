"""A run that is asked to stop does so between two rollouts, with a checkpoint written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from stable_baselines3.common.callbacks import BaseCallback

from sb3_gail_ext.checkpoints.writing import Checkpoints


class TrainingStopped(RuntimeError):
    """Training ended before its end; the message is one line that says how to go on.

    :param exit_code: of the command line: 130 if it was asked to, 1 if it failed.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StopWhenAsked(BaseCallback):
    """Ends `learn` at the first step after a checkpoint, once `asked` is set."""

    def __init__(self, asked: threading.Event, checkpoints: Checkpoints) -> None:
        super().__init__()
        self.asked = asked
        self.checkpoints = checkpoints
        self._stopping = False

    def _on_rollout_start(self) -> None:
        if self.asked.is_set():
            if self.checkpoints.latest != self.num_timesteps:
                self.checkpoints.write()
            self._stopping = True

    def _on_step(self) -> bool:
        return not self._stopping


@contextmanager
def signals_ask(say: Callable[[str], None]) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; a second one stops at once, as ever."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # only the main thread gets signals
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        say("stopping after this rollout; once more to stop at once")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
