"""`sb3-gail evaluate`: the true return of a trained policy on seeded starts."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sb3_gail_ext.cli import common

if TYPE_CHECKING:
    from sb3_gail_ext.demonstrations.cards import ExpertReturns

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
    common.add_wandb(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.demonstrations.cards import expert_returns
    from sb3_gail_ext.evaluation.evaluate import evaluate, summarize, verdict

    common.positive(arguments.episodes, "--episodes")
    project = common.wandb_project(arguments)
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
        summary = summarize(agent_returns, expert.mean, same_starts=expert.same_starts)
    if project is not None:
        _track(project, arguments, agent_returns, expert)
    if arguments.json:
        print(json.dumps(summary, indent=1))
        return
    print(
        f"return over {arguments.episodes} episodes: mean {summary['return_mean']:.1f}, median "
        f"{summary['return_median']:.1f}, standard deviation {summary['return_std']:.1f}"
    )
    if expert is not None:
        print(verdict(summary))


def _track(
    project: str,
    arguments: argparse.Namespace,
    returns: np.ndarray,
    expert: ExpertReturns | None,
) -> None:
    """The evaluation as a W&B run, in the folder and the group of the model's training."""
    from sb3_gail_ext.demonstrations.cards import sha256
    from sb3_gail_ext.tracking.tracked_run import TrackedRun

    folder: Path = arguments.model.parent
    trained = {**_read(folder / "config.json"), **_read(folder / "summary.json")}
    known = {
        "model": str(arguments.model),
        "model_sha256": sha256(arguments.model),
        "deterministic": not arguments.stochastic,
        "first_seed": arguments.seed,
    }
    if trained and arguments.demos is None:
        known["demonstrations"] = Path(trained["demonstrations"]).name
        known["demonstrations_sha256"] = trained["demonstrations_sha256"]
    against: dict[str, Any] = {}
    if expert is not None:
        against = {
            "expert_return": expert.mean,
            "same_starts": expert.same_starts,
        }
    with TrackedRun(
        project,
        folder=folder,
        job_type="eval",
        env=arguments.env,
        algo=trained.get("algorithm", "unknown"),
        seed=trained.get("seed"),
        n_demos=trained.get("n_demonstrations"),
        demonstrations=arguments.demos,
        config=known,
    ) as tracked:
        tracked.log_evaluation(returns, first_seed=arguments.seed, **against)
        print(tracked.where(), file=sys.stderr)


def _read(path: Path) -> dict[str, Any]:
    """What `sb3-gail train` wrote beside the model, if it did."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
