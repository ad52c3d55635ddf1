"""`sb3-gail demos info`: what is in files of demonstrations."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.cli import common
from sb3_gail_ext.cli.tables import print_facts, print_table
from sb3_gail_ext.demonstrations.dimensions import (
    actions,
    are_choices,
    are_images,
    as_columns,
    named_columns,
    observations,
)
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.files import format_of, load_demonstrations, load_metadata

_LONGEST = 160  # characters of a metadata value

_EPILOG = """examples:
  sb3-gail demos info my_expert.npz
  sb3-gail demos info my_expert.npz --env HopperMuJoCoEnv-v0 --dimensions
  sb3-gail demos info expert_data/*/*.npz
"""


def add_parser(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser(
        "info",
        help="episodes, lengths, returns, ends, shapes, source",
        description="Read files of demonstrations, check them, and say what is in them: one in "
        "detail, or a row for each of several.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--env", metavar="ID", help="also check that they fit this environment")
    parser.add_argument(
        "--dimensions", action="store_true", help="of one file: the range of each dimension, too"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.env is not None:
        common.check_env_id(arguments.env)
    if len(arguments.files) > 1:
        return _one_row_each(arguments.files, arguments.env)
    file = arguments.files[0]
    episodes = _read(file, arguments.env)
    print_facts({**_facts(file, episodes), **({"fits": arguments.env} if arguments.env else {})})
    if arguments.dimensions:
        _print_dimensions(episodes)
    return 0


def _one_row_each(files: Sequence[Path], env_id: str | None) -> int:
    """Files that cannot be read come after the others, a line each; the exit status tells."""
    rows, errors = [], []
    for file in files:
        try:
            rows.append(_row(file, _read(file, env_id)))
        except DemonstrationError as error:
            errors.append(common.one_line(error))
    if rows:
        print_table(_HEADER, rows)
    for message in errors:
        print(f"sb3-gail: {message}", file=sys.stderr)
    return 2 if errors else 0


def _read(file: Path, env_id: str | None) -> list[TrajectoryWithRew]:
    """:raises DemonstrationError: if it cannot be read, or does not fit the environment."""
    episodes = load_demonstrations(file)
    if env_id is not None:
        _check_fits(file, episodes, env_id)
    return episodes


def _check_fits(file: Path, episodes: list[TrajectoryWithRew], env_id: str) -> None:
    import gymnasium as gym

    from sb3_gail_ext.demonstrations.checks import check_fits_spaces
    from sb3_gail_ext.demonstrations.dict_observations import as_arrays
    from sb3_gail_ext.demonstrations.images import order_episodes_as
    from sb3_gail_ext.demonstrations.sampling import flatten

    env = gym.make(env_id)
    try:
        space = env.observation_space
        steps = flatten(order_episodes_as(space, as_arrays(space, episodes)))
        check_fits_spaces(steps, space, env.action_space, str(file))
    finally:
        env.close()


def _facts(file: Path, episodes: list[TrajectoryWithRew]) -> dict[str, object]:
    from sb3_gail_ext.demonstrations.cards import read_card, sha256
    from sb3_gail_ext.demonstrations.summary import describe, ends

    said, card = describe(episodes), read_card(file)
    lengths = [len(episode) for episode in episodes]
    return {
        "file": file,
        "format": format_of(file),
        "sha256": sha256(file),
        **_origin(card),
        "episodes": len(episodes),
        "transitions": sum(lengths),
        "length": f"median {np.median(lengths):g}, from {min(lengths)} to {max(lengths)}",
        "return": _returns_in_words(said),
        "ends": ", ".join(f"{n} {end}" for end, n in ends(episodes).items()),
        **{name: _in_words(array) for name, array in _arrays(episodes).items()},
        **{f"metadata {key}": _short(value) for key, value in load_metadata(file).items()},
    }


def _returns_in_words(said: dict[str, Any]) -> str:
    from sb3_gail_ext.demonstrations.summary import returns_in_words

    if "return_mean" not in said:
        return returns_in_words(said)
    return (
        f"mean {returns_in_words(said)}, from {said['return_min']:.1f} to {said['return_max']:.1f}"
    )


def _origin(card: dict[str, Any] | None) -> dict[str, object]:
    """What the data card knows of where the file is from."""
    if card is None:
        return {"recorded in": "unknown (no data card)", "expert": "unknown (no data card)"}
    evaluated, told = card.get("evaluation"), card.get("demonstrations")
    facts: dict[str, object] = {
        "recorded in": card.get("environment", "unknown"),
        "expert": card.get("algorithm") or card.get("policy", "unknown"),
    }
    for key in ("model", "training_steps", "deterministic", "command"):
        if key in card:
            facts[key.replace("_", " ")] = card[key]
    if isinstance(told, dict) and "kept" in told:
        facts["kept"] = told["kept"]
    if isinstance(evaluated, dict) and "return_mean" in evaluated:
        facts["evaluation"] = f"return {evaluated['return_mean']} ({evaluated.get('kept', '?')})"
    if "converted_from" in card:
        facts["converted from"] = _short(card["converted_from"])
    return facts


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _arrays(episodes: list[TrajectoryWithRew]) -> dict[str, np.ndarray]:
    seen = observations(episodes)
    names = {"obs": "observation"} if set(seen) == {"obs"} else {key: f"obs {key}" for key in seen}
    return {**{names[key]: array for key, array in seen.items()}, "action": actions(episodes)}


def _in_words(array: np.ndarray) -> str:
    kind = f"{array.shape[1:]} {array.dtype}"
    if are_choices(array):
        choices, counts = np.unique(array, return_counts=True)
        shares = (f"{c}: {n / len(array):.0%}" for c, n in zip(choices, counts, strict=True))
        return _short(f"{kind}, {len(choices)} choices ({', '.join(shares)})")
    if not array.size or are_images(array):
        return kind
    columns = as_columns(array)
    still = np.flatnonzero((columns == columns[0]).all(axis=0))
    constant = f"; constant: {', '.join(map(str, still))}" if len(still) else ""
    return _short(f"{kind}, from {array.min():.4g} to {array.max():.4g}{constant}")


def _print_dimensions(episodes: list[TrajectoryWithRew]) -> None:
    arrays = {n: a for n, a in _arrays(episodes).items() if not are_images(a)}
    rows = [
        [name, *(f"{f(column):.4g}" for f in (np.min, np.median, np.mean, np.std, np.max))]
        for name, column in named_columns(arrays)
    ]
    print()
    print_table(("dimension", "min", "median", "mean", "std", "max"), rows)


_HEADER = ("file", "format", "episodes", "steps", "length", "return", "ends", "obs", "act", "from")


def _row(file: Path, episodes: list[TrajectoryWithRew]) -> list[object]:
    from sb3_gail_ext.demonstrations.cards import read_card
    from sb3_gail_ext.demonstrations.summary import describe

    said, card = describe(episodes), read_card(file) or {}
    arrays = _arrays(episodes)
    acts = arrays.pop("action")
    return [
        file,
        format_of(file),
        len(episodes),
        f"{sum(map(len, episodes)):,}",
        f"{said['length_mean']:.1f}",
        f"{said['return_mean']:.1f} ± {said['return_std']:.1f}" if "return_mean" in said else "?",
        ", ".join(f"{n} {end}" for end, n in said["ends"].items()),
        " + ".join("x".join(map(str, array.shape[1:])) or "1" for array in arrays.values()),
        "choice" if are_choices(acts) else "x".join(map(str, acts.shape[1:])),
        card.get("environment", "?"),
    ]
