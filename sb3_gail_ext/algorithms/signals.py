"""Signals that tell a user what goes wrong while it trains, each in one line with its cure, once.

Rather silent than wrong: a signal needs a state that lasts and that healthy runs do not pass
through. The thresholds leave room around 16 healthy Hopper runs of the development (not kept;
PyBullet and MuJoCo, form "gail", 196 to 294 rounds, without a warm start): both accuracies never
above 0.99, above 0.9 for at most 0.36 of the run on end, and once 0.3 of it is over, episodes of at
least a quarter of the expert's length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from imitation.data.types import Trajectory, Transitions

SATURATED = 0.99  # accuracy; healthy runs reach 0.97
SEPARATED = 0.9  # accuracy; an agent that learns gets below, if late
MIN_ROUNDS = 20  # fewer are an accident, and a run that short has not begun to learn
MIN_LASTING = 0.05  # of learn(): 20 rounds of A2C are a hundred steps, no time at all
NEVER_LASTING = 0.5  # of learn(); not "all of it": an untrained discriminator starts below
YOUNG = 0.1  # of learn(): a random agent is told apart easily, and should be
GROWN = 0.3  # of learn(): lengths say nothing while the agent still learns to stand
LATE = 0.5  # of learn(): an agent that dies at once and only slowly less so will not get there
LONGER, SHORTER, DEAD = 1.5, 0.5, 0.1  # agent's length / expert's
STUCK = 2.0  # length / the shortest so far; 13 and more in healthy runs, which leave it early
MOST = 0.5  # share of episodes that end in a terminal state


@dataclass(frozen=True)
class ExpertFacts:
    """How the demonstrations' episodes end; None: nobody knows."""

    mean_length: float | None = None  # steps
    terminal_share: float | None = None  # 0 to 1: ended in a terminal state, not at a time limit


