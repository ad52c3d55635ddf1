"""Trajectories before they are written: fit to be read again, of one dtype per array."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from imitation.data.types import Trajectory, TrajectoryWithRew

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.foreign import check_alike, checked_trajectory
from sb3_gail_ext.demonstrations.sampling import array_obs
from sb3_gail_ext.demonstrations.unknown_rewards import with_unknown_rewards


def checked_episodes(path: Path, trajectories: Sequence[Trajectory]) -> list[TrajectoryWithRew]:
    """The same, in one dtype per array: the widest that an episode has.

    :raises DemonstrationError: if there are none, they have Dict observations, or are not what a
        reader would ask for.
    """
    arrays = [
        {"obs": array_obs(t.obs), "acts": t.acts, "rews": with_unknown_rewards(t).rews}
        for t in trajectories
    ]
    dtypes = {key: _common_dtype(path, key, arrays) for key in ("obs", "acts", "rews")}
    checked = [
        checked_trajectory(
            f"{path}: episode {row}",
            {key: given[key].astype(dtype, copy=False) for key, dtype in dtypes.items()},
            t.terminal,
            t.infos,
        )
        for row, (given, t) in enumerate(zip(arrays, trajectories, strict=True))
    ]
    check_alike(path, checked)
    return checked


def _common_dtype(path: Path, key: str, arrays: Sequence[dict[str, np.ndarray]]) -> np.dtype:
    if not arrays:
        return np.dtype(float)  # of nothing, which is refused
    dtype = np.result_type(*{given[key].dtype for given in arrays}).newbyteorder("=")
    if dtype.kind in "fiub" and dtype.itemsize > 8:
        raise DemonstrationError(f"{path}: {key} is {dtype}, which the format lacks; use float64")
    return dtype
