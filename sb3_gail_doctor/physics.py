"""The two physics engines: one start and one step of a Hopper in each."""

from __future__ import annotations

from sb3_gail_doctor.extras import install_extra
from sb3_gail_doctor.finding import Finding, Verdict
from sb3_gail_doctor.installed import version_of
from sb3_gail_doctor.probe import try_out

REINSTALL_PYBULLET = "pip install --force-reinstall --no-deps pybullet"
_STEP = """
import {package}, gymnasium as gym, numpy as np
env = gym.make("{env_id}")
env.reset(seed=0)
observation, *_ = env.step(np.zeros(3, np.float32))
assert observation.shape == (11,) and np.isfinite(observation).all(), observation
print("{version}, {env_id} runs")
"""


def check_pybullet() -> Finding:
    version = version_of("pybullet")
    if version is None:
        return Finding("not installed", Verdict.MISSING, "pip install pybullet")
    code = _STEP.format(package="sb3_gail_ext", env_id="HopperMuJoCoEnv-v0", version=version)
    return try_out(code, REINSTALL_PYBULLET)


def check_mujoco() -> Finding:
    version, cure = version_of("mujoco"), install_extra("mujoco")
    if version is None:
        return Finding("not installed", Verdict.MISSING, cure)
    return try_out(_STEP.format(package="mujoco", env_id="Hopper-v4", version=version), cure)
