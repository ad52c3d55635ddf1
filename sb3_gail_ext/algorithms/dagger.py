"""DAgger: dataset aggregation (Ross, Gordon & Bagnell, 2011) around behaviour cloning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from gymnasium import spaces
from imitation.algorithms.dagger import LinearBetaSchedule
from imitation.data.types import TransitionMapping
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback

from sb3_gail_ext.algorithms.bc import BC
from sb3_gail_ext.algorithms.demonstrated import Demonstrations
from sb3_gail_ext.demonstrations.dict_observations import flatten_obs
from sb3_gail_ext.demonstrations.playing import Policy
from sb3_gail_ext.policies.actions import as_policy_knows
from sb3_gail_ext.policies.loading import load_policy
from sb3_gail_ext.policies.scaled import fit_scaling

_ROUNDS_WITH_EXPERT = 15  # `imitation`'s default


class DAgger(BC):
    """Clone an expert that can be asked: where the imitator goes, it says what it would do.

    Paper: Ross, Gordon & Bagnell (2011), https://arxiv.org/abs/1011.0686, Algorithm 3.1. Data is
    aggregated in memory; `imitation`'s trainer writes each episode to a disk and has no seam
    for SB3's callbacks.

    A timestep is one of the environment, as everywhere in SB3 but in BC. Arguments beyond these
    are BC's.

    :param demonstrations: what the data starts with; may be left out for good.
    :param expert: anything with SB3's `predict`, or the path of a saved SB3 model. It sees the
        environment's own observations, or those of the VecNormalize it was trained with. Not
        saved: attach it with `set_expert` after `load`.
    :param beta_schedule: the round's number, from 0, to the share of steps in which the expert
        acts; None falls linearly from 1 to 0 over 15 rounds.
    :param steps_per_round: environment steps between two trainings, all environments together.
    :param updates_per_round: of `batch_size` transitions each, on all data so far.
    :raises DemonstrationError: if the demonstrations do not fit the environment.
    :raises ValueError: if `expert` cannot be loaded or has no `predict`, or if a number is not
        positive.

    >>> model = DAgger("MlpPolicy", "Hopper-v4", expert="expert.zip").learn()
    """

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        expert: Policy | str | Path | None = None,
        beta_schedule: Callable[[int], float] | None = None,
        steps_per_round: int = 1_000,
        updates_per_round: int = 500,
        **kwargs: Any,
    ) -> None:
        for name, value in (
            ("steps_per_round", steps_per_round),
            ("updates_per_round", updates_per_round),
        ):
            if value < 1:
                raise ValueError(f"{name} is {value}; give a positive number")
        self.beta_schedule = beta_schedule or LinearBetaSchedule(_ROUNDS_WITH_EXPERT)
        self.steps_per_round = steps_per_round
        self.updates_per_round = updates_per_round
        self.queried: Policy | None = None
        self._visited: list[np.ndarray] = []  # (n_envs, *obs_shape) or flat, not normalised
        self._answers: list[np.ndarray] = []  # the expert's actions (n_envs, *act_shape)
        self._n_rounds = 0
        super().__init__(policy, env, demonstrations, **kwargs)
        if expert is not None:
            self.set_expert(expert)

    def set_expert(self, expert: Policy | str | Path) -> None:
        """Ask this one from now on.

        :raises ValueError: if it cannot be loaded or has no `predict`.
        """
        queried = load_policy(expert) if isinstance(expert, str | Path) else expert
        if not hasattr(queried, "predict"):
            raise ValueError(
                f"expert is a {type(expert).__name__} without predict(); give an SB3 model, the "
                "path of one, or anything with its predict()"
            )
        self.queried = queried

    def learn(
        self,
        total_timesteps: int = 20_000,
        callback: MaybeCallback = None,
        log_interval: int | None = 1,
        tb_log_name: str = "DAgger",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """As in SB3; `log_interval` counts rounds.

        The losses logged are those of a round's first batch: how far the clone was from what the
        expert said about the steps just taken.

        :raises ValueError: if there is no expert to ask.
        """
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        callback.on_training_start(locals(), globals())
        while self.num_timesteps < total_timesteps and self._collect(callback):
            self._n_rounds += 1
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            logs = log_interval is not None and self._n_rounds % log_interval == 0
            self._clone(
                self._draws(), self.updates_per_round if logs else None, self._after_round_update
            )
        callback.on_training_end()
        return self

    def _collect(self, callback: BaseCallback) -> bool:
        """Steps of the mixture of both policies, all labelled by the expert.

        :returns: False if a callback ends training.
        """
        assert self.env is not None
        obs: Any = self._last_obs
        beta = self.beta_schedule(self._n_rounds)
        self.logger.record("dagger/beta", beta)
        state: Any = None
        callback.on_rollout_start()
        for _ in range(math.ceil(self.steps_per_round / self.n_envs)):
            given = self._as_env_gave(obs)
            visited = np.array(flatten_obs(self.observation_space, given))
            answers, state = self._ask(given, state)
            acts, _ = self.policy.predict(obs)
            by_expert = self._rng.random(self.n_envs) < beta
            acts[by_expert] = answers[by_expert]
            obs, rewards, dones, infos = self.env.step(acts)
            self._last_obs, self._last_episode_starts = obs, dones
            self._visited.append(visited)
            self._answers.append(answers)
            self.num_timesteps += self.n_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
        callback.on_rollout_end()
        return True

    def _ask(self, obs: Any, state: Any) -> tuple[np.ndarray, Any]:
        """What the expert would do: actions (n_envs, *act_shape) inside their bounds."""
        assert self.queried is not None  # `_setup_learn` has checked
        find = getattr(self.queried, "get_vec_normalize_env", None)
        normalize = find() if find is not None else None
        if normalize is not None:
            obs = normalize.normalize_obs(obs)
        acts, state = self.queried.predict(
            obs, state=state, episode_start=self._last_episode_starts, deterministic=True
        )
        if np.shape(acts) != (self.n_envs, *(self.action_space.shape or ())):
            raise ValueError(
                f"expert: its actions have shape {np.shape(acts)} for {self.n_envs} environments, "
                f"but the action space is {self.action_space}; give an expert of this environment"
            )
        if isinstance(self.action_space, spaces.Box):
            acts = np.clip(acts, self.action_space.low, self.action_space.high)
        return np.asarray(acts, self.action_space.dtype), state

    def _as_env_gave(self, obs: Any) -> Any:
        normalize = self.get_vec_normalize_env()
        return obs if normalize is None else normalize.get_original_obs()

    def _draws(self) -> Iterator[TransitionMapping]:
        visited, answers = self._aggregate()
        fit_scaling(self.policy, visited)
        obs, acts = as_policy_knows(self, visited, answers)
        for _ in range(self.updates_per_round):
            yield self._draw(obs, acts)

    def _aggregate(self) -> tuple[np.ndarray, np.ndarray]:
        """All data so far: obs (n, *obs_shape), acts (n, *act_shape)."""
        obs, acts = np.concatenate(self._visited), np.concatenate(self._answers)
        if self.expert is None:
            return obs, acts
        return np.concatenate([self.expert.obs, obs]), np.concatenate([self.expert.acts, acts])

    def _after_round_update(self) -> None:
        self._n_updates += 1

    def dump_logs(self) -> None:
        for key, name in (("rollout/ep_rew_mean", "r"), ("rollout/ep_len_mean", "l")):
            if self.ep_info_buffer:
                mean = np.mean([episode[name] for episode in self.ep_info_buffer])
                self.logger.record(key, float(mean))
        super().dump_logs()

    # How SB3 is extended.

    def _check_ready(self) -> None:
        if self.queried is None:
            raise ValueError(
                "there is no expert to ask: pass expert=... or call set_expert(...) before learn()"
            )

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "queried", "_visited", "_answers"]
