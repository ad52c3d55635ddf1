"""A VecEnv that pays a learned reward."""

from __future__ import annotations

from typing import Any

import numpy as np
from imitation.rewards.reward_nets import RewardNet
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, unwrap_vec_normalize

from sb3_gail_ext.demonstrations.dict_observations import flat_space, flatten_obs, flatten_one


class LearnedRewardVecEnv(VecEnvWrapper):
    """Pays a learned reward; a Monitor below goes on reporting the environment's own.

    Unlike `imitation`'s RewardVecEnvWrapper it tells a net that asks for ends apart what is
    terminal from what a time limit cut. A VecNormalize goes above, where its reward statistics are
    those of what is learned from: below it would change what the net sees, and an off-policy
    algorithm would store the environment's reward in the place of this one.

    :param reward: of transitions as the environments give them, of Dict observations flat rows.
    :raises ValueError: if the spaces are not those of the reward, or a VecNormalize is below.
    """

    def __init__(self, venv: VecEnv, reward: RewardNet) -> None:
        if unwrap_vec_normalize(venv) is not None:
            raise ValueError("wrap the environment first: VecNormalize(reward.wrap(venv))")
        for name, ours, theirs in (
            ("observations", reward.observation_space, flat_space(venv.observation_space)),
            ("actions", reward.action_space, venv.action_space),
        ):
            if ours.shape != theirs.shape or type(ours) is not type(theirs):
                raise ValueError(f"the reward is of {name} in {ours}, not in {theirs}")
        super().__init__(venv)
        self.reward = reward
        self._obs: Any = None
        self._actions: Any = None

    def reset(self) -> Any:
        self._obs = self.venv.reset()
        return self._obs

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions
        self.venv.step_async(actions)

    def step_wait(self) -> Any:
        """The environments' step, with the learned rewards, float32 (n_envs,)."""
        obs, _, dones, infos = self.venv.step_wait()
        space = self.venv.observation_space
        next_obs, terminal = flatten_obs(space, obs), dones.copy()
        if dones.any():
            next_obs = next_obs.copy()  # of an episode's end: what is there is the next one's start
        for env in np.flatnonzero(dones):
            next_obs[env] = flatten_one(space, infos[env]["terminal_observation"])
            terminal[env] = not infos[env].get("TimeLimit.truncated", False)
        rewards = self.reward.predict(
            flatten_obs(space, self._obs), self._actions, next_obs, terminal
        )
        self._obs = obs
        return obs, rewards.astype(np.float32), dones, infos
