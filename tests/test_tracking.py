"""W&B tracking: real offline runs, read back with W&B's own reader."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
from matplotlib.figure import Figure
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import CSVOutputFormat, Logger
from stable_baselines3.common.logger import Figure as LoggedFigure
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from wandb_files import (
    PATIENCE,
    ReadBack,
    csv_rows,
    files_of,
    metrics,
    read_back,
    read_file,
)

import sb3_gail_ext
from sb3_gail_ext import BC, DAC, GAIL, ChapterFigureCallback, WandbTracker, save_demonstrations
from sb3_gail_ext.cli.main import main
from sb3_gail_ext.demonstrations.cards import sha256
from sb3_gail_ext.experts import making
from sb3_gail_ext.policies.loading import load_policy
from sb3_gail_ext.tracking import session
from sb3_gail_ext.tracking.artifacts import use_dataset
from sb3_gail_ext.tracking.cells import track_cell
from sb3_gail_ext.tracking.session import TrackingError, choose_mode
from sb3_gail_ext.tracking.writer import STEP

wandb = pytest.importorskip("wandb")

ENV = "Pendulum-v1"
ROOT = Path(sb3_gail_ext.__file__).parents[1]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield
    wandb.finish()  # what a failed test has left open


# --- Tiny trainings ----------------------------------------------------------------------------


class TrueReturns(gym.Wrapper):
    """Adds up what the environment really pays."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.returns: list[float] = []

    def reset(self, **kwargs: Any) -> Any:
        self.total = 0.0
        return self.env.reset(**kwargs)

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.total += float(reward)
        if terminated or truncated:
            self.returns.append(self.total)
        return obs, reward, terminated, truncated, info


def make_model(name: str, demonstrations: Any, folder: Path | None = None, **kwargs: Any) -> Any:
    env = make_vec_env(ENV, wrapper_class=TrueReturns, seed=0)
    settings: dict[str, Any] = {
        "gail": {"n_steps": 256, "batch_size": 64, "n_epochs": 2, "warm_start_updates": 5},
        "dac": {
            "learning_starts": 100,
            "warm_start_updates": 5,
            "critic_warm_up_updates": 0,
            "batch_size": 32,
            "discriminator_batch_size": 32,
        },
        "bc": {"batch_size": 16},
    }[name]
    algorithm = {"gail": GAIL, "dac": DAC, "bc": BC}[name]
    model = algorithm("MlpPolicy", env, demonstrations, seed=3, **{**settings, **kwargs})
    if folder is not None:
        model.set_logger(Logger(str(folder), [CSVOutputFormat(str(folder / "metrics.csv"))]))
    return model


STEPS = {"gail": 768, "dac": 620, "bc": 400}
LOG_INTERVAL = {"gail": 1, "dac": 1, "bc": 5}


class Trained(NamedTuple):
    folder: Path
    name: str
    true_returns: list[float]
    run: ReadBack


@pytest.fixture(scope="module", params=["gail", "dac", "bc"])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pendulum_expert: Any
) -> Trained:
    """Each algorithm, trained under the tracker beside a CSV; nothing is told but a folder."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        model = make_model(name, pendulum_expert, folder)
        with WandbTracker(folder=folder) as tracker:
            model.learn(STEPS[name], callback=tracker, log_interval=LOG_INTERVAL[name])
    returns = model.env.get_attr("returns")[0]
    return Trained(folder, name, returns, read_back(folder))


def test_wandb_holds_every_metric_of_the_csv_with_its_step(trained: Trained) -> None:
    expected = csv_rows(trained.folder / "metrics.csv")
    assert len(expected) >= 3
    assert len({key for row in expected for key in row}) >= 6
    assert metrics(trained.run.history) == expected
    assert trained.run.summary["state"] == "finished"


def test_the_config_says_what_was_run(trained: Trained, pendulum_expert: Any) -> None:
    config = trained.run.summary["config"]
    told = {key: config[key] for key in ("env", "algo", "seed", "n_demos", "demonstrations")}
    assert told == {
        "env": ENV,
        "algo": trained.name,
        "seed": 3,
        "n_demos": len(pendulum_expert),
        "demonstrations": "in memory",
    }
    assert len(config["demonstrations_sha256"]) == 64
    assert config["versions"]["stable-baselines3"]
    if trained.name == "gail":
        assert config["n_steps"] == 256
        assert config["learning_rate"].startswith("lin_")


def test_group_job_type_and_project(trained: Trained) -> None:
    run = trained.run.run
    assert run["run_group"] == f"{trained.name}/{ENV}/n2"
    assert run["job_type"] == "train"
    assert run["project"] == "sb3_gail_ext"


def test_the_return_is_the_true_one(trained: Trained) -> None:
    """Not what the discriminator pays: Pendulum's returns are hundreds below zero."""
    logged = [r["rollout/ep_rew_mean"] for r in trained.run.history if "rollout/ep_rew_mean" in r]
    if trained.name == "bc":
        assert logged == []
        return
    assert logged[-1] == pytest.approx(np.mean(trained.true_returns), abs=1e-4)
    assert logged[-1] < -100


