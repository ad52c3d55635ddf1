"""`sb3-gail demos convert`: demonstrations of one format as a file of another."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext.cli import common
from sb3_gail_ext.demonstrations.ends import end_of
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.demonstrations.files import (
    FORMATS,
    format_of,
    load_demonstrations,
    load_metadata,
    save_demonstrations,
)
from sb3_gail_ext.demonstrations.returns import returns

_EPILOG = """examples:
  sb3-gail demos convert old_sb2_expert.npz hopper.npz --to chapter
  sb3-gail demos convert hopper.npz hopper_dataset --to imitation
  sb3-gail demos convert hopper_medium.hdf5 hopper.npz --to chapter --limit 100 --seed 0

What a format lacks is lost, and never made up: the line at the end says what. Where the source
lacks an episode's final observation, its last step is not kept.
"""


def add_parser(actions: argparse._SubParsersAction) -> None:
    parser = actions.add_parser(
        "convert",
        help="write them in another format",
        description="Read demonstrations of any known format, write them in another one, and read "
        "them back to see that they are the same.",
        epilog=_EPILOG,
        formatter_class=common.HelpFormatter,
    )
    parser.add_argument("source", type=Path, metavar="IN")
    parser.add_argument("out", type=Path, metavar="OUT")
    writable = [name for name, known in FORMATS.items() if known.write is not None]
    parser.add_argument("--to", required=True, choices=writable, help="format of OUT")
    parser.add_argument(
        "--from", dest="format", choices=list(FORMATS), help="format of IN; default: as found"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="keep N episodes, the first ones")
    common.add_seed(parser, None, "choose the N episodes at random")
    parser.add_argument("--force", action="store_true", help="replace what is at OUT")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    from sb3_gail_ext.demonstrations.cards import card_path, read_card, sha256, write_card

    source, out = arguments.source, arguments.out
    common.check_new(out, arguments.force)
    format = arguments.format or format_of(source)
    episodes = load_demonstrations(
        source, format=format, limit=arguments.limit, seed=arguments.seed
    )
    card, origin = read_card(source), {"file": source.name, "format": format}
    origin["sha256"] = sha256(source)
    metadata = _of_part(load_metadata(source), arguments.limit)
    save_demonstrations(out, episodes, format=arguments.to, metadata=metadata)
    written = load_demonstrations(out, format=arguments.to)
    _check_same(out, episodes, written)
    card_path(out).unlink(missing_ok=True)  # of what was replaced
    if card is not None:
        write_card(out, _carried_over(card, origin, written, arguments.limit))
    print(
        f"wrote {out} ({arguments.to}, from {format}){' and its data card' if card else ''}: "
        f"{len(episodes)} episodes, {sum(map(len, episodes)):,} steps, read back equal to the bit"
        f"; {_what_became_of_ends(episodes, written, arguments.to)}"
    )


def _check_same(
    out: Path, given: Sequence[TrajectoryWithRew], written: Sequence[TrajectoryWithRew]
) -> None:
    """:raises DemonstrationError: at the first array that is not equal to the bit."""
    if len(given) != len(written):
        raise DemonstrationError(
            f"{out}: read back, it holds {len(written)} of {len(given)} episodes; do not use it"
        )
    for row, (left, right) in enumerate(zip(given, written, strict=True)):
        for name in ("obs", "acts", "rews"):
            a, b = np.asarray(getattr(left, name)), np.asarray(getattr(right, name))
            if (a.dtype, a.shape) != (b.dtype, b.shape) or a.tobytes() != b.tobytes():
                raise DemonstrationError(
                    f"{out}: read back, {name} of episode {row} is {b.dtype} {b.shape}, and not "
                    f"the {a.dtype} {a.shape} that was written; do not use it"
                )
    if not np.array_equal(returns(given), returns(written), equal_nan=True):
        raise DemonstrationError(f"{out}: read back, it states other returns; do not use it")


def _what_became_of_ends(
    given: Sequence[TrajectoryWithRew], written: Sequence[TrajectoryWithRew], format: str
) -> str:
    lost = [end_of(a) for a, b in zip(given, written, strict=True) if end_of(a) != end_of(b)]
    if not lost:
        return "ends kept"
    counts = " and ".join(f"{lost.count(end)} x {end}" for end in sorted(set(lost)))
    return f"this format cannot hold every end: {counts} became unknown"


def _of_part(facts: dict[str, Any], limit: int | None) -> dict[str, Any]:
    """Facts of all episodes that are no longer those of a part of them are left out."""
    return facts if limit is None else {key: v for key, v in facts.items() if key != "seeds"}


def _carried_over(
    card: dict[str, Any],
    origin: dict[str, Any],
    episodes: Sequence[TrajectoryWithRew],
    limit: int | None,
) -> dict[str, Any]:
    """The source's card, of what is in the new file, and what made the old one."""
    from sb3_gail_ext.demonstrations.summary import describe

    facts = {key: value for key, value in card.items() if key not in ("file", "sha256")}
    told = facts.get("demonstrations", {})
    facts["demonstrations"] = {
        **_of_part(told if isinstance(told, dict) else {}, limit),
        "n_episodes": len(episodes),
        **describe(episodes),
    }
    if limit is not None:
        facts["demonstrations"]["limit"] = limit
    facts["converted_from"] = {**origin, "versions": facts.pop("versions", None)}
    return facts
