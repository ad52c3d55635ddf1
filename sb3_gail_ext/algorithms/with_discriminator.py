"""What every adversarial algorithm shares: a discriminator of agent and demonstrations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from imitation.data.types import Trajectory, Transitions
from imitation.rewards.reward_nets import RewardNet
from stable_baselines3.common.type_aliases import GymEnv

from sb3_gail_ext.algorithms.demonstrated import Demonstrated
from sb3_gail_ext.algorithms.ranges import check_ranges
from sb3_gail_ext.demonstrations.checks import check_supported_spaces
from sb3_gail_ext.demonstrations.dict_observations import flat_space
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.rewards.discriminator import Discriminator, LogitOffset
from sb3_gail_ext.rewards.learned import LearnedReward, save_reward
from sb3_gail_ext.rewards.networks import (
    NormalizedRewardNet,
    check_can_be_saved,
    default_reward_net,
)

LearningRate = float | Callable[[float], float]


class WithDiscriminator(Demonstrated):
    """Mixin: `discriminator`, its arguments, and its place in the model's file.

    :param reward_net: an `imitation` RewardNet that returns logits, high = expert. By default an
        MLP of two layers of 64 tanh units on observation and action. Dict observations it sees
        flat: it is built for `demonstrations.dict_observations.flat_space(observation_space)`.
    :param reward_net_kwargs: of the default net, e.g. `dropout_prob`, `spectral_norm`.
    :param reward_form: how logits become rewards: `"gail"` -log(1-D), `"airl"` the logit,
        `"log_d"` log D, `"fairl"`.
    :param discriminator_batch_size: transitions of each side per step.
    :param discriminator_learning_rate: Adam's, a number or a function of the remaining progress.
    :param gradient_penalty: weight of the one-sided gradient penalty.
    :param entropy_bonus: weight of the entropy of D in the discriminator's objective.
    :param discriminator_weight_decay: Adam's.
    :param label_smoothing: how much the expert's label is below 1.
    :param normalize_inputs: the discriminator sees observations scaled by the demonstrations'
        mean and deviation.
    :raises ValueError: if observations are no array nor Dict, or actions no Box nor Discrete,
        or if a number is out of its range.
    """

    _logit_offset: LogitOffset | None = None

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        *,
        reward_net: RewardNet | None = None,
        reward_net_kwargs: dict[str, Any] | None = None,
        reward_form: str = "gail",
        discriminator_batch_size: int = 512,
        discriminator_learning_rate: LearningRate = 1e-3,
        gradient_penalty: float = 0.5,
        entropy_bonus: float = 0.0,
        discriminator_weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
        normalize_inputs: bool = True,
        **generator_kwargs: Any,
    ) -> None:
        check_ranges(
            discriminator_batch_size=(discriminator_batch_size, 1, math.inf),
            gradient_penalty=(gradient_penalty, 0, math.inf),
            discriminator_weight_decay=(discriminator_weight_decay, 0, math.inf),
            label_smoothing=(label_smoothing, 0, 1),
        )
        if reward_net is not None:
            check_can_be_saved(reward_net)
        self.reward_net = reward_net
        self.reward_net_kwargs = reward_net_kwargs
        self.reward_form = reward_form
        self.discriminator_batch_size = discriminator_batch_size
        self.discriminator_learning_rate = discriminator_learning_rate
        self.gradient_penalty = gradient_penalty
        self.entropy_bonus = entropy_bonus
        self.discriminator_weight_decay = discriminator_weight_decay
        self.label_smoothing = label_smoothing
        self.normalize_inputs = normalize_inputs
        self._rng = np.random.default_rng(generator_kwargs.get("seed"))
        super().__init__(policy, env, **generator_kwargs)

    def _attach(self, expert: TransitionBatch, given: Sequence[Trajectory] | Transitions) -> None:
        super()._attach(expert, given)
        if self.normalize_inputs:
            self.discriminator.net.fit_once(expert.obs)

    def _draw(self, transitions: TransitionBatch) -> TransitionBatch:
        return transitions.take(
            self._rng.integers(len(transitions), size=self.discriminator_batch_size)
        )

    def _discriminator_lr(self) -> float:
        rate = self.discriminator_learning_rate
        return rate(self._current_progress_remaining) if callable(rate) else rate

    def learned_reward(self) -> LearnedReward:
        """What the generator is paid by now, as a net of its own; it shares the weights."""
        return LearnedReward(self.discriminator.net, self.reward_form)

    def save_reward(self, path: str | Path) -> None:
        """Write the learned reward alone, for `load_reward`: weights and settings, no code.

        :raises OSError: if it cannot be written.
        """
        save_reward(self.learned_reward(), path)

    # How SB3 is extended.

    def _setup_model(self) -> None:
        check_supported_spaces(self.observation_space, self.action_space)
        super()._setup_model()  # type: ignore[safe-super]  # SB3's, by the learner's class
        net = self.reward_net
        if net is None:
            net = self._default_reward_net(**(self.reward_net_kwargs or {}))
        self.discriminator = Discriminator(
            self._normalized(net),
            learning_rate=self._discriminator_lr(),
            reward_form=self.reward_form,
            gradient_penalty_coef=self.gradient_penalty,
            entropy_coef=self.entropy_bonus,
            weight_decay=self.discriminator_weight_decay,
            label_smoothing=self.label_smoothing,
            logit_offset=self._logit_offset,
            observation_space=self.observation_space,
            device=self.device,
        )

    @property
    def _flat_space(self) -> spaces.Space:
        """Of what the discriminator sees."""
        return flat_space(self.observation_space)

    def _default_reward_net(self, **kwargs: Any) -> RewardNet:
        return default_reward_net(self._flat_space, self.action_space, **kwargs)

    def _normalized(self, net: RewardNet) -> NormalizedRewardNet:
        return NormalizedRewardNet(net)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "discriminator"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        modules, variables = super()._get_torch_save_params()
        return [*modules, "discriminator.net", "discriminator.optimizer"], variables
