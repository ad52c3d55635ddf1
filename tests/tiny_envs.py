"""Two tiny environments in which a reward of the wrong sign teaches the wrong thing."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from imitation.data.types import TrajectoryWithRew


class Line(gym.Env):
    """A point on [-1, 1], seen as (place,), moved by up to `STEP` to either side.

    :param continuous: actions are Box(-1, 1, (1,)), the share of a step; else Discrete(2), a whole
        step to the left (0) or to the right (1).
    """

    STEP = 0.2
    TIME_LIMIT = 30

    def __init__(self, continuous: bool) -> None:
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space: spaces.Space = spaces.Discrete(2)
        if continuous:
            self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.continuous = continuous

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.place, self.n_steps = self.start(), 0
        return self._obs(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        move = float(action[0]) if self.continuous else 2.0 * float(action) - 1.0
        self.place = float(np.clip(self.place + self.STEP * move, -1.0, 1.0))
        self.n_steps += 1
        terminated = self.ends()
        truncated = not terminated and self.n_steps >= self.TIME_LIMIT
        return self._obs(), 0.0, terminated, truncated, {}

    def _obs(self) -> np.ndarray:
        return np.array([self.place], dtype=np.float32)

    def start(self) -> float:
        raise NotImplementedError

    def ends(self) -> bool:
        """Is this place a terminal state?"""
        raise NotImplementedError

    def expert_move(self) -> float:
        """-1 to 1, what the expert does here."""
        raise NotImplementedError


class Goal(Line):
    """Starts on the left; the task is done, and the episode over, on the right."""

    def start(self) -> float:
        return float(self.np_random.uniform(-0.6, -0.4))

    def ends(self) -> bool:
        return self.place > 0.5

    def expert_move(self) -> float:
        return 1.0


class Pit(Line):
    """Starts in the middle; whoever leaves it falls, and the episode is over; else it lasts."""

    def start(self) -> float:
        return float(self.np_random.uniform(-0.1, 0.1))

    def ends(self) -> bool:
        return abs(self.place) > 0.5

    def expert_move(self) -> float:
        return float(np.clip(-self.place / self.STEP, -1.0, 1.0))


def expert_episodes(env: Line, n_episodes: int, seed: int = 0) -> list[TrajectoryWithRew]:
    """Demonstrations of `env`'s expert, `terminal` where it ended the episode itself."""
    episodes = []
    for episode in range(n_episodes):
        obs, acts, over = [env.reset(seed=seed + episode)[0]], [], False
        while not over:
            move = env.expert_move()
            acts.append(np.array([move], np.float32) if env.continuous else np.int64(move > 0))
            next_obs, _, terminated, truncated, _ = env.step(acts[-1])
            obs.append(next_obs)
            over = terminated or truncated
        rews = np.zeros(len(acts))
        episodes.append(TrajectoryWithRew(np.stack(obs), np.stack(acts), None, terminated, rews))
    return episodes
