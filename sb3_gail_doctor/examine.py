"""All checks, in the order of the table."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from sb3_gail_doctor.extras import extras_checks
from sb3_gail_doctor.finding import Check, Line, carry_out
from sb3_gail_doctor.machine import check_cores, check_disk, check_folders
from sb3_gail_doctor.physics import check_mujoco, check_pybullet
from sb3_gail_doctor.python_packages import check_numpy, check_package, check_python, check_torch
from sb3_gail_doctor.rendering import check_film, check_mujoco_frame, check_pybullet_frame
from sb3_gail_doctor.stack import check_stack
from sb3_gail_doctor.tracking import check_tensorboard, check_wandb

CHECKS = (
    Check("Python", check_python, needed=True),
    Check("stack", check_stack, needed=True),
    Check("NumPy", check_numpy, needed=True),
    Check("PyTorch", check_torch, needed=True),
    Check("sb3_gail_ext", check_package, needed=True),
    Check("PyBullet", check_pybullet, needed=True),
    Check("PyBullet frame", check_pybullet_frame),
    Check("MuJoCo", check_mujoco),
    Check("MuJoCo frame", check_mujoco_frame),
    Check("film", check_film),
    Check("W&B", check_wandb),
    Check("TensorBoard", check_tensorboard),
    Check("write access", check_folders, needed=True),
    Check("disk", check_disk),
    Check("cores", check_cores),
)
SIDE_BY_SIDE = 4  # most of a check is waiting for a process of its own


def examine() -> list[Line]:
    """Carry out every check."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(carry_out, [*CHECKS, *extras_checks()]))


def exit_status(lines: Iterable[Line]) -> int:
    """1 if anything is broken that training needs, else 0."""
    return int(any(line.fatal for line in lines))
