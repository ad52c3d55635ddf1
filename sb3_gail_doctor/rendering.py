"""Frames without a display, and films of them."""

from __future__ import annotations

import os

from sb3_gail_doctor.finding import Finding, Verdict
from sb3_gail_doctor.installed import version_of
from sb3_gail_doctor.physics import REINSTALL_PYBULLET
from sb3_gail_doctor.probe import ProbeError, probe, try_out

_BULLET_FRAME = """
import numpy as np, pybullet, pybullet_data
pybullet.connect(pybullet.DIRECT)
pybullet.loadMJCF(pybullet_data.getDataPath() + "/mjcf/hopper.xml")
width, height, pixels, *_ = pybullet.getCameraImage(320, 240, renderer=pybullet.ER_TINY_RENDERER)
assert np.std(pixels) > 0, "an empty frame"
print(f"{width} x {height} pixels, drawn in software")
"""
BACKENDS = ("egl", "osmesa", "glfw")  # of MuJoCo; glfw needs a display
_MUJOCO_FRAME = """
import os, gymnasium as gym, numpy as np
env = gym.make("Hopper-v4", render_mode="rgb_array")
env.reset(seed=0)
frame = np.asarray(env.render())
assert frame.ndim == 3 and frame.std() > 0, f"an empty frame of shape {frame.shape}"
print(f"{frame.shape[1]} x {frame.shape[0]} pixels", flush=True)
os._exit(0)  # some drivers crash when they are closed
"""
_FILM = """
import imageio.v2 as imageio, imageio_ffmpeg, numpy as np, pathlib, tempfile
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "film.mp4")
    frames = [np.full((64, 64, 3), grey, np.uint8) for grey in (0, 200)]
    imageio.mimwrite(path, frames, fps=10, macro_block_size=None)
    assert path.stat().st_size > 0, "the film is empty"
print(f"imageio-ffmpeg {imageio_ffmpeg.__version__} writes .mp4")
"""


def check_pybullet_frame() -> Finding:
    """As the environments draw: without a graphics driver."""
    return try_out(_BULLET_FRAME, REINSTALL_PYBULLET)


def check_mujoco_frame() -> Finding:
    """With the backend that `sb3-gail watch` would take; if it fails, with each other one."""
    if version_of("mujoco") is None:
        return Finding("not tried, there is no MuJoCo", Verdict.NOTE)
    chosen = chosen_backend()
    try:
        return Finding(f"{_draw(chosen)}, MUJOCO_GL={chosen}")
    except ProbeError as error:
        failed = f"MUJOCO_GL={chosen}: {error}"
    for other in BACKENDS:
        if other != chosen and _draws(other):
            text = f"{failed}; {other} works"
            return Finding(text, Verdict.BROKEN, f"export MUJOCO_GL={other}")
    return Finding(failed, Verdict.BROKEN, "apt install libegl1 libegl-mesa0")


def chosen_backend() -> str:
    """As `sb3_gail_ext.evaluation.video` chooses; with a display MuJoCo itself takes glfw."""
    return os.environ.get("MUJOCO_GL") or ("glfw" if os.environ.get("DISPLAY") else "egl")


def _draw(backend: str) -> str:
    """:raises ProbeError: if it cannot."""
    return probe(_MUJOCO_FRAME, MUJOCO_GL=backend)


def _draws(backend: str) -> bool:
    try:
        return bool(_draw(backend))
    except ProbeError:
        return False


def check_film() -> Finding:
    """Two frames as an .mp4, with the ffmpeg that a wheel brings."""
    return try_out(_FILM, "pip install --force-reinstall --no-deps imageio imageio-ffmpeg")
