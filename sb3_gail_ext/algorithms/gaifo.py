"""GAIfO: Generative Adversarial Imitation from Observation (Torabi, Warnell & Stone, 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imitation.data.types import Trajectory, Transitions
from imitation.rewards.reward_nets import RewardNet
from stable_baselines3.common.type_aliases import GymEnv

from sb3_gail_ext.algorithms.demonstrated import Demonstrations
from sb3_gail_ext.algorithms.on_policy import AdversarialOnPolicy
from sb3_gail_ext.algorithms.ppo import PPOGenerator
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.demonstrations.state_only import flatten_states
from sb3_gail_ext.rewards.networks import check_ignores_actions


class FromObservation(AdversarialOnPolicy):
    """Mixin: the discriminator sees (s, s') and never an action.

    Paper: https://arxiv.org/abs/1807.06158, Algorithm 1. Demonstrations need no actions, or may
    have those of another body: whatever `acts` holds, of any shape, is ignored; shape (T, 0) says
    that there are none. Observations must be the environment's.

    Put it before an SB3 on-policy algorithm, like `AdversarialOnPolicy`, whose arguments it takes.

    :param reward_net: one that ignores actions. By default the MLP of `AdversarialOnPolicy` on
        observation and next observation.
    :param warm_start_updates: 0; there are no actions to clone.
    :param critic_warm_up_rollouts: 0; there is no clone to protect.
    :raises ValueError: if there shall be a warm start, or `reward_net` looks at actions.
    """

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        warm_start_updates: int = 0,
        critic_warm_up_rollouts: int = 0,
        **kwargs: Any,
    ) -> None:
        if warm_start_updates:
            raise ValueError(
                f"warm_start_updates is {warm_start_updates}, but imitation from observations "
                "knows no actions to clone; leave it at 0, or use GAIL"
            )
        super().__init__(
            policy,
            env,
            demonstrations,
            warm_start_updates=warm_start_updates,
            critic_warm_up_rollouts=critic_warm_up_rollouts,
            **kwargs,
        )

    def _flatten(self, demonstrations: Sequence[Trajectory] | Transitions) -> TransitionBatch:
        return flatten_states(demonstrations, self.action_space)

    def _default_reward_net(self, **kwargs: Any) -> RewardNet:
        return super()._default_reward_net(
            **{"use_action": False, "use_next_state": True, **kwargs}
        )

    def _setup_model(self) -> None:
        super()._setup_model()
        check_ignores_actions(self.discriminator.net)


class GAIfO(FromObservation, PPOGenerator):
    """Imitate what an expert's demonstrations reach, not what it does, with PPO as the generator.

    Paper: https://arxiv.org/abs/1807.06158 (which uses TRPO:
    `class GAIfOWithTRPO(FromObservation, TRPO)`). Arguments are those of `FromObservation`, of
    `AdversarialOnPolicy` and of PPO, with the defaults of `PPOGenerator`.

    >>> model = GAIfO("MlpPolicy", "HopperMuJoCoEnv-v0", "observations.npz").learn(600_000)
    """
