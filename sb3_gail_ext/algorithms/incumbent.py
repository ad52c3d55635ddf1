"""Which actor answers: the one whose own episodes came nearest to the demonstrations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from imitation.data.types import Trajectory, Transitions
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv

from sb3_gail_ext.algorithms.demonstrated import Demonstrated, Demonstrations
from sb3_gail_ext.algorithms.race import Race
from sb3_gail_ext.algorithms.ranges import check_ranges
from sb3_gail_ext.buffers.replay import RelabelledReplayBuffer
from sb3_gail_ext.demonstrations.sampling import TransitionBatch, are_whole
from sb3_gail_ext.policies.averaging import another_policy
from sb3_gail_ext.rewards.distance import DistanceTo


class KeepsIncumbent(Demonstrated, OffPolicyAlgorithm):
    """Mixin: `predict` answers with an incumbent, which the learning actor challenges.

    An off-policy actor that is at the expert now may be far from it a thousand updates later, and
    without a reward nobody sees it. So a frozen copy of it, the challenger, plays whole episodes
    without noise between those that explore, and what is played is judged by its distance to the
    demonstrations (`imitation_distance`; who wins: `Race`). The clone is the first incumbent. Every
    step is learned from, a trial's as well.

    Put it before an actor that is averaged: `class DAC(KeepsIncumbent, ClonedActor, ...)`. It needs
    whole demonstrations of arrays: with Transitions, subsampled ones or images there are no trials.

    :param trial_episodes: which a challenger has to play at least to win; 0: no trials, and the
        averaged actor answers.
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
        trial_episodes: int = 5,
        trial_share: float = 0.5,
        **kwargs: Any,
    ) -> None:
        check_ranges(trial_episodes=(trial_episodes, 0, math.inf), trial_share=(trial_share, 0, 1))
        self.trial_episodes = trial_episodes
        self.trial_share = trial_share
        self._has_incumbent = False
        self._race: Race | None = None
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]  # SB3 passes None when it loads a model
            demonstrations,  # type: ignore[arg-type]  # the next class takes them
            **kwargs,
        )

    def _attach(self, expert: TransitionBatch, given: Sequence[Trajectory] | Transitions) -> None:
        super()._attach(expert, given)
        self._race = None  # what was near to others says nothing
        if self.trial_episodes and self.trial_share and _can_be_compared(given, expert):
            self._race = Race(DistanceTo(given), self.trial_episodes)  # type: ignore[arg-type]

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As in SB3, with the incumbent's actor."""
        if self._has_incumbent and not self._exploring:
            return self.incumbent.predict(*args, **kwargs)
        return super().predict(*args, **kwargs)

    def _sample_action(self, *args: Any, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
        """Without noise where an episode is played in the race."""
        if not self._in_trial.any():
            sampled: tuple[np.ndarray, np.ndarray] = super()._sample_action(*args, **kwargs)
            return sampled
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
        if self._race is None:
            return
        self._episode_steps += 1
        self._n_steps += self.n_envs
        self._n_trial_steps += int(self._in_trial.sum())
        for env in np.flatnonzero(dones):
            length, self._episode_steps[env] = self._episode_steps[env], 0
            if self._in_trial[env] and length <= replay_buffer.buffer_size:
                self._count(self._race, replay_buffer.latest_episode(env, length))
            self._in_trial[env] = self._is_time_for_a_trial()

    def _count(self, race: Race, episode: Trajectory) -> None:
        outcome = race.add(episode)
        if outcome is None:
            return
        if outcome == "won":
            self.incumbent.load_state_dict(self.challenger.state_dict())
        self.logger.record("trials/imitation_distance", race.mark)
        self.logger.record_mean("trials/won", float(outcome == "won"))
        self._next_trial()

    def _next_trial(self) -> None:
        """The challenger is the actor as it is now; episodes half played count for nobody."""
        self.challenger.load_state_dict(self.averaged_policy.state_dict())
        if self._race is not None:
            self._race.withdraw()
        self._in_trial[:] = False

    def _is_time_for_a_trial(self) -> bool:
        begun = self._race is not None and self.num_timesteps >= self._random_steps
        return begun and self._n_trial_steps <= self.trial_share * self._n_steps

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
        self._next_trial()
        if self._race is not None and not self._has_incumbent:
            self.incumbent.load_state_dict(self.averaged_policy.state_dict())
            self._has_incumbent = True
        if self._last_obs is not going_on:  # only whole episodes count
            self._in_trial[:] = self._is_time_for_a_trial()
        return prepared

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "incumbent", "challenger", "_race"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        modules, variables = super()._get_torch_save_params()
        # Without it the averaged actor answers, from the file as well (policies/loading.py).
        return [*modules, *(["incumbent"] if self._has_incumbent else [])], variables


def _can_be_compared(given: Sequence[Trajectory] | Transitions, expert: TransitionBatch) -> bool:
    """Whole episodes, and of no images, which deviations of single pixels do not describe."""
    return (
        not isinstance(given, Transitions)
        and are_whole(given)
        and np.issubdtype(expert.obs.dtype, np.floating)
    )
