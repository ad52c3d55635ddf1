"""What the replays mean: do these demonstrations belong to this environment?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sb3_gail_ext.demonstrations.checking.dynamics import Dynamics, Replay

# The thresholds are between what docs/demonstrations_check.md has measured.
_MOST = 0.95  # of the single steps come out the same in the right environment,
_HALF = 0.5  # if the demonstrations were rounded: at contacts, a little is much,
_SOME = 0.25  # if not all of the state can be set; then whole episodes tell more
_ROUNDED = 1e-3  # tolerance of a single step from which on the demonstrations count as rounded
_STRANGE = 0.25  # error of a usual single step: another robot or simulator, not only a parameter
_EARLY = 20  # steps: too few for float32's rounding to grow into another state


def belongs(dynamics: Dynamics) -> bool | None:
    """None if it cannot be told."""
    replays, errors = dynamics.replays, dynamics.single_steps
    exact = [r for r in replays if r.start == "seed"]
    if exact and all(r.same for r in exact):
        return True
    # What observations do not show (a filter, a phase) spoils single steps, not whole episodes.
    if replays and all(_is_exact(r, dynamics.tolerance) for r in replays):
        return True
    if dynamics.chance or not len(errors):
        return None
    if _part_early(exact):
        return False
    share = np.mean(errors <= dynamics.tolerance)
    if share < _needed(dynamics):
        return False
    if share < _MOST and not dynamics.complete:
        return not _part_early(replays) if replays else None
    only_first_steps = len(errors) == len(exact)
    return None if only_first_steps else True


def _is_exact(replay: Replay, tolerance: float) -> bool:
    return replay.same and bool((replay.errors <= tolerance).all())


def _needed(dynamics: Dynamics) -> float:
    if not dynamics.complete:
        return _SOME
    return _HALF if dynamics.tolerance > _ROUNDED else _MOST


def _part_early(replays: Sequence[Replay]) -> bool:
    early = [r for r in replays if not r.same and (r.parted_at or len(r.errors)) <= _EARLY]
    return len(early) > len(replays) / 2


def sentence(dynamics: Dynamics, env_name: str) -> str:
    """The verdict and what it rests on, for people."""
    verdict = belongs(dynamics)
    if verdict is None:
        return f"Whether these demonstrations belong to {env_name} cannot be told: " + _open(
            dynamics
        )
    if not verdict:
        return f"These demonstrations do NOT belong to {env_name}: {_against(dynamics)}."
    rounded = ", to within their coarse rounding" if dynamics.tolerance > _ROUNDED else ""
    return f"These demonstrations belong to {env_name}: {_evidence_for(dynamics)}{rounded}."


def _evidence_for(dynamics: Dynamics) -> str:
    replays, errors = dynamics.replays, dynamics.single_steps
    same = [r for r in replays if r.same]
    if replays and len(same) == len(replays):
        return (
            f"replayed from their start states, {len(same)} of {len(replays)} episodes come out "
            f"the same for all {_range([r.n_steps for r in replays])} steps"
        )
    n_same = int(np.sum(errors <= dynamics.tolerance))
    text = f"{n_same} of {len(errors)} single steps from their states come out the same"
    if replays:
        text += f"; replayed as a whole, {_parting(replays)}, as small roundings grow"
    return text


def _against(dynamics: Dynamics) -> str:
    replays, errors = dynamics.replays, dynamics.single_steps
    other = errors[~(errors <= dynamics.tolerance)]
    usual = float(np.median(other)) if len(other) else 0.0
    parts = []
    if replays:
        parts.append(f"replayed there, {_parting(replays)}{_early_ends(replays)}")
    if len(other):
        parts.append(
            f"{len(other)} of {len(errors)} single steps lead elsewhere, by {_percent(usual)} of "
            "the states' deviation (median)"
        )
    if usual > _STRANGE:
        parts.append("probably recorded in another simulator, with another robot, or scaled")
    else:
        parts.append(
            "similar physics, but another version of it, or other parameters (gravity, masses, "
            "friction, time step)"
        )
    return "; ".join(parts)


def _open(dynamics: Dynamics) -> str:
    if dynamics.chance:
        return "the same step from the same state leads to different states there."
    if dynamics.replays:
        return f"replayed there from the right starts, {_parting(dynamics.replays)}."
    return "neither seeds nor the observations lead it to their start states."


def _parting(replays: Sequence[Replay]) -> str:
    """'the states part after 1 to 3 steps', and of how many episodes."""
    parted = [r.parted_at for r in replays if r.parted_at is not None]
    if not parted:
        return "the states do not part"
    some = "" if len(parted) == len(replays) else f" in {len(parted)} of {len(replays)} episodes"
    return f"the states part after {_steps(parted)}{some}"


def _early_ends(replays: Sequence[Replay]) -> str:
    ended = [(r.ended_at, r.n_steps) for r in replays if r.ended_at is not None]
    if not ended:
        return ""
    ends, lengths = zip(*ended, strict=True)
    return (
        f" and {len(ended)} of {len(replays)} episodes end after {_steps(ends)} (the "
        f"demonstrations: {_range(lengths)})"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 1 else f"{100 * share:.0f} %"


def _steps(numbers: Sequence[int]) -> str:
    return f"{_range(numbers)} step" + ("" if max(numbers) == 1 else "s")


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
