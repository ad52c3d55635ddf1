"""Load and save demonstration files: one reader and one writer per format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.chapter_format import (
    REQUIRED_KEYS,
    read_chapter,
    read_metadata,
    write_chapter,
)
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.npz import array_names
from sb3_gail_ext.demonstrations.sampling import subsample_trajectories
from sb3_gail_ext.demonstrations.sb2_format import SB2_KEYS, read_sb2

Reader = Callable[[Path], list[TrajectoryWithRew]]
Writer = Callable[[Path, Sequence[TrajectoryWithRew], Mapping[str, Any] | None], None]

READERS: dict[str, Reader] = {"chapter": read_chapter, "sb2": read_sb2}
_ARRAYS = {"chapter": REQUIRED_KEYS, "sb2": SB2_KEYS}  # by which a file is known
WRITERS: dict[str, Writer] = {"chapter": write_chapter}


def load_demonstrations(
    path: str | Path,
    *,
    format: str | None = None,
    limit: int | None = None,
    subsample: int = 1,
    seed: int | None = None,
) -> list[TrajectoryWithRew]:
    """Read expert demonstrations from a file. No pickle is ever loaded.

    :param path: the file.
    :param format: `"chapter"`, the `.npz` layout of OpenAI Baselines, or `"sb2"`, that of
        Stable-Baselines 2; None finds it by content.
    :param limit: keep this many episodes, chosen at random with `seed`; the first ones without.
    :param subsample: keep every n-th transition from a random offset in each episode, as in the
        GAIL paper (Ho & Ermon, 2016). Each one kept becomes a trajectory of one step, so that
        its next observation stays the true one.
    :param seed: of `limit` and `subsample`.
    :returns: `imitation` trajectories: `obs` (T + 1, ...), `acts` (T, ...), `rews` (T,).
    :raises DemonstrationError: if anything is wrong with the file; the line says what to do.
    """
    path = Path(path)
    trajectories = _lookup(READERS, format or _format_of(path), "read")(path)
    rng = np.random.default_rng(seed)
    if limit is not None:
        trajectories = _limited(path, trajectories, limit, rng if seed is not None else None)
    return subsample_trajectories(trajectories, subsample, rng)


def save_demonstrations(
    path: str | Path,
    trajectories: Sequence[TrajectoryWithRew],
    *,
    format: str = "chapter",
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write trajectories to a file, replacing it in one step.

    :param format: `"chapter"`.
    :param metadata: JSON-serialisable facts to keep in the file.
    :raises DemonstrationError: if the trajectories do not fit the format.
    """
    _lookup(WRITERS, format, "write")(Path(path), trajectories, metadata)


def load_metadata(path: str | Path) -> dict[str, Any]:
    """What `save_demonstrations` was given as `metadata`; empty for files of other projects."""
    return read_metadata(Path(path))


def _format_of(path: Path) -> str:
    """The format that shares most arrays with the file; its reader says what is missing."""
    held = array_names(path)
    return max(_ARRAYS, key=lambda name: len(held & set(_ARRAYS[name])))


def _lookup(table: Mapping[str, Any], format: str, verb: str) -> Any:
    if format not in table:
        raise DemonstrationError(f"cannot {verb} format {format!r}; known: {', '.join(table)}")
    return table[format]


def _limited(
    path: Path,
    trajectories: list[TrajectoryWithRew],
    limit: int,
    rng: np.random.Generator | None,
) -> list[TrajectoryWithRew]:
    if not 1 <= limit <= len(trajectories):
        raise DemonstrationError(
            f"{path}: limit is {limit}, but the file holds {len(trajectories)} episodes"
        )
    if rng is None:
        return trajectories[:limit]
    chosen = rng.choice(len(trajectories), size=limit, replace=False)
    return [trajectories[i] for i in sorted(chosen)]
