"""`imitation`'s `.npz` layout of before 2023: N episodes, one behind the other, T steps in all.

obs       (T + N, ...)        each episode with its final observation
acts      (T, ...)
rews      (T,)                not of trajectories without rewards
infos     (T,) objects        a dictionary per step
terminal  (N,) bool           True at time limits, too: see `imitation_ends`
indices   (N - 1,) int        the first step of each episode but the first one
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.foreign import check_alike, checked_trajectory
from sb3_gail_ext.demonstrations.formats.imitation_ends import kept_end
from sb3_gail_ext.demonstrations.formats.npz import load_arrays
from sb3_gail_ext.demonstrations.formats.sizes import check_unknown_rewards
from sb3_gail_ext.demonstrations.returns import keep_stated_return, stated_return

IMITATION_KEYS = ("obs", "acts", "infos", "terminal", "indices", "rews")
_REQUIRED = IMITATION_KEYS[:-1]
_HINT = f"An imitation file holds {', '.join(_REQUIRED)} and, if they are known, rews"


def read_imitation_npz(path: Path) -> list[TrajectoryWithRew]:
    """Read a file of `imitation`'s; its infos are read without running anything in them.

    :raises DemonstrationError: if the file is missing, is not such a file, or is inconsistent.
    """
    arrays = load_arrays(path, _REQUIRED, IMITATION_KEYS[-1:], hint=_HINT, objects=("infos",))
    n_steps = _check_counts(path, arrays)
    if "rews" not in arrays:
        check_unknown_rewards(path, arrays["obs"].nbytes, n_steps)
    firsts = [0, *map(int, arrays["indices"])]
    trajectories = [
        _trajectory(path, arrays, row, first, end)
        for row, (first, end) in enumerate(pairwise([*firsts, n_steps]))
    ]
    check_alike(path, trajectories)
    return trajectories


def _trajectory(
    path: Path, arrays: dict[str, np.ndarray], row: int, first: int, end: int
) -> TrajectoryWithRew:
    n_steps = end - first
    terminal, infos = kept_end(n_steps, bool(arrays["terminal"][row]), arrays["infos"][end - 1])
    episode = {
        "obs": arrays["obs"][first + row : end + row + 1],
        "acts": arrays["acts"][first:end],
    }
    if "rews" in arrays:
        episode["rews"] = arrays["rews"][first:end]
    checked = checked_trajectory(f"{path}: episode {row}", episode, terminal, infos)
    return keep_stated_return(checked, stated_return(arrays["infos"][end - 1]))


def _check_counts(path: Path, arrays: dict[str, np.ndarray]) -> int:
    """How many steps there are."""
    shapes = {key: array.shape for key, array in arrays.items()}
    flat = [len(shape) == 1 for key, shape in shapes.items() if key not in ("obs", "acts")]
    if not all(shapes.values()) or not all(flat):
        raise DemonstrationError(
            f"{path}: arrays of shapes {shapes}; all but obs and acts must have one dimension"
        )
    n_steps, n_episodes = shapes["acts"][0], shapes["terminal"][0]
    expected = {
        "obs": n_steps + n_episodes,
        "rews": n_steps,
        "infos": n_steps,
        "indices": n_episodes - 1,
    }
    for key, count in expected.items():
        if key in arrays and len(arrays[key]) != count:
            raise DemonstrationError(
                f"{path}: array {key} has {len(arrays[key])} rows, but {count} belong to {n_steps} "
                f"acts and {n_episodes} episodes; one of the arrays belongs to another file"
            )
    _check_indices(path, arrays["indices"], n_steps)
    return n_steps


def _check_indices(path: Path, indices: np.ndarray, n_steps: int) -> None:
    bounds = [0, *indices.tolist(), n_steps]
    integers = indices.dtype.kind in "iu" or not indices.size
    if not integers or any(end <= first for first, end in pairwise(bounds)):
        raise DemonstrationError(
            f"{path}: array indices does not split {n_steps} steps into episodes: it must hold "
            "integers that grow"
        )
