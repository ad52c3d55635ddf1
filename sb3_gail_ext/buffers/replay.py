"""A replay buffer whose rewards are computed when they are sampled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from imitation.data.types import Trajectory
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from sb3_gail_ext.buffers.rollout import RewardFn
from sb3_gail_ext.buffers.trimmed import TrimmedReplayBuffer
from sb3_gail_ext.demonstrations.dict_observations import flatten_obs, unflatten_obs
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.sampling import TransitionBatch


class Connection(NamedTuple):
    """What rewards a RelabelledReplayBuffer, and what it mixes in."""

    reward_fn: RewardFn  # maps transitions as the environment saw them to rewards (batch,)
    terminal_value: Callable[[], float] | None  # what follows a terminal state; None: as any other
    expert: TransitionBatch  # the demonstrations, actions in the environment's range
    expert_share: float  # of each sample, 0 to 1
    rng: np.random.Generator  # draws from them


class RelabelledReplayBuffer(TrimmedReplayBuffer):
    """Rewards its samples with the discriminator of the moment, never with what was stored.

    A reward stored with its transition would be that of a discriminator long gone; the
    environment's own is not even stored. A share of each sample can be the demonstrations',
    relabelled like all others. Actions are a Box.

    :raises ValueError: if `optimize_memory_usage`, with which SB3 cannot tell time limits.
    """

    action_space: spaces.Box

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.optimize_memory_usage:
            raise ValueError(
                "optimize_memory_usage would take time limits for terminal states; leave it out"
            )
        self.n_terminal = 0  # of the transitions in the buffer
        self._connection: Connection | None = None

    def connect(self, connection: Connection) -> None:
        """Reward samples with `connection` from now on; it is never saved with the buffer."""
        self._connection = connection

    def add(
        self,
        obs: np.ndarray,
        next_obs: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """As in SB3, without the reward."""
        at = self.pos
        self.n_terminal -= self._terminals(at)  # what is overwritten
        super().add(obs, next_obs, action, np.zeros_like(reward), done, infos)
        self.n_terminal += self._terminals(at)

    def _terminals(self, at: int) -> int:
        return int((self.dones[at] * (1 - self.timeouts[at])).sum())

    def reset(self) -> None:
        super().reset()
        self.dones[:] = 0.0
        self.n_terminal = 0

    def transitions(self, n: int) -> TransitionBatch:
        """`n` of the agent's transitions, as the environment saw them."""
        sampled = super().sample(n)
        return TransitionBatch(
            self._flat(sampled.observations),
            self._as_env_takes(_array(sampled.actions)),
            self._flat(sampled.next_observations),
            _array(sampled.dones)[:, 0].astype(bool),
        )

    def latest_episode(self, env: int, n_steps: int) -> Trajectory:
        """The last `n_steps` transitions of one environment, which make an episode, as it saw them.

        :param n_steps: `buffer_size` at most.
        """
        rows = (self.pos - n_steps + np.arange(n_steps)) % self.buffer_size
        obs = self._stored_rows(self.observations, rows, env)
        last = self._stored_rows(self.next_observations, rows[-1:], env)
        return Trajectory(
            obs=np.concatenate([obs, last]),
            acts=self._as_env_takes(self.actions[rows, env]),
            infos=None,
            terminal=bool(self.dones[rows[-1], env] * (1 - self.timeouts[rows[-1], env])),
        )

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """Demonstrations first, then the agent's own.

        :returns: observations (batch_size, *obs_shape), normalised by `env`; actions
            (batch_size, action_dim), a Box's in [-1, 1]; dones and rewards (batch_size, 1).
            `dones` are true terminal states only, and none if nothing ends; the reward of
            a terminal transition holds the value of what follows.
        :raises DemonstrationError: before `connect`.
        """
        if self._connection is None:
            raise DemonstrationError(
                "the replay buffer has no discriminator yet: call the model's "
                "set_demonstrations(...)"
            )
        connected = self._connection
        n_expert = round(batch_size * connected.expert_share)
        agent = super().sample(batch_size - n_expert)
        expert = connected.expert.take(connected.rng.integers(len(connected.expert), size=n_expert))
        obs = np.concatenate([expert.obs, self._flat(agent.observations)])
        acts = np.concatenate([self._as_stored(expert.acts), _array(agent.actions)])
        next_obs = np.concatenate([expert.next_obs, self._flat(agent.next_observations)])
        dones = np.concatenate([expert.dones, _array(agent.dones)[:, 0].astype(bool)])
        rewards = connected.reward_fn(obs, self._as_env_takes(acts), next_obs, dones)
        if connected.terminal_value is None:
            dones = np.zeros_like(dones)
        elif dones.any():
            rewards = rewards + dones * np.float32(connected.terminal_value())
        return agent._replace(  # keeps what later versions of SB3 add to a sample
            observations=self._as_policy_sees(obs, env),
            actions=self._tensor(acts),
            next_observations=self._as_policy_sees(next_obs, env),
            dones=self._tensor(dones[:, None].astype(np.float32)),
            rewards=self._tensor(rewards[:, None]),
        )

    def _flat(self, obs: Any) -> np.ndarray:
        """Sampled observations (n, *obs_shape); a Dict space's (n, D)."""
        return _array(obs)

    def _stored_rows(self, stored: Any, rows: np.ndarray, env: int) -> np.ndarray:
        """Of one environment, likewise."""
        picked: np.ndarray = stored[rows, env]
        return picked

    def _as_policy_sees(self, obs: np.ndarray, env: VecNormalize | None) -> Any:
        """The inverse of `_flat`, normalised."""
        return self._tensor(self._normalize_obs(obs, env))

    def _as_env_takes(self, acts: np.ndarray) -> np.ndarray:
        """Stored actions (n, action_dim) to the environment's (n, *act_shape)."""
        low, high = self.action_space.low, self.action_space.high
        acts = acts.reshape(-1, *self.action_space.shape)
        return (low + 0.5 * (acts + 1.0) * (high - low)).astype(np.float32)

    def _as_stored(self, acts: np.ndarray) -> np.ndarray:
        """The inverse of `_as_env_takes`."""
        low, high = self.action_space.low, self.action_space.high
        scaled = 2.0 * (acts - low) / (high - low) - 1.0
        return scaled.reshape(-1, self.action_dim).astype(np.float32)

    def _tensor(self, array: Any) -> th.Tensor:
        return self.to_torch(array, copy=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_connection": None}


class RelabelledDictReplayBuffer(RelabelledReplayBuffer, DictReplayBuffer):  # type: ignore[misc]
    """The same on top of SB3's buffer of Dict observations."""

    def _flat(self, obs: Any) -> np.ndarray:
        arrays = {key: _array(tensor) for key, tensor in obs.items()}
        return flatten_obs(self.observation_space, arrays)

    def _stored_rows(self, stored: Any, rows: np.ndarray, env: int) -> np.ndarray:
        picked = {key: array[rows, env] for key, array in stored.items()}
        return flatten_obs(self.observation_space, picked)

    def _as_policy_sees(self, obs: np.ndarray, env: VecNormalize | None) -> Any:
        seen: Any = self._normalize_obs(unflatten_obs(self.observation_space, obs), env)
        return {key: self._tensor(array) for key, array in seen.items()}


def replay_buffer_class(observation_space: spaces.Space) -> type[RelabelledReplayBuffer]:
    if isinstance(observation_space, spaces.Dict):
        return RelabelledDictReplayBuffer
    return RelabelledReplayBuffer


def _array(tensor: th.Tensor) -> np.ndarray:
    """float64 observations (SB3 2.9 keeps MuJoCo's) become float32."""
    array: np.ndarray = tensor.cpu().numpy()
    return array.astype(np.float32) if array.dtype == np.float64 else array
