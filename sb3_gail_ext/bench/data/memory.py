"""What this process holds in memory, and the most that it held."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def start_peak() -> int:
    """Let the peak begin here, where the system can; bytes held now, or else at the most so far."""
    with contextlib.suppress(OSError):  # no Linux, or not allowed
        _CLEAR.write_text("5")
    return peak()


def peak() -> int:
    """The most bytes held since `start_peak`.

    Linux counts it anew in a new program, while getrusage goes on with that of its parent.
    """
    if _STATUS.exists():
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    in_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * in_bytes