def expert_facts(demonstrations: Sequence[Trajectory] | Transitions) -> ExpertFacts:
    """Read off trajectories; `Transitions` do not tell where episodes began.

    A file that does not know how episodes ended marks none as terminal, which silences as well.
    """
    if isinstance(demonstrations, Transitions) or not demonstrations:
        return ExpertFacts()
    lengths = [len(trajectory) for trajectory in demonstrations]
    terminal = [trajectory.terminal for trajectory in demonstrations]
    return ExpertFacts(float(np.mean(lengths)), float(np.mean(terminal)))


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of GAIL: a rollout, the discriminator's updates, the generator's."""

    progress: float  # 0 to 1, of learn()
    accuracy_expert: float  # 0 to 1, mean over the round's updates; nan if there were none
    accuracy_agent: float
    reward_min: float  # of the rollout's learned rewards
    reward_max: float
    agent_length: float | None  # steps, mean over episodes that ended lately; None: none ended
    agent_terminal_share: float | None  # 0 to 1, of these episodes: not ended by a time limit
    expert: ExpertFacts


def _saturated(now: Round, shortest: float) -> bool:
    return now.accuracy_expert > SATURATED and now.accuracy_agent > SATURATED


def _separated(now: Round, shortest: float) -> bool:
    return now.accuracy_expert >= SEPARATED and now.accuracy_agent >= SEPARATED


def _length_ratio(now: Round) -> float:
    """Agent's length / expert's; nan, which compares as false, where one of them is not known."""
    expert = now.expert.mean_length
    # One step: picked out of an episode, whose length nobody has kept.
    if now.agent_length is None or expert is None or expert <= 1:
        return float("nan")
    return now.agent_length / expert


def _stuck(now: Round, shortest: float) -> bool:
    return now.agent_length is not None and now.agent_length < STUCK * shortest


def _lingers(now: Round, shortest: float) -> bool:
    expert_ends = (now.expert.terminal_share or 0.0) >= MOST
    # "Positive" with the zeros that float32 makes of a sure discriminator's smallest rewards.
    positive = now.reward_min >= 0 and now.reward_max > 0
    return positive and expert_ends and _length_ratio(now) > LONGER


def _flees(now: Round, shortest: float) -> bool:
    # Under half the expert's length is many a healthy Hopper for two thirds of its run; but its
    # episodes have grown, where one that is paid for ending them stays near its shortest.
    agent_ends = (now.agent_terminal_share or 0.0) >= MOST
    negative = now.reward_max <= 0 and now.reward_min < 0
    return negative and agent_ends and _length_ratio(now) < SHORTER and _stuck(now, shortest)


def _dead(now: Round, shortest: float) -> bool:
    # Slow tasks (a Humanoid) start below a tenth and may be growing out of it.
    return _length_ratio(now) < DEAD and (_stuck(now, shortest) or now.progress > LATE)


class _Kind(NamedTuple):
    name: str
    holds: Callable[[Round, float], bool]  # of the round and the agent's shortest mean length
    after: float  # of learn()
    lasting: float  # of learn()
    unless: str | None  # a kind that, once given, says the same and more
    text: str  # a template, `r` is the Round


_ACCURACIES = "discriminator/accuracy_expert and discriminator/accuracy_agent"

_KINDS = (
    _Kind(
        *("saturated", _saturated, YOUNG, MIN_LASTING, None),
        f"the discriminator is saturated: {_ACCURACIES} stay above {SATURATED}, so the reward is "
        "nearly flat and the generator learns nothing from it; raise gradient_penalty, lower "
        "n_discriminator_updates or discriminator_learning_rate, and check that the "
        "demonstrations come from this environment (another scale of actions or observations is "
        "told apart at once)",
    ),
    _Kind(
        *("survival", _lingers, GROWN, MIN_LASTING, None),
        "the reward pays for not finishing: all learned rewards are positive, and episodes "
        "(rollout/ep_len_mean {r.agent_length:.0f}) outlast the expert's, which end by themselves "
        'after {r.expert.mean_length:.0f} steps; set reward_form="log_d" (each step costs) or '
        '"airl" (of either sign)',
    ),
    _Kind(
        *("suicide", _flees, GROWN, MIN_LASTING, None),
        "the reward pays for ending the episode: all learned rewards are negative, and episodes "
        "(rollout/ep_len_mean {r.agent_length:.0f}) stay near the shortest that the agent has had, "
        "far below the expert's {r.expert.mean_length:.0f} steps; set "
        'reward_form="gail" (each step pays) or "airl" (of either sign)',
    ),
    _Kind(
        *("never_matched", _separated, YOUNG, NEVER_LASTING, "saturated"),
        f"the expert is not matched: {_ACCURACIES} have not fallen below {SEPARATED} for half of "
        "the run; learn for more steps, check that the demonstrations come from this "
        "environment, lower n_discriminator_updates or raise gradient_penalty",
    ),
    _Kind(
        *("dead", _dead, GROWN, MIN_LASTING, "suicide"),
        "episodes end almost at once: rollout/ep_len_mean is {r.agent_length:.0f}, under a tenth "
        "of the expert's {r.expert.mean_length:.0f} steps, so the agent never meets most of what "
        "it should imitate; check that the demonstrations come from this environment (their "
        "actions, replayed from their starts, should not fail in it), lower learning_rate, and "
        'unless it is that, set reward_form="gail", which pays for each step',
    ),
)


class Signals:
    """Watches the rounds of a run; each kind of signal is given at most once in its life."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._streaks: dict[str, tuple[int, float]] = {}  # rounds on end, progress at the first
        self._progress = 0.0
        self._shortest = float("inf")  # agent's mean episode length, steps

    def update(self, now: Round) -> list[str]:
        """What has just become clear: new messages of one line each, mostly none."""
        if now.progress < self._progress:  # another learn(): its shares are of another whole
            self._streaks.clear()
        self._progress = now.progress
        if now.agent_length is not None:
            self._shortest = min(self._shortest, now.agent_length)
        return [kind.text.format(r=now) for kind in _KINDS if self._is_new(kind, now)]

    def _is_new(self, kind: _Kind, now: Round) -> bool:
        if not kind.holds(now, self._shortest):
            self._streaks.pop(kind.name, None)
            return False
        rounds, since = self._streaks.get(kind.name, (0, now.progress))
        self._streaks[kind.name] = (rounds + 1, since)
        lasts = rounds + 1 >= MIN_ROUNDS and now.progress - since >= kind.lasting
        if not lasts or now.progress <= kind.after or self._given & {kind.name, kind.unless}:
            return False
        self._given.add(kind.name)
        return True
