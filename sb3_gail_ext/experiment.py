"""One training run, from a demonstration file to a folder with model, curves, films and figures."""

from __future__ import annotations

import json
import shlex
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.algorithms.on_policy import AdversarialOnPolicy
from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.checkpoints.folders import remove_all
from sb3_gail_ext.checkpoints.logs import record_again
from sb3_gail_ext.checkpoints.reading import Loaded
from sb3_gail_ext.checkpoints.writing import Checkpoints
from sb3_gail_ext.demonstrations.cards import ExpertReturns, expert_returns, package_versions
from sb3_gail_ext.demonstrations.files import load_demonstrations
from sb3_gail_ext.evaluation.evaluate import EVALUATION_SEED, evaluate, summarize
from sb3_gail_ext.evaluation.films import film_all
from sb3_gail_ext.evaluation.live import ChapterFigureCallback
from sb3_gail_ext.evaluation.random_policy import RandomPolicy
from sb3_gail_ext.failures import NotFiniteError
from sb3_gail_ext.folder_lock import sole_user
from sb3_gail_ext.presets.preset import Preset, as_settings
from sb3_gail_ext.presets.resolved import resolve, write_preset
from sb3_gail_ext.tracking.session import require_wandb
from sb3_gail_ext.training.logs import METRICS, make_logger
from sb3_gail_ext.training.model import make_model
from sb3_gail_ext.training.resuming import (
    check_folder_is_free,
    check_same_run,
    check_same_settings,
    load_run,
    restore_metrics,
)
from sb3_gail_ext.training.run import TrainingRun, origins
from sb3_gail_ext.training.stopping import StopWhenAsked, TrainingStopped, signals_ask
from sb3_gail_ext.training.stopwatch import Stopwatch

if TYPE_CHECKING:
    from sb3_gail_ext.tracking.tracker import WandbTracker

__all__ = ["TrainingRun", "TrainingStopped", "run_training"]

_N_TESTS = 20
_MIN_STEPS_BETWEEN_TESTS = 2_048


