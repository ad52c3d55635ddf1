"""How much of what is learned a constant reward would explain: the length of episodes alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MIN_EPISODES = 10  # unrelated numbers have a mean R^2 of 1 / (n - 1): 0.11


class ConstantReward(NamedTuple):
    """Learned returns (undiscounted) beside those of a constant reward, over whole episodes."""

    share: float  # 0 to 1, R^2: of the learned returns' variance, explained by length alone
    learned_return: float  # mean over episodes
    constant_return: float  # likewise, had each step paid the same
    n_episodes: int


def compare_with_constant(rewards: np.ndarray, episode_starts: np.ndarray) -> ConstantReward | None:
    """Does the learned reward say more than how long an episode was?

    A constant's return is a multiple of the length, so `share` is the squared correlation of
    return and length, whatever the constant. For the means, the constant is the episodes' mean
    pay per step, each episode counting once. Were it each step that counts, both means would be
    equal by definition; this way, learned - constant is the covariance of an episode's pay per
    step with its length: zero if long episodes are paid more for their length only.

    Only episodes that start in this rollout, and whose successor does, too, are whole: with
    rollouts shorter than episodes these are the early falls.

    :param rewards: learned rewards (n_steps, n_envs), before any bootstrap at time limits.
    :param episode_starts: (n_steps, n_envs), SB3's: non-zero at the first step of an episode.
    :returns: None where there is nothing to compare: fewer than 10 whole episodes, all of equal
        length, or all of equal return.
    """
    n_steps = len(rewards)
    starts = episode_starts.T.astype(bool)  # an environment's steps side by side
    pieces = starts.copy()
    pieces[:, 0] = True  # the first may be the rest of an older episode
    first = np.flatnonzero(pieces)
    following = np.append(first[1:], pieces.size)
    whole = starts.ravel()[first] & (following % n_steps != 0)
    lengths = (following - first)[whole]
    returns = np.add.reduceat(rewards.T.ravel().astype(np.float64), first)[whole]
    if len(lengths) < MIN_EPISODES or np.ptp(lengths) == 0:
        return None
    if np.allclose(returns, returns[0], rtol=1e-5, atol=0.0):  # equal but for float32's rounding
        return None
    return ConstantReward(
        share=float(np.corrcoef(lengths, returns)[0, 1] ** 2),
        learned_return=float(returns.mean()),
        constant_return=float((returns / lengths).mean() * lengths.mean()),
        n_episodes=len(lengths),
    )
