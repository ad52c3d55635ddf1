"""Score a policy on seeded starts, with the true reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from sb3_gail_ext.demonstrations.playing import Policy
from sb3_gail_ext.demonstrations.recording import record_demonstrations
from sb3_gail_ext.demonstrations.returns import returns

EVALUATION_SEED = 0  # experts and imitators are compared on the starts from here on


def evaluate(
    model: Policy,
    env: str | gym.Env | VecEnv,
    n_episodes: int = 100,
    *,
    deterministic: bool = True,
    seed: int = 0,
) -> np.ndarray:
    """Undiscounted returns, float64 of shape (n_episodes,); episode i starts from `seed + i`.

    Two policies evaluated with the same seed meet the same starts, so that their returns can be
    compared pair by pair.
    """
    return returns(
        record_demonstrations(model, env, n_episodes, deterministic=deterministic, seed=seed)
    )


def summarize(
    episode_returns: np.ndarray,
    expert_return_mean: float | None = None,
    *,
    same_starts: bool = True,
) -> dict[str, Any]:
    """The figures of one evaluation.

    :param episode_returns: (n,).
    :param expert_return_mean: the expert's mean; None if it is unknown.
    :param same_starts: whether that mean is from the same starts.
    :returns: `return_mean, return_median, return_std, n_episodes` and, against the expert,
        `expert_return_mean, same_starts, normalized` (mean by mean; None unless the expert's is
        positive) and `share_below_half_expert`.
    """
    summary: dict[str, Any] = {
        "return_mean": float(episode_returns.mean()),
        "return_median": float(np.median(episode_returns)),
        "return_std": float(episode_returns.std()),
        "n_episodes": len(episode_returns),
    }
    if expert_return_mean is not None:
        positive = expert_return_mean > 0  # ratios of costs would praise the worse policy
        below = episode_returns < expert_return_mean / 2
        summary["expert_return_mean"] = expert_return_mean
        summary["same_starts"] = same_starts
        summary["normalized"] = summary["return_mean"] / expert_return_mean if positive else None
        summary["share_below_half_expert"] = float(below.mean()) if positive else None
    return summary


def verdict(summary: Mapping[str, Any]) -> str:
    """One sentence for people: how close the policy came to the expert."""
    if "expert_return_mean" not in summary:
        return (
            f"The imitator returns {summary['return_mean']:.1f} on average over "
            f"{summary['n_episodes']} episodes; the expert's return is unknown, for its "
            "demonstrations have no rewards."
        )
    share = summary["normalized"]
    caveat = "" if summary["same_starts"] else " (in its demonstrations, from other starts)"
    if share is None:
        return (
            f"The imitator returns {summary['return_mean']:.1f} on average over "
            f"{summary['n_episodes']} episodes, the expert {summary['expert_return_mean']:.1f}"
            f"{caveat}."
        )
    return (
        f"The imitator is {_in_words(share)}: it returns {summary['return_mean']:.0f} on average "
        f"over {summary['n_episodes']} episodes, {share:.0%} of the expert's "
        f"{summary['expert_return_mean']:.0f}{caveat}."
    )


def _in_words(share: float) -> str:
    if share >= 0.97:
        return "as good as the expert"
    if share >= 0.9:
        return "close to the expert"
    if share >= 0.5:
        return "on its way, but short of the expert"
    return "far from the expert"
