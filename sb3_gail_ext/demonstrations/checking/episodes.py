"""Are these sound episodes: copies, standing still, returns, lengths, ends?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from imitation.data.types import Trajectory, TrajectoryWithRew

from sb3_gail_ext.demonstrations.checking.finding import Finding
from sb3_gail_ext.demonstrations.ends import end_of
from sb3_gail_ext.demonstrations.returns import returns
from sb3_gail_ext.demonstrations.sampling import array_obs
from sb3_gail_ext.demonstrations.unknown_rewards import has_rewards, with_unknown_rewards

_SHORT = 10  # steps; so few may well be alike
_FEW = 5  # episodes; of so few, none is an outlier
_FAR = 3.0  # quartile ranges below the lower quartile


def check_episodes(
    episodes: Sequence[Trajectory], max_episode_steps: int | None
) -> Iterator[Finding]:
    """:param episodes: whole ones, with array observations.
    :param max_episode_steps: the environment's time limit, if it has one.
    """
    yield from _copies(episodes)
    yield from _still(episodes)
    yield from _returns([with_unknown_rewards(e) for e in episodes])
    if max_episode_steps is not None:
        yield from _lengths(episodes, max_episode_steps)
    if all(end_of(episode) == "unknown" for episode in episodes):
        yield Finding(
            "note",
            "how the episodes ended is not known: no step counts as terminal; say so with "
            "`terminal` or `infos_of_end` if you know better",
        )


def _copies(episodes: Sequence[Trajectory]) -> Iterator[Finding]:
    seen: dict[bytes, int] = {}
    copies = []
    for i, episode in enumerate(episodes):
        first = seen.setdefault(_digest(episode), i)
        if first != i:
            copies.append(f"{i} of {first}")
    if copies:
        yield Finding(
            "warning",
            f"{len(copies)} of {len(episodes)} episodes are copies (episode {_some(copies)}); "
            "remove them, they count twice",
        )


def _digest(episode: Trajectory) -> bytes:
    digest = hashlib.sha256()
    for array in (array_obs(episode.obs), episode.acts):
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def _still(episodes: Sequence[Trajectory]) -> Iterator[Finding]:
    long = [(i, e) for i, e in enumerate(episodes) if len(e) >= _SHORT]
    for name, of in (("observation", lambda e: array_obs(e.obs)), ("action", lambda e: e.acts)):
        same = [str(i) for i, e in long if _constant(of(e)).all()]
        if same:
            yield Finding(
                "warning",
                f"{len(same)} of {len(episodes)} episodes have the same {name} in every step "
                f"(episode {_some(same)}); leave them out, or record them again",
            )
    yield from _still_actions(episodes)


def _still_actions(episodes: Sequence[Trajectory]) -> Iterator[Finding]:
    first = episodes[0].acts[0]
    if first.ndim == 0 or sum(map(len, episodes)) < _SHORT:
        return
    moves = np.any([(e.acts != first).any(axis=0) for e in episodes], axis=0)
    still = [str(i) for i in np.flatnonzero(~moves)]
    if still and moves.any():
        yield Finding(
            "warning",
            f"acts[{_some(still)}] is the same number in every step of every episode; an actuator "
            "that the expert never used, or a column that was lost",
        )


def _constant(array: np.ndarray) -> np.ndarray:
    """Of (n, *shape), which columns never change: bool (*shape)."""
    return (array == array[0]).all(axis=0)


def _returns(episodes: Sequence[TrajectoryWithRew]) -> Iterator[Finding]:
    if not any(has_rewards(e) for e in episodes):
        if np.isnan(returns(episodes)).any():
            yield Finding("note", _NO_RETURNS)
        return
    if not all(np.isfinite(e.rews).all() for e in episodes):
        yield Finding("warning", "rews hold NaN or infinity; no return can be compared with them")
        return
    value = episodes[0].rews[0]
    if all((e.rews == value).all() for e in episodes):
        yield Finding("note", _constant_reward(float(value)))
        return
    r = returns(episodes)
    low, middle, high = np.quantile(r, (0.25, 0.5, 0.75))
    bad = [str(i) for i in np.flatnonzero(r < low - _FAR * max(high - low, 0.01 * abs(middle)))]
    if bad and len(episodes) >= _FEW:
        yield Finding(
            "note",
            f"{len(bad)} of {len(episodes)} returns are far below the others (episode "
            f"{_some(bad)}: {r.min():.4g}, the median is {middle:.4g}); an imitator learns from "
            "failures, too",
        )


_NO_RETURNS = (
    "no rewards, and the return of some episodes is unknown; nobody needs them to imitate an "
    "expert, but an imitator's return cannot be compared with the expert's"
)


def _constant_reward(value: float) -> str:
    if value == 0:
        return (
            "every reward is 0; GAIL does not use rewards, but an imitator's return cannot be "
            "compared with the expert's"
        )
    return f"every reward is {value:g}: a return says only how long an episode is"


def _lengths(episodes: Sequence[Trajectory], limit: int) -> Iterator[Finding]:
    too_long = [str(i) for i, e in enumerate(episodes) if len(e) > limit]
    if too_long:
        yield Finding(
            "warning",
            f"{len(too_long)} of {len(episodes)} episodes are longer than the environment's limit "
            f"of {limit:,} steps (episode {_some(too_long)}); several episodes in one, or another "
            "environment",
        )
    at_limit = [str(i) for i, e in enumerate(episodes) if len(e) == limit]
    terminal = [i for i in at_limit if end_of(episodes[int(i)]) == "terminal"]
    if terminal and len(terminal) == len(at_limit):
        yield Finding(
            "warning",
            f"all {len(terminal)} episodes of exactly {limit:,} steps, the environment's limit, "
            f"are marked terminal (episode {_some(terminal)}); that was the time limit, and an "
            "imitator would learn that these states end an episode",
        )


def _some(names: Sequence[str], n: int = 3) -> str:
    return ", ".join(names[:n]) + (", ..." if len(names) > n else "")
