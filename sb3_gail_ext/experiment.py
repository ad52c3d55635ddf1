"""One training run, from a demonstration file to a folder with model, curves, films and figures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from imitation.data.types import TrajectoryWithRew
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import (
    CSVOutputFormat,
    KVWriter,
    Logger,
    TensorBoardOutputFormat,
)

from sb3_gail_ext.algorithms.on_policy import AdversarialOnPolicy
from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.demonstrations.cards import (
    ExpertReturns,
    expert_returns,
    package_versions,
    sha256,
)
from sb3_gail_ext.demonstrations.checks import check_fits_spaces
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.files import load_demonstrations
from sb3_gail_ext.demonstrations.sampling import flatten
from sb3_gail_ext.evaluation.evaluate import EVALUATION_SEED, evaluate, summarize
from sb3_gail_ext.evaluation.films import film_all
from sb3_gail_ext.evaluation.live import ChapterFigureCallback
from sb3_gail_ext.evaluation.random_policy import RandomPolicy
from sb3_gail_ext.presets.errors import PresetError
from sb3_gail_ext.presets.preset import ALGORITHMS, Preset, as_settings
from sb3_gail_ext.presets.resolved import resolve, write_preset
from sb3_gail_ext.tracking.session import require_wandb

if TYPE_CHECKING:
    from sb3_gail_ext.tracking.tracker import WandbTracker

_N_TESTS = 20
_MIN_STEPS_BETWEEN_TESTS = 2_048


@dataclass(frozen=True)
class TrainingRun:
    """What to train, on what, with which settings, and where the results go."""

    env_id: str
    demonstrations: Path
    folder: Path
    preset: Preset = field(default_factory=Preset)
    seed: int = 0
    limit: int | None = None  # episodes of the file to use
    subsample: int = 1  # keep every n-th transition
    n_evaluation_episodes: int = 100
    videos: bool = True
    progress_bar: bool = True
    tensorboard: bool = False  # events into `folder/tensorboard`
    wandb_project: str | None = None  # tracked in W&B's project of that name


def run_training(run: TrainingRun, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Train GAIL or DAC, evaluate it, film it, and write everything into `run.folder`.

    Writes `model.zip` (everything), `metrics.csv`, `curves.png`, `config.yml` (every setting, in
    a preset's layout), `config.json` (what the run was made from), `summary.json`,
    `videos/*.mp4` and, of GAIL, `policy.zip` (for SB3's own `PPO.load`); `tensorboard/` and
    `wandb/` if asked for.

    :param say: receives lines for people.
    :returns: the content of `summary.json`.
    :raises DemonstrationError: before anything is written, if the demonstrations do not fit.
    :raises PresetError: likewise, if the algorithm refuses the settings.
    :raises ImportError: if W&B is asked for and not installed.
    :raises TrackingError: if it does not answer.
    """
    if run.wandb_project is not None:
        require_wandb()
    demonstrations = load_demonstrations(
        run.demonstrations, limit=run.limit, subsample=run.subsample, seed=run.seed
    )
    expert = expert_returns(run.demonstrations, run.env_id, run.n_evaluation_episodes)
    model = make_model(run, demonstrations)
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "summary.json").unlink(missing_ok=True)  # of an earlier run
    settings = resolve(run.preset, model)
    write_preset(run.folder / "config.yml", settings, run.env_id)
    _write_json(run.folder / "config.json", _origins(run))
    figure = _figure(run, demonstrations, float(expert.returns.mean()))
    model.set_logger(_metrics_logger(run))
    say(
        f"training for {run.preset.n_timesteps:,} steps, preset {run.preset.label}; "
        f"watch {run.folder / 'curves.png'}"
    )
    more = {"preset": run.preset.label, "subsample": run.subsample, **as_settings(settings)}
    with _tracked(run, model, len(demonstrations), more) as tracker:
        started = time.monotonic()
        callbacks = [figure, *tracker]
        model.learn(run.preset.n_timesteps, callback=callbacks, progress_bar=run.progress_bar)
        seconds = time.monotonic() - started
        model.save(run.folder / "model.zip")
        if isinstance(model, AdversarialOnPolicy):
            model.export_policy(run.folder / "policy.zip")
        say(f"evaluating {run.n_evaluation_episodes} episodes")
        agent = evaluate(model, run.env_id, run.n_evaluation_episodes, seed=EVALUATION_SEED)
        summary = _summary(run, model, len(demonstrations), agent, expert, seconds)
        _write_json(run.folder / "summary.json", summary)
        if run.videos:
            policies = {"random": RandomPolicy(run.env_id), "imitator": model}
            film_all(run.env_id, run.demonstrations, policies, run.folder / "videos", say)
        for tracked in tracker:
            _track_results(run, tracked, figure, agent, expert)
            say(tracked.where())
    return summary


