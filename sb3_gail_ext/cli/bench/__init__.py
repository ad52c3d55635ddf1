"""`sb3-gail bench`: measure this package against `imitation` and plain SB3, in one run."""

from __future__ import annotations

import argparse

from sb3_gail_ext.cli.bench import data, training


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "bench", help="measure speed, time to expert and memory against imitation and SB3"
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for module in (training, data):
        module.add_parsers(kinds)
