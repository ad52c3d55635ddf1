"""Transitions as the discriminator sees them: four arrays with one row each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class TransitionBatch(NamedTuple):
    """Transitions as the discriminator sees them.

    Observations and actions are those of the environment: not normalised, actions inside their
    bounds. Float arrays are float32.
    """

    obs: np.ndarray  # (batch, *obs_shape)
    acts: np.ndarray  # (batch, *act_shape)
    next_obs: np.ndarray  # (batch, *obs_shape)
    dones: np.ndarray  # (batch,) bool: a true terminal state, never a time limit

    def __len__(self) -> int:
        return len(self.obs)

    def take(self, index: np.ndarray) -> TransitionBatch:
        """The transitions at `index`, an integer array of shape (n,)."""
        return TransitionBatch(*(array[index] for array in self))
