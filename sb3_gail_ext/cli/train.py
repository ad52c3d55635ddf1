"""`sb3-gail train`: from a demonstration file to a policy that behaves like the expert."""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sb3_gail_ext.cli import common

if TYPE_CHECKING:
    from sb3_gail_ext.presets.preset import Preset
    from sb3_gail_ext.training.run import TrainingRun

_EPILOG = """examples:
  sb3-gail train --env HopperMuJoCoEnv-v0 --demos my_expert.npz
  sb3-gail train --env Hopper-v4 --demos my_expert.npz --limit 4 --steps 400000 --seed 1
  sb3-gail train --algo dac --env Hopper-v4 --demos my_expert.npz
  sb3-gail train --env Hopper-v4 --demos my_expert.npz --set learning_rate=lin_3e-4 --set gamma=0.98
  sb3-gail train --env Hopper-v4 --demos my_expert.npz --set 'policy_kwargs={log_std_init: -1.0}'
  sb3-gail train --env Ant-v4 --demos my_expert.npz --preset HalfCheetah-v4
  sb3-gail train --env Hopper-v4 --demos my_expert.npz --preset my_presets.yml
  sb3-gail train --env Hopper-v4 --demos my_expert.npz --wandb --wandb-project hopping
  sb3-gail train --resume --out runs/gail_Hopper-v4_0

my_presets.yml, with any argument of sb3_gail_ext.GAIL (or DAC) that is data (an environment that
has no section takes `default`; lin_3e-4 falls linearly from 3e-4):
  default:
    n_timesteps: 600000
  Hopper-v4:
    n_timesteps: 400000
    n_envs: 8
    learning_rate: lin_3e-4
    policy_kwargs: {log_std_init: -1.0, net_arch: [64, 64]}

--resume goes on with a run that was stopped or killed, from its latest checkpoint.

writes into --out: model.zip, metrics.csv, curves.png, videos/, checkpoints/, of gail policy.zip
(opens with PPO.load), config.yml (every setting; repeat the run with its --algo and --preset
config.yml), config.json and summary.json; with --wandb and --tensorboard, wandb/ and tensorboard/
"""


# `sb3_gail_ext.presets.preset.ALGORITHMS`, not imported for the sake of a quick --help.
ALGORITHMS = ("gail", "dac")


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "train",
        help="imitate demonstrations with GAIL or DAC",
        description="Train on a file of demonstrations, evaluate and film the result.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    parser.add_argument(
        "--algo",
        choices=ALGORITHMS,
        default="gail",
        help="gail: on-policy, fast by the clock; dac: off-policy, few environment steps",
    )
    common.add_env(parser, required=False)
    parser.add_argument("--demos", type=Path, help="file of demonstrations")
    parser.add_argument(
        "--preset",
        metavar="NAME_OR_FILE",
        help="hyperparameters: an environment id or 'default' of the shipped presets, or a .yml "
        "file; default the shipped ones of --env, or else 'default'",
    )
    parser.add_argument(
        "--set",
        action="append",
        metavar="KEY=VALUE",
        help="one hyperparameter in the place of the preset's, written as in YAML; repeatable",
    )
    parser.add_argument("--steps", type=int, help="environment steps; default the preset's")
    parser.add_argument("--limit", type=int, help="use this many episodes, drawn with --seed")
    parser.add_argument("--subsample", type=int, default=1, help="keep every n-th transition")
    parser.add_argument(
        "--n-envs", type=int, help="environments side by side; default the preset's"
    )
    parser.add_argument("--eval-episodes", type=int, default=100, help="episodes to evaluate")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the latest checkpoint in --out; without --env and --demos the settings "
        "are that run's, with them the command must be the one that began it",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=int,
        metavar="STEPS",
        help="environment steps between checkpoints; default 50000 (gail), 10000 (dac)",
    )
    parser.add_argument(
        "--keep-checkpoints", type=int, default=3, metavar="N", help="keep the latest N"
    )
    parser.add_argument("--out", type=Path, help="folder; default runs/<algo>_<env id>_<seed>")
    common.add_seed(parser)
    parser.add_argument("--no-videos", action="store_true", help="do not film")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    common.add_wandb(parser)
    parser.add_argument(
        "--tensorboard", action="store_true", help="log for TensorBoard, into --out, as well"
    )
    parser.set_defaults(run=partial(run, parser=parser))


