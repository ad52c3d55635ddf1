"""Demonstration datasets that are folders: `imitation`'s and Minari's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext import DemonstrationError, load_demonstrations, save_demonstrations
from sb3_gail_ext.demonstrations.ends import end_of, infos_of_end

Ends = dict[str, Any]
DTYPES = (np.float32, np.float64, np.float16, np.uint8, np.int64, np.bool_)
QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def trajectory(n_steps: int = 3, **changed: Any) -> TrajectoryWithRew:
    rng = np.random.default_rng(n_steps)
    given: dict[str, Any] = {
        "obs": rng.normal(size=(n_steps + 1, 2)).astype(np.float32),
        "acts": rng.normal(size=(n_steps, 1)),
        "rews": rng.normal(size=n_steps),
        "infos": None,
        "terminal": True,
    }
    return TrajectoryWithRew(**(given | changed))


def assert_same(left: TrajectoryWithRew, right: TrajectoryWithRew) -> None:
    """Equal to the bit, dtypes included, and ended alike."""
    for name in ("obs", "acts", "rews"):
        a, b = getattr(left, name), getattr(right, name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert end_of(left) == end_of(right)


def refused(path: Path, *words: str) -> None:
    """Loading raises one line that names the folder and every one of `words`."""
    with pytest.raises(DemonstrationError) as caught:
        load_demonstrations(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message


@st.composite
def trajectories(draw: st.DrawFn) -> list[TrajectoryWithRew]:
    """Of any dtypes, shapes and ends, all of one environment."""
    obs_dtype, act_dtype = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(DTYPES))
    rew_dtype = draw(st.sampled_from([np.float32, np.float64]))
    obs_shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=3))
    act_shape = draw(st.sampled_from([(), (2,), (2, 1)]))

    def array(dtype: Any, *shape: int) -> np.ndarray:
        elements = hnp.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
        return draw(hnp.arrays(dtype, shape, elements=elements))

    def episode(n: int, end: str) -> TrajectoryWithRew:
        return TrajectoryWithRew(
            obs=array(obs_dtype, n + 1, *obs_shape),
            acts=array(act_dtype, n, *act_shape),
            infos=infos_of_end(
                n, time_limit=end == "time limit", terminal_next=end == "terminal_next"
            ),
            terminal=end == "terminal",
            rews=array(rew_dtype, n),
        )

    ends = st.sampled_from(["terminal", "time limit", "terminal_next", "unknown"])
    return [
        episode(length, draw(ends))
        for length in draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    ]


# --- imitation ---------------------------------------------------------------------------------


@given(episodes=trajectories())
@QUICK
def test_an_imitation_dataset_loads_equal_to_the_bit(
    tmp_path: Path, episodes: list[TrajectoryWithRew]
) -> None:
    save_demonstrations(tmp_path / "x", episodes, format="imitation")
    loaded = load_demonstrations(tmp_path / "x")
    for before, after in zip(episodes, loaded, strict=True):
        assert_same(before, after)
        assert before.terminal == after.terminal


# --- Minari ------------------------------------------------------------------------------------


@given(episodes=trajectories())
@QUICK
def test_a_minari_dataset_loads_equal_to_the_bit(
    tmp_path: Path, episodes: list[TrajectoryWithRew]
) -> None:
    save_demonstrations(tmp_path / "x-v0", episodes, format="minari")
    loaded = load_demonstrations(tmp_path / "x-v0")
    for before, after in zip(episodes, loaded, strict=True):
        assert_same(before, after)
        assert before.terminal == after.terminal
