"""Do these demonstrations fit this environment's spaces?"""

from __future__ import annotations

from collections.abc import Iterator

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
    for message in misfits(transitions, observation_space, action_space, source):
        raise DemonstrationError(message)


def misfits(
    transitions: TransitionBatch,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    source: str = "demonstrations",
) -> Iterator[str]:
    """All that `check_fits_spaces` would refuse, a line each; bounds only where the shapes fit."""
    observation_space = flat_space(observation_space)
    misshapen = [
        *_misshapen(transitions.obs, "obs", observation_space, source),
        *_misshapen(transitions.acts, "acts", action_space, source),
    ]
    yield from misshapen
    for name in ("obs", "acts", "next_obs"):
        if not _is_finite(getattr(transitions, name)):
            yield f"{source}: {name} holds NaN or infinity; record it again"
    if misshapen:
        return
    if isinstance(action_space, spaces.Box):
        yield from _out_of_bounds(transitions.acts, action_space, source)
    elif isinstance(action_space, spaces.Discrete):
        yield from _no_choices(transitions.acts, action_space, source)


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


def outside(values: np.ndarray, space: spaces.Box) -> np.ndarray:
    """Which of `values` (n, *shape) leave the bounds by more than rounding: bool, same shape."""
    return (values < space.low - _BOUND_TOLERANCE) | (values > space.high + _BOUND_TOLERANCE)


def _misshapen(array: np.ndarray, name: str, space: spaces.Space, source: str) -> Iterator[str]:
    if array.shape[1:] != space.shape:
        yield (
            f"{source}: {name} has shape {array.shape[1:]} per step, but the environment's is "
            f"{space.shape}; these demonstrations belong to another environment"
        )


def _is_finite(array: np.ndarray) -> bool:
    """Integers are, and need not be read: they may be images in a memory-mapped file."""
    return array.dtype.kind in "iub" or bool(np.isfinite(array).all())


def _out_of_bounds(acts: np.ndarray, space: spaces.Box, source: str) -> Iterator[str]:
    bad = outside(acts, space)
    if bad.any():
        row = int(np.argmax(bad.reshape(len(acts), -1).any(axis=1)))
        yield (
            f"{source}: acts leave the action space in {bad.any(axis=-1).sum()} of "
            f"{len(acts)} steps, first in step {row} ({np.array2string(acts[row], precision=3)}, "
            f"bounds [{space.low.min():g}, {space.high.max():g}]); clip the actions as the "
            "environment did, or rescale them"
        )


def _no_choices(acts: np.ndarray, space: spaces.Discrete, source: str) -> Iterator[str]:
    if (
        acts.dtype.kind not in "iu"
        or acts.min() < space.start
        or acts.max() >= (space.start + space.n)
    ):
        yield (
            f"{source}: acts must be integers from {space.start} to {space.start + space.n - 1}, "
            f"but range from {acts.min()} to {acts.max()} with dtype {acts.dtype}"
        )
