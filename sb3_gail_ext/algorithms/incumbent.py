"""Which actor answers: the one whose own episodes came nearest to the demonstrations."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from imitation.data.types import Trajectory, Transitions
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.type_aliases import GymEnv

from sb3_gail_ext.algorithms.demonstrated import Demonstrated, Demonstrations
from sb3_gail_ext.algorithms.ranges import check_ranges
from sb3_gail_ext.buffers.replay import RelabelledReplayBuffer
from sb3_gail_ext.demonstrations.sampling import TransitionBatch, are_whole
from sb3_gail_ext.policies.averaging import another_policy
from sb3_gail_ext.rewards.distance import NOISE, DistanceTo


class KeepsIncumbent(Demonstrated, OffPolicyAlgorithm):
    """Mixin: `predict` answers with an incumbent, which the learning actor challenges.

    An off-policy actor that is at the expert now may be far from it a thousand updates later, and
    without a reward nobody sees it. So a frozen copy of it, the challenger, plays whole episodes
    without noise between those that explore, and `imitation_distance` judges them: a race as in
    SMAC's intensification (Hutter, Hoos & Leyton-Brown 2011, Procedure 2). One that is plainly
    worse is dropped from half of its trial on; one that is no worse, for all that can be told,
    becomes the incumbent: the later learned more. Every step is learned from, a trial's as well.

    Put it before an actor that is averaged: `class DAC(KeepsIncumbent, ClonedActor, ...)`. It needs
    whole demonstrations of arrays: with Transitions, subsampled ones or images there are no trials.

    :param trial_episodes: of a challenger; 0: no trials, and the averaged actor answers.
    :param trial_share: of the environment steps, those spent on trials, 0 to 1. Episodes are never
        cut, so it is kept on the whole only.
    :param kwargs: the arguments of the algorithm behind it.
    """

    policy: Any  # with an `actor`
    replay_buffer: RelabelledReplayBuffer
    averaged_policy: Any  # of the class behind, like the next two
    _exploring: bool
    _random_steps: int

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        trial_episodes: int = 10,
        trial_share: float = 0.5,
        **kwargs: Any,
    ) -> None:
        check_ranges(trial_episodes=(trial_episodes, 0, math.inf), trial_share=(trial_share, 0, 1))
        self.trial_episodes = trial_episodes
        self.trial_share = trial_share
        self.best_distance = math.inf  # of any challenger that played all its episodes
        self._judged_by = 0  # a checksum of the demonstrations that distance is to
        self._has_incumbent = False
        self._distance_to: DistanceTo | None = None
        self._trial: list[Trajectory] = []
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]  # SB3 passes None when it loads a model
            demonstrations,  # type: ignore[arg-type]  # the next class takes them
            **kwargs,
        )

    def _attach(self, expert: TransitionBatch, given: Sequence[Trajectory] | Transitions) -> None:
        super()._attach(expert, given)
        image = isinstance(self.observation_space, spaces.Box) and is_image_space(
            self.observation_space
        )
        judges = not isinstance(given, Transitions) and are_whole(given) and not image
        self._distance_to = DistanceTo(given) if judges else None  # type: ignore[arg-type]
        checksum = zlib.crc32(expert.obs.tobytes() + expert.acts.tobytes())
        if checksum != self._judged_by:  # what was near to others says nothing
            self._judged_by, self.best_distance = checksum, math.inf

    @property
    def _tries(self) -> bool:
        return self._distance_to is not None and self.trial_episodes > 0 and self.trial_share > 0

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As in SB3, with the incumbent's actor."""
        if self._has_incumbent and not self._exploring:
            return self.incumbent.predict(*args, **kwargs)
        return super().predict(*args, **kwargs)

    def _sample_action(self, *args: Any, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
        """The challenger's, without noise, where a trial is played."""
        if not self._in_trial.any():
            sampled: tuple[np.ndarray, np.ndarray] = super()._sample_action(*args, **kwargs)
            return sampled
        actions, _ = self.challenger.predict(self._last_obs, deterministic=True)
        scaled = self.policy.scale_action(actions)
        if not self._in_trial.all():
            explored, stored = super()._sample_action(*args, **kwargs)
            rows = self._in_trial.reshape(-1, *(1,) * (actions.ndim - 1))
            actions, scaled = np.where(rows, actions, explored), np.where(rows, scaled, stored)
        return actions, scaled

    def _store_transition(
        self,
        replay_buffer: Any,
        buffer_action: np.ndarray,
        new_obs: Any,
        reward: np.ndarray,
        dones: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """As in SB3; then what has ended is judged, and what begins is a trial or explores."""
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
        if not self._tries:
            return
        self._episode_steps += 1
        self._n_steps += self.n_envs
        self._n_trial_steps += int(self._in_trial.sum())
        for env in np.flatnonzero(dones):
            length, self._episode_steps[env] = self._episode_steps[env], 0
            if self._in_trial[env] and length <= replay_buffer.buffer_size:
                self._trial.append(replay_buffer.latest_episode(env, length))
        if dones[self._in_trial].any():
            self._judge()
        if dones.any():
            self._in_trial[dones] = self._is_time_for_a_trial()

    def _is_time_for_a_trial(self) -> bool:
        begun = self._tries and self.num_timesteps >= self._random_steps
        return begun and self._n_trial_steps <= self.trial_share * self._n_steps

    def _judge(self) -> None:
        """The trial as far as it is played."""
        assert self._distance_to is not None  # `_tries`
        n = len(self._trial)
        if n < max(self.trial_episodes // 2, 1):
            return
        distance = self._distance_to(self._trial)
        if n < self.trial_episodes:
            if distance > 2 * max(self.best_distance, NOISE):
                self._next_challenger()
            return
        if distance <= self.best_distance + NOISE:
            self.incumbent.load_state_dict(self.challenger.state_dict())
        self.best_distance = min(distance, self.best_distance)
        self.logger.record("trials/imitation_distance", distance)
        self.logger.record("trials/best_distance", self.best_distance)
        self._next_challenger()

    def _next_challenger(self) -> None:
        """The actor as it is now; episodes that others are still playing count for nobody."""
        self.challenger.load_state_dict(self.averaged_policy.state_dict())
        self._trial = []
        self._in_trial[:] = False

    # How SB3 is extended.

    def _setup_model(self) -> None:
        super()._setup_model()
        self.incumbent, self.challenger = another_policy(self), another_policy(self)

    def _setup_learn(
        self, total_timesteps: int, *args: Any, **kwargs: Any
    ) -> tuple[int, BaseCallback]:
        going_on = self._last_obs
        prepared = super()._setup_learn(total_timesteps, *args, **kwargs)
        self._n_steps = self._n_trial_steps = 0
        self._episode_steps = np.zeros(self.n_envs, int)
        self._in_trial = np.zeros(self.n_envs, bool)
        self._next_challenger()
        if self._tries and not self._has_incumbent:
            self.incumbent.load_state_dict(self.averaged_policy.state_dict())
            self._has_incumbent = True
        if self._last_obs is not going_on:  # only whole episodes count
            self._in_trial[:] = self._is_time_for_a_trial()
        return prepared

    def _excluded_save_params(self) -> list[str]:
        mine = ["incumbent", "challenger", "_trial", "_distance_to"]
        return [*super()._excluded_save_params(), *mine]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        modules, variables = super()._get_torch_save_params()
        # Without it the averaged actor answers, from the file as well (policies/loading.py).
        return [*modules, *(["incumbent"] if self._has_incumbent else [])], variables
