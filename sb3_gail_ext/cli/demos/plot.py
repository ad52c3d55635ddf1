"""`sb3-gail demos plot`: a file of demonstrations as one picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from sb3_gail_ext.cli import common

_FORMATS = (".png", ".svg", ".pdf")

_EPILOG = """examples:
  sb3-gail demos plot hopper.npz
  sb3-gail demos plot minari_dataset --out figure.svg
"""


def add_parser(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser(
        "plot",
        help="draw returns, lengths, observations, actions",
        description="Draw a file of demonstrations: return, length and end of each episode, and "
        "how the values of each observation and action are spread.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, help="picture to write; default: FILE with .png")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.demonstrations.files import load_demonstrations
    from sb3_gail_ext.demonstrations.plots import demonstrations_figure
    from sb3_gail_ext.evaluation.plots import save_figure

    out: Path = arguments.out or _beside(arguments.file)
    if out.suffix not in _FORMATS:
        raise common.InputError(f"{out}: the picture's name must end in {', '.join(_FORMATS)}")
    common.check_folder(out.parent)
    episodes = load_demonstrations(arguments.file)
    counts = f"{len(episodes):,} episodes, {sum(map(len, episodes)):,} steps"
    name = Path(*arguments.file.absolute().parts[-2:])  # the folder is often the environment's
    save_figure(demonstrations_figure(episodes, f"{name}: {counts}"), out)
    print(f"wrote {out}")


def _beside(file: Path) -> Path:
    """A folder's name may have dots, as `hopper-v0.1`."""
    return file.with_name(f"{file.name}.png") if file.is_dir() else file.with_suffix(".png")
