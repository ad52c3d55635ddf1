"""The command line of `train`, as the zoo takes it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sb3_gail_ext.cli.common import InputError
from sb3_gail_ext.zoo.algorithms import ALGORITHMS


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def _parser() -> _Parser:
    """Of `--demos`, and of those arguments of the zoo that it has to do with."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--demos")
    parser.add_argument("--algo", default="ppo")  # the zoo's
    parser.add_argument("-conf", "--conf-file")
    parser.add_argument("-params", "--hyperparams", nargs="+", default=[])
    parser.add_argument("-optimize", "--optimize-hyperparameters", action="store_true")
    return parser


def training_arguments(argv: Sequence[str]) -> list[str]:
    """`argv` with `--demos` as a hyperparameter and our hyperparameters where it names none.

    For an algorithm of the zoo's own it stays as it is.

    :raises InputError: if there is nothing to learn from, or it is for an algorithm that does not.
    """
    ours, others = _parser().parse_known_args(argv)
    if ours.algo not in ALGORITHMS:
        if ours.demos is not None:
            raise InputError(
                f"--algo is {ours.algo}, which learns from no demonstrations; "
                f"give one of {', '.join(ALGORITHMS)}"
            )
        return list(argv)
    if ours.optimize_hyperparameters:
        raise InputError(f"-optimize: there is no search space for {ours.algo}; try -params")
    given = [*ours.hyperparams, *_as_hyperparameter(ours.demos)]
    if not ours.conf_file and not any(pair.startswith("demonstrations:") for pair in given):
        raise InputError(f"{ours.algo} learns from demonstrations; give --demos FILE.npz")
    conf = ours.conf_file or f"sb3_gail_ext.zoo.hyperparams.{ours.algo}"
    params = ["-params", *given] if given else []
    return [*others, "--algo", ours.algo, "-conf", conf, *params]


def _as_hyperparameter(demos: str | None) -> list[str]:
    if demos is None:
        return []
    if not Path(demos).exists():
        raise InputError(f"{demos}: no such file; give the path of demonstrations")
    return [f"demonstrations:{demos!r}"]  # the zoo evaluates the value as Python