def _figure(
    run: TrainingRun, demonstrations: list[TrajectoryWithRew], expert_mean: float
) -> ChapterFigureCallback:
    name = run.preset.algorithm.upper()
    return ChapterFigureCallback(
        run.env_id,
        load_demonstrations(run.demonstrations)[0],  # a whole episode
        run.folder / "curves.png",
        every=max(run.preset.n_timesteps // _N_TESTS, _MIN_STEPS_BETWEEN_TESTS),
        expert_return=expert_mean,
        title=f"{name} on {run.env_id}, {len(demonstrations)} demonstrations, seed {run.seed}",
        # What the best model is chosen by, for W&B; parts of episodes cannot tell.
        demonstrations=demonstrations if run.wandb_project and run.subsample == 1 else None,
    )


def _summary(
    run: TrainingRun,
    model: Any,
    n_demonstrations: int,
    agent: np.ndarray,
    expert: ExpertReturns,
    seconds: float,
) -> dict[str, Any]:
    return {
        **summarize(agent, float(expert.returns.mean()), same_starts=expert.same_starts),
        "env_steps": model.num_timesteps,
        "seconds": round(seconds, 1),
        "seed": run.seed,
        "env_id": run.env_id,
        "n_demonstrations": n_demonstrations,
        "versions": package_versions(),
    }


def _track_results(
    run: TrainingRun,
    tracker: WandbTracker,
    figure: ChapterFigureCallback,
    agent: np.ndarray,
    expert: ExpertReturns,
) -> None:
    tracker.log_chapter_plots(figure)
    tracker.log_evaluation(
        agent,
        first_seed=EVALUATION_SEED,
        expert_return=float(expert.returns.mean()),
        same_starts=expert.same_starts,
    )
    tracker.log_videos(run.folder / "videos")


@contextmanager
def _tracked(
    run: TrainingRun, model: Any, n_demonstrations: int, config: dict[str, Any]
) -> Iterator[list[WandbTracker]]:
    """An open W&B run, or none."""
    if run.wandb_project is None:
        yield []
        return
    from sb3_gail_ext.tracking.tracker import WandbTracker

    with WandbTracker(
        run.wandb_project,
        folder=run.folder,
        env=run.env_id,
        algo=run.preset.algorithm,
        seed=run.seed,
        demonstrations=run.demonstrations,
        n_demos=n_demonstrations,
        config=json.loads(json.dumps(config, default=str)),  # as text, what only Python has
    ) as tracker:
        yield [tracker.start(model)]


def make_model(run: TrainingRun, demonstrations: list[TrajectoryWithRew]) -> Any:
    """The algorithm of the run's preset, on seeded environments.

    :raises DemonstrationError: if the demonstrations do not fit the environment.
    :raises PresetError: if it refuses the settings: their types fit, but not what they say.
    """
    venv = make_vec_env(run.env_id, n_envs=run.preset.n_envs, seed=run.seed)
    check_fits_spaces(
        flatten(demonstrations),
        venv.observation_space,
        venv.action_space,
        str(run.demonstrations),
    )
    try:
        return ALGORITHMS[run.preset.algorithm](
            run.preset.policy,
            venv,
            demonstrations,
            seed=run.seed,
            device="cpu",
            **run.preset.algorithm_kwargs,
        )
    except DemonstrationError:
        raise
    except (AssertionError, TypeError, ValueError) as error:  # SB3's ways, and ours
        name = run.preset.algorithm.upper()
        raise PresetError(
            f"preset {run.preset.label}: {name} refuses the settings: {error}"
        ) from error


def _metrics_logger(run: TrainingRun) -> Logger:
    outputs: list[KVWriter] = [CSVOutputFormat(str(run.folder / "metrics.csv"))]
    if run.tensorboard:
        outputs.append(TensorBoardOutputFormat(str(run.folder / "tensorboard")))
    return Logger(str(run.folder), outputs)


def _origins(run: TrainingRun) -> dict[str, Any]:
    """What the run was made from, besides its hyperparameters."""
    return {
        **{f.name: getattr(run, f.name) for f in fields(run)},
        "algorithm": run.preset.algorithm,
        "preset": run.preset.label,
        "demonstrations_sha256": sha256(run.demonstrations),
        "versions": package_versions(),
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomically(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, default=str) + "\n")
