"""How far episodes are from demonstrations: what a user has who has no reward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from imitation.data.types import Trajectory
from scipy.spatial.distance import cdist

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.sampling import are_whole, array_obs, flatten
from sb3_gail_ext.rewards.absorbing import FAR

_N_POINTS = 2_000  # of either side: four million distances, a third of a second
_MIN_STD = 1e-2
NOISE = 0.01  # what sets of several episodes of the same policy differ by, about


def imitation_distance(
    episodes: Sequence[Trajectory],
    demonstrations: Sequence[Trajectory],
    *,
    horizon: int | None = None,
    seed: int = 0,
) -> float:
    """How far what was done is from what was demonstrated; no reward is looked at.

    The energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely & Rizzo 2013,
    https://doi.org/10.1016/j.jspi.2013.03.018) between the observations and actions of both, each
    coordinate in deviations of the demonstrations'. After a terminal state an episode stays in an
    absorbing state until the horizon: to fall early is to be far away, and so is to linger.

    :param episodes: of the policy that is judged, deterministic ones for a deterministic expert.
    :param demonstrations: whole episodes: where they end is part of what they do.
    :param horizon: steps of each episode that count, the same for all that shall be compared. None:
        as many as the longest demonstration has, twice as many if one ends in a terminal state.
    :param seed: of the up to 2,000 steps that are drawn from either side.
    :returns: near 0, and of either sign by some `NOISE`, where both are distributed alike.
    :raises DemonstrationError: if there is nothing to compare, or demonstrations are subsampled.
    """
    return DistanceTo(demonstrations, horizon=horizon, seed=seed)(episodes)


class DistanceTo:
    """`imitation_distance` to the same demonstrations again and again; arguments are its own."""

    def __init__(
        self, demonstrations: Sequence[Trajectory], *, horizon: int | None = None, seed: int = 0
    ) -> None:
        expert = flatten(demonstrations)
        _check_whole(demonstrations)
        self._mean, std = (
            np.concatenate([_flat(obs), _flat(acts)])
            for obs, acts in (
                (expert.obs.mean(0), expert.acts.mean(0)),
                (expert.obs.std(0), expert.acts.std(0)),
            )
        )
        self._scale = np.maximum(std, _MIN_STD)
        if horizon is None:
            ends = any(demonstration.terminal for demonstration in demonstrations)
            horizon = max(map(len, demonstrations)) * (2 if ends else 1)
        self.horizon = horizon
        self._seed = seed
        self._expert = self._draw(demonstrations, np.random.default_rng([seed, 1]))
        self._among_expert = _mean_of_pairs(self._expert)

    def __call__(self, episodes: Sequence[Trajectory]) -> float:
        agent = self._draw(episodes, np.random.default_rng([self._seed, 0]))
        across = cdist(agent, self._expert).mean()
        return float(2 * across - _mean_of_pairs(agent) - self._among_expert)

    def _draw(self, episodes: Sequence[Trajectory], rng: np.random.Generator) -> np.ndarray:
        """Steps (n, D + A + 1) of the episodes, all or _N_POINTS; the last column: absorbing."""
        if not episodes:
            raise DemonstrationError("there are no episodes to compare; play at least one")
        n_all = self.horizon * len(episodes)
        drawn = rng.choice(n_all, size=min(_N_POINTS, n_all), replace=False)
        chosen, times = np.divmod(drawn, self.horizon)
        points = np.zeros((len(drawn), len(self._mean) + 1))
        for number, episode in enumerate(episodes):
            rows = np.flatnonzero(chosen == number)
            if episode.terminal:
                over = times[rows] >= len(episode)
                points[rows[over], -1] = FAR
                rows = rows[~over]
            at = times[rows] % len(episode)  # nobody knows what followed a time limit: as before
            obs = array_obs(episode.obs)[:-1].reshape(len(episode), -1)
            both = np.concatenate([obs, episode.acts.reshape(len(episode), -1)], axis=1)[at]
            points[rows, :-1] = np.clip((both - self._mean) / self._scale, -FAR, FAR)
        return points


def _check_whole(demonstrations: Sequence[Trajectory]) -> None:
    if not are_whole(demonstrations):
        raise DemonstrationError(
            "these demonstrations are subsampled, so nobody knows where their episodes end; give "
            "whole ones: load_demonstrations(path) without subsample"
        )


def _mean_of_pairs(points: np.ndarray) -> float:
    """Without the zeros from each point to itself."""
    n = len(points)
    return float(cdist(points, points).sum() / (n * max(n - 1, 1)))


def _flat(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float64).reshape(-1)
