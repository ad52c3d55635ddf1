"""A comparison's runs in W&B, each a run of its own, grouped by method, task and demonstrations."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.comparison.layout import cell_folder
from sb3_gail_ext.tracking.cells import track_cell

Result = dict[str, Any]  # the content of a unit's `result.json`
_STEP = "time/total_timesteps"
_TRACKED = "wandb_project"  # a file with its name: this run is there, whole


def track_results(
    cells: Sequence[Cell],
    results: Sequence[Result],
    folder: Path,
    project: str,
    say: Callable[[str], None],
) -> None:
    """Track those that are not tracked yet.

    Afterwards, from the files that the units left: it is the same wherever they were run, and a
    comparison that is killed loses nothing.

    :param results: of the cells, in their order.
    :raises ImportError: with a hint, if W&B is not installed.
    :raises TrackingError: if it does not answer.
    """
    new = [
        (cell, result)
        for cell, result in zip(cells, results, strict=True)
        if _tracked_in(cell_folder(cell, folder)) != project
    ]
    for cell, result in new:
        _track(cell, result, cell_folder(cell, folder), project)
        if os.environ.get("WANDB_MODE") != "disabled":
            (cell_folder(cell, folder) / _TRACKED).write_text(project)
    say(f"W&B: {len(new)} runs tracked in project {project}")


def _tracked_in(folder: Path) -> str | None:
    marker = folder / _TRACKED
    return marker.read_text() if marker.is_file() else None


def _track(cell: Cell, result: Result, folder: Path, project: str) -> None:
    measured = result["result"]
    track_cell(
        folder,
        env=cell.task.env_id,
        algo=cell.method,
        seed=cell.seed,
        project=project,
        demonstrations=Path(cell.task.demonstrations),
        n_demos=cell.task.n_demonstrations,
        config={"subsample": cell.task.subsample, "steps": cell.total_timesteps, **cell.settings},
        curve=_rows(folder / "metrics.csv", measured["curve"]),
        summary={"score": measured["score"], "seconds": result["seconds"]},
        returns=np.array(measured["returns"]),
        # Tracked again after a kill between the two, it is the same run.
        id=hashlib.sha256(f"{project} {cell.id}".encode()).hexdigest()[:16],
        resume="allow",
    )


def _rows(metrics: Path, curve: Sequence[Sequence[float]]) -> Iterator[dict[str, Any]]:
    """The log's rows and the evaluations, in the order of their steps."""
    rows = [{"global_step": int(steps), "eval/score": score} for steps, score in curve]
    if metrics.is_file():
        with metrics.open(newline="") as file:
            for line in csv.DictReader(file):
                values = {key: float(value) for key, value in line.items() if value}
                if _STEP in values:
                    rows.append({"global_step": int(values[_STEP]), **values})
    yield from sorted(rows, key=lambda row: row["global_step"])
