"""The chapter's `.npz` layout, which is OpenAI Baselines': one row per episode.

    ep_rets (N,)        return of each episode
    obs     (N, T, D)   observations, the last one of an episode is not kept
    acs     (N, T, A)   actions; discrete ones are integers (N, T)
    rews    (N, T)      rewards

Episodes shorter than T are padded with zeros at the end. The layout knows neither how an episode
ended nor its final observation, so a reader that needs next observations loses the last
transition. `write_chapter` therefore adds arrays that the chapter's own code ignores:

    lengths (N,) int64, final_obs (N, D), metadata () JSON text, and how each episode ended:
    terminal, time_limit, terminal_next (N,) bool (sb3_gail_ext.demonstrations.ends)
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.demonstrations.ends import (
    TERMINAL_NEXT,
    end_of,
    infos_of_end,
    is_terminal,
    last_info,
)
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.chapter_checks import check_episodes, check_shapes
from sb3_gail_ext.demonstrations.formats.foreign import one_choice
from sb3_gail_ext.demonstrations.formats.npz import is_one_step_longer, load_arrays, load_text
from sb3_gail_ext.demonstrations.formats.ragged import RAGGED_KEYS, is_ragged, one_by_one
from sb3_gail_ext.demonstrations.sampling import array_obs

REQUIRED_KEYS = ("ep_rets", "obs", "rews", "acs")
OPTIONAL_KEYS = ("lengths", "final_obs", "terminal", "time_limit", "terminal_next")
_HINT = (
    f"A chapter file holds {', '.join(REQUIRED_KEYS)}; one of observations alone has "
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
        REQUIRED_KEYS,
        OPTIONAL_KEYS,
        hint=_HINT,
        objects=RAGGED_KEYS,
        one_step_longer="obs",
    )
    roomy = arrays["obs"]
    if is_one_step_longer(roomy):
        arrays["obs"] = roomy[:, :-1]
    if is_ragged(arrays):
        return [_ragged(path, row, alone) for row, alone in enumerate(one_by_one(path, arrays))]
    whole = "final_obs" in arrays and is_one_step_longer(roomy)
    if not whole:
        arrays.pop("final_obs", None)
    check_shapes(path, arrays)
    lengths = arrays["lengths"] if "lengths" in arrays else _unpadded_lengths(arrays)
    check_episodes(path, arrays, lengths)
    trajectory = functools.partial(_whole, roomy) if whole else _without_last_step
    return [trajectory(arrays, row, int(length)) for row, length in enumerate(lengths)]


def write_chapter(
    path: Path, trajectories: Sequence[TrajectoryWithRew], metadata: Mapping[str, Any] | None
) -> None:
    """Write `trajectories` as a chapter file; an existing file is replaced in one step.

    :raises DemonstrationError: if there is nothing to write or the episodes do not fit together.
    """
    if not trajectories:
        raise DemonstrationError(f"{path}: there are no trajectories to write")
    if not all(isinstance(t, TrajectoryWithRew) for t in trajectories):
        raise DemonstrationError(f"{path}: trajectories without rewards; the format needs them")
    obs = [array_obs(t.obs) for t in trajectories]
    acts = [t.acts for t in trajectories]
    for name, episodes in (("obs", obs), ("acts", acts)):
        shapes = sorted({episode.shape[1:] for episode in episodes})
        if len(shapes) > 1:
            raise DemonstrationError(
                f"{path}: {name} of the trajectories differ in shape ({shapes}); write one file "
                "per environment"
            )
    arrays = {
        "ep_rets": np.array([t.rews.sum(dtype=np.float64) for t in trajectories]),
        "obs": _pad([episode[:-1] for episode in obs]),
        "rews": _pad([t.rews for t in trajectories]),
        "acs": _pad(acts),
        "lengths": np.array([len(t) for t in trajectories], dtype=np.int64),
        "final_obs": np.stack([episode[-1] for episode in obs]),
        "terminal": np.array([is_terminal(t) for t in trajectories]),
        "time_limit": np.array([end_of(t) == "time limit" for t in trajectories]),
        "terminal_next": np.array([bool(last_info(t).get(TERMINAL_NEXT)) for t in trajectories]),
    }
    check_shapes(path, arrays)
    check_episodes(path, arrays, arrays["lengths"])  # what is written can be read
    arrays["metadata"] = np.array(json.dumps(dict(metadata or {}), sort_keys=True))
    with atomically(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_metadata(path: Path) -> dict[str, Any]:
    """The facts that `write_chapter` kept in the file; empty if there are none."""
    try:
        facts = json.loads(load_text(path, "metadata") or "{}")
    except (ValueError, RecursionError) as error:
        if isinstance(error, DemonstrationError):
            raise
        raise DemonstrationError(f"{path}: cannot read its metadata ({error})") from error
    if not isinstance(facts, dict):
        raise DemonstrationError(f"{path}: its metadata is {facts!r:.40}; expected a JSON object")
    return facts


def _ragged(path: Path, row: int, alone: Mapping[str, np.ndarray]) -> TrajectoryWithRew:
    """:param alone: episode `row`, as `one_by_one` yields it."""
    check_shapes(path, alone)
    check_episodes(path, alone, alone["lengths"], first=row)
    return _without_last_step(alone, 0, int(alone["lengths"][0]))


def _unpadded_lengths(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Steps per episode, int64 of shape (N,), with all-zero (or all-NaN) rows at the end cut."""
    n_episodes, n_steps = arrays["rews"].shape
    lengths = np.full(n_episodes, n_steps)
    for row in np.flatnonzero(~_is_used([a[:, -1] for a in _per_step(arrays)])):
        used = _is_used([array[row] for array in _per_step(arrays)])
        lengths[row] = n_steps - np.argmax(used[::-1]) if used.any() else 0
    return lengths


