"""rl-baselines3-zoo itself, in processes of its own: it patches Gymnasium when it is imported."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import yaml
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize
from wandb_files import PATIENCE, read_back

from sb3_gail_ext import GAIL, save_demonstrations
from sb3_gail_ext.cli.common import InputError
from sb3_gail_ext.presets.loading import load_preset, read_sections, shipped
from sb3_gail_ext.presets.preset import BASES
from sb3_gail_ext.zoo.__main__ import main
from sb3_gail_ext.zoo.algorithms import ALGORITHMS
from sb3_gail_ext.zoo.arguments import training_arguments

needs_zoo = pytest.mark.skipif(
    find_spec("rl_zoo3") is None,
    reason="rl-baselines3-zoo is not installed; pip install 'sb3_gail_ext[zoo]'",
)
HOPPER = "HopperMuJoCoEnv-v0"  # which the zoo would not know


def python(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={
            # Without WANDB_SERVICE, the background process of another test's run.
            **{k: v for k, v in os.environ.items() if not k.startswith("WANDB_")},
            "WANDB_MODE": "offline",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "PYTHONWARNINGS": "ignore",
        },
        capture_output=True,
        text=True,
        timeout=200,
    )


def zoo(*arguments: object, folder: Path) -> str:
    """Standard output of `python -m sb3_gail_ext.zoo`, which must succeed."""
    done = python("-m", "sb3_gail_ext.zoo", *arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- The real package ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, make_trajectory: Any) -> Path:
    """A folder in which the zoo has trained GAIL, with everything it offers on the way."""
    folder = tmp_path_factory.mktemp("zoo")
    episodes = [make_trajectory(n, obs_dim=11, act_dim=3, seed=n) for n in (40, 30, 20)]
    save_demonstrations(folder / "expert.npz", episodes)
    zoo(
        *("train", "--algo", "gail", "--env", HOPPER, "--demos", "expert.npz", "-n", 400),
        *("--eval-freq", 200, "--eval-episodes", 1, "--n-eval-envs", 2, "--save-freq", 200),
        *("-params", "n_envs:2", "n_steps:100", "warm_start_updates:20", "normalize:True"),
        *("--track", "-tags", "mine", "--seed", 1, "--verbose", 0),
        folder=folder,
    )
    return folder


@needs_zoo
def test_the_zoo_trains(trained: Path) -> None:
    results = trained / f"logs/gail/{HOPPER}_1"
    written = {path.name for path in results.iterdir()}
    assert {f"{HOPPER}.zip", "best_model.zip", "rl_model_200_steps.zip"} <= written
    with np.load(results / "evaluations.npz") as evaluations:
        assert evaluations["timesteps"].tolist() == [200, 400]
    settings = yaml.load((results / HOPPER / "config.yml").read_text(), yaml.UnsafeLoader)
    assert settings["demonstrations"] == "expert.npz"
    assert settings["n_timesteps"] == load_preset(None, HOPPER).n_timesteps  # -n is not in it
    model = GAIL.load(results / f"{HOPPER}.zip", device="cpu")
    assert (model.n_steps, model.n_envs, model.num_timesteps) == (100, 2, 400)
    assert model._n_rollouts == 2


def written_run(folder: Path) -> dict[str, Any]:
    """The run in a folder, once W&B's background process has written all of it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        run = read_back(folder).summary
        if "algo" in run["config"] and "rollout/ep_rew_mean" in run["summary"]:
            break
        time.sleep(0.5)
    return run


@needs_zoo
def test_tracking_tells_the_true_return(trained: Path) -> None:
    run = written_run(trained)
    assert run["config"]["algo"] == "gail"
    assert run["config"]["saved_hyperparams"]["demonstrations"] == "expert.npz"
    assert run["tags"][0] == "mine"
    summary = run["summary"]
    assert summary["global_step"] == 400
    [log] = trained.glob("runs/*/*/PPO_1")  # what W&B has copied
    assert list(log.glob("events.out.tfevents*"))
    rewards = [
        np.loadtxt(path, delimiter=",", skiprows=2, ndmin=2)[:, [2, 0]]
        for path in trained.glob(f"logs/gail/{HOPPER}_1/*.monitor.csv")
    ]
    by_time = np.concatenate(rewards)[np.argsort(np.concatenate(rewards)[:, 0]), 1]
    assert summary["rollout/ep_rew_mean"] == pytest.approx(by_time[-100:].mean(), rel=0.05)


