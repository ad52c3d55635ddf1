"""The data card beside a demonstration file: what it is and how it was made."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sb3_gail_ext.atomic import atomically
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.files import load_demonstrations, load_metadata
from sb3_gail_ext.demonstrations.returns import returns

_PACKAGES = (
    "sb3_gail_ext",
    "imitation",
    "stable-baselines3",
    "sb3-contrib",
    "gymnasium",
    "pybullet",
    "mujoco",
    "torch",
    "numpy",
)


def card_path(demonstrations: Path) -> Path:
    """`x.npz`, or a folder `x`, has its card in `x.card.json`."""
    if demonstrations.is_dir():  # whose name may have dots, as `x-v0.1`
        return demonstrations.with_name(f"{demonstrations.name}.card.json")
    return demonstrations.with_suffix(".card.json")


def write_card(demonstrations: Path, facts: dict[str, Any]) -> None:
    """Write `facts` with the file's name, sha256 and the versions in use."""
    card = {
        "file": demonstrations.name,
        "sha256": sha256(demonstrations),
        **facts,
        "versions": package_versions(),
    }
    with atomically(card_path(demonstrations)) as temporary:
        temporary.write_text(json.dumps(card, indent=1) + "\n")


def read_card(demonstrations: Path) -> dict[str, Any] | None:
    """The card of a file; None if it has none.

    :raises DemonstrationError: if the card belongs to another file or cannot be read.
    """
    path = card_path(demonstrations)
    if not path.is_file():
        return None
    try:
        card: dict[str, Any] = json.loads(path.read_text())
        stated = card["sha256"]
        if "evaluation" in card:
            np.array(card["evaluation"]["returns"], dtype=np.float64).reshape(-1)
            card["evaluation"]["first_seed"] = int(card["evaluation"]["first_seed"])
    except (
        *(ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError),
    ) as error:
        raise DemonstrationError(f"{path}: not a data card ({error}); delete it") from error
    if stated != sha256(demonstrations):
        raise DemonstrationError(
            f"{path}: this card's sha256 is not that of {demonstrations.name}; one of the two was "
            "changed: make both again, or delete the card"
        )
    return card


class ExpertReturns(NamedTuple):
    """Returns of an expert, and whether they are from the starts that were asked for."""

    returns: np.ndarray  # (n,), NaN where demonstrations do not tell them
    same_starts: bool

    @property
    def mean(self) -> float | None:
        """None if any is unknown."""
        mean = float(self.returns.mean())
        return None if np.isnan(mean) else mean


def expert_returns(
    demonstrations: Path, env_id: str, n_episodes: int, *, seed: int = 0
) -> ExpertReturns:
    """The expert's returns: on the starts `seed, seed + 1, ...` if the data card knows them.

    Without a card, or beyond what it knows, those of the demonstrations themselves, which may
    have met easier starts: on the PyBullet Hopper only survivors are recorded.

    :raises DemonstrationError: if the file or its card cannot be used for `env_id`.
    """
    card = read_card(demonstrations) or {}
    recorded_in = card.get("environment") or load_metadata(demonstrations).get("env_id", env_id)
    if recorded_in != env_id:
        raise DemonstrationError(
            f"{demonstrations}: recorded in {recorded_in}, not in {env_id}; use --env "
            f"{recorded_in}, or demonstrations of {env_id}"
        )
    evaluation = card.get("evaluation")
    if evaluation is not None:
        known = np.array(evaluation["returns"], dtype=np.float64)
        first = seed - evaluation["first_seed"]
        if first >= 0 and first + n_episodes <= len(known):
            return ExpertReturns(known[first : first + n_episodes], same_starts=True)
    return ExpertReturns(returns(load_demonstrations(demonstrations)), same_starts=False)


def expert_mean(
    demonstrations: Path, env_id: str, n_episodes: int, *, seed: int = 0
) -> tuple[float, bool]:
    """Mean of `expert_returns`, and whether it is of the same starts, for scores that need one.

    :raises DemonstrationError: as there, and if nobody knows the returns.
    """
    found = expert_returns(demonstrations, env_id, n_episodes, seed=seed)
    if found.mean is None:
        raise DemonstrationError(
            f"{demonstrations}: without rewards, the return of some episodes is unknown; an "
            "imitator can be trained, but a score needs demonstrations with rewards"
        )
    return found.mean, found.same_starts


def sha256(path: Path) -> str:
    """Of a file, or of a folder: of the names of all files in it and their sha256, in order."""
    if path.is_dir():
        names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
        lines = "".join(f"{sha256(path / name)}  {name}\n" for name in names)
        return hashlib.sha256(lines.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def package_versions() -> dict[str, str]:
    """Versions of the packages that results depend on, as far as they are installed."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
