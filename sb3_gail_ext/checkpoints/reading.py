"""Going on from the latest checkpoint of a run."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from sb3_gail_ext.algorithms.demonstrated import Demonstrated, Demonstrations
from sb3_gail_ext.checkpoints.errors import CheckpointError
from sb3_gail_ext.checkpoints.folders import checkpoint_folders, set_aside
from sb3_gail_ext.checkpoints.writing import MODEL, NORMALIZE, REPLAY_BUFFER, STATE

_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, json.JSONDecodeError),
    *(EOFError, FileNotFoundError, UnicodeDecodeError),
)


class Loaded(NamedTuple):
    """A model that goes on with `learn(n, reset_num_timesteps=False)`, and what was with it."""

    model: Any  # of the class that was asked for
    folder: Path  # the checkpoint's
    log: dict[str, Any]  # for `record_again`, once the model has its logger
    states: dict[str, Any]  # by the names that `Checkpoints` was given


def load_checkpoint(
    algorithm: type[Demonstrated],
    folder: str | Path,
    env: GymEnv,
    demonstrations: Demonstrations | None = None,
    **kwargs: Any,
) -> Loaded:
    """The latest checkpoint that can be read; a broken one is named in a warning and passed over.

    >>> model = load_checkpoint(GAIL, "checkpoints", env, "demonstrations.npz").model
    >>> model.learn(600_000, callback=Checkpoints("checkpoints"), reset_num_timesteps=False)

    :param algorithm: the class that was trained.
    :param folder: of `Checkpoints`.
    :param env: as in SB3; where the run had a VecNormalize, a VecEnv, which it wraps again.
    :param demonstrations: attached again; they are in no checkpoint.
    :param kwargs: of `algorithm.load`.
    :raises CheckpointError: if there is none, or none that can be read.
    :raises DemonstrationError: if the demonstrations do not fit the environment.
    """
    folders = checkpoint_folders(Path(folder))
    if not folders:
        raise CheckpointError(f"{folder}: no checkpoint here; start the run again")
    for latest in reversed(folders):
        try:
            loaded = _load(algorithm, latest, env, kwargs)
        except Exception as error:
            if not _is_damage(error):
                raise
            reason = " ".join(str(error).split()) or type(error).__name__
            warnings.warn(f"{latest}: cannot be read ({reason}); passed over", stacklevel=2)
            set_aside(latest)
            continue
        if demonstrations is not None:
            loaded.model.set_demonstrations(demonstrations)
        return loaded
    raise CheckpointError(f"{folder}: none of its checkpoints can be read; see the warnings")


def _load(
    algorithm: type[Demonstrated], folder: Path, env: GymEnv, kwargs: dict[str, Any]
) -> Loaded:
    state = json.loads((folder / STATE).read_text())
    normalize = folder / NORMALIZE
    if normalize.exists():
        env = VecNormalize.load(str(normalize), _below_normalize(env))
    model: Any = algorithm.load(folder / MODEL, env=env, **kwargs)
    if isinstance(model, OffPolicyAlgorithm):
        model.load_replay_buffer(folder / REPLAY_BUFFER)
    _begin_episodes(model)
    return Loaded(model, folder, state["log"], state["states"])


def _is_damage(error: Exception) -> bool:
    """Of a file that was damaged, not of one of another class or for another environment."""
    return isinstance(error, _BROKEN) or isinstance(error.__cause__, _BROKEN)  # SB3's ValueError


def _below_normalize(env: GymEnv) -> VecEnv:
    if not isinstance(env, VecEnv):
        raise CheckpointError("the run had a VecNormalize; give load_checkpoint a VecEnv")
    return env.venv if isinstance(env, VecNormalize) else env


def _begin_episodes(model: Any) -> None:
    """From seeds of their own: SB3 has seeded as at the run's very beginning, if at all.

    `learn` would reset as well, but a VecNormalize would count these observations, which the run
    that was not stopped never saw.
    """
    normalize = model.get_vec_normalize_env()
    training = normalize is not None and normalize.training
    if training:
        normalize.training = False
    model.env.seed((model.seed or 0) + model.num_timesteps)
    model._last_obs = model.env.reset()
    if normalize is not None:  # what an off-policy model stores next
        model._last_original_obs = normalize.get_original_obs()
    model._last_episode_starts = np.ones(model.n_envs, dtype=bool)
    if training:
        normalize.training = True
