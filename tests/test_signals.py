"""Signals during training: each fires once on its own trouble, none in a healthy run."""

import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imitation.data.rollout import flatten_trajectories
from imitation.data.types import TrajectoryWithRew

import sb3_gail_ext as sg
from sb3_gail_ext.algorithms.constant_reward import ConstantReward, compare_with_constant
from sb3_gail_ext.algorithms.signals import (
    ExpertFacts,
    Round,
    Signals,
    expert_facts,
)
from sb3_gail_ext.demonstrations.sampling import subsample_trajectories
from sb3_gail_ext.presets.signatures import arguments_of
from sb3_gail_ext.rewards.objectives import REWARD_FORMS

TO_TIME_LIMIT = ExpertFacts(mean_length=1000.0, terminal_share=0.0)
TO_GOAL = ExpertFacts(mean_length=100.0, terminal_share=1.0)
POSITIVE = {"reward_min": 0.1, "reward_max": 2.0}
NEGATIVE = {"reward_min": -2.0, "reward_max": -0.1}

Facts = dict[str, Any]
approx: Any = pytest.approx  # may stand where a number does

HEALTHY: Facts = {
    "accuracy_expert": 0.7,
    "accuracy_agent": 0.6,
    "reward_min": -1.0,
    "reward_max": 1.0,
    "agent_length": 900.0,
    "agent_terminal_share": 0.2,
    "expert": TO_TIME_LIMIT,
}
# What is wrong in a run that is healthy otherwise, and the one message it must give.
BAD: dict[str, tuple[Facts, str]] = {
    "saturated": ({"accuracy_expert": 0.995, "accuracy_agent": 1.0}, "saturated"),
    "survival": (
        {**POSITIVE, "agent_length": 160.0, "expert": TO_GOAL},
        "pays for not finishing",
    ),
    "suicide": (
        {**NEGATIVE, "agent_length": 480.0, "agent_terminal_share": 0.9},
        "pays for ending",
    ),
    "never matched": ({"accuracy_expert": 0.95, "accuracy_agent": 0.9}, "not matched"),
    "dead": ({"agent_length": 8.0}, "end almost at once"),
}
bad = pytest.mark.parametrize(("facts", "says"), BAD.values(), ids=BAD)


def play(
    facts: Facts | Callable[[float], Facts],
    n_rounds: int = 300,
    until: float = 1.0,
    signals: Signals | None = None,
) -> list[tuple[float, str]]:
    """Progress and text of each message of a run whose rounds are `HEALTHY` but for `facts`."""
    signals = signals or Signals()
    messages = []
    for progress in np.arange(1, n_rounds + 1) / n_rounds:
        if progress > until:
            break
        special = facts(progress) if callable(facts) else facts
        now = Round(progress=float(progress), **{**HEALTHY, **special})
        messages += [(float(progress), text) for text in signals.update(now)]
    return messages


def texts(*args: Any, **kwargs: Any) -> list[str]:
    return [text for _, text in play(*args, **kwargs)]


def learning_hopper(progress: float) -> Facts:
    """A run like those measured on Hopper, as slow as the slowest of them at each point."""
    points = [0.0, 0.02, 0.4, 1.0]
    return {
        "agent_length": float(np.interp(progress, [0, 0.1, 0.3, 1.0], [4, 60, 250, 500])),
        "agent_terminal_share": 1.0,
        "accuracy_expert": float(np.interp(progress, points, [0.7, 0.97, 0.9, 0.75])),
        "accuracy_agent": float(np.interp(progress, points, [0.7, 0.98, 0.9, 0.75])),
    }


# --- Each trouble gives its line, once ---------------------------------------------------------


@bad
def test_trouble_gives_its_one_line_once(facts: Facts, says: str) -> None:
    messages = texts(facts)
    assert len(messages) == 1
    assert says in messages[0]


@bad
def test_message_is_one_line_without_gaps_and_numbers_are_filled_in(
    facts: Facts, says: str
) -> None:
    (message,) = texts(facts)
    assert message.isprintable()
    assert not re.search(r"  |[{}]|nan|None", message)
    assert re.search("discriminator/accuracy_|rollout/ep_len_mean", message)


@bad
def test_cure_names_arguments_that_exist(facts: Facts, says: str) -> None:
    (message,) = texts(facts)
    without_keys = re.sub(r"\w+/\w+", "", message)
    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", without_keys))
    forms = set(re.findall(r'"(\w+)"', message))
    assert named
    assert named - forms <= set(arguments_of(sg.GAIL))
    assert forms <= set(REWARD_FORMS)


