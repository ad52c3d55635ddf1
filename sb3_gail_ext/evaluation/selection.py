"""Which checkpoint imitates best? A criterion for users who have no reward, and a callback."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from imitation.data.types import Trajectory
from scipy.spatial.distance import cdist
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.recording import record_demonstrations
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


class KeepBestImitator(BaseCallback):
    """Saves the model whenever it comes nearest to the demonstrations; for lack of a reward.

    Like SB3's `EvalCallback`, which needs one. Logs `eval/imitation_distance`.

    >>> keep = KeepBestImitator("Hopper-v4", demonstrations, "best_model.zip", every=10_000)
    >>> model.learn(100_000, callback=keep)
    >>> best = DAC.load("best_model.zip")

    :param env: as in `record_demonstrations`; not the training environment.
    :param demonstrations: as in `imitation_distance`.
    :param path: of the model's zip; one that lies there already is overwritten by the first test.
    :param every: environment steps between two tests.
    :param n_episodes: of each test, from the same starts every time.
    :param seed: of the first start.
    """

    def __init__(
        self,
        env: str | VecEnv,
        demonstrations: Sequence[Trajectory],
        path: str | Path,
        *,
        every: int = 10_000,
        n_episodes: int = 10,
        seed: int = 20_000,
    ) -> None:
        super().__init__()
        self.env = env
        self.demonstrations = demonstrations
        self.path = Path(path).with_suffix(".zip")
        self.every = every
        self.n_episodes = n_episodes
        self.seed = seed
        self.steps: list[int] = []
        self.distances: list[float] = []
        self._next_test = 0

    def _on_training_start(self) -> None:
        self._next_test = self.num_timesteps
        self._tested_at = -1

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self._next_test:
            self._next_test = self.num_timesteps + self.every
            self._test()

    def _on_training_end(self) -> None:
        if self._tested_at != self.num_timesteps:
            self._test()
            self.logger.record("time/total_timesteps", self.num_timesteps)
            self.logger.dump(self.num_timesteps)  # no rollout follows that would

    def _on_step(self) -> bool:
        return True

    def _test(self) -> None:
        episodes = record_demonstrations(self.model, self.env, self.n_episodes, seed=self.seed)
        distance = imitation_distance(episodes, self.demonstrations)
        self.logger.record("eval/imitation_distance", distance)
        if not self.distances or distance < min(self.distances):
            with atomically(self.path) as temporary:
                self.model.save(temporary)
        self._tested_at = self.num_timesteps
        self.steps.append(self.num_timesteps)
        self.distances.append(distance)
