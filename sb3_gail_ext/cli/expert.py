"""`sb3-gail expert`: train an expert on the true reward and record its demonstrations."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sb3_gail_ext.cli import common

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
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.experts.making import make_expert
    from sb3_gail_ext.experts.training import ExpertError

    common.check_env_id(arguments.env)
    for name in ("steps", "episodes"):
        common.positive(getattr(arguments, name), f"--{name}")
    folder = arguments.out or Path("expert_data") / arguments.env
    common.check_folder(folder)
    common.one_thread()
    name = f"{arguments.env}_{arguments.algo}_{arguments.seed}"
    try:
        path = make_expert(
            arguments.env,
            arguments.algo,
            arguments.steps,
            seed=arguments.seed,
            n_episodes=arguments.episodes,
            folder=folder,
            checkpoints_folder=Path("runs/experts") / name,
            progress_bar=not arguments.no_progress,
            command=common.command_line(sys.argv[1:]),
        )
    except ExpertError as error:
        raise common.InputError(str(error)) from error
    print(f"wrote {path} and its data card")
