"""Recording: what is kept, what its seeds are, and policies of every kind."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from sb3_contrib import ARS, QRDQN, TQC, TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.envs import FakeImageEnv
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from sb3_gail_ext import DemonstrationError, record_demonstrations
from sb3_gail_ext.demonstrations.ends import end_of
from sb3_gail_ext.demonstrations.recording import record_with_seeds
from sb3_gail_ext.demonstrations.returns import returns
from sb3_gail_ext.policies.loading import load_policy

# --- What is kept ------------------------------------------------------------------------------


class Stay:
    """Never moves: from start x, LineEnv returns 7 x (10 x + 1)."""

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        return np.zeros((len(observation), 1), np.float32), None


def starts_of(line_env: Any, seeds: range) -> dict[int, float]:
    return {seed: float(line_env().reset(seed=seed)[0][0]) for seed in seeds}


@pytest.mark.parametrize("n_envs", [1, 3])
def test_a_minimum_return_keeps_the_first_good_episodes_and_their_seeds(
    line_env: Any, n_envs: int
) -> None:
    starts = starts_of(line_env, range(20, 60))
    good = [seed for seed, start in starts.items() if start >= 0][:4]
    assert good != list(range(20, 24))
    venv = DummyVecEnv([line_env] * n_envs)
    episodes, seeds = record_with_seeds(Stay(), venv, 4, seed=20, min_return=7.0)
    assert seeds == good
    assert [float(e.obs[0, 0]) for e in episodes] == [starts[seed] for seed in good]
    np.testing.assert_allclose(
        returns(episodes), [7 * (10 * starts[seed] + 1) for seed in good], rtol=1e-5
    )


def test_too_high_a_return_is_given_up_after_ten_tries_each(line_env: Any) -> None:
    env = line_env()
    mean = np.mean([7 * (10 * start + 1) for start in starts_of(line_env, range(20)).values()])
    words = "^only 0 of 20 episodes reached a return of 99, and 2 were asked for; their mean is "
    with pytest.raises(DemonstrationError, match=words + f"{mean:.1f}, "):
        record_demonstrations(Stay(), env, 2, min_return=99.0)
    assert len(env.log) == 20 * 7


def test_one_good_episode_of_two_is_not_enough(line_env: Any) -> None:
    best = 7 * (10 * max(starts_of(line_env, range(20)).values()) + 1)
    with pytest.raises(DemonstrationError, match=f"only 1 of 20 .*the best {best:.1f}"):
        record_demonstrations(Stay(), line_env(), 2, min_return=best - 1e-3)


def test_without_a_minimum_every_episode_is_kept(line_env: Any, stand_still: Any) -> None:
    assert record_with_seeds(stand_still, line_env(), 3, seed=5).seeds == [5, 6, 7]


class Push:
    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        return np.ones((len(observation), 1), np.float32), None


def test_how_an_episode_ended_is_known(line_env: Any, stand_still: Any) -> None:
    assert end_of(record_demonstrations(stand_still, line_env(), 1)[0]) == "time limit"
    assert end_of(record_demonstrations(Push(), line_env(), 1)[0]) == "terminal"


def test_the_last_observation_is_exact_where_vecnormalize_clips_it(
    line_env: Any, stand_still: Any
) -> None:
    env = line_env()
    below = DummyVecEnv([lambda: env])
    venv = VecNormalize(below, clip_obs=0.1)
    episodes = record_demonstrations(stand_still, venv, 2)
    final = [s.next_obs for s in env.log if s.terminated or s.truncated]
    np.testing.assert_array_equal([e.obs[-1] for e in episodes], final)
    assert venv.venv is below


def test_statistics_of_another_environment_are_refused() -> None:
    venv = VecNormalize(DummyVecEnv([lambda: gym.make(PENDULUM)]))
    model = PPO("MlpPolicy", venv, n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(ValueError, match="through its VecNormalize, but the environment has"):
        record_demonstrations(model, CARTPOLE, 1)


@pytest.mark.parametrize("shown", [True, False])
def test_a_progress_bar_where_it_is_asked_for(
    shown: bool, line_env: Any, stand_still: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    record_demonstrations(stand_still, line_env(), 2, progress_bar=shown)
    assert ("2/2" in capsys.readouterr().err) == shown


# --- Policies ----------------------------------------------------------------------------------

CARTPOLE, PENDULUM = "CartPole-v1", "Pendulum-v1"


@pytest.mark.parametrize(
    ("cls", "policy", "env_id"),
    [
        *((cls, "MlpPolicy", CARTPOLE) for cls in (PPO, A2C, DQN, QRDQN)),
        *((cls, "MlpPolicy", PENDULUM) for cls in (TRPO, SAC, TD3, DDPG, TQC)),
        (ARS, "LinearPolicy", PENDULUM),
        (ARS, "MlpPolicy", CARTPOLE),
        (RecurrentPPO, "MlpLstmPolicy", CARTPOLE),
    ],
)
def test_a_saved_policy_is_recorded_as_its_model(
    cls: Any, policy: str, env_id: str, tmp_path: Path
) -> None:
    model = cls(policy, env_id, seed=0, device="cpu")
    model.save(tmp_path / "model.zip")
    env = gym.make(env_id, max_episode_steps=12)
    ours = record_demonstrations(load_policy(tmp_path / "model.zip"), env, 2, seed=3)
    for left, right in zip(ours, record_demonstrations(model, env, 2, seed=3), strict=True):
        np.testing.assert_array_equal(left.acts, right.acts)
        np.testing.assert_array_equal(left.obs, right.obs)


class ElsewherePolicy:
    """NumPy only, with the signature of SBX's `predict`: to the right if the pole leans there."""

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, Any]:
        return (np.asarray(observation)[:, 2] > 0).astype(np.int32), state


