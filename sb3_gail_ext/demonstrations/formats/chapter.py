"""The chapter's `.npz` layout, which is OpenAI Baselines': one row per episode.

    ep_rets (N,)        return of each episode
    obs     (N, T, D)   observations, the last one of an episode is not kept
    acs     (N, T, A)   actions; discrete ones are integers (N, T)
    rews    (N, T)      rewards

Files that Baselines itself recorded have `rets` for `ep_rets`, `lens` for the `lengths` below, and
no rewards. Whoever has no returns, either, may leave them out. Unknown rewards are NaN.

Episodes shorter than T are padded with zeros at the end. The layout knows neither how an episode
ended nor its final observation, so a reader that needs next observations loses the last
transition. `chapter_writing` therefore adds arrays that the chapter's own code ignores:

    lengths (N,) int64, final_obs (N, D), metadata () JSON text, and how each episode ended:
    terminal, time_limit, terminal_next (N,) bool (sb3_gail_ext.demonstrations.ends)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import infos_of_end
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.chapter_checks import check_episodes, check_shapes
from sb3_gail_ext.demonstrations.formats.foreign import check_rewards_alike, one_choice
from sb3_gail_ext.demonstrations.formats.npz import (
    array_names,
    is_one_step_longer,
    load_arrays,
    load_text,
)
from sb3_gail_ext.demonstrations.formats.padding import unpadded_lengths
from sb3_gail_ext.demonstrations.formats.ragged import RAGGED_KEYS, is_ragged, one_by_one
from sb3_gail_ext.demonstrations.formats.sizes import check_unknown_rewards
from sb3_gail_ext.demonstrations.returns import keep_stated_return
from sb3_gail_ext.demonstrations.unknown_rewards import unknown_rewards

CHAPTER_KEYS = ("ep_rets", "obs", "rews", "acs")
_REQUIRED = ("obs", "acs")
_RECORDERS = {"rets": "ep_rets", "lens": "lengths"}  # Baselines' own names for ours
_OPTIONAL = (
    *("ep_rets", "rews", "lengths", "final_obs", "terminal", "time_limit", "terminal_next"),
    *_RECORDERS,
)
_NO_REWARDS = ("rewards", "reward", "rew")  # what others call them
_HINT = (
    "A chapter file holds obs, acs and, if they are known, rews and ep_rets; one of observations "
    "alone has acs=np.zeros((N, T, 0))"
)


def read_chapter(path: Path) -> list[TrajectoryWithRew]:
    """Read a chapter file, checking every array.

    Without `final_obs` in the file, or where `obs` is so large that it stays on disk, each
    trajectory lacks its last transition, and so a terminal state that it led into; of an episode of
    one step, nothing is left.

    :raises DemonstrationError: if the file is missing, is not such a file, or is inconsistent.
    """
    arrays = load_arrays(
        path, _REQUIRED, _OPTIONAL, hint=_HINT, objects=RAGGED_KEYS, one_step_longer="obs"
    )
    _check_names(path, arrays)
    roomy = arrays["obs"]
    if is_one_step_longer(roomy):
        arrays["obs"] = roomy[:, :-1]
    ragged = is_ragged(arrays)
    trajectories = _ragged(path, arrays) if ragged else _rectangular(path, arrays, roomy)
    if not trajectories:
        raise DemonstrationError(
            f"{path}: all episodes have one step, and nobody knows where it led; save them as "
            "arrays (N, T, ...) with lengths and final_obs, compressed"
        )
    check_rewards_alike(path, trajectories)
    return trajectories


def read_metadata(path: Path) -> dict[str, Any]:
    """The facts that `chapter_writing` kept in the file; empty if there are none."""
    try:
        facts = json.loads(load_text(path, "metadata") or "{}")
    except (ValueError, RecursionError) as error:
        if isinstance(error, DemonstrationError):
            raise
        raise DemonstrationError(f"{path}: cannot read its metadata ({error})") from error
    if not isinstance(facts, dict):
        raise DemonstrationError(f"{path}: its metadata is {facts!r:.40}; expected a JSON object")
    return facts


def _check_names(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """:raises DemonstrationError: if an array has two names, or one that nobody would look for."""
    for theirs, name in _RECORDERS.items():
        if theirs in arrays and name in arrays:
            raise DemonstrationError(
                f"{path}: arrays {theirs} and {name} are both in it; remove one of them"
            )
    if "rews" not in arrays:
        misnamed = [name for name in _NO_REWARDS if name in array_names(path)]
        if misnamed:
            raise DemonstrationError(f"{path}: array {misnamed[0]} must be called rews here")


def _ragged(path: Path, arrays: Mapping[str, np.ndarray]) -> list[TrajectoryWithRew]:
    trajectories = []
    for row, alone in enumerate(one_by_one(path, arrays)):
        check_shapes(path, alone)
        episode = _named_as_ours(alone)
        check_episodes(path, episode, episode["lengths"], first=row)
        length = int(episode["lengths"][0])
        if length > 1:
            trajectories.append(_without_last_step(episode, 0, length))
    return trajectories


def _rectangular(
    path: Path, given: dict[str, np.ndarray], roomy: np.ndarray
) -> list[TrajectoryWithRew]:
    """:param roomy: the memory of `obs`, maybe with room for a step behind the last one."""
    whole = "final_obs" in given and is_one_step_longer(roomy)
    if not whole:
        given.pop("final_obs", None)
    check_shapes(path, given)
    if "rews" not in given:
        n_episodes, n_steps = given["obs"].shape[:2]
        check_unknown_rewards(path, given["obs"].nbytes, n_episodes * n_steps)
    arrays = _named_as_ours(given)
    lengths = arrays["lengths"] if "lengths" in arrays else unpadded_lengths(arrays)
    check_episodes(path, arrays, lengths)
    if whole:
        return [_whole(roomy, arrays, row, int(length)) for row, length in enumerate(lengths)]
    longer = np.flatnonzero(lengths > 1)
    return [_without_last_step(arrays, int(row), int(lengths[row])) for row in longer]


def _named_as_ours(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Only now, for a message about an array has the name that the file gives it."""
    theirs = {name: arrays[key] for key, name in _RECORDERS.items() if key in arrays}
    return {key: a for key, a in arrays.items() if key not in _RECORDERS} | theirs


