"""The PyBullet environments, registered under the ids the chapter uses."""

from __future__ import annotations

import gymnasium as gym

BULLET_ENV_IDS = {
    "HopperMuJoCoEnv-v0": "sb3_gail_ext.envs.planar:HopperEnv",
    "Walker2DMuJoCoEnv-v0": "sb3_gail_ext.envs.planar:Walker2DEnv",
    "HalfCheetahMuJoCoEnv-v0": "sb3_gail_ext.envs.planar:HalfCheetahEnv",
    "AntMuJoCoEnv-v0": "sb3_gail_ext.envs.free_base:AntEnv",
    "HumanoidMuJoCoEnv-v0": "sb3_gail_ext.envs.free_base:HumanoidEnv",
}


def register_envs() -> None:
    """Register the environments with Gymnasium, each with a limit of 1,000 steps."""
    for env_id, entry_point in BULLET_ENV_IDS.items():
        if env_id not in gym.registry:
            gym.register(env_id, entry_point=entry_point, max_episode_steps=1000)
