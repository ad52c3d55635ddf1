"""`sb3-gail doctor`: is anything missing or broken on this machine, and what helps?"""

from __future__ import annotations

import argparse

from sb3_gail_doctor import command
from sb3_gail_ext.cli import common

_EPILOG = """examples:
  sb3-gail doctor
  sb3-gail doctor --json > doctor.json     # for a report of a bug
  sb3-gail doctor | grep -v ' ok '         # only what is not in order

verdicts: ok; note (all is well, but one may want to know); missing; broken. Exit status 1 if
something is missing or broken that training needs, else 0: an extra that is missing is no fault
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "doctor",
        help="say what is missing or broken, and what helps",
        description="Try out what training, filming and tracking need: which stack is installed "
        "and whether its versions go together, PyTorch, PyBullet, MuJoCo, frames without a "
        "display, W&B, write access, extras. Takes some seconds and asks no network.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    return command.run(as_json=arguments.json)
