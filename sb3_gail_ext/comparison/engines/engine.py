"""What every engine is: a function that runs cells somewhere and brings their files home."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from sb3_gail_ext.bench.task import Cell

State = Literal["waiting", "running", "retrying", "done", "failed"]
OnChange = Callable[[str, State], None]  # receives a cell's id and its new state
UNIT = "sb3_gail_ext.comparison.unit"  # the module whose `run_unit` does a cell's work
RETRIES = 2


class Engine(Protocol):
    """Runs cells, each in a fresh process on one thread, in any order."""

    def __call__(
        self,
        cells: Sequence[Cell],
        folder: Path,
        *,
        jobs: int,
        on_change: OnChange,
        work: str = UNIT,
        retries: int = RETRIES,
        options: Mapping[str, Any],
    ) -> None:
        """Run all cells; whatever one of them does, the others run to their end.

        :param cells: the unfinished ones of a comparison.
        :param folder: the comparison's; each cell's files go to `folder/cells/<id>/`.
        :param jobs: cells at once.
        :param on_change: called in this thread when a cell's state changes.
        :param work: a module with `run_unit(specification, folder)`, to be found by the workers.
        :param retries: of one cell, when its worker was lost; a Python error is final.
        :param options: the engine's own.
        :raises EngineError: after the last cell has ended, if one failed; before the first, if
            the engine cannot be used.
        """
