"""Stands for a comparison's unit of work in tests of the engines: small, and ill-behaved on demand.

A cell's settings say how. With `once`, a path, it is so only until that file is there. It imports
nothing slow: on a busy machine torch takes ten seconds.
"""

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

RUNS = []  # of this process


def run_unit(specification: str, folder: str | Path) -> None:
    cell, folder = json.loads(specification), Path(folder)
    assert {path.name for path in folder.iterdir()} == {"log.txt"}, "not an empty folder"
    RUNS.append(cell)
    (folder / "progress.json").write_text(json.dumps({"steps": 1, "of": 4}))
    _misbehave(cell["settings"])
    (folder / "model.zip").write_bytes(bytes(range(256)))
    content = {"specification": cell, "result": _compute(cell["seed"])}
    (folder / "result.json").write_text(json.dumps(content))


def _misbehave(settings: dict[str, Any]) -> None:
    if "pid_file" in settings:
        Path(settings["pid_file"]).write_text(f"{os.getpid()} {os.getppid()}")
    if "once" in settings:
        if Path(settings["once"]).exists():
            return
        Path(settings["once"]).touch()
    if "kill" in settings:
        os.kill({"self": os.getpid(), "parent": os.getppid()}[settings["kill"]], signal.SIGKILL)
        time.sleep(60)
    time.sleep(settings.get("seconds", 0))
    if "error" in settings:
        raise ValueError(settings["error"])


def _compute(seed: int) -> dict[str, Any]:
    """Depends on the seed, on the process's history and on its threads, and on nothing else."""
    threads = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {"number": random.Random(seed).random(), "runs": len(RUNS), "threads": threads}
