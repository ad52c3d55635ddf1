"""BC: behaviour cloning (Pomerleau, 1991) by `imitation`, as an SB3 algorithm."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from imitation.algorithms import bc as imitation_bc
from imitation.data.types import Trajectory, TransitionMapping, Transitions
from imitation.util.logger import HierarchicalLogger
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    ConvertCallback,
    ProgressBarCallback,
)
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import (
    ActorCriticCnnPolicy,
    ActorCriticPolicy,
    BasePolicy,
    MultiInputActorCriticPolicy,
)
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback

from sb3_gail_ext.algorithms.demonstrated import (
    Demonstrated,
    Demonstrations,
    with_scaled_inputs,
)
from sb3_gail_ext.algorithms.schedules import LinearSchedule
from sb3_gail_ext.demonstrations.checks import check_supported_spaces
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.policies.actions import as_policy_knows

LearningRate = float | Callable[[float], float]
_NOT_LOGGED = {"batch_size", "bc/epoch", "bc/batch", "bc/samples_so_far"}  # SB3 counts itself


class BC(Demonstrated):
    """Maximise the likelihood of the demonstrations' actions; no environment step is taken.

    Paper: Pomerleau (1991), https://doi.org/10.1162/neco.1991.3.1.88. Loss and optimiser steps are
    those of `imitation.algorithms.bc.BC`.

    A timestep is a demonstration's transition drawn into a batch (with replacement), so
    `learn(total_timesteps)` makes `total_timesteps / batch_size` updates, rounded up. Callbacks
    are called once per update, and `log_interval` counts updates.

    :param policy: "MlpPolicy", "CnnPolicy", "MultiInputPolicy" or an `ActorCriticPolicy` class,
        like PPO's.
    :param env: as in SB3; for its spaces, and for callbacks.
    :param demonstrations: the path of a file, `imitation` trajectories or `Transitions`. May be
        left out and attached later with `set_demonstrations`, as after `load`.
    :param learning_rate: the optimiser's, a number or a function of the remaining progress. By
        default it falls linearly from 1e-3, without which a clone stays shaky (docs/tuning.md).
    :param batch_size: transitions per update.
    :param ent_weight: weight of the policy's entropy in the loss.
    :param l2_weight: weight of half the squared norm of the weights in the loss.
    :param normalize_policy_inputs: an "MlpPolicy" that has no features extractor of the user's
        and no VecNormalize before it sees observations scaled by the demonstrations' mean and
        deviation.
    :param kwargs: SB3's `BaseAlgorithm`'s: `policy_kwargs, seed, device, verbose,
        tensorboard_log`.
    :raises DemonstrationError: if the demonstrations do not fit the environment.
    :raises ValueError: if observations are no array nor Dict, or actions no Box nor Discrete,
        or if `batch_size` is not positive.

    >>> model = BC("MlpPolicy", "HopperMuJoCoEnv-v0", "demonstrations.npz").learn()
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MlpPolicy": ActorCriticPolicy,
        "CnnPolicy": ActorCriticCnnPolicy,
        "MultiInputPolicy": MultiInputActorCriticPolicy,
    }
    policy: ActorCriticPolicy

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        learning_rate: LearningRate = LinearSchedule(1e-3),  # noqa: B008 (immutable)
        batch_size: int = 256,
        ent_weight: float = 1e-3,
        l2_weight: float = 0.0,
        normalize_policy_inputs: bool = True,
        policy_kwargs: dict[str, Any] | None = None,
        _init_setup_model: bool = True,
        **kwargs: Any,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; give a positive number")
        if normalize_policy_inputs:
            policy_kwargs = with_scaled_inputs(policy, env, policy_kwargs or {})
        super().__init__(
            policy,
            env,
            learning_rate,
            policy_kwargs=policy_kwargs,
            support_multi_env=True,
            **kwargs,
        )
        self.batch_size = batch_size
        self.ent_weight = ent_weight
        self.l2_weight = l2_weight
        self._rng = np.random.default_rng(self.seed)
        self._stopped = False  # by a callback
        if _init_setup_model:
            self._setup_model()
        if demonstrations is not None:
            self.set_demonstrations(demonstrations)

    def _attach(self, expert: TransitionBatch, given: Sequence[Trajectory] | Transitions) -> None:
        first = self.expert is None and self.num_timesteps == 0
        super()._attach(expert, given)
        normalize = self.get_vec_normalize_env()
        if first and normalize is not None and normalize.norm_obs and normalize.training:
            # Nobody steps the environment: what it normalises by comes from here, once.
            self._update_statistics(normalize, expert)

    def learn(
        self,
        total_timesteps: int = 2_560_000,
        callback: MaybeCallback = None,
        log_interval: int | None = 500,
        tb_log_name: str = "BC",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """As in SB3, but a timestep is a transition drawn, and `log_interval` counts updates.

        :raises DemonstrationError: if there are no demonstrations.
        """
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        callback.on_training_start(locals(), globals())
        self._stopped = False
        if self.num_timesteps < total_timesteps:
            self._clone(
                self._draws_until(total_timesteps),
                log_interval,
                on_update=lambda: self._after_update(callback),
            )
        callback.on_training_end()
        return self

    def _draws_until(self, total_timesteps: int) -> Iterator[TransitionMapping]:
        assert self.expert is not None  # `_setup_learn` has checked
        obs, acts = as_policy_knows(self, self.expert.obs, self.expert.acts)
        while self.num_timesteps < total_timesteps and not self._stopped:
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            self.num_timesteps += self.batch_size
            yield self._draw(obs, acts)

    def _draw(self, obs: Any, acts: np.ndarray) -> TransitionMapping:
        """One batch of what `as_policy_knows` returned."""
        index = self._rng.integers(len(obs), size=self.batch_size)
        self._update_learning_rate(self.policy.optimizer)
        self.policy.set_training_mode(True)  # a callback's `predict` has ended it
        return {"obs": obs[index], "acts": acts[index]}

    def _after_update(self, callback: BaseCallback) -> None:
        self._n_updates += 1
        self._stopped = not callback.on_step()

    def _clone(
        self,
        batches: Iterable[TransitionMapping],
        log_interval: int | None,
        on_update: Callable[[], None],
    ) -> None:
        """`imitation`'s updates on these batches.

        :param log_interval: updates between two logs, the first included; None logs nothing.
        """
        trainer = imitation_bc.BC(
            observation_space=self.observation_space,
            action_space=self.action_space,
            rng=self._rng,
            policy=self.policy,
            demonstrations=batches,
            batch_size=self.batch_size,
            optimizer_cls=lambda _: self.policy.optimizer,  # type: ignore[arg-type]  # SB3 saves it
            ent_weight=self.ent_weight,
            l2_weight=self.l2_weight,
            device=self.device,
            custom_logger=_Log(self) if log_interval else HierarchicalLogger(Logger(None, [])),
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Converting a tensor with requires_grad")  # its log's
            warnings.filterwarnings("ignore", "trying to unwrap object")  # Dict observations, twice
            trainer.train(
                n_epochs=1,  # all of `batches`
                on_batch_end=on_update,
                log_interval=log_interval or sys.maxsize,
                progress_bar=False,
            )
        self.policy.set_training_mode(False)

    def dump_logs(self) -> None:
        """Write what was recorded, with SB3's counts, at the current timestep."""
        seconds = max((time.time_ns() - self.start_time) / 1e9, sys.float_info.epsilon)
        steps = self.num_timesteps - self._num_timesteps_at_start
        self.logger.record("time/fps", int(steps / seconds))
        self.logger.record("time/time_elapsed", int(seconds), exclude="tensorboard")
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.dump(step=self.num_timesteps)

    # How SB3 is extended.

    def _setup_model(self) -> None:
        check_supported_spaces(self.observation_space, self.action_space)
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        policy: Any = self.policy_class
        self.policy = policy(
            self.observation_space,
            self.action_space,
            self.lr_schedule,
            use_sde=self.use_sde,
            **self.policy_kwargs,
        ).to(self.device)

    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        users = callback if isinstance(callback, list) else [callback]
        wrapped = [c if isinstance(c, BaseCallback) else ConvertCallback(c) for c in users]
        bars = [_ProgressBar()] if progress_bar else []
        return super()._init_callback(CallbackList([*wrapped, *bars]))

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "policy.optimizer"], []


class _Log(HierarchicalLogger):
    """What `imitation` logs, among the model's own keys and at the model's timesteps."""

    def __init__(self, model: BC) -> None:
        super().__init__(model.logger)
        self.model = model

    def record(self, key: str, val: Any, exclude: Any = None) -> None:
        if key not in _NOT_LOGGED and val is not None:
            super().record(key, val, exclude)

    def dump(self, step: int = 0) -> None:
        self.model.dump_logs()


class _ProgressBar(ProgressBarCallback):
    """SB3's advances by one timestep per environment, which is not what a batch has."""

    def _on_step(self) -> bool:
        done = self.model.num_timesteps - self.model._num_timesteps_at_start
        self.pbar.update(done - self.pbar.n)
        return True
