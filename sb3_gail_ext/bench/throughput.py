"""Measure environment steps per second, and where the time goes."""

from __future__ import annotations

import resource
from typing import Any

from sb3_gail_ext.bench.methods import METHODS
from sb3_gail_ext.bench.stopwatch import Stopwatch
from sb3_gail_ext.bench.task import Cell


def measure_throughput(cell: Cell) -> dict[str, Any]:
    """Learn for `cell.total_timesteps` beyond a warm-up and time it.

    :returns: `steps_per_second`, `seconds` per stage (exclusive; their sum is the wall-clock
        time), `env_steps` and `peak_memory_mb` of the process.
    """
    warm_up = cell.measure["warm_up"]
    method = METHODS[cell.method](cell.task, cell.seed, dict(cell.settings))
    stopwatch = Stopwatch()
    for stage, (owner, attribute) in method.stages.items():
        stopwatch.watch(owner, attribute, stage)
    first: int | None = None
    last = 0

    def between_rollouts(steps: int) -> None:
        nonlocal first, last
        last = steps
        if first is None and steps >= warm_up:
            first = steps
            stopwatch.restart()

    method.learn(warm_up + cell.total_timesteps, between_rollouts)
    seconds = stopwatch.read()
    assert first is not None  # the warm-up is shorter than the whole
    return {
        "steps_per_second": round((last - first) / sum(seconds.values()), 1),
        "env_steps": last - first,
        "seconds": {stage: round(s, 6) for stage, s in seconds.items()},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
