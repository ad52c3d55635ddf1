"""Subsample demonstrations and flatten them into contiguous arrays of transitions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from imitation.data.types import DictObs, Trajectory, TrajectoryWithRew, Transitions

from sb3_gail_ext.demonstrations.ends import TIME_LIMIT, is_terminal, last_info
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.packed import pack
from sb3_gail_ext.demonstrations.returns import MONITOR
from sb3_gail_ext.demonstrations.transitions import TransitionBatch

TERMINAL_SHARE = "terminal_share"  # in a step's info: of its episode's steps, the terminal ones


def flatten(demonstrations: Sequence[Trajectory] | Transitions) -> TransitionBatch:
    """One contiguous float32 copy of all transitions, from which `take` draws fast.

    Integers (images, discrete actions) stay integers; memory-mapped images stay in their file.

    :raises DemonstrationError: if there are none.
    """
    if not len(demonstrations):
        raise DemonstrationError("demonstrations are empty; give at least one trajectory")
    if isinstance(demonstrations, Transitions):
        d = demonstrations
        obs, next_obs = array_obs(d.obs), array_obs(d.next_obs)
        return pack([obs], [d.acts], [next_obs], _true_dones(d))
    observations = [array_obs(t.obs) for t in demonstrations]
    return pack(
        obs=[obs[:-1] for obs in observations],
        acts=[t.acts for t in demonstrations],
        next_obs=[obs[1:] for obs in observations],
        dones=np.concatenate([_dones(t) for t in demonstrations]),
    )


def array_obs(obs: np.ndarray | DictObs) -> np.ndarray:
    """Observations as one array.

    :raises DemonstrationError: if they are dictionaries.
    """
    if isinstance(obs, DictObs):
        raise DemonstrationError(
            "observations are dictionaries, but arrays are needed here; flatten them with "
            "sb3_gail_ext.demonstrations.dict_observations.as_arrays(observation_space, ...)"
        )
    return obs


def subsample_trajectories(
    trajectories: list[TrajectoryWithRew], every: int, rng: np.random.Generator
) -> list[TrajectoryWithRew]:
    """Every `every`-th transition of each episode, from a random offset, as one-step episodes."""
    if not is_whole_number(every) or every < 1:
        raise DemonstrationError(f"subsample is {every}; use 1 (keep all) or a whole number above")
    if every == 1:
        return trajectories
    return [
        _one_step(trajectory, int(step))
        for trajectory in trajectories
        for step in np.arange(rng.integers(min(every, len(trajectory))), len(trajectory), every)
    ]


def is_whole_number(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _one_step(trajectory: TrajectoryWithRew, step: int) -> TrajectoryWithRew:
    last = step == len(trajectory) - 1
    info = {k: v for k, v in last_info(trajectory).items() if k != MONITOR} if last else {}
    return TrajectoryWithRew(
        obs=trajectory.obs[step : step + 2],
        acts=trajectory.acts[step : step + 1],
        # Where most ends are dropped, every kept step says how often its episode has one.
        infos=np.array([{TERMINAL_SHARE: is_terminal(trajectory) / len(trajectory), **info}]),
        terminal=trajectory.terminal and last,
        rews=trajectory.rews[step : step + 1],
    )


def are_whole(demonstrations: Sequence[Trajectory]) -> bool:
    """Are these whole episodes, not the steps that `subsample_trajectories` left of them?"""
    if all(len(trajectory) == 1 for trajectory in demonstrations):  # as read from a file again
        return False
    return not any(t.infos is not None and TERMINAL_SHARE in t.infos[0] for t in demonstrations)


def terminal_share(demonstrations: Sequence[Trajectory] | Transitions) -> float:
    """Of the transitions, those that end in a terminal state, before any subsampling: 0 to 1."""
    if isinstance(demonstrations, Transitions):
        return float(np.mean(_true_dones(demonstrations)))
    n_terminal = sum(_n_terminal(trajectory) for trajectory in demonstrations)
    return n_terminal / sum(len(trajectory) for trajectory in demonstrations)


def _n_terminal(trajectory: Trajectory) -> float:
    if len(trajectory) == 1 and trajectory.infos is not None:
        return float(trajectory.infos[0].get(TERMINAL_SHARE, is_terminal(trajectory)))
    return float(is_terminal(trajectory))


def _true_dones(transitions: Transitions) -> np.ndarray:
    """Without the time limits, which `imitation` calls done as well, where an info tells."""
    dones = np.array(transitions.dones, dtype=bool)
    for step in np.flatnonzero(dones):
        info = transitions.infos[step]
        dones[step] = not (isinstance(info, dict) and info.get(TIME_LIMIT))
    return dones


def _dones(trajectory: Trajectory) -> np.ndarray:
    dones = np.zeros(len(trajectory), dtype=bool)
    dones[-1] = is_terminal(trajectory)
    return dones
