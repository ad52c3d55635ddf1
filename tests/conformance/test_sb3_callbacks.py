"""What SB3's test_callbacks and test_logger check."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from columns import STEPS, Algorithm
from matrix import feature
from probing import AtCall, answers
from stable_baselines3.common import callbacks as sb3_callbacks
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    CheckpointCallback,
    EvalCallback,
    EveryNTimesteps,
    StopTrainingOnMaxEpisodes,
    StopTrainingOnNoModelImprovement,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from watching import Memory

EARLY = 8  # calls of a callback


def evaluating(algorithm: Algorithm, **kwargs: Any) -> EvalCallback:
    settings = {"n_eval_episodes": 1, "eval_freq": EARLY, "verbose": 0, **kwargs}
    return EvalCallback(Monitor(algorithm.env()), **settings)


def enough(algorithm: Algorithm) -> int:
    """Timesteps that allow a few calls more than `EARLY`."""
    return 2 * EARLY * algorithm.steps_per_call


@feature("`CheckpointCallback`: model, replay buffer, `VecNormalize`", "test_callbacks")
def test_checkpoints(algorithm: Algorithm, tmp_path: Path) -> None:
    walk = algorithm.env()
    venv = VecNormalize(DummyVecEnv([lambda: walk]))

    def look(model: Any) -> Any:
        size = model.replay_buffer.size() if algorithm.replays else None
        return answers(model), size, venv.obs_rms.mean.copy(), model.num_timesteps

    at = AtCall(2 * EARLY, look)
    checkpoint = CheckpointCallback(
        2 * EARLY, str(tmp_path), save_replay_buffer=True, save_vecnormalize=True
    )
    algorithm.make(venv).learn(3 * EARLY * algorithm.steps_per_call, [at, checkpoint])
    expected, size, mean, steps = at.seen
    loaded = algorithm.cls.load(tmp_path / f"rl_model_{steps}_steps.zip", device="cpu")
    np.testing.assert_array_equal(answers(loaded), expected)
    assert loaded.num_timesteps == steps
    normalize = VecNormalize.load(
        str(tmp_path / f"rl_model_vecnormalize_{steps}_steps.pkl"), DummyVecEnv([algorithm.env])
    )
    np.testing.assert_array_equal(normalize.obs_rms.mean, mean)
    assert len(list(tmp_path.glob(f"*_{steps}_steps.*"))) == (3 if algorithm.replays else 2)
    if algorithm.replays:
        loaded.load_replay_buffer(tmp_path / f"rl_model_replay_buffer_{steps}_steps.pkl")
        assert loaded.replay_buffer.size() == size


@feature("`EvalCallback`: best model, `evaluations.npz`, `eval/mean_reward`", "test_callbacks")
def test_evaluations(algorithm: Algorithm, tmp_path: Path) -> None:
    walk = algorithm.env()
    callback = EvalCallback(
        Monitor(walk),
        n_eval_episodes=2,
        eval_freq=EARLY,
        best_model_save_path=str(tmp_path),
        log_path=str(tmp_path),
        verbose=0,
    )
    at = AtCall(EARLY, answers)
    memory = Memory()
    model = algorithm.make()
    model.set_logger(Logger(None, [memory]))
    model.learn(enough(algorithm), [callback, at])
    logged_means = [r["eval/mean_reward"] for r in memory.rows if "eval/mean_reward" in r]
    np.testing.assert_allclose(logged_means, saved_means(tmp_path))
    saved = np.load(tmp_path / "evaluations.npz")
    np.testing.assert_allclose(saved["results"].ravel(), walk.returns, atol=1e-5)  # Monitor rounds
    n = algorithm.steps_per_call
    assert saved["timesteps"].tolist() == [EARLY * n, 2 * EARLY * n]
    best = algorithm.cls.load(tmp_path / "best_model.zip", device="cpu")
    if saved["results"].mean(1).argmax() == 0:
        np.testing.assert_array_equal(answers(best), at.seen)
    assert best.num_timesteps in saved["timesteps"]


def saved_means(folder: Path) -> np.ndarray:
    means: np.ndarray = np.load(folder / "evaluations.npz")["results"].mean(1)
    return means


@feature("`EvalCallback` on a `VecNormalize`: statistics follow", "test_vec_normalize")
def test_evaluations_normalized(algorithm: Algorithm) -> None:
    venv, other = (VecNormalize(DummyVecEnv([lambda: Monitor(algorithm.env())])) for _ in "ab")
    other.training = False
    at = AtCall(2 * EARLY, lambda _: venv.obs_rms.mean.copy())
    evaluation = EvalCallback(other, n_eval_episodes=1, eval_freq=EARLY, verbose=0)
    algorithm.make(venv).learn(enough(algorithm), [at, evaluation])
    np.testing.assert_array_equal(other.obs_rms.mean, at.seen)


@feature("`StopTrainingOnRewardThreshold`", "test_callbacks")
def test_threshold(algorithm: Algorithm) -> None:
    for threshold, calls in ((-1e9, EARLY), (1e9, 2 * EARLY)):
        stop = StopTrainingOnRewardThreshold(reward_threshold=threshold, verbose=0)
        model = algorithm.make()
        model.learn(enough(algorithm), evaluating(algorithm, callback_on_new_best=stop))
        assert model.num_timesteps == calls * algorithm.steps_per_call


@feature("`StopTrainingOnNoModelImprovement`", "test_callbacks")
def test_no_improvement(algorithm: Algorithm) -> None:
    stop = StopTrainingOnNoModelImprovement(max_no_improvement_evals=0, min_evals=1)
    constant = _ConstantReward(evaluating(algorithm, eval_freq=2, callback_after_eval=stop))
    model = algorithm.make().learn(enough(algorithm), constant)
    assert model.num_timesteps == 4 * algorithm.steps_per_call


class _ConstantReward(BaseCallback):
    """An EvalCallback that never finds anything better than at first."""

    def __init__(self, evaluation: EvalCallback) -> None:
        super().__init__()
        self.evaluation = evaluation

    def _init_callback(self) -> None:
        self.evaluation.init_callback(self.model)

    def _on_training_start(self) -> None:
        self.evaluation.on_training_start(self.locals, self.globals)
        self.evaluation.best_mean_reward = 1e9

    def _on_step(self) -> bool:
        return self.evaluation.on_step()


@feature("`StopTrainingOnMaxEpisodes`", "test_callbacks")
def test_max_episodes(algorithm: Algorithm) -> None:
    walk = algorithm.env()
    model = algorithm.make(walk).learn(STEPS, StopTrainingOnMaxEpisodes(max_episodes=2))
    assert len(walk.returns) == 2
    assert model.num_timesteps == len(walk.acts) < STEPS


@feature("`EveryNTimesteps`", "test_callbacks")
def test_every(algorithm: Algorithm) -> None:
    at = []

    class Note(BaseCallback):
        def _on_step(self) -> bool:
            at.append(self.model.num_timesteps)
            return True

    n = 4 * algorithm.steps_per_call
    algorithm.make().learn(enough(algorithm), EveryNTimesteps(n_steps=n, callback=Note()))
    assert at == [n, 2 * n, 3 * n, 4 * n]


@feature("`CallbackList`, a list, a function, events in SB3's order", "test_callbacks")
def test_lists(algorithm: Algorithm) -> None:
    model, order = algorithm.make(), []

    class Note(BaseCallback):
        def _on_training_start(self) -> None:
            order.append("start")

        def _on_step(self) -> bool:
            order.append("step")
            return True

        def _on_training_end(self) -> None:
            order.append("end")

    steps = 2 * 16
    for callback in (CallbackList([Note()]), [Note()], [Note(), Note()]):
        order.clear()
        model.learn(steps, callback)
        n = 2 if callback is not None and _length(callback) == 2 else 1
        assert order[:n] == ["start"] * n
        assert order[-n:] == ["end"] * n
        assert order.count("step") == n * steps // algorithm.steps_per_call
    called = []
    model.learn(steps, lambda local, _global: called.append("self" in local) or True)
    assert called == [True] * (steps // algorithm.steps_per_call)
    model.learn(steps, lambda *_: False)
    assert model.num_timesteps == algorithm.steps_per_call


def _length(callback: Any) -> int:
    return len(callback) if isinstance(callback, list) else 1


@feature("`progress_bar`: ends at the total", "test_callbacks")
def test_progress_bar(algorithm: Algorithm, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = []

    class Bar:
        def __init__(self, total: int) -> None:
            self.n, self.total = 0, total
            bars.append(self)

        def update(self, n: int) -> None:
            self.n += n

        def refresh(self) -> None:
            pass

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(sb3_callbacks, "tqdm", Bar)
    model = algorithm.make().learn(STEPS, progress_bar=True)
    model.learn(STEPS, progress_bar=True, reset_num_timesteps=False)
    assert [(bar.n, bar.total, bar.closed) for bar in bars] == [(STEPS, STEPS, True)] * 2


# --- Logs ---------------------------------------------------------------------------------------


def logged(algorithm: Algorithm, folder: Path) -> Any:
    """A model that has learned with three loggers, and its environment."""
    walk = algorithm.env()
    model = algorithm.make(walk)
    model.set_logger(configure(str(folder), ["csv", "json", "tensorboard"]))
    model.learn(STEPS, log_interval=1)
    model.logger.close()
    return walk


def key_of(algorithm: Algorithm) -> str:
    return "bc/loss" if algorithm.name == "BC" else "rollout/ep_rew_mean"


@feature("Custom loggers: CSV, JSON, TensorBoard", "test_logger")
def test_loggers(algorithm: Algorithm, tmp_path: Path) -> None:
    logged(algorithm, tmp_path)
    key = key_of(algorithm)
    with (tmp_path / "progress.csv").open() as file:
        from_csv = [float(row[key]) for row in csv.DictReader(file) if row.get(key)]
    lines = (tmp_path / "progress.json").read_text().splitlines()
    from_json = [row[key] for row in map(json.loads, lines) if key in row]
    events = EventAccumulator(str(tmp_path)).Reload()
    from_events = [event.value for event in events.Scalars(key)]
    assert from_csv
    np.testing.assert_allclose(from_csv, from_json, rtol=1e-6)
    np.testing.assert_allclose(from_events, from_json, rtol=1e-6)
    assert all(event.step <= STEPS for event in events.Scalars(key))


@feature("`rollout/ep_rew_mean` is the environment's return", "test_logger")
def test_true_returns(algorithm: Algorithm, tmp_path: Path) -> None:
    walk = logged(algorithm, tmp_path)
    lines = (tmp_path / "progress.json").read_text().splitlines()
    means = [row["rollout/ep_rew_mean"] for row in map(json.loads, lines) if len(row) > 3]
    running = [np.mean(walk.returns[: n + 1]) for n in range(len(walk.returns))]
    for mean in means:
        assert np.isclose(mean, running, atol=1e-4).any()


@feature(
    "`tensorboard_log`, `tb_log_name`: a folder a run, the same when it goes on", "test_logger"
)
def test_tensorboard_folders(algorithm: Algorithm, tmp_path: Path) -> None:
    model = algorithm.make(tensorboard_log=str(tmp_path))
    for reset, folder in ((True, "walk_1"), (True, "walk_2"), (False, "walk_2")):
        model.learn(STEPS, tb_log_name="walk", reset_num_timesteps=reset)
        assert Path(model.logger.dir).name == folder
    assert sorted(path.name for path in tmp_path.iterdir()) == ["walk_1", "walk_2"]


@feature("`verbose=1`: the table on the screen", "test_logger")
def test_verbose(algorithm: Algorithm, capsys: pytest.CaptureFixture[str]) -> None:
    algorithm.make(verbose=1).learn(STEPS, log_interval=1)
    printed = capsys.readouterr().out
    assert "total_timesteps" in printed
    assert key_of(algorithm).split("/")[1] in printed
