"""Adversarial imitation learning as Stable-Baselines3 algorithms, around `imitation`.

Importing the package registers its PyBullet environments and the chapter's components.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import Any as _Any

from sb3_gail_ext.algorithms.adversarial import adversarial
from sb3_gail_ext.algorithms.airl import AIRL
from sb3_gail_ext.algorithms.bc import BC
from sb3_gail_ext.algorithms.dac import DAC
from sb3_gail_ext.algorithms.dagger import DAgger
from sb3_gail_ext.algorithms.gaifo import GAIfO
from sb3_gail_ext.algorithms.gail import GAIL
from sb3_gail_ext.algorithms.schedules import GeometricSchedule, LinearSchedule
from sb3_gail_ext.algorithms.sqil import SQIL
from sb3_gail_ext.chapter import (
    CHAPTER_GAIL_PRESETS,
    CHAPTER_PPO_KWARGS,
    ChapterActorCriticPolicy,
    ChapterDiscriminator,
    chapter_gail_kwargs,
    register_chapter_components,
)
from sb3_gail_ext.checkpoints.reading import load_checkpoint
from sb3_gail_ext.checkpoints.writing import Checkpoints
from sb3_gail_ext.demonstrations.checking.check import check_demonstrations
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.files import load_demonstrations, save_demonstrations
from sb3_gail_ext.demonstrations.recording import record_demonstrations
from sb3_gail_ext.demonstrations.splitting import split_demonstrations
from sb3_gail_ext.envs import register_envs
from sb3_gail_ext.evaluation.evaluate import evaluate
from sb3_gail_ext.evaluation.keep_best import KeepBestImitator
from sb3_gail_ext.evaluation.live import ChapterFigureCallback
from sb3_gail_ext.rewards.distance import imitation_distance
from sb3_gail_ext.rewards.learned import load_reward

__version__ = _version("sb3_gail_ext")

__all__ = [
    "AIRL",
    "BC",
    "CHAPTER_GAIL_PRESETS",
    "CHAPTER_PPO_KWARGS",
    "DAC",
    "GAIL",
    "SQIL",
    "ChapterActorCriticPolicy",
    "ChapterDiscriminator",
    "ChapterFigureCallback",
    "Checkpoints",
    "DAgger",
    "DemonstrationError",
    "GAIfO",
    "GeometricSchedule",
    "KeepBestImitator",
    "LinearSchedule",
    "WandbTracker",
    "adversarial",
    "chapter_gail_kwargs",
    "check_demonstrations",
    "compare",
    "evaluate",
    "imitation_distance",
    "load_checkpoint",
    "load_demonstrations",
    "load_reward",
    "record_demonstrations",
    "save_demonstrations",
    "split_demonstrations",
]


_LATER = {  # imported when asked for: what they need is no matter of every script
    "WandbTracker": "sb3_gail_ext.tracking.tracker",
    "compare": "sb3_gail_ext.comparison.compare",
}


def __getattr__(name: str) -> _Any:
    if name in _LATER:
        return getattr(_import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


register_envs()
register_chapter_components()