def test_the_last_model_is_an_artifact_that_plays(trained: Trained) -> None:
    [artifact] = trained.run.artifacts("model")
    assert artifact["aliases"] == ["latest"]
    metadata, config = artifact["metadata"], trained.run.summary["config"]
    assert metadata["demonstrations_sha256"] == config["demonstrations_sha256"]
    assert metadata[STEP] == metrics(trained.run.history)[-1][STEP] or trained.name != "gail"
    [entry] = artifact["manifest"]["contents"]
    assert entry["path"] == "model.zip"
    assert trained.folder in Path(entry["local_path"]).parents  # kept until it is uploaded
    assert load_policy(entry["local_path"]).predict(np.zeros(3, np.float32))[0].shape == (1,)


# --- Best, latest and lineage ------------------------------------------------------------------


class Scores(BaseCallback):
    """Logs one score after the other, every 64 steps."""

    def __init__(self, scores: list[float], key: str = "eval/imitation_distance") -> None:
        super().__init__()
        self.scores, self.key = list(scores), key
        self.at: list[int] = []

    def _on_step(self) -> bool:
        if self.scores and self.n_calls % 64 == 0:
            self.logger.record(self.key, self.scores.pop(0))
            self.at.append(self.num_timesteps)
        return True


def aliases_by_step(run: ReadBack) -> dict[int, list[str]]:
    return {a["metadata"][STEP]: sorted(a["aliases"]) for a in run.artifacts("model")}


def test_best_is_the_nearest_to_the_demonstrations(tmp_path: Path, pendulum_expert: Any) -> None:
    demos = tmp_path / "demos.npz"
    save_demonstrations(demos, pendulum_expert)
    model = make_model("gail", demos, n_steps=128)
    scores = Scores([3.0, 1.0, 2.0])
    with WandbTracker(folder=tmp_path) as tracker:
        model.learn(256, callback=[scores, tracker])
    run = read_back(tmp_path)
    assert scores.at == [64, 128, 192]
    assert aliases_by_step(run) == {
        64: ["best", "latest"],
        128: ["best", "latest"],
        256: ["latest"],
    }
    best = run.artifacts("model")[1]["metadata"]
    assert best["best_by"] == "eval/imitation_distance"
    assert best["eval/imitation_distance"] == 1.0
    # Where it came from: the file, by its name and its content.
    assert best["demonstrations"] == run.summary["config"]["demonstrations"] == "demos.npz"
    assert best["demonstrations_sha256"] == sha256(demos)
    assert run.run["run_group"] == f"gail/{ENV}/n2"


def test_best_may_be_the_highest(tmp_path: Path, pendulum_expert: Any) -> None:
    model = make_model("gail", pendulum_expert, n_steps=128)
    with WandbTracker(folder=tmp_path, best_by="mine", best_is_highest=True) as tracker:
        model.learn(256, callback=[Scores([3.0, 1.0, 4.0], "mine"), tracker])
    assert aliases_by_step(read_back(tmp_path)) == {
        64: ["best", "latest"],
        192: ["best", "latest"],
        256: ["latest"],
    }


