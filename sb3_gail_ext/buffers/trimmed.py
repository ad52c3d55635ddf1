"""A replay buffer whose file holds what is in it, not the memory that it may need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.buffers import ReplayBuffer

_PER_STEP = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class TrimmedReplayBuffer(ReplayBuffer):
    """Pickles the steps that are filled: of a million that SB3 reserves, few are at first."""

    def __getstate__(self) -> dict[str, Any]:
        filled = self.size()
        return {**vars(self), **_map_steps(vars(self), lambda array: array[:filled])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.update(_map_steps(state, self._with_room))

    def _with_room(self, array: np.ndarray) -> np.ndarray:
        full = np.zeros((self.buffer_size, *array.shape[1:]), array.dtype)
        full[: len(array)] = array
        return full


def _map_steps(
    state: dict[str, Any], function: Callable[[np.ndarray], np.ndarray]
) -> dict[str, Any]:
    """`function` of each array (buffer_size, ...), of each of a dictionary's where it is one."""
    arrays = {name: state[name] for name in _PER_STEP if state.get(name) is not None}
    return {
        name: {key: function(part) for key, part in array.items()}
        if isinstance(array, dict)
        else function(array)
        for name, array in arrays.items()
    }
