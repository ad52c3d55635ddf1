"""Are the rewards those that the environment gives along the same way?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from imitation.data.types import Trajectory, TrajectoryWithRew

from sb3_gail_ext.demonstrations.checking.dynamics import Replay
from sb3_gail_ext.demonstrations.checking.finding import Finding
from sb3_gail_ext.demonstrations.unknown_rewards import has_rewards

_SAME = 0.05  # root mean square difference, of the rewards' own; states may differ by 0.01


def check_rewards(episodes: Sequence[Trajectory], replays: Sequence[Replay]) -> Iterator[Finding]:
    """:param replays: of some of the episodes; those that went the same way are compared."""
    pairs = [
        (episode.rews[: len(replay.rewards)].astype(np.float64), replay.rewards)
        for replay in replays
        if isinstance(episode := episodes[replay.episode], TrajectoryWithRew)
        and replay.same
        and has_rewards(episode)
    ]
    if not pairs:
        return
    stated, given = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if not (np.isfinite(stated).all() and np.isfinite(given).all()) or not given.any():
        return
    factor = float(stated @ given) / float(given @ given)
    if _differ(stated, factor * given):
        step = int(np.argmax(np.abs(stated - given)))
        yield Finding(
            "warning",
            "rews are not what the environment gives for the same steps (for instance "
            f"{stated[step]:.4g} instead of {given[step]:.4g}): an imitator's return cannot be "
            "compared with these",
        )
    elif _differ(stated, given):
        yield Finding(
            "warning",
            f"rews are {factor:.4g} times what the environment gives, as VecNormalize's are: "
            f"divide them by it, or an imitator's return cannot be compared with these",
        )


def _differ(left: np.ndarray, right: np.ndarray) -> bool:
    return bool(np.sqrt(np.mean((left - right) ** 2)) > _SAME * np.sqrt(np.mean(right**2)))
