"""What a reward of one sign teaches where the agent itself can end the episode, and the cure.

GAIL's rewards, -log(1 - D), are positive: each step pays, the goal is what ends them. Those of
"log_d" are negative: each step costs, the pit is a way out (Kostrikov et al. 2019).
No setting is exaggerated to show it; without a warm start, for a clone does not err to begin with.
"""

import functools
from collections.abc import Callable

import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from tiny_envs import Goal, Line, Pit, expert_episodes

from sb3_gail_ext import GAIL

SEEDS_AND_ACTIONS = [(0, True), (1, False), (2, True)]


class Lengths(BaseCallback):
    """Keeps the length of every episode that ends."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[int] = []

    def _on_step(self) -> bool:
        self.lengths += [info["episode"]["l"] for info in self.locals["infos"] if "episode" in info]
        return True


def episode_lengths(
    make_env: Callable[[], Line], form: str, seed: int
) -> tuple[float, float, float]:
    """Mean lengths: of the first 20 episodes, of the last 30 in training, and the expert's."""
    expert = expert_episodes(make_env(), 10)
    venv = DummyVecEnv([lambda: Monitor(make_env())] * 4)
    model = GAIL(
        "MlpPolicy",
        venv,
        expert,
        reward_form=form,
        n_steps=128,
        batch_size=64,
        n_epochs=4,
        learning_rate=1e-3,
        n_discriminator_updates=4,
        warm_start_updates=0,
        critic_warm_up_rollouts=0,
        seed=seed,
        device="cpu",
    )
    seen = Lengths()
    model.learn(12 * 512, callback=seen)
    return (
        float(np.mean(seen.lengths[:20])),
        float(np.mean(seen.lengths[-30:])),
        float(np.mean([len(episode) for episode in expert])),
    )


@pytest.mark.parametrize(("seed", "continuous"), SEEDS_AND_ACTIONS)
def test_a_reward_that_is_always_positive_never_finishes(seed: int, continuous: bool) -> None:
    before, after, expert = episode_lengths(functools.partial(Goal, continuous), "gail", seed)
    assert expert < 6
    assert after > 25  # of 30: it lingers until the time is up
    assert after > before  # and has learned to


@pytest.mark.parametrize(("seed", "continuous"), SEEDS_AND_ACTIONS)
def test_a_reward_that_is_always_negative_finishes(seed: int, continuous: bool) -> None:
    before, after, expert = episode_lengths(functools.partial(Goal, continuous), "log_d", seed)
    assert after < 1.5 * expert
    assert after < before


@pytest.mark.parametrize(("seed", "continuous"), SEEDS_AND_ACTIONS)
def test_a_reward_that_is_always_negative_jumps_into_the_pit(seed: int, continuous: bool) -> None:
    before, after, expert = episode_lengths(functools.partial(Pit, continuous), "log_d", seed)
    assert expert == Pit.TIME_LIMIT
    assert after < 4  # three steps are the shortest way
    assert after < before


@pytest.mark.parametrize(("seed", "continuous"), SEEDS_AND_ACTIONS)
def test_a_reward_that_is_always_positive_keeps_out_of_the_pit(seed: int, continuous: bool) -> None:
    before, after, _ = episode_lengths(functools.partial(Pit, continuous), "gail", seed)
    assert after > 25
    assert after > before
