"""Do the numbers fit the environment's spaces: shapes, bounds, types, NaN?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

from sb3_gail_ext.demonstrations.checking.finding import Finding
from sb3_gail_ext.demonstrations.checks import misfits, outside
from sb3_gail_ext.demonstrations.dict_observations import flat_space
from sb3_gail_ext.demonstrations.sampling import TransitionBatch

_PER_CHUNK = 10_000  # rows that are compared with bounds at once


def check_arrays(
    batch: TransitionBatch,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    source: str = "demonstrations",
) -> Iterator[Finding]:
    """:param batch: all transitions, actions and observations of the types the file has."""
    errors = list(misfits(batch, observation_space, action_space, source))
    yield from (Finding("error", message) for message in errors)
    space = flat_space(observation_space)
    if isinstance(space, spaces.Box) and batch.obs.shape[1:] == space.shape:
        yield from _observation_bounds(batch.obs, space)
        yield from _observation_type(batch.obs, space)


def check_action_type(dtype: np.dtype, action_space: spaces.Space) -> Iterator[Finding]:
    """:param dtype: of the actions as they were given."""
    if isinstance(action_space, spaces.Box) and dtype != action_space.dtype:
        yield Finding(
            "note", f"acts are {dtype}, the environment's {action_space.dtype}; they are cast"
        )


def _observation_bounds(obs: np.ndarray, space: spaces.Box) -> Iterator[Finding]:
    chunks = (obs[i : i + _PER_CHUNK] for i in range(0, len(obs), _PER_CHUNK))
    bad = np.concatenate(
        [outside(chunk, space).reshape(len(chunk), -1).any(axis=1) for chunk in chunks]
    )
    if bad.any():
        row = int(np.argmax(bad))
        column = int(np.argmax(outside(obs[row : row + 1], space)))
        yield Finding(
            "warning",
            f"obs leave the observation space in {bad.sum():,} of {len(obs):,} steps, first in "
            f"step {row:,} (obs[{column}] is {obs[row].flat[column]:g}, bounds "
            f"[{space.low.flat[column]:g}, {space.high.flat[column]:g}]); is it this environment, "
            "and are the observations its own, not scaled?",
        )


def _observation_type(obs: np.ndarray, space: spaces.Box) -> Iterator[Finding]:
    if is_image_space(space) and obs.dtype.kind == "f":
        yield Finding(
            "warning",
            f"obs are {obs.dtype} from {obs.min():g} to {obs.max():g}, the environment's are "
            f"images of {space.dtype} from 0 to 255; keep them as the environment gives them",
        )
    elif np.issubdtype(space.dtype, np.floating) and obs.dtype.kind != "f":
        yield Finding(
            "warning",
            f"obs are {obs.dtype}, the environment's {space.dtype}; rounded, or not its own?",
        )
