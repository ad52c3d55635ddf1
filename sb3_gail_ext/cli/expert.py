"""`sb3-gail expert`: train an expert on the true reward and record its demonstrations."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sb3_gail_ext.cli import common

if TYPE_CHECKING:
    from sb3_gail_ext.tracking.tracker import WandbTracker

_EPILOG = """examples:
  sb3-gail expert --env HopperMuJoCoEnv-v0 --algo trpo --steps 1000000
  sb3-gail expert --env Hopper-v4 --algo trpo --steps 700000 --out expert_data/Hopper-v4
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "expert",
        help="train an expert and record demonstrations",
        description="Train an expert with the true reward, keep its best checkpoint, and write "
        "demonstrations of full episodes with a data card.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    common.add_env(parser)
    parser.add_argument(
        "--algo", default="trpo", choices=("trpo", "tqc", "sac", "ppo"), help="SB3 algorithm"
    )
    parser.add_argument("--steps", type=int, default=1_000_000, help="environment steps")
    parser.add_argument("--episodes", type=int, default=25, help="full episodes to record")
    parser.add_argument("--out", type=Path, help="folder; default expert_data/<env id>")
    common.add_seed(parser)
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    common.add_wandb(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.experts.making import make_expert
    from sb3_gail_ext.experts.training import ExpertError

    common.check_env_id(arguments.env)
    for name in ("steps", "episodes"):
        common.positive(getattr(arguments, name), f"--{name}")
    folder = arguments.out or Path("expert_data") / arguments.env
    common.check_folder(folder)
    project = common.wandb_project(arguments)
    common.one_thread()
    name = f"{arguments.env}_{arguments.algo}_{arguments.seed}"
    checkpoints = Path("runs/experts") / name
    try:
        with _tracked(project, checkpoints) as tracker:
            path = make_expert(
                arguments.env,
                arguments.algo,
                arguments.steps,
                seed=arguments.seed,
                n_episodes=arguments.episodes,
                folder=folder,
                checkpoints_folder=checkpoints,
                progress_bar=not arguments.no_progress,
                command=common.command_line(sys.argv[1:]),
                callback=tracker,
            )
            if tracker is not None:
                _log_result(tracker, path, checkpoints)
    except ExpertError as error:
        raise common.InputError(str(error)) from error
    print(f"wrote {path} and its data card")


@contextmanager
def _tracked(project: str | None, folder: Path) -> Iterator[WandbTracker | None]:
    """A W&B run, where one is asked for; `learn` opens it."""
    if project is None:
        yield None
        return
    from sb3_gail_ext.tracking.tracker import WandbTracker

    with WandbTracker(project, folder=folder, job_type="expert") as tracker:
        yield tracker


def _log_result(tracker: WandbTracker, demonstrations: Path, checkpoints: Path) -> None:
    """The chosen checkpoint, how it does, and what it demonstrates."""
    from sb3_gail_ext.demonstrations.cards import read_card

    card = read_card(demonstrations)
    assert card is not None  # `make_expert` has written it
    steps, evaluation = card["checkpoint_steps"], card["evaluation"]
    files = {
        "model.zip": checkpoints / f"expert_{steps}_steps.zip",
        "vecnormalize.pkl": checkpoints / f"expert_vecnormalize_{steps}_steps.pkl",
    }
    existing = {name: path for name, path in files.items() if path.is_file()}
    tracker.log_model(existing, ["best"], {"checkpoint_steps": steps})
    tracker.log_evaluation(np.array(evaluation["returns"]), first_seed=evaluation["first_seed"])
    tracker.log_dataset(demonstrations)
    print(tracker.where())
