"""`sb3-gail demos record`: a trained model's episodes as a demonstration file with its card."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from sb3_gail_ext.cli import common
from sb3_gail_ext.demonstrations.files import FORMATS, save_demonstrations
from sb3_gail_ext.demonstrations.recording import Recorded, record_with_seeds

_FIRST_SEED = 1_000  # as of `sb3-gail expert`: evaluations start from 0
_MAX_ENVS = 20

_EPILOG = """examples:
  sb3-gail demos record ppo_hopper.zip --env Hopper-v4 --out hopper.npz
  sb3-gail demos record sac.zip --env Ant-v4 --out ant.npz --episodes 50 --min-return 4000
  sb3-gail demos record best_model.zip --env Hopper-v4 --vecnormalize vecnormalize.pkl \\
      --out hopper.npz
  sb3-gail demos record dqn.zip --env CartPole-v1 --out cartpole --format imitation

The model may be of any algorithm of Stable-Baselines3, sb3-contrib or this package. One of SBX is
recorded in Python: sb3_gail_ext.record_demonstrations(model, "Hopper-v4", 25).
MODEL.zip and --vecnormalize are unpickled by Stable-Baselines3, which can run code in them: give
files of your own, or of somebody you trust.
"""


def add_parser(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser(
        "record",
        help="record a trained model",
        description="Play episodes with a trained model and write what it saw and did, as the "
        "environment knows it (VecNormalize undone), with a data card beside the file.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    parser.add_argument("model", type=Path, metavar="MODEL.zip", help="what `model.save` wrote")
    common.add_env(parser)
    parser.add_argument("--out", type=Path, required=True, help="file (or folder) to write")
    parser.add_argument("--episodes", type=int, default=25, help="to keep")
    parser.add_argument(
        "--min-return",
        type=float,
        metavar="R",
        help="keep only episodes of at least this true return; plays up to 10 x --episodes",
    )
    parser.add_argument(
        "--vecnormalize",
        type=Path,
        metavar="STATS.pkl",
        help="what `VecNormalize.save` wrote, if the model was trained in one",
    )
    parser.add_argument("--stochastic", action="store_true", help="sample actions")
    common.add_seed(parser, _FIRST_SEED, "of the first start; the i-th is from seed + i")
    writable = [name for name, known in FORMATS.items() if known.write is not None]
    parser.add_argument("--format", choices=writable, default="chapter", help="of the file")
    parser.add_argument("--force", action="store_true", help="replace what is at --out")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.demonstrations.cards import write_card
    from sb3_gail_ext.demonstrations.summary import describe, returns_in_words

    common.positive(arguments.episodes, "--episodes")
    common.check_new(arguments.out, arguments.force)
    common.check_env_id(arguments.env)
    common.check_imitable(arguments.env)
    common.one_thread()
    model = common.load_model(arguments.model)
    common.check_same_spaces(model, arguments.env)
    with _environments(arguments) as venv:
        recorded = record_with_seeds(
            model,
            venv,
            arguments.episodes,
            deterministic=not arguments.stochastic,
            seed=arguments.seed,
            min_return=arguments.min_return,
            progress_bar=sys.stderr.isatty() and not arguments.no_progress,
        )
    facts = {"env_id": arguments.env, "seeds": recorded.seeds}
    save_demonstrations(arguments.out, recorded.episodes, format=arguments.format, metadata=facts)
    write_card(arguments.out, _card(arguments, model, recorded))
    said = describe(recorded.episodes)
    print(
        f"wrote {arguments.out} and its data card: {len(recorded.episodes)} episodes, "
        f"{sum(map(len, recorded.episodes)):,} steps, return {returns_in_words(said)}"
        f"{_thrown_away(arguments, recorded)}"
    )


@contextmanager
def _environments(arguments: argparse.Namespace) -> Iterator[VecEnv]:
    """What to play in, seen through the model's statistics, if they are given."""
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    venv = make_vec_env(arguments.env, n_envs=min(arguments.episodes, _MAX_ENVS))
    try:
        if arguments.vecnormalize is None:
            _mention_statistics(arguments.model)
            yield venv
            return
        try:
            normalize = VecNormalize.load(str(arguments.vecnormalize), venv)
        except Exception as error:  # an unpickled file may be anything
            raise common.InputError(
                f"{arguments.vecnormalize}: no VecNormalize of {arguments.env} ({error}); give "
                "what VecNormalize.save wrote"
            ) from error
        yield normalize
    finally:
        venv.close()


def _mention_statistics(model: Path) -> None:
    """A normalised model sees nonsense without them, and nothing in its zip says so."""
    steps = model.stem.removesuffix("_steps")  # CheckpointCallback's names
    prefix, _, number = steps.rpartition("_")
    names = ("vecnormalize.pkl", f"{prefix}_vecnormalize_{number}_steps.pkl")
    found = [path for path in (model.with_name(name) for name in names) if path.is_file()]
    if found:
        print(
            f"sb3-gail: {found[0]} is beside the model: if it was trained with it, add "
            f"--vecnormalize {found[0]}",
            file=sys.stderr,
        )


def _n_thrown_away(arguments: argparse.Namespace, recorded: Recorded) -> int:
    return recorded.seeds[-1] + 1 - arguments.seed - len(recorded.seeds)


def _thrown_away(arguments: argparse.Namespace, recorded: Recorded) -> str:
    n = _n_thrown_away(arguments, recorded)
    return f"; thrown away: {n} below {arguments.min_return:g}" if n else ""


def _card(arguments: argparse.Namespace, model: BasePolicy, recorded: Recorded) -> dict[str, Any]:
    from sb3_gail_ext.demonstrations.cards import sha256
    from sb3_gail_ext.demonstrations.summary import describe

    files = {"model": arguments.model, "vecnormalize": arguments.vecnormalize}
    least = arguments.min_return
    return {
        "environment": arguments.env,
        "policy": type(model).__name__,
        **{name: file.name for name, file in files.items() if file is not None},
        **{f"{name}_sha256": sha256(file) for name, file in files.items() if file is not None},
        "deterministic": not arguments.stochastic,
        "demonstrations": {
            "n_episodes": len(recorded.episodes),
            "kept": "all episodes" if least is None else f"those of a return of {least:g} or more",
            "min_return": least,
            "thrown_away": _n_thrown_away(arguments, recorded),
            "seeds": recorded.seeds,
            **describe(recorded.episodes),
        },
        "command": common.command_line(sys.argv[1:]),
    }
