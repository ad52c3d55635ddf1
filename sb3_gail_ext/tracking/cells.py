"""A measurement made elsewhere, a benchmark's cell for one, as a W&B run of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sb3_gail_ext.tracking.results import evaluation_row
from sb3_gail_ext.tracking.tracked_run import TrackedRun
from sb3_gail_ext.tracking.writer import STEP


def track_cell(
    folder: str | Path,
    *,
    env: str,
    algo: str,
    seed: int,
    curve: Iterable[Mapping[str, Any]] = (),
    summary: Mapping[str, Any] | None = None,
    returns: np.ndarray | None = None,
    expert_return: float | None = None,
    job_type: str = "compare",
    **others: Any,
) -> str:
    """Open a run, write the cell into it, end it; for runners whose methods know nothing of W&B.

    >>> track_cell(
    ...     "runs/compare/gail_0", env="Hopper-v4", algo="gail", seed=0, demonstrations=file,
    ...     n_demos=4, curve=[{"global_step": 10_000, "eval/normalized": 0.8}],
    ...     summary={"steps_to_90": 20_000},
    ... )

    :param folder: W&B's files go to `wandb` in it.
    :param curve: rows in order, each with `global_step` and what was measured there.
    :param summary: figures of the whole cell.
    :param returns: (n,) of the final evaluation, for its table.
    :param expert_return: the expert's mean, as in `log_evaluation`.
    :param others: of `WandbTracker`: `demonstrations`, `n_demos`, `group`, `project`, `config`.
    :returns: the run's id.
    :raises ImportError: with a hint, if W&B is not installed.
    :raises TrackingError: if a run is open already, or W&B does not answer.
    """
    with TrackedRun(
        folder=folder, env=env, algo=algo, seed=seed, job_type=job_type, **others
    ) as tracked:
        last: Mapping[str, Any] = {}
        for last in curve:
            tracked.log(last)
        if returns is not None:  # at the cell's end
            row = evaluation_row(returns, expert_return=expert_return)
            tracked.log({**row, STEP: last.get(STEP, 0)})
        tracked.run.summary.update(dict(summary or {}))
        return str(tracked.run.id)
