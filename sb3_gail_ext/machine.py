"""What this machine is, for those who read its timings elsewhere."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def describe_machine() -> str:
    """The number of cores and the processor's name."""
    cpu = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", cpu.read_text()) if cpu.is_file() else []
    return f"{os.cpu_count()} cores, {names[0] if names else platform.machine()}"
