"""The chapter's `.npz` layout, which is OpenAI Baselines': one row per episode.

    ep_rets (N,)        return of each episode
    obs     (N, T, D)   observations, the last one of an episode is not kept
    acs     (N, T, A)   actions; discrete ones are integers (N, T)
    rews    (N, T)      rewards

Episodes shorter than T are padded with zeros at the end, or `obs`, `acs` and `rews` are object
arrays of one array per episode (`ragged`). The layout knows neither how an episode
ended nor its final observation, so a reader that needs next observations loses the last
transition. `write_chapter` therefore adds arrays that the chapter's own code ignores:

    lengths (N,) int64, final_obs (N, D), terminal (N,) bool, metadata () JSON text
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.chapter_checks import check_episodes, check_shapes
from sb3_gail_ext.demonstrations.formats.npz import load_arrays, open_npz
from sb3_gail_ext.demonstrations.formats.ragged import RAGGED_KEYS, is_ragged, one_by_one
from sb3_gail_ext.demonstrations.sampling import array_obs

REQUIRED_KEYS = ("ep_rets", "obs", "rews", "acs")
OPTIONAL_KEYS = ("lengths", "final_obs", "terminal")
_HINT = (
    f"A chapter file holds {', '.join(REQUIRED_KEYS)}; one of observations alone has "
    "acs=np.zeros((N, T, 0))"
)


def read_chapter(path: Path) -> list[TrajectoryWithRew]:
    """Read a chapter file, checking every array.

    Without `final_obs` in the file, each trajectory lacks its last transition and its
    `terminal` is False, for the file does not say how the episode ended.

    :raises DemonstrationError: if the file is missing, is not such a file, or is inconsistent.
    """
    arrays = load_arrays(path, REQUIRED_KEYS, OPTIONAL_KEYS, objects=RAGGED_KEYS, hint=_HINT)
    if not is_ragged(arrays):
        return _trajectories(path, arrays)
    episodes = enumerate(one_by_one(path, arrays))
    return [t for row, episode in episodes for t in _trajectories(path, episode, first=row)]


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
        "terminal": np.array([t.terminal for t in trajectories], dtype=bool),
    }
    check_shapes(path, arrays)
    check_episodes(path, arrays, arrays["lengths"])  # what is written can be read
    arrays["metadata"] = np.array(json.dumps(dict(metadata or {}), sort_keys=True))
    with atomically(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_metadata(path: Path) -> dict[str, Any]:
    """The facts that `write_chapter` kept in the file; empty if there are none."""
    with open_npz(path) as npz:
        try:
            return json.loads(str(npz["metadata"])) if "metadata" in npz else {}
        except Exception as error:  # as in `open_npz`
            raise DemonstrationError(f"{path}: cannot read its metadata ({error})") from error


def _trajectories(
    path: Path, arrays: Mapping[str, np.ndarray], first: int = 0
) -> list[TrajectoryWithRew]:
    """:param first: the number of the first episode in `arrays`."""
    check_shapes(path, arrays)
    lengths = arrays["lengths"] if "lengths" in arrays else _unpadded_lengths(arrays)
    check_episodes(path, arrays, lengths, first)
    return [_trajectory(arrays, row, int(length)) for row, length in enumerate(lengths)]


def _unpadded_lengths(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Steps per episode, int64 of shape (N,), with all-zero (or all-NaN) rows at the end cut."""
    n_episodes, n_steps = arrays["rews"].shape
    used = np.zeros((n_episodes, n_steps), dtype=bool)
    for key in ("obs", "acs", "rews"):
        flat = arrays[key].reshape(n_episodes, n_steps, -1)
        used |= ((flat != 0) & ~np.isnan(flat.astype(np.float64, copy=False))).any(axis=2)
    return np.where(used.any(axis=1), n_steps - np.argmax(used[:, ::-1], axis=1), 0)


def _trajectory(arrays: Mapping[str, np.ndarray], row: int, length: int) -> TrajectoryWithRew:
    obs, acts = arrays["obs"][row, :length], arrays["acs"][row, :length]
    rews = arrays["rews"][row, :length]
    terminal = bool(arrays["terminal"][row]) if "terminal" in arrays else False
    if "final_obs" in arrays:
        obs = np.concatenate([obs, arrays["final_obs"][row : row + 1]])
    else:
        acts, rews = acts[:-1], rews[:-1]
    if acts.dtype.kind in "iu" and acts.shape[1:] == (1,):
        acts = acts[:, 0]  # one choice per step
    if rews.dtype.kind != "f":
        rews = rews.astype(np.float64)
    return TrajectoryWithRew(obs=obs, acts=acts, infos=None, terminal=terminal, rews=rews)


def _pad(episodes: Sequence[np.ndarray]) -> np.ndarray:
    """Stack episodes of unequal length, zeros at the end: (N, max length, ...)."""
    longest = max(len(episode) for episode in episodes)
    dtype = np.result_type(*episodes)
    padded = np.zeros((len(episodes), longest, *episodes[0].shape[1:]), dtype)
    for row, episode in enumerate(episodes):
        padded[row, : len(episode)] = episode
    return padded
