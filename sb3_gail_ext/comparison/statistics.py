"""Aggregates of few runs with their uncertainty (Agarwal et al. 2021).

Paper: *Deep reinforcement learning at the edge of the statistical precipice*,
https://arxiv.org/abs/2108.13264. Runs come in groups, one a task; a bootstrap draws again within
each group (stratified), so that no resample has more of an easy task than there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

N_RESAMPLES = 2_000
_CONFIDENCE = 0.95

Groups = Sequence[np.ndarray]  # scores, each (n_runs,), one group a task


class Estimate(NamedTuple):
    """A point estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def interquartile_mean(groups: Groups, *, seed: int = 0) -> Estimate:
    """The mean of the middle half of all runs (section 4.3), with its interval.

    :raises ValueError: if a group has fewer than two runs.
    """
    return _bootstrapped(groups, lambda *drawn: _middle_half(np.concatenate(drawn, axis=-1)), seed)


def probability_of_improvement(ours: Groups, theirs: Groups, *, seed: int = 0) -> Estimate:
    """How probable it is that a run of ours beats one of theirs, averaged over tasks (section 4.3).

    Of each task Mann and Whitney's U, ties counting half, divided by the number of pairs.

    :param ours: scores of one method, each (n_runs,), one group a task.
    :param theirs: of the other, in the same order.
    :raises ValueError: if a group has fewer than two runs, or the numbers of tasks differ.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} tasks against {len(theirs)}; give both methods the same")

    def mean_over_tasks(*drawn: np.ndarray) -> np.ndarray:
        pairs = zip(drawn[: len(ours)], drawn[len(ours) :], strict=True)
        return np.mean([_wins(x, y) for x, y in pairs], axis=0)

    return _bootstrapped([*ours, *theirs], mean_over_tasks, seed)


class Profile(NamedTuple):
    """The share of runs above each score, with its pointwise interval; each (n,)."""

    taus: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


def performance_profile(groups: Groups, taus: np.ndarray, *, seed: int = 0) -> Profile:
    """The share of runs that score above each of `taus` (section 4.2; run-score distribution).

    :raises ValueError: if a group has fewer than two runs.
    """
    estimates = [
        _bootstrapped(
            groups, lambda *drawn, tau=tau: (np.concatenate(drawn, axis=-1) > tau).mean(-1), seed
        )
        for tau in taus
    ]
    share, low, high = (np.array(column) for column in zip(*estimates, strict=True))
    return Profile(taus, share, low, high)


def _bootstrapped(groups: Groups, statistic: Callable[..., np.ndarray], seed: int) -> Estimate:
    """:param statistic: of one array a group, runs on the last axis."""
    fewest = min((len(group) for group in groups), default=0)
    if fewest < 2:
        raise ValueError(
            f"a group of {fewest} run(s) has no interval; give every method two seeds or more"
        )
    value = float(statistic(*groups))
    if all(np.ptp(group) == 0 for group in groups):  # every resample is the same
        return Estimate(value, value, value)
    interval = stats.bootstrap(
        tuple(groups),
        lambda *drawn, axis: statistic(*drawn),
        n_resamples=N_RESAMPLES,
        confidence_level=_CONFIDENCE,
        method="percentile",
        vectorized=True,
        paired=False,
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))


def _middle_half(scores: np.ndarray) -> np.ndarray:
    return stats.trim_mean(scores, 0.25, axis=-1)


def _wins(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Of all pairs of runs on the last axes, the share that we win; ties count half."""
    a, b = ours[..., :, None], theirs[..., None, :]
    return ((a > b) + 0.5 * (a == b)).mean((-2, -1))
