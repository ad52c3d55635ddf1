"""`sb3-gail demos`: look into demonstration files, one module per action."""

from __future__ import annotations

import argparse

from sb3_gail_ext.cli.demos import check, info

ACTIONS = (info, check)


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("demos", help="look into demonstration files")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for module in ACTIONS:
        module.add_parser(actions)
