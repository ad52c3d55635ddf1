"""Behaviour cloning as an SB3 algorithm: imitation's numbers, SB3's seams."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from imitation.algorithms import bc as imitation_bc
from imitation.data.types import TransitionMapping
from imitation.util.logger import HierarchicalLogger
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from watching import Memory, StopAfter, same, tensors

from sb3_gail_ext import BC, DemonstrationError, LinearSchedule, evaluate, save_demonstrations

SMALL = {"device": "cpu", "seed": 0, "batch_size": 32, "learning_rate": 1e-3}


def line(line_env: Any, demonstrations: Any = None, **kwargs: Any) -> BC:
    return BC("MlpPolicy", line_env(), demonstrations, **{**SMALL, **kwargs})


def drawn_by(model: BC) -> list[TransitionMapping]:
    """Will hold the batches of `learn`."""
    batches: list[TransitionMapping] = []
    draw = model._draw

    def spy(obs: np.ndarray, acts: np.ndarray) -> TransitionMapping:
        batches.append(draw(obs, acts))
        return batches[-1]

    model._draw = spy  # type: ignore[method-assign]
    return batches


# --- Imitation's numbers -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["box", "discrete"])
def test_updates_are_those_of_imitation_on_the_same_batches(
    kind: str, line_env: Any, line_demonstrations: Any, cartpole_expert: Any
) -> None:
    """Two models with equal weights; one learns here, one in imitation's trainer."""
    env, demos = (
        (line_env(), line_demonstrations) if kind == "box" else ("CartPole-v1", cartpole_expert)
    )
    ours, theirs = (
        BC("MlpPolicy", env, demos, ent_weight=0.1, l2_weight=0.01, **SMALL) for _ in range(2)
    )
    assert same(tensors(ours), tensors(theirs))
    draws = np.random.default_rng(0)  # the models' seed
    assert theirs.expert is not None
    index = [draws.integers(len(theirs.expert), size=32) for _ in range(7)]
    batches = [{"obs": theirs.expert.obs[i], "acts": theirs.expert.acts[i]} for i in index]
    memory = Memory()
    trainer = imitation_bc.BC(
        observation_space=theirs.observation_space,
        action_space=theirs.action_space,
        rng=np.random.default_rng(0),
        policy=theirs.policy,
        demonstrations=batches,
        batch_size=32,
        optimizer_kwargs={"lr": 1e-3, "eps": 1e-5},  # SB3's Adam
        ent_weight=0.1,
        l2_weight=0.01,
        device="cpu",
        custom_logger=HierarchicalLogger(Logger(None, [memory])),
    )
    trainer.train(n_epochs=1, log_interval=1, progress_bar=False)
    own = Memory()
    ours.set_logger(Logger(None, [own]))
    ours.learn(7 * 32, log_interval=1)
    assert same(tensors(ours), tensors(theirs))
    keys = [key for key in memory.rows[0] if key.startswith("bc/")]
    losses = {"bc/neglogp", "bc/entropy", "bc/prob_true_act", "bc/l2_norm", "bc/loss"}
    assert losses <= set(own.rows[0]) & set(keys)
    for one, other in zip(own.rows, memory.rows, strict=True):
        assert all(one[key] == other[key] for key in losses)


def test_the_loss_is_what_the_formula_says(line_env: Any, line_demonstrations: Any) -> None:
    """A policy of mean 0 and deviation 1: -log p(a) = a^2/2 + log(2 pi)/2."""
    model = line(line_env, line_demonstrations, ent_weight=0.5, l2_weight=0.0)
    for parameter in model.policy.parameters():
        parameter.data.zero_()
    memory = Memory()
    model.set_logger(Logger(None, [memory]))
    model.learn(32, log_interval=1)
    index = np.random.default_rng(0).integers(21, size=32)
    acts = np.concatenate([t.acts for t in line_demonstrations])[index]
    neglogp = (acts**2 / 2).mean() + np.log(2 * np.pi) / 2
    entropy = 0.5 + np.log(2 * np.pi) / 2
    row = memory.rows[0]
    assert row["bc/neglogp"] == pytest.approx(neglogp, rel=1e-5)
    assert row["bc/loss"] == pytest.approx(neglogp - 0.5 * entropy, rel=1e-5)


def test_cartpole_is_balanced_from_four_demonstrations(cartpole_expert: Any) -> None:
    model = BC("MlpPolicy", "CartPole-v1", cartpole_expert, device="cpu", seed=0)
    model.learn(256 * 1_500)
    assert evaluate(model, "CartPole-v1", 10).mean() == 500


# --- Timesteps, callbacks, logs ----------------------------------------------------------------


