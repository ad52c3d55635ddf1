"""The arrays of a pickled SB3 replay buffer, checked; actions as the environment got them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.numeric import check_numeric
from sb3_gail_ext.demonstrations.formats.safe_pickle import load_pickle
from sb3_gail_ext.demonstrations.formats.stand_ins import Record

_BUFFERS = "stable_baselines3.common.buffers"
_READABLE = (f"{_BUFFERS}.ReplayBuffer", f"{_BUFFERS}.NStepReplayBuffer")
_DICTIONARIES = (
    f"{_BUFFERS}.DictReplayBuffer",
    "stable_baselines3.her.her_replay_buffer.HerReplayBuffer",
)
BUFFER_CLASSES = (*_READABLE, *_DICTIONARIES)
# A buffer keeps its spaces with their random generators, and a device.
_INERT = ("gymnasium", "gym", "numpy", "torch", "stable_baselines3")
_SCALED = 1 + 1e-5  # the largest scaled action, rounded


class ReplayArrays(NamedTuple):
    """Of n steps of E environments."""

    obs: np.ndarray  # (n, E, ...)
    next_obs: np.ndarray | None  # (n, E, ...)
    acts: np.ndarray  # (n, E, ...), inside the action space
    rews: np.ndarray  # (n, E)
    dones: np.ndarray  # (n, E)
    timeouts: np.ndarray  # (n, E)
    ends_known: bool  # are time limits told from terminal states?
    pos: int  # where the next step would have been written
    full: bool


def load_replay_arrays(path: Path) -> ReplayArrays:
    """:raises DemonstrationError: if this is no such buffer, or an inconsistent or empty one."""
    buffer = load_pickle(path, records=BUFFER_CLASSES, inert=_INERT)
    if not isinstance(buffer, Record) or buffer.name not in BUFFER_CLASSES:
        raise DemonstrationError(f"{path}: no replay buffer of SB3's; save it again")
    if buffer.name in _DICTIONARIES:
        raise DemonstrationError(
            f"{path}: a {buffer.name.split('.')[-1]} holds dictionaries of observations, which are "
            "not read from replay buffers; record the demonstrations instead"
        )
    steps = {
        key: _array(path, buffer, key)
        for key in ("observations", "actions", "rewards", "dones", "timeouts")
    }
    optimized = buffer.get("next_observations") is None
    if not optimized:
        steps["next_observations"] = _array(path, buffer, "next_observations")
    _check_shapes(path, steps)
    pos, full = buffer.get("pos"), buffer.get("full")
    _check_filled(path, pos, full, len(steps["dones"]))
    return ReplayArrays(
        steps["observations"],
        steps.get("next_observations"),
        _as_env_got(path, steps["actions"], buffer.get("action_space")),
        steps["rewards"],
        steps["dones"],
        steps["timeouts"],
        buffer.get("handle_timeout_termination") is True,
        pos,
        full,
    )


def _array(path: Path, buffer: Record, key: str) -> np.ndarray:
    array = buffer.get(key)
    if not isinstance(array, np.ndarray):
        raise DemonstrationError(f"{path}: no array {key} in the buffer; save it again")
    check_numeric(path, key, array.dtype)
    return array


def _check_shapes(path: Path, steps: dict[str, np.ndarray]) -> None:
    shapes = {key: array.shape for key, array in steps.items()}
    flat = all(len(shapes[key]) == 2 for key in ("rewards", "dones", "timeouts"))
    alike = len({shape[:2] for shape in shapes.values()}) == 1 and len(shapes["actions"]) == 3
    same_obs = shapes.get("next_observations", shapes["observations"]) == shapes["observations"]
    if not (flat and alike and same_obs):
        raise DemonstrationError(
            f"{path}: arrays of shapes {shapes}; all must begin with (steps, environments)"
        )


def _check_filled(path: Path, pos: Any, full: Any, size: int) -> None:
    sound = type(pos) is int and type(full) is bool and 0 <= pos < max(size, 1)
    if not sound or not (pos or full) or not size:
        raise DemonstrationError(
            f"{path}: an empty buffer, or one that does not say which of its {size} steps are "
            "filled; save it after learning"
        )


def _as_env_got(path: Path, actions: np.ndarray, space: Any) -> np.ndarray:
    """SB3's off-policy algorithms store a Box's actions scaled to [-1, 1], and flat."""
    kind = space.name.split(".")[-1] if isinstance(space, Record) else None
    if kind in ("Discrete", "MultiDiscrete", "MultiBinary"):
        return actions
    if kind != "Box":
        raise DemonstrationError(f"{path}: no action space of a kind that SB3 has; save it again")
    low, high = (space.get(bound) for bound in ("low", "high"))
    if not _are_bounds(low, high, actions.shape[2]):
        raise DemonstrationError(
            f"{path}: the action space has no finite low and high for each of "
            f"{actions.shape[2]} action dimensions, so scaled actions cannot be undone"
        )
    if (np.abs(actions) > _SCALED).any():
        raise DemonstrationError(
            f"{path}: actions outside [-1, 1]; SB3 stores them scaled, so this buffer was filled "
            "by other code: save its arrays in another format"
        )
    scaled = actions.reshape(*actions.shape[:2], *low.shape)
    return low + (0.5 * (scaled + 1.0) * (high - low))  # as SB3's `unscale_action`


def _are_bounds(low: Any, high: Any, n_dims: int) -> bool:
    arrays = [a for a in (low, high) if isinstance(a, np.ndarray) and a.dtype.kind in "fiub"]
    finite = all(a.size == n_dims and np.isfinite(a).all() for a in arrays)
    return len(arrays) == 2 and finite and low.shape == high.shape
