"""The process of one cell: `python -m sb3_gail_ext.bench.run SPECIFICATION RESULT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch as th

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.bench.learning import measure_learning
from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.bench.throughput import measure_throughput
from sb3_gail_ext.demonstrations.cards import package_versions

MEASUREMENTS = {"learning": measure_learning, "throughput": measure_throughput}


def run_cell(specification: Path, result: Path) -> None:
    """Measure one cell in this process."""
    th.set_num_threads(1)
    cell = Cell.from_json(specification.read_text())
    measured = MEASUREMENTS[cell.kind](cell)
    content = {**json.loads(cell.to_json()), "versions": package_versions(), "result": measured}
    with atomically(result) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run_cell(Path(sys.argv[1]), Path(sys.argv[2]))
