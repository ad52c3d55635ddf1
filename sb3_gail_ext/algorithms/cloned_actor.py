"""An off-policy actor that begins as a clone of the expert and is held near it while it learns."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch as th
from imitation.data.types import Observation, Trajectory, Transitions
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv
from torch.nn import functional as F

from sb3_gail_ext.algorithms.demonstrated import (
    Demonstrated,
    Demonstrations,
    with_scaled_inputs,
)
from sb3_gail_ext.algorithms.ranges import check_ranges
from sb3_gail_ext.algorithms.warm_start import descend
from sb3_gail_ext.algorithms.with_discriminator import LearningRate
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.policies.actions import as_policy_knows, as_tensors
from sb3_gail_ext.policies.averaging import another_policy, average_into
from sb3_gail_ext.policies.scaled import fit_scaling

_SLOW = 1 / 3  # the actor's learning rate beside the critics', once it is a clone
_LOG_STD = -1.6  # of a cloned Gaussian actor, before the tanh
_LOG_STD_NAME = "log_std"
_ENT_COEF = 0.003  # a temperature of 1 takes a clone apart at once
_ANCHOR_BATCH = 64

Draw = Callable[[int], tuple[Observation, np.ndarray]]


class ClonedActor(Demonstrated, OffPolicyAlgorithm):
    """Mixin: behaviour cloning before the first step and, as a part of the actor's loss, after it.

    Put it before an algorithm with demonstrations: `class DAC(ClonedActor, AdversarialOffPolicy,
    SAC)`. The actor is a PyTorch module, as SB3's and sb3-contrib's are.

    A critic that knows little takes a clone apart within a few thousand updates. Against it the
    critics learn alone at first, the actor more slowly than they, and its loss has the
    demonstrations' squared error in it (as TD3+BC's, Fujimoto & Gu 2021,
    https://arxiv.org/abs/2106.06860, eq. 3). Its noise is held where the critics learn what other
    actions are worth. What each did: docs/off_policy.md.

    :param normalize_policy_inputs: an `"MlpPolicy"` that has no features extractor of the user's
        and no VecNormalize before it sees observations scaled by the demonstrations.
    :param warm_start_updates: of behaviour cloning, 256 transitions each, before the first step.
        The clone acts from then on, with a deviation of exp(-1.6) before the tanh, where SB3 would
        act at random until `learning_starts`. 0 makes no clone, nor what keeps it.
    :param rehearsal_weight: in the actor's loss, of the demonstrations' squared error (mean over
        actions scaled to [-1, 1]), beside the critics' values: a number or a function of the
        remaining progress.
    :param actor_learning_rate: a number or a function of the remaining progress; None: a third of
        `learning_rate`, which is the critics', or all of it without a warm start.
    :param ent_coef: of a learner that has one; None: 0.003 after a warm start, whose noise is held,
        else the learner's own. With `"auto"` the noise is the learner's to find.
    :param critic_warm_up_updates: first gradient steps, from which the actor learns nothing.
    :param policy_averaging: `averaged_policy`, which answers or challenges who does, is a running
        average of the actor's weights: each gradient step keeps this share; 0: the latest.
    :param kwargs: the arguments of the algorithm behind it.
    """

    policy: Any  # with an `actor`
    _rng: np.random.Generator  # of the class behind

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        normalize_policy_inputs: bool = True,
        warm_start_updates: int = 10_000,
        rehearsal_weight: LearningRate = 100.0,
        actor_learning_rate: LearningRate | None = None,
        critic_warm_up_updates: int = 1_000,
        policy_averaging: float = 0.999,
        ent_coef: str | float | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not callable(rehearsal_weight):
            check_ranges(rehearsal_weight=(rehearsal_weight, 0, math.inf))
        check_ranges(
            warm_start_updates=(warm_start_updates, 0, math.inf),
            critic_warm_up_updates=(critic_warm_up_updates, 0, math.inf),
            policy_averaging=(policy_averaging, 0, 0.99999),
        )
        self.normalize_policy_inputs = normalize_policy_inputs
        self.warm_start_updates = warm_start_updates
        self.rehearsal_weight = rehearsal_weight
        self.actor_learning_rate = actor_learning_rate
        self.critic_warm_up_updates = critic_warm_up_updates
        self.policy_averaging = policy_averaging
        self._started = False  # `learn` was called: the warm start is behind it
        self._exploring = False
        self._actor_held = False
        if ent_coef is None and warm_start_updates and _takes(type(self), "ent_coef"):
            ent_coef = _ENT_COEF
        if ent_coef is not None:
            kwargs["ent_coef"] = ent_coef
        if normalize_policy_inputs:
            policy_kwargs = with_scaled_inputs(policy, env, policy_kwargs or {})
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]  # SB3 passes None when it loads a model
            demonstrations,  # type: ignore[arg-type]  # the next class takes them
            policy_kwargs=policy_kwargs,
            **kwargs,
        )

    def _attach(self, expert: TransitionBatch, given: Sequence[Trajectory] | Transitions) -> None:
        super()._attach(expert, given)
        fit_scaling(self.averaged_policy, expert.obs)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """The learner's own, with the actor held still at first; then the average."""
        if self.warm_start_updates and self._n_updates < self.critic_warm_up_updates:
            with self._held_actor():
                super().train(gradient_steps, batch_size)
        else:
            super().train(gradient_steps, batch_size)
        kept = _share_kept(self.policy_averaging, gradient_steps, self._n_updates)
        average_into(self.averaged_policy.actor, self.policy.actor, kept=kept)

    def _before_actor_step(self) -> None:
        """Adds the gradient of behaviour cloning to the actor's, and sets its learning rate."""
        actor = self.policy.actor
        for group in actor.optimizer.param_groups:
            group["lr"] = self._actor_lr()
        if self._actor_held or not self.warm_start_updates:
            return
        weight = self._now(self.rehearsal_weight)
        if weight > 0:
            error = _squared_error(self.policy, *self._draw_as_policy_knows(_ANCHOR_BATCH))
            (weight * error).backward()
            self.logger.record_mean("rehearsal/squared_error", error.item())
        tuned = getattr(self, "ent_coef_optimizer", None) is not None
        for name, parameter in actor.named_parameters():
            if _LOG_STD_NAME in name and not tuned:
                parameter.grad = None  # noise that grows takes the clone apart as surely

    @contextmanager
    def _held_actor(self) -> Iterator[None]:
        """The learner's own update leaves the actor as it is."""
        learning = [p for p in self.policy.actor.parameters() if p.requires_grad]
        self._actor_held = True
        for parameter in learning:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            self._actor_held = False
            for parameter in learning:
                parameter.requires_grad_(True)

    def _actor_lr(self) -> float:
        rate = self.actor_learning_rate
        if rate is None:
            share = _SLOW if self.warm_start_updates else 1.0
            return share * self.lr_schedule(self._current_progress_remaining)
        return self._now(rate)

    def _now(self, value: LearningRate) -> float:
        return value(self._current_progress_remaining) if callable(value) else value

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As in SB3, with the averaged policy once there is something to average."""
        averaged = self._started and not self._exploring
        policy = self.averaged_policy if averaged else self.policy
        return policy.predict(*args, **kwargs)

    def _draw_as_policy_knows(self, n: int) -> tuple[Observation, np.ndarray]:
        """Of the expert: observations as the policy sees them, actions as it gives them."""
        assert self.expert is not None  # `_setup_learn` has checked
        drawn = self.expert.take(self._rng.integers(len(self.expert), size=n))
        return as_policy_knows(self, drawn.obs, drawn.acts)

    # How SB3 is extended.

    def _setup_model(self) -> None:
        super()._setup_model()
        self.averaged_policy = another_policy(self)
        self.policy.actor.optimizer.register_step_pre_hook(lambda *_: self._before_actor_step())

    def _setup_learn(self, *args: Any, **kwargs: Any) -> tuple[int, BaseCallback]:
        prepared = super()._setup_learn(*args, **kwargs)
        if not self._started:
            if self.warm_start_updates:
                self._normalize_as_expert()
                _explore_little(self.policy.actor)
                error = clone_actor(
                    self.policy, self._draw_as_policy_knows, n_updates=self.warm_start_updates
                )
                self.logger.record("warm_start/squared_error", error)
                if hasattr(self.policy, "actor_target"):  # TD3's
                    self.policy.actor_target.load_state_dict(self.policy.actor.state_dict())
            self.averaged_policy.load_state_dict(self.policy.state_dict())
            self._started = True  # not before: an interrupted warm start begins again
        return prepared

    @property
    def _random_steps(self) -> int:
        """Steps in which SB3 acts at random: none for a clone."""
        return 0 if self.warm_start_updates else self.learning_starts

    def _sample_action(
        self, learning_starts: int, *args: Any, **kwargs: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """The latest actor explores; a cloned one from the first step."""
        self._exploring = True
        try:
            sampled: tuple[np.ndarray, np.ndarray] = super()._sample_action(
                self._random_steps, *args, **kwargs
            )
            return sampled
        finally:
            self._exploring = False

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "averaged_policy"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        modules, variables = super()._get_torch_save_params()
        return [*modules, "averaged_policy"], variables


def clone_actor(
    policy: Any, draw: Draw, *, n_updates: int, batch_size: int = 256, learning_rate: float = 1e-3
) -> float:
    """Least squares of the deterministic action (behaviour cloning; Pomerleau, 1991).

    Not likelihood: that of a squashed Gaussian is infinite at the bounds, where experts often are.
    The learning rate falls linearly to 0. A Gaussian's deviation is left as it is.

    :param draw: so many of the expert's observations as the policy sees them, and of its actions
        as the policy gives them, in [-1, 1].
    :returns: the mean squared error of the last 100 batches.
    """
    parameters = [p for name, p in policy.actor.named_parameters() if _LOG_STD_NAME not in name]
    optimizer = th.optim.Adam(parameters)  # the actor's own stays fresh for what follows
    policy.actor.set_training_mode(True)
    error = descend(
        lambda: _squared_error(policy, *draw(batch_size)),
        optimizer,
        np.linspace(learning_rate, 0.0, n_updates),
    )
    policy.actor.set_training_mode(False)
    return error


def _squared_error(policy: Any, obs: Observation, acts: np.ndarray) -> th.Tensor:
    predicted = policy._predict(as_tensors(obs, policy.device), deterministic=True)
    return F.mse_loss(predicted, th.as_tensor(acts, device=policy.device))


def _explore_little(actor: th.nn.Module) -> None:
    """A Gaussian actor begins with the same small deviation everywhere."""
    head = getattr(actor, "log_std", None)
    if isinstance(head, th.nn.Linear):  # gSDE's is a parameter, with its own initial value
        th.nn.init.zeros_(head.weight)
        th.nn.init.constant_(head.bias, _LOG_STD)


def _takes(cls: type, argument: str) -> bool:
    """Is there a constructor behind ours that names this argument?"""
    behind = cls.__mro__[cls.__mro__.index(ClonedActor) + 1 :]
    return any(argument in inspect.signature(c).parameters for c in behind if c is not object)


def _share_kept(kept_per_update: float, n_latest: int, n_updates: int) -> float:
    """What an average keeps of itself: while it is young, as if all updates weighed alike."""
    return min(kept_per_update**n_latest, 1.0 - n_latest / max(n_updates, n_latest))
