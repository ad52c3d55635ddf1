"""The entry point of `sb3-gail`: parse, run one command, end in one line on bad input."""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections.abc import Sequence
from typing import NoReturn

from sb3_gail_ext.cli import bench, compare, demos, doctor, evaluate, expert, train, watch

COMMANDS = (train, compare, evaluate, watch, expert, demos, bench, doctor)


_SIGPIPE = 141  # what a shell says of a program that `| head` has ended


class Parser(argparse.ArgumentParser):
    """Ends in one line, as every other bad input does."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"sb3-gail: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="sb3-gail",
        description="Imitate expert demonstrations with Stable-Baselines3.",
        epilog="Each command explains itself: sb3-gail train --help",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status 0, or the command's own; or with one line on stderr: 2 on bad
    input, 1 if training failed, 130 if it was stopped.
    """
    arguments = build_parser().parse_args(argv)
    from sb3_gail_ext.cli import common
    from sb3_gail_ext.training.stopping import TrainingStopped

    try:
        status: int = arguments.run(arguments) or 0
        sys.stdout.flush()
        return status
    except common.INPUT_ERRORS as error:
        message = common.one_line(error)
        print(f"sb3-gail: {message}", file=sys.stderr)
        return 2
    except TrainingStopped as error:
        print(f"sb3-gail: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a full disk, a file in the place of a folder
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return _SIGPIPE
        print(f"sb3-gail: {error.filename or 'file system'}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("sb3-gail: stopped", file=sys.stderr)
        return 130


def _nobody_reads() -> bool:
    """Has the reader of our output, such as `head`, gone? Then there is nothing to complain of."""
    if not hasattr(select, "poll"):  # Windows
        return False
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    gone = any(event & select.POLLERR for _, event in poll.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else it fails at exit, too
    return gone


if __name__ == "__main__":
    sys.exit(main())
