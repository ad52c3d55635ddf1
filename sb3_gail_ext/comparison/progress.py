"""How far a comparison is: a live display in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.comparison.layout import CELLS, PROGRESS

_EVERY = 1.0  # seconds between looks at the running cells
_LINE_EVERY = 60.0  # seconds between lines where there is no terminal
_ENDED = ("done", "failed")


@dataclass
class Standing:
    """What is known of the cells at a moment."""

    folder: Path
    states: dict[str, str]
    began: float = field(default_factory=time.monotonic)

    def count(self, *states: str) -> int:
        return sum(state in states for state in list(self.states.values()))

    def running(self) -> dict[str, float]:
        """Each running cell's share of its own work."""
        ids = [id for id, state in list(self.states.items()) if state == "running"]
        return {id: share_of(self.folder / CELLS / id / PROGRESS) for id in ids}

    def share(self) -> float:
        """Of all work, were all cells alike."""
        return (self.count(*_ENDED) + sum(self.running().values())) / len(self.states)

    def text(self) -> str:
        failed, retrying = self.count("failed"), self.count("retrying")
        parts = [
            f"{self.count('done')} of {len(self.states)} done",
            f"{self.count('running')} running",
            *([f"{retrying} to be retried"] if retrying else []),
            *([f"{failed} failed"] if failed else []),
        ]
        if self.count(*_ENDED) < len(self.states):
            parts.append(time_left(time.monotonic() - self.began, self.share()))
        return ", ".join(parts)


@contextmanager
def shown(
    cells: Sequence[Cell], folder: Path, *, quiet: bool = False
) -> Iterator[Callable[[str, str], None]]:
    """Show the cells' progress until the block ends, on standard error.

    :param cells: those to run.
    :param folder: the comparison's.
    :returns: what to call with a cell's id and its new state.
    """
    standing = Standing(folder, {cell.id: "waiting" for cell in cells})
    console = Console(stderr=True)
    show = _nothing if quiet else _bars if console.is_terminal else _lines
    with show(standing, console) as tell:
        yield tell


def share_of(path: Path) -> float:
    """What a cell's `progress.json` says; 0 where there is none that can be read yet."""
    try:
        content = json.loads(path.read_text())
        return min(1.0, content["steps"] / content["of"])
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return 0.0


def time_left(seconds: float, share: float) -> str:
    """How long the rest takes, if it goes on as it went."""
    if share < 0.01:
        return "time left unknown"
    hours, minutes = divmod(ceil(seconds * (1 - share) / share / 60), 60)
    return f"about {hours} h {minutes:02d} min left" if hours else f"about {minutes} min left"


# --- Three ways to show ------------------------------------------------------------------------


@contextmanager
def _nothing(standing: Standing, console: Console) -> Iterator[Callable[[str, str], None]]:
    yield lambda id, state: None


@contextmanager
def _lines(standing: Standing, console: Console) -> Iterator[Callable[[str, str], None]]:
    """A line for what went wrong, and else at most one a minute."""
    said = time.monotonic()

    def tell(id: str, state: str) -> None:
        nonlocal said
        standing.states[id] = state
        wrong = f"{id}: {state}; " if state in ("retrying", "failed") else ""
        if wrong or (state == "done" and time.monotonic() - said > _LINE_EVERY):
            said = time.monotonic()
            console.out(f"{wrong}{standing.text()}", highlight=False)

    console.out(standing.text(), highlight=False)
    yield tell
    console.out(standing.text(), highlight=False)


@contextmanager
def _bars(standing: Standing, console: Console) -> Iterator[Callable[[str, str], None]]:
    """A bar of everything, and one for each running cell."""
    columns = (
        *(BarColumn(20), TextColumn("{task.percentage:>3.0f} %")),
        TextColumn("{task.description}"),
    )
    over = threading.Event()
    with Progress(*columns, console=console) as progress:
        whole = progress.add_task("", total=1.0)
        rows: dict[str, TaskID] = {}

        def follow() -> None:
            while not over.wait(_EVERY):
                _redraw(standing, progress, whole, rows)

        def tell(id: str, state: str) -> None:
            standing.states[id] = state

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield tell
        finally:
            over.set()
            follower.join()
            _redraw(standing, progress, whole, rows)


def _redraw(standing: Standing, progress: Progress, whole: TaskID, rows: dict[str, TaskID]) -> None:
    running = standing.running()
    for id in rows.keys() - running.keys():
        progress.remove_task(rows.pop(id))
    for id, share in running.items():
        if id not in rows:
            rows[id] = progress.add_task(id, total=1.0)
        progress.update(rows[id], completed=share)
    progress.update(whole, completed=standing.share(), description=standing.text())
