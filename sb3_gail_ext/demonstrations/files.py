"""Load and save demonstration files: one reader and one writer per format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import Trajectory, TrajectoryWithRew

from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats.chapter import CHAPTER_KEYS, read_chapter, read_metadata
from sb3_gail_ext.demonstrations.formats.chapter_writing import write_chapter
from sb3_gail_ext.demonstrations.formats.contents import contents_of
from sb3_gail_ext.demonstrations.formats.d4rl import D4RL_KEYS, read_d4rl
from sb3_gail_ext.demonstrations.formats.format import Format
from sb3_gail_ext.demonstrations.formats.imitation_dataset import (
    IMITATION_FILES,
    read_imitation,
    read_imitation_metadata,
)
from sb3_gail_ext.demonstrations.formats.imitation_npz import IMITATION_KEYS, read_imitation_npz
from sb3_gail_ext.demonstrations.formats.imitation_pickle import (
    IMITATION_CLASSES,
    read_imitation_pickle,
)
from sb3_gail_ext.demonstrations.formats.imitation_writing import write_imitation
from sb3_gail_ext.demonstrations.formats.minari_dataset import (
    MINARI_FILES,
    read_minari,
    read_minari_metadata,
)
from sb3_gail_ext.demonstrations.formats.minari_writing import write_minari
from sb3_gail_ext.demonstrations.formats.replay_arrays import BUFFER_CLASSES
from sb3_gail_ext.demonstrations.formats.replay_buffer import read_replay_buffer
from sb3_gail_ext.demonstrations.formats.robomimic import ROBOMIMIC_KEYS, read_robomimic
from sb3_gail_ext.demonstrations.formats.sb2 import SB2_KEYS, read_sb2
from sb3_gail_ext.demonstrations.sampling import is_whole_number, subsample_trajectories

FORMATS: dict[str, Format] = {
    "chapter": Format("npz", frozenset(CHAPTER_KEYS), read_chapter, write_chapter, read_metadata),
    "sb2": Format("npz", frozenset(SB2_KEYS), read_sb2),
    "imitation": Format(
        "folder",
        frozenset(IMITATION_FILES),
        read_imitation,
        write_imitation,
        read_imitation_metadata,
    ),
    "minari": Format(
        "folder", frozenset(MINARI_FILES), read_minari, write_minari, read_minari_metadata
    ),
    "imitation-npz": Format("npz", frozenset(IMITATION_KEYS), read_imitation_npz),
    "imitation-pickle": Format("pickle", frozenset(IMITATION_CLASSES), read_imitation_pickle),
    "sb3-replay-buffer": Format("pickle", frozenset(BUFFER_CLASSES), read_replay_buffer),
    "d4rl": Format("hdf5", frozenset(D4RL_KEYS), read_d4rl),
    "robomimic": Format("hdf5", frozenset(ROBOMIMIC_KEYS), read_robomimic),
}


def load_demonstrations(
    path: str | Path,
    *,
    format: str | None = None,
    limit: int | None = None,
    subsample: int = 1,
    seed: int | None = None,
) -> list[TrajectoryWithRew]:
    """Read expert demonstrations from a file. Nothing in it is ever run.

    :param path: the file or folder.
    :param format: `"chapter"`, the `.npz` layout of OpenAI Baselines, or another name in `FORMATS`;
        None finds it by content.
    :param limit: keep this many episodes, chosen at random with `seed`; the first ones without.
    :param subsample: keep every n-th transition from a random offset in each episode, as in the
        GAIL paper (Ho & Ermon, 2016). Each one kept becomes a trajectory of one step, so that
        its next observation stays the true one.
    :param seed: of `limit` and `subsample`.
    :returns: `imitation` trajectories: `obs` (T + 1, ...), `acts` (T, ...), `rews` (T,). All of an
        episode's `rews` are NaN if the file does not have them.
    :raises DemonstrationError: if anything is wrong with the file; the line says what to do.
    """
    path = Path(path)
    with _failing_as_demonstrations(path):
        trajectories = _lookup(format or format_of(path)).read(path)
    rng = np.random.default_rng(seed)
    if limit is not None:
        trajectories = _limited(path, trajectories, limit, rng if seed is not None else None)
    return subsample_trajectories(trajectories, subsample, rng)


def save_demonstrations(
    path: str | Path,
    trajectories: Sequence[Trajectory],
    *,
    format: str = "chapter",
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write trajectories to a file or folder, replacing it in one step.

    :param trajectories: whole episodes; rewards that they do not have become NaN.
    :param format: `"chapter"`, or, as folders, `"imitation"` or `"minari"`.
    :param metadata: JSON-serialisable facts to keep in the file.
    :raises DemonstrationError: if the trajectories do not fit the format.
    """
    write = _lookup(format).write
    if write is None:
        writable = ", ".join(name for name, known in FORMATS.items() if known.write is not None)
        raise DemonstrationError(f"format {format!r} can only be read; writable: {writable}")
    write(Path(path), trajectories, metadata)


def load_metadata(path: str | Path) -> dict[str, Any]:
    """What `save_demonstrations` was given as `metadata`; empty for files of other projects."""
    with _failing_as_demonstrations(path):
        read = FORMATS[format_of(Path(path))].metadata
        return read(Path(path)) if read is not None else {}


@contextmanager
def _failing_as_demonstrations(path: str | Path) -> Iterator[None]:
    """What the system raises (no permission, no memory) becomes one line."""
    try:
        yield
    except (OSError, MemoryError, RecursionError) as error:
        reason = in_one_line(error) or type(error).__name__
        raise DemonstrationError(f"{path}: cannot be read ({reason})") from error


def format_of(path: Path) -> str:
    """The format of the same container that shares most names with it; its reader says what is
    missing.

    :raises DemonstrationError: if no format has such a container.
    """
    container, names = contents_of(path)
    candidates = {name: known for name, known in FORMATS.items() if known.container == container}
    shared = {name: len(names & known.keys) for name, known in candidates.items()}
    if not any(shared.values()) and container != "npz":  # of an .npz, a reader says what it lacks
        if "episode_#" in names or "dataset_dict.json" in names:  # inside, or around, a dataset
            raise DemonstrationError(f"{path}: a part of a dataset, or several; give its folder")
        found = in_one_line(", ".join(sorted(names)[:5])) or "nothing"
        raise DemonstrationError(
            f"{path}: no demonstrations of a known format in it (found {found}); known: "
            f"{', '.join(FORMATS)}"
        )
    return max(shared, key=lambda name: shared[name])


def _lookup(format: str) -> Format:
    if format not in FORMATS:
        raise DemonstrationError(f"no format {format!r}; known: {', '.join(FORMATS)}")
    return FORMATS[format]


def _limited(
    path: Path,
    trajectories: list[TrajectoryWithRew],
    limit: int,
    rng: np.random.Generator | None,
) -> list[TrajectoryWithRew]:
    if not is_whole_number(limit) or not 1 <= limit <= len(trajectories):
        raise DemonstrationError(
            f"{path}: limit is {limit}, but the file holds {len(trajectories)} episodes"
        )
    if rng is None:
        return trajectories[:limit]
    chosen = rng.choice(len(trajectories), size=limit, replace=False)
    return [trajectories[i] for i in sorted(chosen)]
