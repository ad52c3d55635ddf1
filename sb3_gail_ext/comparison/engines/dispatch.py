"""Keep so many cells under way until all have ended, and retry those whose worker was lost."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.comparison.engines.attempt import Attempt, Ended
from sb3_gail_ext.comparison.engines.engine import OnChange
from sb3_gail_ext.comparison.engines.errors import EngineError
from sb3_gail_ext.comparison.layout import CELLS, LOG, cell_folder, last_line

_EVERY = 0.1  # seconds between looks


def dispatch(
    cells: Sequence[Cell],
    folder: Path,
    begin: Callable[[Cell], Attempt],
    *,
    jobs: int,
    retries: int,
    on_change: OnChange,
) -> None:
    """Begin an attempt at each cell, at most `jobs` at once, and see them all to their end.

    Whatever ends this early (Ctrl-C, SIGTERM, an error) also stops what is under way.

    :raises EngineError: at the end, if cells failed.
    """
    waiting, under_way = deque(cells), dict[str, _UnderWay]()
    lost, failed = Counter[str](), dict[str, str]()
    with _sigterm_raises():
        try:
            while waiting or under_way:
                while waiting and len(under_way) < jobs:
                    cell = waiting.popleft()
                    under_way[cell.id] = _UnderWay(cell, begin(cell))
                for cell, ended in _look(under_way, on_change):
                    if ended.how == "lost" and lost[cell.id] < retries:
                        lost[cell.id] += 1
                        waiting.appendleft(cell)
                        on_change(cell.id, "retrying")
                    elif ended.how == "done":
                        on_change(cell.id, "done")
                    else:
                        failed[cell.id] = _reason(ended, lost[cell.id])
                        _write_down(failed[cell.id], cell_folder(cell, folder) / LOG)
                        on_change(cell.id, "failed")
                time.sleep(_EVERY)
        finally:
            for one in under_way.values():
                one.attempt.stop()
    if failed:
        raise EngineError(_message(failed, len(cells), folder))


@dataclass
class _UnderWay:
    cell: Cell
    attempt: Attempt
    running: bool = False


def _look(under_way: dict[str, _UnderWay], on_change: OnChange) -> Iterator[tuple[Cell, Ended]]:
    """Take out and give those that have ended; tell of those that have begun to run."""
    for one in list(under_way.values()):
        seen = one.attempt.look()
        if isinstance(seen, Ended):
            del under_way[one.cell.id]
            yield one.cell, seen
        elif seen == "running" and not one.running:
            one.running = True
            on_change(one.cell.id, "running")


def _reason(ended: Ended, retries: int) -> str:
    if ended.how == "failed":
        return ended.why
    return f"its worker was lost {retries + 1} times, at last {ended.why}"


def _write_down(reason: str, log: Path) -> None:
    """The log says it, too, where the process could not."""
    log.parent.mkdir(parents=True, exist_ok=True)
    said = log.read_text(errors="replace") if log.is_file() else ""
    if last_line(said) != reason:
        log.write_text(f"{said}{reason}\n")


def _message(failed: dict[str, str], n_cells: int, folder: Path) -> str:
    first, reason = next(iter(failed.items()))
    others = f"; {len(failed) - 1} more failed" if len(failed) > 1 else ""
    log = folder / CELLS / first / LOG
    return f"{first} failed: {reason} (all of it: {log}){others}, of {n_cells} cells"


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """What a batch system or `kill` sends ends this process as Ctrl-C does, cleaning up."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # no signals there
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
