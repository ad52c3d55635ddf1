"""SB3's replay buffers, as `model.save_replay_buffer` pickles them: n steps of E environments.

    observations       (n, E, *obs_shape)
    next_observations  (n, E, *obs_shape)  absent with `optimize_memory_usage`: see `_next_obs`
    actions            (n, E, A)           of a Box: scaled to [-1, 1]; discrete ones (n, E, 1)
    rewards            (n, E)
    dones              (n, E)              1 at time limits, too
    timeouts           (n, E)              1 at time limits, if `handle_timeout_termination`
    pos, full                              where the next step is written, and whether n are filled

Each environment's steps are cut into episodes where they are done, and where one step does not
lead to the next one, as after a reset in the middle. The last episode of each is a fragment.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import infos_of_end
from sb3_gail_ext.demonstrations.formats.foreign import check_alike, checked_trajectory
from sb3_gail_ext.demonstrations.formats.replay_arrays import ReplayArrays, load_replay_arrays


class _Column(NamedTuple):
    """One environment's steps, the oldest first."""

    obs: np.ndarray  # (n, ...)
    next_obs: np.ndarray  # (n, ...)
    acts: np.ndarray  # (n, ...)
    rews: np.ndarray  # (n,)
    dones: np.ndarray  # (n,) bool
    timeouts: np.ndarray  # (n,) bool
    lost: np.ndarray  # (n,) bool: `next_obs` is the next episode's first observation


def read_replay_buffer(path: Path) -> list[TrajectoryWithRew]:
    """Read a replay buffer without running anything in it.

    Actions are those that the environment got. An end is known unless it is where writing stopped,
    or the buffer was made without `handle_timeout_termination`.

    :raises DemonstrationError: if the file is missing, is no such buffer, is inconsistent, or
        holds dictionaries of observations.
    """
    arrays = load_replay_arrays(path)
    trajectories = [
        trajectory
        for env in range(arrays.dones.shape[1])
        for trajectory in _episodes(f"{path}: environment {env}", arrays, env)
    ]
    check_alike(path, trajectories)
    return trajectories


def _episodes(source: str, arrays: ReplayArrays, env: int) -> Iterator[TrajectoryWithRew]:
    column = _column(arrays, env)
    first = 0
    for last in map(int, np.flatnonzero(_breaks(column))):
        kept = last if column.lost[last] else last + 1
        if kept > first:
            yield _trajectory(source, column, slice(first, kept), last, arrays.ends_known)
        first = last + 1


def _column(arrays: ReplayArrays, env: int) -> _Column:
    """Copies, in the order in which the steps were made."""
    order = _order(arrays)
    dones = arrays.dones[order, env] != 0
    if arrays.next_obs is None:
        next_obs = arrays.obs[(order + 1) % len(arrays.obs), env]
        # Written over by the reset's observation, unless nothing was written after it.
        lost = dones & (np.arange(len(order)) < len(order) - 1)
    else:
        next_obs, lost = arrays.next_obs[order, env], np.zeros_like(dones)
    return _Column(
        arrays.obs[order, env],
        next_obs,
        arrays.acts[order, env],
        arrays.rews[order, env],
        dones,
        arrays.timeouts[order, env] != 0,
        lost,
    )


def _order(arrays: ReplayArrays) -> np.ndarray:
    """Rows from the oldest step to the latest one.

    Without next observations, the latest one's lies where the oldest step's observation was.
    """
    if not arrays.full:
        return np.arange(arrays.pos)
    overwritten = 1 if arrays.next_obs is None else 0
    size = len(arrays.obs)
    return (arrays.pos + np.arange(overwritten, size)) % size


def _breaks(column: _Column) -> np.ndarray:
    """Which steps are the last of their episode, bool (n,)."""
    breaks = column.dones.copy()
    breaks[-1:] = True
    differ = column.next_obs[:-1] != column.obs[1:]
    breaks[:-1] |= differ.any(axis=tuple(range(1, differ.ndim)))
    return breaks


def _trajectory(
    source: str, column: _Column, steps: slice, last: int, ends_known: bool
) -> TrajectoryWithRew:
    """:param last: the episode's last step, of which `steps` may be short."""
    final = column.next_obs[steps.stop - 1 : steps.stop]
    arrays = {
        "obs": np.concatenate([column.obs[steps], final]),
        "acts": column.acts[steps],
        "rews": column.rews[steps],
    }
    done = bool(column.dones[last]) and ends_known
    time_limit = done and bool(column.timeouts[last])
    ended, lost = done and not time_limit, steps.stop <= last
    infos = infos_of_end(
        steps.stop - steps.start, time_limit=time_limit, terminal_next=ended and lost
    )
    return checked_trajectory(
        f"{source}, steps {steps.start} to {last}", arrays, ended and not lost, infos
    )
