"""Try something out in a process of its own: what crashes or hangs there harms nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from sb3_gail_doctor.finding import Finding, Verdict

SECONDS = 60.0  # far more than anything takes, on a busy machine, too


class ProbeError(RuntimeError):
    """The last line that the process wrote, or how it ended."""


def try_out(code: str, cure: str) -> Finding:
    """Fine if the code runs: found is what it printed last. Else broken, with this cure."""
    try:
        return Finding(probe(code))
    except ProbeError as error:
        return Finding(str(error), Verdict.BROKEN, cure)


def probe(code: str, *, seconds: float = SECONDS, **environment: str) -> str:
    """Run Python code with this interpreter.

    :param environment: variables, on top of this process's.
    :returns: the last line that it printed.
    :raises ProbeError: if it raised, was killed by a signal, or took too long.
    """
    try:
        done = subprocess.run(
            # -P: not what happens to lie in the current folder.
            [sys.executable, "-P", "-W", "ignore", "-c", code],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProbeError(f"no answer within {seconds:.0f} s") from None
    if done.returncode < 0:
        raise ProbeError(f"crashed with {signal.Signals(-done.returncode).name}")
    if done.returncode:
        raise ProbeError(_last_line(done.stderr) or f"exit status {done.returncode}")
    return _last_line(done.stdout)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
