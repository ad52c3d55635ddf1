"""Image demonstrations in the order of axes that SB3's policies see."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

from sb3_gail_ext.demonstrations.sampling import TransitionBatch


def order_axes_as(observation_space: spaces.Space, transitions: TransitionBatch) -> TransitionBatch:
    """Put channels first where the space has them there and the recorded images have them last.

    SB3 does the same to the environment (VecTransposeImage); demonstrations are recorded before.
    Anything else passes as it is.
    """
    height_width_channels = transitions.obs.shape[1:]
    if (
        len(height_width_channels) != 3
        or not is_image_space(observation_space)
        or height_width_channels == observation_space.shape
        or (height_width_channels[-1], *height_width_channels[:-1]) != observation_space.shape
    ):
        return transitions
    obs, acts, next_obs, dones = transitions
    return TransitionBatch(_channels_first(obs), acts, _channels_first(next_obs), dones)


def _channels_first(images: np.ndarray) -> np.ndarray:
    """(n, height, width, channels) to (n, channels, height, width)."""
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))
