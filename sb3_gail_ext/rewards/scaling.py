"""Scale learned rewards to a steady size, whatever the discriminator's logits do."""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd

_LARGEST = 10.0  # VecNormalize's: where all returns are alike, their deviation is next to nothing


class Unscaled:
    """Leaves rewards as they are."""

    def __call__(self, rewards: np.ndarray, episode_starts: np.ndarray, gamma: float) -> np.ndarray:
        return rewards


class ReturnScale:
    """Divides rewards by the running deviation of their discounted returns, as VecNormalize does.

    Without it a critic chases returns of a hundred, and its gradient, clipped together with the
    policy's, leaves the policy next to none. The mean is kept: its sign decides whether living
    on pays.
    """

    def __init__(self) -> None:
        self._statistics = RunningMeanStd(shape=())
        self._returns: np.ndarray | None = None  # (n_envs,), carried from rollout to rollout

    def __call__(self, rewards: np.ndarray, episode_starts: np.ndarray, gamma: float) -> np.ndarray:
        """Rewards of one rollout, scaled; both arrays are (n_steps, n_envs)."""
        running = self._returns
        if running is None or running.shape != rewards.shape[1:]:
            running = np.zeros(rewards.shape[1:])
        returns = np.empty(rewards.shape)
        for step, (reward, start) in enumerate(zip(rewards, episode_starts, strict=True)):
            running = running * gamma * (1.0 - start) + reward
            returns[step] = running
        self._returns = running
        self._statistics.update(returns.ravel())
        scaled = rewards / np.sqrt(self._statistics.var + 1e-8)
        return np.clip(scaled, -_LARGEST, _LARGEST)
