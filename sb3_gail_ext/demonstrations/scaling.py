"""The scaling of observations that the demonstrations define."""

from __future__ import annotations

import numpy as np
import torch as th
from gymnasium import spaces

_MIN_STD = 1e-2  # a coordinate that the expert holds still must not become a loud one


class ObservationScaling(th.nn.Module):
    """Scales each coordinate by a fixed mean and deviation: those of the demonstrations.

    They do not move while something learns behind them, and are saved with its weights. Anything
    but a Box of floats passes as it is, and so does everything before `fit_once`.
    """

    def __init__(self, space: spaces.Space) -> None:
        super().__init__()
        self.applies = isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)
        shape = (space.shape or ()) if self.applies else ()
        self.mean: th.Tensor
        self.std: th.Tensor
        self.fitted: th.Tensor
        self.register_buffer("mean", th.zeros(shape))
        self.register_buffer("std", th.ones(shape))
        self.register_buffer("fitted", th.tensor(False))

    def fit_once(self, obs: np.ndarray) -> None:
        """Take mean and deviation from observations (n, *shape), the first time only.

        What was trained behind one scaling must go on seeing it.
        """
        if self.fitted or not self.applies:
            return
        self.fitted.fill_(True)
        exact = obs.astype(np.float64)
        self.mean.copy_(th.as_tensor(exact.mean(0)))
        self.std.copy_(th.as_tensor(np.maximum(exact.std(0), _MIN_STD)))

    def forward(self, obs: th.Tensor) -> th.Tensor:
        """(n, *shape) to the same, scaled."""
        return (obs - self.mean) / self.std if self.applies else obs
