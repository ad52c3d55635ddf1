"""Are the arrays of a chapter file consistent with each other?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.numeric import first_not_finite
from sb3_gail_ext.demonstrations.formats.sizes import check_n_episodes
from sb3_gail_ext.demonstrations.unknown_rewards import are_unknown

_RETURN_TOLERANCE = 1e-3  # relative: files hold returns summed in float32 or float64

Arrays = Mapping[str, np.ndarray]


def check_shapes(path: Path, arrays: Arrays) -> None:
    """Episodes and steps agree in all arrays, and there are some.

    :raises DemonstrationError: likewise below.
    """
    discrete = arrays["acs"].dtype.kind in "iu"  # one integer per step
    n_dims = {"ep_rets": 1, "obs": 3, "rews": 2, "acs": 2 if discrete else 3}
    for key, minimum in n_dims.items():
        if key not in arrays:
            continue
        exact = key in ("ep_rets", "rews")
        n = arrays[key].ndim
        if n < minimum or (exact and n != minimum):
            raise DemonstrationError(
                f"{path}: array {key} has shape {arrays[key].shape}; expected {minimum} "
                "dimensions, (episodes, steps, ...) as in the chapter"
            )
    n_episodes, n_steps = arrays["obs"].shape[:2]
    check_n_episodes(path, n_episodes)
    if arrays["obs"].size == 0:
        raise DemonstrationError(f"{path}: array obs has shape {arrays['obs'].shape}: no steps")
    expected = {
        "obs": arrays["obs"].shape,
        "rews": (n_episodes, n_steps),
        "acs": (n_episodes, n_steps, *arrays["acs"].shape[2:]),
        "final_obs": (n_episodes, *arrays["obs"].shape[2:]),
    }
    for key, array in arrays.items():
        if array.shape != expected.get(key, (n_episodes,)):
            raise DemonstrationError(
                f"{path}: array {key} has shape {array.shape}, but obs has "
                f"{arrays['obs'].shape}: episodes and steps must agree"
            )
    for key in [key for key in ("lengths", "lens") if key in arrays]:
        if arrays[key].dtype.kind not in "iu":
            raise DemonstrationError(
                f"{path}: array {key} has dtype {arrays[key].dtype}; use integers"
            )
    if "final_obs" in arrays and arrays["final_obs"].dtype != arrays["obs"].dtype:
        raise DemonstrationError(
            f"{path}: array final_obs has dtype {arrays['final_obs'].dtype}, but obs has "
            f"{arrays['obs'].dtype}; they must be the same"
        )


def check_episodes(path: Path, arrays: Arrays, lengths: np.ndarray, first: int = 0) -> None:
    """Every episode has steps, finite numbers and the return that `ep_rets` states. Its rewards may
    be unknown, all of them NaN.

    :param lengths: steps of each episode, integers (N,).
    :param first: the number of the first episode, for messages.
    """
    _check_lengths(path, lengths, arrays, first)
    _check_finite(path, arrays, lengths, first)
    _check_returns(path, arrays, lengths, first)


def _check_lengths(path: Path, lengths: np.ndarray, arrays: Arrays, first: int) -> None:
    n_steps = arrays["obs"].shape[1]
    for row, length in enumerate(lengths):
        if not 1 <= length <= n_steps:
            raise DemonstrationError(
                f"{path}: episode {first + row} has {length} steps, but there are from 1 to "
                f"{n_steps} in its arrays; correct its length, or remove the episode"
            )


def _check_finite(path: Path, arrays: Arrays, lengths: np.ndarray, first: int) -> None:
    for key in [key for key in ("obs", "acs", "rews") if key in arrays]:
        for row, length in enumerate(lengths):
            steps = arrays[key][row, :length]
            step = first_not_finite(steps)
            if step is not None and not (key == "rews" and are_unknown(steps)):
                raise DemonstrationError(
                    f"{path}: array {key} is not finite in episode {first + row}, step {step}; "
                    "remove the episode or record it again"
                )
    if "final_obs" in arrays and first_not_finite(arrays["final_obs"]) is not None:
        raise DemonstrationError(f"{path}: array final_obs is not finite; record the file again")


def _check_returns(path: Path, arrays: Arrays, lengths: np.ndarray, first: int) -> None:
    if "ep_rets" not in arrays:
        return
    for row, length in enumerate(lengths):
        stated = float(arrays["ep_rets"][row])
        rewards = arrays["rews"][row, :length] if "rews" in arrays else None
        if rewards is None or are_unknown(rewards):
            check_stated_return(path, first + row, stated)
        elif not is_sum_of(rewards, stated):
            raise DemonstrationError(
                f"{path}: ep_rets of episode {first + row} is {stated:.6g}, but its rews sum to "
                f"{rewards.sum(dtype=np.float64):.6g}; one of the two arrays belongs to another "
                "file"
            )


def check_stated_return(source: str | Path, row: int, stated: float) -> None:
    """:raises DemonstrationError: if the return of an episode without rewards is infinite."""
    if np.isinf(stated):
        raise DemonstrationError(
            f"{source}: the return of episode {row} is {stated}, and it has no rewards; use NaN "
            "for one that is unknown"
        )


def is_sum_of(rewards: np.ndarray, stated: float) -> bool:
    """Is `stated` the sum of `rewards` (T,), up to rounding?"""
    exact = rewards.astype(np.float64)
    # Relative to the sizes of the rewards, whose rounding errors do not cancel as they do.
    tolerance = _RETURN_TOLERANCE * max(1.0, float(np.abs(exact).sum()))
    return bool(abs(stated - exact.sum()) <= tolerance)
