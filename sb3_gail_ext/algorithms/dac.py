"""DAC: Discriminator-Actor-Critic (Kostrikov et al., 2019) on SAC."""

from __future__ import annotations

from typing import Any

from stable_baselines3 import SAC
from stable_baselines3.common.type_aliases import GymEnv

from sb3_gail_ext.algorithms.demonstrated import Demonstrations
from sb3_gail_ext.algorithms.off_policy import AdversarialOffPolicy
from sb3_gail_ext.algorithms.schedules import LinearSchedule
from sb3_gail_ext.algorithms.with_discriminator import LearningRate


class DAC(AdversarialOffPolicy, SAC):
    """Imitate demonstrations in few environment steps, with SAC as the learner.

    Paper: https://arxiv.org/abs/1809.02925 (which uses TD3: `adversarial(TD3)`).

    Arguments beyond those of `AdversarialOffPolicy` are SAC's.

    >>> model = DAC("MlpPolicy", "Hopper-v4", "demonstrations.npz").learn(100_000)
    """

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        learning_rate: LearningRate = LinearSchedule(3e-4),  # noqa: B008 (immutable)
        learning_starts: int = 1_000,
        ent_coef: str | float = "auto_0.01",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            policy,
            env,
            demonstrations,
            learning_rate=learning_rate,
            learning_starts=learning_starts,
            ent_coef=ent_coef,
            **kwargs,
        )
