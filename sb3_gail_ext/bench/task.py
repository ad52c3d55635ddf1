"""What one benchmark cell is: a method on a task with a seed, and where its result lies."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.demonstrations.cards import (
    expert_mean,
    package_versions,
    read_card,
    sha256,
)
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.files import load_demonstrations
from sb3_gail_ext.evaluation.evaluate import EVALUATION_SEED


@dataclass(frozen=True)
class Task:
    """An environment and demonstrations of its expert."""

    env_id: str
    demonstrations: str
    n_demonstrations: int | None = None  # drawn with the cell's seed; None: all
    n_transitions: int | None = None  # the drawn ones, repeated until there are so many
    subsample: int = 1  # keep every n-th transition

    def load(self, seed: int) -> list[TrajectoryWithRew]:
        drawn = load_demonstrations(
            self.demonstrations, limit=self.n_demonstrations, subsample=self.subsample, seed=seed
        )
        if self.n_transitions is None:
            return drawn
        return drawn * -(-self.n_transitions // sum(len(episode) for episode in drawn))

    def expert_mean(self, n_episodes: int) -> float:
        """The expert's mean return on the first `n_episodes` evaluation starts.

        :raises DemonstrationError: unless it is positive: a share of a cost would praise the worse.
        """
        path = Path(self.demonstrations)
        mean, _ = expert_mean(path, self.env_id, n_episodes, seed=EVALUATION_SEED)
        if mean <= 0:
            raise DemonstrationError(
                f"{path}: the expert's mean return is {mean:.1f}; a share of the expert's return "
                "can be measured only where that is positive"
            )
        return mean

    def fingerprint(self, *others: Path) -> str:
        """Of what a result depends on besides its specification.

        Data, the expert's returns in the data card, this code, its packages.

        :param others: more files that it depends on.
        """
        path = Path(self.demonstrations)
        evaluation = (read_card(path) or {}).get("evaluation")
        parts = [sha256(path), json.dumps(evaluation), json.dumps(package_versions())]
        parts += [sha256(path) for path in (*others, *_sources())]
        return hashlib.sha256("".join(parts).encode()).hexdigest()


# What is done with results, or shows them.
_AFTERWARDS = (
    *("cli", "comparison", "tracking", "experts", "experiment.py", "training", "checkpoints"),
    "bench/plots.py",
    *("bench/tables.py", "evaluation/films.py", "evaluation/video.py", "evaluation/plots.py"),
    "evaluation/live.py",
)


def _sources() -> list[Path]:
    """This package's files that a result can depend on."""
    package = Path(__file__).parents[1]
    after = [package / name for name in _AFTERWARDS]
    return sorted(p for p in package.rglob("*.py") if not any(p.is_relative_to(a) for a in after))


@dataclass(frozen=True)
class Cell:
    """One measurement, run in a process of its own."""

    kind: str  # "learning", "throughput" or "comparison"
    method: str  # a key of `METHODS`
    label: str  # of its row in tables: the method, unless its settings differ
    task: Task
    seed: int
    total_timesteps: int
    settings: dict[str, Any] = field(default_factory=dict)  # of the method
    measure: dict[str, Any] = field(default_factory=dict)  # of the measurement
    fingerprint: str = ""  # of the task: results of other code or data are not taken for these

    @property
    def id(self) -> str:
        """Names the cell's result file; another specification has another id."""
        content = asdict(self)
        del content["task"]["demonstrations"]  # a path; the fingerprint knows the file
        text = json.dumps(content, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.kind}_{self.task.env_id}_{self.label}_{self.seed}_{digest}".replace("/", "_")

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Cell:
        content = json.loads(text)
        return cls(**{**content, "task": Task(**content["task"])})


def experts_of(cell: Cell) -> list[Path]:
    """The model that DAgger asks, which its results depend on."""
    return [Path(cell.settings["expert"])] if "expert" in cell.settings else []
