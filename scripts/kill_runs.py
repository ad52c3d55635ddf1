"""Kill training runs at random moments, resume them, and count what is lost.

    python scripts/kill_runs.py --kills 200 --out docs/results/kills.json

Runs of `sb3-gail train` on the PyBullet Hopper, GAIL and DAC in turn, are killed with SIGKILL while
they load, train, and write checkpoints, and resumed until they are done. After each kill every
checkpoint must load. Of GAIL the finished model must be, to the bit, that of a run that nobody
killed. Forks from one process, which has imported everything: Unix only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch as th
from stable_baselines3.common.env_util import make_vec_env

from sb3_gail_ext.checkpoints.errors import CheckpointError
from sb3_gail_ext.checkpoints.folders import checkpoint_folders
from sb3_gail_ext.checkpoints.reading import load_checkpoint
from sb3_gail_ext.demonstrations.cards import package_versions
from sb3_gail_ext.experiment import TrainingRun, run_training
from sb3_gail_ext.presets.preset import ALGORITHMS, Preset

ENV = "HopperMuJoCoEnv-v0"
DEMONSTRATIONS = Path(f"expert_data/{ENV}/deterministic.trpo.Hopper.0.00.npz")
PRESETS = {
    "gail": Preset(
        n_timesteps=4_096,
        n_envs=2,
        algorithm_kwargs={"n_steps": 128, "warm_start_updates": 20, "rehearsal_updates": 2},
    ),
    "dac": Preset(
        n_timesteps=1_024,
        n_envs=1,
        algorithm_kwargs={"warm_start_updates": 20, "learning_starts": 100},
        algorithm="dac",
    ),
}


@dataclass
class Count:
    """What the kills did."""

    kills: int = 0
    runs: int = 0
    resumed_from_nothing: int = 0  # killed before the first checkpoint
    checkpoints_loaded: int = 0
    unreadable: int = 0
    lost_runs: int = 0  # that could not be resumed to their end
    different: int = 0  # of GAIL's, whose model is not the one of a run that was not killed


def a_run(algorithm: str, seed: int, folder: Path, demonstrations: Path) -> TrainingRun:
    return TrainingRun(
        env_id=ENV,
        demonstrations=demonstrations,
        folder=folder,
        preset=PRESETS[algorithm],
        seed=seed,
        limit=2,
        n_evaluation_episodes=1,
        videos=False,
        progress_bar=False,
        checkpoint_every=256 if algorithm == "gail" else 64,
    )


def fork(run: TrainingRun) -> int:
    """A process that trains; its id."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            warnings.simplefilter("ignore")
            run_training(run, say=lambda line: None)
            status = 0
        finally:
            os._exit(status)
    return child


def finished(child: int, seconds: float) -> int | None:
    """Its exit status; None: it was killed after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def check_checkpoints(run: TrainingRun, count: Count) -> None:
    """Each of them alone must load."""
    for path in checkpoint_folders(run.checkpoints):
        with tempfile.TemporaryDirectory() as alone, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.symlink(path, Path(alone) / path.name)
            venv = make_vec_env(run.env_id, n_envs=run.preset.n_envs)
            try:
                load_checkpoint(ALGORITHMS[run.preset.algorithm], alone, venv, device="cpu")
                count.checkpoints_loaded += 1
            except CheckpointError:
                count.unreadable += 1
            venv.close()


def kill_until_done(run: TrainingRun, count: Count, longest: float, rng: random.Random) -> None:
    """Train, kill, resume, ... until the run is done."""
    count.runs += 1
    while True:
        status = finished(fork(replace(run, resume=True)), rng.uniform(0.02, longest))
        if status is not None:
            count.lost_runs += status != 0
            return
        count.kills += 1
        count.resumed_from_nothing += not checkpoint_folders(run.checkpoints)
        check_checkpoints(run, count)


def weights(folder: Path) -> dict[str, th.Tensor]:
    parameters = ALGORITHMS["gail"].load(folder / "model.zip", device="cpu").get_parameters()
    return {**parameters["policy"], **parameters["discriminator.net"]}


def are_equal(one: dict[str, th.Tensor], other: dict[str, th.Tensor]) -> bool:
    return one.keys() == other.keys() and all(th.equal(one[key], other[key]) for key in one)


def count_kills(n_kills: int, folder: Path, demonstrations: Path, longest: float = 4.0) -> Count:
    """Kills until there were `n_kills`, the run that is being killed then to its end."""
    count, rng, number = Count(), random.Random(0), 0
    while count.kills < n_kills:
        algorithm = ("gail", "dac")[number % 2]
        run = a_run(algorithm, number, folder / f"killed_{number}", demonstrations)
        kill_until_done(run, count, longest, rng)
        if algorithm == "gail" and not count.lost_runs:
            whole = replace(run, folder=folder / f"whole_{number}")
            os.waitpid(fork(whole), 0)
            count.different += not are_equal(weights(run.folder), weights(whole.folder))
            shutil.rmtree(whole.folder)
        shutil.rmtree(run.folder)
        number += 1
        print(f"{count.kills} kills, {count.runs} runs: {asdict(count)}", flush=True)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    th.set_num_threads(1)
    make_vec_env(ENV).close()  # PyBullet says hello once, not in each process
    with tempfile.TemporaryDirectory() as folder:
        count = count_kills(arguments.kills, Path(folder), DEMONSTRATIONS)
    content = {
        "command": f"python scripts/kill_runs.py --kills {arguments.kills} --out {arguments.out}",
        **asdict(count),
        "versions": package_versions(),
    }
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
