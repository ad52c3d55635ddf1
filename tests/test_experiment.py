"""Evaluation, figures, films, experts with their cards, and a whole training run."""

import csv
import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
import pytest
from imitation.data.types import TrajectoryWithRew
from stable_baselines3 import PPO
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3_gail_ext import (
    DAC,
    GAIL,
    ChapterFigureCallback,
    DemonstrationError,
    evaluate,
    load_demonstrations,
    save_demonstrations,
)
from sb3_gail_ext import experiment as experiment_module
from sb3_gail_ext.demonstrations.cards import (
    card_path,
    expert_returns,
    package_versions,
    read_card,
    sha256,
    write_card,
)
from sb3_gail_ext.evaluation import films as films_module
from sb3_gail_ext.evaluation.evaluate import summarize, verdict
from sb3_gail_ext.evaluation.films import film_all
from sb3_gail_ext.evaluation.plots import chapter_figure, save_figure
from sb3_gail_ext.evaluation.random_policy import RandomPolicy
from sb3_gail_ext.evaluation.video import film_episode
from sb3_gail_ext.experiment import TrainingRun, TrainingStopped, run_training
from sb3_gail_ext.experts import making
from sb3_gail_ext.experts.making import make_expert, record_full_episodes
from sb3_gail_ext.experts.training import best_checkpoint, train_expert
from sb3_gail_ext.presets.errors import PresetError
from sb3_gail_ext.presets.loading import load_preset
from sb3_gail_ext.presets.preset import BASES, Preset, override

HOPPER = "HopperMuJoCoEnv-v0"
Factory = Callable[..., TrajectoryWithRew]


# --- Scores ------------------------------------------------------------------------------------


def test_evaluate_returns_the_true_return_of_each_start(line_env: Any, stand_still: Any) -> None:
    env = line_env()
    scores = evaluate(stand_still, env, 3, seed=8)
    assert scores.dtype == np.float64
    by_episode = np.reshape([s.reward for s in env.log], (3, 7)).sum(1)
    np.testing.assert_allclose(scores, by_episode, rtol=1e-6)
    np.testing.assert_array_equal(evaluate(stand_still, line_env(), 2, seed=9), scores[1:])


def test_summary_by_hand() -> None:
    assert summarize(np.array([1.0, 2.0, 6.0, 11.0])) == {
        "return_mean": 5.0,
        "return_median": 4.0,
        "return_std": pytest.approx(np.sqrt((16 + 9 + 1 + 36) / 4)),
        "n_episodes": 4,
    }
    against = summarize(np.array([1.0, 2.0, 6.0, 11.0]), 10.0)
    assert against["normalized"] == 0.5
    assert against["expert_return_mean"] == 10.0
    assert against["share_below_half_expert"] == 0.5


@pytest.mark.parametrize("expert", [0.0, -150.0])
def test_costs_are_not_divided(expert: float) -> None:
    """-1500 against an expert's -150 is no tenfold success."""
    summary = summarize(np.array([-1500.0]), expert)
    assert summary["normalized"] is None
    assert summary["share_below_half_expert"] is None
    assert verdict(summary) == (
        f"The imitator returns -1500.0 on average over 1 episodes, the expert {expert:.1f}."
    )


@pytest.mark.parametrize(
    ("agent", "words"),
    [(99, "as good as"), (92, "close to"), (60, "on its way"), (40, "far from")],
)
def test_verdict_says_how_close(agent: float, words: str) -> None:
    sentence = verdict(summarize(np.array([float(agent)]), 100.0))
    assert words in sentence
    assert f"{agent}% of the expert's 100" in sentence


# --- Figures -----------------------------------------------------------------------------------


def assert_is_drawn(path: Path) -> np.ndarray:
    picture = imageio.imread(path)
    assert picture.ndim == 3
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20
    return picture


