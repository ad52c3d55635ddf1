"""Ray: on this machine, or a cluster. The machines need not share a disk."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from uuid import uuid4

import ray

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.comparison import engines
from sb3_gail_ext.comparison.engines.attempt import Ended
from sb3_gail_ext.comparison.engines.dispatch import dispatch
from sb3_gail_ext.comparison.engines.engine import RETRIES, UNIT, OnChange
from sb3_gail_ext.comparison.engines.errors import EngineError
from sb3_gail_ext.comparison.engines.options import take
from sb3_gail_ext.comparison.engines.process import empty, judge, start, stop
from sb3_gail_ext.comparison.layout import PROGRESS, RESULT, cell_folder, last_line

_OBJECT_STORE = 256 * 2**20  # bytes; Ray's own is a third of the memory, and a cell's files are few
_EVERY = 1.0  # seconds between a worker's looks at its cell

# What a worker does itself goes to it as code, and needs nothing but Python: by name, it would
# import torch with this package, seconds and 300 MB, only to start the process that does so again.
ray.cloudpickle.register_pickle_by_value(engines)


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
    """`Engine` on Ray. Its option is `address`, of a cluster; None: Ray on this machine.

    Where Ray is initialised already, that one is used, and left.
    """
    address = take(options, "ray", address=None)["address"]
    with connected(jobs, address):
        notes = _Notes()

        def begin(cell: Cell) -> _There:
            return _There(cell, cell_folder(cell, folder), work, notes)

        dispatch(cells, folder, begin, jobs=jobs, retries=retries, on_change=on_change)


@contextmanager
def connected(jobs: int, address: str | None) -> Iterator[None]:
    """Ray, quiet; one that this process has already stays as it is.

    :raises EngineError: if there is none at the address, or none starts here.
    """
    if ray.is_initialized():
        yield
        return
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns of it
    if address is None:
        _start(jobs)
    else:
        _join(address)
    try:
        yield
    finally:
        ray.shutdown()


_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


def _start(jobs: int) -> None:
    own: dict[str, Any] = {"num_cpus": jobs, "object_store_memory": _OBJECT_STORE}
    try:
        # "local", or Ray joins a cluster that happens to run on this machine.
        ray.init("local", include_dashboard=False, **own, **_QUIET)
    except Exception as error:  # Ray raises that very class when its processes are late
        raise EngineError(
            f"Ray did not start: {last_line(str(error))}; on a busy machine, try again"
        ) from error


def _join(address: str) -> None:
    try:
        _check_listening(address)
        ray.init(address, **_QUIET)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise EngineError(
            f"no Ray at {address}: {last_line(str(error))}; start one with: ray start --head"
        ) from error


def _check_listening(address: str) -> None:
    """:raises OSError: at once, if nobody is there; Ray itself tries for two minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


# --- On the worker -----------------------------------------------------------------------------


def _run_cell(
    specification: str, work: str, directory: str, name: str, board: Any
) -> tuple[int, dict[str, bytes]]:
    """Run a cell in a process and a folder of its own.

    :returns: the process's exit code and all files.
    """
    with TemporaryDirectory(prefix="sb3-gail-") as temporary:
        folder = Path(temporary) / "cell"
        child = start(specification, folder, work, Path(directory))
        try:
            while child.poll() is None:
                board.write.remote(name, _read(folder / PROGRESS))
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_EVERY)
        finally:
            stop(child)
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
        return child.returncode, {k: v.read_bytes() for k, v in files.items() if v.is_file()}


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


class _Board:
    """Where workers write how far they are."""

    def __init__(self) -> None:
        self._notes: dict[str, bytes] = {}

    def write(self, name: str, progress: bytes) -> None:
        self._notes[name] = progress

    def read(self) -> dict[str, bytes]:
        return self._notes


# --- On the driver -----------------------------------------------------------------------------


class _Notes:
    """What stands on the board, without waiting for it."""

    def __init__(self) -> None:
        # No core is its own: it must not wait for one, nor keep one from a cell.
        self.board = _remote(_Board, num_cpus=0, max_restarts=-1).remote()
        self._latest: dict[str, bytes] = {}
        self._asked = self.board.read.remote()
        self._when = time.monotonic()

    def latest(self) -> dict[str, bytes]:
        if time.monotonic() - self._when > _EVERY and _ready(self._asked):
            with suppress(ray.exceptions.RayError):  # the board was lost; it comes back, empty
                self._latest = ray.get(self._asked)
            self._asked, self._when = self.board.read.remote(), time.monotonic()
        return self._latest


class _There:
    """An attempt on one of Ray's workers."""

    def __init__(self, cell: Cell, folder: Path, work: str, notes: _Notes) -> None:
        self._folder, self._notes, self._name = folder, notes, uuid4().hex
        empty(folder)
        # Ray's own retries would not tell that a worker was lost, and queue behind other cells.
        task = _remote(_run_cell, num_cpus=1, max_retries=0)
        self._files = task.remote(cell.to_json(), work, os.getcwd(), self._name, notes.board)

    def look(self) -> Literal["waiting", "running"] | Ended:
        if _ready(self._files):
            return self._end()
        progress = self._notes.latest().get(self._name)
        if progress is None:
            return "waiting"
        if progress and progress != _read(self._folder / PROGRESS):
            _write(self._folder / PROGRESS, progress)
        return "running"

    def _end(self) -> Ended:
        try:
            returncode, files = ray.get(self._files)
        except ray.exceptions.RayTaskError as error:  # before or after the cell's own process
            return Ended("failed", last_line(str(error)))
        except ray.exceptions.RayError as error:
            return Ended("lost", last_line(str(error)))
        for name in sorted(files, key=lambda name: name == RESULT):  # which comes last
            _write(self._folder / name, files[name])
        return judge(returncode, self._folder)

    def stop(self) -> None:
        ray.cancel(self._files, force=True)


def _remote(function_or_class: Any, **options: Any) -> Any:
    """Untyped: Ray's stubs know only what is decorated."""
    return ray.remote(function_or_class).options(**options)


def _ready(reference: Any) -> bool:
    return bool(ray.wait([reference], timeout=0)[0])


def _write(path: Path, content: bytes) -> None:
    with atomically(path) as temporary:
        temporary.write_bytes(content)
