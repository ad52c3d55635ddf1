"""A running average of a policy's weights, which is what a trained model answers with."""

from __future__ import annotations

from typing import Any

import torch as th
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import polyak_update


def another_policy(model: OnPolicyAlgorithm) -> ActorCriticPolicy:
    """A second policy with the same weights, made as SB3 makes the first: gSDE's is no copy."""
    with th.random.fork_rng(devices=[]):  # what is drawn here must not change what follows
        policy: Any = model.policy_class(
            model.observation_space,
            model.action_space,
            model.lr_schedule,
            use_sde=model.use_sde,
            **model.policy_kwargs,
        ).to(model.device)
    policy.load_state_dict(model.policy.state_dict())
    policy.set_training_mode(False)
    made: ActorCriticPolicy = policy
    return made


def average_into(average: ActorCriticPolicy, latest: ActorCriticPolicy, *, kept: float) -> None:
    """Move `average` towards `latest`; it keeps the share `kept` of itself.

    Smooths the swings of a game with two players (Yazici et al. 2019, for GANs).
    """
    polyak_update(latest.parameters(), average.parameters(), 1 - kept)
    for old, new in zip(average.buffers(), latest.buffers(), strict=True):
        old.copy_(new)  # batch norm's are averages already