def test_the_chapters_figure_shows_its_data(tmp_path: Path) -> None:
    agent, expert = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0])
    figure = chapter_figure(
        [0, 100], [-3.0, 7.0], agent, expert, expert_return=9.0, title="a title"
    )
    left, right = figure.axes
    np.testing.assert_array_equal(left.lines[0].get_xydata(), [[0, -3], [100, 7]])
    np.testing.assert_array_equal(left.lines[1].get_ydata(), [9, 9])
    drawn = {line.get_label(): line.get_ydata() for line in right.lines}
    np.testing.assert_array_equal(drawn["agent"], agent)
    np.testing.assert_array_equal(drawn["expert"], expert)
    assert left.get_ylim()[0] <= -3
    save_figure(figure, tmp_path / "new" / "curves.png")
    assert_is_drawn(tmp_path / "new" / "curves.png")
    assert len(list((tmp_path / "new").iterdir())) == 1


class Memory(KVWriter):
    def __init__(self) -> None:
        self.rows: dict[int, dict[str, Any]] = {}

    def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
        self.rows.setdefault(step, {}).update(key_values)

    def close(self) -> None:
        pass


def test_the_figure_callback_tests_logs_and_redraws(
    tmp_path: Path, line_env: Any, line_demonstrations: Any
) -> None:
    path = tmp_path / "curves.png"
    callback = ChapterFigureCallback(
        DummyVecEnv([line_env]), line_demonstrations[0], path, every=30, n_episodes=2
    )
    model = GAIL("MlpPolicy", line_env(), line_demonstrations, n_steps=40, batch_size=40, seed=0)
    memory = Memory()
    model.set_logger(Logger(None, [memory]))
    model.learn(80, callback=callback)
    assert callback.steps == [1, 31, 61, 80]
    assert_is_drawn(path)
    # The last test is that of the trained policy, and is logged although no rollout follows.
    final = evaluate(model, line_env(), 2, seed=callback.seed).mean()
    assert callback.returns[-1] == pytest.approx(final)
    assert memory.rows[80]["eval/mean_reward"] == pytest.approx(final)
    assert memory.rows[40]["eval/mean_reward"] == pytest.approx(callback.returns[1])
    assert memory.rows[80]["time/total_timesteps"] == 80


# --- Films -------------------------------------------------------------------------------------


def test_a_film_shows_the_episode(tmp_path: Path) -> None:
    path = tmp_path / "films" / "hop.mp4"
    rng = np.random.default_rng(0)
    total = film_episode(HOPPER, lambda *_: rng.uniform(-1, 1, 3), path, seed=1, max_steps=12)
    frames = [np.asarray(frame) for frame in imageio.get_reader(path)]
    assert 2 <= len(frames) <= 13
    assert frames[0].std() > 5
    assert any(np.abs(frames[0].astype(int) - frame).max() > 30 for frame in frames)
    assert np.isfinite(total)
    assert [p.name for p in path.parent.iterdir()] == ["hop.mp4"]


def test_a_film_of_several_episodes_goes_on_after_a_fall(tmp_path: Path) -> None:
    def fall(*_: Any) -> np.ndarray:
        return np.ones(3)

    one, many = tmp_path / "one.mp4", tmp_path / "many.mp4"
    film_episode(HOPPER, fall, one, seed=1, max_steps=60)
    film_episode(HOPPER, fall, many, seed=1, max_steps=60, n_episodes=20)
    lengths = [sum(1 for _ in imageio.get_reader(path)) for path in (one, many)]
    assert lengths[0] < 40
    assert lengths[1] == 61


def test_a_film_that_cannot_be_written_or_drawn_says_so(tmp_path: Path, line_env: Any) -> None:
    with pytest.raises(RuntimeError, match=r"film\.mp4"):
        film_episode(HOPPER, lambda *_: np.zeros(3), tmp_path / "hop.txt", max_steps=2)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError, match="cannot be drawn"):
        film_episode("NoSuchEnv-v0", lambda *_: np.zeros(3), tmp_path / "hop.mp4")


