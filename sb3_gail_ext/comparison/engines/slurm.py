"""Slurm, through submitit. The machines share the comparison's folder."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import cloudpickle
import submitit
from submitit.core.utils import FailedSubmissionError, UncompletedJobError

from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.comparison import engines
from sb3_gail_ext.comparison.engines.attempt import Ended
from sb3_gail_ext.comparison.engines.dispatch import dispatch
from sb3_gail_ext.comparison.engines.engine import RETRIES, UNIT, OnChange
from sb3_gail_ext.comparison.engines.errors import EngineError
from sb3_gail_ext.comparison.engines.process import judge, start, stop
from sb3_gail_ext.comparison.layout import RESULT, cell_folder, last_line

_CLUSTERS = ("slurm", "local")  # of submitit's, those whose jobs are processes of their own
# submitit's words for all clusters; the others get their cluster's name in front of them.
_SHARED = ("name", "timeout_min", "mem_gb", "cpus_per_task", "gpus_per_node", "stderr_to_stdout")
_DEFAULTS = {"name": "sb3-gail", "timeout_min": 240, "cpus_per_task": 1}  # submitit's: 5 minutes
_FINAL = {  # what Slurm says of a job that would end so again
    "TIMEOUT": "ran out of time; give a longer timeout_min",
    "OUT_OF_MEMORY": "ran out of memory; give a larger mem_gb",
    "CANCELLED": "was cancelled",
}
_EVERY = 1.0  # seconds between looks at a job: each touches the shared disk
_GRACE = 15.0  # seconds for a result to arrive by a shared disk after its job has ended

# What a worker does itself goes to it as code, and needs nothing but Python: by name, it would
# import torch with this package, seconds and 300 MB, only to start the process that does so again.
cloudpickle.register_pickle_by_value(engines)


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
    """`Engine` on Slurm: a job per cell.

    The options are submitit's (`timeout_min`, `mem_gb`) and sbatch's (`partition`, `account`...);
    `cluster="local"` runs the same without Slurm.
    """
    executor = _executor(folder / "slurm", dict(options))

    def begin(cell: Cell) -> _Job:
        home = cell_folder(cell, folder).absolute()
        return _Job(executor, home, cell.to_json(), home, work, Path.cwd())

    dispatch(cells, folder, begin, jobs=jobs, retries=retries, on_change=on_change)


def _executor(folder: Path, options: dict[str, Any]) -> submitit.AutoExecutor:
    """:raises EngineError: if there is no Slurm, or an option is none of its."""
    cluster = options.pop("cluster", "slurm")
    if cluster not in _CLUSTERS:
        raise EngineError(f"engine slurm has no cluster {cluster!r}; it has slurm and local")
    try:
        executor = submitit.AutoExecutor(folder, cluster=cluster)
        executor.update_parameters(**_for_submitit({**_DEFAULTS, **options}))
    except RuntimeError as error:
        raise EngineError(f"no Slurm here ({error}); run this where sbatch is") from error
    except (NameError, ValueError, AssertionError) as error:
        raise EngineError(f"engine slurm: {str(error).splitlines()[0]}") from error
    return executor


def _for_submitit(options: Mapping[str, Any]) -> dict[str, Any]:
    return {k if k in _SHARED else f"slurm_{k}": v for k, v in options.items()}


def _run_cell(specification: str, folder: Path, work: str, directory: Path) -> int:
    """On the worker: run a cell in a process of its own and give its exit code."""
    if (folder / RESULT).is_file():  # a job of a command that was killed has done it meanwhile
        return 0
    child = start(specification, folder, work, directory)
    try:
        return child.wait()
    finally:
        stop(child)


class _Job:
    """An attempt as a job."""

    def __init__(self, executor: submitit.AutoExecutor, folder: Path, *what: Any) -> None:
        self._folder = folder
        self._looked = float("-inf")
        self._over_since: float | None = None
        self._seen: Literal["waiting", "running"] | Ended = "waiting"
        try:
            self._job = executor.submit(_run_cell, *what)
        except FailedSubmissionError as error:
            self._seen = Ended("failed", last_line(str(error)))

    def look(self) -> Literal["waiting", "running"] | Ended:
        if not isinstance(self._seen, Ended) and time.monotonic() - self._looked > _EVERY:
            self._looked, self._seen = time.monotonic(), self._look()
        return self._seen

    def _look(self) -> Literal["waiting", "running"] | Ended:
        if not self._job.done():
            return "running" if self._job.state in ("RUNNING", "COMPLETING") else "waiting"
        if self._job.paths.result_pickle.exists():
            return self._end()
        if self._over_since is None:
            self._over_since = time.monotonic()
        if time.monotonic() - self._over_since < _GRACE:
            return "running"
        return _end_without_result(self._job.state)

    def _end(self) -> Ended:
        try:
            return judge(self._job.result(), self._folder)
        except UncompletedJobError as error:  # of Python, or submitit's own at the time limit
            trace = str(error).partition("\n---")[2].rpartition("\n---")[0]
            return Ended("failed", last_line(trace or str(error)))

    def stop(self) -> None:
        if not isinstance(self._seen, Ended):
            with suppress(subprocess.CalledProcessError, OSError):
                self._job.cancel()


def _end_without_result(state: str) -> Ended:
    for word, why in _FINAL.items():
        if state.startswith(word):  # Slurm says "CANCELLED by 1000"
            return Ended("failed", why)
    return Ended("lost", f"in the state {state}")
