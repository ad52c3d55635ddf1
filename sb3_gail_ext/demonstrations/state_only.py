"""Demonstrations whose actions are unknown, or another body's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from gymnasium import spaces
from imitation.data.types import Trajectory, Transitions

from sb3_gail_ext.demonstrations.sampling import TransitionBatch, flatten


def flatten_states(
    demonstrations: Sequence[Trajectory] | Transitions, action_space: spaces.Space
) -> TransitionBatch:
    """As `flatten`, with the same action of `action_space` in the place of every one recorded.

    :param demonstrations: `acts` may have any shape and values, one row per step.
    :param action_space: Box or Discrete.
    :raises DemonstrationError: if there are none.
    """
    if isinstance(demonstrations, Transitions):
        acts = _one_action(action_space, len(demonstrations))
        return flatten(replace(demonstrations, acts=acts))
    return flatten([replace(t, acts=_one_action(action_space, len(t))) for t in demonstrations])


def _one_action(space: spaces.Space, n: int) -> np.ndarray:
    """A valid action, `n` times: (n, *act_shape)."""
    if isinstance(space, spaces.Discrete):
        action = np.asarray(space.start, np.int64)
    else:
        assert isinstance(space, spaces.Box)  # the algorithm has checked
        action = np.clip(np.zeros(space.shape, np.float32), space.low, space.high)
    return np.broadcast_to(action, (n, *action.shape))
