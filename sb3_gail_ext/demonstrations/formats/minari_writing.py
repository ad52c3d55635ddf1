"""Write Minari's datasets, through Minari itself: HDF5, no image compressed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import Trajectory, TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import TERMINAL_NEXT, end_of, last_info
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.episodes import checked_episodes
from sb3_gail_ext.demonstrations.formats.folders import replacing
from sb3_gail_ext.demonstrations.formats.minari_dataset import LOST_TERMINALS, OURS, STATED_RETURNS
from sb3_gail_ext.demonstrations.formats.minari_environment import environment_of, space_for
from sb3_gail_ext.demonstrations.returns import stated_return
from sb3_gail_ext.demonstrations.sampling import array_obs
from sb3_gail_ext.demonstrations.unknown_rewards import has_rewards

_FILES = (
    *("data/metadata.json", "data/main_data.hdf5"),
    *("data/*/metadata.json", "data/*/part-*.arrow", "data/*/part-*.parquet"),
)


def write_minari(
    path: Path, trajectories: Sequence[Trajectory], metadata: Mapping[str, Any] | None
) -> None:
    """Write the folder of a dataset, `name-v0` with `data` in it; an existing one is replaced.

    In Minari's root folder, `minari.load_dataset("name-v0")` finds it. The spaces are those of the
    environment `metadata["env_id"]` where it can be made here and its arrays are of these types, or
    else as wide as the types are. Minari has no place for infos, which are not kept, nor for
    `metadata`, which is an entry of its metadata.json.

    :raises DemonstrationError: if Minari is missing, there is nothing to write, the episodes do not
        fit together, or `path` is anything but such a folder.
    """
    try:
        import minari
        from minari.dataset.minari_storage import MinariStorage
    except ImportError as error:
        raise DemonstrationError(
            f"{path}: Minari's datasets are written by it; pip install 'sb3_gail_ext[minari]'"
        ) from error
    episodes = checked_episodes(path, trajectories)
    environment = environment_of(dict(metadata or {}).get("env_id"))
    with replacing(path, _FILES) as folder:
        storage = MinariStorage.new(
            folder / "data",
            observation_space=space_for(
                [array_obs(t.obs) for t in episodes], environment.observation
            ),
            action_space=space_for([t.acts for t in episodes], environment.action),
            env_spec=environment.spec,
            data_format="hdf5",
            jpeg_encoding=False,
        )
        lost = [row for row, t in enumerate(episodes) if last_info(t).get(TERMINAL_NEXT)]
        storage.update_metadata(
            {
                "dataset_id": dataset_id(path.resolve().name),
                "minari_version": minari.__version__,
                OURS: {
                    "metadata": dict(metadata or {}),
                    LOST_TERMINALS: lost,
                    STATED_RETURNS: _stated_returns(episodes),
                },
            }
        )
        storage.update_episodes([_buffer(t) for t in episodes])


def dataset_id(name: str) -> str:
    """The folder's name as Minari's rules have it: letters, digits, `-`, `_`, and a version."""
    plain = re.sub(r"[^\w-]", "-", name)
    return plain if re.fullmatch(r".+-v\d+", plain) else f"{plain}-v0"


def _stated_returns(episodes: Sequence[Trajectory]) -> dict[str, float]:
    unknown = [(row, t) for row, t in enumerate(episodes) if not has_rewards(t)]
    stated = {str(row): stated_return(last_info(t)) for row, t in unknown}
    return {row: value for row, value in stated.items() if not np.isnan(value)}


def _buffer(trajectory: TrajectoryWithRew) -> Any:
    from minari.data_collector import EpisodeBuffer

    n_steps = len(trajectory)
    at_end = np.arange(n_steps) == n_steps - 1
    end = end_of(trajectory)
    lost = bool(last_info(trajectory).get(TERMINAL_NEXT))
    return EpisodeBuffer(
        observations=trajectory.obs,
        actions=trajectory.acts,
        rewards=trajectory.rews,
        terminations=at_end & (end == "terminal" and not lost),
        truncations=at_end & (end == "time limit"),
    )
