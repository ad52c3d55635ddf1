"""What is no number, and what dies, ends a run in one line with the step and the likely cause."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import LineEnv
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv

from sb3_gail_ext import DAC, GAIL, SQIL, Checkpoints
from sb3_gail_ext.checkpoints.folders import checkpoint_folders
from sb3_gail_ext.failures import NotFiniteError, WorkerDiedError, check_weights

PPO_SMALL = {"n_steps": 16, "batch_size": 16, "n_epochs": 1, "warm_start_updates": 2}
OFF_SMALL = {"learning_starts": 4, "batch_size": 8, "buffer_size": 100}
DAC_SMALL = {**OFF_SMALL, "warm_start_updates": 2}


class Blind(LineEnv):
    """Sees NaN from the tenth step on."""

    n = 0

    def step(self, action: np.ndarray) -> Any:
        obs, *rest = super().step(action)
        self.n += 1
        if self.n >= 10:
            obs[1] = np.nan
        return obs, *rest


@pytest.mark.parametrize(
    ("cls", "settings"), [(GAIL, PPO_SMALL), (DAC, DAC_SMALL), (SQIL, OFF_SMALL)]
)
def test_an_observation_that_is_no_number_is_named_with_its_step(
    cls: Any, settings: dict[str, Any], line_demonstrations: Any
) -> None:
    model = cls("MlpPolicy", Blind(), line_demonstrations, seed=0, device="cpu", **settings)
    with pytest.raises(NotFiniteError, match=r"step 10: .*observation holds nan at index \[1\]"):
        model.learn(64)


class Spoil(BaseCallback):
    """Makes a network's weights infinite after so many steps."""

    def __init__(self, network: Any, at: int) -> None:
        super().__init__()
        self.network, self.at = network, at

    def _on_step(self) -> bool:
        if self.num_timesteps == self.at:
            with th.no_grad():
                for weight in self.network(self.model).parameters():
                    weight.fill_(th.inf)
        return True


def test_a_discriminator_that_is_no_number_stops_and_the_checkpoint_before_stays(
    tmp_path: Path, line_demonstrations: Any
) -> None:
    model = GAIL("MlpPolicy", LineEnv(), line_demonstrations, seed=0, device="cpu", **PPO_SMALL)
    spoil = Spoil(lambda model: model.discriminator.net.base, at=40)
    with pytest.raises(NotFiniteError, match=r"step 48: the discriminator's .*; lower"):
        model.learn(160, callback=[spoil, Checkpoints(tmp_path, every=16)])
    assert checkpoint_folders(tmp_path)[-1].name == f"{32:012d}"
    loaded = GAIL.load(checkpoint_folders(tmp_path)[-1] / "model.zip", device="cpu")
    check_weights(loaded.policy, 32)


def test_a_policy_that_is_no_number_stops(line_demonstrations: Any) -> None:
    settings = {**PPO_SMALL, "critic_warm_up_rollouts": 0, "learning_rate": 1e30}
    model = GAIL("MlpPolicy", LineEnv(), line_demonstrations, seed=0, device="cpu", **settings)
    with pytest.raises(NotFiniteError, match=r"step 16: the policy's .*; lower learning_rate"):
        model.learn(64)


@pytest.mark.parametrize(("cls", "settings"), [(DAC, DAC_SMALL), (SQIL, OFF_SMALL)])
def test_critics_that_are_no_number_stop(
    cls: Any, settings: dict[str, Any], line_demonstrations: Any
) -> None:
    model = cls("MlpPolicy", LineEnv(), line_demonstrations, seed=0, device="cpu", **settings)
    with pytest.raises(NotFiniteError, match=r"step \d+: train/\w+_loss is (nan|inf)"):
        model.learn(64, callback=Spoil(lambda model: model.policy.critic, at=20))


class KillWorker(BaseCallback):
    def _on_step(self) -> bool:
        if self.num_timesteps == 8:
            os.kill(self.model.env.unwrapped.processes[1].pid, signal.SIGKILL)
        return True