def test_all_films_start_together_and_outlive_the_recording(
    hopper_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filmed: dict[str, tuple[int, np.ndarray]] = {}

    def film(env_id: str, act: Any, path: Path, *, seed: int, n_episodes: int) -> float:
        filmed[path.stem] = seed, np.array([act(np.zeros(11), step) for step in range(300)])
        return 0.0

    monkeypatch.setattr(films_module, "film_episode", film)
    model = PPO("MlpPolicy", HOPPER, n_steps=8, batch_size=8, device="cpu")
    policies = {"random": RandomPolicy(HOPPER), "imitator": model}
    films = film_all(HOPPER, hopper_file, policies, tmp_path, lambda _: None)
    assert films.keys() == filmed.keys()
    assert filmed.keys() == {"random", "imitator", "expert"}
    assert {seed for seed, _ in filmed.values()} == {5}
    recorded = load_demonstrations(hopper_file)[0].acts
    np.testing.assert_array_equal(filmed["expert"][1][: len(recorded)], recorded)
    assert len(np.unique(filmed["random"][1], axis=0)) == 300


# --- Cards and experts -------------------------------------------------------------------------


def test_a_card_belongs_to_its_file(hopper_file: Path) -> None:
    assert read_card(hopper_file) is None
    write_card(hopper_file, {"environment": HOPPER})
    card = read_card(hopper_file)
    assert card is not None
    assert card["environment"] == HOPPER
    assert card["file"] == hopper_file.name
    assert card["sha256"] == hashlib.sha256(hopper_file.read_bytes()).hexdigest()
    assert card["versions"]["numpy"] == np.__version__
    with hopper_file.open("ab") as file:
        file.write(b"changed")
    with pytest.raises(DemonstrationError, match="sha256 is not that of"):
        read_card(hopper_file)


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "{}",
        "[1]",
        '{"sha256": "0", "evaluation": "abc"}',
        '{"sha256": "0", "evaluation": {"first_seed": 0, "returns": ["a"]}}',
        '{"sha256": "0", "evaluation": {"returns": [1]}}',
    ],
)
def test_a_damaged_card_is_named(hopper_file: Path, text: str) -> None:
    card_path(hopper_file).write_text(text)
    with pytest.raises(DemonstrationError, match=r"card\.json: not a data card"):
        read_card(hopper_file)


def test_package_versions_are_the_installed_ones() -> None:
    assert package_versions()["stable-baselines3"] == version("stable-baselines3")


def test_expert_returns_are_those_of_the_same_starts(hopper_file: Path) -> None:
    own = [e.rews.sum() for e in load_demonstrations(hopper_file)]

    def fall_back(n_episodes: int, seed: int = 0) -> None:
        expert = expert_returns(hopper_file, HOPPER, n_episodes, seed=seed)
        np.testing.assert_allclose(expert.returns, own, rtol=1e-5)
        assert not expert.same_starts

    fall_back(2)
    evaluation = {"n_episodes": 4, "first_seed": 0, "returns": [10.0, 20.0, 30.0, 40.0]}
    write_card(hopper_file, {"environment": HOPPER, "evaluation": evaluation})
    first = expert_returns(hopper_file, HOPPER, 2)
    assert first.same_starts
    assert first.returns.tolist() == [10.0, 20.0]
    assert expert_returns(hopper_file, HOPPER, 2, seed=2).returns.tolist() == [30.0, 40.0]
    fall_back(5)
    fall_back(2, seed=3)
    with pytest.raises(DemonstrationError, match=f"recorded in {HOPPER}, not in Hopper-v4"):
        expert_returns(hopper_file, "Hopper-v4", 2)


