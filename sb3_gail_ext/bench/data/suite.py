"""All measurements of `sb3-gail bench data`, in turn, each in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from sb3_gail_ext.bench.data.loading import LOADERS
from sb3_gail_ext.bench.process import run_module
from sb3_gail_ext.demonstrations.cards import package_versions

_SECONDS = 1.0  # of each rate in each repeat


def run_data_suite(
    folder: Path,
    *,
    n_episodes: int,
    n_steps: int,
    n_transitions: Sequence[int],
    repeats: int,
    imitation_repeats: int,
    seconds: float = _SECONDS,
) -> dict[str, Any]:
    """Write files of `n_episodes` x `n_steps`, load them, draw from so many transitions.

    :param folder: where the files lie until this returns.
    :param imitation_repeats: of loading with `imitation`, which takes long.
    :returns: `loading`, rows of `loader`, `repeat`, `seconds` and `peak_bytes`; `batches`, what
        `measure_batches` returns; `array_bytes` of the file; `episodes`, `steps`, `versions`.
    :raises BenchError: if a measurement fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    turns = [
        (loader, repeat)
        for repeat in range(repeats)
        for loader in LOADERS
        if loader != "imitation" or repeat < imitation_repeats
    ]
    with TemporaryDirectory(dir=folder, prefix="files_") as name:
        files = {"folder": name}
        array_bytes = _child(folder, "write", **files, n_episodes=n_episodes, n_steps=n_steps)
        loading = [
            {"loader": loader, "repeat": repeat, **_child(folder, "load", **files, loader=loader)}
            for loader, repeat in tqdm(turns, desc="loading")
        ]
    draws = {"n_transitions": n_transitions, "repeats": repeats, "seconds": seconds}
    return {
        "episodes": n_episodes,
        "steps": n_steps,
        "array_bytes": array_bytes,
        "loading": loading,
        "batches": _child(folder, "draw", **draws),
        "versions": package_versions(),
    }


def _child(logs: Path, measure: str, /, **arguments: Any) -> Any:
    log = logs / f"{measure}.log"
    with TemporaryDirectory() as name:
        specification, result = Path(name) / "specification.json", Path(name) / "result.json"
        specification.write_text(json.dumps({"measure": measure, **arguments}))
        run_module("sb3_gail_ext.bench.data.child", specification, result, name=measure, log=log)
        return json.loads(result.read_text())
