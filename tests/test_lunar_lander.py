"""Discrete actions beyond CartPole: Gymnasium's Lunar Lander and its own rule as the expert."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.box2d.lunar_lander import heuristic
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext import AIRL, BC, GAIL, SQIL, evaluate, record_demonstrations
from sb3_gail_ext.policies.loading import load_policy

LANDER = next(name for name in ("LunarLander-v3", "LunarLander-v2") if name in gym.registry)


class Rule:
    """Gymnasium's hand-written pilot."""

    def __init__(self) -> None:
        self.env: Any = gym.make(LANDER).unwrapped

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, None]:
        return np.array([heuristic(self.env, obs) for obs in observation]), None


@pytest.fixture(scope="module")
def landings() -> list[TrajectoryWithRew]:
    return record_demonstrations(Rule(), LANDER, 10, seed=1_000)


@pytest.mark.slow
def test_a_clone_lands(landings: list[TrajectoryWithRew]) -> None:
    """The rule returns 264 over these starts; who crashes, less than 0."""
    model = BC("MlpPolicy", LANDER, landings, seed=0, device="cpu").learn(640_000)
    assert evaluate(model, LANDER, 20).mean() > 150


SMALL: dict[Any, dict[str, Any]] = {
    GAIL: {"n_steps": 64, "warm_start_updates": 5},
    AIRL: {"n_steps": 64},
    SQIL: {"learning_starts": 20, "buffer_size": 1_000},
}


@pytest.mark.parametrize("algorithm", SMALL)
def test_it_trains_saves_and_loads(
    algorithm: Any, landings: list[TrajectoryWithRew], tmp_path: Path
) -> None:
    model = algorithm("MlpPolicy", LANDER, landings, seed=0, device="cpu", **SMALL[algorithm])
    model.learn(128)
    obs = landings[0].obs[:50]
    actions, _ = model.predict(obs, deterministic=True)
    assert set(actions) <= set(range(4))
    model.save(tmp_path / "model")
    cls = type(model)  # SQIL's is that of its learner
    for loaded in (cls.load(tmp_path / "model"), load_policy(tmp_path / "model.zip")):
        np.testing.assert_array_equal(loaded.predict(obs, deterministic=True)[0], actions)