def test_a_file_without_a_card_still_knows_its_environment(
    tmp_path: Path, make_trajectory: Factory
) -> None:
    path = tmp_path / "expert.npz"
    episode = make_trajectory(9, obs_dim=11, act_dim=3)
    save_demonstrations(path, [episode], metadata={"env_id": "Hopper-v4"})
    with pytest.raises(DemonstrationError, match=f"recorded in Hopper-v4, not in {HOPPER}"):
        expert_returns(path, HOPPER, 1)
    with pytest.warns(UserWarning, match=f"recorded in Hopper-v4, not in {HOPPER}"):
        GAIL("MlpPolicy", HOPPER, path, n_steps=64)


def test_the_verdict_says_when_the_expert_met_other_starts() -> None:
    scores = np.array([90.0, 110.0])
    assert "other starts" not in verdict(summarize(scores, 100.0))
    assert "other starts" in verdict(summarize(scores, 100.0, same_starts=False))


def test_an_expert_is_made_with_a_card_that_tells_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "N_EVALUATION_EPISODES", 6)
    path = make_expert(
        "Pendulum-v1",
        "ppo",
        2048,
        n_episodes=3,
        folder=tmp_path / "data",
        checkpoints_folder=tmp_path / "checkpoints",
        progress_bar=False,
        command="the command",
    )
    assert path == tmp_path / "data" / "deterministic.ppo.Pendulum.0.00.npz"
    card = read_card(path)
    assert card is not None
    assert card["sha256"] == sha256(path)
    assert (card["environment"], card["algorithm"]) == ("Pendulum-v1", "ppo")
    assert card["training_steps"] == card["checkpoint_steps"] == 2048
    assert card["command"] == "the command"
    demonstrations = load_demonstrations(path)
    assert [len(e) for e in demonstrations] == [200] * 3
    assert not any(e.terminal for e in demonstrations)
    # Not normalised, although the expert was trained so: Pendulum's cosine and sine.
    obs = np.concatenate([e.obs for e in demonstrations])
    np.testing.assert_allclose(np.square(obs[:, :2]).sum(1), 1, rtol=1e-4)
    mean = np.mean([e.rews.sum() for e in demonstrations])
    assert card["demonstrations"]["return_mean"] == pytest.approx(mean, abs=0.01)
    assert len(card["evaluation"]["returns"]) == card["evaluation"]["n_episodes"] == 6
    assert card["evaluation"]["share_terminated"] == 0.0
    # The card's returns are what evaluating the checkpoint gives.
    assert expert_returns(path, "Pendulum-v1", 6).returns.mean() == pytest.approx(
        card["evaluation"]["return_mean"], abs=0.01
    )


def test_a_budget_below_the_checkpoint_interval_still_gives_an_expert(tmp_path: Path) -> None:
    (tmp_path / "expert_999_steps.zip").write_bytes(b"of an earlier run")
    checkpoints = train_expert(
        "Pendulum-v1", "sac", 30, seed=0, folder=tmp_path, progress_bar=False
    )
    assert [c.steps for c in checkpoints] == [30]
    assert checkpoints[0].load().num_timesteps == 30


def test_checkpoints_keep_their_own_normalisation(tmp_path: Path) -> None:
    settings = {"seed": 0, "folder": tmp_path, "checkpoint_every": 2048, "progress_bar": False}
    checkpoints = train_expert("Pendulum-v1", "trpo", 4096, **settings)  # type: ignore[arg-type]
    assert [c.steps for c in checkpoints] == [2048, 4096]
    counts = []
    for checkpoint in checkpoints:
        venv = checkpoint.make_env(1)
        assert isinstance(venv, VecNormalize)
        counts.append(venv.obs_rms.count)
        assert checkpoint.load().num_timesteps == checkpoint.steps
    assert counts[0] < counts[1]


