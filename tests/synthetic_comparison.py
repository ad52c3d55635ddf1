"""A comparison as `sb3-gail compare` leaves it, made up, the same at every call."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CARDS = {
    env_id: f"expert_data/{env_id}-v4/deterministic.trpo.{env_id}.0.00.npz"
    for env_id in ("Hopper", "Walker2d", "HalfCheetah", "Ant")
}
_WITHOUT_STEPS = ("bc", "imitation_bc")
_WITHOUT_DISCRIMINATOR = (*_WITHOUT_STEPS, "sqil", "imitation", "dagger")
_COLUMNS = (
    "time/total_timesteps",
    "discriminator/accuracy_expert",
    "discriminator/accuracy_agent",
    "discriminator/entropy",
    "discriminator/gradient_penalty",
    "rollout/ep_rew_mean",
)


@dataclass
class Comparison:
    folder: Path
    results: list[dict[str, Any]]
    summary: dict[str, Any]


def make_comparison(
    folder: Path,
    methods: tuple[str, ...] = ("gail", "bc"),
    env_ids: tuple[str, ...] = ("Hopper-v4", "Walker2d-v4"),
    numbers: tuple[int, ...] = (1, 4, 11, 25),
    n_seeds: int = 5,
) -> Comparison:
    """Write the cells' logs to `folder` and return what `compare` hands to the report."""
    results = [
        _result(folder, method, place, env_id, n, seed)
        for env_id in env_ids
        for n in numbers
        for seed in range(n_seeds)
        for place, method in enumerate(methods)
    ]
    return Comparison(folder, results, _summary(results, methods, env_ids, numbers))


def _result(
    folder: Path, method: str, place: int, env_id: str, n: int, seed: int
) -> dict[str, Any]:
    rng = np.random.default_rng([place, sum(map(ord, env_id)), n, seed])
    best = 1.0 - 0.09 * place - (0.25 + 0.12 * place) / n
    score = float(best + 0.05 * rng.normal())
    name = f"{env_id}-{place}-{n}-{seed}"
    steps = [0] if method in _WITHOUT_STEPS else [20_000 * i for i in range(16)]
    reached = 1.0 - 0.85 * np.exp(-np.array(steps) / (30_000 * (1 + place)))
    noise = 0.03 * rng.normal(size=len(steps))
    curve = [[s, float(v)] for s, v in zip(steps, score * reached + noise, strict=True)]
    curve[-1][1] = score
    if method not in _WITHOUT_DISCRIMINATOR:
        _write_metrics(folder / "cells" / name / "metrics.csv", rng)
    return {
        "id": name,
        "kind": "comparison",
        "method": method,
        "label": method,
        "task": {
            "env_id": env_id,
            "demonstrations": CARDS.get(env_id.removesuffix("-v4"), "nowhere.npz"),
            "n_demonstrations": n,
            "subsample": 20,
        },
        "seed": seed,
        "total_timesteps": 300_000,
        "settings": {"gamma": 0.99, "policy_kwargs": {"net_arch": [64, 64]}, "place": place},
        "measure": {"every": 20_000, "n_episodes": 10, "n_final_episodes": 50},
        "versions": {"sb3_gail_ext": "0.1.0", "torch": "2.13.0+cpu", "numpy": "2.4.6"},
        "hardware": "2 cores, AMD EPYC",
        "seconds": 90.0 + seed,
        "peak_memory_mb": 480 + place,
        "result": {
            "score": score,
            "returns": [3000.0 * score] * 50,
            "expert_mean": 3000.0,
            "random_mean": 18.0,
            "env_steps": steps[-1],
            "curve": curve,
        },
    }