def test_normalised_models_bring_their_statistics(tmp_path: Path) -> None:
    model = PPO("MlpPolicy", VecNormalize(make_vec_env(ENV)), n_steps=64, batch_size=64)
    with WandbTracker(folder=tmp_path, job_type="expert") as tracker:
        model.learn(64, callback=tracker)
    run = read_back(tmp_path)
    [artifact] = run.artifacts("model")
    assert {e["path"] for e in artifact["manifest"]["contents"]} == {
        "model.zip",
        "vecnormalize.pkl",
    }
    assert run.run["job_type"] == "expert"
    assert run.summary["config"]["n_demos"] == 0
    assert run.summary["config"]["algo"] == "ppo"


class FakeRun:
    """An online run, as far as lineage goes."""

    def __init__(self, offline: bool) -> None:
        self.offline, self.disabled = offline, False
        self.used: list[Any] = []

    def use_artifact(self, artifact: Any) -> None:
        self.used.append(artifact)


def test_online_the_dataset_is_an_input_of_the_run(tmp_path: Path, pendulum_expert: Any) -> None:
    demos = tmp_path / "demos.npz"
    save_demonstrations(demos, pendulum_expert)
    online, offline = FakeRun(offline=False), FakeRun(offline=True)
    assert use_dataset(online, demos)
    [artifact] = online.used
    assert (artifact.name, artifact.type) == ("demos", "dataset")
    assert artifact.metadata["sha256"] == sha256(demos)
    assert "demos.npz" in artifact.manifest.entries
    assert not use_dataset(offline, demos)
    assert offline.used == []


# --- What follows training ---------------------------------------------------------------------


def table_at(folder: Path, entry: dict[str, Any], key: str) -> dict[str, Any]:
    [file] = files_of(folder)
    return json.loads((file.parent / "files" / entry[f"{key}.path"]).read_text())


