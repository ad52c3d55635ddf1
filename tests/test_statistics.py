"""The aggregates of a comparison: by hand, and against rliable's recorded numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sb3_gail_ext.comparison.statistics import (
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)

REFERENCE = Path(__file__).parent / "reference" / "rliable.json"


@pytest.fixture(scope="module")
def rliable() -> dict[str, Any]:
    """rliable 1.2 on six runs of three tasks, 50,000 resamples; it was given `x` and `y`."""
    content: dict[str, Any] = json.loads(REFERENCE.read_text())
    return content


def groups(scores: list[list[float]]) -> list[np.ndarray]:
    """rliable's (runs, tasks) as one array a task."""
    return list(np.array(scores).T)


# --- Against rliable ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["x", "y"])
def test_the_interquartile_mean_is_rliables(rliable: dict[str, Any], method: str) -> None:
    value, low, high = rliable["iqm"][method]
    estimate = interquartile_mean(groups(rliable[method]))
    assert estimate.value == pytest.approx(value, abs=1e-12)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.012)


def test_the_probability_of_improvement_is_rliables(rliable: dict[str, Any]) -> None:
    value, low, high = rliable["probability"]
    estimate = probability_of_improvement(groups(rliable["x"]), groups(rliable["y"]))
    assert estimate.value == pytest.approx(value, abs=1e-12)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.02)


def test_the_performance_profile_is_rliables(rliable: dict[str, Any]) -> None:
    profile = performance_profile(groups(rliable["x"]), np.array(rliable["taus"]))
    np.testing.assert_allclose(profile.share, rliable["profile"], atol=1e-12)
    step = 1 / 18  # of 18 runs
    np.testing.assert_allclose(profile.low, rliable["profile_low"], atol=step + 1e-9)
    np.testing.assert_allclose(profile.high, rliable["profile_high"], atol=step + 1e-9)


# --- By hand -----------------------------------------------------------------------------------


def test_a_quarter_of_the_runs_is_left_out_at_each_end() -> None:
    scores = [np.array([0.0, 1.0, 2.0, 3.0]), np.array([10.0, 11.0, 12.0, 100.0])]
    assert interquartile_mean(scores).value == (2 + 3 + 10 + 11) / 4


def test_a_resample_has_as_many_runs_of_each_task_as_there_are() -> None:
    """Drawn from all runs together, the interval would reach from 0 to 1."""
    scores = [np.zeros(5), np.array([1.0, 1.0, 1.0, 1.0, 1.001])]
    estimate = interquartile_mean(scores)
    assert 0.49 < estimate.low <= estimate.high < 0.51


def test_ties_count_half() -> None:
    ours, theirs = [np.array([1.0, 2.0])], [np.array([1.0, 0.0])]
    assert probability_of_improvement(ours, theirs).value == (0.5 + 1 + 1 + 1) / 4


def test_tasks_weigh_alike() -> None:
    ours = [np.array([1.0, 1.0]), np.array([0.0, 0.0])]
    theirs = [np.array([0.0, 0.0]), np.array([1.0, 1.0])]
    assert probability_of_improvement(ours, theirs).value == 0.5


def test_equal_runs_have_an_interval_of_no_width() -> None:
    estimate = interquartile_mean([np.full(5, 0.7)])
    assert estimate.value == pytest.approx(0.7)
    assert estimate.low == estimate.value == estimate.high


def test_one_run_is_refused() -> None:
    with pytest.raises(ValueError, match="two seeds or more"):
        interquartile_mean([np.array([1.0, 2.0]), np.array([1.0])])
    with pytest.raises(ValueError, match="two seeds or more"):
        probability_of_improvement([np.array([1.0])], [np.array([1.0, 2.0])])


def test_different_numbers_of_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="1 tasks against 2"):
        probability_of_improvement([np.ones(2)], [np.ones(2), np.ones(2)])


def test_the_same_runs_give_the_same_interval() -> None:
    scores = [np.random.default_rng(0).random(6)]
    assert interquartile_mean(scores) == interquartile_mean(scores)


@given(st.lists(st.lists(st.floats(-1, 2), min_size=2, max_size=6), min_size=1, max_size=3))
def test_an_interval_lies_among_the_scores(scores: list[list[float]]) -> None:
    drawn = [np.array(group) for group in scores]
    estimate = interquartile_mean(drawn)
    every = np.concatenate(drawn)
    assert every.min() - 1e-9 <= estimate.low <= estimate.high <= every.max() + 1e-9