def run_training(run: TrainingRun, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Train GAIL or DAC, evaluate it, film it, and write everything into `run.folder`.

    Writes `model.zip` (everything), `metrics.csv`, `curves.png`, `config.yml` (every setting, in
    a preset's layout), `config.json` (what the run was made from), `summary.json`,
    `videos/*.mp4`, `checkpoints/` and, of GAIL, `policy.zip` (for SB3's own `PPO.load`);
    `tensorboard/` and `wandb/` if asked for.

    :param say: receives lines for people.
    :returns: the content of `summary.json`.
    :raises DemonstrationError: before anything is written, if the demonstrations do not fit.
    :raises PresetError: likewise, if the algorithm refuses the settings.
    :raises CheckpointError: likewise, if the folder holds another run, or none to go on with.
    :raises FolderInUseError: if another process is at work in it.
    :raises TrainingStopped: if training failed or was stopped; the latest checkpoint stays.
    :raises ImportError: if W&B is asked for and not installed.
    :raises TrackingError: if it does not answer.
    """
    if run.wandb_project is not None:
        require_wandb()
    demonstrations = load_demonstrations(
        run.demonstrations, limit=run.limit, subsample=run.subsample, seed=run.seed
    )
    expert = expert_returns(run.demonstrations, run.env_id, run.n_evaluation_episodes)
    if run.resume:
        check_same_run(run)
    else:
        check_folder_is_free(run)
    loaded = load_run(run, demonstrations) if run.resume else None
    model = loaded.model if loaded is not None else make_model(run, demonstrations)
    settings = resolve(run.preset, model)
    if loaded is not None:
        check_same_settings(run, settings)
    with sole_user(run.folder):
        return _train(run, model, settings, loaded, demonstrations, expert, say)


def _train(
    run: TrainingRun,
    model: Any,
    settings: Preset,
    loaded: Loaded | None,
    demonstrations: list[TrajectoryWithRew],
    expert: ExpertReturns,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """What `run_training` does once nothing is left to be refused."""
    if loaded is None:
        _begin_folder(run)
        write_preset(run.folder / "config.yml", settings, run.env_id)
    else:
        restore_metrics(run, loaded)
    figure = _figure(run, demonstrations, expert.mean)
    watch = Stopwatch()
    model.set_logger(make_logger(run, resumed_at=model.num_timesteps if loaded else None))
    if loaded is not None:
        record_again(model.logger, loaded.log)
        figure.restore(loaded.states["figure"])
        watch.restore(loaded.states["stopwatch"])
        say(f"going on from step {model.num_timesteps:,} of {run.preset.n_timesteps:,}")
    elif run.resume:
        say("there is no checkpoint yet: starting from the first step")
    say(
        f"training for {run.preset.n_timesteps:,} steps, preset {run.preset.label}; "
        f"watch {run.folder / 'curves.png'}"
    )
    checkpoints = Checkpoints(
        run.checkpoints,
        every=run.steps_between_checkpoints,
        keep=run.keep_checkpoints,
        states={"figure": figure, "stopwatch": watch},
        files=[run.folder / METRICS],
    )
    more = {"preset": run.preset.label, "subsample": run.subsample, **as_settings(settings)}
    with _tracked(run, model, len(demonstrations), more) as tracker:
        _learn(run, model, [figure, *tracker], checkpoints, say)
        seconds = watch.seconds()
        with atomically(run.folder / "model.zip") as temporary:
            model.save(temporary)
        if isinstance(model, AdversarialOnPolicy):
            with atomically(run.folder / "policy.zip") as temporary:
                model.export_policy(temporary)
        say(f"evaluating {run.n_evaluation_episodes} episodes")
        agent = evaluate(model, run.env_id, run.n_evaluation_episodes, seed=EVALUATION_SEED)
        summary = _summary(run, model, len(demonstrations), agent, expert, seconds)
        _write_json(run.folder / "summary.json", summary)
        (run.folder / "error.txt").unlink(missing_ok=True)  # of a process that came to no end
        if run.videos:
            policies = {"random": RandomPolicy(run.env_id), "imitator": model}
            film_all(run.env_id, run.demonstrations, policies, run.folder / "videos", say)
        for tracked in tracker:
            _track_results(run, tracked, figure, agent, expert)
            say(tracked.where())
    return summary


def _begin_folder(run: TrainingRun) -> None:
    """What the run is made from, in the place of what an earlier one has left."""
    run.folder.mkdir(parents=True, exist_ok=True)
    for name in ("summary.json", "error.txt"):
        (run.folder / name).unlink(missing_ok=True)
    remove_all(run.checkpoints)
    _write_json(run.folder / "config.json", origins(run))


def _learn(
    run: TrainingRun,
    model: Any,
    callbacks: list[Any],
    checkpoints: Checkpoints,
    say: Callable[[str], None],
) -> None:
    """To the last step, from where the model is.

    :raises TrainingStopped: if that is not reached.
    """
    total, begun = run.preset.n_timesteps, model.num_timesteps > 0
    try:
        with signals_ask(say) as asked:
            model.learn(
                max(total - model.num_timesteps, 0),
                callback=[*callbacks, checkpoints, StopWhenAsked(asked, checkpoints)],
                reset_num_timesteps=not begun,
                progress_bar=run.progress_bar,
            )
    except KeyboardInterrupt as error:
        raise TrainingStopped(f"stopped at once{_how_to_go_on(run, checkpoints)}", 130) from error
    except Exception as error:
        _keep_traceback(run.folder / "error.txt")
        reason = " ".join(str(error).split()) or type(error).__name__
        step = "" if reason.startswith("step ") else f"step {model.num_timesteps:,}: "
        kind = "" if step == "" else f"{type(error).__name__}: "
        # What diverged would do so again: resumed, it is the same run to the bit.
        how = (
            _kept(checkpoints)
            if isinstance(error, NotFiniteError)
            else _how_to_go_on(run, checkpoints)
        )
        message = f"{step}{kind}{reason}{how}"
        raise TrainingStopped(message, 1) from error
    if model.num_timesteps < total:
        raise TrainingStopped(f"stopped{_how_to_go_on(run, checkpoints)}", 130)


def _how_to_go_on(run: TrainingRun, checkpoints: Checkpoints) -> str:
    step = checkpoints.latest
    if step is None:
        return "; there is no checkpoint yet"
    folder = shlex.quote(str(run.folder))
    return f"; go on from step {step:,} with: sb3-gail train --resume --out {folder}"


def _kept(checkpoints: Checkpoints) -> str:
    step = checkpoints.latest
    return "" if step is None else f"; the checkpoint of step {step:,} is in {checkpoints.folder}"


def _keep_traceback(path: Path) -> None:
    """For whoever has to find out why; not on a disk that is full."""
    try:
        path.write_text(traceback.format_exc())
    except OSError:
        path.unlink(missing_ok=True)


def _figure(
    run: TrainingRun, demonstrations: list[TrajectoryWithRew], expert_mean: float | None
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
        **summarize(agent, expert.mean, same_starts=expert.same_starts),
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
        expert_return=expert.mean,
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


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomically(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, default=str) + "\n")
