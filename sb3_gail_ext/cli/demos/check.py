"""`sb3-gail demos check`: can these demonstrations be imitated in this environment?"""

from __future__ import annotations

import argparse
from pathlib import Path

from sb3_gail_ext.cli import common

_EPILOG = """examples:
  sb3-gail demos check my_expert.npz --env HopperMuJoCoEnv-v0
  sb3-gail demos check my_expert.npz --env Hopper-v4 --episodes 25 --plot divergence.png

The last line says whether the demonstrations belong to the environment: put into their states, does
it go where they went? The exit status is 1 if they do not, or cannot be used, else 0.
"""
_PICTURES = (".png", ".svg", ".pdf")


def add_parser(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser(
        "check",
        help="do they belong to an environment? replays them there",
        description="Look for what is wrong with demonstrations, and replay them in an "
        "environment.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    parser.add_argument("file", type=Path)
    common.add_env(parser)
    parser.add_argument("--episodes", type=int, default=5, help="how many to replay")
    parser.add_argument("--plot", type=Path, help="draw how the states part, e.g. x.png")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from sb3_gail_ext.demonstrations.checking.check import check_demonstrations
    from sb3_gail_ext.demonstrations.checking.plot import plot_divergence

    common.positive(arguments.episodes, "--episodes")
    plot = arguments.plot
    if plot is not None and plot.suffix not in _PICTURES:
        raise common.InputError(
            f"--plot is {plot}; give a name that ends in {', '.join(_PICTURES)}"
        )
    if plot is not None:
        common.check_folder(plot.parent)
    common.check_env_id(arguments.env)
    common.check_imitable(arguments.env)
    report = check_demonstrations(arguments.file, arguments.env, n_episodes=arguments.episodes)
    print(report)
    if plot is not None and report.dynamics is not None:
        plot_divergence(report.dynamics, arguments.env, plot)
        print(f"wrote {plot}")
    elif plot is not None:
        print(f"no {plot}: nothing could be replayed")
    return 0 if report.ok else 1
