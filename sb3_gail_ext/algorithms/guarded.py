"""An off-policy learner that stops where it learns from what is no number, and says why."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import RolloutReturn

from sb3_gail_ext.failures import (
    check_learner,
    check_observation,
    check_observations,
    naming_dead_workers,
    naming_divergence,
)


class GuardedOffPolicy(OffPolicyAlgorithm):
    """Mixin: checks what the environment gives and what the learner's losses are.

    Put it right before SB3's learner.

    :raises NotFiniteError: from `learn`, with the step and the likely cause.
    :raises WorkerDiedError: likewise, where a SubprocVecEnv lost a process.
    """

    def collect_rollouts(self, *args: Any, **kwargs: Any) -> RolloutReturn:
        with naming_dead_workers(self), naming_divergence(self):
            return super().collect_rollouts(*args, **kwargs)

    def _store_transition(
        self,
        replay_buffer: Any,
        buffer_action: np.ndarray,
        new_obs: Any,
        reward: np.ndarray,
        dones: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        check_observations(new_obs, self.num_timesteps)
        for env in np.flatnonzero(dones):  # there `new_obs` is the next episode's first
            check_observation(infos[env]["terminal_observation"], int(env), self.num_timesteps)
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        with naming_divergence(self):
            super().train(gradient_steps, batch_size)
        check_learner(self)
