"""The callback that hands the rollout buffer what SB3 does not give it."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from sb3_gail_ext.buffers.rollout import RelabelledRolloutBuffer
from sb3_gail_ext.demonstrations.dict_observations import flatten_obs, flatten_one
from sb3_gail_ext.failures import check_observations


class RolloutRecorder(BaseCallback):
    """Records each transition as the environment saw it and blanks the environment's reward.

    Must run last: the callbacks before it still see the environment's reward. SB3 calls it
    between `env.step` and `rollout_buffer.add`, and adds its time-limit bootstrap to the very
    array that is blanked here, so the buffer stores that bootstrap alone and no environment
    reward can leak into the learner.
    """

    def _on_rollout_start(self) -> None:
        self._normalize = self.model.get_vec_normalize_env()
        self._obs = self._as_env_gave(self.model._last_obs)

    def _on_step(self) -> bool:
        step = self.locals
        buffer: RelabelledRolloutBuffer = step["rollout_buffer"]
        next_start, terminated = self._as_env_gave(step["new_obs"]), step["dones"]
        next_obs = next_start
        if step["dones"].any():
            next_obs = self._next_obs(next_start, step["dones"], step["infos"])
            terminated = _terminated(step["dones"], step["infos"])
            check_observations(next_obs, self.num_timesteps)
        check_observations(next_start, self.num_timesteps)
        buffer.record(self._obs, step["clipped_actions"], next_obs, terminated)
        self._obs = next_start
        step["rewards"][:] = 0.0
        return True

    def _as_env_gave(self, latest_obs: Any) -> np.ndarray:
        """Without VecNormalize, which the demonstrations have not passed through either."""
        original = self._normalize.get_original_obs() if self._normalize else latest_obs
        return np.array(flatten_obs(self.model.observation_space, original))

    def _next_obs(self, next_start: np.ndarray, dones: np.ndarray, infos: list[dict]) -> np.ndarray:
        """After `done` the next row is the reset observation; the true one is in the info.

        There VecNormalize keeps it normalised only: clipped coordinates come back clipped.
        """
        next_obs = next_start.copy()
        for env in np.flatnonzero(dones):
            final = infos[env]["terminal_observation"]
            final = self._normalize.unnormalize_obs(final) if self._normalize else final
            next_obs[env] = flatten_one(self.model.observation_space, final)
        return next_obs


def _terminated(dones: np.ndarray, infos: list[dict]) -> np.ndarray:
    """Ends that the environment means, not time limits: bool of shape (n_envs,)."""
    timeouts = [info.get("TimeLimit.truncated", False) for info in infos]
    return dones & ~np.asarray(timeouts, dtype=bool)
