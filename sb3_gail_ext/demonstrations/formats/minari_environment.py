"""Which spaces a Minari dataset has: those of its environment, or of its arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

_MOST_CHOICES = 2**31


class Environment(NamedTuple):
    """What a dataset says of its environment; None where nobody knows."""

    spec: EnvSpec | None = None
    observation: spaces.Space | None = None
    action: spaces.Space | None = None


def environment_of(env_id: Any) -> Environment:
    """:param env_id: only one that is registered is made. An id may also name a module to import,
    and may come from a file that was converted.
    """
    if not isinstance(env_id, str) or env_id not in gym.registry:
        return Environment()
    try:
        env = gym.make(env_id)
        env.close()
        spec = gym.spec(env_id)
        EnvSpec.from_json(spec.to_json())
    except Exception:  # nobody knows what an environment raises where something of it is missing
        return Environment()
    return Environment(spec, env.observation_space, env.action_space)


def space_for(arrays: Sequence[np.ndarray], known: spaces.Space | None) -> spaces.Space:
    """The environment's space, if the arrays are of its shape and dtype, or the widest of theirs.

    :param arrays: one per episode, (n, ...).
    """
    shape, dtype = arrays[0].shape[1:], arrays[0].dtype
    if isinstance(known, spaces.Discrete):
        if dtype.kind in "iu" and shape == ():
            return known
    elif known is not None and (known.shape, known.dtype) == (shape, dtype):
        return known
    if dtype.kind == "b":
        return spaces.MultiBinary(shape) if shape else spaces.Discrete(2)
    if dtype.kind == "f":
        return spaces.Box(-np.inf, np.inf, shape, dtype.type)
    if shape == ():
        low, high = min(int(a.min()) for a in arrays), max(int(a.max()) for a in arrays)
        if low >= 0 and high < _MOST_CHOICES:
            return spaces.Discrete(high + 1)
    limits = np.iinfo(dtype)
    return spaces.Box(limits.min, limits.max, shape, dtype.type)
