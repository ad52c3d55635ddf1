"""The command line, as a user meets it: what it writes, and how it refuses."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest
from conftest import Refused
from imitation.data.types import TrajectoryWithRew
from stable_baselines3 import PPO

from sb3_gail_ext import experiment, load_demonstrations
from sb3_gail_ext.cli.demos import ACTIONS
from sb3_gail_ext.cli.main import main
from sb3_gail_ext.demonstrations.cards import write_card

HOPPER = "HopperMuJoCoEnv-v0"
DEMOS = tuple(["demos", module.__name__.rpartition(".")[2]] for module in ACTIONS)
COMMANDS = (["train"], ["evaluate"], ["watch"], ["expert"], ["demos"], *DEMOS)
Factory = Callable[..., TrajectoryWithRew]


def run_as_user(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("sb3-gail")
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "policy.zip"
    PPO("MlpPolicy", HOPPER, n_steps=8, batch_size=8, seed=0, device="cpu").save(path)
    return path


# --- Help --------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_every_command_explains_itself(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: {' '.join(['sb3-gail', *command])} ")
    if command not in ([], ["demos"]):
        assert "examples:\n  sb3-gail " + " ".join(command) in text


# --- Bad input ---------------------------------------------------------------------------------


def damaged(file: Path, **arrays: Any) -> Path:
    """The file with some arrays replaced; None removes one."""
    with np.load(file) as npz:
        content = {key: npz[key] for key in npz.files if key != "metadata"}
    changed = {key: value for key, value in {**content, **arrays}.items() if value is not None}
    np.savez(file, **changed)
    return file


def test_a_missing_file(refused: Refused, tmp_path: Path) -> None:
    refused.train(tmp_path / "absent.npz", words=r"absent\.npz: no such file")


def test_a_truncated_file(refused: Refused, hopper_file: Path) -> None:
    hopper_file.write_bytes(hopper_file.read_bytes()[:2000])
    refused.train(hopper_file, words=r"expert\.npz: truncated archive")


def test_wrong_keys(refused: Refused, hopper_file: Path) -> None:
    refused.train(damaged(hopper_file, acs=None), words=r"expert\.npz: no array acs; found")


def test_nan(refused: Refused, hopper_file: Path) -> None:
    with np.load(hopper_file) as npz:
        obs = npz["obs"].copy()
    obs[0, 3] = np.nan
    refused.train(damaged(hopper_file, obs=obs), words="obs is not finite in episode 0, step 3")


def test_actions_out_of_bounds(refused: Refused, hopper_file: Path) -> None:
    with np.load(hopper_file) as npz:
        acs = npz["acs"] * 3
    refused.train(damaged(hopper_file, acs=acs), words="acts leave the action space")


def test_observations_of_another_dimension(refused: Refused, hopper_file: Path) -> None:
    refused.train(hopper_file, env="Walker2DMuJoCoEnv-v0", words=r"obs has shape \(11,\) per step")
    refused(
        "demos", "info", hopper_file, "--env", "CartPole-v1", words=r"\(11,\) .*\(4,\).*another"
    )


def test_an_unknown_environment(refused: Refused, hopper_file: Path, model_file: Path) -> None:
    words = "cannot make environment Nope-v0"
    refused.train(hopper_file, env="Nope-v0", words=words)
    refused("evaluate", model_file, "--env", "Nope-v0", words=words)
    refused("watch", model_file, "--env", "Nope-v0", words=words)
    refused("expert", "--env", "Nope-v0", "--out", refused.out, words=words)
    refused("demos", "info", hopper_file, "--env", "Nope-v0", words=words)


@pytest.mark.parametrize("name", ["steps", "n-envs", "eval-episodes"])
@pytest.mark.parametrize("value", [0, -5])
def test_numbers_must_be_positive(
    refused: Refused, hopper_file: Path, name: str, value: int
) -> None:
    refused.train(hopper_file, f"--{name}", value, words=f"--{name} is {value}; give a positive")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("gama=0.9", "--set: unknown key 'gama'; the nearest known one is 'gamma'"),
        ("gamma=true", "--set: gamma is True; give a number"),
        ("n_envs=0", "--set: n_envs is 0; give a positive number"),
        ("gamma", "--set gamma: no value; give KEY=VALUE"),
        ("gamma=[", r"--set gamma=\[: not YAML data"),
        ("reward_form=gial", r"preset .* with reward_form=gial: GAIL refuses .*'gial'; use one of"),
        ("policy_kwargs={log_std_int: 1}", "GAIL refuses .*argument 'log_std_int'"),
        ("batch_size=1", "GAIL refuses .*batch_size. must be greater than 1"),
    ],
)
def test_settings_that_cannot_be_used(
    refused: Refused, hopper_file: Path, setting: str, words: str
) -> None:
    refused.train(hopper_file, "--set", setting, words=words)


def test_presets_that_cannot_be_used(refused: Refused, hopper_file: Path, tmp_path: Path) -> None:
    refused.train(hopper_file, "--preset", "Hoper-v4", words="no section Hoper-v4; it has default,")
    refused.train(hopper_file, "--preset", tmp_path / "no.yml", words=r"no\.yml: No such file")
    preset = tmp_path / "mine.yml"
    preset.write_text(f"{HOPPER}:\n  gama: 0.9\n")
    refused.train(
        *(hopper_file, "--preset", preset),
        words=rf"mine\.yml, section {HOPPER}: unknown key 'gama'; .*'gamma'",
    )
    preset.write_text("default:\n  gamma: 0.9\n  n_epochs: 2.0\n")
    refused.train(
        *(hopper_file, "--preset", preset),
        words=r"mine\.yml, section default: n_epochs is 2\.0; give a whole number",
    )


def test_a_preset_runs_nothing(refused: Refused, hopper_file: Path, tmp_path: Path) -> None:
    preset = tmp_path / "evil.yml"
    preset.write_text(f"default: !!python/object/apply:os.system ['touch {tmp_path}/ran']\n")
    refused.train(hopper_file, "--preset", preset, words=r"evil\.yml: not YAML data \(line 1: ")
    assert not (tmp_path / "ran").exists()


def test_a_limit_too_large(refused: Refused, hopper_file: Path) -> None:
    refused.train(hopper_file, "--limit", 4, words="limit is 4, but the file holds 3 episodes")
    refused.train(hopper_file, "--limit", 0, words="limit is 0")
    refused.train(hopper_file, "--subsample", 0, words="subsample is 0")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", "-1"], "--seed: -1 is not a number from 0"),
        (["--seed", str(2**32)], "--seed"),
        (["--steps", "many"], "--steps: invalid int value: 'many'"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_arguments_that_cannot_be_read(
    refused: Refused, hopper_file: Path, arguments: list[str], words: str
) -> None:
    refused.train(hopper_file, *arguments, words=words)


def test_no_command_and_an_unknown_one(refused: Refused) -> None:
    refused(words="COMMAND")
    refused("fly", words="'fly'")
    refused("train", "--env", HOPPER, words="--demos")


def test_demonstrations_of_another_environment(refused: Refused, hopper_file: Path) -> None:
    write_card(hopper_file, {"environment": "Hopper-v4"})
    refused.train(hopper_file, words=f"recorded in Hopper-v4, not in {HOPPER}; use --env Hopper-v4")


def test_a_card_of_another_file(refused: Refused, hopper_file: Path) -> None:
    write_card(hopper_file, {"environment": HOPPER})
    damaged(hopper_file)
    refused.train(hopper_file, words="sha256 is not that of")
    refused("demos", "info", hopper_file, words="sha256 is not that of")


def test_a_wrong_model_file(
    refused: Refused, hopper_file: Path, tmp_path: Path, model_file: Path
) -> None:
    for command in ("evaluate", "watch"):
        absent = tmp_path / "absent.zip"
        refused(command, absent, "--env", HOPPER, words=r"absent\.zip: no such file")
        refused(command, hopper_file, "--env", HOPPER, words="no SB3 model with a policy")
        refused(command, model_file, "--env", "CartPole-v1", words="was not trained on CartPole-v1")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(model_file.read_bytes()[:1000])
    refused("evaluate", cut, "--env", HOPPER, words=r"cut\.zip: no SB3 model with a policy")
    refused("evaluate", model_file, "--env", HOPPER, "--episodes", 0, words="--episodes is 0")
    bad = damaged(hopper_file, acs=None)
    refused("evaluate", model_file, "--env", HOPPER, "--demos", bad, words="no array acs")


def test_a_film_that_cannot_be_written(refused: Refused, tmp_path: Path, model_file: Path) -> None:
    refused(
        *("watch", model_file, "--env", HOPPER, "--steps", 2, "--film", tmp_path / "x.txt"),
        words=r"x\.txt: .*film\.mp4",
    )
    assert not list(tmp_path.glob("*x.txt"))


def test_no_window_without_a_display(
    refused: Refused, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    refused("watch", model_file, "--env", HOPPER, words="no display for a window; add --film")


def test_an_expert_that_cannot_be_made(refused: Refused) -> None:
    expert = ["expert", "--env", HOPPER, "--out", refused.out]
    refused(*expert, "--algo", "dqn", words="invalid choice: 'dqn'")
    refused(*expert, "--steps", -1, words="--steps is -1")
    refused(*expert, "--episodes", 0, words="--episodes is 0")


def test_the_installed_program_refuses_in_one_line_too(hopper_file: Path, tmp_path: Path) -> None:
    """In a fresh process, where PyBullet would announce itself on stderr."""
    out = tmp_path / "out"
    bad = damaged(hopper_file, obs=None)
    ended = run_as_user("train", "--env", HOPPER, "--demos", bad, "--out", out)
    assert ended.returncode == 2
    assert re.fullmatch(r"sb3-gail: .*expert\.npz: no array obs.*\n", ended.stderr)
    assert ended.stdout == ""
    assert not out.exists()


def test_a_reader_that_has_read_enough_is_no_error(hopper_file: Path) -> None:
    program = Path(sys.executable).with_name("sb3-gail")
    files = [str(hopper_file)] * 40
    with subprocess.Popen(
        [program, "demos", "info", *files], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # as `head` does
        printed = process.stderr.read().decode()
    assert process.returncode == 141
    assert "sb3-gail:" not in printed
    assert "Error" not in printed


def test_a_folder_or_a_pipe_is_not_replaced(hopper_file: Path, refused: Refused) -> None:
    fixed = ("demos", "convert", hopper_file, hopper_file.parent, "--to", "chapter", "--force")
    refused(*fixed, words=": not a regular file, so nothing is written there")


def test_an_interrupt_is_no_traceback(
    hopper_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "run_training", interrupt)
    assert main(["train", "--env", HOPPER, "--demos", str(hopper_file)]) == 130
    assert capsys.readouterr().err == "sb3-gail: stopped\n"


# --- Commands that work ------------------------------------------------------------------------


def test_train_writes_everything_it_promises_and_evaluate_agrees(
    hopper_file: Path,
    tmp_path: Path,
    few_tests: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "new" / "run"
    preset = tmp_path / "mine.yml"
    preset.write_text(
        "default: {n_timesteps: 999999, n_envs: 3, n_steps: 150, gamma: 0.9, "
        "warm_start_updates: 10}\n"
    )
    command = ["train", "--env", HOPPER, "--demos", str(hopper_file), "--out", str(out)]
    small = ["--steps", "300", "--eval-episodes", "2", "--n-envs", "2", "--limit", "2"]
    settings = ["--preset", str(preset), "--set", "gamma=0.8", "--set", "n_epochs=1"]
    assert main([*command, *small, *settings, "--seed", "3", "--no-progress"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(
        f"training for 300 steps, preset default ({preset}) with gamma=0.8, n_epochs=1; watch "
    )
    assert printed.out.splitlines()[-1].startswith("The imitator ")

    summary = json.loads((out / "summary.json").read_text())
    promised = (
        "return_mean return_median return_std expert_return_mean normalized env_steps seconds"
    )
    assert {*promised.split(), "seed", "versions"} <= summary.keys()
    assert summary["seed"] == 3
    assert summary["n_episodes"] == 2
    assert summary["env_steps"] == 300  # one rollout of 150 steps in 2 environments
    assert summary["n_demonstrations"] == 2
    expert = np.mean([e.rews.sum() for e in load_demonstrations(hopper_file)])
    assert summary["expert_return_mean"] == pytest.approx(expert, rel=1e-5)
    assert "gymnasium" in summary["versions"]

    assert {p.name for p in out.iterdir()} == {
        *(
            ".lock",
            "checkpoints",
            "config.json",
            "config.yml",
            "curves.png",
            "metrics.csv",
            "model.zip",
            "policy.zip",
        ),
        *("summary.json", "videos"),
    }
    assert {p.name for p in (out / "videos").iterdir()} == {
        *("expert.mp4", "imitator.mp4", "random.mp4"),
    }
    settings_lines = (out / "config.yml").read_text().splitlines()
    assert {
        *(f"{HOPPER}:", "  n_timesteps: 300", "  n_envs: 2", "  policy: MlpPolicy"),
        *("  n_steps: 150", "  gamma: 0.8", "  n_epochs: 1"),
    } <= set(settings_lines)
    for film in (out / "videos").iterdir():
        assert imageio.get_reader(film).get_data(0).std() > 5
    assert len(np.unique(imageio.imread(out / "curves.png").reshape(-1, 4), axis=0)) > 20
    header, *rows = (out / "metrics.csv").read_text().splitlines()
    assert "rollout/ep_rew_mean" in header
    assert rows

    scores = []
    for name in ("model.zip", "policy.zip"):
        evaluate = ["evaluate", str(out / name), "--env", HOPPER, "--episodes", "2", "--json"]
        assert main(evaluate) == 0
        scores.append(json.loads(capsys.readouterr().out))
    model, policy = scores
    assert model["return_mean"] == summary["return_mean"]
    assert model["return_std"] > 0
    # The scaling of observations is folded into its weights: equal but for float32's rounding.
    assert policy == pytest.approx(model, rel=1e-3)


def test_evaluate_compares_with_the_expert_in_words(
    hopper_file: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_card(
        hopper_file,
        {
            "environment": HOPPER,
            "evaluation": {"n_episodes": 3, "first_seed": 0, "returns": [100.0, 300.0, 500.0]},
        },
    )
    evaluate = ["evaluate", str(model_file), "--env", HOPPER, "--demos", str(hopper_file)]
    assert main([*evaluate, "--episodes", "2", "--seed", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("return over 2 episodes: mean ")
    assert "the expert's 400" in lines[1]


def test_stochastic_evaluation_differs(
    model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = []
    for extra in ([], ["--stochastic"]):
        assert main(["evaluate", str(model_file), "--env", HOPPER, "--episodes", "2", *extra]) == 0
        scores.append(capsys.readouterr().out)
    assert scores[0] != scores[1]


def test_watch_films(model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = tmp_path / "hop.mp4"
    watch = ["watch", str(model_file), "--env", HOPPER, "--film", str(film), "--steps", "5"]
    assert main(watch) == 0
    assert re.fullmatch(r"filmed .*hop\.mp4, return -?\d+\.\d\n", capsys.readouterr().out)
    assert sum(1 for _ in imageio.get_reader(film)) >= 5


def test_expert_records_demonstrations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # checkpoints go under runs/
    monkeypatch.setattr("sb3_gail_ext.experts.making.N_EVALUATION_EPISODES", 2)
    expert = ["expert", "--env", "Pendulum-v1", "--algo", "sac", "--steps", "20"]
    assert main([*expert, "--episodes", "1", "--no-progress"]) == 0
    path = Path("expert_data/Pendulum-v1/deterministic.sac.Pendulum.0.00.npz")
    assert str(path) in capsys.readouterr().out
    assert len(load_demonstrations(path)) == 1
    assert path.with_suffix(".card.json").is_file()