class Scored:
    """A checkpoint that returns `early` on the first 20 starts and `late` on the others."""

    def __init__(self, early: float, late: float) -> None:
        self.early, self.late = early, late

    def play(self, n_episodes: int, seed: int) -> list[TrajectoryWithRew]:
        rewards = [self.early if s < 10_020 else self.late for s in range(seed, seed + n_episodes)]
        return [
            TrajectoryWithRew(np.zeros((2, 1)), np.zeros((1, 1)), None, False, np.array([r]))
            for r in rewards
        ]


def test_the_best_of_the_finalists_is_chosen() -> None:
    lucky, steady, unlucky = Scored(10.0, 0.0), Scored(5.0, 5.0), Scored(1.0, 100.0)
    candidates: Any = [lucky, unlucky, steady]
    assert best_checkpoint(candidates, n_finalists=1) is lucky
    assert best_checkpoint(candidates, n_finalists=2) is steady
    assert best_checkpoint(candidates, n_finalists=3) is unlucky


class Falls:
    """A checkpoint whose episodes are full only from even seeds."""

    steps = 5

    def __init__(self, make_trajectory: Factory, full: bool) -> None:
        self.make_trajectory, self.full = make_trajectory, full

    def play(self, n_episodes: int, seed: int) -> list[TrajectoryWithRew]:
        return [
            self.make_trajectory(3, terminal=not (self.full and s % 2 == 0), seed=s)
            for s in range(seed, seed + n_episodes)
        ]


def test_only_full_episodes_are_recorded(make_trajectory: Factory) -> None:
    episodes, seeds = record_full_episodes(Falls(make_trajectory, full=True), 5)  # type: ignore[arg-type]
    assert seeds == [1000, 1002, 1004, 1006, 1008]
    assert not any(e.terminal for e in episodes)
    for episode, seed in zip(episodes, seeds, strict=True):
        np.testing.assert_array_equal(episode.obs, make_trajectory(3, seed=seed).obs)
    with pytest.raises(ValueError, match=r"only 0 of 50 .* longer than 5 steps"):
        record_full_episodes(Falls(make_trajectory, full=False), 5)  # type: ignore[arg-type]


def test_an_unknown_algorithm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'dqn'; use one of trpo, tqc, sac, ppo"):
        make_expert("Pendulum-v1", "dqn", 10, folder=tmp_path, checkpoints_folder=tmp_path)


# --- A whole run -------------------------------------------------------------------------------


