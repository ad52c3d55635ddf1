"""Make a trajectory of what a file holds, if it is one: checks that any format may need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.numeric import check_numeric, first_not_finite
from sb3_gail_ext.demonstrations.unknown_rewards import are_unknown, unknown_rewards


def checked_trajectory(
    source: str | Path,
    arrays: Mapping[str, Any],
    terminal: bool = False,
    infos: np.ndarray | None = None,
) -> TrajectoryWithRew:
    """One episode, of arrays that can be written to.

    Integer rewards become float64, and actions that are integers (T, 1) become (T,). Rewards may be
    unknown: all NaN, or no array of them.

    :param source: what a message should name: the file and the episode.
    :param arrays: `obs` (T + 1, ...), `acts` (T, ...) and, maybe, `rews` (T,).
    :raises DemonstrationError: if they are not such arrays of finite numbers.
    """
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise DemonstrationError(
                f"{source}: {key} is no array ({type(array).__name__}); save it as a numeric array"
            )
        check_numeric(source, key, array.dtype)
    obs, acts = (np.require(arrays[key], requirements="W") for key in ("obs", "acts"))
    _check_lengths(source, obs, acts, arrays.get("rews"))
    known = arrays["rews"] if "rews" in arrays else unknown_rewards(len(acts))
    rews = np.require(known, requirements="W")
    for key, array in arrays.items():
        step = first_not_finite(array)
        if step is not None and not (key == "rews" and are_unknown(array)):
            raise DemonstrationError(
                f"{source}: {key} is not finite in step {step}; remove the episode or record it "
                "again"
            )
    acts = one_choice(acts)
    if rews.dtype.kind != "f":
        rews = rews.astype(np.float64)
    return TrajectoryWithRew(obs, acts, infos, terminal=terminal, rews=rews)


def one_choice(acts: np.ndarray) -> np.ndarray:
    """Integers (T, 1) as (T,): a choice of each step, for a Box of integers is a strange action."""
    return acts[:, 0] if acts.dtype.kind in "iu" and acts.shape[1:] == (1,) else acts


def check_alike(source: str | Path, trajectories: Sequence[TrajectoryWithRew]) -> None:
    """:raises DemonstrationError: if there are none, they have different shapes or dtypes, or only
    some have rewards.
    """
    if not trajectories:
        raise DemonstrationError(f"{source}: there are no episodes in it; record it again")
    for key in ("obs", "acts"):
        kinds = {(getattr(t, key).shape[1:], getattr(t, key).dtype.str) for t in trajectories}
        if len(kinds) > 1:
            raise DemonstrationError(
                f"{source}: {key} of the episodes differ in shape per step or dtype "
                f"({sorted(kinds)[:3]}); write one file per environment"
            )
    check_rewards_alike(source, trajectories)


def check_rewards_alike(source: str | Path, trajectories: Sequence[TrajectoryWithRew]) -> None:
    """:raises DemonstrationError: if only some episodes have rewards, which is damage."""
    unknown = [are_unknown(t.rews) for t in trajectories]
    if any(unknown) and not all(unknown):
        raise DemonstrationError(
            f"{source}: rews of episode {unknown.index(True)} are NaN or missing, but others have "
            "rewards; remove the episode or record it again"
        )


def _check_lengths(
    source: str | Path, obs: np.ndarray, acts: np.ndarray, rews: np.ndarray | None
) -> None:
    sound = acts.ndim and obs.ndim and len(acts) and len(obs) == len(acts) + 1 and obs.size
    if not sound:
        raise DemonstrationError(
            f"{source}: shapes of obs {obs.shape} and acts {acts.shape}; there must be one more "
            "observation than actions, and some of both"
        )
    if rews is not None and rews.shape != acts.shape[:1]:
        raise DemonstrationError(
            f"{source}: shapes of acts {acts.shape} and rews {rews.shape}; there must be a reward "
            "for each action"
        )