def test_evaluation_figure_videos_and_the_chapters_plots(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = make_model("gail", pendulum_expert, n_steps=128)
    drawn = ChapterFigureCallback(
        DummyVecEnv([lambda: gym.make(ENV)]),
        pendulum_expert[0],
        every=200,
        n_episodes=1,
        demonstrations=pendulum_expert,
    )
    films = tmp_path / "films"
    films.mkdir()
    (films / "walk.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42")
    figure = Figure()
    figure.subplots().plot([1, 2])
    with WandbTracker(folder=tmp_path) as tracker:
        model.learn(256, callback=[drawn, tracker])
        tracker.log_evaluation(np.array([-4.0, -2.0]), first_seed=7)
        tracker.log_evaluation(np.array([1.0, 3.0]), expert_return=4.0)
        tracker.log_videos(films)
        tracker.log_figure("mine", figure)
        tracker.log_chapter_plots(drawn)
    run = read_back(tmp_path)
    history = run.history
    first, second = (row for row in history if "eval/return_mean" in row)
    assert first["eval/return_mean"] == -3.0
    assert first[STEP] == 256
    assert table_at(tmp_path, first, "eval/episodes") == {
        "columns": ["episode", "seed", "return"],
        "data": [[0, 7, -4.0], [1, 8, -2.0]],
    }
    assert second["eval/normalized"] == 0.5
    assert table_at(tmp_path, second, "eval/episodes")["data"] == [
        [0, 0, 1.0, 0.25],
        [1, 1, 3.0, 0.75],
    ]
    assert [row["videos/walk._type"] for row in history if "videos/walk._type" in row]
    assert [row["mine.width"] for row in history if "mine.width" in row] == [640]
    # The chapter's figure at every test, and both of its plots at the end.
    pictures = [row for row in history if "chapter/figure.path" in row]
    assert len(pictures) == len(drawn.steps) == 3
    plots = history[-1]
    curve = table_at(tmp_path, plots, "chapter/return_table")
    assert [row[0] for row in curve["data"]] == drawn.steps
    assert [row[2] for row in curve["data"]] == pytest.approx(drawn.returns)
    rewards = table_at(tmp_path, plots, "chapter/discriminator_reward_table")
    of_expert = [row[2] for row in rewards["data"] if row[1] == "expert"]
    np.testing.assert_allclose(of_expert, drawn.expert_rewards, rtol=1e-6)
    # The test episodes say by themselves which model is best.
    distances = [r["eval/imitation_distance"] for r in history if "eval/imitation_distance" in r]
    best = [a for a in run.artifacts("model") if "best" in a["aliases"]][-1]
    assert best["metadata"]["eval/imitation_distance"] == pytest.approx(min(distances))


def test_a_cell_of_a_comparison(tmp_path: Path) -> None:
    identity = track_cell(
        tmp_path,
        env=ENV,
        algo="imitation",
        seed=4,
        n_demos=2,
        curve=[{STEP: 0, "eval/normalized": 0.1}, {STEP: 500, "eval/normalized": 0.9}],
        summary={"steps_to_90": 500},
        returns=np.array([1.0, 2.0]),
    )
    run = read_back(tmp_path)
    assert run.run["run_id"] == identity
    assert run.run["job_type"] == "compare"
    assert run.run["run_group"] == f"imitation/{ENV}/n2"
    curve = [(r[STEP], r["eval/normalized"]) for r in run.history if "eval/normalized" in r]
    assert curve == [(0, 0.1), (500, 0.9)]
    assert run.history[-1]["eval/return_mean"] == 1.5
    assert run.history[-1][STEP] == 500
    assert run.summary["summary"]["steps_to_90"] == 500
    assert run.summary["config"]["seed"] == 4


def test_pictures_and_foreign_values_do_not_stop_the_writer(tmp_path: Path) -> None:
    model = PPO("MlpPolicy", ENV, n_steps=64, batch_size=64, device="cpu")

    class Odd(BaseCallback):
        def _on_rollout_end(self) -> None:
            figure = Figure(figsize=(2, 1))
            self.logger.record("figure", LoggedFigure(figure, close=False), ("stdout", "csv"))
            self.logger.record("array", np.ones(3))
            self.logger.record("single", np.float32(0.1))
            self.logger.record("secret", 1.0, exclude="wandb")
            self.logger.record("not_finite", float("nan"))

        def _on_step(self) -> bool:
            return True

    with WandbTracker(folder=tmp_path, log_models=False) as tracker:
        model.learn(64, callback=[Odd(), tracker])
    run = read_back(tmp_path)
    [row] = run.history
    assert row["figure.width"] == 200
    assert row["single"] == 0.1
    assert np.isnan(float(row["not_finite"]))
    assert not {"array", "secret"} & row.keys()
    assert run.artifacts("model") == []


# --- Killed, resumed ---------------------------------------------------------------------------

_KILLED = """
import sys, time
from pathlib import Path
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import CSVOutputFormat, KVWriter, Logger
from sb3_gail_ext import WandbTracker

class SayAndWait(KVWriter):
    rows = 0
    def write(self, key_values, key_excluded, step=0):
        SayAndWait.rows += 1
        if SayAndWait.rows == 5:
            print("five rows", flush=True)
            time.sleep(600)
    def close(self):
        pass

class AfterTheTracker(BaseCallback):
    def _on_training_start(self):
        self.model.logger.output_formats.append(SayAndWait())
    def _on_step(self):
        return True

folder = Path(sys.argv[1])
model = PPO("MlpPolicy", "Pendulum-v1", n_steps=64, batch_size=64, n_epochs=1, device="cpu")
model.set_logger(Logger(str(folder), [CSVOutputFormat(str(folder / "metrics.csv"))]))
model.learn(10_000, callback=[WandbTracker(folder=folder), AfterTheTracker()])
"""


def start(code: str, *arguments: object, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **env},
    )


def test_nothing_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    process = start(_KILLED, tmp_path, HOME=str(home))
    assert process.stdout is not None
    assert process.stdout.readline() == "five rows\n"
    process.send_signal(signal.SIGKILL)  # at once: no time for anything to be written later
    process.wait(PATIENCE)
    expected = csv_rows(tmp_path / "metrics.csv")
    assert [row[STEP] for row in expected] == [64, 128, 192, 256, 320]
    [file] = files_of(tmp_path)
    deadline = time.monotonic() + 10  # W&B's own process notices a moment later
    while len(read_file(file).history) < 5 and time.monotonic() < deadline:
        time.sleep(0.5)
    run = read_file(file)
    assert metrics(run.history) == expected
    assert run.summary["state"] != "finished"
    assert run.summary["config"]["env"] == ENV
    # Nothing of W&B's lies anywhere but in the run's folder.
    assert [path for path in home.rglob("*wandb*") if path.is_file()] == []


