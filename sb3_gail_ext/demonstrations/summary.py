"""Demonstrations in a few numbers: returns, lengths, ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import end_of
from sb3_gail_ext.demonstrations.recording import returns


def describe(episodes: Sequence[TrajectoryWithRew]) -> dict[str, Any]:
    """Undiscounted returns, lengths in steps, and how many episodes ended how, for a data card."""
    r, lengths = returns(episodes), np.array([len(episode) for episode in episodes])
    return {
        "return_mean": round(float(r.mean()), 2),
        "return_median": round(float(np.median(r)), 2),
        "return_std": round(float(r.std()), 2),
        "return_min": round(float(r.min()), 2),
        "return_max": round(float(r.max()), 2),
        "length_mean": float(lengths.mean()),
        "length_min": int(lengths.min()),
        "length_max": int(lengths.max()),
        "ends": ends(episodes),
    }


def ends(episodes: Sequence[TrajectoryWithRew]) -> dict[str, int]:
    """How many episodes ended in a terminal state, at a time limit, or as nobody knows."""
    return dict(sorted(Counter(end_of(episode) for episode in episodes).items()))
