"""The chapter's settings, as keyword arguments of Stable-Baselines3's PPO and of this GAIL.

Source: "Play Video Games with Generative AI: GAIL", chapter 12 of *Generative AI with Python and
TensorFlow 2*.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import gymnasium as gym
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv

from sb3_gail_ext.chapter.networks import ChapterDiscriminator, Variant, check_variant
from sb3_gail_ext.chapter.ppo import ChapterPPO

CHAPTER_PPO_KWARGS: dict[str, Any] = {
    "learning_rate": 3e-4,
    "n_steps": 1000,  # with one environment
    "batch_size": 50,
    "n_epochs": 5,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_range": 0.2,
    "ent_coef": 0.01,
    "vf_coef": 0.5,
    "normalize_advantage": False,
    "max_grad_norm": math.inf,  # no clipping
}
"""The chapter's values for SB3's PPO.

PPO cannot express, and ChapterPPO does: minibatches drawn with replacement (PPO passes over a
permutation), a ratio per action dimension, and a policy that is updated on each third rollout.
"""

CHAPTER_PPO_KWARGS_CORRECTED: dict[str, Any] = {
    **CHAPTER_PPO_KWARGS,
    # The learned reward's scale drifts with the discriminator, and the policy's step with it.
    "normalize_advantage": True,
    "max_grad_norm": 0.5,
}
"""The chapter's values with what keeps PPO stable on a reward that is being learned."""

CHAPTER_GENERATORS: dict[str, type[PPO]] = {"printed": ChapterPPO, "corrected": PPO}
"""The algorithm that makes each variant's policy update; for ``adversarial(...)``."""

_CHAPTER_DISCRIMINATOR_KWARGS: dict[str, Any] = {
    # One Adam step after each rollout, on 1,000 expert and 1,000 agent pairs. The chapter takes
    # the 1,000 expert pairs from one random episode, SB3-style trainers from all of them.
    "n_discriminator_updates": 1,
    "discriminator_batch_size": 1000,
    "discriminator_learning_rate": 3e-4,
    "reward_form": "gail",  # -log(1 - D) = -log(sigmoid(chapter_logit))
    "gradient_penalty": 0.0,
    "label_smoothing": 0.0,
    # The chapter's learner starts from nothing, on rewards and observations as they are.
    "normalize_policy_inputs": False,
    "normalize_learned_reward": False,
    "warm_start_updates": 0,
    "critic_warm_up_rollouts": 0,
    "policy_averaging": 0.0,
}

CHAPTER_GAIL_PRESETS: dict[str, dict[str, Any]] = {
    "printed": {
        "policy": "ChapterMlpPolicy",
        "policy_kwargs": {"variant": "printed"},
        "normalize_inputs": False,
        **_CHAPTER_DISCRIMINATOR_KWARGS,
        **CHAPTER_PPO_KWARGS,
    },
    "corrected": {
        "policy": "ChapterMlpPolicy",
        "policy_kwargs": {"variant": "corrected"},
        "normalize_inputs": True,  # what the chapter's batch norm was there for
        **_CHAPTER_DISCRIMINATOR_KWARGS,
        **CHAPTER_PPO_KWARGS_CORRECTED,
    },
}
"""Keyword arguments of ``GAIL`` for each variant, without the discriminator, which needs spaces."""


def chapter_gail_kwargs(variant: Variant, env: gym.Env | VecEnv) -> dict[str, Any]:
    """A fresh copy of the preset, with a discriminator for the environment's spaces.

    ::

        Trainer = adversarial(CHAPTER_GENERATORS[variant])
        model = Trainer(env=env, demonstrations=path, **chapter_gail_kwargs(variant, env))
    """
    check_variant(variant)
    reward_net = ChapterDiscriminator(env.observation_space, env.action_space, variant=variant)
    return {**copy.deepcopy(CHAPTER_GAIL_PRESETS[variant]), "reward_net": reward_net}
