"""Undiscounted returns, as far as demonstrations tell them.

Where a file has no rewards but states the return all the same, that is in the info of the last
step, under Monitor's key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from imitation.data.types import Trajectory, TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import last_info
from sb3_gail_ext.demonstrations.unknown_rewards import are_unknown, has_rewards

MONITOR = "episode"  # {"r": return}, as SB3's Monitor writes it


def returns(episodes: Iterable[Trajectory]) -> np.ndarray:
    """Return of each episode, float64 of shape (n,); NaN where it is unknown."""
    return np.array([_return(episode) for episode in episodes], dtype=np.float64)


def stated_return(info: object) -> float:
    """Of an episode, by the info of its last step, whatever that is; NaN if it does not say."""
    stated = info.get(MONITOR) if isinstance(info, Mapping) else None
    value = stated.get("r") if isinstance(stated, Mapping) else None
    if isinstance(value, np.ndarray) and value.size == 1:  # as RecordEpisodeStatistics has it
        value = value.item()
    if not isinstance(value, float | int | np.floating | np.integer) or isinstance(value, bool):
        return np.nan
    try:
        number = float(value)
    except OverflowError:  # of integers beyond floats
        return np.nan
    return number if np.isfinite(number) else np.nan


def keep_stated_return(trajectory: TrajectoryWithRew, stated: float) -> TrajectoryWithRew:
    """The same, with the return that a file states, where no rewards say it; NaN states nothing."""
    if np.isnan(stated) or not are_unknown(trajectory.rews):
        return trajectory
    infos = np.full(len(trajectory), {}, dtype=object)
    if trajectory.infos is not None:
        infos[:] = trajectory.infos
    infos[-1] = {**infos[-1], MONITOR: {"r": float(stated)}}
    return replace(trajectory, infos=infos)


def _return(episode: Trajectory) -> float:
    if isinstance(episode, TrajectoryWithRew) and has_rewards(episode):
        return float(episode.rews.sum(dtype=np.float64))
    return stated_return(last_info(episode))