# What may be said beside --resume --out; everything else is the stored run's.
_OF_THIS_PROCESS = {"resume", "out", "demos", "no_progress", "wandb", "wandb_project"}


def run(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    from sb3_gail_ext.checkpoints.errors import CheckpointError
    from sb3_gail_ext.folder_lock import FolderInUseError
    from sb3_gail_ext.presets.errors import PresetError

    try:
        _train(_run_of(arguments, parser), arguments)
    except (PresetError, CheckpointError, FolderInUseError) as error:
        raise common.InputError(str(error)) from error


def _train(asked: TrainingRun, arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.evaluation.evaluate import verdict
    from sb3_gail_ext.experiment import run_training

    common.check_env_id(asked.env_id)
    common.check_imitable(asked.env_id)
    common.check_folder(asked.folder)
    common.one_thread()
    common.warn_in_one_line()
    try:
        summary = run_training(asked)
    except ImportError as error:  # of W&B, which a run that is resumed was tracked with
        raise common.InputError(str(error)) from error
    print(f"results are in {asked.folder}, training took {summary['seconds']:.0f} s")
    print(verdict(summary))


def _run_of(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> TrainingRun:
    """What the command asks for, or the run that it resumes.

    :raises InputError: if something is missing or cannot be.
    """
    for name in ("steps", "n_envs", "eval_episodes", "checkpoint_every", "keep_checkpoints"):
        value = getattr(arguments, name)
        if value is not None:
            common.positive(value, f"--{name.replace('_', '-')}")
    project = common.wandb_project(arguments)
    if arguments.env is not None and arguments.demos is not None:
        return replace(_new_run(arguments), wandb_project=project)
    if not arguments.resume:
        raise common.InputError("give --env and --demos; see sb3-gail train --help")
    return _stored_run(arguments, parser, project)


def _stored_run(
    arguments: argparse.Namespace, parser: argparse.ArgumentParser, project: str | None
) -> TrainingRun:
    from sb3_gail_ext.training.resuming import stored_run

    if arguments.out is None:
        raise common.InputError("--resume needs --out, the folder of the run to go on with")
    given = [k for k, v in vars(arguments).items() if v != parser.get_default(k) and k != "command"]
    others = [f"--{name.replace('_', '-')}" for name in given if name not in _OF_THIS_PROCESS]
    if others:
        raise common.InputError(
            f"--resume --out takes the settings of the run in {arguments.out}; leave out "
            f"{', '.join(others)}, or repeat the whole command that began it"
        )
    stored = stored_run(arguments.out)
    return replace(
        stored,
        demonstrations=arguments.demos or stored.demonstrations,
        resume=True,
        wandb_project=project or stored.wandb_project,
        progress_bar=not arguments.no_progress,
    )


def _new_run(arguments: argparse.Namespace) -> TrainingRun:
    from sb3_gail_ext.training.run import TrainingRun

    algorithm = arguments.algo
    folder = arguments.out or Path("runs") / f"{algorithm}_{arguments.env}_{arguments.seed}"
    common.check_env_id(arguments.env)
    return TrainingRun(
        env_id=arguments.env,
        demonstrations=arguments.demos,
        folder=folder,
        preset=_preset(arguments),
        seed=arguments.seed,
        limit=arguments.limit,
        subsample=arguments.subsample,
        n_evaluation_episodes=arguments.eval_episodes,
        videos=not arguments.no_videos,
        tensorboard=arguments.tensorboard,
        checkpoint_every=arguments.checkpoint_every,
        keep_checkpoints=arguments.keep_checkpoints,
        progress_bar=not arguments.no_progress,
        resume=arguments.resume,
    )


def _preset(arguments: argparse.Namespace) -> Preset:
    """The preset asked for, with what --set, --steps and --n-envs put in the place of its own.

    :raises PresetError: if one of them cannot be used.
    """
    from sb3_gail_ext.presets.loading import load_preset, read_settings
    from sb3_gail_ext.presets.preset import override

    preset = load_preset(arguments.preset, arguments.env, arguments.algo)
    if arguments.set:
        label = f"{preset.label} with {', '.join(arguments.set)}"
        preset = replace(
            override(preset, read_settings(arguments.set, "--set", arguments.algo), "--set"),
            label=label,
        )
    options = {"n_timesteps": arguments.steps, "n_envs": arguments.n_envs}
    given = {key: value for key, value in options.items() if value is not None}
    return override(preset, given, "command line")
