"""Which actor answers: the one whose own episodes came nearest to the demonstrations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from imitation.data.types import Trajectory, Transitions
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import GymEnv

from sb3_gail_ext.algorithms.cloned_actor import ClonedActor
from sb3_gail_ext.algorithms.demonstrated import Demonstrations
from sb3_gail_ext.algorithms.race import Race
from sb3_gail_ext.algorithms.ranges import check_ranges
from sb3_gail_ext.buffers.replay import RelabelledReplayBuffer
from sb3_gail_ext.demonstrations.dict_observations import has_images
from sb3_gail_ext.demonstrations.sampling import TransitionBatch, are_whole
from sb3_gail_ext.policies.averaging import another_policy
from sb3_gail_ext.rewards.distance import DistanceTo


class ChallengedActor(ClonedActor):
    """Mixin: a ClonedActor of which `predict` asks an incumbent, which the learner challenges.

    An off-policy actor that is at the expert now may be far from it a thousand updates later, and
    without a reward nobody sees it. So a frozen copy of its average, the challenger, plays whole
    episodes without noise between those that explore, and what is played is judged by its distance
    to the demonstrations (`imitation_distance`; who wins: `Race`). The clone is the first
    incumbent. Every step is learned from, a trial's as well.

    Only whole demonstrations of floats can be compared with. With Transitions, subsampled ones or
    images there are no trials, nor where the replay buffer is shorter than a demonstration, and the
    average answers. Under a VecNormalize that is in training
    the inputs of an incumbent go on moving, so that it is frozen in part only.

    :param trial_episodes: which a challenger has to play at least to win; 0: no trials.
    :param trial_share: of the environment steps, those spent on trials, 0 to 1. An episode is
        played to its end, or for as long as the longest demonstration, so that this is kept on the
        whole only.
    :param kwargs: the arguments of `ClonedActor` and the algorithm behind it.
    """

    replay_buffer: RelabelledReplayBuffer

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        trial_episodes: int = 5,
        trial_share: float = 0.5,
        **kwargs: Any,
    ) -> None:
        check_ranges(trial_episodes=(trial_episodes, 0, math.inf), trial_share=(trial_share, 0, 1))
        self.trial_episodes = trial_episodes
        self.trial_share = trial_share
        self._race: Race | None = None
        self._horizon = 0  # steps of an episode that count
        self._n_steps = self._n_trial_steps = 0  # since this race began
        self._in_trial = np.zeros(0, bool)  # (n_envs,), like the next
        self._episode_steps = np.zeros(0, int)
        super().__init__(policy, env, demonstrations, **kwargs)

    def _attach(self, expert: TransitionBatch, given: Sequence[Trajectory] | Transitions) -> None:
        super()._attach(expert, given)
        self._race = None  # what was near to others says nothing
        self._n_steps = self._n_trial_steps = 0
        self._in_trial[:] = False
        comparable = _can_be_compared(given, expert) and not has_images(self.observation_space)
        if self.trial_episodes and self.trial_share and comparable:
            distance_to = DistanceTo(given)  # type: ignore[arg-type]  # no Transitions
            self._horizon = distance_to.horizon
            if self._horizon <= self.buffer_size // self.n_envs:  # or no episode is whole in it
                self._race = Race(distance_to, self.trial_episodes)

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """As behind; without trials the average is the incumbent."""
        super().train(gradient_steps, batch_size)
        if self._race is None:
            self.incumbent.load_state_dict(self.averaged_policy.state_dict())

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As in SB3, with the incumbent once there is one."""
        if self._started and not self._exploring:
            return self.incumbent.predict(*args, **kwargs)
        return super().predict(*args, **kwargs)

    def _sample_action(self, *args: Any, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
        """Without noise where an episode is played in the race."""
        if not self._in_trial.any():
            return super()._sample_action(*args, **kwargs)
        assert self._race is not None  # whose episode it is
        player = self.incumbent if self._race.incumbent_plays else self.challenger
        actions, _ = player.predict(self._last_obs, deterministic=True)
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
        """As in SB3; then what has ended counts in the race, and what begins does or explores."""
        super()._store_transition(replay_buffer, buffer_action, new_obs, reward, dones, infos)
        self._episode_steps += 1
        self._n_steps += self.n_envs
        self._n_trial_steps += int(self._in_trial.sum())
        over = dones | (self._episode_steps >= self._horizon)
        for env in np.flatnonzero(over & self._in_trial):
            if self._in_trial[env]:  # still: another's may have decided
                self._in_trial[env] = False
                self._count(replay_buffer.latest_episode(env, self._episode_steps[env]))
        self._episode_steps[dones] = 0
        for env in np.flatnonzero(dones):
            self._in_trial[env] = self._is_time_for_a_trial()

    def _count(self, episode: Trajectory) -> None:
        assert self._race is not None  # it was played in it
        outcome = self._race.add(episode)
        if outcome is None:
            return
        if outcome == "won":
            self.incumbent.load_state_dict(self.challenger.state_dict())
        if outcome != "defended":
            self.logger.record_mean("trials/won", float(outcome == "won"))
        self.logger.record("trials/imitation_distance", self._race.mark)
        self.challenger.load_state_dict(self.averaged_policy.state_dict())
        self._in_trial[:] = False  # what is half played was of another challenger, maybe

    def _is_time_for_a_trial(self) -> bool:
        """No more environments at once than episodes are missing: the short ones would win."""
        if self._race is None or self.num_timesteps < self._random_steps:
            return False
        wanted = self._in_trial.sum() < self._race.n_missing
        return bool(wanted and self._n_trial_steps <= self.trial_share * self._n_steps)

    # How SB3 is extended.

    def _setup_model(self) -> None:
        super()._setup_model()
        self.incumbent, self.challenger = another_policy(self), another_policy(self)

    def _setup_learn(self, *args: Any, **kwargs: Any) -> tuple[int, BaseCallback]:
        going_on, is_first = self._last_obs, not self._started
        prepared = super()._setup_learn(*args, **kwargs)
        if is_first:
            self.incumbent.load_state_dict(self.averaged_policy.state_dict())
        reset = self._last_obs is not going_on
        if reset or len(self._in_trial) != self.n_envs:
            self._episode_steps = np.zeros(self.n_envs, int)
            self._in_trial = np.zeros(self.n_envs, bool)
        for env in range(self.n_envs if reset else 0):  # every episode is at its start
            self._in_trial[env] = self._is_time_for_a_trial()
        return prepared

    def _excluded_save_params(self) -> list[str]:
        of_this_run = ["challenger", "_race", "_in_trial", "_episode_steps"]
        return [*super()._excluded_save_params(), "incumbent", *of_this_run]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        modules, variables = super()._get_torch_save_params()
        return [*modules, "incumbent"], variables


def _can_be_compared(given: Sequence[Trajectory] | Transitions, expert: TransitionBatch) -> bool:
    """Whole episodes, and of no images, which deviations of single pixels do not describe."""
    return (
        not isinstance(given, Transitions)
        and are_whole(given)
        and np.issubdtype(expert.obs.dtype, np.floating)
    )
