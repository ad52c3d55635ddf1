"""`sb3-gail bench data`: how fast demonstrations are loaded and drawn, and in how much memory."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sb3_gail_ext.cli import common

_EPILOG = """examples:
  sb3-gail bench data
  sb3-gail bench data --episodes 100 --transitions 4000 100000 --imitation-repeats 3

Files of random numbers are written, loaded and deleted. Every loading is a process of its own on
one thread. writes into --out: bench.md (tables), bench.json (everything)
"""
_BATCH_SIZE = 1024  # as in bench.data.batches, which takes seconds to import


def add_parsers(kinds: argparse._SubParsersAction) -> None:
    parser = kinds.add_parser(
        "data",
        help="seconds and memory of loading demonstrations, batches drawn per second",
        description="Load a large file of demonstrations, and draw batches of 1,024 from few and "
        "from many transitions, with this package and with imitation's own loader.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    parser.add_argument("--episodes", type=int, default=1500, help="in the file")
    parser.add_argument("--steps", type=int, default=1000, help="of each episode")
    parser.add_argument(
        "--transitions",
        type=int,
        nargs="+",
        default=[4_000, 1_500_000],
        help="draw batches from so many",
    )
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement")
    parser.add_argument(
        "--imitation-repeats", type=int, default=1, help="of loading with imitation: minutes each"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/bench_data"), help="folder")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    _check(arguments)
    common.check_folder(arguments.out)
    from sb3_gail_ext.bench.data.report import write_report
    from sb3_gail_ext.bench.data.suite import run_data_suite
    from sb3_gail_ext.bench.process import BenchError

    try:
        results = run_data_suite(
            arguments.out,
            n_episodes=arguments.episodes,
            n_steps=arguments.steps,
            n_transitions=arguments.transitions,
            repeats=arguments.repeats,
            imitation_repeats=arguments.imitation_repeats,
        )
    except BenchError as error:
        raise common.InputError(str(error)) from error
    print(write_report(results, arguments.out, common.command_line(sys.argv[1:])))
    print(f"results are in {arguments.out}")


def _check(arguments: argparse.Namespace) -> None:
    """:raises InputError: before any work, for what cannot be measured."""
    for name in ("episodes", "repeats", "imitation_repeats"):
        common.positive(getattr(arguments, name), f"--{name.replace('_', '-')}")
    if arguments.steps < 2:
        raise common.InputError(
            f"--steps is {arguments.steps}; give 2 or more, for the layout loses the last one"
        )
    for n_transitions in arguments.transitions:
        if n_transitions < _BATCH_SIZE:
            raise common.InputError(
                f"--transitions is {n_transitions}; a batch needs {_BATCH_SIZE} or more"
            )
