"""A run that goes on from what an earlier process left in its folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

from imitation.data.types import TrajectoryWithRew
from stable_baselines3.common.env_util import make_vec_env

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.checkpoints.errors import CheckpointError
from sb3_gail_ext.checkpoints.folders import latest_step
from sb3_gail_ext.checkpoints.reading import Loaded, load_checkpoint
from sb3_gail_ext.presets.loading import load_preset
from sb3_gail_ext.presets.preset import ALGORITHMS, Preset, as_settings
from sb3_gail_ext.training.logs import METRICS
from sb3_gail_ext.training.run import TrainingRun, origins

_SAME = ("env_id", "algorithm", "seed", "limit", "subsample", "demonstrations_sha256")


def stored_run(folder: Path) -> TrainingRun:
    """The run that wrote `folder`, to be resumed.

    :raises CheckpointError: if the folder holds no run.
    """
    stored = _read_config(folder)
    if stored is None:
        raise CheckpointError(f"{folder}: no config.json of a run; give --env and --demos")
    known = {f.name for f in fields(TrainingRun)} - {"folder", "preset", "demonstrations"}
    preset = load_preset(folder / "config.yml", stored["env_id"], stored["algorithm"])
    return TrainingRun(
        folder=folder,
        preset=preset,
        demonstrations=Path(stored["demonstrations"]),
        **{key: value for key, value in stored.items() if key in known},
    )


def check_folder_is_free(run: TrainingRun) -> None:
    """:raises CheckpointError: if a new run would overwrite an unfinished one."""
    step = latest_step(run.checkpoints)
    if step is not None and not (run.folder / "summary.json").exists():
        raise CheckpointError(
            f"{run.folder}: an unfinished run at step {step:,}; go on with it (--resume), or give "
            "another --out, or delete it"
        )


def load_run(run: TrainingRun, demonstrations: list[TrajectoryWithRew]) -> Loaded | None:
    """The latest checkpoint of `run.folder`; None: there is none.

    :raises CheckpointError: if none can be read.
    """
    if latest_step(run.checkpoints) is None:
        return None
    venv = make_vec_env(run.env_id, n_envs=run.preset.n_envs, seed=run.seed)
    algorithm = ALGORITHMS[run.preset.algorithm]
    return load_checkpoint(algorithm, run.checkpoints, venv, demonstrations, device="cpu")


def restore_metrics(run: TrainingRun, loaded: Loaded) -> None:
    """The curves as they were at the checkpoint: rows that came after it are made again."""
    with atomically(run.folder / METRICS) as temporary:
        shutil.copyfile(loaded.folder / METRICS, temporary)


def check_same_settings(run: TrainingRun, settings: Preset) -> None:
    """:param settings: of the model that goes on, all of them.
    :raises CheckpointError: if the run began with others.
    """
    path = run.folder / "config.yml"
    stored = as_settings(load_preset(path, run.env_id, run.preset.algorithm))
    now = as_settings(settings)
    for key, value in stored.items():
        if now.get(key) != value:
            raise CheckpointError(
                f"{path}: the run began with {key} {value!r}, not {now.get(key)!r}; resume it "
                "with --out alone, or start another"
            )


def check_same_run(run: TrainingRun) -> None:
    """:raises CheckpointError: if the folder holds another run, or a finished one's results."""
    stored, now = _read_config(run.folder), origins(run)
    for key in _SAME if stored is not None else ():
        if stored is not None and stored.get(key) != now[key]:
            raise CheckpointError(
                f"{run.folder}: the run began with {key} {stored.get(key)}, not {now[key]}; "
                "resume it with --out alone, or start another"
            )
    if latest_step(run.checkpoints) is None and (run.folder / "summary.json").exists():
        raise CheckpointError(
            f"{run.folder}: a finished run without checkpoints; there is nothing to go on with"
        )


def _read_config(folder: Path) -> dict[str, Any] | None:
    path = folder / "config.json"
    if not path.is_file():
        return None
    try:
        stored: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise CheckpointError(f"{path}: not the config of a run ({error}); delete it") from error
    if not (isinstance(stored, dict) and {*_SAME, "demonstrations"} <= stored.keys()):
        raise CheckpointError(f"{path}: not the config of a run; give another --out")
    return stored
