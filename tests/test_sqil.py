"""SQIL: what a sample of its buffer is, what the environment's reward does (nothing), saving."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from imitation.data.types import Transitions
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from watching import same, tensors

from sb3_gail_ext import SQIL, DemonstrationError, evaluate
from sb3_gail_ext.algorithms.sqil import SQILWithDQN, SQILWithSAC

SMALL = {"device": "cpu", "seed": 0, "buffer_size": 200, "learning_starts": 10, "batch_size": 8}


class Slope(gym.Env):
    """Observation: the step's number, negative. Actions from -4 to 2, truncated after 5 steps."""

    observation_space = spaces.Box(-100.0, 100.0, (1,), np.float32)
    action_space = spaces.Box(np.array([-4.0], np.float32), np.array([2.0], np.float32))

    def __init__(self, noise_seed: int = 0) -> None:
        self.noise = np.random.default_rng(noise_seed)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        self.step_number = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.step_number += 1
        obs = np.array([-self.step_number], np.float32)
        return obs, float(self.noise.normal()) * 100, False, self.step_number == 5, {}


class Choices(Slope):
    """The same with three actions."""

    action_space = spaces.Discrete(3)  # type: ignore[assignment]


def demonstrations(n: int = 50, *, discrete: bool = False) -> Transitions:
    """Positive observations: the step's number + 1. Every tenth ends an episode."""
    obs = np.arange(1, n + 1, dtype=np.float32)[:, None]
    box = np.linspace(-4, 2, n, dtype=np.float32)[:, None]
    return Transitions(
        obs=obs,
        acts=np.arange(n) % 3 if discrete else box,
        next_obs=obs + 1,
        dones=np.arange(n) % 10 == 9,
        infos=np.array([{}] * n),
    )


def slope(**kwargs: Any) -> Any:
    return SQIL("MlpPolicy", Slope(), demonstrations(), **{**SMALL, **kwargs})


def choices(**kwargs: Any) -> Any:
    demos = demonstrations(discrete=True)
    return SQIL("MlpPolicy", Choices(), demos, **{**SMALL, **kwargs})


# --- The buffer --------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch_size", "n_agent"), [(8, 4), (7, 4), (2, 1)])
def test_half_of_a_sample_is_demonstrated(batch_size: int, n_agent: int) -> None:
    model = slope().learn(30)
    sample = model.replay_buffer.sample(batch_size)
    n_expert = batch_size - n_agent
    assert sample.rewards.flatten().tolist() == [0.0] * n_agent + [1.0] * n_expert
    assert (sample.observations[:n_agent] <= 0).all()
    obs = sample.observations[n_agent:]
    assert (obs > 0).all()
    np.testing.assert_array_equal(sample.next_observations[n_agent:], obs + 1)
    # The buffer's actions are scaled from [-4, 2] to [-1, 1]; i of 50 is -1 + 2 i / 49.
    np.testing.assert_allclose(sample.actions[n_agent:], -1 + 2 * (obs - 1) / 49, atol=1e-6)
    np.testing.assert_array_equal(sample.dones[n_agent:], (obs % 10 == 0).float())
    shapes = [tuple(field.shape) for field in sample[:5]]
    assert shapes == [(batch_size, 1)] * 5
    assert all(field.dtype == th.float32 for field in sample[:5])
    assert all(field is None for field in sample[5:])  # `discounts` of later SB3


def test_discrete_actions_stay_integers() -> None:
    sample = choices().learn(30).replay_buffer.sample(20)
    assert sample.actions.dtype == th.int64
    np.testing.assert_array_equal(sample.actions[10:], (sample.observations[10:] - 1) % 3)


def test_time_limits_are_not_terminals() -> None:
    model = slope().learn(30)
    buffer = model.replay_buffer
    assert buffer.dones[:30].sum() == 6
    assert buffer.sample(60).dones[:30].sum() == 0


def test_every_demonstration_is_drawn() -> None:
    model = slope().learn(12)
    seen = {float(o) for _ in range(50) for o in model.replay_buffer.sample(20).observations[10:]}
    assert seen == set(range(1, 51))


def test_a_vecnormalize_sees_the_demonstrations_too() -> None:
    venv = VecNormalize(DummyVecEnv([Slope]))
    model = SQIL("MlpPolicy", venv, demonstrations(), **SMALL).learn(30)
    sample = model.replay_buffer.sample(8, env=venv)
    mean, std = venv.obs_rms.mean, np.sqrt(venv.obs_rms.var + venv.epsilon)
    raw = sample.observations[4:].numpy() * std + mean
    inside = np.abs(sample.observations[4:].numpy()) < venv.clip_obs
    np.testing.assert_allclose(raw[inside], np.round(raw[inside]), atol=1e-3)
    assert sample.rewards.flatten().tolist() == [0.0] * 4 + [1.0] * 4


