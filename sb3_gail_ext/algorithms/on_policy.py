"""Adversarial imitation on top of any on-policy SB3 algorithm."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import Trajectory, Transitions
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback

from sb3_gail_ext.algorithms.demonstrated import Demonstrations, normalizes_obs
from sb3_gail_ext.algorithms.export import export_generator
from sb3_gail_ext.algorithms.ranges import check_ranges
from sb3_gail_ext.algorithms.report import report_round
from sb3_gail_ext.algorithms.signals import (
    ExpertFacts,
    Signals,
    expert_facts,
)
from sb3_gail_ext.algorithms.warm_start import clone_behaviour, cloning_optimizer, fit_values
from sb3_gail_ext.algorithms.with_discriminator import WithDiscriminator
from sb3_gail_ext.buffers.recorder import RolloutRecorder
from sb3_gail_ext.buffers.rollout import RelabelledRolloutBuffer, rollout_buffer_class
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.failures import (
    check_losses,
    check_rewards,
    check_weights,
    naming_dead_workers,
    naming_divergence,
)
from sb3_gail_ext.policies.actions import as_policy_knows
from sb3_gail_ext.policies.averaging import another_policy, average_into
from sb3_gail_ext.policies.scaled import ScaledFlattenExtractor, fit_scaling
from sb3_gail_ext.rewards.scaling import ReturnScale, Unscaled

_REHEARSED_STEPS = 2048

# Of SB3's own MLP policy, where the user's `policy_kwargs` say nothing else.
_SCALED = {"features_extractor_class": ScaledFlattenExtractor}
_SMALL_NOISE = {"log_std_init": -0.5}  # a cloned policy explores near what it cloned


class AdversarialOnPolicy(WithDiscriminator, OnPolicyAlgorithm):
    """Mixin: the generator's rewards come from a discriminator trained against demonstrations.

    Put it before an SB3 on-policy algorithm: `class GAIL(AdversarialOnPolicy, PPO)`. Everything
    else, `learn`, `predict`, `save`, `load`, schedules, callbacks, is that algorithm's own.
    Evidence for the defaults: docs/tuning.md.

    :param policy: as in SB3.
    :param env: as in SB3; its reward is only monitored, never learned from.
    :param demonstrations: the path of a file, `imitation` trajectories or `Transitions`. May be
        left out and attached later with `set_demonstrations`, as after `load`.
    :param n_discriminator_updates: discriminator steps per rollout.
    :param max_discriminator_accuracy: a rollout's discriminator steps end where it tells both
        sides apart better than this; 1 never ends them.
    :param normalize_policy_inputs: the policy, too, sees observations scaled by the
        demonstrations: an `"MlpPolicy"` that has no features extractor of the user's and no
        VecNormalize before it.
    :param normalize_learned_reward: divide rewards by the running deviation of their returns.
    :param warm_start_updates: of behaviour cloning, 256 transitions each, before the first rollout.
        An `"MlpPolicy"` then starts with little noise, `log_std_init` -0.5, unless told otherwise.
    :param rehearsal_updates: of behaviour cloning, 256 transitions each, per 2,048 steps of a
        rollout, rounded: this many after the first, none after the last, none without a warm
        start (as Jena et al. 2020, https://arxiv.org/abs/2001.07798, weigh cloning against GAIL).
    :param critic_warm_up_rollouts: first rollouts from which only discriminator and critic learn.
    :param policy_averaging: `predict` answers with a running average of the policy's weights, of
        which each round keeps this share, less in short runs; 0 answers with the latest policy.
    :param kwargs: the discriminator's arguments, which are those of `WithDiscriminator`, and the
        SB3 algorithm's own.
    :raises DemonstrationError: if the demonstrations do not fit the environment.
    :raises ValueError: if observations are no array nor Dict, or actions no Box nor Discrete,
        or if a number is out of its range.
    """

    rollout_buffer: RelabelledRolloutBuffer
    policy: ActorCriticPolicy

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        n_discriminator_updates: int = 8,
        max_discriminator_accuracy: float = 1.0,
        normalize_policy_inputs: bool = True,
        normalize_learned_reward: bool = True,
        warm_start_updates: int = 10_000,
        rehearsal_updates: int = 20,
        critic_warm_up_rollouts: int = 2,
        policy_averaging: float = 0.95,
        _init_setup_model: bool = True,
        **kwargs: Any,
    ) -> None:
        check_ranges(
            n_discriminator_updates=(n_discriminator_updates, 0, math.inf),
            max_discriminator_accuracy=(max_discriminator_accuracy, 0, 1),
            warm_start_updates=(warm_start_updates, 0, math.inf),
            rehearsal_updates=(rehearsal_updates, 0, math.inf),
            critic_warm_up_rollouts=(critic_warm_up_rollouts, 0, math.inf),
            policy_averaging=(policy_averaging, 0, 0.9999),
        )
        self.n_discriminator_updates = n_discriminator_updates
        self.max_discriminator_accuracy = max_discriminator_accuracy
        self.normalize_policy_inputs = normalize_policy_inputs
        self.normalize_learned_reward = normalize_learned_reward
        self.warm_start_updates = warm_start_updates
        self.rehearsal_updates = rehearsal_updates
        self.critic_warm_up_rollouts = critic_warm_up_rollouts
        self.policy_averaging = policy_averaging
        self._started = False  # `learn` was called: the warm start is behind it
        self._n_rollouts = 0
        self._scale_rewards = ReturnScale() if normalize_learned_reward else Unscaled()
        self.signals = Signals()
        self.expert_facts = ExpertFacts()
        if policy in ("MlpPolicy", ActorCriticPolicy):
            defaults = {
                **(_SMALL_NOISE if warm_start_updates else {}),
                **(_SCALED if normalize_policy_inputs and not normalizes_obs(env) else {}),
            }
            given = kwargs.get("policy_kwargs") or {}
            kwargs["policy_kwargs"] = {**defaults, **given}
        super().__init__(
            policy,
            env,
            rollout_buffer_class=RelabelledRolloutBuffer,
            _init_setup_model=_init_setup_model,
            **kwargs,
        )
        if demonstrations is not None:
            self.set_demonstrations(demonstrations)

    def _attach(self, expert: TransitionBatch, given: Sequence[Trajectory] | Transitions) -> None:
        super()._attach(expert, given)
        self.expert_facts = expert_facts(given)
        fit_scaling(self.averaged_policy, expert.obs)

    def train(self) -> None:
        """One round of GAIL's Algorithm 1 (Ho & Ermon, 2016) on the rollout just collected."""
        measured = self._update_discriminator()
        learned = self.rollout_buffer.relabel(self.discriminator.reward, self._scale_rewards)
        check_rewards(learned, self.num_timesteps)
        report_round(self, measured, learned)
        self._n_rollouts += 1
        with naming_divergence(self):
            if self._n_rollouts <= self.critic_warm_up_rollouts:
                self._fit_values()
            else:
                super().train()
                self._rehearse()
        check_weights(self.policy, self.num_timesteps)
        average_into(self.averaged_policy, self.policy, kept=self._share_kept())

    def _fit_values(self) -> None:
        loss = fit_values(
            self.policy,
            self.rollout_buffer,
            n_epochs=getattr(self, "n_epochs", 10),  # A2C and TRPO have none
            batch_size=getattr(self, "batch_size", 64),
        )
        self.logger.record("train/value_loss", loss)

    def _update_discriminator(self) -> dict[str, float]:
        assert self.expert is not None  # `_setup_learn` has checked
        self.discriminator.set_learning_rate(self._discriminator_lr())
        agent = self.rollout_buffer.transitions()
        measured: list[dict[str, float]] = []
        for _ in range(self.n_discriminator_updates):
            measured.append(self.discriminator.update(self._draw(self.expert), self._draw(agent)))
            check_losses(measured[-1], self.num_timesteps)
            if self._tells_apart(measured[-1]):
                break
        keys = measured[0] if measured else ()
        return {key: float(np.mean([m[key] for m in measured])) for key in keys}

    def _tells_apart(self, measured: dict[str, float]) -> bool:
        worse = min(measured["accuracy_expert"], measured["accuracy_agent"])
        return worse > self.max_discriminator_accuracy

    def _share_kept(self) -> float:
        """`policy_averaging`, or less where it would reach over more than a seventh of the run."""
        buffer = self.rollout_buffer
        n_rounds = self._total_timesteps / (buffer.buffer_size * buffer.n_envs)
        return min(self.policy_averaging, 1 - 1 / max(n_rounds / 7, 1))

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As in SB3, with the averaged policy once there is something to average."""
        policy = self.averaged_policy if self._started else self.policy
        return policy.predict(*args, **kwargs)

    def _clone_expert(self) -> None:
        self._normalize_as_expert()
        loss = clone_behaviour(
            self.policy,
            self._expert_as_policy_knows(),
            n_updates=self.warm_start_updates,
            rng=self._rng,
            optimizer=self.cloning_optimizer,
            final_learning_rate=0.0,
        )
        self.logger.record("warm_start/neg_log_likelihood", loss)

    def _rehearse(self) -> None:
        """What the policy was cloned from, again, less and less: it starts to forget in round 1."""
        steps = self.rollout_buffer.buffer_size * self.rollout_buffer.n_envs
        per_round = self.rehearsal_updates * steps / _REHEARSED_STEPS
        # Negative behind the last of the steps that were asked for, for rollouts are whole.
        n_updates = round(per_round * max(self._current_progress_remaining, 0.0))
        if n_updates and self.warm_start_updates:
            loss = clone_behaviour(
                self.policy,
                self._expert_as_policy_knows(),
                n_updates=n_updates,
                rng=self._rng,
                optimizer=self.cloning_optimizer,
                learning_rate=3e-4,
            )
            self.logger.record("rehearsal/neg_log_likelihood", loss)

    def _expert_as_policy_knows(self) -> TransitionBatch:
        """Observations as the policy sees them, actions as it gives them."""
        assert self.expert is not None
        obs, acts = as_policy_knows(self, self.expert.obs, self.expert.acts)
        return TransitionBatch(obs, acts, *self.expert[2:])

    def export_policy(self, path: str | Path) -> None:
        """Save the averaged policy as a file that the generator's class opens: `PPO.load(path)`.

        Nothing in the file needs this package, unless the policy's class is ours.
        """
        modules, _ = super(WithDiscriminator, self)._get_torch_save_params()
        excluded = {*self._excluded_save_params(), *_OWN_ATTRIBUTES}
        export_generator(self, self.averaged_policy, path, excluded=excluded, modules=modules)

    # How SB3 is extended.

    def collect_rollouts(self, *args: Any, **kwargs: Any) -> bool:
        with naming_dead_workers(self), naming_divergence(self):
            return super().collect_rollouts(*args, **kwargs)

    def _setup_model(self) -> None:
        self.rollout_buffer_class = rollout_buffer_class(self.observation_space)
        super()._setup_model()
        self.averaged_policy = another_policy(self)
        self.cloning_optimizer = cloning_optimizer(self.policy)

    def _setup_learn(self, *args: Any, **kwargs: Any) -> tuple[int, BaseCallback]:
        prepared = super()._setup_learn(*args, **kwargs)
        if not self._started:
            if self.warm_start_updates:
                self._clone_expert()
            self.averaged_policy.load_state_dict(self.policy.state_dict())
            self._started = True  # not before: an interrupted warm start begins again
        return prepared

    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        # The recorder is last, so that the user's callbacks still see the true reward.
        users = callback if isinstance(callback, list) else [callback]
        wrapped = [c if isinstance(c, BaseCallback) else ConvertCallback(c) for c in users]
        return super()._init_callback(CallbackList([*wrapped, RolloutRecorder()]), progress_bar)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "averaged_policy", "cloning_optimizer"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        modules, variables = super()._get_torch_save_params()
        return [*modules, "averaged_policy", "cloning_optimizer"], variables


# What a plain generator does not have, or builds for itself.
_OWN_ATTRIBUTES = {
    *inspect.signature(WithDiscriminator.__init__).parameters,
    *inspect.signature(AdversarialOnPolicy.__init__).parameters,
    *("cloning_optimizer", "discriminator", "expert", "rollout_buffer_class", "lr_schedule"),
    *("_rng", "_started", "_n_rollouts", "_scale_rewards", "signals", "expert_facts"),
    *("demonstrations_path", "n_demonstrations", "learned_from", "random_states", "resumed_from"),
}
