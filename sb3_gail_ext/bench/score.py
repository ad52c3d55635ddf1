"""Measure how good a method's policy is after training, and on the way there."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import CSVOutputFormat, Logger

from sb3_gail_ext.algorithms.with_discriminator import WithDiscriminator
from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.bench.methods import METHODS
from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.evaluation.evaluate import EVALUATION_SEED, evaluate
from sb3_gail_ext.evaluation.scale import measure_scale

_SECONDS_BETWEEN_SIGNS = 1.0  # of life, for those who wait


def measure_score(cell: Cell, folder: Path) -> dict[str, Any]:
    """Learn and evaluate; leave `model.zip`, `progress.json` and `metrics.csv` in `folder`.

    The metrics are those of methods with a discriminator.

    :returns: `score`, expert-normalised, of `n_final_episodes` seeded starts, their `returns`,
        `random_mean` and `expert_mean` (on the same starts, if `same_starts`), `curve`, a list of
        `[env steps, score]` of `n_episodes` starts each, `env_steps`, `seconds` of training without
        evaluations, and `settings`, all that the method had, as far as it knows them.
    :raises DemonstrationError: if the demonstrations cannot be used.
    """
    task, measure = cell.task, cell.measure
    demonstrations = Path(task.demonstrations)
    scale = measure_scale(task.env_id, demonstrations, measure["n_final_episodes"])
    scale_on_the_way = measure_scale(task.env_id, demonstrations, measure["n_episodes"])
    method = METHODS[cell.method](task, cell.seed, dict(cell.settings))
    if isinstance(method.model, WithDiscriminator):
        metrics = CSVOutputFormat(str(folder / "metrics.csv"))
        method.model.set_logger(Logger(str(folder), [metrics]))
    curve: list[tuple[int, float]] = []
    sign = _SignOfLife(folder / "progress.json", cell.total_timesteps)
    started, paused = time.perf_counter(), 0.0

    def between_rollouts(steps: int) -> None:
        nonlocal paused
        sign.give(steps)
        if curve and steps < cell.total_timesteps and steps < curve[-1][0] + measure["every"]:
            return
        now = time.perf_counter()
        tested = evaluate(method.model, task.env_id, measure["n_episodes"], seed=EVALUATION_SEED)
        curve.append((steps, round(scale_on_the_way.score(float(tested.mean())), 4)))
        paused += time.perf_counter() - now

    method.learn(cell.total_timesteps, between_rollouts)
    seconds = time.perf_counter() - started - paused
    method.model.save(folder / "model.zip")
    final = evaluate(method.model, task.env_id, measure["n_final_episodes"], seed=EVALUATION_SEED)
    return {
        "score": round(scale.score(float(final.mean())), 4),
        "returns": [round(float(value), 3) for value in final],
        "random_mean": round(scale.random_mean, 3),
        "expert_mean": round(scale.expert_mean, 3),
        "same_starts": scale.same_starts,
        "curve": [list(point) for point in curve],
        "env_steps": curve[-1][0],
        "seconds": round(seconds, 2),
        "settings": method.settings or cell.settings,
    }


class _SignOfLife:
    """How far a run is, in a file, once a second."""

    def __init__(self, path: Path, total: int) -> None:
        self.path, self.total = path, total
        self._last = -_SECONDS_BETWEEN_SIGNS

    def give(self, steps: int) -> None:
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_SIGNS:
            return
        self._last = now
        with atomically(self.path) as temporary:
            temporary.write_text(json.dumps({"steps": steps, "of": self.total}))
