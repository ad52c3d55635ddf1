"""AIRL: Adversarial Inverse Reinforcement Learning (Fu, Luo & Levine, 2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from imitation.rewards.reward_nets import RewardNet
from imitation.util.networks import evaluating
from stable_baselines3.common.type_aliases import GymEnv

from sb3_gail_ext.algorithms.demonstrated import Demonstrations
from sb3_gail_ext.algorithms.on_policy import AdversarialOnPolicy
from sb3_gail_ext.algorithms.ppo import PPOGenerator
from sb3_gail_ext.policies.actions import as_policy_knows, executed_log_prob
from sb3_gail_ext.rewards.learned import LearnedReward
from sb3_gail_ext.rewards.networks import NormalizedRewardNet, shaped_reward_net


class AdversarialIRL(AdversarialOnPolicy):
    """Mixin: the discriminator is built from a reward function and the policy itself.

    Paper: https://arxiv.org/abs/1710.11248. With f(s, a, s') = g(s, a) + gamma h(s') - h(s)
    (eq. 4; h(s') = 0 after a terminal state),

        D(s, a, s') = exp f / (exp f + pi(a|s)), its logit is f(s, a, s') - log pi(a|s),

    and the generator gets log D - log(1 - D) = f - log pi (Algorithm 1), so that its entropy
    counts; `imitation`'s AIRL hands over f alone. pi is the policy whose rollout it is, for the
    expert's transitions as for the agent's: the discriminator learns before the policy does. Its
    density is that of the actions as executed (see `executed_log_prob`).

    The mean of this reward is -KL(agent || expert), negative until the expert is matched: where
    the agent can end the episode, a discriminator that is sure makes it do so (the PyBullet Hopper
    falls at once). `reward_form="gail"` keeps AIRL's discriminator and pays for living on.

    `model.discriminator.net.base` is f, of scaled inputs, and `.base.base` g, the reward that was
    recovered. `model.discriminator.reward` is f - log pi of the policy as it is by now.

    Put it before an SB3 on-policy algorithm, like `AdversarialOnPolicy`, whose arguments it takes.

    :param reward_net: an `imitation` RewardNet that returns f. By default its ShapedRewardNet of
        two MLPs, each of two layers of 64 tanh units.
    :param reward_net_kwargs: of the default net: `potential_hid_sizes`, of h; others are of g:
        `use_action=False` recovers a reward of the state alone, which moves to other dynamics.
    :param reward_form: `"airl"`, the paper's; the others are made of the same D.
    :param gradient_penalty: 0, as in the paper. It would be of f, and an f that must be flat is no
        log-density of an expert that is sure of its actions: the rest pays the agent for noise.
    """

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        reward_form: str = "airl",
        gradient_penalty: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            policy,
            env,
            demonstrations,
            reward_form=reward_form,
            gradient_penalty=gradient_penalty,
            **kwargs,
        )

    def _default_reward_net(self, **kwargs: Any) -> RewardNet:
        settings = {"discount_factor": self.gamma, **kwargs}
        return shaped_reward_net(self._flat_space, self.action_space, **settings)

    def learned_reward(self) -> LearnedReward:
        """g, the reward that was recovered: without the shaping, which is of one dynamics, and
        without log pi, which is of one policy.
        """
        net, shaped = self.discriminator.net, self.discriminator.net.base
        recovered = NormalizedRewardNet(getattr(shaped, "base", shaped), net.observation_space)
        recovered.obs_scaling.load_state_dict(net.obs_scaling.state_dict())
        return LearnedReward(recovered.to(self.device), "airl")

    def _logit_offset(
        self, obs: np.ndarray, acts: np.ndarray, next_obs: np.ndarray, dones: np.ndarray
    ) -> th.Tensor:
        """-log pi(a|s), (batch,)."""
        with evaluating(self.policy):
            return -executed_log_prob(self.policy, *as_policy_knows(self, obs, acts))


class AIRL(AdversarialIRL, PPOGenerator):
    """Imitate demonstrations and recover their reward, with PPO as the generator.

    Paper: https://arxiv.org/abs/1710.11248 (which uses TRPO:
    `class AIRLWithTRPO(AdversarialIRL, TRPO)`). Arguments are those of `AdversarialIRL`, of
    `AdversarialOnPolicy` and of PPO, with the defaults of `PPOGenerator`.

    >>> model = AIRL("MlpPolicy", "HopperMuJoCoEnv-v0", "demonstrations.npz").learn(600_000)
    """