@needs_zoo
def test_enjoy_plays_the_model_that_gail_loads(trained: Path) -> None:
    said = zoo(
        *("enjoy", "--algo", "gail", "--env", HOPPER, "-f", "logs", "--exp-id", 1),
        *("--no-render", "-n", 60, "--load-checkpoint", 400),
        folder=trained,
    )
    results = trained / f"logs/gail/{HOPPER}_1"
    model = GAIL.load(results / f"{HOPPER}.zip", device="cpu")
    env = VecNormalize.load(
        str(results / HOPPER / "vecnormalize.pkl"), make_vec_env(HOPPER, seed=0)
    )
    env.training = env.norm_reward = False
    obs, returns, total = env.reset(), [], 0.0
    for _ in range(60):
        obs, reward, done, _ = env.step(model.predict(obs, deterministic=True)[0])
        total += float(reward[0])
        if done[0]:
            returns.append(total)
            total = 0.0
    env.close()
    assert len(returns) > 3
    assert re.findall(r"Episode Reward: (\S+)", said) == [f"{r:.2f}" for r in returns]


@needs_zoo
def test_training_goes_on_from_a_model(trained: Path) -> None:
    before = trained / f"logs/gail/{HOPPER}_1/{HOPPER}.zip"
    zoo(
        *("train", "--algo", "gail", "--env", HOPPER, "--demos", "expert.npz", "-n", 200),
        *("-params", "n_envs:2", "normalize:True", "--eval-freq", -1, "-f", "more"),
        *("-i", before, "--vec-env", "subproc", "--verbose", 0),
        folder=trained,
    )
    old = GAIL.load(before, device="cpu")
    new = GAIL.load(trained / f"more/gail/{HOPPER}_1/{HOPPER}.zip", device="cpu")
    assert (new._n_rollouts, new.n_steps) == (old._n_rollouts + 1, 100)
    assert not np.array_equal(
        *(m.policy.action_net.weight.detach().numpy() for m in (old, new))  # type: ignore[arg-type]
    )


_WHAT_THE_ZOO_MAKES = """
import argparse, json, sys
import sb3_gail_ext
from rl_zoo3.exp_manager import ExperimentManager
made = {}
for algo, env_id in json.loads(sys.argv[1]):
    manager = ExperimentManager(
        argparse.Namespace(), algo, env_id, "logs", verbose=0,
        config=f"sb3_gail_ext.zoo.hyperparams.{algo}",
    )
    arguments, *_ = manager._preprocess_hyperparams(manager.read_hyperparameters()[0])
    made[f"{algo} {env_id}"] = [arguments, manager.n_timesteps, manager.n_envs]
print(json.dumps(made))
"""


@needs_zoo
def test_the_zoo_trains_with_the_presets_of_sb3_gail_train(tmp_path: Path) -> None:
    """Whatever of a preset the zoo would not read as `sb3-gail train` does is found here."""
    asked = [
        (algo, env_id)
        for algo in ("gail", "dac")
        for env_id in {"Pendulum-v1", *read_sections(shipped(algo))} - {"default"}
    ]
    done = python("-c", _WHAT_THE_ZOO_MAKES, json.dumps(asked), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout.splitlines()[-1])
    for algo, env_id in asked:
        preset = load_preset(None, env_id, algo)
        arguments = {"policy": preset.policy, **preset.algorithm_kwargs}
        assert made[f"{algo} {env_id}"] == [arguments, preset.n_timesteps, preset.n_envs]


_MANY_MAINS = """
import json, sys
from sb3_gail_ext.zoo.__main__ import main
for arguments in json.loads(sys.argv[1]):
    print("exit", main(arguments), file=sys.stderr)
"""


