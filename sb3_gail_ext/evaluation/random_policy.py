"""The policy that knows nothing: what a score of 0 stands for."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np


class RandomPolicy:
    """Actions drawn uniformly from the environment's action space.

    :param env_id: a Gymnasium id.
    :param seed: of the actions.
    """

    def __init__(self, env_id: str, seed: int = 0) -> None:
        env = gym.make(env_id)
        self.observation_space, self.action_space = env.observation_space, env.action_space
        env.close()
        self.action_space.seed(seed)

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        """As in SB3: one observation to one action, n observations to n."""
        if np.shape(observation) == self.observation_space.shape:
            return np.asarray(self.action_space.sample()), state
        return np.stack([self.action_space.sample() for _ in observation]), state
