"""A model's file holds random states, which learning goes on from, and names its demonstrations."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

from sb3_gail_ext import GAIL
from sb3_gail_ext.algorithms.random_states import random_states, restore_random_states

SMALL = {"n_steps": 32, "batch_size": 32, "n_epochs": 1, "warm_start_updates": 2, "device": "cpu"}


def draws() -> list[float]:
    return [random.random(), float(np.random.rand()), float(th.rand(()))]  # noqa: NPY002


def test_all_three_generators_go_back() -> None:
    states = random_states()
    first = draws()
    assert draws() != first
    restore_random_states(states)
    assert draws() == first


def test_loading_to_predict_draws_nothing_and_learning_goes_on_with_the_files_states(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, **SMALL).learn(32)
    model.save(tmp_path / "model.zip")
    expected = draws()

    before = random_states()
    loaded = GAIL.load(tmp_path / "model.zip", env=model.env, device="cpu")
    assert draws() != expected
    restore_random_states(before)

    loaded.set_demonstrations(pendulum_expert)
    loaded._setup_learn(32, reset_num_timesteps=False)
    assert draws() == expected

    seeded = GAIL.load(tmp_path / "model.zip", env=model.env, device="cpu")
    seeded.set_demonstrations(pendulum_expert)
    seeded.set_random_seed(5)  # the user's word counts
    np.random.seed(7)  # noqa: NPY002
    seeded._setup_learn(32, reset_num_timesteps=False)
    assert float(np.random.rand()) == pytest.approx(0.0763082893)  # noqa: NPY002 (of seed 7)


def test_a_seed_given_to_load_and_a_copy_saved_before_learning(
    tmp_path: Path, pendulum_expert: Any
) -> None:
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, **SMALL).learn(32)
    model.save(tmp_path / "model.zip")
    expected = draws()

    drawn = []
    for seed in (1, 2, 1):
        loaded = GAIL.load(
            tmp_path / "model.zip", model.env, demonstrations=pendulum_expert, seed=seed
        )
        loaded._setup_learn(32, reset_num_timesteps=False)
        drawn.append([*draws(), loaded._rng.random()])
    assert drawn[0] == drawn[2] != drawn[1]

    loaded = GAIL.load(tmp_path / "model.zip", model.env, demonstrations=pendulum_expert)
    loaded.save(tmp_path / "copy.zip")
    copy = GAIL.load(tmp_path / "copy.zip", model.env, demonstrations=pendulum_expert)
    for one in (loaded, copy):
        one._setup_learn(32, reset_num_timesteps=False)
        assert draws() == expected


def test_another_set_of_demonstrations_is_named(tmp_path: Path, pendulum_expert: Any) -> None:
    model = GAIL("MlpPolicy", "Pendulum-v1", pendulum_expert, **SMALL).learn(32)
    model.save(tmp_path / "model.zip")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GAIL.load(tmp_path / "model.zip", env=model.env, demonstrations=pendulum_expert)
    words = r"\(200 transitions of a list in memory, sha256 .{12}\) are not those .*\(400 trans"
    with pytest.warns(UserWarning, match=words):
        GAIL.load(tmp_path / "model.zip", env=model.env, demonstrations=pendulum_expert[:1])
