"""How an episode ended: in a terminal state, at a time limit, or as nobody knows.

A trajectory's `terminal` says only whether its last step led into a terminal state. What else is
known about the end is in the info of the last step, under the keys below.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from imitation.data.types import Trajectory

TIME_LIMIT = "TimeLimit.truncated"  # Gymnasium's and SB3's own key
TERMINAL_NEXT = "terminal_next"  # the step behind the last one was terminal; the file has lost it

End = Literal["terminal", "time limit", "unknown"]


def end_of(trajectory: Trajectory) -> End:
    """How the episode ended, of which `trajectory` is all or all but the last step."""
    last = last_info(trajectory)
    if last.get(TIME_LIMIT):
        return "time limit"
    if trajectory.terminal or last.get(TERMINAL_NEXT):
        return "terminal"
    return "unknown"


def is_terminal(trajectory: Trajectory) -> bool:
    """Did the last step lead into a terminal state? `imitation` calls time limits terminal, too."""
    return bool(trajectory.terminal) and not last_info(trajectory).get(TIME_LIMIT)


def last_info(trajectory: Trajectory) -> dict[str, Any]:
    """The info of the last step; empty if there is none."""
    infos = trajectory.infos
    info = infos[-1] if infos is not None and len(infos) else {}
    return info if isinstance(info, dict) else {}


def infos_of_end(
    n_steps: int, *, time_limit: bool = False, terminal_next: bool = False
) -> np.ndarray | None:
    """The infos, objects of shape (n_steps,), of an episode that ended so; None if there is nothing
    to say. All steps but the last share one empty dictionary.
    """
    if not (time_limit or terminal_next):
        return None
    infos = np.full(n_steps, {}, dtype=object)
    infos[-1] = {TIME_LIMIT: True} if time_limit else {TERMINAL_NEXT: True}
    return infos
