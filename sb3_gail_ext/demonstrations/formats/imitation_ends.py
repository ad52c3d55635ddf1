"""How an episode of an `imitation` file ended: its `terminal` is True for time limits, too."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sb3_gail_ext.demonstrations.ends import TERMINAL_NEXT, TIME_LIMIT, infos_of_end


def kept_end(n_steps: int, terminal: bool, last_info: object) -> tuple[bool, np.ndarray | None]:
    """`terminal` and `infos` of the trajectory, by the rules of `demonstrations.ends`.

    The file's `terminal` is believed only where the last info says that it was no time limit.

    :param n_steps: T, the length of the infos.
    :param terminal: what the file says; False for a fragment.
    :param last_info: of the last step; anything but a mapping says nothing.
    """
    info = last_info if isinstance(last_info, Mapping) else {}
    truncated = info.get(TIME_LIMIT)
    if _is(truncated, True):
        return False, infos_of_end(n_steps, time_limit=True)
    if terminal:
        return _is(truncated, False), None
    return False, infos_of_end(n_steps, terminal_next=_is(info.get(TERMINAL_NEXT), True))


def _is(value: object, expected: bool) -> bool:
    """Strictly so: what JSON or pickle made of something else is true or false by accident."""
    return isinstance(value, bool | np.bool_) and bool(value) == expected