def test_messages_give_the_lengths() -> None:
    for kind, agent, expert in (
        ("survival", "160", "100"),
        ("suicide", "480", "1000"),
        ("dead", "8", "1000"),
    ):
        (message,) = texts(BAD[kind][0])
        assert f"rollout/ep_len_mean {agent}" in message.replace("is ", "")
        assert f"{expert} steps" in message


def test_signals_come_when_they_may() -> None:
    """With 1,000 rounds: after the young phase; never matched, once half the run was lost."""
    when = {kind: play(facts, n_rounds=1000)[0][0] for kind, (facts, _) in BAD.items()}
    expected = {"saturated": 0.1, "survival": 0.3, "suicide": 0.3, "dead": 0.3}
    expected["never matched"] = 0.501  # 0.5 after the first round, which ends at 0.001
    assert when == approx(expected, abs=0.0015)


@bad
def test_given_signals_stay_given_in_later_and_in_saved_runs(facts: Facts, says: str) -> None:
    signals = Signals()
    assert len(texts(facts, signals=signals)) == 1
    saved = pickle.loads(pickle.dumps(signals))  # as SB3 saves an attribute of a model
    assert texts(facts, signals=signals) == []
    assert texts(facts, signals=saved) == []


def test_two_troubles_give_two_lines() -> None:
    facts = {**BAD["saturated"][0], **BAD["survival"][0]}
    assert ["saturated" in text for text in texts(facts)] == [True, False]


def test_a_suicidal_agent_is_not_called_dead_as_well() -> None:
    (message,) = texts({**BAD["suicide"][0], "agent_length": 8.0})
    assert BAD["suicide"][1] in message


def test_an_agent_that_learned_and_then_gave_itself_up_is_suicidal() -> None:
    def gives_up(progress: float) -> Facts:
        length = float(np.interp(progress, [0, 0.3, 0.5], [20, 300, 25]))
        return {**NEGATIVE, "agent_length": length, "agent_terminal_share": 1.0}

    ((when, message),) = play(gives_up)
    assert BAD["suicide"][1] in message
    assert when > 0.5


def test_rewards_that_round_to_zero_keep_their_sign() -> None:
    assert len(texts({**BAD["survival"][0], "reward_min": 0.0})) == 1
    assert len(texts({**BAD["suicide"][0], "reward_max": 0.0})) == 1
    for kind in ("survival", "suicide"):
        assert texts({**BAD[kind][0], "reward_min": 0.0, "reward_max": 0.0}) == []


# --- Silence -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rewards", [POSITIVE, NEGATIVE, {}], ids=["gail", "log_d", "airl or fairl"]
)
def test_healthy_hopper_is_silent(rewards: Facts) -> None:
    assert texts(lambda progress: {**learning_hopper(progress), **rewards}) == []


@bad
def test_a_young_run_is_silent(facts: Facts, says: str) -> None:
    assert texts(facts, n_rounds=1000, until=0.1) == []


@bad
def test_a_run_of_few_rounds_is_silent(facts: Facts, says: str) -> None:
    assert texts(facts, n_rounds=19) == []
    assert len(texts(facts, n_rounds=20)) == 1


@bad
def test_many_tiny_rounds_are_no_long_time(facts: Facts, says: str) -> None:
    """A2C's: 0.04 of a run, late in it, are hundreds of rounds."""
    assert texts(lambda p: facts if 0.8 < p < 0.84 else {}, n_rounds=10_000) == []


@bad
def test_trouble_that_lets_go_now_and_then_is_silent(facts: Facts, says: str) -> None:
    assert texts(lambda p: {} if round(p * 300) % 20 == 0 else facts) == []


@bad
def test_time_is_counted_within_one_learn(facts: Facts, says: str) -> None:
    """A second learn() starts at 0 again, and with it the time that a trouble has lasted."""
    signals = Signals()
    assert texts(lambda p: facts if p > 0.97 else {}, signals=signals) == []
    ((when, _),) = play(facts, signals=signals)
    assert when == approx(play(facts)[0][0])


@pytest.mark.parametrize(
    ("kind", "but"),
    [
        ("saturated", {"accuracy_expert": 0.85}),
        ("saturated", {"accuracy_agent": 0.85}),
        ("saturated", {"accuracy_expert": float("nan")}),
        ("saturated", {"accuracy_agent": float("nan")}),
        ("never matched", {"accuracy_expert": 0.899}),
        ("never matched", {"accuracy_agent": 0.899}),
        ("survival", {"reward_min": -0.01}),
        ("survival", {"agent_length": 149.0}),
        ("survival", {"expert": ExpertFacts(100.0, 0.49)}),
        ("survival", {"expert": ExpertFacts(100.0, None)}),
        ("suicide", {"reward_max": 0.01}),
        ("suicide", {"agent_length": 501.0}),
        ("suicide", {"agent_terminal_share": 0.49}),
        ("suicide", {"agent_terminal_share": None}),
        ("dead", {"agent_length": 101.0}),
    ],
)
def test_one_condition_short_is_silent(kind: str, but: Facts) -> None:
    assert texts({**BAD[kind][0], **but}) == []


