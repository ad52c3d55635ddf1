"""Do these demonstrations fit this environment's spaces?"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from sb3_gail_ext.demonstrations.dict_observations import SUBSPACES, flat_space
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.sampling import TransitionBatch

_BOUND_TOLERANCE = 1e-5  # float32 rounding of a clipped action


def check_fits_spaces(
    transitions: TransitionBatch,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    source: str = "demonstrations",
) -> None:
    """Check shapes, finiteness and action bounds of transitions against an environment's spaces.

    :param source: the file or whatever the message should name.
    :raises DemonstrationError: at the first array that does not fit.
    """
    _check_shape(transitions.obs, "obs", flat_space(observation_space), source)
    _check_shape(transitions.acts, "acts", action_space, source)
    for name in ("obs", "acts", "next_obs"):
        if not np.isfinite(getattr(transitions, name)).all():
            raise DemonstrationError(f"{source}: {name} holds NaN or infinity; record it again")
    if isinstance(action_space, spaces.Box):
        _check_bounds(transitions.acts, action_space, source)
    elif isinstance(action_space, spaces.Discrete):
        _check_choices(transitions.acts, action_space, source)


def check_supported_spaces(observation_space: spaces.Space, action_space: spaces.Space) -> None:
    """:raises ValueError: unless observations are a Box, or a Dict that is not nested, and actions
    a Box or Discrete.
    """
    for name, space, kinds in (
        ("observations", observation_space, spaces.Box | spaces.Dict),
        ("actions", action_space, spaces.Box | spaces.Discrete),
    ):
        if not isinstance(space, kinds):
            raise ValueError(f"cannot imitate with {name} of type {type(space).__name__} ({space})")
    if isinstance(observation_space, spaces.Dict):
        for key, subspace in observation_space.spaces.items():
            if not isinstance(subspace, SUBSPACES):
                raise ValueError(
                    f"cannot imitate with observations[{key!r}] of type {type(subspace).__name__}; "
                    "SB3's policies take dictionaries of Box, Discrete, MultiDiscrete and "
                    "MultiBinary, not nested ones"
                )


def _check_shape(array: np.ndarray, name: str, space: spaces.Space, source: str) -> None:
    if array.shape[1:] != space.shape:
        raise DemonstrationError(
            f"{source}: {name} has shape {array.shape[1:]} per step, but the environment's is "
            f"{space.shape}; these demonstrations belong to another environment"
        )


def _check_bounds(acts: np.ndarray, space: spaces.Box, source: str) -> None:
    outside = (acts < space.low - _BOUND_TOLERANCE) | (acts > space.high + _BOUND_TOLERANCE)
    if outside.any():
        row = int(np.argmax(outside.reshape(len(acts), -1).any(axis=1)))
        raise DemonstrationError(
            f"{source}: acts leave the action space in {outside.any(axis=-1).sum()} of "
            f"{len(acts)} steps, first in step {row} ({np.array2string(acts[row], precision=3)}, "
            f"bounds [{space.low.min():g}, {space.high.max():g}]); clip the actions as the "
            "environment did, or rescale them"
        )


def _check_choices(acts: np.ndarray, space: spaces.Discrete, source: str) -> None:
    if (
        acts.dtype.kind not in "iu"
        or acts.min() < space.start
        or acts.max() >= (space.start + space.n)
    ):
        raise DemonstrationError(
            f"{source}: acts must be integers from {space.start} to {space.start + space.n - 1}, "
            f"but range from {acts.min()} to {acts.max()} with dtype {acts.dtype}"
        )
