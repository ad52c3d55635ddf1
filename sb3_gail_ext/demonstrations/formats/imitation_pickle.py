"""`imitation`'s oldest files: a pickled list of its trajectories.

Each is a `TrajectoryWithRew` of `imitation.data.types` with the attributes `obs` (T + 1, ...),
`acts` (T, ...), `rews` (T,), `infos` (T,) objects or None, and `terminal`, True at time limits,
too: see `imitation_ends`. Or it is a `Trajectory`, which has no `rews`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats import sizes
from sb3_gail_ext.demonstrations.formats.foreign import check_alike, checked_trajectory
from sb3_gail_ext.demonstrations.formats.imitation_ends import kept_end
from sb3_gail_ext.demonstrations.formats.safe_pickle import load_pickle
from sb3_gail_ext.demonstrations.formats.stand_ins import Record
from sb3_gail_ext.demonstrations.returns import keep_stated_return, stated_return

_MODULE = "imitation.data.types"
_TRAJECTORIES = (f"{_MODULE}.TrajectoryWithRew", f"{_MODULE}.Trajectory")
IMITATION_CLASSES = (*_TRAJECTORIES, f"{_MODULE}.DictObs")
_ARRAYS = ("obs", "acts", "rews")


def read_imitation_pickle(path: Path) -> list[TrajectoryWithRew]:
    """Read a pickled list of trajectories without running anything in it.

    :raises DemonstrationError: if the file is missing, is not such a file, or is inconsistent.
    """
    content = load_pickle(path, records=IMITATION_CLASSES)
    if not isinstance(content, list | tuple):
        raise DemonstrationError(
            f"{path}: holds one {type(content).__name__}, not a list of imitation's trajectories"
        )
    _check_sizes(path, content)
    trajectories = [_trajectory(f"{path}: episode {row}", c) for row, c in enumerate(content)]
    check_alike(path, trajectories)
    return trajectories


def _check_sizes(path: Path, content: Sequence[Any]) -> None:
    """The pickle may hold one array in many places, each of which becomes a copy."""
    arrays = [t.get(key) for t in content if isinstance(t, Record) for key in _ARRAYS]
    size = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
    sizes.check_size(path, ", ".join(_ARRAYS), size, path.stat().st_size)


def _trajectory(source: str, content: Any) -> TrajectoryWithRew:
    sound = isinstance(content, Record) and isinstance(content.state, dict)
    if not sound or content.name not in _TRAJECTORIES:
        raise DemonstrationError(f"{source}: no trajectory of imitation's; save the list again")
    has_rewards = content.name == _TRAJECTORIES[0]
    arrays = {key: content.get(key) for key in (_ARRAYS if has_rewards else _ARRAYS[:-1])}
    if isinstance(arrays["obs"], Record):
        raise DemonstrationError(
            f"{source}: its observations are dictionaries; only arrays are read from such files"
        )
    # Without the attribute, it was made before there were fragments: an episode's end is in it.
    terminal = _flag(content.state.get("terminal", True))
    episode = checked_trajectory(source, arrays)
    last_info = _last_of(source, content.get("infos"), len(episode))
    terminal, infos = kept_end(len(episode), terminal, last_info)
    ended = dataclasses.replace(episode, terminal=terminal, infos=infos)
    return keep_stated_return(ended, stated_return(last_info))


def _flag(value: Any) -> bool:
    return isinstance(value, bool | np.bool_) and bool(value)


def _last_of(source: str, infos: Any, n_steps: int) -> Any:
    """The last info; None if there are none."""
    if infos is None:
        return None
    sound = isinstance(infos, list) or (isinstance(infos, np.ndarray) and infos.ndim)
    if not sound or len(infos) != n_steps:
        raise DemonstrationError(f"{source}: not one of infos for each of {n_steps} acts")
    return infos[-1]
