"""PPO as the generator, with the defaults that suit a learned reward."""

from __future__ import annotations

from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.type_aliases import GymEnv

from sb3_gail_ext.algorithms.demonstrated import Demonstrations
from sb3_gail_ext.algorithms.on_policy import AdversarialOnPolicy
from sb3_gail_ext.algorithms.schedules import LinearSchedule
from sb3_gail_ext.algorithms.with_discriminator import LearningRate

_ROLLOUT_STEPS = 2048


class PPOGenerator(AdversarialOnPolicy, PPO):
    """PPO for imitation: three of its defaults differ from SB3's.

    After trials on four environments (docs/tuning.md).

    :param learning_rate: falls linearly from 5e-4 to a fiftieth of it over `learn`.
    :param n_steps: per environment and rollout; None makes rollouts of 2,048 steps in all.
    :param gae_lambda: 0.9; a learned reward is dense.
    """

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        learning_rate: LearningRate = LinearSchedule(5e-4),  # noqa: B008 (immutable)
        n_steps: int | None = None,
        gae_lambda: float = 0.9,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            policy,
            env,
            demonstrations,
            learning_rate=learning_rate,
            n_steps=n_steps or max(_ROLLOUT_STEPS // getattr(env, "num_envs", 1), 2),
            gae_lambda=gae_lambda,
            **kwargs,
        )
