"""DAC: Discriminator-Actor-Critic (Kostrikov et al., 2019) on SAC."""

from __future__ import annotations

from stable_baselines3 import SAC

from sb3_gail_ext.algorithms.incumbent import ChallengedActor
from sb3_gail_ext.algorithms.off_policy import AdversarialOffPolicy


class DAC(ChallengedActor, AdversarialOffPolicy, SAC):
    """Imitate demonstrations in few environment steps, with SAC as the learner.

    Paper: https://arxiv.org/abs/1809.02925 (which uses TD3: `adversarial(TD3)`).

    Arguments are those of `ChallengedActor`, `ClonedActor`, `AdversarialOffPolicy` and SAC, with
    the defaults of the first that names them (what chose them: docs/off_policy.md).

    >>> model = DAC("MlpPolicy", "Hopper-v4", "demonstrations.npz").learn(100_000)
    """
