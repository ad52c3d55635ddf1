"""Seconds and memory of loading a file of demonstrations."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from imitation.data import serialize
from imitation.data.rollout import flatten_trajectories

from sb3_gail_ext.bench.data import memory
from sb3_gail_ext.bench.data.synthetic import COMPRESSED, IMITATIONS, STORED
from sb3_gail_ext.demonstrations.files import load_demonstrations
from sb3_gail_ext.demonstrations.sampling import flatten


class Loader(NamedTuple):
    """One way from a file to demonstrations in memory."""

    file: str
    into: str
    load: Callable[[Path], Any]


LOADERS = {
    "stored": Loader(STORED, "trajectories", load_demonstrations),
    "compressed": Loader(COMPRESSED, "trajectories", load_demonstrations),
    "ours": Loader(STORED, "transitions to draw", lambda path: flatten(load_demonstrations(path))),
    # As its algorithms do with what `serialize.load` returns: a list, or each is decoded twice.
    "imitation": Loader(
        IMITATIONS,
        "transitions to draw",
        lambda path: flatten_trajectories(list(serialize.load(path))),
    ),
}


def measure_loading(loader: str, folder: Path) -> dict[str, float]:
    """Load once; the file's pages are in the system's cache.

    :param loader: a key of `LOADERS`.
    :returns: `seconds`, and `peak_bytes` beyond what was held before.
    """
    file, _, load = LOADERS[loader]
    before = memory.start_peak()
    started = time.perf_counter()
    loaded = load(folder / file)
    seconds = time.perf_counter() - started
    peak_bytes = memory.peak() - before
    assert len(loaded)  # it lives until here
    return {"seconds": round(seconds, 4), "peak_bytes": peak_bytes}
