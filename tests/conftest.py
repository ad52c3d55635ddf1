"""Shared by several test files: a transparent environment, and demonstrations to learn from."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from imitation.data.types import TrajectoryWithRew
from stable_baselines3 import PPO

from sb3_gail_ext import (
    ChapterFigureCallback,
    experiment,
    record_demonstrations,
    save_demonstrations,
)
from sb3_gail_ext.cli.main import main

TIME_LIMIT = 7


class Step(NamedTuple):
    obs: np.ndarray
    act: np.ndarray
    next_obs: np.ndarray
    reward: float
    terminated: bool
    truncated: bool


class LineEnv(gym.Env):
    """Walk on a line: observation (place, steps walked), ends beyond +-1.5, logs what it saw."""

    def __init__(self, reward: float | None = None) -> None:
        self.observation_space = spaces.Box(-100.0, 100.0, (2,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.constant_reward = reward
        self.log: list[Step] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.obs = np.array([self.np_random.uniform(-0.5, 0.5), 0.0], dtype=np.float32)
        return self.obs.copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert self.action_space.contains(action), f"{action} was not clipped"
        obs, self.obs = self.obs, self.obs + np.array([0.5 * action[0], 1.0], dtype=np.float32)
        place, steps = float(self.obs[0]), int(self.obs[1])
        reward = 10.0 * place + 1.0 if self.constant_reward is None else self.constant_reward
        terminated = abs(place) > 1.5
        truncated = steps >= TIME_LIMIT
        self.log.append(Step(obs, action.copy(), self.obs.copy(), reward, terminated, truncated))
        return self.obs.copy(), reward, terminated, truncated, {}


class StandStill:
    """A policy for LineEnv: walk back to the middle."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, None]:
        return np.clip(-2.0 * observation[..., :1], -1.0, 1.0).astype(np.float32), None


@pytest.fixture
def line_env() -> type[LineEnv]:
    return LineEnv


@pytest.fixture
def stand_still() -> StandStill:
    return StandStill()


TrajectoryFactory = Callable[..., TrajectoryWithRew]


@pytest.fixture(scope="session")
def make_trajectory() -> TrajectoryFactory:
    """Random episodes: the same for the same arguments."""

    def make(
        length: int,
        *,
        obs_dim: int = 3,
        act_dim: int = 2,
        terminal: bool = False,
        dtype: type = np.float32,
        seed: int = 0,
    ) -> TrajectoryWithRew:
        rng = np.random.default_rng([seed, length])
        return TrajectoryWithRew(
            obs=rng.normal(size=(length + 1, obs_dim)).astype(dtype),
            acts=rng.uniform(-1, 1, size=(length, act_dim)).astype(dtype),
            infos=None,
            terminal=terminal,
            rews=rng.normal(size=length).astype(dtype),
        )

    return make


@pytest.fixture(scope="session")
def line_demonstrations() -> list[TrajectoryWithRew]:
    """Standing still in LineEnv, three whole episodes."""
    episodes = []
    for start in (-0.4, 0.1, 0.4):
        place = start * 0.5 ** np.arange(TIME_LIMIT + 1)
        obs = np.stack([place, np.arange(TIME_LIMIT + 1)], axis=1).astype(np.float32)
        acts = (2 * np.diff(place)[:, None]).astype(np.float32)
        rews = 10.0 * place[1:] + 1.0
        episodes.append(TrajectoryWithRew(obs, acts, infos=None, terminal=False, rews=rews))
    return episodes


class Balance:
    """A hand-written expert of CartPole-v1: push towards where the pole falls."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, None]:
        place, speed, angle, turning = np.moveaxis(observation, -1, 0)
        return (0.05 * place + 0.1 * speed + angle + 0.4 * turning > 0).astype(np.int64), None


@pytest.fixture(scope="session")
def cartpole_expert() -> list[TrajectoryWithRew]:
    return record_demonstrations(Balance(), "CartPole-v1", 4, seed=100)


@pytest.fixture(scope="session")
def pendulum_expert() -> list[TrajectoryWithRew]:
    """A random agent's: what counts is that it is there."""
    torque = PPO("MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8, seed=3)
    return record_demonstrations(torque, "Pendulum-v1", 2, deterministic=False)


@pytest.fixture
def hopper_file(tmp_path: Path, make_trajectory: TrajectoryFactory) -> Path:
    """Random episodes of the PyBullet Hopper's shapes, without a data card."""
    path = tmp_path / "expert.npz"
    episodes = [make_trajectory(n, obs_dim=11, act_dim=3, seed=n) for n in (40, 30, 20)]
    save_demonstrations(path, episodes, metadata={"seeds": [5, 6, 7]})
    return path


@pytest.fixture
def few_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training run tests its agent at the start and at the end, not 20 times."""

    def callback(*args: Any, **kwargs: Any) -> ChapterFigureCallback:
        return ChapterFigureCallback(*args, **{**kwargs, "every": 10**6, "n_episodes": 2})

    monkeypatch.setattr(experiment, "ChapterFigureCallback", callback)


class Refused:
    """Runs the command line, which must end in one line on stderr and write nothing."""

    def __init__(self, out: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.out, self.capfd = out, capfd

    def __call__(self, *arguments: object, words: str) -> None:
        self.capfd.readouterr()
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as stop:  # argparse's own way
            status = int(str(stop.code))
        printed = self.capfd.readouterr()
        assert status == 2
        assert re.fullmatch(r"sb3-gail: .+\n", printed.err), printed.err
        assert re.search(words, printed.err), printed.err
        assert printed.out == ""
        assert not self.out.exists()

    def train(
        self, file: object, *arguments: object, words: str, env: str = "HopperMuJoCoEnv-v0"
    ) -> None:
        fixed = ["train", "--env", env, "--demos", file, "--out", self.out]
        self(*fixed, "--steps", 100, "--no-progress", *arguments, words=words)


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Refused:
    return Refused(tmp_path / "out", capfd)