def _write_metrics(path: Path, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerow([2048, "", "", "", "", 61.2])  # before the first round
        for i in range(2, 148):
            sure = 0.5 + 0.35 * np.exp(-i / 40)
            shaken = sure + 0.03 * rng.normal(size=2)
            writer.writerow([2048 * i, *shaken, 0.69 - 0.3 * (sure - 0.5), 0.02 / i, 3000.0])


def _summary(
    results: list[dict[str, Any]],
    methods: tuple[str, ...],
    env_ids: tuple[str, ...],
    numbers: tuple[int, ...],
) -> dict[str, Any]:
    def scores(method: str, env_id: str, n: int | None = None) -> np.ndarray:
        return np.array(
            [
                r["result"]["score"]
                for r in results
                if r["label"] == method
                and env_id in ("all", r["task"]["env_id"])
                and n in (None, r["task"]["n_demonstrations"])
            ]
        )

    table = [
        {"env_id": env_id, "n_demonstrations": n, "method": m, **_spread(scores(m, env_id, n))}
        for env_id in ("all", *env_ids)
        for n in numbers
        for m in methods
    ]
    return {
        "verdict": "On these two environments GAIL is better than behaviour cloning with one and "
        "four demonstrations (by 0.28 and 0.12 of the expert's score); with eleven and more the "
        "runs do not tell them apart.",
        "score": "expert-normalised: 0 is a random agent, 1 the expert",
        "n_runs": len(results),
        "n_missing": 0,
        "table": table,
        "improvement": [
            _improvement(env_id, n, m, scores(m, env_id, n), scores("bc", env_id, n))
            for env_id in ("all", *env_ids)
            for n in numbers
            for m in methods
            if m != "bc" and "bc" in methods
        ],
        "profiles": {m: _profile(scores(m, "all")) for m in methods},
        "by_demonstrations": [
            _by_demonstrations([r for r in table if (r["env_id"], r["method"]) == (env_id, m)])
            for env_id in ("all", *env_ids)
            for m in methods
        ],
        "curves": [
            _curve(env_id, n, m, results) for env_id in env_ids for n in numbers for m in methods
        ],
    }


def _spread(scores: np.ndarray) -> dict[str, Any]:
    quarter = len(scores) // 4
    iqm = float(np.sort(scores)[quarter : len(scores) - quarter].mean())
    half = float(scores.std())
    return {
        "n_runs": len(scores),
        "iqm": iqm,
        "low": iqm - half,
        "high": iqm + half,
        "mean": float(scores.mean()),
        "median": float(np.median(scores)),
        "lowest": float(scores.min()),
        "note": None,
    }


def _improvement(env_id: str, n: int, method: str, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    probability = float((x[:, None] > y).mean())
    return {
        "env_id": env_id,
        "n_demonstrations": n,
        "method": method,
        "over": "bc",
        "probability": probability,
        "low": max(0.0, probability - 0.15),
        "high": min(1.0, probability + 0.1),
        "n_runs": [len(x), len(y)],
    }


def _profile(scores: np.ndarray) -> dict[str, Any]:
    taus = np.linspace(0, 1.2, 61)
    share = (scores[:, None] > taus).mean(axis=0)
    return {
        "taus": taus.tolist(),
        "share": share.tolist(),
        "low": np.maximum(share - 0.08, 0).tolist(),
        "high": np.minimum(share + 0.08, 1).tolist(),
        "n_runs": len(scores),
    }


def _by_demonstrations(rows: list[dict[str, Any]]) -> dict[str, Any]:
    columns = ("n_demonstrations", "iqm", "low", "high", "n_runs")
    return {
        "env_id": rows[0]["env_id"],
        "method": rows[0]["method"],
        **{column: [row[column] for row in rows] for column in columns},
    }


def _curve(env_id: str, n: int, method: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    curves = np.array(
        [
            r["result"]["curve"]
            for r in results
            if (r["task"]["env_id"], r["task"]["n_demonstrations"], r["label"])
            == (env_id, n, method)
        ]
    )
    middle = np.median(curves[:, :, 1], axis=0)
    return {
        "env_id": env_id,
        "n_demonstrations": n,
        "method": method,
        "steps": curves[0, :, 0].astype(int).tolist(),
        "iqm": middle.tolist(),
        "low": (middle - 0.06).tolist(),
        "high": (middle + 0.06).tolist(),
        "n_runs": len(curves),
    }
