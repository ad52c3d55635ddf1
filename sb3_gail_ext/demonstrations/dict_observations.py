"""Dictionaries of observations as rows of one array, and back.

Demonstrations, discriminators and the recorder know arrays only. Of a Dict space they see one
float32 row per step: its keys in the space's order, each as SB3 prepares it for its networks.
Discrete and MultiDiscrete are one-hot, images are divided by 255, anything else is flat. Policies
get the dictionary back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces
from imitation.data.types import DictObs, Trajectory, Transitions
from stable_baselines3.common.preprocessing import (
    get_flattened_obs_dim,
    get_obs_shape,
    is_image_space,
)

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.images import channels_as

_BRIGHTEST = 255.0
SUBSPACES = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def flat_space(space: spaces.Space) -> spaces.Space:
    """The Box of `flatten_obs`; `space` itself unless it is a Dict."""
    if not isinstance(space, spaces.Dict):
        return space
    bounds = [_bounds(subspace) for subspace in space.spaces.values()]
    low, high = (np.concatenate(side).astype(np.float32) for side in zip(*bounds, strict=True))
    return spaces.Box(low, high, dtype=np.float32)


def flatten_obs(space: spaces.Space, obs: Any) -> np.ndarray:
    """Observations of a Dict space as float32 (n, D); arrays pass as they are.

    :param obs: a dictionary of arrays (n, *subspace_shape), of a Discrete subspace (n,) or (n, 1).
    """
    if not isinstance(obs, DictObs | Mapping):
        return np.asarray(obs)
    assert isinstance(space, spaces.Dict)
    ordered = channels_as(space, obs)
    parts = [_encode(subspace, ordered[key]) for key, subspace in space.spaces.items()]
    return np.concatenate(parts, axis=1)


def flatten_one(space: spaces.Space, obs: Any) -> np.ndarray:
    """`flatten_obs` of a single observation: (D,)."""
    if not isinstance(obs, Mapping):
        return np.asarray(obs)
    return flatten_obs(space, {key: np.asarray(value)[None] for key, value in obs.items()})[0]


def unflatten_obs(space: spaces.Space, flat: np.ndarray) -> Any:
    """The inverse of `flatten_obs`, as SB3's buffers hold it; arrays of another space pass.

    :param flat: (n, D).
    :returns: of a Dict space a dictionary of arrays (n, *subspace_shape), (n, 1) of a Discrete one.
    """
    if not isinstance(space, spaces.Dict):
        return flat
    widths = [get_flattened_obs_dim(subspace) for subspace in space.spaces.values()]
    parts = np.split(flat, np.cumsum(widths)[:-1], axis=1)
    return {
        key: _decode(subspace, part)
        for (key, subspace), part in zip(space.spaces.items(), parts, strict=True)
    }


def as_arrays(
    space: spaces.Space, demonstrations: Sequence[Trajectory] | Transitions
) -> Sequence[Trajectory] | Transitions:
    """The same with flat observations where they are dictionaries of `space`.

    :raises DemonstrationError: at the first key that does not fit.
    """
    if not isinstance(space, spaces.Dict):
        return demonstrations
    if isinstance(demonstrations, Transitions):
        flat, flat_next = (_flat(space, o) for o in (demonstrations.obs, demonstrations.next_obs))
        return replace(demonstrations, obs=flat, next_obs=flat_next)
    return [replace(episode, obs=_flat(space, episode.obs)) for episode in demonstrations]


def has_images(space: spaces.Space) -> bool:
    """Is it a space of images, or a Dict with one?"""
    subspaces = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    return any(is_image_space(subspace) for subspace in subspaces)


def _flat(space: spaces.Dict, obs: np.ndarray | DictObs) -> np.ndarray:
    if not isinstance(obs, DictObs):
        return obs  # flat already, or what checks against the spaces refuse
    if set(obs.keys()) != set(space.spaces):
        raise DemonstrationError(
            f"demonstrations: obs has the keys {sorted(obs.keys())}, but the environment's has "
            f"{sorted(space.spaces)}; these demonstrations belong to another environment"
        )
    for key, array in channels_as(space, obs).items():
        _check(space[key], array, key)
    return flatten_obs(space, obs)


def _check(space: spaces.Space, array: np.ndarray, key: str) -> None:
    shapes = {space.shape, get_obs_shape(space)}
    if array.shape[1:] not in shapes:
        raise DemonstrationError(
            f"demonstrations: obs[{key!r}] has shape {array.shape[1:]} per step, but the "
            f"environment's is {space.shape}; these demonstrations belong to another environment"
        )
    choices = _choices(space)
    values = array.reshape(len(array), -1)
    if choices is not None and (
        values.dtype.kind not in "iu" or (values < 0).any() or (values >= choices).any()
    ):
        raise DemonstrationError(
            f"demonstrations: obs[{key!r}] must be integers of {space}, but range from "
            f"{values.min()} to {values.max()} with dtype {values.dtype}"
        )


def _choices(space: spaces.Space) -> np.ndarray | None:
    """How many values each integer has, if it is integers that are one-hot."""
    if isinstance(space, spaces.Discrete):
        return np.array([space.n])
    return space.nvec.ravel() if isinstance(space, spaces.MultiDiscrete) else None


def _bounds(space: spaces.Space) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(space, spaces.Box) and not is_image_space(space):
        return space.low.ravel(), space.high.ravel()
    width = get_flattened_obs_dim(space)
    return np.zeros(width), np.ones(width)


def _encode(space: spaces.Space, values: np.ndarray) -> np.ndarray:
    """(n, *shape) to float32 (n, width)."""
    choices, rows = _choices(space), values.reshape(len(values), -1)
    if choices is not None:
        columns = rows.astype(np.int64) + np.cumsum(choices) - choices
        flat = np.zeros((len(rows), choices.sum()), np.float32)
        np.put_along_axis(flat, columns, 1.0, axis=1)
        return flat
    flat = rows.astype(np.float32)
    return flat / np.float32(_BRIGHTEST) if is_image_space(space) else flat


def _decode(space: spaces.Space, flat: np.ndarray) -> np.ndarray:
    """float32 (n, width) to (n, *shape)."""
    choices = _choices(space)
    if choices is not None:
        parts = np.split(flat, np.cumsum(choices)[:-1], axis=1)
        flat = np.stack([part.argmax(axis=1) for part in parts], axis=1)
    elif is_image_space(space):
        flat = np.rint(flat * _BRIGHTEST)
    return flat.reshape(len(flat), *get_obs_shape(space)).astype(space.dtype)
