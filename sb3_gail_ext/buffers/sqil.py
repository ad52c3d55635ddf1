"""A replay buffer of which half of each sample are demonstrations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from sb3_gail_ext.buffers.trimmed import TrimmedReplayBuffer
from sb3_gail_ext.demonstrations.dict_observations import flat_space, unflatten_obs
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.sampling import TransitionBatch


class SQILReplayBuffer(TrimmedReplayBuffer):
    """Rewards are 1 for the demonstrations' half of a sample and 0 for the agent's.

    What the environment paid is stored, as in SB3, and never sampled.

    :param expert_seed: of the draws from the demonstrations.
    """

    def __init__(self, *args: Any, expert_seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expert: TransitionBatch | None = None
        self._rng = np.random.default_rng(expert_seed)

    def set_expert(self, expert: TransitionBatch) -> None:
        """:param expert: its actions as the buffer stores them: a Box's scaled to [-1, 1]."""
        dtype = flat_space(self.observation_space).dtype
        self.expert = TransitionBatch(
            obs=_as_dtype(expert.obs, dtype),
            acts=_as_dtype(expert.acts.reshape(len(expert), self.action_dim), self.actions.dtype),
            next_obs=_as_dtype(expert.next_obs, dtype),
            dones=expert.dones,
        )

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """The agent's half, then the demonstrations'; of an odd batch the agent has one more.

        :returns: observations (batch_size, *obs_shape), actions (batch_size, action_dim),
            dones and rewards (batch_size, 1). `dones` are true terminal states only.
        :raises DemonstrationError: if there are no demonstrations.
        """
        if self.expert is None:
            raise DemonstrationError(
                "the replay buffer has no demonstrations: call the model's set_demonstrations(...)"
            )
        n_expert = batch_size // 2
        agent = super().sample(batch_size - n_expert, env)
        expert = self.expert.take(self._rng.integers(len(self.expert), size=n_expert))
        # `_replace` keeps what later versions of SB3 add to a sample.
        return agent._replace(
            observations=self._with_expert(agent.observations, expert.obs, env),
            actions=self._joined(agent.actions, expert.acts),
            next_observations=self._with_expert(agent.next_observations, expert.next_obs, env),
            dones=self._joined(agent.dones, expert.dones[:, None]),
            rewards=self._joined(th.zeros_like(agent.rewards), np.ones((n_expert, 1))),
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "expert": None}

    def _with_expert(self, agent: Any, expert: np.ndarray, env: VecNormalize | None) -> Any:
        """Observations of both as the policy sees them."""
        return self._joined(agent, self._normalize_obs(expert, env))

    def _joined(self, agent: th.Tensor, expert: Any) -> th.Tensor:
        return th.cat([agent, self.to_torch(expert).to(agent.dtype)])


class SQILDictReplayBuffer(SQILReplayBuffer, DictReplayBuffer):  # type: ignore[misc]
    """The same on top of SB3's buffer of Dict observations."""

    def _with_expert(self, agent: Any, expert: np.ndarray, env: VecNormalize | None) -> Any:
        seen = self._normalize_obs(unflatten_obs(self.observation_space, expert), env)
        return {key: self._joined(agent[key], seen[key]) for key in agent}


def sqil_buffer_class(observation_space: spaces.Space) -> type[SQILReplayBuffer]:
    if isinstance(observation_space, spaces.Dict):
        return SQILDictReplayBuffer
    return SQILReplayBuffer


def _as_dtype(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Itself if it has that one: it may be large, or a memory-mapped file's."""
    return array if array.dtype == dtype else np.asarray(array, dtype)
