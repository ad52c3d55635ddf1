"""`sb3-gail watch`: see a policy, in a window or as a film."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from sb3_gail_ext.cli import common

_EPILOG = """examples:
  sb3-gail watch runs/demo/model.zip --env HopperMuJoCoEnv-v0
  sb3-gail watch runs/demo/model.zip --env HopperMuJoCoEnv-v0 --film hop.mp4 --steps 1000
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "watch",
        help="watch a trained policy",
        description="Show one episode in a window, or film it.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    parser.add_argument("model", type=Path, help="model.zip or policy.zip")
    common.add_env(parser)
    parser.add_argument("--film", type=Path, metavar="MP4", help="write a film, open no window")
    parser.add_argument("--steps", type=int, default=1000, help="at most this many")
    common.add_seed(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.evaluation.video import film_episode, show_episode

    common.positive(arguments.steps, "--steps")
    common.check_env_id(arguments.env)
    model = common.load_model(arguments.model)
    common.check_same_spaces(model, arguments.env)

    def act(obs: np.ndarray, _: int) -> np.ndarray:
        return model.predict(obs, deterministic=True)[0]

    settings = {"seed": arguments.seed, "max_steps": arguments.steps}
    try:
        if arguments.film is not None:
            total = film_episode(arguments.env, act, arguments.film, **settings)
            print(f"filmed {arguments.film}, return {total:.1f}")
        elif not os.environ.get("DISPLAY"):
            raise common.InputError("there is no display for a window; add --film watch.mp4")
        else:
            print(f"return {show_episode(arguments.env, act, **settings):.1f}")
    except RuntimeError as error:
        raise common.InputError(str(error)) from error
