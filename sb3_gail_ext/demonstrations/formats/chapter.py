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

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import (
    infos_of_end,
)
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.chapter_checks import check_episodes, check_shapes
from sb3_gail_ext.demonstrations.formats.foreign import check_rewards_alike, one_choice
from sb3_gail_ext.demonstrations.formats.npz import is_one_step_longer, load_arrays, load_text
from sb3_gail_ext.demonstrations.formats.padding import unpadded_lengths
from sb3_gail_ext.demonstrations.formats.ragged import RAGGED_KEYS, is_ragged, one_by_one
from sb3_gail_ext.demonstrations.returns import (
    are_unknown,
    stating,
    unknown_rewards,
)

CHAPTER_KEYS = ("ep_rets", "obs", "rews", "acs")
_REQUIRED = ("obs", "acs")
_RECORDERS = {"rets": "ep_rets", "lens": "lengths"}  # Baselines' own names for ours
_OPTIONAL = (
    *("ep_rets", "rews", "lengths", "final_obs", "terminal", "time_limit", "terminal_next"),
    *_RECORDERS,
)
_HINT = (
    f"A chapter file holds {', '.join(CHAPTER_KEYS)}; one of observations alone has "
    "acs=np.zeros((N, T, 0))"
)


def read_chapter(path: Path) -> list[TrajectoryWithRew]:
    """Read a chapter file, checking every array.

    Without `final_obs` in the file, or where `obs` is so large that it stays on disk, each
    trajectory lacks its last transition, and so a terminal state that it led into.

    :raises DemonstrationError: if the file is missing, is not such a file, or is inconsistent.
    """
    arrays = load_arrays(
        path,
        _REQUIRED,
        _OPTIONAL,
        hint=_HINT,
        objects=RAGGED_KEYS,
        one_step_longer="obs",
    )
    for recorders, name in _RECORDERS.items():
        if recorders in arrays:
            arrays.setdefault(name, arrays[recorders])
            del arrays[recorders]
    trajectories = _ragged(path, arrays) if is_ragged(arrays) else _rectangular(path, arrays)
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


def _ragged(path: Path, arrays: Mapping[str, np.ndarray]) -> list[TrajectoryWithRew]:
    trajectories = []
    for row, alone in enumerate(one_by_one(path, arrays)):
        check_shapes(path, alone)
        _fill_in_rewards(alone)
        check_episodes(path, alone, alone["lengths"], first=row)
        trajectories.append(_without_last_step(alone, 0, int(alone["lengths"][0])))
    return trajectories


def _rectangular(path: Path, arrays: dict[str, np.ndarray]) -> list[TrajectoryWithRew]:
    """:param arrays: `obs` as `load_arrays` has them, with room for one step more."""
    roomy = arrays["obs"]
    if is_one_step_longer(roomy):
        arrays["obs"] = roomy[:, :-1]
    whole = "final_obs" in arrays and is_one_step_longer(roomy)
    if not whole:
        arrays.pop("final_obs", None)
    check_shapes(path, arrays)
    _fill_in_rewards(arrays)
    lengths = arrays["lengths"] if "lengths" in arrays else unpadded_lengths(arrays)
    check_episodes(path, arrays, lengths)
    trajectory = functools.partial(_whole, roomy) if whole else _without_last_step
    return [trajectory(arrays, row, int(length)) for row, length in enumerate(lengths)]


def _fill_in_rewards(arrays: dict[str, np.ndarray]) -> None:
    """Unknown ones, unless there are some; the arrays are of checked shapes."""
    if "rews" not in arrays:
        shape = arrays["obs"].shape[:2]
        arrays["rews"] = unknown_rewards(shape[0] * shape[1]).reshape(shape)


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
    return TrajectoryWithRew(
        roomy[row, : length + 1],
        arrays["acs"][row, :length],
        _stating(arrays, row, infos, length),
        terminal=_flag(arrays, "terminal", row),
        rews=_floating(arrays["rews"][row, :length]),
    )


def _without_last_step(
    arrays: Mapping[str, np.ndarray], row: int, length: int
) -> TrajectoryWithRew:
    lost_terminal = _flag(arrays, "terminal", row) or _flag(arrays, "terminal_next", row)
    infos = infos_of_end(
        length - 1, time_limit=_flag(arrays, "time_limit", row), terminal_next=lost_terminal
    )
    return TrajectoryWithRew(
        arrays["obs"][row, :length],
        one_choice(arrays["acs"][row, : length - 1]),
        _stating(arrays, row, infos, length - 1),
        terminal=False,
        rews=_floating(arrays["rews"][row, : length - 1]),
    )


def _stating(
    arrays: Mapping[str, np.ndarray], row: int, infos: np.ndarray | None, n_steps: int
) -> np.ndarray | None:
    """The infos, with the return that the file states where it has no rewards to sum up."""
    if "ep_rets" not in arrays or not are_unknown(arrays["rews"][row, :n_steps]):
        return infos
    return stating(infos, n_steps, float(arrays["ep_rets"][row]))


def _flag(arrays: Mapping[str, np.ndarray], key: str, row: int) -> bool:
    return bool(arrays[key][row]) if key in arrays else False


def _floating(rews: np.ndarray) -> np.ndarray:
    return rews if rews.dtype.kind == "f" else rews.astype(np.float64)
