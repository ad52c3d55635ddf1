"""The process of one cell: `python child.py MODULE FOLDER`.

Its standard input is a pipe from the process that started it: a line with the cell's specification,
and then nothing until that process ends, however it ends, and this one with it.

It is run as a file, so that it watches that pipe before the package's long imports.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path

_ROOT = str(Path(__file__).parents[3])


def main() -> None:
    module, folder = sys.argv[1:]
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        sys.exit("the process that started this one is gone")
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if _ROOT not in sys.path:  # this package is the one that started this, wherever it runs
        sys.path.insert(0, _ROOT)
    import_module(module).run_unit(json.loads(line), folder)


def _die_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # returns when the pipe's other end is closed
    os.killpg(0, signal.SIGKILL)  # what this process has started, too: it leads its group


if __name__ == "__main__":
    main()
