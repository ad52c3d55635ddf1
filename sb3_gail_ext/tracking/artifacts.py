"""Demonstrations and models as W&B artifacts, and which came from which."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sb3_gail_ext.demonstrations.cards import card_path, sha256

# Of a run's config, what a model's artifact says of itself.
_ORIGINS = ("env", "algo", "seed", "n_demos", "demonstrations", "demonstrations_sha256")


def use_dataset(run: Any, demonstrations: Path) -> bool:
    """Make the file an input of the run, as an artifact of type `dataset`.

    :returns: whether W&B has it: offline it cannot, and the sha256 in the config and in the
        models' metadata is what says which demonstrations they came from.
    """
    if run.offline or run.disabled:
        return False
    run.use_artifact(_dataset(demonstrations))
    return True


def log_dataset(run: Any, demonstrations: Path) -> None:
    """The file as an output of the run that made it: an expert's."""
    run.log_artifact(_dataset(demonstrations), aliases=["latest"])


def log_model(
    run: Any,
    files: Mapping[str, Path],
    aliases: Sequence[str],
    config: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> None:
    """A model's files as an artifact `model`, which says what demonstrations it came from.

    :param files: by the names that they have in the artifact.
    :param config: the run's, as `describe` made it.
    :param metadata: more that it says, e.g. the step.
    """
    import wandb

    origins = {key: config.get(key) for key in _ORIGINS}
    title = _name(f"{config['algo']}-{config['env']}-n{config['n_demos']}-seed{config['seed']}")
    artifact = wandb.Artifact(title, "model", metadata={**origins, **metadata})
    for name, path in files.items():
        artifact.add_file(str(path), name=name, skip_cache=True)
    run.log_artifact(artifact, aliases=list(aliases))


def _dataset(demonstrations: Path) -> Any:
    import wandb

    metadata = {"file": demonstrations.name, "sha256": sha256(demonstrations)}
    artifact = wandb.Artifact(_name(demonstrations.stem), "dataset", metadata=metadata)
    if demonstrations.is_dir():
        artifact.add_dir(str(demonstrations), name=demonstrations.name, skip_cache=True)
    else:
        artifact.add_file(str(demonstrations), skip_cache=True)
    card = card_path(demonstrations)
    if card.is_file():
        artifact.add_file(str(card), skip_cache=True)
    return artifact


def _name(text: str) -> str:
    """W&B allows no other characters."""
    return re.sub(r"[^\w.-]+", "-", text)
