"""D4RL's HDF5 layout: all episodes one behind the other, T steps in all, at the file's root.

    observations      (T, *obs_shape)
    actions           (T, *act_shape)  discrete ones are integers (T,) or (T, 1)
    rewards           (T,)             optional
    terminals         (T,) 0 or 1      the step leads into a terminal state
    timeouts          (T,) 0 or 1      optional: a time limit ended the episode here
    next_observations (T, *obs_shape)  optional: where the step led to

Anything else (`infos/...`, `metadata/...`) is passed over. An episode ends where `terminals` or
`timeouts` says so. Without `timeouts`, it also ends where a next observation is not the observation
of the next step, but for rounding: that end is unknown, as is that of the last episode. Both flags
at once are a terminal state.

Without `next_observations`, each episode loses its last transition, and one of a single step is
lost. Without `timeouts`, too, a time limit cannot be told from a step in the middle of an episode
(D4RL asked the environment); such files are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import infos_of_end
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.foreign import one_choice
from sb3_gail_ext.demonstrations.formats.hdf5 import (
    load_dataset,
    open_dataset,
    opened,
    read_blocks,
)
from sb3_gail_ext.demonstrations.formats.hdf5_groups import has_member
from sb3_gail_ext.demonstrations.formats.sizes import check_total, check_unknown_rewards
from sb3_gail_ext.demonstrations.formats.steps import (
    check_finite,
    check_steps,
    flags,
    in_dtype_of,
    rewards,
)
from sb3_gail_ext.demonstrations.unknown_rewards import are_unknown, unknown_rewards

if TYPE_CHECKING:
    import h5py

D4RL_KEYS = ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations")
_REQUIRED, _OPTIONAL = ("observations", "actions", "terminals"), ("rewards", "timeouts")
_TIMEOUTS, _NEXT = D4RL_KEYS[4:]
_ROUNDING = 1e-5  # relative; more for dtypes that are coarser


class _Steps(NamedTuple):
    """All steps of a file."""

    obs: np.ndarray  # (T, *obs_shape)
    acts: np.ndarray  # (T, *act_shape)
    rews: np.ndarray  # (T,) floating
    terminals: np.ndarray  # (T,) bool
    time_limits: np.ndarray  # (T,) bool, where not terminal


def read_d4rl(path: Path) -> list[TrajectoryWithRew]:
    """Read a D4RL file, checking every array.

    :raises DemonstrationError: if the file is missing, is not such a file, is inconsistent, or does
        not say where its episodes end.
    """
    with opened(path) as file:
        found = [open_dataset(path, file, key) for key in D4RL_KEYS if has_member(file, key)]
        check_total(path, sum(dataset.nbytes for dataset in found))
        steps = _load_steps(path, file)
        if not has_member(file, _NEXT):
            return _cut_episodes(path, steps)
        return _whole_episodes(steps, *_find_ends(path, steps, file))


def _load_steps(path: Path, file: h5py.File) -> _Steps:
    if not has_member(file, "rewards"):
        seen = open_dataset(path, file, "observations")
        check_unknown_rewards(path, seen.nbytes, seen.shape[0] if seen.shape else 0)
    optional = [key for key in _OPTIONAL if has_member(file, key)]
    arrays = {key: load_dataset(path, file, key) for key in (*_REQUIRED, *optional)}
    if _TIMEOUTS not in arrays and not has_member(file, _NEXT):
        raise DemonstrationError(
            f"{path}: neither array {_TIMEOUTS} nor {_NEXT} is in it, so that nobody knows where "
            f"time limits ended episodes; add {_TIMEOUTS}, all False if none did"
        )
    check_steps(path, {key: array.shape for key, array in arrays.items()})
    known = {key: a for key, a in arrays.items() if key != "rewards" or not are_unknown(a)}
    check_finite(path, known)
    terminals = flags(path, "terminals", arrays["terminals"])
    timeouts = arrays.get(_TIMEOUTS, np.zeros(len(terminals), bool))
    return _Steps(
        arrays["observations"],
        one_choice(arrays["actions"]),
        rewards(path, "rewards", arrays.get("rewards", unknown_rewards(len(terminals)))),
        terminals,
        flags(path, _TIMEOUTS, timeouts) & ~terminals,
    )


def _find_ends(path: Path, steps: _Steps, file: h5py.File) -> tuple[np.ndarray, np.ndarray]:
    """Last step of each episode (N,), and the observation behind it (N, *obs_shape)."""
    following = open_dataset(path, file, _NEXT)
    if following.shape != steps.obs.shape:
        raise DemonstrationError(
            f"{path}: array {_NEXT} has the shape {following.shape}, but observations has "
            f"{steps.obs.shape}; they must be the same"
        )
    ended = steps.terminals | steps.time_limits
    ended[-1] = True
    is_flagged = has_member(file, _TIMEOUTS)
    lasts, finals = [], []
    for rows, block in read_blocks(following):
        final_obs = in_dtype_of(steps.obs, block)
        check_finite(path, {_NEXT: final_obs})
        if not is_flagged:
            observed = steps.obs[rows.start + 1 : rows.stop + 1]
            ended[rows][: len(observed)] |= _differ(block[: len(observed)], observed)
        here = np.flatnonzero(ended[rows])
        lasts.append(here + rows.start)
        finals.append(final_obs[here])
    return np.concatenate(lasts), np.concatenate(finals)


def _differ(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Which rows are not the same, but for rounding to the narrower dtype: bool (n,)."""
    if left.dtype.kind == right.dtype.kind == "f":
        dtype = min(left.dtype, right.dtype, key=lambda d: d.itemsize)
        with np.errstate(over="ignore"):
            left, right = left.astype(dtype, copy=False), right.astype(dtype, copy=False)
        rounding = max(_ROUNDING, 2 * float(np.finfo(dtype).eps))
        same = np.isclose(left, right, rtol=rounding)
    else:
        same = left == right
    return ~same.all(axis=tuple(range(1, same.ndim)))


def _whole_episodes(
    steps: _Steps, lasts: np.ndarray, final_obs: np.ndarray
) -> list[TrajectoryWithRew]:
    episodes = []
    for first, last, final in zip(_firsts(lasts), lasts, final_obs, strict=True):
        of = slice(first, last + 1)
        episodes.append(
            TrajectoryWithRew(
                np.concatenate([steps.obs[of], final[None]]),
                steps.acts[of],
                infos_of_end(last + 1 - first, time_limit=steps.time_limits[last]),
                terminal=bool(steps.terminals[last]),
                rews=steps.rews[of],
            )
        )
    return episodes


def _cut_episodes(path: Path, steps: _Steps) -> list[TrajectoryWithRew]:
    """Episodes without their last transition, whose next observation is not in the file."""
    lasts = np.union1d(np.flatnonzero(steps.terminals | steps.time_limits), len(steps.obs) - 1)
    episodes = [
        TrajectoryWithRew(
            steps.obs[first : last + 1],
            steps.acts[first:last],
            infos_of_end(
                last - first,
                time_limit=steps.time_limits[last],
                terminal_next=steps.terminals[last],
            ),
            terminal=False,
            rews=steps.rews[first:last],
        )
        for first, last in zip(_firsts(lasts), lasts, strict=True)
        if last > first
    ]
    if not episodes:
        raise DemonstrationError(
            f"{path}: all episodes have one step, and without {_NEXT} nobody knows where it led; "
            f"add {_NEXT}"
        )
    return episodes


def _firsts(lasts: np.ndarray) -> np.ndarray:
    """First step of each episode, given the last ones."""
    return np.concatenate([[0], lasts[:-1] + 1])
