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
    """:param replays: of some of the episodes; they are compared as far as they go the same way."""
    pairs = [
        _as_far_as_they_agree(episode, replay)
        for replay in replays
        if isinstance(episode := episodes[replay.episode], TrajectoryWithRew)
        and has_rewards(episode)
    ]
    if not pairs:
        return
    stated, given = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if len(stated) and stated.any() and np.isfinite(stated).all() and np.isfinite(given).all():
        yield from _compared(stated, given)


def _as_far_as_they_agree(
    episode: TrajectoryWithRew, replay: Replay
) -> tuple[np.ndarray, np.ndarray]:
    """The episode's rewards, and the environment's, of the steps before the two part: (n,) each."""
    n = len(replay.rewards) if replay.parted_at is None else replay.parted_at - 1
    return episode.rews[:n].astype(np.float64), replay.rewards[:n]


def _compared(stated: np.ndarray, given: np.ndarray) -> Iterator[Finding]:
    if not _differ(stated, given):
        return
    with np.errstate(all="ignore"):  # rewards as large as floats get, and none at all
        factor = float(stated @ given) / float(given @ given) if given.any() else np.nan
        scaled = 0 < factor < np.inf and not _differ(stated, factor * given)
    if scaled:
        yield Finding(
            "warning",
            f"rews are {factor:.3g} times what the environment gives, as VecNormalize's are: "
            "divide them by it, or an imitator's return cannot be compared with these",
        )
        return
    step = int(np.argmax(np.abs(stated - given)))
    yield Finding(
        "note",
        "rews are not what the environment gives for the same steps (for instance "
        f"{stated[step]:.4g} instead of {given[step]:.4g}): either they are others, and an "
        "imitator's return cannot be compared with these, or they depend on more than is observed",
    )


def _differ(left: np.ndarray, right: np.ndarray) -> bool:
    with np.errstate(over="ignore"):
        difference = np.sqrt(np.mean((left - right) ** 2))
        return bool(difference > _SAME * np.sqrt(np.mean(right**2)))
