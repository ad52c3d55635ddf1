"""`imitation`'s datasets: the folders of `imitation.data.serialize.save`, one row an episode.

    data-*.arrow       Arrow streams of the columns
        obs       list (T + 1) of nested lists, acts list (T) of the like, of any numeric type
        infos     list (T) of texts, by jsonpickle
        terminal  bool, True at time limits, too
        rews      list (T) of floats; a dataset of trajectories without rewards lacks it
    state.json         names the former; dataset_info.json describes them

jsonpickle runs what a text tells it to, so none is ever decoded by it: of each episode the last
info is read as plain JSON, for what it says about the end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import TERMINAL_NEXT, TIME_LIMIT
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.arrow_ipc import load_batches, writable
from sb3_gail_ext.demonstrations.formats.arrow_lists import arrays_of, bools_of, last_texts_of
from sb3_gail_ext.demonstrations.formats.foreign import check_alike, checked_trajectory
from sb3_gail_ext.demonstrations.formats.imitation_ends import kept_end
from sb3_gail_ext.demonstrations.formats.json_files import load_json
from sb3_gail_ext.demonstrations.returns import keep_stated_return, stated_return

if TYPE_CHECKING:
    import pyarrow as pa

IMITATION_FILES = ("dataset_info.json", "state.json")
_COLUMNS = ("obs", "acts", "infos", "terminal")
_REWARDS = ("rews",)
_LONGEST_INFO = 2**26  # characters; longer ones say nothing that would be worth the time
_NUMPY_BOOLS = {"AQ==": True, "AA==": False}  # in base64


def read_imitation(path: Path) -> list[TrajectoryWithRew]:
    """Read an `imitation` dataset, in the dtypes of its columns. Large ones stay on disk.

    :raises DemonstrationError: if the folder is no such dataset, or is damaged or inconsistent.
    """
    trajectories: list[TrajectoryWithRew] = []
    for file in data_files(path):
        batches, content = load_batches(file, _COLUMNS, _REWARDS)
        for batch in batches:
            trajectories += _trajectories(file, batch, content, len(trajectories))
    check_alike(path, trajectories)
    return trajectories


def read_imitation_metadata(path: Path) -> dict[str, Any]:
    """What `write_imitation` was given as `metadata`; empty if it did not write the folder."""
    try:
        described = json.loads(load_json(path / "dataset_info.json")["description"])
    except (DemonstrationError, KeyError, TypeError, ValueError, RecursionError):
        return {}
    return described if isinstance(described, dict) else {}


def data_files(path: Path) -> list[Path]:
    """The Arrow files, in order: those that `state.json` names, or else all of them.

    :raises DemonstrationError: if there are none, or it names anything outside the folder.
    """
    state = path / "state.json"
    names = _named(state) if state.is_file() else sorted(f.name for f in path.glob("data-*.arrow"))
    if not names:
        raise DemonstrationError(f"{path}: no data-*.arrow in it; save it again with imitation")
    return [path / name for name in names]


def _named(state: Path) -> list[str]:
    stated = load_json(state).get("_data_files")
    names = [_plain_name(state, file) for file in (stated if isinstance(stated, list) else [])]
    if len(set(names)) < len(names):
        raise DemonstrationError(f"{state}: names a file twice; save it again with imitation")
    return names


def _plain_name(state: Path, file: object) -> str:
    name = file.get("filename") if isinstance(file, dict) else None
    if isinstance(name, str) and name.endswith(".arrow") and not set(name) & {"/", "\\", "\0"}:
        return name
    raise DemonstrationError(
        f"{state}: names {str(name)[:80]!r} as data; only .arrow files of the folder itself are "
        "read: save it again with imitation"
    )


def _trajectories(
    file: Path, batch: pa.RecordBatch, content: np.memmap, first: int
) -> list[TrajectoryWithRew]:
    """:param first: how many episodes came before."""
    names = [key for key in ("obs", "acts", *_REWARDS) if key in batch.schema.names]
    columns = [arrays_of(file, key, batch.column(key)) for key in names]
    terminal = bools_of(file, "terminal", batch.column("terminal"))
    last_infos = last_texts_of(file, "infos", batch.column("infos"))
    episodes = []
    for row, (*arrays, says_terminal, text) in enumerate(
        zip(*columns, terminal, last_infos, strict=True)
    ):
        steps = {key: writable(content, a) for key, a in zip(names, arrays, strict=True)}
        info = _plain_info(text)
        end = kept_end(len(steps["acts"]), says_terminal, _end_info(info))
        episode = checked_trajectory(f"{file}: episode {first + row}", steps, *end)
        episodes.append(keep_stated_return(episode, stated_return(info)))
    return episodes


def _plain_info(text: str) -> dict[str, Any]:
    """An info, as jsonpickle wrote it; empty if it is no plain JSON."""
    if len(text) > _LONGEST_INFO:
        return {}
    try:
        info = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return info if isinstance(info, dict) else {}


def _end_info(info: dict[str, Any]) -> dict[str, bool]:
    """What an info says about the end, its bools as jsonpickle has them."""
    said = {key: _as_bool(info.get(key)) for key in (TIME_LIMIT, TERMINAL_NEXT)}
    return {key: value for key, value in said.items() if value is not None}


def _as_bool(value: Any) -> bool | None:
    """A bool, or jsonpickle's encoding of NumPy's: the function `scalar`, of a dtype and a byte."""
    if isinstance(value, bool):
        return value
    try:
        function, arguments = value["py/reduce"]
        dtype, byte = arguments["py/tuple"]
        is_bool = dtype["py/reduce"][1]["py/tuple"][0] == "b1"
        is_scalar = function["py/function"].endswith("multiarray.scalar")
        return _NUMPY_BOOLS[byte["py/b64"]] if is_bool and is_scalar else None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None
