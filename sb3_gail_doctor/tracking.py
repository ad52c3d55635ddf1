"""Where runs can be followed: Weights & Biases and TensorBoard."""

from __future__ import annotations

import os

from sb3_gail_doctor.extras import install_extra
from sb3_gail_doctor.finding import Finding, Verdict
from sb3_gail_doctor.installed import numbers, version_of
from sb3_gail_doctor.probe import ProbeError, probe

OLDEST_WANDB = (0, 31)
MODES = ("online", "offline", "disabled")
# `verify=False`: asks this machine's settings, not the network.
_LOGGED_IN = "import wandb; print(bool(wandb.login(prompt=False, verify=False)))"


def check_wandb() -> Finding:
    """Installed, new enough, and whether runs go online."""
    version, cure = version_of("wandb"), install_extra("wandb")
    if version is None:
        return Finding("not installed", Verdict.MISSING, cure)
    if numbers(version) < OLDEST_WANDB:
        return Finding(f"wandb {version} loses rows of killed runs", Verdict.BROKEN, cure)
    mode = os.environ.get("WANDB_MODE")
    if mode:
        return _with_mode(version, mode)
    try:
        logged_in = probe(_LOGGED_IN, WANDB_SILENT="true") == "True"
    except ProbeError as error:
        return Finding(f"wandb {version}: {error}", Verdict.BROKEN, cure)
    if logged_in:
        return Finding(f"wandb {version}, logged in")
    text = f"wandb {version}, nobody is logged in: it tracks offline"
    return Finding(text, Verdict.NOTE, "wandb login")


def _with_mode(version: str, mode: str) -> Finding:
    if mode not in MODES:
        text = f"WANDB_MODE={mode} is none of {', '.join(MODES)}"
        return Finding(text, Verdict.BROKEN, "unset WANDB_MODE")
    return Finding(f"wandb {version}, WANDB_MODE={mode}")


def check_tensorboard() -> Finding:
    """:returns: missing is no harm, but for `--tensorboard`."""
    version = version_of("tensorboard")
    if version is None:
        return Finding("not installed", Verdict.MISSING, "pip install tensorboard")
    return Finding(version)
