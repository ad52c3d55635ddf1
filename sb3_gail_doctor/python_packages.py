"""Python, and the packages that training cannot do without: each is tried, not only found."""

from __future__ import annotations

import platform
import sys

from sb3_gail_doctor.finding import Finding, Verdict
from sb3_gail_doctor.probe import try_out

OLDEST_PYTHON = (3, 11)
_NUMPY = """
import numpy as np
assert np.allclose(np.linalg.solve(np.eye(3) * 2, np.ones(3)), 0.5), "linear algebra is wrong"
print(np.__version__)
"""
_TORCH = """
import numpy as np, torch
weight = torch.ones(3, requires_grad=True)
(weight * torch.from_numpy(np.ones(3, np.float32))).sum().backward()
assert weight.grad.sum() == 3, "gradients are wrong"
gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
print(torch.__version__, torch.version.cuda or "", gpu, sep="|")
"""
_PACKAGE = "import sb3_gail_ext; print(sb3_gail_ext.__version__)"
_CPU_BUILD = "choose 'CPU' on https://pytorch.org/get-started/locally/"


def check_python() -> Finding:
    version = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding(f"{version}; 3.11 is needed", Verdict.BROKEN, "python3.11 -m venv .venv")
    return Finding(version)


def check_numpy() -> Finding:
    return try_out(_NUMPY, "pip install --force-reinstall numpy")


def check_torch() -> Finding:
    """A gradient by way of NumPy, and which build it is."""
    tried = try_out(_TORCH, "pip install --force-reinstall torch")
    if tried.verdict is not Verdict.OK:
        return tried
    version, cuda, gpu = tried.found.split("|")
    if not cuda:
        return Finding(f"{version}, for the CPU")
    if not gpu:
        text = f"{version}, some GB for CUDA {cuda}, and no GPU that it can use"
        return Finding(text, Verdict.NOTE, _CPU_BUILD)
    return Finding(f"{version}, CUDA {cuda} on {gpu}")


def check_package() -> Finding:
    """This package, imported with all that it needs."""
    return try_out(_PACKAGE, "pip install --force-reinstall --no-deps sb3_gail_ext")
