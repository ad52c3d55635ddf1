"""The demonstrations to check, whatever form they were given in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from imitation.data.types import Trajectory, Transitions

from sb3_gail_ext.demonstrations.dict_observations import as_arrays
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.files import load_demonstrations, load_metadata
from sb3_gail_ext.demonstrations.images import order_episodes_as
from sb3_gail_ext.demonstrations.sampling import array_obs

Demonstrations = Sequence[Trajectory] | Transitions

_N_SINGLE = 200  # of `Transitions`, as many become episodes of one step
_N_ROWS = 20_000
_N_NUMBERS = 10_000_000  # of all rows: images are many numbers each


class Given(NamedTuple):
    """Demonstrations with array observations, and what their file says of them."""

    demonstrations: Demonstrations
    source: str  # to be named in messages
    env_id: str | None = None
    seeds: list[int] | None = None  # of the episodes' starts

    @property
    def episodes(self) -> Sequence[Trajectory]:
        """The trajectories; of `Transitions`, some single steps."""
        if isinstance(self.demonstrations, Transitions):
            return _single_steps(self.demonstrations)
        return self.demonstrations


def given(demonstrations: str | Path | Demonstrations, space: spaces.Space) -> Given:
    """:param space: of the environment's observations.
    :raises DemonstrationError: if a file cannot be read, or the arrays differ in shape.
    """
    if isinstance(demonstrations, str | Path):
        path = Path(demonstrations)
        episodes = load_demonstrations(path)
        facts = _facts(path)
        return Given(_arrays(episodes, space), str(path), *_understood(facts, len(episodes)))
    return Given(_arrays(demonstrations, space), "demonstrations")


def some_rows(episodes: Sequence[Trajectory]) -> np.ndarray:
    """About 20,000 observations, fewer of large ones, evenly spread: (n, *obs_shape)."""
    at_most = max(min(_N_ROWS, _N_NUMBERS // max(array_obs(episodes[0].obs)[0].size, 1)), 1)
    every = -(-sum(map(len, episodes)) // at_most)
    return np.concatenate([array_obs(episode.obs)[::every] for episode in episodes])


def _arrays(demonstrations: Demonstrations, space: spaces.Space) -> Demonstrations:
    """:raises DemonstrationError: if there are none, or they do not fit one another."""
    if not len(demonstrations):
        raise DemonstrationError("demonstrations are empty; give at least one trajectory")
    flat = order_episodes_as(space, as_arrays(space, demonstrations))
    if isinstance(flat, Transitions):
        return flat
    for name in ("obs", "acts"):
        shapes = sorted({getattr(episode, name).shape[1:] for episode in flat})
        if len(shapes) > 1:
            raise DemonstrationError(
                f"{name} of the trajectories differ in shape ({shapes}); check them one "
                "environment at a time"
            )
    return flat


def _single_steps(transitions: Transitions) -> list[Trajectory]:
    steps = np.unique(np.linspace(0, len(transitions) - 1, _N_SINGLE).astype(int))
    return [
        Trajectory(
            obs=np.stack([array_obs(transitions.obs)[t], array_obs(transitions.next_obs)[t]]),
            acts=transitions.acts[t : t + 1],
            infos=None,
            terminal=bool(transitions.dones[t]),
        )
        for t in steps
    ]


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = load_metadata(path)
    except DemonstrationError:  # formats of other projects keep none
        return {}
    return facts if isinstance(facts, dict) else {}


def _understood(facts: dict[str, Any], n_episodes: int) -> tuple[str | None, list[int] | None]:
    """Environment and seeds, where a file, which anybody may have written, has sensible ones."""
    env_id, seeds = facts.get("env_id"), facts.get("seeds")
    sensible = (
        isinstance(seeds, list)
        and len(seeds) == n_episodes
        and all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds)
    )
    return env_id if isinstance(env_id, str) else None, seeds if sensible else None
