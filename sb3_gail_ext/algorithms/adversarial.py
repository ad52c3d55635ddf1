"""The adversarial class of any on-policy SB3 algorithm."""

from __future__ import annotations

from functools import cache

from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from sb3_gail_ext.algorithms.on_policy import AdversarialOnPolicy


@cache
def adversarial(generator: type[OnPolicyAlgorithm]) -> type[AdversarialOnPolicy]:
    """The class that imitates with `generator`: PPO, A2C, sb3-contrib's TRPO or a subclass.

    >>> from sb3_contrib import TRPO
    >>> GAILWithTRPO = adversarial(TRPO)
    """
    if not (isinstance(generator, type) and issubclass(generator, OnPolicyAlgorithm)):
        raise TypeError(f"{generator!r} is not an on-policy SB3 algorithm class, like PPO or TRPO")
    if issubclass(generator, AdversarialOnPolicy):
        raise TypeError(f"{generator.__name__} is adversarial already; use it as it is")
    if generator.collect_rollouts is not OnPolicyAlgorithm.collect_rollouts:
        raise TypeError(
            f"{generator.__name__} collects rollouts in a way of its own, which the recorder does "
            "not know; use PPO, A2C or TRPO"
        )
    name = f"Adversarial{generator.__name__}"
    return type(name, (AdversarialOnPolicy, generator), {"__module__": __name__})
