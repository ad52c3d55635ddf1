"""Stable-Baselines 2's `.npz` layout: all episodes one behind the other, T steps in all.

    obs             (T, *obs_shape)  the last observation of an episode is not kept
    actions         (T, *act_shape)  discrete ones are integers (T, 1)
    rewards         (T,)             all NaN if they are unknown
    episode_starts  (T,) bool        True at the first step of each episode
    episode_returns (N,)             the sum of each episode's rewards

On a VecEnv, older NumPy made objects of `episode_starts`: True, and then arrays of one bool.

How an episode ended is not in it: no trajectory read from it is terminal, and each lacks its last
transition, whose next observation nobody knows. Of an episode of one step, nothing is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.chapter_checks import check_stated_return, is_sum_of
from sb3_gail_ext.demonstrations.formats.foreign import one_choice
from sb3_gail_ext.demonstrations.formats.npz import load_arrays
from sb3_gail_ext.demonstrations.formats.numeric import check_numeric, first_not_finite
from sb3_gail_ext.demonstrations.formats.sizes import check_n_episodes
from sb3_gail_ext.demonstrations.returns import keep_stated_return, returns
from sb3_gail_ext.demonstrations.sampling import array_obs
from sb3_gail_ext.demonstrations.unknown_rewards import are_unknown

SB2_KEYS = ("obs", "actions", "rewards", "episode_returns", "episode_starts")
_OBJECTS = ("episode_starts",)
_HINT = f"A Stable-Baselines 2 file holds {', '.join(SB2_KEYS)}"

Arrays = dict[str, np.ndarray]


def read_sb2(path: Path) -> list[TrajectoryWithRew]:
    """Read a Stable-Baselines 2 file, checking every array.

    :raises DemonstrationError: if the file is missing, is not such a file, or is inconsistent.
    """
    return sb2_trajectories(path, load_sb2(path))


def load_sb2(path: Path) -> Arrays:
    """The arrays of a file, as `checked_sb2` returns them."""
    return checked_sb2(path, load_arrays(path, SB2_KEYS, hint=_HINT, objects=_OBJECTS))


def checked_sb2(source: str | Path, given: Mapping[str, np.ndarray]) -> Arrays:
    """The arrays of the layout, consistent and in the shapes above.

    Rewards and starts may also be (T, 1), as they were recorded on a vectorised environment.

    :param source: what a message should name.
    :raises DemonstrationError: at the first array that is missing or does not fit.
    """
    missing = [key for key in SB2_KEYS if key not in given]
    if missing:
        raise DemonstrationError(f"{source}: no array {', '.join(missing)}. {_HINT}")
    arrays = {key: np.asarray(given[key]) for key in SB2_KEYS}
    if arrays["episode_starts"].dtype.kind == "O":
        arrays["episode_starts"] = _unboxed(source, arrays["episode_starts"])
    for key, array in arrays.items():
        check_numeric(source, key, array.dtype)
    _check_lengths(source, arrays)
    for key in ("rewards", "episode_starts", "episode_returns"):
        arrays[key] = arrays[key].reshape(-1)
    arrays["episode_starts"] = arrays["episode_starts"].astype(bool)
    _check_finite(source, arrays)
    _check_episodes(source, arrays)
    return arrays


def sb2_trajectories(source: str | Path, arrays: Arrays) -> list[TrajectoryWithRew]:
    """One trajectory per episode, without its last transition and never terminal.

    :param arrays: of `checked_sb2`.
    :raises DemonstrationError: if all episodes have one step only.
    """
    acts, rewards = one_choice(arrays["actions"]), arrays["rewards"]
    if rewards.dtype.kind != "f":
        rewards = rewards.astype(np.float64)
    episodes = []
    for row, (first, end) in enumerate(_bounds(arrays["episode_starts"])):
        if end - first < 2:
            continue
        steps = slice(first, end - 1)
        episode = TrajectoryWithRew(
            arrays["obs"][first:end], acts[steps], None, terminal=False, rews=rewards[steps]
        )
        episodes.append(keep_stated_return(episode, float(arrays["episode_returns"][row])))
    if not episodes:
        raise DemonstrationError(
            f"{source}: all episodes have one step, and the format does not keep where it led; "
            "record it again in another one"
        )
    return episodes


def sb2_arrays(trajectories: Sequence[TrajectoryWithRew]) -> Arrays:
    """The layout of these whole episodes; their final observations and ends are not in it."""
    acts = np.concatenate([t.acts for t in trajectories])
    return {
        "actions": acts.reshape(-1, 1) if acts.ndim == 1 else acts,
        "obs": np.concatenate([array_obs(t.obs)[:-1] for t in trajectories]),
        "rewards": np.concatenate([t.rews for t in trajectories]),
        "episode_returns": returns(trajectories),
        "episode_starts": np.concatenate([np.arange(len(t)) == 0 for t in trajectories]),
    }


def write_sb2(path: Path, arrays: Arrays) -> None:
    """Write the arrays of the layout, replacing an existing file in one step."""
    with atomically(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _unboxed(source: str | Path, starts: np.ndarray) -> np.ndarray:
    """Bool (T,) of objects, each a bool or an array of one."""
    flat = [x.item() if isinstance(x, np.ndarray) and x.size == 1 else x for x in starts.flat]
    if not all(isinstance(x, bool | np.bool_) for x in flat):
        raise DemonstrationError(
            f"{source}: array episode_starts holds more than True and False; record it again"
        )
    return np.array(flat, dtype=bool)


def _bounds(starts: np.ndarray) -> list[tuple[int, int]]:
    """First step of each episode, and the one behind its last."""
    firsts = [int(step) for step in np.flatnonzero(starts)]
    return list(zip(firsts, [*firsts[1:], len(starts)], strict=True))


def _check_lengths(source: str | Path, arrays: Arrays) -> None:
    if not all(array.ndim for array in arrays.values()) or not len(arrays["obs"]):
        raise DemonstrationError(f"{source}: there are no steps in it; record it again")
    n_steps = len(arrays["obs"])
    for key in ("actions", "rewards", "episode_starts"):
        array = arrays[key]
        one_each = key == "actions" or array.size == n_steps
        if len(array) != n_steps or not one_each:
            raise DemonstrationError(
                f"{source}: array {key} has shape {array.shape}, but obs has "
                f"{arrays['obs'].shape}: all steps must be in both"
            )


def _check_finite(source: str | Path, arrays: Arrays) -> None:
    for key in ("obs", "actions", "rewards"):
        step = first_not_finite(arrays[key])
        if step is not None and not (key == "rewards" and are_unknown(arrays[key])):
            raise DemonstrationError(
                f"{source}: array {key} is not finite in step {step}; remove its episode or record "
                "it again"
            )


def _check_episodes(source: str | Path, arrays: Arrays) -> None:
    starts, stated = arrays["episode_starts"], arrays["episode_returns"]
    check_n_episodes(source, len(stated))
    if not starts[0]:
        raise DemonstrationError(
            f"{source}: episode_starts is False at the first step; an episode begins there"
        )
    if len(stated) != starts.sum():
        raise DemonstrationError(
            f"{source}: episode_returns holds {len(stated)} episodes, but episode_starts marks "
            f"{starts.sum()}; one of the two arrays belongs to another file"
        )
    for row, (first, end) in enumerate(_bounds(starts)):
        rewards = arrays["rewards"][first:end]
        if are_unknown(rewards):
            check_stated_return(source, row, float(stated[row]))
        elif not is_sum_of(rewards, float(stated[row])):
            raise DemonstrationError(
                f"{source}: episode_returns of episode {row} is {stated[row]:.6g}, but its "
                f"rewards sum to {rewards.sum(dtype=np.float64):.6g}; one of the two arrays "
                "belongs to another file"
            )
