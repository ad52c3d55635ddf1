"""What SB3's test_save_load checks, and `learn` that goes on."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from columns import STEPS, Algorithm
from matrix import feature
from probing import answers, optimizer, parameters, same
from stable_baselines3.common.vec_env import DummyVecEnv
from walk import Walk


@feature("`save` and `load`: a path, a string, a stream", "test_save_load")
def test_save_and_load(algorithm: Algorithm, tmp_path: Path) -> None:
    model = algorithm.make().learn(STEPS)
    stream = io.BytesIO()
    for target in (tmp_path / "model", str(tmp_path / "other.zip"), stream):
        model.save(target)
    stream.seek(0)
    for source in (tmp_path / "model.zip", str(tmp_path / "other"), stream):
        loaded = algorithm.cls.load(source, env=algorithm.env(), device="cpu")
        np.testing.assert_array_equal(answers(loaded), answers(model))
        assert same(parameters(loaded), parameters(model))
        assert loaded.num_timesteps == STEPS
    algorithm.teach(loaded)
    loaded.learn(STEPS)


@feature("`load` without an environment; `predict`, `set_env`, `learn` later", "test_save_load")
def test_load_without_env(algorithm: Algorithm, tmp_path: Path) -> None:
    model = algorithm.make().learn(STEPS)
    model.save(tmp_path / "model")
    loaded = algorithm.cls.load(tmp_path / "model", device="cpu")
    assert loaded.get_env() is None
    np.testing.assert_array_equal(answers(loaded), answers(model))
    with pytest.raises(ValueError, match=r"there is no environment: pass env=\.\.\."):
        loaded.learn(STEPS)
    loaded.set_env(DummyVecEnv([algorithm.env]))
    algorithm.teach(loaded)
    before = parameters(loaded)["policy"]
    loaded.learn(STEPS, reset_num_timesteps=False)
    assert loaded.num_timesteps == 2 * STEPS
    assert not same(parameters(loaded)["policy"], before)


@feature("`load` with another number of environments", "test_save_load")
def test_load_with_more_environments(algorithm: Algorithm, tmp_path: Path) -> None:
    model = algorithm.make().learn(STEPS)
    model.save(tmp_path / "model")
    venv = DummyVecEnv([lambda: algorithm.env()] * 2)
    loaded = algorithm.cls.load(tmp_path / "model", env=venv, device="cpu")
    algorithm.teach(loaded)
    loaded.learn(STEPS)
    assert loaded.n_envs == 2
    assert loaded.num_timesteps == STEPS


@feature("`load` refuses another environment's spaces", "test_save_load")
def test_load_refuses_other_spaces(algorithm: Algorithm, tmp_path: Path) -> None:
    algorithm.make().save(tmp_path / "model")
    other = algorithm.env("picture")
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        algorithm.cls.load(tmp_path / "model", env=other, device="cpu")


@feature("`save(exclude=..., include=...)`, `load(custom_objects=...)`", "test_save_load")
def test_exclude_include(algorithm: Algorithm, tmp_path: Path) -> None:
    model = algorithm.make(learning_rate=1e-3)
    model.verbose = 2
    model.save(tmp_path / "without", exclude=["verbose"])
    model.save(tmp_path / "with", exclude=["verbose"], include=["verbose"])
    objects = {"learning_rate": 7e-4, "lr_schedule": lambda _: 7e-4}
    loaded = algorithm.cls.load(tmp_path / "without", device="cpu", custom_objects=objects)
    assert loaded.verbose != 2
    assert loaded.learning_rate == 7e-4
    assert algorithm.cls.load(tmp_path / "with", device="cpu").verbose == 2


@feature("`get_parameters`, `set_parameters`", "test_save_load")
def test_parameters(algorithm: Algorithm) -> None:
    model = algorithm.make().learn(STEPS)
    kept, answered = parameters(model), answers(model)
    assert ("discriminator.net" in kept) == algorithm.discriminates
    model.learn(STEPS, reset_num_timesteps=False)
    assert not same(parameters(model), kept)
    model.set_parameters(kept, device="cpu")
    assert same(parameters(model), kept)
    np.testing.assert_array_equal(answers(model), answered)
    other = algorithm.make(seed=5).learn(STEPS)
    other.set_parameters(kept, device="cpu")
    np.testing.assert_array_equal(answers(other), answered)
    with pytest.raises(ValueError, match="Names of parameters do not match"):
        model.set_parameters({"policy": kept["policy"]}, exact_match=True, device="cpu")
    with pytest.raises(ValueError, match="invalid object name"):
        model.set_parameters({"nothing": {}}, exact_match=False, device="cpu")


@feature("`set_parameters` from a file", "test_save_load")
def test_parameters_of_a_file(algorithm: Algorithm, tmp_path: Path) -> None:
    model = algorithm.make().learn(STEPS)
    model.save(tmp_path / "model")
    other = algorithm.make(seed=5).learn(STEPS)
    other.set_parameters(str(tmp_path / "model.zip"), device="cpu")
    np.testing.assert_array_equal(answers(other), answers(model))


@feature("`set_env`", "test_save_load")
def test_set_env(algorithm: Algorithm) -> None:
    model = algorithm.make().learn(STEPS)
    other = algorithm.env()
    model.set_env(DummyVecEnv([lambda: other]))
    model.learn(STEPS)
    assert len(other.acts) == (0 if algorithm.name == "BC" else STEPS)
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        model.set_env(DummyVecEnv([lambda: algorithm.env("picture")]))


@feature("The replay buffer saved and loaded", "test_save_load")
def test_replay_buffer(algorithm: Algorithm, tmp_path: Path) -> None:
    model = algorithm.make().learn(STEPS)
    model.save_replay_buffer(tmp_path / "buffer")
    other = algorithm.make()
    other.load_replay_buffer(tmp_path / "buffer")
    mine, loaded = model.replay_buffer, other.replay_buffer
    assert loaded.size() == mine.size() == STEPS
    np.testing.assert_array_equal(loaded.observations, mine.observations)
    np.testing.assert_array_equal(loaded.actions, mine.actions)
    other.learn(STEPS, reset_num_timesteps=False)
    assert loaded.size() == 2 * STEPS


@feature("`learn(reset_num_timesteps=False)`: counts go on, no reset", "test_run, test_callbacks")
def test_going_on(algorithm: Algorithm) -> None:
    walk: Walk = algorithm.env()
    model = algorithm.make(walk).learn(STEPS)
    updates = model._n_updates
    model.learn(STEPS, reset_num_timesteps=False)
    assert model.num_timesteps == 2 * STEPS
    assert model._n_updates > updates
    assert walk.n_resets == 1 + len(walk.returns)  # SB3's own, and after each episode
    model.learn(STEPS)
    assert model.num_timesteps == STEPS
    assert walk.n_resets == 2 + len(walk.returns)


@feature("The optimizer's state goes with the model", "test_save_load")
def test_optimizer_state(algorithm: Algorithm, tmp_path: Path) -> None:
    model = algorithm.make().learn(STEPS)
    model.save(tmp_path / "model")
    loaded = algorithm.cls.load(tmp_path / "model", device="cpu")
    state: Any = optimizer(model).state_dict()
    assert state["state"]
    assert same(optimizer(loaded).state_dict(), state)
