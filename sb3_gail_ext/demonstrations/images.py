"""Image demonstrations in the order of axes that SB3's policies see."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

from sb3_gail_ext.demonstrations.mapped import MappedRows
from sb3_gail_ext.demonstrations.sampling import TransitionBatch


def order_axes_as(observation_space: spaces.Space, transitions: TransitionBatch) -> TransitionBatch:
    """Put channels first where the space has them there and the recorded images have them last.

    SB3 does the same to the environment (VecTransposeImage); demonstrations are recorded before.
    Anything else passes as it is.
    """
    obs = channels_as(observation_space, transitions.obs)
    if obs is transitions.obs:
        return transitions
    next_obs = channels_as(observation_space, transitions.next_obs)
    return TransitionBatch(obs, transitions.acts, next_obs, transitions.dones)


def channels_as(observation_space: spaces.Space, images: Any) -> Any:
    """The same for one array, or for each of a dictionary: (n, H, W, C) to (n, C, H, W)."""
    if isinstance(observation_space, spaces.Dict):
        subspaces = observation_space.spaces.items()
        return {key: channels_as(space, np.asarray(images.get(key))) for key, space in subspaces}
    height_width_channels = images.shape[1:]
    if (
        len(height_width_channels) != 3
        or not is_image_space(observation_space)
        or height_width_channels == observation_space.shape
        or (height_width_channels[-1], *height_width_channels[:-1]) != observation_space.shape
    ):
        return images
    if isinstance(images, MappedRows):
        return images.map(lambda episode: np.moveaxis(episode, -1, 1))
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))
