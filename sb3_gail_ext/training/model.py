"""The model of a run, on seeded environments."""

from __future__ import annotations

from typing import Any

from imitation.data.types import TrajectoryWithRew
from stable_baselines3.common.env_util import make_vec_env

from sb3_gail_ext.demonstrations.checks import check_fits_spaces
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.sampling import flatten
from sb3_gail_ext.presets.errors import PresetError
from sb3_gail_ext.presets.preset import ALGORITHMS
from sb3_gail_ext.training.run import TrainingRun


def make_model(run: TrainingRun, demonstrations: list[TrajectoryWithRew]) -> Any:
    """The algorithm of the run's preset.

    :raises DemonstrationError: if the demonstrations do not fit the environment.
    :raises PresetError: if it refuses the settings: their types fit, but not what they say.
    """
    venv = make_vec_env(run.env_id, n_envs=run.preset.n_envs, seed=run.seed)
    check_fits_spaces(
        flatten(demonstrations),
        venv.observation_space,
        venv.action_space,
        str(run.demonstrations),
    )
    try:
        return ALGORITHMS[run.preset.algorithm](
            run.preset.policy,
            venv,
            demonstrations,
            seed=run.seed,
            device="cpu",
            **run.preset.algorithm_kwargs,
        )
    except DemonstrationError:
        raise
    except (AssertionError, TypeError, ValueError) as error:  # SB3's ways, and ours
        name = run.preset.algorithm.upper()
        raise PresetError(
            f"preset {run.preset.label}: {name} refuses the settings: {error}"
        ) from error
