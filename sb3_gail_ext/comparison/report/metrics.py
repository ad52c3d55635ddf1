"""The discriminator's columns of a run's `metrics.csv`."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

STEPS = "time/total_timesteps"


def read_metrics(path: Path, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What the logger wrote of `columns`.

    :returns: of each column that has numbers, (n, 2): environment steps and values, without the
        rows where either is empty. Nothing if there is no file.
    """
    if not path.is_file():
        return {}
    points: dict[str, list[tuple[float, float]]] = {column: [] for column in columns}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            steps = _number(row.get(STEPS))
            for column in columns:
                value = _number(row.get(column))
                if math.isfinite(steps) and math.isfinite(value):
                    points[column].append((steps, value))
    return {column: np.array(rows) for column, rows in points.items() if rows}


def _number(text: str | None) -> float:
    """NaN for what is not a number: an empty cell, or the end of a file that was cut off."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
