"""Demonstrations handed to `load`, as scripts that pass on hyperparameters do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3_gail_ext import (
    AIRL,
    BC,
    DAC,
    GAIL,
    SQIL,
    DAgger,
    DemonstrationError,
    GAIfO,
    save_demonstrations,
)

QUICK = {
    AIRL: {"n_steps": 16, "batch_size": 16, "warm_start_updates": 2},
    BC: {"batch_size": 16},
    DAC: {"learning_starts": 10, "warm_start_updates": 2, "buffer_size": 100},
    DAgger: {"batch_size": 16, "steps_per_round": 10, "updates_per_round": 2},
    GAIL: {"n_steps": 16, "batch_size": 16, "warm_start_updates": 2},
    GAIfO: {"n_steps": 16, "batch_size": 16},
    SQIL: {"learning_starts": 10, "buffer_size": 100},
}


@pytest.mark.parametrize("algorithm", QUICK)
def test_load_attaches_them(
    algorithm: Any, line_env: Any, line_demonstrations: Any, stand_still: Any, tmp_path: Path
) -> None:
    file = tmp_path / "expert.npz"
    save_demonstrations(file, line_demonstrations)
    asked = {"expert": stand_still} if algorithm is DAgger else {}
    model = algorithm("MlpPolicy", line_env(), str(file), **QUICK[algorithm], **asked)
    model.learn(16)
    model.save(tmp_path / "model")

    loaded = algorithm.load(
        tmp_path / "model", env=line_env(), device="cpu", demonstrations=str(file), seed=3
    )
    assert loaded.demonstrations_path == file
    assert loaded.n_demonstrations == 3
    assert len(loaded.expert) == len(model.expert) == 21
    assert not hasattr(loaded, "demonstrations")  # where SB3 puts keywords that it does not know
    assert loaded.seed == 3  # the others are still its own
    obs = np.array([[0.4, 1.0], [-0.3, 5.0]], np.float32)
    np.testing.assert_array_equal(
        model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0]
    )
    if asked:
        loaded.set_expert(stand_still)
    loaded.learn(16, reset_num_timesteps=False)
    assert loaded.num_timesteps > model.num_timesteps


def test_load_refuses_those_of_another_environment(
    line_env: Any, line_demonstrations: Any, hopper_file: Path, tmp_path: Path
) -> None:
    GAIL("MlpPolicy", line_env(), line_demonstrations, n_steps=16, batch_size=16).save(
        tmp_path / "model"
    )
    with pytest.raises(DemonstrationError, match=r"expert\.npz"):
        GAIL.load(tmp_path / "model", device="cpu", demonstrations=hopper_file)
