"""`sb3-gail evaluate`: the true return of a trained policy on seeded starts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sb3_gail_ext.cli import common

_EPILOG = """examples:
  sb3-gail evaluate runs/demo/model.zip --env HopperMuJoCoEnv-v0
  sb3-gail evaluate runs/demo/policy.zip --env HopperMuJoCoEnv-v0 --demos my_expert.npz --json
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a trained policy",
        description="Play seeded episodes and report the true return, against the expert's if "
        "its demonstrations are given.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    parser.add_argument("model", type=Path, help="model.zip or policy.zip")
    common.add_env(parser)
    parser.add_argument("--demos", type=Path, help="the expert's file, to compare with")
    parser.add_argument("--episodes", type=int, default=100, help="episode i starts from seed + i")
    common.add_seed(parser)
    parser.add_argument("--stochastic", action="store_true", help="sample actions")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.demonstrations.cards import expert_returns
    from sb3_gail_ext.evaluation.evaluate import evaluate, summarize, verdict

    common.positive(arguments.episodes, "--episodes")
    common.check_env_id(arguments.env)
    common.one_thread()
    model = common.load_model(arguments.model)
    common.check_same_spaces(model, arguments.env)
    expert = None
    if arguments.demos is not None:  # read first: a bad file need not wait for the episodes
        expert = expert_returns(
            arguments.demos, arguments.env, arguments.episodes, seed=arguments.seed
        )
    agent_returns = evaluate(
        model,
        arguments.env,
        arguments.episodes,
        deterministic=not arguments.stochastic,
        seed=arguments.seed,
    )
    summary = summarize(agent_returns)
    if expert is not None:
        summary = summarize(
            agent_returns, float(expert.returns.mean()), same_starts=expert.same_starts
        )
    if arguments.json:
        print(json.dumps(summary, indent=1))
        return
    print(
        f"return over {arguments.episodes} episodes: mean {summary['return_mean']:.1f}, median "
        f"{summary['return_median']:.1f}, standard deviation {summary['return_std']:.1f}"
    )
    if expert is not None:
        print(verdict(summary))
