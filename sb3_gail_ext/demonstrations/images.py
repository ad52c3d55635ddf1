"""Image demonstrations in the order of axes that an environment, or SB3's policies, see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces
from imitation.data.types import Trajectory, Transitions
from stable_baselines3.common.preprocessing import is_image_space

from sb3_gail_ext.demonstrations.mapped import MappedRows
from sb3_gail_ext.demonstrations.sampling import TransitionBatch

_TO_FIRST, _TO_LAST = (-1, 1), (1, -1)  # where the channels of (n, ...) are, and where they go


def order_axes_as(observation_space: spaces.Space, transitions: TransitionBatch) -> TransitionBatch:
    """Put channels where the space has them, if that is what distinguishes the images from its own.

    SB3 does so to the environment (VecTransposeImage: channels first); demonstrations are recorded
    before, channels last. Anything else passes as it is.
    """
    obs = channels_as(observation_space, transitions.obs)
    if obs is transitions.obs:
        return transitions
    next_obs = channels_as(observation_space, transitions.next_obs)
    return TransitionBatch(obs, transitions.acts, next_obs, transitions.dones)


def order_episodes_as(
    observation_space: spaces.Space, demonstrations: Sequence[Trajectory] | Transitions
) -> Sequence[Trajectory] | Transitions:
    """The same for whole episodes of array observations, whose images become views."""
    if isinstance(demonstrations, Transitions):
        obs, next_obs = demonstrations.obs, demonstrations.next_obs
        return replace(
            demonstrations,
            obs=_view_as(observation_space, obs),
            next_obs=_view_as(observation_space, next_obs),
        )
    return [replace(t, obs=_view_as(observation_space, t.obs)) for t in demonstrations]


def channels_as(observation_space: spaces.Space, images: Any) -> Any:
    """The same for one array, or for each of a dictionary: (n, H, W, C) to (n, C, H, W) or back."""
    if isinstance(observation_space, spaces.Dict):
        subspaces = observation_space.spaces.items()
        return {key: channels_as(space, np.asarray(images.get(key))) for key, space in subspaces}
    move = _move(images.shape[1:], observation_space)
    if move is None:
        return images
    if isinstance(images, MappedRows):
        return images.map(lambda episode: np.moveaxis(episode, *move))
    return np.ascontiguousarray(np.moveaxis(images, *move))


def _view_as(observation_space: spaces.Space, images: Any) -> Any:
    if not isinstance(images, np.ndarray):  # dictionaries, which the space will refuse
        return images
    move = _move(images.shape[1:], observation_space)
    return images if move is None else np.moveaxis(images, *move)


def _move(shape: tuple[int, ...], space: spaces.Space) -> tuple[int, int] | None:
    """How the channels of images (n, *shape) get to where the space has them; None if they are."""
    if len(shape) != 3 or shape == space.shape or not is_image_space(space):
        return None
    if (shape[-1], *shape[:-1]) == space.shape:
        return _TO_FIRST
    return _TO_LAST if (*shape[1:], shape[0]) == space.shape else None
