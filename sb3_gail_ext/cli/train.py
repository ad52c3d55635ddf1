"""`sb3-gail train`: from a demonstration file to a policy that behaves like the expert."""

from __future__ import annotations

import argparse
from pathlib import Path

from sb3_gail_ext.cli import common

_EPILOG = """examples:
  sb3-gail train --env HopperMuJoCoEnv-v0 --demos my_expert.npz
  sb3-gail train --env Hopper-v4 --demos my_expert.npz --limit 4 --steps 400000 --seed 1

writes into --out: model.zip, policy.zip (opens with PPO.load), metrics.csv, curves.png,
videos/, config.json and summary.json
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "train",
        help="imitate demonstrations with GAIL",
        description="Train GAIL on a file of demonstrations, evaluate and film the result.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    common.add_env(parser)
    parser.add_argument("--demos", required=True, type=Path, help="file of demonstrations")
    parser.add_argument("--steps", type=int, default=600_000, help="environment steps")
    parser.add_argument("--limit", type=int, help="use this many episodes, drawn with --seed")
    parser.add_argument("--subsample", type=int, default=1, help="keep every n-th transition")
    parser.add_argument("--n-envs", type=int, default=8, help="environments side by side")
    parser.add_argument("--eval-episodes", type=int, default=100, help="episodes to evaluate")
    parser.add_argument("--out", type=Path, help="folder; default runs/gail_<env id>_<seed>")
    common.add_seed(parser)
    parser.add_argument("--no-videos", action="store_true", help="do not film")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.evaluation.evaluate import verdict
    from sb3_gail_ext.experiment import TrainingRun, run_training

    for name in ("steps", "n_envs", "eval_episodes"):
        common.positive(getattr(arguments, name), f"--{name.replace('_', '-')}")
    common.check_env_id(arguments.env)
    common.check_imitable(arguments.env)
    folder = arguments.out or Path("runs") / f"gail_{arguments.env}_{arguments.seed}"
    common.check_folder(folder)
    common.one_thread()
    summary = run_training(
        TrainingRun(
            env_id=arguments.env,
            demonstrations=arguments.demos,
            folder=folder,
            total_timesteps=arguments.steps,
            seed=arguments.seed,
            n_envs=arguments.n_envs,
            limit=arguments.limit,
            subsample=arguments.subsample,
            n_evaluation_episodes=arguments.eval_episodes,
            videos=not arguments.no_videos,
            progress_bar=not arguments.no_progress,
        )
    )
    print(f"results are in {folder}, training took {summary['seconds']:.0f} s")
    print(verdict(summary))