# --- Learning ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [slope, choices])
def test_the_environments_reward_changes_no_weight(make: Any) -> None:
    models = []
    for noise_seed in (0, 99):
        model = make()  # seeds the generators that SB3 shares
        before = tensors(model)
        model.env.envs[0].unwrapped.noise = np.random.default_rng(noise_seed)
        models.append(model.learn(60))
    one, other = models
    assert not np.array_equal(one.replay_buffer.rewards, other.replay_buffer.rewards)
    assert not same(before, tensors(other))
    assert same(tensors(one), tensors(other))


def test_the_learner_follows_the_actions() -> None:
    assert type(slope()) is SQILWithSAC
    assert isinstance(slope(), SAC)
    assert type(choices()) is SQILWithDQN
    assert isinstance(choices(), SQIL)
    by_name = SQIL("MlpPolicy", "CartPole-v1", buffer_size=10)
    assert isinstance(by_name, DQN)
    assert (by_name.batch_size, by_name.target_update_interval) == (64, 500)


def test_another_learner() -> None:
    class SQILWithTD3(SQIL, TD3):
        pass

    model = SQILWithTD3("MlpPolicy", Slope(), demonstrations(), **SMALL).learn(30)
    assert model.replay_buffer.sample(2).rewards.flatten().tolist() == [0.0, 1.0]


@pytest.mark.slow
def test_cartpole_is_balanced_from_four_demonstrations(cartpole_expert: Any) -> None:
    model = SQIL("MlpPolicy", "CartPole-v1", cartpole_expert, device="cpu", seed=0)
    model.learn(8_000)
    assert evaluate(model, "CartPole-v1", 10).mean() > 300


def test_callbacks_and_several_environments(tmp_path: Path) -> None:
    venv = DummyVecEnv([Slope, Slope])
    model = SQIL("MlpPolicy", venv, demonstrations(), **SMALL)
    evaluation = EvalCallback(Monitor(Slope()), n_eval_episodes=1, eval_freq=10, verbose=0)
    model.learn(40, [CheckpointCallback(10, str(tmp_path)), evaluation], progress_bar=False)
    assert {p.name for p in tmp_path.glob("*")} == {f"rl_model_{n}_steps.zip" for n in (20, 40)}
    assert model.replay_buffer.sample(8).observations.shape == (8, 1)


# --- Saving ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [slope, choices])
def test_saved_and_loaded_predicts_the_same_and_learns_on(make: Any, tmp_path: Path) -> None:
    model = make().learn(30)
    model.save(tmp_path / "model")
    model.save_replay_buffer(tmp_path / "buffer")
    data, _, _ = load_from_zip_file(tmp_path / "model")
    assert data is not None
    assert "expert" not in data
    loaded = SQIL.load(tmp_path / "model", device="cpu")  # without an environment
    assert type(loaded) is type(model)
    obs = np.array([[-1.0], [-2.0], [30.0]], np.float32)
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )
    loaded = SQIL.load(tmp_path / "model", env=type(model.env.envs[0].unwrapped)(), device="cpu")
    with pytest.raises(DemonstrationError, match="no demonstrations to learn from"):
        loaded.learn(20)
    loaded.set_demonstrations(demonstrations(discrete=make is choices))
    loaded.load_replay_buffer(tmp_path / "buffer")
    np.testing.assert_array_equal(loaded.replay_buffer.expert.obs, loaded.expert.obs)
    before = tensors(loaded)
    loaded.learn(20, reset_num_timesteps=False)
    assert loaded.num_timesteps == model.num_timesteps + 20
    assert not same(before, tensors(loaded))


def test_inputs_are_scaled_by_the_demonstrations() -> None:
    model = choices()
    for net in (model.q_net, model.q_net_target):
        assert net.features_extractor.scaling.mean.item() == pytest.approx(25.5)
    plain = choices(normalize_policy_inputs=False)
    assert not hasattr(plain.q_net.features_extractor, "scaling")


def test_wrong_inputs(cartpole_expert: Any) -> None:
    with pytest.raises(DemonstrationError, match="no demonstrations to learn from"):
        SQIL("MlpPolicy", Slope(), **SMALL).learn(20)
    with pytest.raises(DemonstrationError, match="belong to another environment"):
        SQIL("MlpPolicy", Slope(), cartpole_expert, **SMALL)
    with pytest.raises(DemonstrationError, match=r"call the model's set_demonstrations"):
        SQIL("MlpPolicy", Slope(), **SMALL).replay_buffer.sample(4)
    with pytest.raises(TypeError, match="replay_buffer_class"):
        slope(replay_buffer_class=None)
    with pytest.raises(ValueError, match="cannot imitate with observations of type"):
        SQIL("MlpPolicy", "FrozenLake-v1", buffer_size=10)


def test_a_loaded_buffer_holds_no_demonstrations(tmp_path: Path) -> None:
    model = choices().learn(20)
    model.save_replay_buffer(tmp_path / "buffer")
    fresh = choices()
    fresh.expert = None
    fresh.load_replay_buffer(tmp_path / "buffer")
    assert fresh.replay_buffer.expert is None
    assert model.replay_buffer.expert is not None
