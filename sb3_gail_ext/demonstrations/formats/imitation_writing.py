"""Write `imitation`'s datasets through `imitation` itself; `imitation_dataset` has the layout."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import Trajectory, TrajectoryWithRew

from sb3_gail_ext.demonstrations.ends import TERMINAL_NEXT, TIME_LIMIT, end_of, last_info
from sb3_gail_ext.demonstrations.formats.episodes import checked_episodes
from sb3_gail_ext.demonstrations.formats.folders import replacing

_FILES = ("dataset_info.json", "state.json", "data-*.arrow")


def write_imitation(
    path: Path, trajectories: Sequence[Trajectory], metadata: Mapping[str, Any] | None
) -> None:
    """Write a folder that `imitation.data.serialize.load` loads; an existing one is replaced.

    What is known of an end is in the last info, as SB3 has it there: `TimeLimit.truncated` is False
    at a terminal state. Of other infos, what JSON can hold is kept. `metadata` is JSON in the
    description of the dataset.

    :raises DemonstrationError: if there is nothing to write, the episodes do not fit together, or
        `path` is anything but such a folder.
    """
    import datasets
    from imitation.data.huggingface_utils import trajectories_to_dataset

    episodes = checked_episodes(path, trajectories)
    described = datasets.DatasetInfo(description=json.dumps(dict(metadata or {}), sort_keys=True))
    with replacing(path, _FILES) as folder, _without_progress_bars():
        dataset = trajectories_to_dataset([_with_end(t) for t in episodes], described)
        dataset.save_to_disk(str(folder))


def _with_end(trajectory: TrajectoryWithRew) -> TrajectoryWithRew:
    """The same, its `terminal` and infos as `imitation` has them."""
    infos = np.full(len(trajectory), {}, dtype=object)
    if trajectory.infos is not None:
        infos[:] = [plain(info) for info in trajectory.infos]
    end, lost = end_of(trajectory), bool(last_info(trajectory).get(TERMINAL_NEXT))
    last = {k: v for k, v in infos[-1].items() if k not in (TIME_LIMIT, TERMINAL_NEXT)}
    if end == "terminal" and lost:
        last[TERMINAL_NEXT] = True
    elif end != "unknown":
        last[TIME_LIMIT] = end == "time limit"
    infos[-1] = last
    return TrajectoryWithRew(
        obs=trajectory.obs,
        acts=trajectory.acts,
        infos=infos,
        terminal=end != "unknown" and not lost,
        rews=trajectory.rews,
    )


def plain(info: Any) -> dict[str, Any]:
    """What JSON can hold of an info; nothing in it would tell jsonpickle to make an object."""
    kept = _plain(info) if isinstance(info, Mapping) else {}
    return kept if isinstance(kept, dict) else {}


def _plain(value: Any) -> Any:
    """The value, or None where it is none of JSON's; of mappings, such entries are left out."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        entries = ((key, _plain(entry)) for key, entry in value.items())
        return {k: v for k, v in entries if _is_plain_key(k) and v is not None}
    if isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else None


def _is_plain_key(key: Any) -> bool:
    return isinstance(key, str) and not key.startswith(("py/", "json://"))


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
