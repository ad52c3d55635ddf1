"""Is what a file says it holds as large as it can be? Asked before anything is allocated."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sb3_gail_ext.demonstrations.errors import DemonstrationError

MAPPED_FROM_BYTES = 2**30  # larger uncompressed arrays stay on disk
MOST_EPISODES = 200_000  # of a file: more than any data set has, and each takes its time
_BEST_RATIO = 1032  # that deflate can reach
_SUSPICIOUS_RATIO = 200  # images of Atari reach 100
_HARMLESS_BYTES = 2**28  # anything may expand to so much


def check_size(source: str | Path, key: str, size: int, stored: int) -> None:
    """Refuse an array that the file cannot hold, a bomb, and what does not fit into memory.

    :param size: bytes of the array, as its header has it.
    :param stored: bytes that it takes in the file, compressed or not.
    :raises DemonstrationError: naming both.
    """
    if size > _BEST_RATIO * stored + 64:
        raise DemonstrationError(
            f"{source}: array {key} claims {_amount(size)}, but the file has only "
            f"{_amount(stored)} of it; copy the file again"
        )
    _check_ratio(source, key, size, stored)
    available = available_bytes()
    if stored < size and size > available:
        raise DemonstrationError(
            f"{source}: array {key} needs {_amount(size)} of memory, of which {_amount(available)} "
            "are free; save it uncompressed, and it stays on disk"
        )


def check_n_episodes(source: str | Path, n_episodes: int) -> None:
    """:raises DemonstrationError: if there are more than any data set has."""
    if n_episodes > MOST_EPISODES:
        raise DemonstrationError(
            f"{source}: {n_episodes:,} episodes, of which {MOST_EPISODES:,} can be read; write "
            "several files"
        )


def check_total(path: Path, size: int) -> None:
    """Refuse a file whose arrays are together more than it can hold: one array may have many names.

    :param size: bytes of all arrays together, as their headers have it.
    :raises DemonstrationError: naming both.
    """
    check_size(path, "of all episodes", size, path.stat().st_size)


def check_unknown_rewards(path: Path, size: int, n_steps: int) -> None:
    """Refuse a bomb of observations that are smaller than the rewards that their steps will have.

    :param size: bytes of all observations.
    :raises DemonstrationError: naming both.
    """
    bytes_of_float32 = 4
    with_rewards = size + bytes_of_float32 * n_steps
    _check_ratio(path, "obs, with a reward for each step,", with_rewards, path.stat().st_size)


def available_bytes() -> int:
    """Memory that can be used without swapping, as the system estimates it."""
    try:
        with open("/proc/meminfo") as lines:
            fields = dict(line.split(":") for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux
        if not hasattr(os, "sysconf"):  # Windows
            return sys.maxsize
        return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _check_ratio(source: str | Path, key: str, size: int, stored: int) -> None:
    if size > _HARMLESS_BYTES and size > _SUSPICIOUS_RATIO * stored:
        raise DemonstrationError(
            f"{source}: array {key} expands from {_amount(stored)} to {_amount(size)}, as a file "
            "does that is made to fill the memory; if you trust it, save it uncompressed"
        )


def _amount(size: int) -> str:
    if size < 2**20:
        return f"{size} bytes"
    return f"{size / 2**20:.0f} MiB" if size < 2**30 else f"{size / 2**30:.1f} GiB"
