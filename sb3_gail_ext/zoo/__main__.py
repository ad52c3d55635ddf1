"""`python -m sb3_gail_ext.zoo`: the zoo's scripts, with our algorithms and errors of one line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence

import gymnasium as gym

_PROGRAM = "python -m sb3_gail_ext.zoo"
_HELP = """rl-baselines3-zoo, with --algo gail, airl, gaifo, dac, sqil and bc beside its own.

  python -m sb3_gail_ext.zoo train --algo gail --env Hopper-v4 --demos my_expert.npz
  python -m sb3_gail_ext.zoo enjoy --algo gail --env Hopper-v4 -f logs --no-render

--demos FILE is the one argument that is not the zoo's. Hyperparameters are this package's presets;
-conf FILE.yml takes others, -params KEY:VALUE changes one. Results are in logs/<algo>/<env id>_<n>.
The zoo's own arguments: python -m sb3_gail_ext.zoo train --help, or enjoy --help.
"""
# What refuses its input in words for people. Anywhere deeper, an error wants its traceback.
_REFUSING = ("rl_zoo3", "sb3_gail_ext")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of the zoo's scripts. Exit status 0; 2 on bad input, with one line on stderr."""
    given = list(sys.argv[1:] if argv is None else argv)
    script, *arguments = given or ["--help"]
    if script in ("-h", "--help"):
        print(_HELP, end="")
        return 0
    from sb3_gail_ext.cli.common import INPUT_ERRORS

    try:
        _run(script, arguments)
    except (*INPUT_ERRORS, gym.error.Error) as error:
        return _end(error)
    except (ValueError, AssertionError) as error:
        if not _is_refusal(error):
            raise
        return _end(error)
    except KeyboardInterrupt:
        print("sb3_gail_ext.zoo: stopped", file=sys.stderr)
        return 130
    return 0


def _run(script: str, arguments: Sequence[str]) -> None:
    from sb3_gail_ext.cli.common import InputError
    from sb3_gail_ext.zoo.algorithms import register
    from sb3_gail_ext.zoo.arguments import training_arguments

    if script not in ("train", "enjoy"):
        raise InputError(f"{script} is no script of the zoo's that runs here; give train or enjoy")
    if script == "train":
        arguments = training_arguments(arguments)
    try:
        register()
        run = _script(script)
    except ImportError as error:
        raise InputError(
            f"rl-baselines3-zoo cannot be imported ({error}); pip install 'sb3_gail_ext[zoo]'"
        ) from error
    sys.argv = [f"{_PROGRAM} {script}", *arguments]  # which is where the zoo reads them
    run()


def _script(name: str) -> Callable[[], None]:
    """The zoo's function behind a script. Its own `cli` needs packages that only plot."""
    if name == "train":
        from rl_zoo3.train import train

        return train
    from rl_zoo3.enjoy import enjoy

    return enjoy


def _is_refusal(error: Exception) -> bool:
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals["__name__"]).partition(".")[0] in _REFUSING


def _end(error: Exception) -> int:
    print(f"sb3_gail_ext.zoo: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