@needs_zoo
def test_what_the_zoo_refuses_is_one_line(hopper_file: Path, tmp_path: Path) -> None:
    train = ["train", "--algo", "gail", "--demos", str(hopper_file), "--verbose", "0", "--env"]
    enjoy = ["enjoy", "--algo", "gail", "--env", HOPPER, "-f", "nowhere"]
    (tmp_path / "mine.yml").write_text(f"{HOPPER}: {{policy: MlpPolicy, n_timesteps: 100}}\n")
    mine = ["train", "--algo", "gail", "--env", HOPPER, "-conf", "mine.yml", "--verbose", "0"]
    asked = [
        ([*train, "Pendulum-v1"], f"{hopper_file}: "),  # another environment's
        ([*train, "Hoper-v4"], "Hoper-v4 not found in gym registry, you maybe meant Hopper-v4"),
        ([*train, HOPPER, "-params", "gradient_penalty:-1"], "gradient_penalty is -1"),
        (mine, "there are no demonstrations to learn from"),
        (enjoy, "The nowhere/gail folder was not found"),
    ]
    mains = json.dumps([arguments for arguments, _ in asked])
    done = python("-c", _MANY_MAINS, mains, folder=tmp_path)
    lines = [line for line in done.stderr.splitlines() if "pybullet build time" not in line]
    assert len(lines) == 2 * len(asked), done.stderr
    for (_, message), said, status in zip(asked, lines[::2], lines[1::2], strict=True):
        assert said.startswith(f"sb3_gail_ext.zoo: {message}")
        assert status == "exit 2"


# --- What needs no zoo --------------------------------------------------------------------------


def test_help_names_every_algorithm(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ALGORITHMS)
    assert "train --algo gail --env Hopper-v4 --demos my_expert.npz" in said


def test_without_the_zoo_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rl_zoo3", None)
    assert main(["enjoy", "--algo", "gail"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "pip install 'sb3_gail_ext[zoo]'" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plot"], "give train or enjoy"),
        (["train", "--algo", "gail"], "gail learns from demonstrations; give --demos"),
        (["train", "--algo", "bc", "-params", "batch_size:8"], "bc learns from demonstrations"),
        (["train", "--algo", "gail", "--demos", "none.npz"], "none.npz: no such file"),
        (["train", "--algo", "gail", "--demos"], "--demos: expected one argument"),
        (["train", "--demos", "expert.npz"], "--algo is ppo, which learns from no demonstr"),
        (["train", "--algo", "gail", "-optimize"], "there is no search space for gail"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said, errors = capsys.readouterr()
    assert not said
    assert errors.count("\n") == 1
    assert errors.startswith("sb3_gail_ext.zoo: ")
    assert message in errors


def test_demonstrations_become_a_hyperparameter_that_python_reads(tmp_path: Path) -> None:
    file = tmp_path / "it's mine: 1.npz"
    file.touch()
    given = ["-P", "--algo", "gail", "-params", "gamma:0.9", "--demos", str(file)]
    made = training_arguments([*given, "--eval-freq", "-1", "-tags", "a", "b"])
    assert made[:6] == ["-P", "--eval-freq", "-1", "-tags", "a", "b"]
    assert made[6:10] == ["--algo", "gail", "-conf", "sb3_gail_ext.zoo.hyperparams.gail"]
    assert made[10:12] == ["-params", "gamma:0.9"]
    key, _, value = made[12].partition(":")
    assert (key, eval(value)) == ("demonstrations", str(file))  # as the zoo does


def test_the_users_own_arguments_stay() -> None:
    assert training_arguments(["--algo", "ppo", "-optimize"]) == ["--algo", "ppo", "-optimize"]
    mine = training_arguments(["--algo", "dac", "-conf", "mine.yml"])
    assert mine == ["--algo", "dac", "-conf", "mine.yml"]
    given = ["-params", "demonstrations:'a.npz'"]
    assert training_arguments(["--algo", "sqil", *given])[-2:] == given
    with pytest.raises(InputError):
        training_arguments(["--algo", "dac"])


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_every_algorithm_has_hyperparameters_for_every_environment(algo: str) -> None:
    module = importlib.reload(importlib.import_module(f"sb3_gail_ext.zoo.hyperparams.{algo}"))
    assert module.hyperparams.keys() == gym.registry.keys()
    one, other = (module.hyperparams[env_id] for env_id in ("Pendulum-v1", "CartPole-v1"))
    assert one == other
    assert one is not other  # the zoo writes into them


def test_lengths_are_those_of_the_algorithms() -> None:
    modules = "sb3_gail_ext.zoo.hyperparams"
    settings = {
        algo: importlib.import_module(f"{modules}.{algo}").hyperparams["Pendulum-v1"]
        for algo in ("airl", "gaifo", "sqil", "bc")
    }
    steps = {algo: of_algo["n_timesteps"] for algo, of_algo in settings.items()}
    as_gail, as_dac = BASES["gail"].n_timesteps, BASES["dac"].n_timesteps
    draws = 10_000 * 256  # updates of BC's default batch
    assert steps == {"airl": as_gail, "gaifo": as_gail, "sqil": as_dac, "bc": draws}
