"""What several commands share: input errors, arguments, loading models and environments."""

from __future__ import annotations

import argparse
import os
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gymnasium as gym
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.utils import check_for_correct_spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecTransposeImage

import sb3_gail_ext  # registers the environments  # noqa: F401
from sb3_gail_ext.demonstrations.cards import card_path
from sb3_gail_ext.demonstrations.checks import check_supported_spaces
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.policies.loading import load_policy
from sb3_gail_ext.tracking.session import TrackingError, require_wandb


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one line and says what to do."""


INPUT_ERRORS = (InputError, DemonstrationError, TrackingError)


class HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the line breaks of examples and shows defaults."""


def add_seed(
    parser: argparse.ArgumentParser, default: int | None = 0, help: str = "of everything random"
) -> None:
    parser.add_argument("--seed", type=_seed, default=default, help=help)


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError(f"{seed} is not a number from 0 to {2**32 - 1}")
    return seed


def add_env(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument(
        "--env", required=required, metavar="ID", help="Gymnasium id, e.g. HopperMuJoCoEnv-v0"
    )


def add_wandb(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wandb", action="store_true", help="track in W&B; offline where nobody is logged in"
    )
    parser.add_argument("--wandb-project", help="track in this W&B project; default sb3_gail_ext")


def wandb_project(arguments: argparse.Namespace) -> str | None:
    """The W&B project to track in; None: not at all.

    :raises InputError: if W&B is asked for and not installed, or WANDB_MODE is none of its modes.
    """
    if not arguments.wandb and arguments.wandb_project is None:
        return None
    if arguments.wandb_project == "":
        raise InputError("--wandb-project is empty; give a name")
    try:
        require_wandb()
    except ImportError as error:
        raise InputError(str(error)) from error
    return arguments.wandb_project or "sb3_gail_ext"


def check_env_id(env_id: str) -> None:
    """:raises InputError: if the environment cannot be made."""
    try:
        with _quiet_stderr():
            gym.make(env_id).close()
    except (gym.error.Error, ImportError, ValueError) as error:
        raise InputError(f"cannot make environment {env_id}: {error}") from error


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """PyBullet's C code writes its build time there when first imported; errors are one line."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def check_same_spaces(model: BaseAlgorithm | BasePolicy, env_id: str) -> None:
    """:raises InputError: if the model was trained on other observations or actions."""
    env = gym.make(env_id)
    try:
        check_for_correct_spaces(_as_trained_on(env), model.observation_space, model.action_space)
    except ValueError as error:
        raise InputError(f"this model was not trained on {env_id}: {error}") from error
    finally:
        env.close()


def _as_trained_on(env: gym.Env) -> gym.Env | VecTransposeImage:
    """SB3's models know images with the channels first, whatever the environment gives."""
    space = env.observation_space
    parts = space.spaces.values() if isinstance(space, gym.spaces.Dict) else [space]
    images = [p for p in parts if isinstance(p, gym.spaces.Box) and is_image_space(p)]
    if any(not is_image_space_channels_first(image) for image in images):
        return VecTransposeImage(DummyVecEnv([lambda: env]))
    return env


def check_imitable(env_id: str) -> None:
    """:raises InputError: if GAIL cannot handle the environment's spaces, or no file can."""
    env = gym.make(env_id)
    try:
        if isinstance(env.observation_space, gym.spaces.Dict):
            raise ValueError(
                "its observations are dictionaries, which no demonstration file holds; imitate it "
                "in Python with MultiInputPolicy and trajectories of record_demonstrations"
            )
        check_supported_spaces(env.observation_space, env.action_space)
    except ValueError as error:
        raise InputError(f"{env_id}: {error}") from error
    finally:
        env.close()


def check_new(path: Path, force: bool) -> None:
    """:raises InputError: before any work, if demonstrations could not be written to `path`."""
    check_folder(path.parent)
    if path.exists() and not force:
        raise InputError(f"{path} is there already; give another name, or --force to replace it")
    card = card_path(path)  # hopper.npz and the folder hopper would share theirs
    if card.exists() and not path.exists():
        raise InputError(f"{card} is there already, another file's; give another name")


def check_folder(path: Path) -> None:
    """:raises InputError: before any work, if results could not be written into `path`."""
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not existing.is_dir():
        raise InputError(f"{existing} is not a folder; give another --out")
    if not os.access(existing, os.W_OK):
        raise InputError(f"no permission to write into {existing}; give another --out")


def positive(value: int, name: str) -> None:
    if value < 1:
        raise InputError(f"{name} is {value}; give a positive number")


def load_model(path: Path) -> BasePolicy:
    """What predicts in a zip that any of this package's algorithms or of SB3's has saved.

    :raises InputError: if the file is missing or holds no policy.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a model.zip or policy.zip")
    try:
        return load_policy(path)
    except ValueError as error:
        raise InputError(str(error)) from error


def one_line(message: object) -> str:
    """A message as one printable line: names out of a stranger's file may steer a terminal."""
    words = " ".join(str(message).split())
    return "".join(c if c.isprintable() else "?" for c in words)


def warn_in_one_line() -> None:
    """Warnings as the command line's other messages, without Python's source line."""

    def in_one_line(message: Warning | str, *_: object, **__: object) -> str:
        return f"sb3-gail: warning: {' '.join(str(message).split())}\n"

    warnings.formatwarning = in_one_line


def one_thread() -> None:
    """Small networks run fastest on one thread, and two runs side by side do not fight."""
    th.set_num_threads(1)


def command_line(argv: list[str]) -> str:
    return shlex.join(["sb3-gail", *argv])
