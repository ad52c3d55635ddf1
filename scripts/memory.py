"""Is the memory of a long run flat? Trains and writes down the process's resident set size.

    python scripts/memory.py gail --steps 1000000 --out docs/results/memory_gail.json
    python scripts/memory.py dac --steps 200000 --out docs/results/memory_dac.json

DAC's replay buffer holds 50,000 steps, so that it is full, and its pages are all touched, before
the growth is measured. Linux only: it reads /proc/self/statm.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

import sb3_gail_ext as sg
from sb3_gail_ext.demonstrations.cards import package_versions

ENV = "HopperMuJoCoEnv-v0"
DEMONSTRATIONS = f"expert_data/{ENV}/deterministic.trpo.Hopper.0.00.npz"
WARM_UP = {"gail": 200_000, "dac": 75_000}  # steps
MiB = 2**20


class Memory(BaseCallback):
    """The resident set every `every` steps, MiB, written as it grows."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.steps: list[int] = []
        self.mib: list[float] = []

    def _on_step(self) -> bool:
        if self.num_timesteps // self.every >= len(self.steps):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.steps.append(self.num_timesteps)
            self.mib.append(round(pages * os.sysconf("SC_PAGE_SIZE") / MiB, 2))
        return True


def growth(steps: np.ndarray, mib: np.ndarray) -> dict[str, float]:
    """After the warm-up: the fitted slope, and the last tenth against the first."""
    tenth = max(len(mib) // 10, 1)
    slope = np.polyfit(steps / 1e5, mib, 1)[0] if len(mib) > 1 else 0.0
    return {
        "mib_per_100k_steps": round(float(slope), 3),
        "first_tenth_mib": round(float(mib[:tenth].mean()), 2),
        "last_tenth_mib": round(float(mib[-tenth:].mean()), 2),
        "highest_mib": round(float(mib.max()), 2),
    }


def make_model(algorithm: str) -> Any:
    if algorithm == "gail":
        venv = make_vec_env(ENV, n_envs=8, seed=0)
        return sg.GAIL("MlpPolicy", venv, DEMONSTRATIONS, seed=0, device="cpu")
    venv = make_vec_env(ENV, n_envs=1, seed=0)
    return sg.DAC("MlpPolicy", venv, DEMONSTRATIONS, buffer_size=50_000, seed=0, device="cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("algorithm", choices=sorted(WARM_UP))
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    th.set_num_threads(1)
    memory = Memory(every=max(arguments.steps // 200, 1))
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = sg.Checkpoints(folder, every=25_000)  # as a long run writes them
        make_model(arguments.algorithm).learn(arguments.steps, callback=[memory, checkpoints])
    steps, mib = np.array(memory.steps), np.array(memory.mib)
    warm = steps >= min(WARM_UP[arguments.algorithm], arguments.steps // 2)
    found = growth(steps[warm], mib[warm])
    command = f"scripts/memory.py {arguments.algorithm} --steps {arguments.steps}"
    content = {
        "command": f"python {command} --out {arguments.out}",
        "environment": ENV,
        "seconds": round(time.monotonic() - started),
        "after_warm_up": {"from_step": int(steps[warm][0]), **found},
        "steps": memory.steps,
        "mib": memory.mib,
        "versions": package_versions(),
    }
    arguments.out.write_text(json.dumps(content) + "\n")
    print(json.dumps(content["after_warm_up"]))


if __name__ == "__main__":
    main()
