"""Checkpoints: whole or not there, kept by count, and going on from one changes not a bit."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from sb3_contrib import TRPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

from sb3_gail_ext import AIRL, BC, DAC, GAIL, SQIL, Checkpoints, adversarial, load_checkpoint
from sb3_gail_ext.checkpoints.errors import CheckpointError
from sb3_gail_ext.checkpoints.folders import checkpoint_folders, keep_latest, new_checkpoint
from sb3_gail_ext.checkpoints.logs import record_again, recorded

ROUND = 2 * 32  # steps of a rollout
SMALL = {"n_steps": 32, "warm_start_updates": 3, "seed": 3, "device": "cpu"}
PPO_SMALL = {**SMALL, "batch_size": 32, "n_epochs": 2}


def venv(seed: int | None = None) -> Any:
    return make_vec_env("Pendulum-v1", n_envs=2, seed=seed)


def same(one: Any, other: Any) -> bool:
    """Equal to the bit, through dictionaries and lists."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return th.equal(one, other) if isinstance(one, th.Tensor) else one == other


def only(checkpoint: Path, folder: Path) -> Path:
    """A folder in which a run ended at this checkpoint."""
    shutil.copytree(checkpoint, folder / checkpoint.name)
    return folder


CASES = [
    pytest.param(GAIL, PPO_SMALL, False, id="gail"),
    pytest.param(GAIL, PPO_SMALL, True, id="gail, VecNormalize"),
    pytest.param(GAIL, {**PPO_SMALL, "use_sde": True, "sde_sample_freq": 4}, False, id="gSDE"),
    pytest.param(AIRL, PPO_SMALL, False, id="airl"),
    pytest.param(adversarial(TRPO), {**SMALL, "batch_size": 32}, False, id="trpo"),
]


@pytest.mark.parametrize(("cls", "settings", "normalized"), CASES)
def test_a_run_that_goes_on_equals_the_one_that_was_stopped_and_resumed(
    cls: Any, settings: dict[str, Any], normalized: bool, tmp_path: Path, pendulum_expert: Any
) -> None:
    env = VecNormalize(venv(3)) if normalized else venv(3)
    whole = cls("MlpPolicy", env, pendulum_expert, **settings)
    whole.learn(8 * ROUND, callback=Checkpoints(tmp_path / "whole", every=2 * ROUND, keep=9))
    at_four = checkpoint_folders(tmp_path / "whole")[1]
    stopped = only(at_four, tmp_path / "stopped")
    np.random.seed(99)  # noqa: NPY002 (another process has drawn other numbers)
    th.manual_seed(99)

    resumed = load_checkpoint(cls, stopped, venv(), pendulum_expert, device="cpu").model
    assert resumed.num_timesteps == 4 * ROUND
    checkpoints = Checkpoints(stopped, every=2 * ROUND, keep=9)
    resumed.learn(4 * ROUND, callback=checkpoints, reset_num_timesteps=False)

    assert resumed.num_timesteps == whole.num_timesteps
    assert same(resumed.get_parameters(), whole.get_parameters())
    if normalized:
        assert np.array_equal(resumed.get_vec_normalize_env().obs_rms.mean, env.obs_rms.mean)


@pytest.mark.parametrize("cls", [DAC, SQIL])
def test_two_resumes_of_an_off_policy_run_are_the_same(
    cls: Any, tmp_path: Path, pendulum_expert: Any
) -> None:
    settings = {"learning_starts": 10, "batch_size": 16, "buffer_size": 500, "device": "cpu"}
    if cls is DAC:
        settings["warm_start_updates"] = 3
    model = cls("MlpPolicy", venv(3), pendulum_expert, seed=3, **settings)
    model.learn(120, callback=Checkpoints(tmp_path, every=60))
    n_stored = model.replay_buffer.size()

    learned = []
    for number in range(2):
        th.manual_seed(number)
        again = load_checkpoint(cls, tmp_path, venv(), pendulum_expert, device="cpu").model
        assert again.replay_buffer.size() == n_stored
        again.learn(60, reset_num_timesteps=False)
        learned.append(again.get_parameters())
    assert same(*learned)
    assert not same(learned[0], model.get_parameters())


