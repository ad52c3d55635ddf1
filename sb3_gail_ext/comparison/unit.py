"""One run of a comparison, the work that engines send to where it is done.

A unit depends on its specification alone, so that it can run anywhere, in any order, and again.
"""

from __future__ import annotations

import json
import resource
from pathlib import Path

import torch as th

import sb3_gail_ext  # registers the environments  # noqa: F401
from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.bench.score import measure_score
from sb3_gail_ext.bench.task import Cell, experts_of
from sb3_gail_ext.comparison.layout import RESULT
from sb3_gail_ext.demonstrations.cards import package_versions
from sb3_gail_ext.machine import describe_machine


def run_unit(specification: str, folder: str | Path) -> None:
    """Train and score one cell in this process, on one thread.

    Writes into `folder`; `result.json` comes last, and whole: the unit is done where it lies.

    :param specification: a cell as JSON.
    :raises DemonstrationError: if the demonstrations cannot be used.
    :raises RuntimeError: if code, versions or data are not those that the cell was planned with.
    """
    th.set_num_threads(1)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cell = Cell.from_json(specification)
    if cell.fingerprint != cell.task.fingerprint(*experts_of(cell)):
        raise RuntimeError(
            "this worker has other code, versions or demonstrations than the comparison's plan; "
            "install the same ones here, or start the comparison again"
        )
    measured = measure_score(cell, folder)
    content = {
        "id": cell.id,
        **json.loads(specification),
        "settings": measured.pop("settings"),
        "versions": package_versions(),
        "hardware": describe_machine(),
        "seconds": measured.pop("seconds"),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "result": measured,
    }
    with atomically(folder / RESULT) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")
