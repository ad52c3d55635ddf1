"""Where a cell's files lie in a comparison's folder, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sb3_gail_ext.bench.task import Cell

CELLS = "cells"
RESULT = "result.json"  # the last file of a cell: it is done where this lies
PROGRESS = "progress.json"
LOG = "log.txt"


def cell_folder(cell: Cell, folder: Path) -> Path:
    return folder / CELLS / cell.id


def unfinished(cells: Sequence[Cell], folder: Path) -> list[Cell]:
    """Those of the cells that have no result yet."""
    return [cell for cell in cells if not (cell_folder(cell, folder) / RESULT).is_file()]


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "no output"