def test_a_resumed_run_continues_its_own_curve(tmp_path: Path, pendulum_expert: Any) -> None:
    model = make_model("gail", pendulum_expert, n_steps=128)
    with WandbTracker(folder=tmp_path) as tracker:
        model.learn(256, callback=[Scores([2.0]), tracker])
    model.save(tmp_path / "model.zip")

    again = GAIL.load(tmp_path / "model.zip", make_vec_env(ENV))
    again.set_demonstrations(pendulum_expert)
    time.sleep(1.1)  # W&B names its folders by the second
    with WandbTracker(folder=tmp_path) as tracker:
        again.learn(256, callback=[Scores([3.0, 1.0]), tracker], reset_num_timesteps=False)
    first, second = (read_file(file) for file in files_of(tmp_path))
    assert first.run["run_id"] == second.run["run_id"]
    steps = [row[STEP] for run in (first, second) for row in metrics(run.history)]
    assert steps == [128, 256, 384, 512]
    # 3 is no best: the first half had 2.
    assert aliases_by_step(second) == {384: ["best", "latest"], 512: ["latest"]}


def test_a_new_training_in_the_same_folder_is_a_new_run(tmp_path: Path) -> None:
    ids = set()
    for _ in range(2):
        model = PPO("MlpPolicy", ENV, n_steps=64, batch_size=64, device="cpu")
        with WandbTracker(folder=tmp_path, log_models=False) as tracker:
            model.learn(64, callback=tracker)
            ids.add(tracker.run.id)
    assert len(ids) == 2


def test_learning_on_under_the_same_tracker_logs_every_row_once(tmp_path: Path) -> None:
    model = PPO("MlpPolicy", ENV, n_steps=64, batch_size=64, device="cpu")
    with WandbTracker(folder=tmp_path, log_models=False) as tracker:
        model.learn(64, callback=tracker)
        model.learn(64, callback=tracker, reset_num_timesteps=False)
    model.learn(64, reset_num_timesteps=False)  # the tracker has left the logger
    assert [row[STEP] for row in read_back(tmp_path).history] == [64, 128]


# --- Beside W&B's own callback -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["gail", "dac", "bc"])
def test_wandbs_own_callback_works_unchanged(
    tmp_path: Path, pendulum_expert: Any, name: str
) -> None:
    from wandb.integration.sb3 import WandbCallback

    # Its metrics come through TensorBoard; ending such a run takes W&B nine seconds.
    by_tensorboard = name == "gail"
    with wandb.init(project="own", dir=str(tmp_path), sync_tensorboard=by_tensorboard):
        logs = {"tensorboard_log": str(tmp_path)} if by_tensorboard else {}
        model = make_model(name, pendulum_expert, **logs)
        own = WandbCallback(
            gradient_save_freq=100, model_save_path=str(tmp_path / "saved"), verbose=2
        )
        model.learn(STEPS[name], callback=own, log_interval=LOG_INTERVAL[name])
    wandb.tensorboard.unpatch()
    run = read_back(tmp_path)
    assert run.summary["config"]["algo"] == name.upper()
    assert run.summary["config"]["gamma" if name != "bc" else "l2_weight"] is not None
    assert load_policy(tmp_path / "saved" / "model.zip").predict(np.zeros(3, np.float32))
    [linked] = tmp_path.glob("wandb/offline-run-*/files/model.zip")
    assert linked.exists()
    if by_tensorboard:
        curve = {r[STEP]: r for r in run.history if "rollout/ep_rew_mean" in r}
        assert list(curve) == [256, 512, 768]
        assert curve[768]["rollout/ep_rew_mean"] < -100
        assert 0 <= curve[768]["discriminator/accuracy_expert"] <= 1


