"""robomimic's HDF5 layout: one group per demonstration of T steps, `data/demo_0`, `data/demo_1`...

    obs      (T, *obs_shape), or a group of arrays (T, ...), one per sensor
    next_obs likewise, optional: where each step led to; the last one is the final observation
    actions  (T, *act_shape)
    rewards  (T,)          optional: dataset_states_to_obs.py adds them
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
from sb3_gail_ext.demonstrations.formats.steps import (
    check_finite,
    check_steps,
    in_dtype_of,
    rewards,
)
from sb3_gail_ext.demonstrations.sampling import array_obs
from sb3_gail_ext.demonstrations.unknown_rewards import are_unknown

if TYPE_CHECKING:
    import h5py

ROBOMIMIC_KEYS = ("data", "data/demo_#", "mask")  # as `contents.contents_of` folds numbers
_DEMO = re.compile(r"demo_[0-9]{1,9}")


def read_robomimic(path: Path) -> list[TrajectoryWithRew]:
    """Read a robomimic file, checking every array. Demonstrations come in the order of their
    numbers, their ends are unknown.

    :raises DemonstrationError: if the file is missing, is not such a file, is inconsistent, or has
        several sensors that are not vectors.
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
    demo, group = open_group(path, data, name), key_of(data, name)
    arrays = {
        "obs": observations(path, demo, sensors),
        "actions": load_dataset(path, demo, "actions"),
    }
    if has_member(demo, "rewards"):
        arrays["rewards"] = load_dataset(path, demo, "rewards")
    check_steps(path, {f"{group}/{key}": array.shape for key, array in arrays.items()})
    if "rewards" in arrays and not are_unknown(arrays["rewards"]):
        check_finite(path, {f"{group}/rewards": arrays["rewards"]})
    obs, n_steps = arrays["obs"], len(arrays["obs"])
    final_obs = final_observation(path, demo, sensors, obs)
    if len(final_obs):
        obs = np.concatenate([obs, in_dtype_of(obs, final_obs)])
    elif n_steps > 1:
        n_steps -= 1
    else:
        return None
    episode = {"obs": obs, "acts": arrays["actions"][:n_steps]}
    if "rewards" in arrays:
        episode["rews"] = rewards(path, f"{group}/rewards", arrays["rewards"])[:n_steps]
    return checked_trajectory(f"{path}: {group}", episode)