def test_a_model_without_torch_and_discrete_actions() -> None:
    for episode in record_demonstrations(ElsewherePolicy(), CARTPOLE, 3):
        assert episode.acts.shape == (len(episode),)
        assert episode.acts.dtype == np.int32
        np.testing.assert_array_equal(episode.acts, episode.obs[:-1, 2] > 0)


class Forbidding(gym.Env):
    """Of three actions two are forbidden, other ones at every step; raises at those."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.n_steps, self.allowed = 0, int(self.np_random.integers(3))
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        if action != self.allowed:
            raise ValueError("forbidden")
        self.n_steps += 1
        self.allowed = (self.allowed + 1) % 3
        return np.zeros(1, np.float32), 1.0, self.n_steps == 9, False, {}

    def action_masks(self) -> np.ndarray:
        return np.arange(3) == self.allowed


@pytest.mark.parametrize("saved", [False, True])
def test_action_masks_reach_the_policy_that_takes_them(saved: bool, tmp_path: Path) -> None:
    model = MaskablePPO("MlpPolicy", Forbidding(), seed=0, device="cpu")
    model.save(tmp_path / "model.zip")
    policy = load_policy(tmp_path / "model.zip") if saved else model
    venv = DummyVecEnv([Forbidding] * 2)
    for episode in record_demonstrations(policy, venv, 3):
        np.testing.assert_array_equal(np.diff(episode.acts) % 3, 1)
    with pytest.raises(ValueError, match="forbidden"):
        record_demonstrations(ElsewhereChoice(), venv, 1)


class ElsewhereChoice:
    """Takes no masks."""

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        return np.zeros(len(observation), np.int64), None


def test_stacked_frames_are_recorded_as_they_are_seen() -> None:
    frames = VecFrameStack(DummyVecEnv([lambda: FakeImageEnv(3, 36, 36)] * 2), 2)
    for episode in record_demonstrations(ElsewhereChoice(), frames, 3):
        assert (episode.obs.shape, episode.obs.dtype) == ((11, 36, 36, 2), np.uint8)
        np.testing.assert_array_equal(episode.obs[0, ..., 0], 0)
        np.testing.assert_array_equal(episode.obs[1:, ..., 0], episode.obs[:-1, ..., 1])
        assert end_of(episode) == "time limit"


def test_sampled_actions_are_those_of_the_seed() -> None:
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, seed=0)
    one, again, other = (
        record_demonstrations(model, "CartPole-v1", 3, deterministic=False, seed=seed)
        for seed in (5, 5, 6)
    )
    assert [e.acts.tolist() for e in one] == [e.acts.tolist() for e in again]
    assert [e.acts.tolist() for e in one] != [e.acts.tolist() for e in other]
