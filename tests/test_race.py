"""Who replaces whom, on how much evidence: by hand, with distances that are told."""

import math
from typing import Any

import pytest

from sb3_gail_ext.algorithms.race import Race


def told(distances: list[float]) -> tuple[Any, list[int]]:
    """A distance that says these one after the other, and how many episodes it was shown."""
    shown: list[int] = []

    def distance_to(episodes: Any) -> float:
        shown.append(len(episodes))
        return distances[len(shown) - 1]

    return distance_to, shown


def race(distances: list[float], n_episodes: int = 4) -> tuple[Race, list[int]]:
    distance_to, shown = told(distances)
    return Race(distance_to, n_episodes), shown


def play(running: Race, n: int) -> list[str | None]:
    return [running.add(None) for _ in range(n)]  # type: ignore[arg-type]


def test_the_incumbent_plays_first_and_sets_the_mark() -> None:
    running, shown = race([0.5])
    assert running.incumbent_plays
    assert running.mark == math.inf
    assert play(running, 4) == [None, None, None, "defended"]
    assert not running.incumbent_plays
    assert running.mark == 0.5
    assert shown == [4]


def test_a_challenger_wins_with_all_the_episodes_of_the_incumbent() -> None:
    """Before it has them all, it is compared with the incumbent's first ones."""
    running, shown = race([0.5, *[0.9, 0.6], *[0.4, 0.5], 0.3])
    assert play(running, 8)[4:] == [None, None, None, "won"]
    assert shown == [4, *[2, 2], *[3, 3], 4]
    assert running.mark == 0.3
    assert not running.incumbent_plays  # it has played already


def test_who_is_not_nearer_loses_and_the_incumbent_defends() -> None:
    running, shown = race([0.5, *[0.5, 0.5], *[0.5, 0.5], 0.5, 0.6])
    assert play(running, 8)[4:] == [None, None, None, "lost"]
    assert running.incumbent_plays
    assert play(running, 2) == [None, "defended"]
    assert shown == [4, 2, 2, 3, 3, 4, 6]
    assert running.mark == 0.6  # it was lucky


def test_the_next_challenger_needs_as_many_as_the_incumbent_has() -> None:
    running, shown = race([0.5, *[1.1, 0.5], 0.5, *[0.1] * 9])
    assert play(running, 8) == [None] * 3 + ["defended", None, "lost", None, "defended"]
    assert running.n_missing == 6
    assert play(running, 6) == [None] * 5 + ["won"]
    assert shown == [4, 2, 2, 6, 2, 2, 3, 3, 4, 4, 5, 5, 6]


@pytest.mark.parametrize(
    ("mark", "first_two", "plainly"),
    [(0.5, 0.4, 1.0), (0.5, 0.7, 1.4), (0.001, 0.002, 0.02), (-0.004, -0.01, 0.02)],
)
def test_plainly_worse_is_twice_the_mark_or_as_many_of_the_incumbents_or_the_noise(
    mark: float, first_two: float, plainly: float
) -> None:
    for distance, outcome in ((0.99 * plainly, None), (1.01 * plainly, "lost")):
        running, _ = race([mark, distance, first_two])
        assert play(running, 6)[-1] == outcome


def test_evidence_grows_to_three_trials_and_then_the_oldest_is_forgotten() -> None:
    running, shown = race([0.1, *[9.0, 0.1, 0.1] * 5, 9.0, 0.1, 0.7])
    play(running, 4 + 5 * (2 + 2))
    assert [n for n in shown if n != 2] == [4, 6, 8, 10, 12, 12]
    assert play(running, 4) == [None, "lost", None, "defended"]
    assert running.mark == 0.7  # it goes on being asked


def test_how_many_are_missing() -> None:
    running, _ = race([0.5, 0.5, 0.5, *[0.1] * 9])
    missing = [running.n_missing]
    for _ in range(7):
        play(running, 1)
        missing.append(running.n_missing)
    assert missing == [4, 3, 2, 1, 4, 3, 2, 1]


def test_a_trial_of_one_episode() -> None:
    running, _ = race([0.5, 0.4, 0.6, 0.45], n_episodes=1)
    assert play(running, 4) == ["defended", "won", "lost", "defended"]
