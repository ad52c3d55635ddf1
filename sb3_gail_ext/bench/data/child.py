"""The process of one measurement: `python -m sb3_gail_ext.bench.data.child SPECIFICATION RESULT`.

The specification is JSON: `measure`, a key of `MEASUREMENTS`, and the function's arguments.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch as th

from sb3_gail_ext.bench.data.batches import measure_batches
from sb3_gail_ext.bench.data.loading import measure_loading
from sb3_gail_ext.bench.data.synthetic import write_files

MEASUREMENTS: dict[str, Callable[..., Any]] = {
    "write": write_files,
    "load": measure_loading,
    "draw": measure_batches,
}


def measure(specification: Path, result: Path) -> None:
    """Do what the specification says in this process."""
    th.set_num_threads(1)
    arguments = json.loads(specification.read_text())
    if "folder" in arguments:
        arguments["folder"] = Path(arguments["folder"])
    measured = MEASUREMENTS[arguments.pop("measure")](**arguments)
    result.write_text(json.dumps(measured))


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]))
