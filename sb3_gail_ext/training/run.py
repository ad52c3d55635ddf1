"""What to train, on what, with which settings, and where the results go."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sb3_gail_ext.demonstrations.cards import package_versions, sha256
from sb3_gail_ext.presets.preset import Preset

# Environment steps. Off-policy steps are fewer and slower; on-policy ones cut an episode each.
_CHECKPOINT_EVERY = {"dac": 10_000}
_OF_OTHERS = 50_000


@dataclass(frozen=True)
class TrainingRun:
    """One run of `sb3-gail train`."""

    env_id: str
    demonstrations: Path
    folder: Path
    preset: Preset = field(default_factory=Preset)
    seed: int = 0
    limit: int | None = None  # episodes of the file to use
    subsample: int = 1  # keep every n-th transition
    n_evaluation_episodes: int = 100
    videos: bool = True
    progress_bar: bool = True
    tensorboard: bool = False  # events into `folder/tensorboard`
    wandb_project: str | None = None  # tracked in W&B's project of that name
    checkpoint_every: int | None = None  # environment steps; None: as suits the algorithm
    keep_checkpoints: int = 3
    resume: bool = False  # go on from the latest checkpoint, if there is one

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def steps_between_checkpoints(self) -> int:
        return self.checkpoint_every or _CHECKPOINT_EVERY.get(self.preset.algorithm, _OF_OTHERS)


def origins(run: TrainingRun) -> dict[str, Any]:
    """What the run was made from, besides its hyperparameters, for `config.json`."""
    return {
        **{f.name: getattr(run, f.name) for f in fields(run) if f.name != "resume"},
        "demonstrations": run.demonstrations.absolute(),
        "algorithm": run.preset.algorithm,
        "preset": run.preset.label,
        "demonstrations_sha256": sha256(run.demonstrations),
        "versions": package_versions(),
    }
