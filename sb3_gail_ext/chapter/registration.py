"""Put the chapter's components where Stable-Baselines3 and ``imitation`` look for theirs."""

from __future__ import annotations

from imitation.policies.serialize import policy_registry
from imitation.rewards.reward_function import RewardFn
from imitation.rewards.serialize import ValidateRewardFn, reward_registry
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import check_for_correct_spaces
from stable_baselines3.common.vec_env import VecEnv

from sb3_gail_ext.chapter.networks import ChapterDiscriminator
from sb3_gail_ext.chapter.policy import ChapterActorCriticPolicy

POLICY_NAME = "ChapterMlpPolicy"
REWARD_NAME = "ChapterDiscriminator"


def load_chapter_reward(path: str, venv: VecEnv) -> RewardFn:
    """The chapter's reward from a file by ``ChapterDiscriminator.save``.

    Used by ``imitation.rewards.serialize.load_reward("ChapterDiscriminator", path, venv)``.
    """
    discriminator = ChapterDiscriminator.load(path)
    check_for_correct_spaces(venv, discriminator.observation_space, discriminator.action_space)
    return ValidateRewardFn(discriminator.predict_chapter_reward)


def load_chapter_policy(venv: VecEnv, path: str) -> BasePolicy:
    """The policy from a file by ``ChapterActorCriticPolicy.save``.

    Used by ``imitation.policies.serialize.load_policy("ChapterMlpPolicy", venv, path=path)``. For
    a whole model there is SB3's own ``PPO.load`` and ``load_policy("ppo", ...)``.
    """
    policy = ChapterActorCriticPolicy.load(path)
    check_for_correct_spaces(venv, policy.observation_space, policy.action_space)
    return policy


def _algorithms_with_aliases() -> list[type[BaseAlgorithm]]:
    """The on-policy algorithms that accept the policy; subclasses share their dictionaries."""
    try:
        from sb3_contrib import TRPO
    except ImportError:
        return [PPO, A2C]
    return [PPO, A2C, TRPO]


def register_chapter_components() -> None:
    """Make the policy and the reward known by name; may be called any number of times."""
    for algorithm in _algorithms_with_aliases():
        algorithm.policy_aliases[POLICY_NAME] = ChapterActorCriticPolicy
    if POLICY_NAME not in set(policy_registry.keys()):
        policy_registry.register(POLICY_NAME, value=load_chapter_policy)
    if REWARD_NAME not in set(reward_registry.keys()):
        reward_registry.register(REWARD_NAME, value=load_chapter_reward)