@pytest.mark.parametrize("name", ["gail", "bc"])
def test_the_tracker_and_wandbs_own_callback_side_by_side(
    tmp_path: Path, pendulum_expert: Any, name: str
) -> None:
    from wandb.integration.sb3 import WandbCallback

    model = make_model(name, pendulum_expert, tmp_path)
    with WandbTracker(folder=tmp_path, log_models=False) as tracker:
        tracker.start(model)
        model.learn(
            STEPS[name], callback=[tracker, WandbCallback()], log_interval=LOG_INTERVAL[name]
        )
    run = read_back(tmp_path)
    assert run.summary["config"]["algo"] == name  # ours stays
    assert metrics(run.history) == csv_rows(tmp_path / "metrics.csv")


def test_a_run_of_the_users_own_goes_on(tmp_path: Path) -> None:
    """As in a sweep, whose agent opens the run."""
    model = PPO("MlpPolicy", ENV, n_steps=64, batch_size=64, device="cpu")
    with wandb.init(project="own", dir=str(tmp_path)) as run:
        with WandbTracker(run=run, folder=tmp_path) as tracker:
            model.learn(64, callback=tracker)
        run.log({"after": 1})
    history = read_back(tmp_path).history
    assert history[0][STEP] == 64
    assert history[-1]["after"] == 1


# --- Modes and refusals ------------------------------------------------------------------------


def test_offline_where_nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    assert choose_mode(None) == "offline"
    assert choose_mode("online") == "online"
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    assert choose_mode(None) is None  # W&B's own default
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(wandb, "login", lambda **_: pytest.fail("asked although it is said"))
    assert choose_mode(None) is None


_ASKED = """
import sys
import sb3_gail_ext.cli.common
from sb3_gail_ext.tracking.session import choose_mode
print("wandb" in sys.modules)
print(choose_mode(None))
"""


def test_wandb_is_imported_late_and_asks_nobody_to_log_in(tmp_path: Path) -> None:
    """W&B's real answer, in a home where nobody has logged in."""
    no_key = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    done = subprocess.run(
        [sys.executable, "-c", _ASKED],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**no_key, "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == "False\noffline\n"


def test_refusals_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="give one of expert, train, eval, compare"):
        WandbTracker(job_type="other")
    with pytest.raises(TrackingError, match="give one of online, offline, disabled"):
        choose_mode("shelved")
    with pytest.raises(TrackingError, match="nobody knows what this run is of"):
        WandbTracker(folder=tmp_path).log({"a": 1})
    with WandbTracker(folder=tmp_path, env=ENV, algo="bc") as tracker:
        tracker.log({"a": 1})
        with pytest.raises(TrackingError, match="a W&B run is open already"):
            WandbTracker(folder=tmp_path, env=ENV, algo="bc").start()
    (tmp_path / "wandb_run.json").write_text("[]")
    with pytest.raises(TrackingError, match=r"wandb_run\.json: not written by this package"):
        session_resume(tmp_path)


def session_resume(folder: Path) -> None:
    model = PPO("MlpPolicy", ENV, n_steps=8, batch_size=8, device="cpu")
    model.num_timesteps = 8
    WandbTracker(folder=folder).start(model)


def test_without_wandb_there_is_a_hint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hopper_file: Path, capfd: Any
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    hint = r"pip install 'sb3_gail_ext\[wandb\]'"
    with pytest.raises(ImportError, match=hint):
        WandbTracker()
    out = tmp_path / "out"
    arguments = ["--env", "HopperMuJoCoEnv-v0", "--demos", str(hopper_file), "--out", str(out)]
    assert main(["train", *arguments, "--wandb"]) == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert printed.startswith("sb3-gail: W&B is not installed; pip install 'sb3_gail_ext[wandb]'")
    assert not out.exists()


def test_variables_are_left_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_CACHE_DIR", "mine")
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    with session.files_in(tmp_path):
        assert os.environ["WANDB_CACHE_DIR"] == "mine"
        assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "wandb" / "data")
    assert "WANDB_DATA_DIR" not in os.environ


# --- The command line --------------------------------------------------------------------------


