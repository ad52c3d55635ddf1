"""GAIL: Generative Adversarial Imitation Learning (Ho & Ermon, 2016) on PPO."""

from __future__ import annotations

from sb3_gail_ext.algorithms.ppo import PPOGenerator


class GAIL(PPOGenerator):
    """Imitate demonstrations with PPO as the generator.

    Paper: https://arxiv.org/abs/1606.03476 (which uses TRPO: `adversarial(TRPO)`).

    Arguments beyond those of `AdversarialOnPolicy` are PPO's. Three of their defaults differ from
    PPO's, after trials on four environments (docs/tuning.md): see `PPOGenerator`.

    >>> model = GAIL("MlpPolicy", "HopperMuJoCoEnv-v0", "demonstrations.npz").learn(600_000)
    """
