"""What is compared: methods x environments x numbers of demonstrations x seeds, as cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sb3_gail_ext.bench.methods import METHODS
from sb3_gail_ext.bench.task import Cell, Task
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.files import load_demonstrations
from sb3_gail_ext.evaluation.scale import measure_scale
from sb3_gail_ext.presets.loading import load_preset
from sb3_gail_ext.presets.preset import as_settings

# Those that learn from demonstrations; the others of METHODS are there to time.
COMPARABLE = tuple(name for name in METHODS if name not in ("ppo", "sac"))
_DAGGER_STEPS = 20_000  # twenty rounds
_LIKE = {"dac": "dac", "sqil": "dac"}  # whose preset says how many steps; of all others: gail


@dataclass(frozen=True)
class Study:
    """A comparison's whole specification.

    :raises ValueError: if a part of it cannot be used.
    """

    methods: Sequence[str]
    demonstrations: Mapping[str, Path]  # by environment id
    n_demonstrations: Sequence[int] = (1, 4, 11, 25)  # the GAIL paper's, but for its 18
    seeds: Sequence[int] = range(5)
    subsample: int = 20  # keep every n-th transition, as the GAIL paper does
    steps: int | None = None  # of the environment; None: each method's own number
    every: int = 20_000  # steps between two evaluations
    n_episodes: int = 10  # of each
    n_final_episodes: int = 50
    experts: Mapping[str, Path] = field(default_factory=dict)  # whom dagger asks, by env id
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by method, theirs

    def __post_init__(self) -> None:
        unknown = next((m for m in self.methods if m not in COMPARABLE), None)
        if unknown is not None:
            raise ValueError(f"unknown method {unknown!r}; give some of {', '.join(COMPARABLE)}")
        for name in ("methods", "n_demonstrations", "seeds", "demonstrations"):
            values = list(getattr(self, name))
            if not values:
                raise ValueError(f"{name} is empty; give at least one")
            if len(set(values)) < len(values):
                raise ValueError(f"{name} are {values}; give each one once")
        numbers = [self.subsample, self.every, self.n_episodes, self.n_final_episodes]
        if min(*numbers, *self.n_demonstrations, self.steps or 1) < 1 or min(self.seeds) < 0:
            raise ValueError("numbers of demonstrations, steps and episodes are 1 or more, seeds 0")
        unused = next((method for method in self.settings if method not in self.methods), None)
        if unused is not None:
            raise ValueError(f"settings are given for {unused!r}, which is none of the methods")
        without = next((env_id for env_id in self.demonstrations if env_id not in self.experts), "")
        if "dagger" in self.methods and without:
            raise ValueError(
                f"dagger has nobody to ask in {without}; give the expert's model, or leave it out"
            )


def check_demonstrations_suffice(study: Study) -> None:
    """:raises DemonstrationError: before any run, if a file cannot be used or has too few."""
    for env_id, path in study.demonstrations.items():
        available, wanted = len(load_demonstrations(path)), max(study.n_demonstrations)
        if wanted > available:
            raise DemonstrationError(
                f"{path}: {wanted} demonstrations were asked for, but it has {available}; ask for "
                "fewer"
            )
        measure_scale(env_id, path, study.n_final_episodes)


def cells_of(study: Study) -> list[Cell]:
    """Every run, seed by seed: one that is stopped has compared something by then.

    :raises PresetError: if a shipped preset cannot be used.
    """
    fingerprints = {e: Task(e, str(path)).fingerprint() for e, path in study.demonstrations.items()}
    return [
        Cell(
            kind="comparison",
            method=method,
            label=method,
            task=Task(env_id, str(path), n, subsample=study.subsample),
            seed=seed,
            total_timesteps=study.steps or _own_steps(method, env_id),
            settings=_settings(study, method, env_id),
            measure={
                "every": study.every,
                "n_episodes": study.n_episodes,
                "n_final_episodes": study.n_final_episodes,
            },
            fingerprint=fingerprints[env_id],
        )
        for seed in study.seeds
        for env_id, path in study.demonstrations.items()
        for n in study.n_demonstrations
        for method in study.methods
    ]


def _own_steps(method: str, env_id: str) -> int:
    if method == "dagger":
        return _DAGGER_STEPS
    return load_preset(
        None, env_id, _LIKE.get(method, "dac" if method == "dac" else "gail")
    ).n_timesteps


def _settings(study: Study, method: str, env_id: str) -> dict[str, Any]:
    """gail and dac as their shipped presets have them, the others by their defaults."""
    chosen: dict[str, Any] = {}
    if method == "dagger":
        chosen = {"expert": str(study.experts[env_id])}
    elif method in ("gail", "dac"):
        chosen = as_settings(load_preset(None, env_id, method))
        for elsewhere in ("n_timesteps", *(("n_envs", "policy") if method == "dac" else ())):
            del chosen[elsewhere]
    return {**chosen, **study.settings.get(method, {})}
