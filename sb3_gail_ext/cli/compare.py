"""`sb3-gail compare`: is it better than behaviour cloning, by how much, and can one believe it?"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from sb3_gail_ext.cli import common
from sb3_gail_ext.comparison.engines import ENGINES
from sb3_gail_ext.comparison.study import COMPARABLE
from sb3_gail_ext.presets.errors import PresetError
from sb3_gail_ext.presets.yaml_text import read_yaml

_EPILOG = """examples:
  sb3-gail compare --preset quick
  sb3-gail compare --env Hopper-v4 --demos hopper.npz
  sb3-gail compare --env Hopper-v4 --demos hopper.npz --methods bc gail dac --n-demos 1 4 --seeds 10
  sb3-gail compare --env Hopper-v4 Walker2d-v4 --demos hopper.npz walker.npz --out runs/both
  sb3-gail compare --env Hopper-v4 --demos hopper.npz --methods bc dagger --expert-models expert.zip
  sb3-gail compare --env Hopper-v4 --demos hopper.npz --engine ray --jobs 16 --address auto

Every run is a process of its own on one thread. A comparison that was stopped goes on where it was;
with more seeds, methods or demonstrations than before only what is new is run.
writes into --out: report.html (all of it, opens without a network), report.md, summary.json and,
of each run, cells/*/result.json, metrics.csv and model.zip

A difference is claimed where intervals have nothing in common, of five seeds or more.

methods: bc, dagger (asks an expert's model), gail, airl, dac, sqil, chapter_printed and
chapter_corrected (the book chapter's GAIL), imitation and imitation_bc (that package's own)
"""

_SHIPPED = {
    "HopperMuJoCoEnv-v0": Path("expert_data/HopperMuJoCoEnv-v0/deterministic.trpo.Hopper.0.00.npz"),
    "Hopper-v4": Path("expert_data/Hopper-v4/deterministic.trpo.Hopper.0.00.npz"),
}
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {  # a quarter of an hour on two cores
        "env": ["HopperMuJoCoEnv-v0"],
        "n_demos": [1, 4],
        "steps": 150_000,
        "every": 30_000,
        "eval_episodes": 20,
    },
    "full": {"env": ["HopperMuJoCoEnv-v0", "Hopper-v4"]},
}
_DEFAULTS = {
    "methods": ["bc", "gail"],
    "n_demos": [1, 4, 11, 25],
    "seeds": 5,
    "steps": None,
    "every": 20_000,
    "eval_episodes": 50,
}


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "compare",
        help="compare methods over demonstrations and seeds, with intervals, in one report",
        description="Train several methods on the same demonstrations and report who is better.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        help="quick: bc and gail on the shipped PyBullet Hopper, 15 minutes; full: both shipped "
        "Hoppers, 1 to 25 demonstrations, 5 seeds; other options replace the preset's",
    )
    parser.add_argument("--env", nargs="+", metavar="ID", help="Gymnasium ids")
    parser.add_argument(
        "--demos", nargs="+", type=Path, metavar="FILE", help="a file for each --env, in its order"
    )
    parser.add_argument(
        "--methods", nargs="+", choices=COMPARABLE, metavar="METHOD", help="default bc gail"
    )
    parser.add_argument("--baseline", choices=COMPARABLE, metavar="METHOD", help="default bc")
    parser.add_argument(
        "--n-demos", nargs="+", type=int, metavar="N", help="episodes; default 1 4 11 25"
    )
    parser.add_argument(
        "--subsample",
        type=int,
        default=20,
        help="keep every n-th transition; default 20, as in the GAIL paper",
    )
    parser.add_argument("--seeds", type=int, help="runs of each method; default 5")
    parser.add_argument("--first-seed", type=int, default=0, help="seeds from this one on")
    parser.add_argument("--steps", type=int, help="environment steps; default each method's own")
    parser.add_argument("--every", type=int, help="steps between evaluations; default 20000")
    parser.add_argument("--eval-episodes", type=int, help="of the final evaluation; default 50")
    parser.add_argument(
        "--expert-models",
        nargs="+",
        type=Path,
        metavar="ZIP",
        help="for dagger, one for each --env",
    )
    parser.add_argument(
        "--engine", choices=tuple(ENGINES), default="local", help="where runs are run"
    )
    parser.add_argument("--jobs", type=int, default=2, help="runs at once; default 2")
    parser.add_argument("--address", help="of a Ray cluster; default one on this machine")
    parser.add_argument(
        "--slurm",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="e.g. partition=cpu timeout_min=60",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/compare"), help="folder")
    parser.add_argument("--no-films", action="store_true", help="do not film")
    common.add_wandb(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.comparison.compare import compare
    from sb3_gail_ext.comparison.engines import EngineError
    from sb3_gail_ext.folder_lock import FolderInUseError

    _complete(arguments)
    _check(arguments)
    project = common.wandb_project(arguments)
    experts = dict(zip(arguments.env, arguments.expert_models or (), strict=False))  # all or none
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    try:
        summary = compare(
            arguments.methods,
            dict(zip(arguments.env, arguments.demos, strict=True)),
            arguments.out,
            baseline=arguments.baseline,
            engine=arguments.engine,
            jobs=arguments.jobs,
            engine_options=_engine_options(arguments),
            films=not arguments.no_films,
            wandb_project=project,
            command=common.command_line(sys.argv[1:]),
            n_demonstrations=arguments.n_demos,
            seeds=seeds,
            subsample=arguments.subsample,
            steps=arguments.steps,
            every=arguments.every,
            n_final_episodes=arguments.eval_episodes,
            experts=experts,
        )
    except (EngineError, FolderInUseError, PresetError, ValueError) as error:
        raise common.InputError(str(error)) from error
    print(summary["verdict"])


def _complete(arguments: argparse.Namespace) -> None:
    """What was not given is the preset's, or else the default."""
    preset = PRESETS.get(arguments.preset or "", {})
    for name, value in {**_DEFAULTS, **preset}.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    if not arguments.env:
        raise common.InputError("nothing to compare in: give --env and --demos, or --preset quick")
    if arguments.demos is None and set(arguments.env) <= set(_SHIPPED) and arguments.preset:
        arguments.demos = [_SHIPPED[env_id] for env_id in arguments.env]


def _check(arguments: argparse.Namespace) -> None:
    """:raises InputError: before any work."""
    for name in ("seeds", "jobs", "steps", "every", "eval_episodes", "subsample"):
        value = getattr(arguments, name)
        if value is not None:
            common.positive(value, f"--{name.replace('_', '-')}")
    if len(arguments.demos or ()) != len(arguments.env):
        raise common.InputError(
            f"{len(arguments.env)} environment(s) and {len(arguments.demos or ())} file(s) of "
            "demonstrations; give --demos one for each --env, in its order"
        )
    if len(set(arguments.env)) < len(arguments.env):
        raise common.InputError("--env names an environment twice; give each once")
    for env_id in arguments.env:
        common.check_env_id(env_id)
        common.check_imitable(env_id)
    _check_experts(arguments)
    for engine, given in (("ray", arguments.address), ("slurm", arguments.slurm)):
        if given and arguments.engine != engine:
            option = {"ray": "--address", "slurm": "--slurm"}[engine]
            raise common.InputError(f"{option} is for --engine {engine}; add it, or leave both out")
    common.check_folder(arguments.out)


def _check_experts(arguments: argparse.Namespace) -> None:
    models = arguments.expert_models or ()
    if models and "dagger" not in arguments.methods:
        raise common.InputError("--expert-models are for dagger; add it to --methods")
    if models and len(models) != len(arguments.env):
        raise common.InputError(
            f"{len(arguments.env)} environment(s) and {len(models)} expert model(s); give "
            "--expert-models one for each --env, in its order"
        )
    for env_id, path in zip(arguments.env, models, strict=False):
        common.check_same_spaces(common.load_model(path), env_id)


def _engine_options(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.engine == "ray" and arguments.address:
        return {"address": arguments.address}
    options = {}
    for pair in arguments.slurm:
        key, equals, value = pair.partition("=")
        if not equals:
            raise common.InputError(f"--slurm {pair}: no value; give KEY=VALUE, like partition=cpu")
        options[key] = read_yaml(value, f"--slurm {pair}")
    return options
