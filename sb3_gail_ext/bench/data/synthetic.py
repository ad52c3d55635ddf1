"""Demonstrations of random numbers, in files and in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from imitation.data import serialize
from imitation.data.types import Trajectory

from sb3_gail_ext.demonstrations.files import load_demonstrations

OBS_DIM, ACT_DIM = 11, 3  # the Hopper's
STORED, COMPRESSED, IMITATIONS = "stored.npz", "compressed.npz", "imitation"


def write_files(folder: Path, n_episodes: int, n_steps: int, seed: int = 0) -> int:
    """The same episodes in the chapter's layout, stored and compressed, and as `imitation` saves.

    `imitation`'s lacks the last transition of each, as the chapter's layout does once it is read.

    :returns: bytes of the chapter's arrays, float32.
    """
    rng = np.random.default_rng(seed)
    rews = rng.random((n_episodes, n_steps), dtype=np.float32)
    arrays = {
        "ep_rets": rews.sum(axis=1, dtype=np.float64).astype(np.float32),
        "obs": rng.standard_normal((n_episodes, n_steps, OBS_DIM), dtype=np.float32),
        "acs": rng.random((n_episodes, n_steps, ACT_DIM), dtype=np.float32),
        "rews": rews,
    }
    np.savez(folder / STORED, **arrays)
    np.savez_compressed(folder / COMPRESSED, **arrays)
    serialize.save(folder / IMITATIONS, load_demonstrations(folder / STORED))
    return sum(array.nbytes for array in arrays.values())


def random_episodes(n_transitions: int, n_steps: int = 1000, seed: int = 0) -> list[Trajectory]:
    """So many transitions, in episodes of `n_steps`; the last one may be shorter."""
    rng = np.random.default_rng(seed)
    return [
        Trajectory(
            obs=rng.standard_normal((length + 1, OBS_DIM), dtype=np.float32),
            acts=rng.random((length, ACT_DIM), dtype=np.float32),
            infos=None,
            terminal=True,
        )
        for start in range(0, n_transitions, n_steps)
        for length in [min(n_steps, n_transitions - start)]
    ]
