"""A rollout buffer whose rewards are filled in after the rollout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer

from sb3_gail_ext.demonstrations.dict_observations import flat_space
from sb3_gail_ext.demonstrations.sampling import TransitionBatch

RewardFn = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
RewardScale = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


class RelabelledRolloutBuffer(RolloutBuffer):
    """Keeps each transition as the environment saw it, and computes GAE once rewards are known.

    SB3 stores unclipped actions, normalised observations and no next observation; a
    discriminator needs all three as they are in the demonstrations. `RolloutRecorder` supplies
    them. Arrays are (buffer_size, n_envs, ...); what is kept of Dict observations is flat.
    """

    def reset(self) -> None:
        super().reset()
        steps = (self.buffer_size, self.n_envs)
        # float32 whatever the environment's: SB3 2.9 hands over MuJoCo's float64.
        obs_space = flat_space(self.observation_space)
        floats = np.issubdtype(obs_space.dtype, np.floating)
        obs_dtype = np.float32 if floats else obs_space.dtype
        obs_shape, act_shape = obs_space.shape or (), self.action_space.shape or ()
        self.env_obs = np.zeros((*steps, *obs_shape), obs_dtype)
        self.env_next_obs = np.zeros_like(self.env_obs)
        act_dtype = np.float32 if isinstance(self.action_space, spaces.Box) else np.int64
        self.env_acts = np.zeros((*steps, *act_shape), act_dtype)
        self.terminated = np.zeros(steps, dtype=bool)

    def record(
        self, obs: np.ndarray, acts: np.ndarray, next_obs: np.ndarray, terminated: np.ndarray
    ) -> None:
        """Keep the transition that SB3 is about to `add`; arrays are (n_envs, ...)."""
        self.env_obs[self.pos] = obs
        self.env_acts[self.pos] = acts
        self.env_next_obs[self.pos] = next_obs
        self.terminated[self.pos] = terminated

    def transitions(self) -> TransitionBatch:
        """All recorded transitions, (buffer_size * n_envs, ...), step by step."""
        return TransitionBatch(
            *(
                array.reshape(-1, *array.shape[2:])
                for array in (self.env_obs, self.env_acts, self.env_next_obs, self.terminated)
            )
        )

    def terminal_share(self) -> float | None:
        """Of the episodes that ended in this rollout, those that no time limit ended."""
        n_ended = self.episode_starts[1:].sum() + np.sum(self._last_dones)
        return float(self.terminated.sum() / n_ended) if n_ended else None

    def compute_returns_and_advantage(self, last_values: th.Tensor, dones: np.ndarray) -> None:
        """Only remembered: SB3 calls this before the rewards are known (see `relabel`)."""
        self._last_values, self._last_dones = last_values, dones

    def relabel(self, reward_fn: RewardFn, scale: RewardScale) -> np.ndarray:
        """Reward all transitions in one batched pass, then compute returns and advantages.

        Added, not written over: what `rewards` holds until now is SB3's bootstrap at time limits
        (stable-baselines3 issue 633), for the recorder blanks the environment's reward.

        :param reward_fn: maps `transitions()` to rewards (buffer_size * n_envs,).
        :param scale: maps rewards, episode starts, both (buffer_size, n_envs), and gamma to the
            rewards that the generator gets.
        :returns: the rewards before `scale`, float32 of shape (buffer_size, n_envs).
        """
        learned = reward_fn(*self.transitions()).reshape(self.rewards.shape)
        self.rewards += scale(learned, self.episode_starts, self.gamma)
        super().compute_returns_and_advantage(self._last_values, self._last_dones)
        return learned


class RelabelledDictRolloutBuffer(RelabelledRolloutBuffer, DictRolloutBuffer):
    """The same on top of SB3's buffer of Dict observations."""


def rollout_buffer_class(observation_space: spaces.Space) -> type[RelabelledRolloutBuffer]:
    if isinstance(observation_space, spaces.Dict):
        return RelabelledDictRolloutBuffer
    return RelabelledRolloutBuffer