@pytest.mark.parametrize("kind", ["survival", "suicide", "dead"])
@pytest.mark.parametrize(
    "unknown",
    [
        {"agent_length": None},
        {"expert": ExpertFacts(None, 1.0)},
        {"expert": ExpertFacts(1.0, 1.0)},  # steps picked out of episodes
    ],
    ids=["no episode has ended", "expert's length unknown", "one-step demonstrations"],
)
def test_unknown_lengths_are_silent(kind: str, unknown: Facts) -> None:
    # As short as an episode can be, for the expert of length 1.
    assert texts({**BAD[kind][0], **unknown}) == []


def test_an_expert_that_is_unmatched_for_less_than_half_the_run_is_silent() -> None:
    facts, _ = BAD["never matched"]
    assert texts(lambda p: facts if 0.3 < p < 0.79 else {}) == []


def test_an_agent_that_grows_is_not_suicidal() -> None:
    def grows(progress: float) -> Facts:
        length = 20 + 200 * progress
        return {**NEGATIVE, "agent_length": length, "agent_terminal_share": 1.0}

    assert texts(grows) == []


def test_short_but_growing_episodes_are_dead_only_late() -> None:
    def grows(progress: float, by: float) -> Facts:
        return {"agent_length": 20 + by * progress}

    assert texts(lambda p: grows(p, 170)) == []  # leaves a tenth of the expert's before half time
    ((when, _),) = play(lambda p: grows(p, 70))
    assert when == approx(0.5 + 20 / 300, abs=0.005)  # has doubled, then lasted 20 rounds


unit = st.floats(0, 1)
rewards = st.floats(-5, 5)
lengths = st.none() | st.floats(1, 1e4)


