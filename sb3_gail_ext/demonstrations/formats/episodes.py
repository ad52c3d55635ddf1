"""Episodes of a file as trajectories, if their arrays fit together; and before they are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.formats.npz import check_numeric
from sb3_gail_ext.demonstrations.sampling import array_obs


def episode(
    path: Path,
    row: int,
    obs: np.ndarray,
    acts: np.ndarray,
    rews: np.ndarray,
    *,
    terminal: bool,
    infos: np.ndarray | None,
) -> TrajectoryWithRew:
    """The trajectory of these arrays; rewards become floats and (T, 1) integer actions (T,).

    :param row: which episode of the file, for messages.
    :param obs: (T + 1, ...).
    :param acts: (T, ...).
    :param rews: (T,).
    :raises DemonstrationError: if they hold no numbers, no steps, not as many steps as the others,
        NaN or infinity.
    """
    arrays = {"obs": obs, "acts": acts, "rews": rews}
    n_steps = len(obs) - 1
    for key, array in arrays.items():
        check_numeric(path, f"{key} of episode {row}", array)
        expected = len(obs) if key == "obs" else n_steps
        if n_steps < 1 or len(array) != expected or (key == "rews" and array.ndim != 1):
            raise DemonstrationError(
                f"{path}: episode {row} has obs {obs.shape}, acts {acts.shape} and rews "
                f"{rews.shape}; needed are T + 1, T and T of them, T at least 1: remove the episode"
            )
        _check_finite(path, key, row, array)
    if acts.dtype.kind in "iu" and acts.shape[1:] == (1,):
        acts = acts[:, 0]  # one choice per step; a Box of integers would be a strange action
    if rews.dtype.kind != "f":
        rews = rews.astype(np.float64)
    return TrajectoryWithRew(obs=obs, acts=acts, infos=infos, terminal=terminal, rews=rews)


def check_alike(path: Path, trajectories: Sequence[TrajectoryWithRew]) -> None:
    """:raises DemonstrationError: unless there are episodes, all of one environment's shapes."""
    if not trajectories:
        raise DemonstrationError(f"{path}: there are no episodes in it; record it again")
    for key in ("obs", "acts"):
        shapes = sorted({getattr(t, key).shape[1:] for t in trajectories})
        if len(shapes) > 1:
            raise DemonstrationError(
                f"{path}: {key} of the episodes differ in shape ({shapes[0]}, {shapes[1]}); keep "
                "one file per environment"
            )


def checked_episodes(
    path: Path, trajectories: Sequence[TrajectoryWithRew]
) -> list[TrajectoryWithRew]:
    """The same, fit to be written: what is written can be read, and has one dtype per array.

    :raises DemonstrationError: if there are none, they lack rewards, have Dict observations, or
        are not what `episode` and `check_alike` ask for.
    """
    if not all(isinstance(t, TrajectoryWithRew) for t in trajectories):
        raise DemonstrationError(f"{path}: trajectories without rewards; the format needs them")
    checked = [
        episode(path, row, array_obs(t.obs), t.acts, t.rews, terminal=t.terminal, infos=t.infos)
        for row, t in enumerate(trajectories)
    ]
    check_alike(path, checked)
    dtypes = {key: _common_dtype(path, key, checked) for key in ("obs", "acts", "rews")}
    return [
        TrajectoryWithRew(
            infos=t.infos,
            terminal=t.terminal,
            **{key: getattr(t, key).astype(dtype, copy=False) for key, dtype in dtypes.items()},
        )
        for t in checked
    ]


def _common_dtype(path: Path, key: str, trajectories: Sequence[TrajectoryWithRew]) -> np.dtype:
    dtype = np.result_type(*{getattr(t, key).dtype for t in trajectories}).newbyteorder("=")
    if dtype.itemsize > 8:
        raise DemonstrationError(f"{path}: {key} is {dtype}, which the format lacks; use float64")
    return dtype


def _check_finite(path: Path, key: str, row: int, array: np.ndarray) -> None:
    if array.dtype.kind != "f":
        return
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        raise DemonstrationError(
            f"{path}: array {key} is not finite in episode {row}, step {int(np.argmin(finite))}; "
            "remove the episode or record it again"
        )