def _per_step(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [arrays[key] for key in ("obs", "acs", "rews")]


def _is_used(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Which rows hold anything but zeros and NaN, of arrays (n, ...): bool (n,)."""
    used = np.zeros(len(arrays[0]), dtype=bool)
    for array in arrays:
        rows = array.reshape(len(array), -1)
        used |= ((rows != 0) & (rows == rows)).any(axis=1)  # NaN is not equal to itself
    return used


def _whole(
    roomy: np.ndarray, arrays: Mapping[str, np.ndarray], row: int, length: int
) -> TrajectoryWithRew:
    """:param roomy: the memory of `obs`, with room for a step behind the last one."""
    roomy[row, length] = arrays["final_obs"][row]
    return TrajectoryWithRew(
        roomy[row, : length + 1],
        arrays["acs"][row, :length],
        infos_of_end(
            length,
            time_limit=_flag(arrays, "time_limit", row),
            terminal_next=_flag(arrays, "terminal_next", row),
        ),
        terminal=_flag(arrays, "terminal", row),
        rews=_floating(arrays["rews"][row, :length]),
    )


def _without_last_step(
    arrays: Mapping[str, np.ndarray], row: int, length: int
) -> TrajectoryWithRew:
    lost_terminal = _flag(arrays, "terminal", row) or _flag(arrays, "terminal_next", row)
    return TrajectoryWithRew(
        arrays["obs"][row, :length],
        one_choice(arrays["acs"][row, : length - 1]),
        infos_of_end(
            length - 1,
            time_limit=_flag(arrays, "time_limit", row),
            terminal_next=lost_terminal,
        ),
        terminal=False,
        rews=_floating(arrays["rews"][row, : length - 1]),
    )


def _flag(arrays: Mapping[str, np.ndarray], key: str, row: int) -> bool:
    return bool(arrays[key][row]) if key in arrays else False


def _floating(rews: np.ndarray) -> np.ndarray:
    return rews if rews.dtype.kind == "f" else rews.astype(np.float64)


def _pad(episodes: Sequence[np.ndarray]) -> np.ndarray:
    """Stack episodes of unequal length, zeros at the end: (N, max length, ...)."""
    longest = max(len(episode) for episode in episodes)
    dtype = np.result_type(*episodes)
    padded = np.zeros((len(episodes), longest, *episodes[0].shape[1:]), dtype)
    for row, episode in enumerate(episodes):
        padded[row, : len(episode)] = episode
    return padded
