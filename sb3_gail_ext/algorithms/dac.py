"""DAC: Discriminator-Actor-Critic (Kostrikov et al., 2019) on SAC."""

from __future__ import annotations

from typing import Any

from stable_baselines3 import SAC
from stable_baselines3.common.type_aliases import GymEnv

from sb3_gail_ext.algorithms.cloned_actor import ClonedActor
from sb3_gail_ext.algorithms.demonstrated import Demonstrations
from sb3_gail_ext.algorithms.off_policy import AdversarialOffPolicy
from sb3_gail_ext.algorithms.schedules import LinearSchedule
from sb3_gail_ext.algorithms.with_discriminator import LearningRate


class DAC(ClonedActor, AdversarialOffPolicy, SAC):
    """Imitate demonstrations in few environment steps, with SAC as the learner.

    Paper: https://arxiv.org/abs/1809.02925 (which uses TD3: `adversarial(TD3)`).

    Arguments are those of `ClonedActor`, of `AdversarialOffPolicy` and of SAC. Four defaults
    differ from theirs, after trials on three environments (docs/off_policy.md):

    :param learning_rate: falls linearly from 3e-4 to a fiftieth of it over `learn`.
    :param ent_coef: 0.003 with a warm start, whose noise does not change; SAC's own, which it
        finds itself, without one. A Gaussian's temperature of 1 takes a clone apart at once.
    :param gradient_penalty: 10.
    :param discriminator_learning_rate: 3e-4.

    >>> model = DAC("MlpPolicy", "Hopper-v4", "demonstrations.npz").learn(100_000)
    """

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        learning_rate: LearningRate = LinearSchedule(3e-4),  # noqa: B008 (immutable)
        ent_coef: str | float | None = None,
        gradient_penalty: float = 10.0,
        discriminator_learning_rate: LearningRate = 3e-4,
        warm_start_updates: int = 10_000,
        **kwargs: Any,
    ) -> None:
        if ent_coef is None:
            ent_coef = 0.003 if warm_start_updates else "auto"
        super().__init__(
            policy,
            env,
            demonstrations,
            learning_rate=learning_rate,
            ent_coef=ent_coef,
            gradient_penalty=gradient_penalty,
            discriminator_learning_rate=discriminator_learning_rate,
            warm_start_updates=warm_start_updates,
            **kwargs,
        )
