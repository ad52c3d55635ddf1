"""What the zoo reads from a hyperparameter file, made of the shipped presets.

One module per algorithm, for the zoo's `-conf`: it looks for `hyperparams`, settings by
environment id. Each holds every registered id, since `default` is known to the zoo's later
versions only, and must be imported after the packages that register environments.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from sb3_gail_ext.presets.loading import load_preset
from sb3_gail_ext.presets.preset import as_settings

Hyperparams = dict[str, dict[str, Any]]


def from_presets(algorithm: str) -> Hyperparams:
    """What `sb3-gail train --algo ALGORITHM` trains each environment with."""
    return {
        env_id: as_settings(load_preset(None, env_id, algorithm)) for env_id in list(gym.registry)
    }


def for_every_env(n_timesteps: int, n_envs: int) -> Hyperparams:
    """The algorithm's own defaults, for so long."""
    settings = {"policy": "MlpPolicy", "n_timesteps": n_timesteps, "n_envs": n_envs}
    return {env_id: dict(settings) for env_id in gym.registry}
