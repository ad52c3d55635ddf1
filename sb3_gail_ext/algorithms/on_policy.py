"""Adversarial imitation on top of any on-policy SB3 algorithm."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import Trajectory, Transitions
from imitation.rewards.reward_nets import RewardNet
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.save_util import recursive_getattr, save_to_zip_file
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback

from sb3_gail_ext.buffers.recorder import RolloutRecorder
from sb3_gail_ext.buffers.rollout import RelabelledRolloutBuffer
from sb3_gail_ext.demonstrations.checks import check_fits_spaces, check_supported_spaces
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.files import load_demonstrations, load_metadata
from sb3_gail_ext.demonstrations.sampling import TransitionBatch, flatten
from sb3_gail_ext.rewards.discriminator import Discriminator
from sb3_gail_ext.rewards.networks import NormalizedRewardNet, default_reward_net

Demonstrations = str | Path | Sequence[Trajectory] | Transitions
LearningRate = float | Callable[[float], float]


class AdversarialOnPolicy(OnPolicyAlgorithm):
    """Mixin: the generator's rewards come from a discriminator trained against demonstrations.

    Put it before an SB3 on-policy algorithm: `class GAIL(AdversarialOnPolicy, PPO)`. Everything
    else, `learn`, `predict`, `save`, `load`, schedules, callbacks, is that algorithm's own.

    :param policy: as in SB3.
    :param env: as in SB3; its reward is only monitored, never learned from.
    :param demonstrations: the path of a file, `imitation` trajectories or `Transitions`. May be
        left out and attached later with `set_demonstrations`, as after `load`.
    :param reward_net: an `imitation` RewardNet that returns logits, high = expert. By default an
        MLP of two layers of 128 tanh units on observation and action.
    :param reward_net_kwargs: of the default net.
    :param reward_form: how logits become rewards: `"gail"` -log(1-D), `"airl"` the logit,
        `"log_d"` log D, `"fairl"`.
    :param n_discriminator_updates: discriminator steps per rollout.
    :param discriminator_batch_size: transitions of each side per step.
    :param discriminator_learning_rate: Adam's, a number or a function of the remaining progress.
    :param gradient_penalty: weight of the one-sided gradient penalty.
    :param entropy_bonus: weight of the entropy of D in the discriminator's objective.
    :param normalize_inputs: scale observations by the demonstrations' mean and deviation.
    :param generator_kwargs: the SB3 algorithm's own arguments.
    :raises DemonstrationError: if the demonstrations do not fit the environment.
    :raises ValueError: if its observations are no array or its actions neither Box nor Discrete.
    """

    rollout_buffer: RelabelledRolloutBuffer

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        reward_net: RewardNet | None = None,
        reward_net_kwargs: dict[str, Any] | None = None,
        reward_form: str = "gail",
        n_discriminator_updates: int = 16,
        discriminator_batch_size: int = 512,
        discriminator_learning_rate: LearningRate = 1e-3,
        gradient_penalty: float = 0.5,
        entropy_bonus: float = 0.0,
        discriminator_weight_decay: float = 0.0,
        normalize_inputs: bool = True,
        _init_setup_model: bool = True,
        **generator_kwargs: Any,
    ) -> None:
        self.reward_net = reward_net
        self.reward_net_kwargs = reward_net_kwargs
        self.reward_form = reward_form
        self.n_discriminator_updates = n_discriminator_updates
        self.discriminator_batch_size = discriminator_batch_size
        self.discriminator_learning_rate = discriminator_learning_rate
        self.gradient_penalty = gradient_penalty
        self.entropy_bonus = entropy_bonus
        self.discriminator_weight_decay = discriminator_weight_decay
        self.normalize_inputs = normalize_inputs
        self.expert: TransitionBatch | None = None
        self._rng = np.random.default_rng(generator_kwargs.get("seed"))
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]  # SB3 passes None when it loads a model
            rollout_buffer_class=RelabelledRolloutBuffer,
            _init_setup_model=_init_setup_model,
            **generator_kwargs,
        )
        if demonstrations is not None:
            self.set_demonstrations(demonstrations)

    def set_demonstrations(self, demonstrations: Demonstrations) -> None:
        """Imitate these from now on. The first set also fixes the discriminator's input scaling.

        :raises DemonstrationError: if they do not fit the environment.
        """
        source = "demonstrations"
        if isinstance(demonstrations, str | Path):
            source = str(demonstrations)
            self._warn_if_recorded_elsewhere(demonstrations)
            demonstrations = load_demonstrations(demonstrations)
        expert = flatten(demonstrations)
        check_fits_spaces(expert, self.observation_space, self.action_space, source)
        self.expert = expert
        if self.normalize_inputs:
            self.discriminator.net.fit_once(expert)

    def _warn_if_recorded_elsewhere(self, path: str | Path) -> None:
        # The chapter's own trap: MuJoCo's hops in PyBullet's physics, where they fall.
        spec = self.env.get_attr("spec")[0] if self.env is not None else None
        recorded_in = load_metadata(path).get("env_id")
        if spec is not None and recorded_in not in (None, spec.id):
            warnings.warn(f"{path}: recorded in {recorded_in}, not in {spec.id}", stacklevel=3)

    def train(self) -> None:
        """One round of GAIL's Algorithm 1 (Ho & Ermon, 2016) on the rollout just collected."""
        self._update_discriminator()
        learned = self.rollout_buffer.relabel(self.discriminator.reward)
        self.logger.record("rollout/learned_rew_mean", float(learned.mean()))
        super().train()

    def export_policy(self, path: str | Path) -> None:
        """Save the generator alone, as a file that its own class opens, e.g. `PPO.load(path)`.

        Nothing in the file needs this package, unless the policy's class is ours: a schedule is
        replaced by its initial value.
        """
        excluded = {*self._excluded_save_params(), *_OWN_ATTRIBUTES}
        data = {name: value for name, value in vars(self).items() if name not in excluded}
        for name in _SCHEDULES:
            if callable(data.get(name)):
                data[name] = float(data[name](1.0))
        modules, _ = super()._get_torch_save_params()
        save_to_zip_file(
            path,
            data=data,
            params={name: recursive_getattr(self, name).state_dict() for name in modules},
        )

    def _update_discriminator(self) -> None:
        assert self.expert is not None  # `_setup_learn` has checked
        self.discriminator.set_learning_rate(self._discriminator_lr())
        agent = self.rollout_buffer.transitions()
        measured = [
            self.discriminator.update(self._draw(self.expert), self._draw(agent))
            for _ in range(self.n_discriminator_updates)
        ]
        for key in measured[0] if measured else ():
            self.logger.record(f"discriminator/{key}", np.mean([m[key] for m in measured]))

    def _draw(self, transitions: TransitionBatch) -> TransitionBatch:
        return transitions.take(
            self._rng.integers(len(transitions), size=self.discriminator_batch_size)
        )

    def _discriminator_lr(self) -> float:
        rate = self.discriminator_learning_rate
        return rate(self._current_progress_remaining) if callable(rate) else rate

    # How SB3 is extended.

    def _setup_model(self) -> None:
        check_supported_spaces(self.observation_space, self.action_space)
        super()._setup_model()
        net = self.reward_net
        if net is None:
            net = default_reward_net(
                self.observation_space, self.action_space, **(self.reward_net_kwargs or {})
            )
        self.discriminator = Discriminator(
            NormalizedRewardNet(net),
            learning_rate=self._discriminator_lr(),
            reward_form=self.reward_form,
            gradient_penalty_coef=self.gradient_penalty,
            entropy_coef=self.entropy_bonus,
            weight_decay=self.discriminator_weight_decay,
            device=self.device,
        )

    def _setup_learn(self, *args: Any, **kwargs: Any) -> tuple[int, BaseCallback]:
        if self.expert is None:
            raise DemonstrationError(
                "there are no demonstrations to learn from: pass demonstrations=... or call "
                "set_demonstrations(...) before learn()"
            )
        return super()._setup_learn(*args, **kwargs)

    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        # The recorder is last, so that the user's callbacks still see the true reward.
        users = callback if isinstance(callback, list) else [callback]
        wrapped = [c if isinstance(c, BaseCallback) else ConvertCallback(c) for c in users]
        return super()._init_callback(CallbackList([*wrapped, RolloutRecorder()]), progress_bar)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "discriminator", "expert"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        modules, variables = super()._get_torch_save_params()
        return [*modules, "discriminator.net", "discriminator.optimizer"], variables


_SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf")

# What a plain generator does not have, or builds for itself.
_OWN_ATTRIBUTES = {
    *inspect.signature(AdversarialOnPolicy.__init__).parameters,
    *("discriminator", "expert", "_rng", "rollout_buffer_class", "lr_schedule"),
}


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