@pytest.mark.parametrize(("cls", "settings"), [(GAIL, PPO_SMALL), (DAC, DAC_SMALL)])
def test_a_worker_process_that_dies_is_named(
    cls: Any, settings: dict[str, Any], line_demonstrations: Any
) -> None:
    venv = make_vec_env(LineEnv, n_envs=2, vec_env_cls=SubprocVecEnv)
    model = cls("MlpPolicy", venv, line_demonstrations, seed=0, device="cpu", **settings)
    with pytest.raises(WorkerDiedError, match=r"step 8: .*\(environment 1, exit code -9"):
        model.learn(64, callback=KillWorker())


class Breaks(LineEnv):
    def step(self, action: np.ndarray) -> Any:
        raise ZeroDivisionError("by a test")


def test_an_environment_that_raises_in_a_worker_process_is_named(line_demonstrations: Any) -> None:
    venv = SubprocVecEnv([LineEnv, Breaks])
    model = GAIL("MlpPolicy", venv, line_demonstrations, seed=0, device="cpu", **PPO_SMALL)
    with pytest.raises(WorkerDiedError, match=r"step 0: .*\(environment 1, exit code 1"):
        model.learn(64)


class BlindAtTheEnd(LineEnv):
    """Ends in what is no number, as a simulation that blows up does."""

    def step(self, action: np.ndarray) -> Any:
        obs, reward, *_ = super().step(action)
        ended = obs[1] >= 5
        return (obs * np.nan if ended else obs), reward, ended, False, {}


@pytest.mark.parametrize(
    ("cls", "settings"), [(GAIL, PPO_SMALL), (DAC, DAC_SMALL), (SQIL, OFF_SMALL)]
)
def test_the_last_observation_of_an_episode_counts(
    cls: Any, settings: dict[str, Any], line_demonstrations: Any
) -> None:
    model = cls("MlpPolicy", BlindAtTheEnd(), line_demonstrations, device="cpu", **settings)
    with pytest.raises(NotFiniteError, match=r"step 5: the environment's observation holds nan"):
        model.learn(64)


def test_a_reward_that_is_no_number_is_not_taken_for_the_critics(line_demonstrations: Any) -> None:
    settings = {**DAC_SMALL, "discriminator_updates_per_step": 0}
    model = DAC("MlpPolicy", LineEnv(), line_demonstrations, seed=0, device="cpu", **settings)
    spoil = Spoil(lambda model: model.discriminator.net.base, at=20)
    with pytest.raises(NotFiniteError, match=r"step \d+: the discriminator's reward is"):
        model.learn(64, callback=spoil)


@pytest.mark.parametrize(("cls", "settings"), [(DAC, DAC_SMALL), (SQIL, OFF_SMALL)])
def test_an_actor_that_is_no_number_stops_and_is_in_no_checkpoint(
    cls: Any, settings: dict[str, Any], tmp_path: Path, line_demonstrations: Any
) -> None:
    model = cls("MlpPolicy", LineEnv(), line_demonstrations, seed=0, device="cpu", **settings)
    spoil = Spoil(lambda model: model.policy.actor, at=20)
    with pytest.raises(NotFiniteError, match=r"step \d+: "):
        model.learn(64, callback=[spoil, Checkpoints(tmp_path, every=4)])
    assert int(checkpoint_folders(tmp_path)[-1].name) <= 20


def test_other_broken_pipes_are_not_taken_for_a_workers(line_demonstrations: Any) -> None:
    class Elsewhere(BaseCallback):
        def _on_step(self) -> bool:
            raise EOFError("another file's")

    model = GAIL("MlpPolicy", LineEnv(), line_demonstrations, device="cpu", **PPO_SMALL)
    with pytest.raises(EOFError, match="another file's"):
        model.learn(64, callback=Elsewhere())
