"""`sb3-gail demos`: record, read, check, convert, draw; one module per action."""

from __future__ import annotations

import argparse

from sb3_gail_ext.cli.demos import check, convert, info, plot, record

ACTIONS = (record, info, check, convert, plot)


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "demos", help="record, look into, check, convert and draw demonstration files"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for module in ACTIONS:
        module.add_parser(actions)
