"""robomimic's HDF5 layout: one group per demonstration of T steps, `data/demo_0`, `data/demo_1`...

    obs      (T, *obs_shape), or a group of arrays (T, ...), one per sensor
    next_obs likewise, optional: where each step led to; the last one is the final observation
    actions  (T, *act_shape)
    rewards  (T,)
    dones    (T,)  not read, see below

Several sensors of one number or vector each are put side by side in the order of their names, in
one floating array (T, D). With images among several sensors, a file is refused.

How a demonstration ended is unknown: `dones` marks successes, the end of every demonstration, or
both, as the file's converter was asked (`--done_mode`), and a success does not end the simulation.
Without `next_obs`, each demonstration loses its last transition, and one of a single step is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.foreign import check_alike, checked_trajectory
from sb3_gail_ext.demonstrations.formats.hdf5 import load_dataset, opened
from sb3_gail_ext.demonstrations.formats.hdf5_groups import (
    has_member,
    key_of,
    members,
    open_group,
)
from sb3_gail_ext.demonstrations.formats.robomimic_sensors import (
    final_observation,
    observations,
    sensors_of,
)
from sb3_gail_ext.demonstrations.formats.sizes import check_total
from sb3_gail_ext.demonstrations.formats.steps import check_steps, in_dtype_of, rewards
from sb3_gail_ext.demonstrations.sampling import array_obs

if TYPE_CHECKING:
    import h5py

ROBOMIMIC_KEYS = ("data", "data/demo_#", "mask")  # as `contents.contents_of` folds numbers
_DEMO = re.compile(r"demo_[0-9]{1,9}")


def read_robomimic(path: Path) -> list[TrajectoryWithRew]:
    """Read a robomimic file, checking every array. Demonstrations come in the order of their
    numbers, their ends are unknown.

    :raises DemonstrationError: if the file is missing, is not such a file, is inconsistent, has no
        rewards, or has several sensors that are not vectors.
    """
    with opened(path) as file:
        data = open_group(path, file, "data")
        names = sorted(filter(_DEMO.fullmatch, members(path, data)), key=_number)
        if not names:
            raise DemonstrationError(f"{path}: no demo_0 in data; a robomimic file has some")
        sensors = sensors_of(path, open_group(path, data, names[0]))
        episodes = _collected(path, (_episode(path, data, name, sensors) for name in names))
    if not episodes:
        raise DemonstrationError(
            f"{path}: all demonstrations have one step, and without next_obs nobody knows where "
            "it led; add next_obs"
        )
    check_alike(path, episodes)
    return episodes


def _number(name: str) -> tuple[int, str]:
    return int(name.removeprefix("demo_")), name


def _collected(path: Path, episodes: Iterable[TrajectoryWithRew | None]) -> list[TrajectoryWithRew]:
    """The episodes of which something is left, if they are no more than the file can hold."""
    collected, size = [], 0
    for episode in episodes:
        if episode is not None:
            collected.append(episode)
            size += array_obs(episode.obs).nbytes + episode.acts.nbytes + episode.rews.nbytes
            check_total(path, size)
    return collected


def _episode(
    path: Path, data: h5py.Group, name: str, sensors: list[str] | None
) -> TrajectoryWithRew | None:
    """One demonstration; None if nothing is left of it."""
    demo = open_group(path, data, name)
    if not has_member(demo, "rewards"):
        raise DemonstrationError(
            f"{path}: no rewards in {key_of(data, name)}; robomimic's dataset_states_to_obs.py "
            "adds them"
        )
    obs = observations(path, demo, sensors)
    acts, rews = (load_dataset(path, demo, name) for name in ("actions", "rewards"))
    key = key_of(data, name)
    shapes = {"obs": obs.shape, "actions": acts.shape, "rewards": rews.shape}
    check_steps(path, {f"{key}/{array}": shape for array, shape in shapes.items()})
    rews = rewards(path, f"{key}/rewards", rews)
    final_obs = final_observation(path, demo, sensors, obs)
    if len(final_obs):
        obs = np.concatenate([obs, in_dtype_of(obs, final_obs)])
    elif len(obs) > 1:
        acts, rews = acts[:-1], rews[:-1]
    else:
        return None
    return checked_trajectory(f"{path}: {key}", {"obs": obs, "acts": acts, "rews": rews})
