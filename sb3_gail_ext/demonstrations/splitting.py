"""Split demonstrations into those to learn from and those to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from imitation.data.types import Trajectory, Transitions

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.sampling import are_whole

T = TypeVar("T", bound=Trajectory)


def split_demonstrations(
    trajectories: Sequence[T], *, validation_fraction: float = 0.2, seed: int = 0
) -> tuple[list[T], list[T]]:
    """Whole episodes to train on, and whole episodes to validate with, drawn at random.

    Steps of one episode resemble each other, so an episode is never on both sides. That is why
    steps left by `load_demonstrations(..., subsample=n)` are refused: they do not know their
    episode any more. Split first, then subsample what is trained on with
    `sb3_gail_ext.demonstrations.sampling.subsample_trajectories(train, n, rng)`.

    :param validation_fraction: of the episodes, rounded to at least one on either side.
    :param seed: another one makes another split.
    :returns: `(train, validation)`, each in the order given.
    :raises DemonstrationError: if there are fewer than two episodes, or they are no episodes.
    """
    _check(trajectories, validation_fraction)
    n = len(trajectories)
    n_validation = min(max(round(n * validation_fraction), 1), n - 1)
    drawn = np.random.default_rng(seed).choice(n, size=n_validation, replace=False)
    chosen = set(drawn.tolist())
    train = [trajectories[i] for i in range(n) if i not in chosen]
    return train, [trajectories[i] for i in sorted(chosen)]


def _check(trajectories: Sequence[Trajectory], validation_fraction: float) -> None:
    if not 0 < validation_fraction < 1:
        raise DemonstrationError(
            f"validation_fraction is {validation_fraction}; give a share between 0 and 1"
        )
    if isinstance(trajectories, Transitions):
        raise DemonstrationError(
            "demonstrations are Transitions, which do not know their episodes; give trajectories"
        )
    if len(trajectories) < 2:
        raise DemonstrationError(
            f"demonstrations have {len(trajectories)} episodes; a split needs at least 2"
        )
    if not are_whole(trajectories):
        raise DemonstrationError(
            "demonstrations are single steps of subsampled episodes, which a split would put on "
            "both sides; split whole episodes, then subsample"
        )
