"""The machine: where results are written, how much fits there, and how many cores there are."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from sb3_gail_doctor.finding import Finding, Verdict

LITTLE_DISK_GB = 1.0


def check_folders() -> Finding:
    """A file is really written here and, if it is there, in `runs/`, where runs are written to."""
    for folder in (Path.cwd(), Path.cwd() / "runs"):
        if not folder.exists():
            continue
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"doctor")
        except OSError as error:
            text = f"cannot write into {folder}: {error.strerror}"
            cure = "cd to a folder of your own, or give --out"
            return Finding(text, Verdict.BROKEN, cure)
    return Finding(str(Path.cwd()))


def check_disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    if free < LITTLE_DISK_GB:
        text = f"{free:.2f} GB free here"
        return Finding(text, Verdict.NOTE, "du -sh runs/* | sort -h")
    return Finding(f"{free:.0f} GB free here")


def check_cores() -> Finding:
    """A hint on threads: SB3's small networks lose time to more than one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads is None and cores != 1:
        text = f"{cores}; scripts of your own are fastest on one thread"
        return Finding(text, Verdict.NOTE, "export OMP_NUM_THREADS=1")
    return Finding(f"{cores}, OMP_NUM_THREADS={threads or 'not set'}")
