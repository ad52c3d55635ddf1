"""Measure how soon a method reaches its expert, and whether it stays."""

from __future__ import annotations

import resource
import time
from typing import Any

import numpy as np
from stable_baselines3.common.env_util import make_vec_env

from sb3_gail_ext.bench.methods import METHODS
from sb3_gail_ext.bench.task import Cell
from sb3_gail_ext.demonstrations.recording import record_demonstrations
from sb3_gail_ext.demonstrations.returns import returns
from sb3_gail_ext.evaluation.evaluate import EVALUATION_SEED
from sb3_gail_ext.rewards.distance import imitation_distance

LEVELS = (0.5, 0.9, 0.95)  # of the expert's mean


def measure_learning(cell: Cell) -> dict[str, Any]:
    """Learn, with the clock stopped during evaluations.

    :returns: `evaluations`, a list of `[env steps, seconds, normalized]` with the mean return over
        seeded starts divided by the expert's, what `time_to_levels` reads off it,
        `imitation_distances`, one for each, and what `picked_without_reward` reads off both.
    """
    every, n_episodes = cell.measure["every"], cell.measure["n_episodes"]
    expert = cell.task.expert_mean(n_episodes)
    evaluation_env = make_vec_env(cell.task.env_id, n_envs=n_episodes)
    demonstrations = cell.task.load(cell.seed)
    evaluations: list[list[float]] = []
    distances: list[float] = []
    started, paused = time.perf_counter(), 0.0
    method = METHODS[cell.method](cell.task, cell.seed, dict(cell.settings))

    def evaluate(steps: int) -> None:
        nonlocal paused
        if evaluations and steps < cell.total_timesteps and steps < evaluations[-1][0] + every:
            return
        now = time.perf_counter()
        episodes = record_demonstrations(
            method.model, evaluation_env, n_episodes, seed=EVALUATION_SEED
        )
        evaluations.append([steps, now - started - paused, returns(episodes).mean() / expert])
        distances.append(imitation_distance(episodes, demonstrations))
        paused += time.perf_counter() - now

    method.learn(cell.total_timesteps, evaluate)
    return {
        "evaluations": [[int(n), round(s, 2), round(float(r), 4)] for n, s, r in evaluations],
        "expert_mean": round(expert, 2),
        "seconds": round(time.perf_counter() - started - paused, 2),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **time_to_levels(evaluations),
        "imitation_distances": [round(distance, 5) for distance in distances],
        **picked_without_reward(evaluations, distances),
    }


def picked_without_reward(
    evaluations: list[list[float]], distances: list[float]
) -> dict[str, float]:
    """`picked`: the normalized return of the evaluation nearest to the demonstrations; `best`."""
    scores = [score for *_, score in evaluations]
    return {
        "picked": round(float(scores[int(np.argmin(distances))]), 4),
        "best": round(float(max(scores)), 4),
    }


def time_to_levels(evaluations: list[list[float]]) -> dict[str, Any]:
    """When each level of the expert was first reached, and the worst that followed 90 %.

    :param evaluations: rows of env steps, seconds, return divided by the expert's.
    :returns: `steps_to_50`, `seconds_to_50` and so on (None: never), `worst_after_90` (None: 90 %
        was never reached, or at the last evaluation only) and `final`.
    """
    table = np.array(evaluations, dtype=np.float64)
    found: dict[str, Any] = {}
    for level in LEVELS:
        hits = np.flatnonzero(table[:, 2] >= level)
        name = f"{level * 100:.0f}"
        found[f"steps_to_{name}"] = int(table[hits[0], 0]) if len(hits) else None
        found[f"seconds_to_{name}"] = round(float(table[hits[0], 1]), 2) if len(hits) else None
    reached = found["steps_to_90"] is not None
    after = table[np.argmax(table[:, 2] >= 0.9) + 1 :, 2] if reached else table[:0, 2]
    found["worst_after_90"] = round(float(after.min()), 4) if len(after) else None
    found["final"] = round(float(table[-1, 2]), 4)
    return found
