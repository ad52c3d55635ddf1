"""What a run is made of: the entries of its W&B config that are not measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from sb3_gail_ext.demonstrations.cards import package_versions, sha256
from sb3_gail_ext.demonstrations.files import load_demonstrations
from sb3_gail_ext.demonstrations.identity import arrays_sha256
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.presets.values import as_data
from sb3_gail_ext.tracking.session import TrackingError

_NO_SETTINGS = {
    *("num_timesteps", "start_time", "verbose", "seed", "n_envs", "tensorboard_log"),
    *("lr_schedule", "n_demonstrations"),  # said under another name
}


def describe(
    model: BaseAlgorithm | None,
    *,
    env: str | None = None,
    algo: str | None = None,
    seed: int | None = None,
    demonstrations: Path | None = None,
    n_demos: int | None = None,
) -> dict[str, Any]:
    """`env, algo, seed, n_demos, demonstrations, demonstrations_sha256`, settings and versions.

    :param model: says what is not given.
    :param demonstrations: the file, where the model was given trajectories.
    :returns: `n_demos` is 0 where nothing is imitated, None where nobody knows.
    :raises TrackingError: if there is no model and `env` or `algo` is not given.
    :raises DemonstrationError: if the file cannot be read.
    """
    env, algo = env or _env_id(model), algo or (type(model).__name__.lower() if model else None)
    if env is None or algo is None:
        raise TrackingError(
            "nobody knows what this run is of: give WandbTracker(env=..., algo=...), or pass it "
            "to learn()"
        )
    path = demonstrations or getattr(model, "demonstrations_path", None)
    return {
        **(_settings(model) if model else {}),
        "env": env,
        "algo": algo,
        "seed": seed if seed is not None else getattr(model, "seed", None),
        "n_demos": n_demos if n_demos is not None else _n_demos(model, path),
        **_identity(path, getattr(model, "expert", None)),
        "versions": package_versions(),
    }


def _env_id(model: BaseAlgorithm | None) -> str | None:
    if model is None or model.env is None:
        return None
    spec = model.env.get_attr("spec")[0]
    return spec.id if spec is not None else "unregistered"


def _n_demos(model: BaseAlgorithm | None, path: Path | None) -> int | None:
    known = getattr(model, "n_demonstrations", None)
    if known is not None:
        return int(known)
    if path is not None:
        return len(load_demonstrations(path))
    return None if getattr(model, "expert", None) is not None else 0


def _identity(path: Path | None, expert: TransitionBatch | None) -> dict[str, Any]:
    """Name and sha256 of the demonstrations: of the file, or else of the transitions' arrays."""
    if path is not None:
        return {"demonstrations": path.name, "demonstrations_sha256": sha256(path)}
    if expert is None:
        return {"demonstrations": None, "demonstrations_sha256": None}
    return {"demonstrations": "in memory", "demonstrations_sha256": arrays_sha256(expert)}


def _settings(model: BaseAlgorithm) -> dict[str, Any]:
    """The model's arguments, as far as they are numbers, strings or schedules in words."""
    public = {k: as_data(v) for k, v in vars(model).items() if not k.startswith("_")}
    return {
        "n_envs": model.n_envs,
        **{
            key: value
            for key, value in public.items()
            if isinstance(value, bool | int | float | str) and key not in _NO_SETTINGS
        },
    }
