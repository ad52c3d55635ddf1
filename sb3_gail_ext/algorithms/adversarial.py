"""The adversarial class of any SB3 algorithm."""

from __future__ import annotations

from functools import cache
from typing import Any

from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from sb3_gail_ext.algorithms.incumbent import ChallengedActor
from sb3_gail_ext.algorithms.off_policy import AdversarialOffPolicy
from sb3_gail_ext.algorithms.on_policy import AdversarialOnPolicy


@cache
def adversarial(generator: type) -> Any:
    """The class that imitates with `generator`.

    On-policy, with `AdversarialOnPolicy`: PPO, A2C, sb3-contrib's TRPO or a subclass. Off-policy,
    with `AdversarialOffPolicy`: SAC, TD3, DDPG, sb3-contrib's TQC or a subclass.

    >>> from sb3_contrib import TRPO
    >>> GAILWithTRPO = adversarial(TRPO)

    :raises TypeError: if `generator` is none of these.
    """
    if not (
        isinstance(generator, type)
        and issubclass(generator, OnPolicyAlgorithm | OffPolicyAlgorithm)
    ):
        raise TypeError(f"{generator!r} is not an SB3 algorithm class, like PPO, TRPO or SAC")
    if issubclass(generator, AdversarialOnPolicy | AdversarialOffPolicy):
        raise TypeError(f"{generator.__name__} is adversarial already; use it as it is")
    name = f"Adversarial{generator.__name__}"
    return type(name, (*_mixins(generator), generator), {"__module__": __name__})


def _mixins(generator: type) -> tuple[type, ...]:
    if issubclass(generator, OnPolicyAlgorithm):
        _check_rollouts(generator)
        return (AdversarialOnPolicy,)
    if any(base.__module__.split(".")[0] == "sbx" for base in generator.__mro__):
        return (AdversarialOffPolicy,)
    _check_has_actor(generator)
    return (ChallengedActor, AdversarialOffPolicy)


def _check_has_actor(generator: Any) -> None:
    """As the policy's annotations say; SB3's and sb3-contrib's do."""
    policy: type = generator.policy_aliases["MlpPolicy"]
    if not any("actor" in vars(base).get("__annotations__", {}) for base in policy.__mro__):
        raise TypeError(f"{generator.__name__} has no actor; use SAC, TD3 or TQC, or SQIL with DQN")


def _check_rollouts(generator: type[OnPolicyAlgorithm]) -> None:
    if generator.collect_rollouts is not OnPolicyAlgorithm.collect_rollouts:
        raise TypeError(
            f"{generator.__name__} collects rollouts in a way of its own, which the recorder does "
            "not know; use PPO, A2C or TRPO"
        )
