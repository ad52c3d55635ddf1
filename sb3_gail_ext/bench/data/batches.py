"""Batches of demonstrations drawn per second, by this package and by `imitation`'s loader."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from imitation.algorithms.base import make_data_loader
from imitation.data.types import Trajectory
from imitation.util.util import endless_iter

from sb3_gail_ext.bench.data.forms import Finish, forms
from sb3_gail_ext.bench.data.synthetic import random_episodes
from sb3_gail_ext.demonstrations.sampling import flatten

BATCH_SIZE = 1024
Draw = Callable[[], tuple[Any, ...]]  # obs, acts, next_obs and dones of one batch


def ours(episodes: Sequence[Trajectory]) -> Draw:
    """As the discriminator's batches are drawn."""
    expert, rng = flatten(episodes), np.random.default_rng(0)
    return lambda: expert.take(rng.integers(len(expert), size=BATCH_SIZE))


def imitations(episodes: Sequence[Trajectory]) -> Draw:
    """As `imitation`'s adversarial trainers draw theirs."""
    batches = endless_iter(make_data_loader(episodes, BATCH_SIZE))

    def draw() -> tuple[Any, ...]:
        batch: Any = next(batches)
        return batch["obs"], batch["acts"].numpy(), batch["next_obs"], batch["dones"].numpy()

    return draw


DRAWS = {"ours": ours, "imitation": imitations}


def measure_batches(
    n_transitions: Sequence[int], repeats: int, seconds: float
) -> list[dict[str, Any]]:
    """All numbers of transitions, both sides and all forms of a batch, in turn in each repeat.

    :param seconds: of each repeat of each.
    :returns: rows of `transitions`, `drawn_by`, `batch_as` and `per_second`, one for each repeat.
    """
    rows = [
        ({"transitions": n, "drawn_by": name, "batch_as": form}, draw, finish)
        for n in n_transitions
        for name, draw in _draws_of(n)
        for form, finish in forms(BATCH_SIZE).items()
    ]
    rates: list[list[float]] = [[] for _ in rows]
    for _ in range(repeats):
        for (_, draw, finish), measured in zip(rows, rates, strict=True):
            measured.append(round(_per_second(draw, finish, seconds), 1))
    return [
        {**labels, "per_second": measured}
        for (labels, *_), measured in zip(rows, rates, strict=True)
    ]


def _draws_of(n_transitions: int) -> Iterator[tuple[str, Draw]]:
    episodes = random_episodes(n_transitions)
    return ((name, draws(episodes)) for name, draws in DRAWS.items())


def _per_second(draw: Draw, finish: Finish, seconds: float) -> float:
    finish(*draw())  # `imitation` shuffles all before its first
    n, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        finish(*draw())
        n += 1
    return n / elapsed
