"""`sb3-gail demos info`: what is in a file of demonstrations."""

from __future__ import annotations

import argparse
from pathlib import Path

from sb3_gail_ext.cli import common

_EPILOG = """examples:
  sb3-gail demos info my_expert.npz
  sb3-gail demos info my_expert.npz --env HopperMuJoCoEnv-v0
"""


def add_parser(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser(
        "info",
        help="episodes, lengths, returns, shapes",
        description="Read a file of demonstrations, check it, and say what is in it.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--env", metavar="ID", help="also check that it fits this environment")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    import gymnasium as gym
    import numpy as np

    from sb3_gail_ext.demonstrations.cards import read_card, sha256
    from sb3_gail_ext.demonstrations.checks import check_fits_spaces
    from sb3_gail_ext.demonstrations.files import load_demonstrations
    from sb3_gail_ext.demonstrations.recording import returns
    from sb3_gail_ext.demonstrations.sampling import array_obs, flatten

    episodes = load_demonstrations(arguments.file)
    first = array_obs(episodes[0].obs)
    r, lengths = returns(episodes), np.array([len(e) for e in episodes])
    card = read_card(arguments.file) or {}
    rows: dict[str, object] = {
        "file": arguments.file,
        "sha256": sha256(arguments.file),
        "recorded in": card.get("environment", "unknown (no data card)"),
        "expert": card.get("algorithm", "unknown (no data card)"),
        "episodes": len(episodes),
        "transitions": int(lengths.sum()),
        "length": f"mean {lengths.mean():.1f}, from {lengths.min()} to {lengths.max()}",
        "return": f"mean {r.mean():.1f}, from {r.min():.1f} to {r.max():.1f}",
        "observation": f"{first.shape[1:]} {first.dtype}",
        "action": f"{episodes[0].acts.shape[1:]} {episodes[0].acts.dtype}",
    }
    if arguments.env is not None:
        common.check_env_id(arguments.env)
        env = gym.make(arguments.env)
        check_fits_spaces(
            flatten(episodes), env.observation_space, env.action_space, str(arguments.file)
        )
        rows["fits"] = arguments.env
    for name, value in rows.items():
        print(f"{name:<12} {value}")