def test_train_and_evaluate_from_the_command_line(
    tmp_path: Path, hopper_file: Path, capfd: Any
) -> None:
    out = tmp_path / "run"
    few = ["--set", "warm_start_updates=5", "--set", "n_steps=64", "--n-envs", "2"]
    env = ["--env", "HopperMuJoCoEnv-v0"]
    status = main(
        [
            *("train", *env, "--demos", str(hopper_file), "--limit", "2", "--steps", "256", *few),
            *("--eval-episodes", "2", "--no-videos", "--no-progress", "--seed", "5"),
            *("--out", str(out), "--wandb-project", "hopping", "--tensorboard"),
        ]
    )
    printed = capfd.readouterr()
    assert status == 0, printed.err
    run = read_back(out)
    assert f"W&B, offline: {files_of(out)[0].parent}; upload it with: wandb sync" in printed.out
    assert run.run["project"] == "hopping"
    assert run.run["run_group"] == "gail/HopperMuJoCoEnv-v0/n2"
    assert metrics(run.history) == csv_rows(out / "metrics.csv")
    config = run.summary["config"]
    assert (config["seed"], config["n_demos"], config["n_timesteps"]) == (5, 2, 256)
    assert config["demonstrations_sha256"] == sha256(hopper_file)
    said = json.loads((out / "summary.json").read_text())
    assert run.summary["summary"]["eval/return_mean"] == pytest.approx(said["return_mean"])
    aliases = [alias for a in run.artifacts("model") for alias in a["aliases"]]
    assert {"best", "latest"} == set(aliases)
    assert list((out / "tensorboard").glob("events.out.tfevents.*"))

    time.sleep(1.1)
    model = str(out / "model.zip")
    assert main(["evaluate", model, *env, "--episodes", "2", "--seed", "9", "--wandb"]) == 0
    evaluated = read_file(files_of(out)[-1])
    assert evaluated.run["job_type"] == "eval"
    assert evaluated.run["run_group"] == run.run["run_group"]
    assert evaluated.run["run_id"] != run.run["run_id"]
    assert evaluated.summary["config"]["model_sha256"] == sha256(out / "model.zip")
    assert evaluated.summary["config"]["demonstrations_sha256"] == sha256(hopper_file)
    [row] = evaluated.history
    assert table_at_file(files_of(out)[-1], row)["columns"] == ["episode", "seed", "return"]


def test_an_expert_is_a_run_whose_outputs_are_model_and_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(making, "N_EVALUATION_EPISODES", 3)
    arguments = ["--env", ENV, "--algo", "ppo", "--steps", "2048", "--episodes", "1"]
    assert main(["expert", *arguments, "--out", "made", "--no-progress", "--wandb"]) == 0
    [made] = (tmp_path / "made").glob("*.npz")
    run = read_back(tmp_path / "runs" / "experts" / f"{ENV}_ppo_0")
    assert run.run["job_type"] == "expert"
    assert run.run["run_group"] == f"ppo/{ENV}/n0"
    assert [r[STEP] for r in run.history if "rollout/ep_rew_mean" in r] == [2048]
    [dataset] = run.artifacts("dataset")
    assert dataset["metadata"]["sha256"] == sha256(made)
    assert {e["path"] for e in dataset["manifest"]["contents"]} == {
        made.name,
        made.with_suffix(".card.json").name,
    }
    best = run.artifacts("model")[-1]
    assert sorted(best["aliases"]) == ["best", "latest"]  # W&B adds the latter itself
    assert best["metadata"]["checkpoint_steps"] == 2048
    card = json.loads(made.with_suffix(".card.json").read_text())
    evaluated = run.summary["summary"]["eval/return_mean"]
    assert evaluated == pytest.approx(np.mean(card["evaluation"]["returns"]))


def table_at_file(file: Path, row: dict[str, Any]) -> dict[str, Any]:
    return json.loads((file.parent / "files" / row["eval/episodes.path"]).read_text())


def test_an_empty_project_is_refused(hopper_file: Path, tmp_path: Path, capfd: Any) -> None:
    env = ["--env", "HopperMuJoCoEnv-v0", "--demos", str(hopper_file)]
    assert main(["train", *env, "--out", str(tmp_path / "o"), "--wandb-project", ""]) == 2
    assert capfd.readouterr().err == "sb3-gail: --wandb-project is empty; give a name\n"