def test_the_replay_buffers_file_holds_what_is_filled(tmp_path: Path, pendulum_expert: Any) -> None:
    model = DAC("MlpPolicy", venv(3), pendulum_expert, warm_start_updates=0, device="cpu", seed=3)
    model.learn(100, callback=Checkpoints(tmp_path))
    file = checkpoint_folders(tmp_path)[-1] / "replay_buffer.pkl"
    assert file.stat().st_size < 50_000  # of a million steps: 40 MB
    again = load_checkpoint(DAC, tmp_path, venv(), pendulum_expert, device="cpu").model
    ours, theirs = again.replay_buffer, model.replay_buffer
    assert ours.observations.shape == theirs.observations.shape
    for name in ("observations", "next_observations", "actions", "dones", "timeouts"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


def test_the_latest_are_kept_and_the_end_of_learn_is_one(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = GAIL("MlpPolicy", venv(3), pendulum_expert, **PPO_SMALL)
    model.learn(5 * ROUND, callback=Checkpoints(tmp_path, every=ROUND, keep=2))
    names = [path.name for path in checkpoint_folders(tmp_path)]
    assert names == [f"{4 * ROUND:012d}", f"{5 * ROUND:012d}"]


def test_learn_that_a_callback_ends_within_a_rollout_leaves_the_checkpoint_before(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            return self.num_timesteps < 3 * ROUND + 6

    model = GAIL("MlpPolicy", venv(3), pendulum_expert, **PPO_SMALL)
    model.learn(9 * ROUND, callback=[Stop(), Checkpoints(tmp_path, every=ROUND)])
    assert checkpoint_folders(tmp_path)[-1].name == f"{3 * ROUND:012d}"


def test_checkpoints_of_another_run_are_neither_mixed_with_nor_lost(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    with new_checkpoint(tmp_path, 10 * ROUND):
        pass
    model = GAIL("MlpPolicy", venv(3), pendulum_expert, **PPO_SMALL)
    with pytest.raises(CheckpointError, match=r"checkpoints of another run, up to step 640; go on"):
        model.learn(2 * ROUND, callback=Checkpoints(tmp_path, every=ROUND))
    assert [path.name for path in checkpoint_folders(tmp_path)] == [f"{10 * ROUND:012d}"]


@pytest.mark.parametrize("cls", [DAC, SQIL])
def test_what_is_stored_first_after_a_resume_has_happened(
    cls: Any, tmp_path: Path, pendulum_expert: Any
) -> None:
    settings = {"learning_starts": 10, "batch_size": 16, "buffer_size": 500, "device": "cpu"}
    if cls is DAC:
        settings["warm_start_updates"] = 3
    normalized = VecNormalize(venv(3))
    model = cls("MlpPolicy", normalized, pendulum_expert, seed=3, **settings)
    model.learn(60, callback=Checkpoints(tmp_path))
    again = load_checkpoint(cls, tmp_path, venv(), pendulum_expert, device="cpu").model
    started, at = again.get_vec_normalize_env().get_original_obs(), again.replay_buffer.pos
    again.learn(8, reset_num_timesteps=False)
    np.testing.assert_allclose(again.replay_buffer.observations[at], started, rtol=1e-6)


def test_a_normaliser_below_a_stack_is_refused_in_one_line(pendulum_expert: Any) -> None:
    stack = VecFrameStack(VecNormalize(venv(3)), 2)
    model = GAIL("MlpPolicy", stack, **PPO_SMALL, normalize_policy_inputs=False)
    stacked = [replace(e, obs=np.concatenate([e.obs, e.obs], axis=1)) for e in pendulum_expert]
    model.set_demonstrations(stacked)
    with pytest.raises(ValueError, match="VecNormalize sees observations of 3 numbers, the model"):
        model.learn(64)


def test_a_broken_checkpoint_is_named_and_the_one_before_is_taken(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = GAIL("MlpPolicy", venv(3), pendulum_expert, **PPO_SMALL)
    model.learn(2 * ROUND, callback=Checkpoints(tmp_path, every=ROUND))
    first, last = checkpoint_folders(tmp_path)
    (last / "model.zip").write_bytes(b"not a zip")
    with pytest.warns(UserWarning, match=f"{last.name}: cannot be read"):
        loaded = load_checkpoint(GAIL, tmp_path, venv(), device="cpu")
    assert loaded.folder == first
    assert (tmp_path / f"broken-{last.name}").is_dir()  # set aside, not lost

    (first / "state.json").write_text("{")
    with (
        pytest.warns(UserWarning, match="cannot be read"),
        pytest.raises(CheckpointError, match="none of its checkpoints can be read"),
    ):
        load_checkpoint(GAIL, tmp_path, venv(), device="cpu")
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        load_checkpoint(GAIL, tmp_path / "nothing", venv())


def test_what_cannot_be_written_leaves_nothing_and_what_was_there_stays(tmp_path: Path) -> None:
    with new_checkpoint(tmp_path, 100) as folder:
        (folder / "model.zip").write_text("first")

    def fill_the_disk() -> None:
        with new_checkpoint(tmp_path, 200) as folder:
            (folder / "model.zip").write_text("half of it")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fill_the_disk()

    assert [path.name for path in tmp_path.iterdir()] == [f"{100:012d}"]
    assert (checkpoint_folders(tmp_path)[0] / "model.zip").read_text() == "first"


def test_a_killed_processs_leavings_are_no_checkpoint_and_are_cleared(tmp_path: Path) -> None:
    for step in (100, 200, 300):
        with new_checkpoint(tmp_path, step):
            pass
    (tmp_path / ".unfinished-400").mkdir()
    assert [path.name[-3:] for path in checkpoint_folders(tmp_path)] == ["100", "200", "300"]
    keep_latest(tmp_path, 2)
    assert sorted(path.name[-3:] for path in tmp_path.iterdir()) == ["200", "300"]


def test_what_is_recorded_for_the_next_row_comes_back() -> None:
    logger, later = Logger(None, []), Logger(None, [])
    logger.record("train/loss", np.float32(0.1))
    logger.record("train/n_updates", 7, exclude="tensorboard")
    for value in (1.0, 2.0):
        logger.record_mean("discriminator/loss", value)
    logger.record("note", "words are not numbers")

    record_again(later, json.loads(json.dumps(recorded(logger))))
    later.record_mean("discriminator/loss", 6.0)

    assert later.name_to_value["train/loss"] == 0.1
    assert str(later.name_to_value["train/n_updates"]) == "7"
    assert later.name_to_excluded["train/n_updates"] == ("tensorboard",)
    assert later.name_to_value["discriminator/loss"] == pytest.approx(3.0)  # of 1, 2 and 6
    assert "note" not in later.name_to_value


def test_models_without_rollouts_and_wrong_numbers_are_refused(pendulum_expert: Any) -> None:
    with pytest.raises(ValueError, match="every is 0; give a positive number"):
        Checkpoints("x", every=0)
    model = BC("MlpPolicy", "Pendulum-v1", pendulum_expert)
    with pytest.raises(ValueError, match="cannot resume BC; use SB3's CheckpointCallback"):
        model.learn(512, callback=Checkpoints("x"))