def test_timesteps_are_transitions_drawn(line_env: Any, line_demonstrations: Any) -> None:
    env = line_env()
    model = BC("MlpPolicy", env, line_demonstrations, **SMALL)
    stop_never = StopAfter(10**9)
    assert model.learn(100, stop_never) is model
    assert model.num_timesteps == 128  # whole batches
    assert stop_never.n_calls == model._n_updates == 4
    model.learn(64, reset_num_timesteps=False)
    assert model.num_timesteps == 192
    before = tensors(model)
    model.learn(0)
    assert model.num_timesteps == 0
    assert same(before, tensors(model))
    assert env.log == []  # no step was taken


def test_a_callback_ends_training(line_env: Any, line_demonstrations: Any) -> None:
    model = line(line_env, line_demonstrations).learn(10_000, StopAfter(3))
    assert model.num_timesteps == 3 * 32
    model.learn(64)  # and does not end the next
    assert model.num_timesteps == 64


def test_callbacks_of_sb3(line_env: Any, line_demonstrations: Any, tmp_path: Path) -> None:
    checkpoint = CheckpointCallback(2, str(tmp_path))
    evaluation = EvalCallback(
        Monitor(line_env()), n_eval_episodes=1, eval_freq=3, log_path=str(tmp_path), verbose=0
    )
    seen: list[int] = []
    model = line(line_env, line_demonstrations)
    model.learn(6 * 32, [checkpoint, evaluation, lambda a, b: seen.append(0) is None])
    files = {path.name for path in tmp_path.glob("*.zip")}
    assert files == {f"rl_model_{32 * n}_steps.zip" for n in (2, 4, 6)}
    assert list(np.load(tmp_path / "evaluations.npz")["timesteps"]) == [96, 192]
    assert len(seen) == 6
    assert evaluate_policy(model, Monitor(line_env()), n_eval_episodes=1)[0] == pytest.approx(
        evaluate_policy(model, model.get_env(), n_eval_episodes=1)[0], abs=40
    )


def test_the_progress_bar_counts_transitions(
    line_env: Any, line_demonstrations: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = []

    class Bar:
        def __init__(self, total: int) -> None:
            self.total, self.n = total, 0
            bars.append(self)

        def update(self, n: int) -> None:
            self.n += n

        def refresh(self) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr("stable_baselines3.common.callbacks.tqdm", Bar)
    model = line(line_env, line_demonstrations).learn(64, progress_bar=True)
    model.learn(96, StopAfter(9), reset_num_timesteps=False, progress_bar=True)
    assert [(bar.total, bar.n) for bar in bars] == [(64, 64), (96, 96)]


def test_log_rows(line_env: Any, line_demonstrations: Any) -> None:
    model = line(line_env, line_demonstrations, learning_rate=LinearSchedule(1e-2))
    memory = Memory()
    model.set_logger(Logger(None, [memory]))
    model.learn(10 * 32, log_interval=5)
    assert [row["step"] for row in memory.rows] == [32, 192]
    assert [row["time/total_timesteps"] for row in memory.rows] == [32, 192]
    rates = [row["train/learning_rate"] for row in memory.rows]
    np.testing.assert_allclose(rates, [1e-2, 0.5e-2])
    assert model.policy.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3)
    memory.rows.clear()
    model.learn(64, log_interval=None)
    assert memory.rows == []


def test_tensorboard(line_env: Any, line_demonstrations: Any, tmp_path: Path) -> None:
    line(line_env, line_demonstrations, tensorboard_log=str(tmp_path)).learn(64)
    assert list(tmp_path.glob("BC_1/events*"))


def test_training_mode_is_kept_from_evaluation(line_env: Any, line_demonstrations: Any) -> None:
    modes = []

    class Evaluate(BaseCallback):
        def _on_step(self) -> bool:
            modes.append(self.model.policy.training)
            self.model.predict(np.zeros(2, np.float32))
            return True

    model = line(line_env, line_demonstrations).learn(96, Evaluate())
    assert modes == [True] * 3
    assert not model.policy.training


# --- Saving ------------------------------------------------------------------------------------


def test_saved_and_loaded_predicts_the_same_and_learns_on(
    line_env: Any, line_demonstrations: Any, tmp_path: Path
) -> None:
    model = line(line_env, line_demonstrations).learn(96)
    model.save(tmp_path / "model")
    loaded = BC.load(tmp_path / "model", env=line_env(), device="cpu")
    assert isinstance(loaded, BaseAlgorithm)
    obs = line_env().observation_space.sample()
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )
    assert loaded.expert is None
    with pytest.raises(DemonstrationError, match=r"set_demonstrations\(...\) before learn"):
        loaded.learn(32)
    loaded.set_demonstrations(line_demonstrations)
    for each in (model, loaded):  # the optimiser and the draws go on where they were
        each.learn(96, reset_num_timesteps=False)
    assert same(tensors(model), tensors(loaded))
    assert BC.load(tmp_path / "model", device="cpu").get_env() is None
    assert model.get_parameters().keys() == {"policy", "policy.optimizer"}


