"""Demonstrations in a few numbers: returns, lengths, ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import end_of
from sb3_gail_ext.demonstrations.returns import returns


def describe(episodes: Sequence[TrajectoryWithRew]) -> dict[str, Any]:
    """Undiscounted returns, lengths in steps, and how many episodes ended how, for a data card.

    There are no `return_...` where the return of any episode is unknown.
    """
    lengths = np.array([len(episode) for episode in episodes])
    return {
        **_describe_returns(returns(episodes)),
        "length_mean": float(lengths.mean()),
        "length_min": int(lengths.min()),
        "length_max": int(lengths.max()),
        "ends": ends(episodes),
    }


def returns_in_words(described: Mapping[str, Any]) -> str:
    """Of what `describe` says."""
    if "return_mean" not in described:
        return "unknown (no rewards)"
    return f"{described['return_mean']:.1f} ± {described['return_std']:.1f}"


def _describe_returns(r: np.ndarray) -> dict[str, float]:
    if np.isnan(r).any():
        return {}
    figures = {
        "mean": r.mean(),
        "median": np.median(r),
        "std": r.std(),
        "min": r.min(),
        "max": r.max(),
    }
    return {f"return_{name}": round(float(figure), 2) for name, figure in figures.items()}


def ends(episodes: Sequence[TrajectoryWithRew]) -> dict[str, int]:
    """How many episodes ended in a terminal state, at a time limit, or as nobody knows."""
    return dict(sorted(Counter(end_of(episode) for episode in episodes).items()))
