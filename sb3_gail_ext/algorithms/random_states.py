"""The random states that a model's learning depends on, as they are kept in its file."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch as th


@dataclass(frozen=True)
class RandomStates:
    """Of Python, NumPy and torch, which SB3 draws from; a model's own generators are its own."""

    python: tuple[Any, ...]
    numpy: tuple[Any, ...]
    torch: th.Tensor  # uint8
    cuda: list[th.Tensor]  # one of each GPU


def random_states() -> RandomStates:
    """As they are now."""
    cuda = th.cuda.get_rng_state_all() if th.cuda.is_available() else []
    numpy: Any = np.random.get_state()  # noqa: NPY002 (what SB3 draws from)
    return RandomStates(random.getstate(), numpy, th.get_rng_state(), cuda)


def restore_random_states(states: RandomStates) -> None:
    """Draw from here on what was drawn after `states` were taken, on as many GPUs as then."""
    random.setstate(states.python)
    np.random.set_state(states.numpy)  # noqa: NPY002
    th.set_rng_state(states.torch)
    if states.cuda and len(states.cuda) == th.cuda.device_count():
        th.cuda.set_rng_state_all(states.cuda)