def test_the_same_seed_gives_the_same_weights(line_env: Any, line_demonstrations: Any) -> None:
    one, two = (line(line_env, line_demonstrations).learn(96) for _ in range(2))
    assert same(tensors(one), tensors(two))
    assert not same(tensors(one), tensors(line(line_env, line_demonstrations, seed=1).learn(96)))


# --- Inputs ------------------------------------------------------------------------------------


def test_inputs_are_scaled_by_the_demonstrations(line_env: Any, line_demonstrations: Any) -> None:
    model = line(line_env, line_demonstrations)
    assert model.expert is not None
    scaling = model.policy.features_extractor.scaling
    np.testing.assert_allclose(scaling.mean, model.expert.obs.mean(0), rtol=1e-6)
    for other in ({"normalize_policy_inputs": False}, {"policy_kwargs": FLATTEN}):
        plain = line(line_env, line_demonstrations, **other).policy.features_extractor
        assert type(plain) is FlattenExtractor


FLATTEN = {"features_extractor_class": FlattenExtractor}


def test_a_vecnormalize_takes_its_statistics_from_the_demonstrations(
    line_env: Any, line_demonstrations: Any
) -> None:
    venv = VecNormalize(DummyVecEnv([line_env]))
    model = BC("MlpPolicy", venv, line_demonstrations, **SMALL)
    assert type(model.policy.features_extractor) is FlattenExtractor
    assert model.expert is not None
    np.testing.assert_allclose(venv.obs_rms.mean, model.expert.obs.mean(0), atol=1e-3)
    batches = drawn_by(model)
    model.learn(32)
    index = np.random.default_rng(0).integers(21, size=32)
    np.testing.assert_allclose(
        batches[0]["obs"], venv.normalize_obs(model.expert.obs[index]), rtol=1e-6
    )
    before = venv.obs_rms.mean.copy()
    model.set_demonstrations(line_demonstrations)  # again: what was learned stays behind the first
    np.testing.assert_array_equal(venv.obs_rms.mean, before)


def test_a_vecnormalize_set_later_is_refused(line_env: Any, line_demonstrations: Any) -> None:
    model = line(line_env, line_demonstrations)
    model.set_env(VecNormalize(DummyVecEnv([line_env])))
    with pytest.raises(ValueError, match="normalize_policy_inputs=False"):
        model.learn(32)


def test_squashed_policies_are_asked_for_scaled_actions(line_demonstrations: Any) -> None:
    class Wide(gym.Env):
        observation_space = spaces.Box(-100.0, 100.0, (2,), np.float32)
        action_space = spaces.Box(-4.0, 4.0, (1,), np.float32)

        def reset(self, **_: Any) -> Any:
            return np.zeros(2, np.float32), {}

    squashed = {"squash_output": True}
    model = BC(
        "MlpPolicy", Wide(), line_demonstrations, policy_kwargs=squashed, use_sde=True, **SMALL
    )
    assert model.expert is not None
    batches = drawn_by(model)
    model.learn(32, log_interval=1)
    index = np.random.default_rng(0).integers(21, size=32)
    np.testing.assert_allclose(batches[0]["acts"], model.expert.acts[index] / 4, atol=1e-6)


def test_images(tmp_path: Path) -> None:
    class Camera(gym.Env):
        observation_space = spaces.Box(0, 255, (36, 36, 1), np.uint8)
        action_space = spaces.Discrete(2)

        def reset(self, **_: Any) -> Any:
            return np.zeros((36, 36, 1), np.uint8), {}

    from imitation.data.types import Trajectory

    pixels = np.random.default_rng(0).integers(0, 255, (9, 36, 36, 1)).astype(np.uint8)
    episode = Trajectory(pixels, np.array([0, 1] * 4), infos=None, terminal=True)
    model = BC("CnnPolicy", Camera(), [episode], batch_size=4, device="cpu").learn(8)
    assert model.predict(pixels[0])[0] in (0, 1)


def test_a_file_from_elsewhere_is_warned_about(tmp_path: Path, cartpole_expert: Any) -> None:
    path = tmp_path / "expert.npz"
    save_demonstrations(path, cartpole_expert, metadata={"env_id": "Acrobot-v1"})
    with pytest.warns(UserWarning, match="recorded in Acrobot-v1, not in CartPole-v1"):
        BC("MlpPolicy", "CartPole-v1", path, **SMALL)


def test_wrong_inputs(line_env: Any, cartpole_expert: Any, line_demonstrations: Any) -> None:
    with pytest.raises(DemonstrationError, match="belong to another environment"):
        line(line_env, cartpole_expert)
    with pytest.raises(DemonstrationError, match="no demonstrations to learn from"):
        line(line_env).learn(32)
    with pytest.raises(ValueError, match="batch_size is 0"):
        line(line_env, line_demonstrations, batch_size=0)
    with pytest.raises(TypeError, match="n_steps"):
        line(line_env, line_demonstrations, n_steps=8)
    with pytest.raises(ValueError, match="cannot imitate with observations of type"):
        BC("MlpPolicy", "FrozenLake-v1")
