"""Run one measurement in a process of its own, on one thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


class BenchError(RuntimeError):
    """A measurement that did not come to its end; the line says where its output lies."""


def run_module(module: str, *arguments: Path, name: str, log: Path) -> None:
    """`python -m module arguments`; its output is kept in `log` where it fails.

    :param name: of the measurement, for the message.
    :raises BenchError: if it fails.
    """
    # Before NumPy and torch are imported, or they take every core.
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with log.open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            env={**os.environ, **one_thread},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        last = (log.read_text().strip().splitlines() or ["no output"])[-1]
        raise BenchError(f"{name} failed: {last} (all of it: {log})")
    log.unlink()
