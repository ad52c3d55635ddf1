"""Processes on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.comparison.engines import process
from sb3_gail_ext.comparison.engines.attempt import Ended
from sb3_gail_ext.comparison.engines.dispatch import dispatch
from sb3_gail_ext.comparison.engines.engine import RETRIES, UNIT, OnChange
from sb3_gail_ext.comparison.engines.options import take
from sb3_gail_ext.comparison.layout import cell_folder


def run(
    cells: Sequence[Cell],
    folder: Path,
    *,
    jobs: int,
    on_change: OnChange,
    work: str = UNIT,
    retries: int = RETRIES,
    options: Mapping[str, Any],
) -> None:
    """`Engine` on this machine; it has no options."""
    take(options, "local")

    def begin(cell: Cell) -> _Here:
        home = cell_folder(cell, folder)
        return _Here(process.start(cell.to_json(), home, work), home)

    dispatch(cells, folder, begin, jobs=jobs, retries=retries, on_change=on_change)


class _Here:
    """An attempt in a process of this machine."""

    def __init__(self, child: subprocess.Popen[bytes], folder: Path) -> None:
        self._child, self._folder = child, folder

    def look(self) -> Literal["running"] | Ended:
        if self._child.poll() is None:
            return "running"
        process.stop(self._child)
        return process.judge(self._child.returncode, self._folder)

    def stop(self) -> None:
        process.stop(self._child)
