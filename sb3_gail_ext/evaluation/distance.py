"""How far episodes are from demonstrations: what a user has who has no reward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from imitation.data.types import Trajectory
from scipy.spatial.distance import cdist

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.sampling import TERMINAL_SHARE, array_obs, flatten
from sb3_gail_ext.rewards.absorbing import FAR

_N_POINTS = 2_000  # of either side: four million distances, a third of a second
_MIN_STD = 1e-2


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
    :returns: near 0, and of either sign by some 0.01, where both are distributed alike.
    :raises DemonstrationError: if there is nothing to compare, or demonstrations are subsampled.
    """
    expert = flatten(demonstrations)
    _check_whole(demonstrations)
    mean, std = (
        np.concatenate([_flat(obs), _flat(acts)])
        for obs, acts in (
            (expert.obs.mean(0), expert.acts.mean(0)),
            (expert.obs.std(0), expert.acts.std(0)),
        )
    )
    scale = np.maximum(std, _MIN_STD)
    if horizon is None:
        ends = any(demonstration.terminal for demonstration in demonstrations)
        horizon = max(map(len, demonstrations)) * (2 if ends else 1)
    rng = np.random.default_rng(seed)
    x, y = (_draw(side, horizon, mean, scale, rng) for side in (episodes, demonstrations))
    return float(2 * cdist(x, y).mean() - _mean_of_pairs(x) - _mean_of_pairs(y))


def _check_whole(demonstrations: Sequence[Trajectory]) -> None:
    if any(
        demonstration.infos is not None and TERMINAL_SHARE in demonstration.infos[0]
        for demonstration in demonstrations
    ):
        raise DemonstrationError(
            "these demonstrations are subsampled, so nobody knows where their episodes end; give "
            "whole ones: load_demonstrations(path) without subsample"
        )


def _mean_of_pairs(points: np.ndarray) -> float:
    """Without the zeros from each point to itself."""
    n = len(points)
    return float(cdist(points, points).sum() / (n * max(n - 1, 1)))


def _draw(
    episodes: Sequence[Trajectory],
    horizon: int,
    mean: np.ndarray,
    scale: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Steps (n, D + A + 1) at uniform times of uniform episodes; the last coordinate: absorbing."""
    if not episodes:
        raise DemonstrationError("there are no episodes to compare; play at least one")
    n = min(_N_POINTS, horizon * len(episodes))
    points = np.zeros((n, len(mean) + 1))
    chosen, times = rng.integers(len(episodes), size=n), rng.integers(horizon, size=n)
    for number, episode in enumerate(episodes):
        rows = np.flatnonzero(chosen == number)
        if episode.terminal:
            over = times[rows] >= len(episode)
            points[rows[over], -1] = FAR
            rows = rows[~over]
        at = times[rows] % len(episode)  # nobody knows what followed a time limit: as before
        obs = array_obs(episode.obs)[:-1].reshape(len(episode), -1)
        both = np.concatenate([obs, episode.acts.reshape(len(episode), -1)], axis=1)[at]
        points[rows, :-1] = np.clip((both - mean) / scale, -FAR, FAR)
    return points


def _flat(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float64).reshape(-1)