@given(
    st.lists(
        st.builds(
            Round,
            progress=unit,
            accuracy_expert=unit | st.just(float("nan")),
            accuracy_agent=unit,
            reward_min=rewards,
            reward_max=rewards,
            agent_length=lengths,
            agent_terminal_share=st.none() | unit,
            expert=st.builds(ExpertFacts, lengths, st.none() | unit),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_round_repeated_gives_each_line_at_most_once(rounds: list[Round]) -> None:
    signals = Signals()
    told = [
        message
        for now in rounds
        for progress in np.linspace(now.progress, 1.0, 40)
        for message in signals.update(replace(now, progress=float(progress)))
    ]
    kinds = [message.split(":")[0] for message in told]
    assert len(set(kinds)) == len(kinds)


# --- Facts of the expert -----------------------------------------------------------------------


def trajectory(n: int, terminal: bool) -> TrajectoryWithRew:
    return TrajectoryWithRew(
        obs=np.zeros((n + 1, 2)),
        acts=np.zeros((n, 1)),
        infos=None,
        terminal=terminal,
        rews=np.zeros(n),
    )


def test_facts_are_read_off_trajectories() -> None:
    facts = expert_facts([trajectory(10, True), trajectory(20, False), trajectory(30, False)])
    assert facts == ExpertFacts(mean_length=20.0, terminal_share=approx(1 / 3))


def test_transitions_and_nothing_tell_nothing() -> None:
    assert expert_facts(flatten_trajectories([trajectory(10, True)])) == ExpertFacts()
    assert expert_facts([]) == ExpertFacts()


@pytest.mark.parametrize("kind", ["survival", "suicide", "dead"])
def test_subsampled_demonstrations_are_silent(kind: str) -> None:
    every = subsample_trajectories([trajectory(10, True)], 2, np.random.default_rng(0))
    assert texts({**BAD[kind][0], "expert": expert_facts(every), "agent_length": 2.0}) == []


# --- The constant reward -----------------------------------------------------------------------


def rollout(*envs: list[list[float]], begins_inside: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Rewards and starts (n_steps, n_envs) of each environment's episodes, one after another."""
    rewards = np.array([np.concatenate(episodes) for episodes in envs], np.float32).T
    starts = np.zeros(rewards.shape, np.float32)
    for env, episodes in enumerate(envs):
        starts[np.cumsum([0, *map(len, episodes)])[:-1], env] = 1.0
    if begins_inside:
        starts[0] = 0.0
    return rewards, starts


LAST = [0.0]  # never whole: nobody knows whether it ended


def test_a_constant_reward_explains_itself() -> None:
    episodes = [[-0.5] * n for n in range(1, 11)]
    # Lengths 1 to 10: mean 5.5, mean return -0.5 * 5.5.
    assert compare_with_constant(*rollout([*episodes, LAST])) == ConstantReward(
        share=approx(1.0), learned_return=-2.75, constant_return=-2.75, n_episodes=10
    )


def test_numbers_derived_by_hand() -> None:
    # Of five each:  length 1, return 1 (pay 1); length 3, returns 3, 3, 3, 9, 9 (pay 1 or 3).
    # Lengths: mean 2, deviations -1 and +1, sum of squares 10.
    # Returns: sum 5 + 27 = 32, mean 3.2; sum of squares 5 + 27 + 162 = 194, less 10 * 10.24: 91.6.
    # Products of deviations: 27 - 5 = 22.  R^2 = 22^2 / (10 * 91.6) = 484 / 916.
    # Pay per step: (5 * 1 + 3 * 1 + 2 * 3) / 10 = 1.4; constant's mean return 1.4 * 2 = 2.8.
    short, poor, rich = [1.0], [0.5, 1.0, 1.5], [3.0] * 3
    env_1 = [short, poor, short, rich, poor, LAST]  # 1 + 3 + 1 + 3 + 3 + 1 = 12 steps
    env_2 = [short, rich, short, poor, short, [0.0] * 3]  # 1 + 3 + 1 + 3 + 1 + 3
    assert compare_with_constant(*rollout(env_1, env_2)) == ConstantReward(
        share=approx(484 / 916),
        learned_return=approx(3.2),
        constant_return=approx(2.8),
        n_episodes=10,
    )


def test_equal_pay_for_any_length_leaves_no_gap_and_better_pay_for_longer_a_positive_one() -> None:
    equal = [[p] * n for p in (1.0, 2.0) for n in range(1, 7)]
    better = [[float(n)] * n for n in range(1, 13)]
    level = compare_with_constant(*rollout([*equal, LAST]))
    rising = compare_with_constant(*rollout([*better, LAST]))
    assert level is not None
    assert rising is not None
    assert level.learned_return == approx(level.constant_return)
    assert 0.1 < level.share < 0.9
    # Means of n^2 (54.17) and of n, squared (42.25), over 1 to 12.
    assert rising.learned_return == approx(650 / 12)
    assert rising.constant_return == approx(6.5**2)


def test_cut_episodes_are_left_out() -> None:
    whole = [[1.0] * n for n in range(1, 11)]
    enormous = [1e6] * 7
    result = compare_with_constant(*rollout([enormous, *whole, enormous], begins_inside=True))
    assert result == ConstantReward(approx(1.0), 5.5, 5.5, 10)


def test_episodes_do_not_run_on_into_the_next_environment() -> None:
    first = [[1.0] * n for n in range(1, 11)] + [[1e6] * 4]  # 59 steps; the last is cut
    second = [[1e6] * 3, [1e6] * 56]  # begins inside an episode; the last is cut
    rewards, starts = rollout(first, second)
    starts[0, 1] = 0.0
    assert compare_with_constant(rewards, starts) == ConstantReward(approx(1.0), 5.5, 5.5, 10)


@pytest.mark.parametrize(
    "episodes",
    [
        [[1.0] * n for n in range(1, 10)],  # nine
        [[float(pay)] * 3 for pay in range(12)],
        [[1.0 / n] * n for n in range(1, 13)],  # 1, but for float32's rounding
        [[0.0] * n for n in range(1, 13)],
        [],
    ],
    ids=["too few", "equal lengths", "equal returns", "zeros", "none"],
)
def test_nothing_to_compare_is_none(episodes: list[list[float]]) -> None:
    assert compare_with_constant(*rollout([*episodes, LAST])) is None


@given(st.integers(0, 2**32 - 1))
def test_agrees_with_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rewards = rng.normal(size=(60, 3)).astype(np.float32)
    starts = (rng.random((60, 3)) < 0.3).astype(np.float32)
    lengths, returns = [], []
    for env in range(3):
        at = np.flatnonzero(starts[:, env])
        for begin, end in pairwise(at):
            lengths.append(end - begin)
            returns.append(rewards[begin:end, env].astype(float).sum())
    result = compare_with_constant(rewards, starts)
    assert result is not None  # 54 episodes are expected, 10 are enough
    assert result.n_episodes == len(lengths)
    assert result.learned_return == approx(np.mean(returns))
    pay = np.mean(np.divide(returns, lengths))
    assert result.constant_return == approx(pay * np.mean(lengths))
    slope, offset = np.polyfit(lengths, returns, 1)
    left = np.var(np.subtract(returns, slope * np.array(lengths) + offset))
    assert result.share == approx(1 - left / np.var(returns), abs=1e-9)
