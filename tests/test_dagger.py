"""DAgger: who acts, who is asked, what is aggregated; SB3's seams."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from imitation.algorithms.dagger import LinearBetaSchedule
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from watching import Memory, StopAfter

from sb3_gail_ext import GAIL, DAgger, evaluate
from sb3_gail_ext.policies.loading import load_policy

SMALL = {
    "device": "cpu",
    "seed": 0,
    "batch_size": 16,
    "steps_per_round": 20,
    "updates_per_round": 5,
}


def line(env: Any, expert: Any = None, demonstrations: Any = None, **kwargs: Any) -> DAgger:
    return DAgger("MlpPolicy", env, demonstrations, expert=expert, **{**SMALL, **kwargs})


def always(beta: float) -> Any:
    return lambda round_number: beta


def executed(env: Any) -> tuple[np.ndarray, np.ndarray]:
    """What LineEnv saw and was told to do."""
    return np.stack([step.obs for step in env.log]), np.stack([step.act for step in env.log])


class Balance:
    """Of CartPole-v1; hand-written."""

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        place, speed, angle, turning = np.moveaxis(observation, -1, 0)
        return (0.05 * place + 0.1 * speed + angle + 0.4 * turning > 0).astype(np.int64), None


def test_every_observation_is_labelled_by_the_expert(line_env: Any, stand_still: Any) -> None:
    env = line_env()
    model = line(env, stand_still, beta_schedule=always(0.5)).learn(40)
    seen, acts = executed(env)
    obs, labels = model._aggregate()
    np.testing.assert_array_equal(obs, seen)
    np.testing.assert_array_equal(labels, np.clip(-2 * seen[:, :1], -1, 1))
    by_expert = (acts == labels).all(axis=1)
    assert 5 < by_expert.sum() < 35  # of 40 steps, half on average


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_beta_says_who_acts(line_env: Any, stand_still: Any, beta: float) -> None:
    env = line_env()
    model = line(env, stand_still, beta_schedule=always(beta)).learn(20)
    _, acts = executed(env)
    assert (acts == model._aggregate()[1]).all() == bool(beta)


def test_beta_falls_linearly(line_env: Any, stand_still: Any) -> None:
    model = line(line_env(), stand_still)
    assert isinstance(model.beta_schedule, LinearBetaSchedule)
    memory = Memory()
    model.set_logger(Logger(None, [memory]))
    model.learn(60)
    assert [row["dagger/beta"] for row in memory.rows] == pytest.approx([1, 14 / 15, 13 / 15])
    assert [row["step"] for row in memory.rows] == [20, 40, 60]
    assert {"bc/loss", "rollout/ep_rew_mean", "time/fps"} <= set(memory.rows[0])
    assert model._n_updates == 15


def test_demonstrations_are_what_the_data_starts_with(
    line_env: Any, stand_still: Any, line_demonstrations: Any
) -> None:
    model = line(line_env(), stand_still, line_demonstrations).learn(20)
    obs, acts = model._aggregate()
    assert model.expert is not None
    assert len(obs) == len(acts) == 21 + 20
    np.testing.assert_array_equal(obs[:21], model.expert.obs)
    mean = model.policy.features_extractor.scaling.mean
    np.testing.assert_allclose(mean, model.expert.obs.mean(0), rtol=1e-6)
    alone = line(line_env(), stand_still).learn(20)
    mean = alone.policy.features_extractor.scaling.mean
    np.testing.assert_allclose(mean, alone._aggregate()[0].mean(0), rtol=1e-5)


def test_cartpole_is_balanced() -> None:
    model = DAgger("MlpPolicy", "CartPole-v1", expert=Balance(), device="cpu", seed=0)
    model.learn(3_000)
    assert evaluate(model, "CartPole-v1", 10).mean() > 475


def test_several_environments_and_callbacks(
    line_env: Any, stand_still: Any, tmp_path: Path
) -> None:
    venv = DummyVecEnv([lambda: Monitor(line_env())] * 4)
    checkpoint = CheckpointCallback(5, str(tmp_path))
    evaluation = EvalCallback(Monitor(line_env()), n_eval_episodes=1, eval_freq=5, verbose=0)
    model = line(venv, stand_still)
    model.learn(40, [checkpoint, evaluation])
    assert model.num_timesteps == 40
    files = {path.name for path in tmp_path.glob("*.zip")}
    assert files == {"rl_model_20_steps.zip", "rl_model_40_steps.zip"}
    assert len(model._aggregate()[0]) == 40
    assert model.ep_info_buffer
    model.learn(100, StopAfter(3), reset_num_timesteps=False)
    assert model.num_timesteps == 40 + 3 * 4


def test_the_expert_sees_what_the_environment_gives(line_env: Any, stand_still: Any) -> None:
    env = line_env()
    venv = VecNormalize(DummyVecEnv([lambda: env]))
    model = line(venv, stand_still, beta_schedule=always(0.5)).learn(20)
    obs, labels = model._aggregate()
    np.testing.assert_allclose(obs, executed(env)[0], rtol=1e-6)
    np.testing.assert_allclose(labels, np.clip(-2 * obs[:, :1], -1, 1), rtol=1e-6)


def test_an_expert_with_a_vecnormalize_sees_its_own(line_env: Any) -> None:
    trained = VecNormalize(DummyVecEnv([line_env]))
    expert = PPO("MlpPolicy", trained, n_steps=8, batch_size=8, device="cpu", seed=1).learn(16)
    model = line(line_env(), expert, beta_schedule=always(1.0)).learn(20)
    obs, labels = model._aggregate()
    expected = expert.predict(trained.normalize_obs(obs), deterministic=True)[0]
    np.testing.assert_allclose(labels, expected, rtol=1e-5, atol=1e-6)


def test_saved_and_loaded_predicts_the_same_and_learns_on(
    line_env: Any, stand_still: Any, tmp_path: Path
) -> None:
    model = line(line_env(), stand_still).learn(20)
    model.save(tmp_path / "model")
    loaded = DAgger.load(tmp_path / "model", env=line_env(), device="cpu")
    obs = line_env().observation_space.sample()
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )
    with pytest.raises(ValueError, match=r"there is no expert to ask: pass expert=\.\.\."):
        loaded.learn(20)
    loaded.set_expert(stand_still)
    loaded.learn(20, reset_num_timesteps=False)
    assert loaded.num_timesteps == 40
    assert loaded._n_rounds == 2


@pytest.mark.parametrize("kind", ["ppo", "sac", "dqn", "gsde", "gail"])
def test_experts_are_read_from_any_algorithms_zip(
    kind: str, tmp_path: Path, pendulum_expert: Any
) -> None:
    box: dict[str, Any] = {"policy": "MlpPolicy", "env": "Pendulum-v1", "device": "cpu"}
    rollouts = {"n_steps": 8, "batch_size": 8}
    made: Any = {
        "ppo": lambda: PPO(**box, **rollouts),
        "gsde": lambda: PPO(**box, **rollouts, use_sde=True),
        "sac": lambda: SAC(**box, buffer_size=10),
        "dqn": lambda: DQN("MlpPolicy", "CartPole-v1", buffer_size=10, device="cpu"),
        "gail": lambda: GAIL(**box, demonstrations=pendulum_expert, **rollouts),
    }[kind]()
    if kind == "gail":
        made.warm_start_updates, made.critic_warm_up_rollouts = 3, 0
        made.learn(8 * 20)
        latest, averaged = made.policy.state_dict(), made.averaged_policy.state_dict()
        assert any(not th.equal(latest[name], averaged[name]) for name in latest)
    made.save(tmp_path / "expert")
    loaded = load_policy(tmp_path / "expert.zip")
    obs = np.stack([made.observation_space.sample() for _ in range(5)])
    np.testing.assert_array_equal(
        loaded.predict(obs, deterministic=True)[0], made.predict(obs, deterministic=True)[0]
    )


def test_an_expert_may_be_a_path(tmp_path: Path, line_env: Any) -> None:
    expert = PPO("MlpPolicy", line_env(), n_steps=8, batch_size=8, device="cpu", seed=1)
    expert.save(tmp_path / "expert")
    model = line(line_env(), tmp_path / "expert.zip").learn(20)
    obs, labels = model._aggregate()
    expected = expert.predict(obs, deterministic=True)[0]
    np.testing.assert_allclose(labels, expected, rtol=1e-5, atol=1e-6)


def test_the_same_seed_gives_the_same_weights(line_env: Any, stand_still: Any) -> None:
    one, two = (line(line_env(), stand_still).learn(40).policy.state_dict() for _ in range(2))
    assert all(th.equal(one[name], two[name]) for name in one)


def test_wrong_inputs(line_env: Any, stand_still: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no expert to ask"):
        line(line_env()).learn(20)
    with pytest.raises(ValueError, match=r"expert is a int without predict\(\)"):
        line(line_env(), 3)
    with pytest.raises(ValueError, match=r"nowhere\.zip: no SB3 model with a policy"):
        line(line_env(), tmp_path / "nowhere.zip")
    with pytest.raises(ValueError, match="steps_per_round is 0; give a positive number"):
        line(line_env(), stand_still, steps_per_round=0)
    with pytest.raises(ValueError, match=r"its actions have shape \(1, 1\) for 1 environments"):
        DAgger("MlpPolicy", "CartPole-v1", expert=stand_still, **SMALL).learn(20)
