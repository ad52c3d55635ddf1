"""Do the episodes start where the environment does?

The only look at the dynamics that every environment allows, and what unmasks observations that
were normalised before they were saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import gymnasium as gym
import numpy as np
from imitation.data.types import Trajectory

from sb3_gail_ext.demonstrations.checking.finding import Finding
from sb3_gail_ext.demonstrations.dict_observations import flatten_one
from sb3_gail_ext.demonstrations.sampling import array_obs

_N_RESETS = 100
_MARGIN = 0.5  # of the range of the resets, on both sides
_RARE = 0.1  # of the episodes may start elsewhere
_MEAN = 1.5  # a normalised dimension's mean is closer to 0; experts are not where learners were
_STD = (0.2, 3.0)


class Elsewhere(NamedTuple):
    """The observation's number that most episodes start outside the environment's range of."""

    column: int
    share: float  # of the episodes
    demonstrated: tuple[float, float]  # lowest and highest start
    environment: tuple[float, float]


def starts_elsewhere(episodes: Sequence[Trajectory], env: gym.Env) -> Elsewhere | None:
    """None if the episodes start within the range of 100 resets; `env` is reset."""
    reset = [flatten_one(env.observation_space, env.reset(seed=i)[0]) for i in range(_N_RESETS)]
    low, high = np.min(reset, axis=0).ravel(), np.max(reset, axis=0).ravel()
    margin = _MARGIN * (high.astype(float) - low) + 1e-3 * (1 + np.abs(high))
    first = np.stack([array_obs(episode.obs)[0].ravel() for episode in episodes])
    share = ((first < low - margin) | (first > high + margin)).mean(axis=0)
    worst = int(np.argmax(share))
    if share[worst] <= _RARE:
        return None
    column = first[:, worst]
    return Elsewhere(
        worst,
        float(share[worst]),
        (float(column.min()), float(column.max())),
        (float(low[worst]), float(high[worst])),
    )


def check_starts(elsewhere: Elsewhere | None, rows: np.ndarray) -> Iterator[Finding]:
    """:param rows: some observations of the demonstrations, (n, *shape)."""
    if elsewhere is None:
        return
    column, share, demonstrated, environment = elsewhere
    where = (
        f"{share:.0%} of the episodes start outside the range of {_N_RESETS} resets (obs[{column}] "
        f"from {demonstrated[0]:.3g} to {demonstrated[1]:.3g}, the environment's from "
        f"{environment[0]:.3g} to {environment[1]:.3g})"
    )
    if _look_normalised(rows):
        yield Finding(
            "warning",
            f"{where}, and every number of the observations is around 0 and of deviation around "
            "1: they look normalised, as by VecNormalize; undo that (unnormalize_obs), or record "
            "them with record_demonstrations",
        )
    else:
        yield Finding("warning", f"{where}; another environment, or episodes cut in the middle?")


def _look_normalised(rows: np.ndarray) -> bool:
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    mean, std = flat.mean(axis=0), flat.std(axis=0)
    moves = std > 0
    near = (np.abs(mean) < _MEAN) & (std > _STD[0]) & (std < _STD[1])
    return bool(moves.any() and near[moves].all())
