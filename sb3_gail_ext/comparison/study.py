"""What is compared: methods x environments x numbers of demonstrations x seeds, as cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium as gym

from sb3_gail_ext.bench.methods import METHODS
from sb3_gail_ext.bench.task import Cell, Task, experts_of
from sb3_gail_ext.demonstrations.checks import check_fits_spaces
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.files import load_demonstrations
from sb3_gail_ext.demonstrations.sampling import flatten
from sb3_gail_ext.evaluation.scale import measure_scale
from sb3_gail_ext.presets.loading import load_preset
from sb3_gail_ext.presets.preset import BASES, as_settings, override

# Those that learn from demonstrations; the others of METHODS are there to time.
COMPARABLE = tuple(name for name in METHODS if name not in ("ppo", "sac"))
_DAGGER_STEPS = 20_000  # twenty rounds
_CLONING = ("bc", "imitation_bc")  # they take no environment steps
_BATCHES = 10_000  # of this package's cloning; imitation's gets as many
_LARGEST_SEED = 2**32 - 1
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
        for name in ("n_demonstrations", "seeds"):  # NumPy's integers are no JSON
            object.__setattr__(self, name, tuple(map(int, getattr(self, name))))
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
        if max(self.seeds) > _LARGEST_SEED:
            raise ValueError(f"seed {max(self.seeds)} is too large; {_LARGEST_SEED} is the largest")
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
        episodes, wanted = load_demonstrations(path), max(study.n_demonstrations)
        if wanted > len(episodes):
            raise DemonstrationError(
                f"{path}: {wanted} demonstrations were asked for, but it has {len(episodes)}; ask "
                "for fewer"
            )
        env = gym.make(env_id)
        env.close()
        check_fits_spaces(flatten(episodes), env.observation_space, env.action_space, str(path))
        measure_scale(env_id, path, study.n_final_episodes)


def cells_of(study: Study) -> list[Cell]:
    """Every run, seed by seed: one that is stopped has compared something by then.

    :raises PresetError: if a shipped preset cannot be used.
    """
    fingerprint = cache(lambda task, *others: task.fingerprint(*others))
    cells = [
        _cell(study, method, env_id, n, seed)
        for seed in study.seeds
        for env_id in study.demonstrations
        for n in study.n_demonstrations
        for method in study.methods
    ]
    return [replace(c, fingerprint=fingerprint(c.task, *experts_of(c))) for c in cells]


def _cell(study: Study, method: str, env_id: str, n: int, seed: int) -> Cell:
    task = Task(env_id, str(study.demonstrations[env_id]), n, subsample=study.subsample)
    steps, every = study.steps or _own_steps(method, env_id), study.every
    if method in _CLONING:  # or it would be another cell with other numbers
        steps = every = 0
    return Cell(
        kind="comparison",
        method=method,
        label=method,
        task=task,
        seed=seed,
        total_timesteps=steps,
        settings=_settings(study, method, env_id),
        measure={
            "every": every,
            "n_episodes": study.n_episodes,
            "n_final_episodes": study.n_final_episodes,
        },
    )


def _own_steps(method: str, env_id: str) -> int:
    if method == "dagger":
        return _DAGGER_STEPS
    return load_preset(
        None, env_id, _LIKE.get(method, "dac" if method == "dac" else "gail")
    ).n_timesteps


def _settings(study: Study, method: str, env_id: str) -> dict[str, Any]:
    """gail and dac as their shipped presets have them, the others by their defaults.

    :raises PresetError: if a setting of gail, airl or dac is none of theirs.
    """
    chosen: dict[str, Any] = {}
    if method == "dagger":
        chosen = {"expert": str(study.experts[env_id])}
    elif method == "imitation_bc":  # its own default is none
        chosen = {"n_batches": _BATCHES}
    elif method in ("gail", "dac"):
        chosen = as_settings(load_preset(None, env_id, method))
        for elsewhere in ("n_timesteps", *(("n_envs", "policy") if method == "dac" else ())):
            del chosen[elsewhere]
    given = study.settings.get(method, {})
    if method in ("gail", "airl", "dac"):
        override(BASES[_LIKE.get(method, "gail")], given, f"settings of {method}")
    return {**chosen, **given}
