"""Minari's datasets: a folder, read without Minari, which may make what environment a file names.

    name-v0/data/metadata.json   data_format, total_episodes, spaces, jpeg_encoding, dataset_id, ...
    name-v0/data/main_data.hdf5  groups episode_0, ...: see `minari_hdf5`; or
    name-v0/data/0/part-0.arrow  one folder per episode: see `minari_arrow`

Of each episode there are

    observations (T + 1, ...), actions (T, ...), rewards (T,)
    terminations (T,) bool, True at the last step if it led into a terminal state
    truncations  (T,) bool, True at the last step at a time limit
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import infos_of_end
from sb3_gail_ext.demonstrations.errors import DemonstrationError, in_one_line
from sb3_gail_ext.demonstrations.formats.foreign import check_alike, checked_trajectory
from sb3_gail_ext.demonstrations.formats.json_files import load_json
from sb3_gail_ext.demonstrations.formats.minari_arrow import arrow_episodes
from sb3_gail_ext.demonstrations.formats.minari_hdf5 import hdf5_episodes
from sb3_gail_ext.demonstrations.formats.minari_spaces import MinariSpaces, spaces_of
from sb3_gail_ext.demonstrations.formats.minari_steps import MinariSteps
from sb3_gail_ext.demonstrations.returns import MONITOR, keep_stated_return, stated_return

MINARI_FILES = ("data/metadata.json", "metadata.json", "main_data.hdf5")
OURS = "sb3_gail_ext"  # the entry of metadata.json that holds what Minari has no place for
LOST_TERMINALS = "terminal_next"  # in it: the episodes whose step behind the last was terminal
STATED_RETURNS = "returns"  # in it: of episodes without rewards, by their number as text

Storage = Callable[[Path, int, MinariSpaces], Iterator[MinariSteps]]
_STORAGES: dict[str, Storage] = {"hdf5": hdf5_episodes, "arrow": arrow_episodes}


def read_minari(path: Path) -> list[TrajectoryWithRew]:
    """Read a Minari dataset, given its folder or the folder `data` in it.

    :raises DemonstrationError: if it is no such dataset, is damaged or inconsistent, or its
        observations or actions are a Dict, a Tuple or texts.
    """
    data = data_folder(path)
    file = data / "metadata.json"
    metadata = load_json(file)
    n_episodes = _total_episodes(file, metadata)
    read, spaces = _storage(file, metadata), spaces_of(file, metadata)
    lost = ours(metadata).get(LOST_TERMINALS)
    lost_terminals = {row for row in lost if type(row) is int} if isinstance(lost, list) else set()
    stated = ours(metadata).get(STATED_RETURNS)
    stated_returns = stated if isinstance(stated, dict) else {}
    trajectories = [
        keep_stated_return(
            _trajectory(path, row, steps, row in lost_terminals),
            stated_return({MONITOR: {"r": stated_returns.get(str(row))}}),
        )
        for row, steps in enumerate(read(data, n_episodes, spaces))
    ]
    check_alike(path, trajectories)
    return trajectories


def read_minari_metadata(path: Path) -> dict[str, Any]:
    """What `write_minari` was given as `metadata`; empty if it did not write the folder."""
    try:
        kept = ours(load_json(data_folder(path) / "metadata.json")).get("metadata")
    except DemonstrationError:
        return {}
    return kept if isinstance(kept, dict) else {}


def data_folder(path: Path) -> Path:
    """The folder that holds metadata.json."""
    return path if (path / "metadata.json").is_file() else path / "data"


def ours(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What `write_minari` kept beside Minari's own metadata."""
    kept = metadata.get(OURS)
    return kept if isinstance(kept, dict) else {}


def _total_episodes(file: Path, metadata: Mapping[str, Any]) -> int:
    stated = metadata.get("total_episodes")
    if type(stated) is not int or stated < 1:
        raise DemonstrationError(
            f"{file}: total_episodes is {in_one_line(stated)}; there is nothing to read"
        )
    return stated


def _storage(file: Path, metadata: Mapping[str, Any]) -> Storage:
    stated = metadata.get("data_format", "hdf5")  # older datasets have no other
    if not isinstance(stated, str) or stated not in _STORAGES:
        raise DemonstrationError(
            f"{file}: data_format is {in_one_line(stated)}; {' and '.join(_STORAGES)} can be read: "
            "copy it into MinariStorage.new(..., data_format='hdf5') with update_from_storage"
        )
    return _STORAGES[stated]


def _trajectory(path: Path, row: int, steps: MinariSteps, lost_terminal: bool) -> TrajectoryWithRew:
    """:param lost_terminal: was the step behind the last one terminal?"""
    terminal = _at_end(path, row, "terminations", steps)
    time_limit = _at_end(path, row, "truncations", steps) and not terminal
    infos = infos_of_end(
        len(steps.rewards),
        time_limit=time_limit,
        terminal_next=lost_terminal and not (terminal or time_limit),
    )
    arrays = {"obs": steps.observations, "acts": steps.actions, "rews": steps.rewards}
    return checked_trajectory(f"{path}: episode {row}", arrays, terminal, infos)


def _at_end(path: Path, row: int, key: str, steps: MinariSteps) -> bool:
    """Is this True at the last step?

    :raises DemonstrationError: if it is not bool (T,), or True at a step before.
    """
    flags, n_steps = getattr(steps, key), len(steps.rewards)
    if flags.dtype != bool or flags.shape != (n_steps,) or not n_steps:
        raise DemonstrationError(
            f"{path}: {key} of episode {row} is {flags.dtype} {flags.shape}, but must be bool for "
            f"each of its {n_steps} steps; remove the episode"
        )
    if flags[:-1].any():
        raise DemonstrationError(
            f"{path}: {key} of episode {row} is True at step {int(flags.argmax())}, before its "
            "end; split the episode there"
        )
    return bool(flags[-1])
