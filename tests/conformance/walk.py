"""One tiny walk in every shape that SB3's tests give observations and actions, and its expert."""

from __future__ import annotations

from functools import cache
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from imitation.data.types import TrajectoryWithRew
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from sb3_gail_ext import record_demonstrations

TIME_LIMIT = 8
SIDE = 36  # of a picture: the smallest that SB3's CNN takes

PLACE = spaces.Box(-20.0, 20.0, (2,), np.float32)
OBSERVATIONS: dict[str, spaces.Space] = {
    "array": PLACE,
    "float64": spaces.Box(-20.0, 20.0, (2,), np.float64),
    "picture": spaces.Box(0, 255, (SIDE, SIDE, 1), np.uint8),
    "dict": spaces.Dict({"phase": spaces.Discrete(3), "place": PLACE}),
    "boxes": spaces.Dict({"place": PLACE, "speed": spaces.Box(-9.0, 9.0, (1,), np.float32)}),
    "Discrete": spaces.Discrete(3),
    "MultiDiscrete": spaces.MultiDiscrete([3, 2]),
    "MultiBinary": spaces.MultiBinary(2),
}
ACTIONS: dict[str, spaces.Space] = {
    "box": spaces.Box(-1.0, 1.0, (1,), np.float32),
    "uneven": spaces.Box(np.array([-1.0, 0.0]), np.array([5.0, 0.5]), dtype=np.float32),
    "discrete": spaces.Discrete(2),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiBinary": spaces.MultiBinary(2),
}


class Walk(gym.Env):
    """Moves by what the action sums up to; the reward is 1 more than the place, and `bonus`.

    Over after `TIME_LIMIT` steps, and, in a terminal state, beyond +-2. Keeps what SB3 must report.

    :param observations: a key of `OBSERVATIONS`.
    :param actions: a key of `ACTIONS`.
    """

    def __init__(
        self, observations: str = "array", actions: str = "box", bonus: float = 0.0
    ) -> None:
        self.kind = observations
        self.observation_space = OBSERVATIONS[observations]
        self.action_space = ACTIONS[actions]
        self.bonus = bonus
        self.returns: list[float] = []  # of whole episodes
        self.n_resets = 0
        self.acts: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.place, self.n_steps, self.gained = float(self.np_random.uniform(-1, 1)), 0, 0.0
        self.n_resets += 1
        return self._obs(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        assert self.action_space.contains(action), f"{action} is no action"
        self.acts.append(action)
        self.place += 0.2 * float(np.sum(action)) - 0.1
        self.n_steps += 1
        reward = 1.0 + self.place + self.bonus
        self.gained += reward
        terminated = abs(self.place) > 2
        truncated = not terminated and self.n_steps >= TIME_LIMIT
        if terminated or truncated:
            self.returns.append(self.gained)
        return self._obs(), reward, terminated, truncated, {}

    def _obs(self) -> Any:
        place, phase = np.array([self.place, self.n_steps / 10], np.float32), self.n_steps % 3
        match self.kind:
            case "array":
                return place
            case "float64":
                return place.astype(np.float64)
            case "picture":
                grey = np.clip(128 + 40 * self.place, 0, 255)
                return np.full((SIDE, SIDE, 1), grey, np.uint8)
            case "dict":
                return {"phase": phase, "place": place}
            case "boxes":
                return {"place": place, "speed": place[:1] - 1}
            case "Discrete":
                return phase
            case "MultiDiscrete":
                return np.array([phase, phase % 2])
        return np.array([1, phase % 2], np.int8)


class Constant:
    """Whatever it sees, the same action; good enough to be imitated."""

    def __init__(self, space: spaces.Space) -> None:
        self.action = np.ones(space.shape, space.dtype)
        if isinstance(space, spaces.Box):
            self.action = (space.low + 0.7 * (space.high - space.low)).astype(space.dtype)

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        first = next(iter(observation.values())) if isinstance(observation, dict) else observation
        return np.stack([self.action] * len(first)), None


@cache
def expert_of(env: str, n_stacked: int = 1) -> list[TrajectoryWithRew]:
    """Two episodes.

    :param env: `"<observations> <actions>"` of a Walk, or the id of an environment.
    """
    if " " not in env:
        return record_demonstrations(Constant(gym.make(env).action_space), env, 2)
    observations, actions = env.split()
    venv: Any = DummyVecEnv([lambda: Walk(observations, actions)])
    if n_stacked > 1:
        venv = VecFrameStack(venv, n_stacked)
    return record_demonstrations(Constant(venv.action_space), venv, 2)