@pytest.fixture
def few_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Test the agent twice while it trains, not 20 times."""

    def callback(*args: Any, **kwargs: Any) -> ChapterFigureCallback:
        return ChapterFigureCallback(*args, **{**kwargs, "every": 200, "n_episodes": 2})

    monkeypatch.setattr(experiment_module, "ChapterFigureCallback", callback)


TINY = Preset(
    n_timesteps=256,
    n_envs=2,
    algorithm_kwargs={"n_steps": 64, "n_epochs": 1, "warm_start_updates": 10},
)


def tiny_run(demonstrations: Path, folder: Path, **kwargs: Any) -> TrainingRun:
    return TrainingRun(
        env_id=HOPPER,
        demonstrations=demonstrations,
        folder=folder,
        **{
            "preset": TINY,
            "n_evaluation_episodes": 2,
            "videos": False,
            "progress_bar": False,
            **kwargs,
        },
    )


@pytest.mark.usefixtures("few_tests")
def test_a_run_is_reproducible_and_its_files_agree(hopper_file: Path, tmp_path: Path) -> None:
    said: list[str] = []
    summaries = [run_training(tiny_run(hopper_file, tmp_path / "one"), said.append)]
    again = load_preset(tmp_path / "one" / "config.yml", HOPPER)
    summaries.append(
        run_training(tiny_run(hopper_file, tmp_path / "two", preset=again), said.append)
    )
    assert said[0] == f"training for 256 steps, preset none; watch {tmp_path / 'one/curves.png'}"
    for summary in summaries:
        del summary["seconds"]
    assert summaries[0] == summaries[1]
    summary = json.loads((tmp_path / "one" / "summary.json").read_text())
    model = GAIL.load(tmp_path / "one" / "model.zip", device="cpu")
    assert model.num_timesteps == summary["env_steps"] == 256
    assert evaluate(model, HOPPER, 2).mean() == pytest.approx(summary["return_mean"])
    rows = list(csv.DictReader((tmp_path / "one" / "metrics.csv").open()))
    assert float(rows[-1]["time/total_timesteps"]) == 256
    assert {"rollout/ep_rew_mean", "discriminator/loss", "eval/mean_reward"} <= rows[-1].keys()
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert config["env_id"] == HOPPER
    assert config["demonstrations"] == str(hopper_file)
    assert config["demonstrations_sha256"] == sha256(hopper_file)
    assert config["seed"] == 0
    assert config["preset"] == "none"


@pytest.mark.usefixtures("few_tests")
def test_a_run_of_dac_is_repeated_by_its_config(hopper_file: Path, tmp_path: Path) -> None:
    small = {"buffer_size": 500, "warm_start_updates": 10, "critic_warm_up_updates": 5}
    preset = override(BASES["dac"], {"n_timesteps": 240, "learning_starts": 20, **small}, "here")
    summaries = [
        run_training(tiny_run(hopper_file, tmp_path / "one", preset=preset), lambda _: None)
    ]
    again = load_preset(tmp_path / "one" / "config.yml", HOPPER, "dac")
    summaries.append(
        run_training(tiny_run(hopper_file, tmp_path / "two", preset=again), lambda _: None)
    )
    for summary in summaries:
        del summary["seconds"]
    assert summaries[0] == summaries[1]
    model = DAC.load(tmp_path / "one" / "model.zip", device="cpu")
    assert evaluate(model, HOPPER, 2).mean() == pytest.approx(summaries[0]["return_mean"])
    assert not (tmp_path / "one" / "policy.zip").exists()
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert config["algorithm"] == "dac"


def test_settings_that_gail_refuses_are_one_error_before_anything_is_written(
    hopper_file: Path, tmp_path: Path
) -> None:
    preset = Preset(label="mine", algorithm_kwargs={"reward_form": "gial"})
    with pytest.raises(PresetError, match=r"^preset mine: GAIL refuses .*reward_form is 'gial'"):
        run_training(tiny_run(hopper_file, tmp_path / "run", preset=preset), lambda _: None)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("few_tests")
def test_limit_and_subsample_reach_the_learner(
    hopper_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[TrajectoryWithRew]] = []
    make = experiment_module.make_model

    def spy(run: TrainingRun, demonstrations: list[TrajectoryWithRew]) -> GAIL:
        given.append(demonstrations)
        return make(run, demonstrations)

    monkeypatch.setattr(experiment_module, "make_model", spy)
    run_training(tiny_run(hopper_file, tmp_path / "x", limit=1, subsample=10), lambda _: None)
    assert [len(episode) for episode in given[0]] == [1] * len(given[0])
    assert 2 <= len(given[0]) <= 4  # one of 20, 30 or 40 steps


def test_an_earlier_summary_does_not_survive_a_new_run(
    hopper_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "summary.json").write_text('{"normalized": 1.0}')

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(GAIL, "learn", stop)
    with pytest.raises(TrainingStopped, match="stopped at once; there is no checkpoint yet"):
        run_training(tiny_run(hopper_file, folder), lambda _: None)
    assert not (folder / "summary.json").exists()


def test_unfit_demonstrations_are_refused_before_anything_is_written(
    tmp_path: Path, make_trajectory: Factory
) -> None:
    path = tmp_path / "walker.npz"
    save_demonstrations(path, [make_trajectory(5, obs_dim=22, act_dim=6)])
    with pytest.raises(DemonstrationError, match="another environment"):
        run_training(tiny_run(path, tmp_path / "run"), lambda _: None)
    assert not (tmp_path / "run").exists()
