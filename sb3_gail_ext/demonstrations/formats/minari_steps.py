"""The arrays of one episode, in whichever of its storages Minari keeps them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class MinariSteps(NamedTuple):
    """An episode as it is in the file, unchecked but for being arrays."""

    observations: np.ndarray  # (T + 1, ...)
    actions: np.ndarray  # (T, ...)
    rewards: np.ndarray  # (T,)
    terminations: np.ndarray  # (T,)
    truncations: np.ndarray  # (T,)
