"""Rewards of demonstrations that have none: all NaN. Nobody needs them to imitate an expert."""

from __future__ import annotations

import numpy as np
from imitation.data.types import Trajectory, TrajectoryWithRew


def unknown_rewards(n_steps: int) -> np.ndarray:
    """NaN, float32 of shape (n_steps,)."""
    return np.full(n_steps, np.nan, dtype=np.float32)


def are_unknown(rewards: np.ndarray) -> bool:
    """Are all of these (T,) NaN? One alone is a mistake, in a file or in an environment."""
    return rewards.dtype.kind == "f" and rewards.size > 0 and bool(np.isnan(rewards).all())


def has_rewards(trajectory: Trajectory) -> bool:
    """Are there rewards that are known?"""
    return isinstance(trajectory, TrajectoryWithRew) and not are_unknown(trajectory.rews)


def with_unknown_rewards(trajectory: Trajectory) -> TrajectoryWithRew:
    """The same; if it is without rewards, with unknown ones."""
    if isinstance(trajectory, TrajectoryWithRew):
        return trajectory
    return TrajectoryWithRew(
        trajectory.obs,
        trajectory.acts,
        trajectory.infos,
        terminal=trajectory.terminal,
        rews=unknown_rewards(len(trajectory)),
    )
