"""An incumbent and its challenger, who play episodes until one is nearer to the demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from imitation.data.types import Trajectory

from sb3_gail_ext.rewards.distance import NOISE

Outcome = Literal["defended", "lost", "won"]  # the last two of the challenger


class Race:
    """Who replaces whom, by the distance of what they played.

    After the intensification of SMAC (Hutter, Hoos & Leyton-Brown 2011, Procedure 2): nobody
    replaces the incumbent on less evidence than there is about it, and with every challenger that
    loses there is more: it plays half a trial again. Beyond three trials its oldest episodes are
    forgotten, so that luck does not last. Unlike there, a challenger goes on until it is plainly
    worse than the incumbent is, with as many episodes and with all of them: two episodes say
    little.

    :param distance_to: of a list of episodes to the demonstrations.
    :param n_episodes: of a trial.
    """

    def __init__(
        self, distance_to: Callable[[Sequence[Trajectory]], float], n_episodes: int
    ) -> None:
        self._distance_to = distance_to
        self._half = max(n_episodes // 2, 1)
        self._most = 3 * n_episodes
        self._owed = n_episodes  # by the incumbent
        self._incumbents: list[Trajectory] = []
        self._challengers: list[Trajectory] = []
        self.mark = float("inf")  # the incumbent's distance, which a challenger has to undercut

    @property
    def incumbent_plays(self) -> bool:
        """Is the next episode the incumbent's, not the challenger's?"""
        return self._owed > 0

    @property
    def n_missing(self) -> int:
        """Episodes that whose turn it is has to play at most."""
        return self._owed or len(self._incumbents) - len(self._challengers)

    def add(self, episode: Trajectory) -> Outcome | None:
        """What was played by whose turn it was; None: it still is."""
        if self.incumbent_plays:
            self._incumbents = [*self._incumbents, episode][-self._most :]
            self._owed -= 1
            return None if self._owed else self._defended()
        self._challengers.append(episode)
        n = len(self._challengers)
        if n < self._half:
            return None
        distance = self._distance_to(self._challengers)
        if n == len(self._incumbents):
            return self._won(distance) if distance < self.mark else self._lost()
        bound = max(self._distance_to(self._incumbents[:n]), self.mark, NOISE)
        return self._lost() if distance > 2 * bound else None

    def _defended(self) -> Outcome:
        self.mark = self._distance_to(self._incumbents)
        return "defended"

    def _won(self, distance: float) -> Outcome:
        self._incumbents, self._challengers = self._challengers, []
        self.mark = distance
        return "won"

    def _lost(self) -> Outcome:
        self._challengers = []
        self._owed = self._half
        return "lost"
