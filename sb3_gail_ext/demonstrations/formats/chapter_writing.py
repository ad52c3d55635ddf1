"""Write the chapter's `.npz` layout, with what it lacks in arrays of our own; see `chapter`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import Trajectory

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.demonstrations.ends import TERMINAL_NEXT, end_of, is_terminal, last_info
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.chapter_checks import check_episodes, check_shapes
from sb3_gail_ext.demonstrations.formats.foreign import check_rewards_alike
from sb3_gail_ext.demonstrations.returns import returns
from sb3_gail_ext.demonstrations.sampling import array_obs
from sb3_gail_ext.demonstrations.unknown_rewards import with_unknown_rewards


def write_chapter(
    path: Path, trajectories: Sequence[Trajectory], metadata: Mapping[str, Any] | None
) -> None:
    """Write `trajectories` as a chapter file; an existing file is replaced in one step.

    :raises DemonstrationError: if there is nothing to write or the episodes do not fit together.
    """
    if not trajectories:
        raise DemonstrationError(f"{path}: there are no trajectories to write")
    episodes = [with_unknown_rewards(t) for t in trajectories]
    check_rewards_alike(path, episodes)
    obs = [array_obs(t.obs) for t in episodes]
    acts = [t.acts for t in episodes]
    for name, steps in (("obs", obs), ("acts", acts)):
        shapes = sorted({array.shape[1:] for array in steps})
        if len(shapes) > 1:
            raise DemonstrationError(
                f"{path}: {name} of the trajectories differ in shape ({shapes}); write one file "
                "per environment"
            )
    arrays = {
        "ep_rets": returns(episodes),
        "obs": _pad([episode[:-1] for episode in obs]),
        "rews": _pad([t.rews for t in episodes]),
        "acs": _pad(acts),
        "lengths": np.array([len(t) for t in episodes], dtype=np.int64),
        "final_obs": np.stack([episode[-1] for episode in obs]),
        "terminal": np.array([is_terminal(t) for t in episodes]),
        "time_limit": np.array([end_of(t) == "time limit" for t in episodes]),
        "terminal_next": np.array([bool(last_info(t).get(TERMINAL_NEXT)) for t in episodes]),
    }
    check_shapes(path, arrays)
    check_episodes(path, arrays, arrays["lengths"])  # what is written can be read
    arrays["metadata"] = np.array(json.dumps(dict(metadata or {}), sort_keys=True))
    with atomically(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _pad(episodes: Sequence[np.ndarray]) -> np.ndarray:
    """Stack episodes of unequal length, zeros at the end: (N, max length, ...)."""
    longest = max(len(episode) for episode in episodes)
    dtype = np.result_type(*episodes)
    padded = np.zeros((len(episodes), longest, *episodes[0].shape[1:]), dtype)
    for row, episode in enumerate(episodes):
        padded[row, : len(episode)] = episode
    return padded
