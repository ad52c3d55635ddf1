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


class Rooms(gym.Env):
    """Pit or Goal in a dictionary: the place, the step's number modulo 3 and, maybe, a picture.

    :param line: what is seen and done here.
    :param picture: a key `"picture"`, uint8 (height, width, 1).
    """

    def __init__(self, line: Line, picture: bool = False) -> None:
        self.line = line
        self.picture = picture
        seen: dict[str, spaces.Space] = {
            "place": spaces.Box(-2.0, 2.0, (2,), np.float64),
            "phase": spaces.Discrete(3),
            "signs": spaces.MultiDiscrete([2, 3]),
            "lamps": spaces.MultiBinary(2),
        }
        if picture:
            seen["picture"] = spaces.Box(0, 255, (36, 36, 1), np.uint8)
        self.observation_space = spaces.Dict(seen)
        self.action_space = line.action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[dict, dict]:
        super().reset(seed=seed)
        self.line.reset(seed=seed)
        return self._obs(), {}

    def step(self, action: Any) -> tuple[dict, float, bool, bool, dict]:
        _, _, terminated, truncated, info = self.line.step(action)
        return self._obs(), self.line.place, terminated, truncated, info

    def _obs(self) -> dict[str, Any]:
        place, n = self.line.place, self.line.n_steps
        seen = {
            "place": np.array([place, n / 10]),
            "phase": np.int64(n % 3),
            "signs": np.array([n % 2, n % 3]),
            "lamps": np.array([1, n % 2], np.int8),
        }
        if self.picture:
            seen["picture"] = np.full((36, 36, 1), round(100 * (place + 1)), np.uint8)
        return seen


class RoomsExpert:
    """Walks to the middle, by `predict`."""

    def __init__(self, continuous: bool) -> None:
        self.continuous = continuous

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        move = np.clip(-np.asarray(observation["place"])[..., :1] / Line.STEP, -1.0, 1.0)
        if self.continuous:
            return move.astype(np.float32), None
        return (move[..., 0] > 0).astype(np.int64), None