def _whole(
    roomy: np.ndarray, arrays: Mapping[str, np.ndarray], row: int, length: int
) -> TrajectoryWithRew:
    """:param roomy: the memory of `obs`, with room for a step behind the last one."""
    roomy[row, length] = arrays["final_obs"][row]
    infos = infos_of_end(
        length,
        time_limit=_flag(arrays, "time_limit", row),
        terminal_next=_flag(arrays, "terminal_next", row),
    )
    trajectory = TrajectoryWithRew(
        roomy[row, : length + 1],
        arrays["acs"][row, :length],
        infos,
        terminal=_flag(arrays, "terminal", row),
        rews=_rewards(arrays, row, length),
    )
    return keep_stated_return(trajectory, _stated(arrays, row))


def _without_last_step(
    arrays: Mapping[str, np.ndarray], row: int, length: int
) -> TrajectoryWithRew:
    lost_terminal = _flag(arrays, "terminal", row) or _flag(arrays, "terminal_next", row)
    infos = infos_of_end(
        length - 1, time_limit=_flag(arrays, "time_limit", row), terminal_next=lost_terminal
    )
    trajectory = TrajectoryWithRew(
        arrays["obs"][row, :length],
        one_choice(arrays["acs"][row, : length - 1]),
        infos,
        terminal=False,
        rews=_rewards(arrays, row, length - 1),
    )
    return keep_stated_return(trajectory, _stated(arrays, row))


def _flag(arrays: Mapping[str, np.ndarray], key: str, row: int) -> bool:
    return bool(arrays[key][row]) if key in arrays else False


def _stated(arrays: Mapping[str, np.ndarray], row: int) -> float:
    return float(arrays["ep_rets"][row]) if "ep_rets" in arrays else np.nan


def _rewards(arrays: Mapping[str, np.ndarray], row: int, n_steps: int) -> np.ndarray:
    if "rews" not in arrays:
        return unknown_rewards(n_steps)
    rews = arrays["rews"][row, :n_steps]
    return rews if rews.dtype.kind == "f" else rews.astype(np.float64)
