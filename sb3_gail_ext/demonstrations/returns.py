"""Undiscounted returns, as far as demonstrations tell: nobody needs rewards to imitate an expert.

Where a file has no rewards, those of its trajectories are NaN. If it states the return all the
same, that is in the info of the last step, under Monitor's key.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from imitation.data.types import Trajectory, TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import last_info

MONITOR = "episode"  # {"r": return}, as SB3's Monitor writes it


def returns(episodes: Iterable[Trajectory]) -> np.ndarray:
    """Return of each episode, float64 of shape (n,); NaN where it is unknown."""
    return np.array([_return(episode) for episode in episodes], dtype=np.float64)


def has_rewards(trajectory: Trajectory) -> bool:
    """Are there rewards that are known?"""
    return isinstance(trajectory, TrajectoryWithRew) and not are_unknown(trajectory.rews)


def are_unknown(rewards: np.ndarray) -> bool:
    """Are all of these (T,) NaN? One alone is a mistake, in a file or in an environment."""
    return rewards.dtype.kind == "f" and rewards.size > 0 and bool(np.isnan(rewards).all())


def unknown_rewards(n_steps: int) -> np.ndarray:
    """NaN, float32 of shape (n_steps,)."""
    return np.full(n_steps, np.nan, dtype=np.float32)


def with_rewards(trajectory: Trajectory) -> TrajectoryWithRew:
    """The same; without rewards, with unknown ones."""
    if isinstance(trajectory, TrajectoryWithRew):
        return trajectory
    return TrajectoryWithRew(
        trajectory.obs,
        trajectory.acts,
        trajectory.infos,
        terminal=trajectory.terminal,
        rews=unknown_rewards(len(trajectory)),
    )


def _return(episode: Trajectory) -> float:
    if isinstance(episode, TrajectoryWithRew) and not are_unknown(episode.rews):
        return float(episode.rews.sum(dtype=np.float64))
    stated = last_info(episode).get(MONITOR)
    return float(stated["r"]) if isinstance(stated, dict) and "r" in stated else np.nan


def stating(infos: np.ndarray | None, n_steps: int, stated: float) -> np.ndarray | None:
    """`infos` (n_steps,) of an episode without rewards whose return a file states; NaN if not."""
    if np.isnan(stated):
        return infos
    infos = np.full(n_steps, {}, dtype=object) if infos is None else infos
    infos[-1] = {**infos[-1], MONITOR: {"r": float(stated)}}
    return infos
