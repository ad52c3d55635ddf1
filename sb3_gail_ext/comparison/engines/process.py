"""Start, stop and judge the process of one cell: the same on every engine, so are the results."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from sb3_gail_ext.comparison.engines.attempt import Ended
from sb3_gail_ext.comparison.layout import LOG, RESULT, last_line

# In the environment before NumPy and torch are imported, or they take every core.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_PATIENCE = 5.0  # seconds from asking a process to end to making it


def start(
    specification: str, folder: Path, work: str, directory: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a cell in an emptied folder; its output goes to `log.txt` there.

    :param directory: what relative paths in the specification are relative to, where it exists;
        None: this process's.
    """
    empty(folder)
    # -P: its own folder is not where `import ray` should look.
    command = [sys.executable, "-u", "-P", "-X", "faulthandler", str(_child()), work]
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [*command, str(folder.absolute())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **ONE_THREAD},
            cwd=directory if directory is not None and directory.is_dir() else None,
            start_new_session=True,  # Ctrl-C reaches only who started it, and that one ends it
        )
    with suppress(BrokenPipeError):  # it died at once: its exit code says so
        _stdin(process).write(json.dumps(specification).encode() + b"\n")
        _stdin(process).flush()
    return process


def _child() -> Path:
    """Where `child.py` lies on this machine, found without the package's long imports."""
    package = find_spec("sb3_gail_ext")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "comparison" / "engines" / "child.py"


def empty(folder: Path) -> None:
    """An attempt starts from nothing, whatever one before it has left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started, and wait until it is gone."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        _signal(process, signal.SIGKILL)
        process.wait()
    _stdin(process).close()


def judge(returncode: int, folder: Path) -> Ended:
    """How the process of the cell in `folder` ended.

    Killed by a signal (no memory left, a machine that goes down, a crash) is lost: another attempt
    may go well. A Python error comes again.
    """
    if returncode < 0:
        return Ended("lost", f"killed by signal {-returncode} ({signal.strsignal(-returncode)})")
    if returncode > 0:
        return Ended("failed", last_line((folder / LOG).read_text(errors="replace")))
    if not (folder / RESULT).is_file():
        return Ended("failed", f"ended without a {RESULT}")
    return Ended("done")


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _stdin(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin
