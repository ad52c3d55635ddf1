"""`sb3-gail train --resume`: what was killed, stopped or broken ends as if it had not been."""

from __future__ import annotations

import csv
import errno
import os
import random
import resource
import runpy
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from wandb_files import csv_rows, files_of, metrics, read_file

from sb3_gail_ext import DAC, GAIL
from sb3_gail_ext import experiment as experiment_module
from sb3_gail_ext.checkpoints.errors import CheckpointError
from sb3_gail_ext.checkpoints.folders import checkpoint_folders
from sb3_gail_ext.cli.main import main
from sb3_gail_ext.evaluation.live import ChapterFigureCallback
from sb3_gail_ext.experiment import TrainingRun, TrainingStopped, run_training
from sb3_gail_ext.failures import NotFiniteError
from sb3_gail_ext.folder_lock import FolderInUseError, sole_user
from sb3_gail_ext.presets.preset import Preset

HOPPER = "HopperMuJoCoEnv-v0"
SETTINGS = {"n_steps": 32, "n_epochs": 1, "warm_start_updates": 3, "batch_size": 32}
TINY = Preset(n_timesteps=512, n_envs=2, algorithm_kwargs=SETTINGS)  # eight rollouts
TIMES = ("time/fps", "time/time_elapsed", "time/iterations")  # of a process, not of a run


class FewTests(ChapterFigureCallback):
    """Tests twice as many times as a tiny run has checkpoints, with one episode."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "every": 100, "n_episodes": 1})


@pytest.fixture(autouse=True)
def few_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment_module, "ChapterFigureCallback", FewTests)


class At(BaseCallback):
    """Does something once a number of steps is reached."""

    def __init__(self, step: int, do: Callable[[], None]) -> None:
        super().__init__()
        self.step, self.do, self.done = step, do, False

    def _on_step(self) -> bool:
        if not self.done and self.num_timesteps >= self.step:
            self.done = True
            self.do()
        return True


def a_run(demonstrations: Path, folder: Path, **kwargs: Any) -> TrainingRun:
    small = {"preset": TINY, "n_evaluation_episodes": 1, "videos": False, "progress_bar": False}
    return TrainingRun(
        HOPPER, demonstrations, folder, **{**small, "checkpoint_every": 128, **kwargs}
    )


def train(run: TrainingRun) -> list[str]:
    said: list[str] = []
    run_training(run, said.append)
    return said


def break_at(monkeypatch: pytest.MonkeyPatch, step: int, do: Callable[[], None]) -> None:
    """What `do` does happens in the first `learn`, at `step`."""
    learn, at = GAIL.learn, At(step, do)

    def breaking(model: Any, n: int, callback: list[Any], **kwargs: Any) -> Any:
        return learn(model, n, callback=[at, *callback], **kwargs)

    monkeypatch.setattr(GAIL, "learn", breaking)


def fail(error: BaseException) -> Callable[[], None]:
    def raise_it() -> None:
        raise error

    return raise_it


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [
            {key: value for key, value in row.items() if key not in TIMES}
            for row in csv.DictReader(file)
        ]


def weights(folder: Path, cls: Any = GAIL) -> dict[str, th.Tensor]:
    parameters = cls.load(folder / "model.zip", device="cpu").get_parameters()
    return {**parameters["policy"], **parameters["discriminator.net"]}


def same_weights(one: Path, other: Path) -> bool:
    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(th.equal(ours[key], theirs[key]) for key in ours)


@pytest.fixture
def whole(hopper_file: Path, tmp_path: Path) -> Path:
    """The folder of a run that nobody stopped."""
    train(a_run(hopper_file, tmp_path / "whole"))
    return tmp_path / "whole"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("by nothing"), "step 300: ZeroDivisionError: by nothing"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    ],
)
def test_a_run_that_failed_says_why_and_how_to_go_on_and_then_is_the_whole_one(
    error: Exception,
    words: str,
    whole: Path,
    hopper_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "failed"
    break_at(monkeypatch, 300, fail(error))
    with pytest.raises(TrainingStopped, match=words) as stopped:
        train(a_run(hopper_file, folder))
    assert stopped.value.exit_code == 1
    assert str(stopped.value).endswith(
        f"; go on from step 256 with: sb3-gail train --resume --out {folder}"
    )
    assert "\n" not in str(stopped.value)
    assert type(error).__name__ in (folder / "error.txt").read_text()
    assert not (folder / "summary.json").exists()

    said = train(a_run(hopper_file, folder, resume=True))
    assert said[0] == "going on from step 256 of 512"
    assert same_weights(folder, whole)
    assert table(folder) == table(whole)
    assert [path.name for path in checkpoint_folders(folder / "checkpoints")] == [
        f"{step:012d}" for step in (256, 384, 512)
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_after_the_rollout_with_everything_on_disk(
    number: int, whole: Path, hopper_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, handler = tmp_path / "stopped", signal.getsignal(number)
    break_at(monkeypatch, 330, lambda: os.kill(os.getpid(), number))
    with pytest.raises(TrainingStopped, match="stopped; go on from step 384") as stopped:
        train(a_run(hopper_file, folder))
    assert stopped.value.exit_code == 130
    assert signal.getsignal(number) is handler
    train(a_run(hopper_file, folder, resume=True))
    assert same_weights(folder, whole)
    assert table(folder) == table(whole)


def test_an_end_between_two_checkpoints_is_gone_on_from(
    hopper_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_at(monkeypatch, 270, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(TrainingStopped, match="stopped; go on from step 320"):
        train(a_run(hopper_file, tmp_path / "one"))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for name in ("one", "two"):
        assert train(a_run(hopper_file, tmp_path / name, resume=True))[0].startswith("going on")
    assert same_weights(tmp_path / "one", tmp_path / "two")
    assert [int(row["time/total_timesteps"]) for row in table(tmp_path / "one")] == [
        *range(64, 513, 64),
        512,
    ]


def test_a_full_disk_leaves_the_checkpoint_before(whole: Path, hopper_file: Path) -> None:
    """A file system that takes no more: the largest file that this process may write is small."""
    folder = whole.parent / "full"
    child = os.fork()
    if child == 0:
        status = 9
        try:
            fill = At(200, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            learn = GAIL.learn
            GAIL.learn = lambda m, n, callback, **k: learn(m, n, callback=[fill, *callback], **k)
            train(a_run(hopper_file, folder))
        except TrainingStopped as stopped:
            status = 0 if "go on from step 128" in str(stopped) else 8
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [path.name for path in (folder / "checkpoints").iterdir()] == [f"{128:012d}"]
    train(a_run(hopper_file, folder, resume=True))
    assert same_weights(folder, whole)


def test_a_run_that_diverged_is_kept_but_not_advised_to_do_so_again(
    hopper_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_at(monkeypatch, 300, fail(NotFiniteError("step 300: a loss is nan; lower it")))
    with pytest.raises(TrainingStopped, match="the checkpoint of step 256 is in") as stopped:
        train(a_run(hopper_file, tmp_path / "run"))
    assert "--resume" not in str(stopped.value)


def test_a_folder_has_one_process_and_a_finished_run_is_not_begun_again(
    whole: Path, hopper_file: Path
) -> None:
    run = a_run(hopper_file, whole, resume=True)
    with sole_user(whole), pytest.raises(FolderInUseError, match="in use by another run"):
        train(run)
    shutil.rmtree(whole / "checkpoints")
    with pytest.raises(CheckpointError, match="a finished run without checkpoints"):
        train(run)
    assert (whole / "summary.json").exists()


def test_a_second_ctrl_c_stops_at_once(
    hopper_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    break_at(monkeypatch, 140, twice)
    with pytest.raises(TrainingStopped, match="stopped at once; go on from step 128") as stopped:
        train(a_run(hopper_file, tmp_path / "run"))
    assert stopped.value.exit_code == 130


def test_a_run_that_was_killed_while_it_was_evaluated_is_evaluated(
    whole: Path, hopper_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(experiment_module, "evaluate", lambda *_, **__: fail(SystemError("killed"))())
        with pytest.raises(SystemError):
            train(a_run(hopper_file, folder))
    train(a_run(hopper_file, folder, resume=True))
    assert (folder / "summary.json").exists()
    assert same_weights(folder, whole)
    assert table(folder) == table(whole)


def test_dac_goes_on_with_its_replay_buffer(
    hopper_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"warm_start_updates": 3, "learning_starts": 20}
    preset = Preset(n_timesteps=120, n_envs=1, algorithm_kwargs=settings, algorithm="dac")
    run = a_run(hopper_file, tmp_path, preset=preset, checkpoint_every=40)
    learn = DAC.learn

    def breaking(model: Any, n: int, callback: list[Any], **kwargs: Any) -> Any:
        at = At(100, fail(RuntimeError("by a test")))
        return learn(model, n, callback=[at, *callback], **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(DAC, "learn", breaking)
        with pytest.raises(TrainingStopped, match="go on from step 80"):
            train(run)
    train(replace(run, resume=True))
    last = checkpoint_folders(tmp_path / "checkpoints")[-1]
    model = DAC.load(last / "model.zip", device="cpu")
    model.load_replay_buffer(last / "replay_buffer.pkl")
    assert model.num_timesteps == model.replay_buffer.size() == 120


def test_one_wandb_run_holds_the_curve_of_both_processes(
    hopper_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(hopper_file, tmp_path / "run", wandb_project="test")
    break_at(monkeypatch, 300, fail(RuntimeError("by a test")))
    with pytest.raises(TrainingStopped):
        train(run)
    train(replace(run, resume=True))
    parts = [read_file(file) for file in files_of(run.folder)]
    assert len(parts) == 2
    assert len({part.run["run_id"] for part in parts}) == 1
    in_wandb = [row for part in parts for row in metrics(part.history)]
    for row in csv_rows(run.folder / "metrics.csv"):
        if row["time/total_timesteps"] > 256:  # of the second process
            assert row in in_wandb


def test_the_command_line_resumes_with_the_folder_alone(
    hopper_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = str(tmp_path / "run")
    asked = ["train", "--env", HOPPER, "--demos", str(hopper_file), "--out", out, "--steps", "512"]
    asked += ["--eval-episodes", "1", "--no-videos", "--no-progress", "--checkpoint-every", "128"]
    for key, value in SETTINGS.items():
        asked += ["--set", f"{key}={value}"]
    asked += ["--n-envs", "2", "--seed", "4"]
    break_at(monkeypatch, 300, fail(RuntimeError("by a test")))

    assert main(asked) == 1
    error = capsys.readouterr().err
    assert error.endswith(f"go on from step 256 with: sb3-gail train --resume --out {out}\n")
    assert error.count("\n") == 1
    assert main(asked) == 2
    assert "an unfinished run at step 256; go on with it (--resume)" in capsys.readouterr().err
    assert main([*asked, "--resume", "--seed", "5"]) == 2
    assert "the run began with seed 4, not 5" in capsys.readouterr().err
    assert main([*asked, "--resume", "--set", "gamma=0.9"]) == 2
    assert "the run began with gamma 0.99, not 0.9" in capsys.readouterr().err

    assert main(["train", "--resume", "--out", out, "--no-progress"]) == 0
    assert "going on from step 256 of 512" in capsys.readouterr().out
    steps = [int(row["time/total_timesteps"]) for row in table(Path(out))]
    assert steps == [*range(64, 513, 64), 512]  # the last test has a row of its own


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--resume"], "--resume needs --out"),
        (["--resume", "--out", "nowhere"], "nowhere: no config.json of a run"),
        (["--resume", "--out", "x", "--steps", "9", "--tensorboard"], "leave out --steps, --tens"),
        ([], "give --env and --demos"),
        (["--env", HOPPER], "give --env and --demos"),
    ],
)
def test_what_cannot_be_resumed_is_refused_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_other_demonstrations_are_no_continuation(hopper_file: Path, tmp_path: Path) -> None:
    run = a_run(hopper_file, tmp_path / "run")
    train(run)
    with pytest.raises(CheckpointError, match="the run began with limit None, not 1"):
        train(replace(run, resume=True, limit=1))


def test_kills_at_random_moments_lose_nothing(hopper_file: Path, tmp_path: Path) -> None:
    """A short form of `scripts/kill_runs.py`, which makes 200."""
    script = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "kill_runs.py"))
    count, rng = script["Count"](), random.Random(0)
    run = script["a_run"]("gail", 1, tmp_path / "killed", hopper_file)
    run = replace(run, preset=replace(run.preset, n_timesteps=2_048))
    script["kill_until_done"](run, count, 2.0, rng)
    assert count.kills >= 1
    assert count.unreadable == count.lost_runs == 0

    child = script["fork"](replace(run, folder=tmp_path / "whole"))
    os.waitpid(child, 0)
    assert same_weights(tmp_path / "killed", tmp_path / "whole")
