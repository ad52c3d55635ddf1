"""How far a batch is taken before the clock stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces

from sb3_gail_ext.bench.data.synthetic import ACT_DIM, OBS_DIM, random_episodes
from sb3_gail_ext.demonstrations.sampling import TransitionBatch, flatten
from sb3_gail_ext.rewards.discriminator import Discriminator
from sb3_gail_ext.rewards.networks import NormalizedRewardNet, default_reward_net

Finish = Callable[..., Any]  # of obs, acts, next_obs and dones


def forms(batch_size: int) -> dict[str, Finish]:
    """By name, from the shortest way to the longest."""
    obs_space = spaces.Box(-np.inf, np.inf, (OBS_DIM,), np.float32)
    act_space = spaces.Box(0, 1, (ACT_DIM,), np.float32)
    net = NormalizedRewardNet(default_reward_net(obs_space, act_space))
    discriminator = Discriminator(
        net, learning_rate=1e-3, reward_form="gail", gradient_penalty_coef=0.5
    )
    agent = flatten(random_episodes(batch_size))

    def step(*batch: np.ndarray) -> Any:
        return discriminator.update(TransitionBatch(*batch), agent)

    return {"tensors": _as_tensors, "discriminator's inputs": net.preprocess, "one step": step}


def _as_tensors(*batch: np.ndarray) -> list[th.Tensor]:
    return [th.as_tensor(array) for array in batch]
