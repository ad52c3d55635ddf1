"""`sb3-gail bench learning` and `throughput`: train, against `imitation` and plain SB3."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sb3_gail_ext.bench.methods import METHODS as ALL_METHODS
from sb3_gail_ext.cli import common

if TYPE_CHECKING:
    from sb3_gail_ext.bench.task import Cell

_EPILOG = """examples:
  sb3-gail bench learning --env Hopper-v4 --demos hopper.npz --limit 4 --steps 300000
  sb3-gail bench learning --env Hopper-v4 --demos hopper.npz --methods gail \\
      --variant no-warm-start warm_start_updates=0 critic_warm_up_rollouts=0
  sb3-gail bench throughput --env Hopper-v4 --demos hopper.npz --transitions 4000 1500000

Every measurement runs in a process of its own on one thread, the methods of one seed one after
the other. writes into --out: bench.md (tables), bench.json (everything), learning.png and
cells/*.json; a benchmark that was stopped goes on where it was
"""

_Row = tuple[str, str, dict[str, Any]]
_WARM_UP = 4_096  # steps before the clock of `throughput` starts
_IMITATORS = ("gail", "dac", "imitation")  # of demonstrations as many as wished
# Those of DAC's defaults that plain SAC has as well.
SAC_SETTINGS = {"batch_size": 128, "train_freq": 4, "gradient_steps": 1, "learning_starts": 100}
# dagger has to be given an expert's model, which this command has no option for.
METHODS = tuple(name for name in ALL_METHODS if name != "dagger")


_KINDS = {
    "learning": "steps and seconds to 50, 90 and 95 %% of the expert, and the worst evaluation "
    "afterwards",
    "throughput": "environment steps per second, and where time goes",
}


def add_parsers(kinds: argparse._SubParsersAction) -> None:
    for kind, what in _KINDS.items():
        parser = kinds.add_parser(
            kind,
            help=what,
            description=f"Measure {what}.",
            epilog=_EPILOG,
            formatter_class=common.HelpFormatter,
        )
        _add_arguments(parser)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    common.add_env(parser)
    parser.add_argument("--demos", required=True, type=Path, help="file of demonstrations")
    parser.add_argument("--limit", type=int, help="use this many episodes, drawn with the seed")
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="METHOD")
    parser.add_argument(
        "--variant",
        nargs="+",
        action="append",
        default=[],
        metavar=("LABEL", "KEY=VALUE"),
        help="gail once more with other settings; may be given several times",
    )
    parser.add_argument("--preset", help="of gail: as in sb3-gail train")
    parser.add_argument("--seeds", type=int, default=5, help="runs per method")
    parser.add_argument("--first-seed", type=int, default=0, help="seeds from this one on")
    parser.add_argument("--steps", type=int, help="environment steps; default 300000 or 20480")
    parser.add_argument("--every", type=int, default=10_000, help="steps between evaluations")
    parser.add_argument("--eval-episodes", type=int, default=10, help="of each evaluation")
    parser.add_argument(
        "--transitions", type=int, nargs="+", help="repeat the demonstrations up to so many"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--out", type=Path, help="folder; default runs/bench_KIND_ENV")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.bench.process import BenchError
    from sb3_gail_ext.bench.suite import run_suite, write_report
    from sb3_gail_ext.presets.errors import PresetError

    _check(arguments)
    folder = arguments.out or Path("runs") / f"bench_{arguments.kind}_{arguments.env}"
    common.check_folder(folder)
    try:
        cells = build_cells(arguments)
        title = f"sb3-gail bench {arguments.kind}: {arguments.env}"
        results = run_suite(cells, folder, jobs=arguments.jobs)
        print(write_report(results, folder, title, common.command_line(sys.argv[1:])))
    except (PresetError, BenchError) as error:
        raise common.InputError(str(error)) from error
    print(f"results are in {folder}")


def _check(arguments: argparse.Namespace) -> None:
    """:raises InputError: before any work, for what cannot be measured or would be ignored."""
    for name in ("seeds", "every", "eval_episodes", "jobs", "steps"):
        value = getattr(arguments, name)
        if value is not None:
            common.positive(value, f"--{name.replace('_', '-')}")
    if arguments.first_seed < 0:
        raise common.InputError(f"--first-seed is {arguments.first_seed}; give 0 or more")
    for n_transitions in arguments.transitions or ():
        common.positive(n_transitions, "--transitions")
    if arguments.kind == "learning" and arguments.transitions:
        raise common.InputError("--transitions is of throughput; use --limit with learning")
    if arguments.kind == "throughput":
        for name in {"bc", "imitation_bc"} & set(arguments.methods or ()):
            raise common.InputError(f"{name} takes no environment steps; leave it out")
    labels = [*METHODS, *(label for label, *_ in arguments.variant)]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise common.InputError(f"--variant {twice}: that label is taken; give another")
    common.check_env_id(arguments.env)


def build_cells(arguments: argparse.Namespace) -> list[Cell]:
    """Every method, variant and number of transitions, seed by seed.

    :raises DemonstrationError: if the demonstrations cannot be used.
    :raises PresetError: if a setting is unknown.
    """
    from sb3_gail_ext.bench.task import Cell, Task

    tasks = [
        Task(arguments.env, str(arguments.demos), arguments.limit, n_transitions)
        for n_transitions in arguments.transitions or [None]
    ]
    learning = arguments.kind == "learning"
    # What cannot be used fails here, not in every cell.
    tasks[0].load(seed=0)
    if learning:
        tasks[0].expert_mean(arguments.eval_episodes)
    fingerprint = tasks[0].fingerprint()
    rows = [*_methods(arguments), *_variants(arguments)]
    return [
        Cell(
            kind=arguments.kind,
            method=method,
            label=label,
            task=task,
            seed=seed,
            total_timesteps=arguments.steps or (300_000 if learning else 20_480),
            settings=settings,
            measure=_measure(arguments) if learning else {"warm_up": _WARM_UP},
            fingerprint=fingerprint,
        )
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        for task in tasks
        for label, method, settings in rows
        if task is tasks[0] or method in _IMITATORS  # the others read no demonstrations
    ]


def _measure(arguments: argparse.Namespace) -> dict[str, int]:
    return {"every": arguments.every, "n_episodes": arguments.eval_episodes}


def _methods(arguments: argparse.Namespace) -> list[_Row]:
    """Label, method and settings of the methods asked for."""
    usual = {
        "learning": ("gail", "imitation", "bc", "imitation_bc"),
        "throughput": ("ppo", "gail", "imitation"),
    }
    chosen = arguments.methods or usual[arguments.kind]
    settings = {"gail": _ours(arguments), **_off_policy(arguments)}
    return [(name, name, settings.get(name, {})) for name in chosen]


def _variants(arguments: argparse.Namespace) -> list[_Row]:
    """gail under other labels with other settings."""
    from sb3_gail_ext.presets.loading import read_settings

    return [
        (label, "gail", {**_ours(arguments), **read_settings(pairs, "--variant")})
        for label, *pairs in arguments.variant
    ]


def _ours(arguments: argparse.Namespace) -> dict[str, Any]:
    """gail's settings."""
    from sb3_gail_ext.bench.peers import PPO_SETTINGS

    if arguments.kind == "learning":
        return _preset_settings(arguments)
    # The same PPO on both sides; next to no warm start, which takes no environment steps (but the
    # rehearsals that it brings along), and no rollouts for the critic alone.
    return {**PPO_SETTINGS, "warm_start_updates": 1, "critic_warm_up_rollouts": 0}


def _off_policy(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The settings of dac and sac: their defaults; for throughput, dac's on both sides."""
    if arguments.kind == "learning":
        return {}
    # As gail's, without a start of its own.
    start = {"warm_start_updates": 1, "critic_warm_up_updates": 0}
    return {"dac": {**SAC_SETTINGS, **start}, "sac": SAC_SETTINGS}


def _preset_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    from sb3_gail_ext.presets.loading import load_preset
    from sb3_gail_ext.presets.preset import as_settings

    settings = as_settings(load_preset(arguments.preset, arguments.env))
    del settings["n_timesteps"]  # --steps
    return settings
