"""Demonstration files, their checks, subsampling, flattening and recording."""

import contextlib
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from demonstration_files import assert_same_arrays, refused
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from imitation.data.rollout import flatten_trajectories
from imitation.data.types import DictObs, Trajectory, TrajectoryWithRew, Transitions
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize

from sb3_gail_ext import (
    DemonstrationError,
    load_demonstrations,
    record_demonstrations,
    save_demonstrations,
)
from sb3_gail_ext.demonstrations.checks import check_fits_spaces
from sb3_gail_ext.demonstrations.files import load_metadata
from sb3_gail_ext.demonstrations.returns import returns
from sb3_gail_ext.demonstrations.sampling import TransitionBatch, flatten, subsample_trajectories

Factory = Callable[..., TrajectoryWithRew]
Arrays = dict[str, np.ndarray]


def assert_same(left: TrajectoryWithRew, right: TrajectoryWithRew) -> None:
    """Equal to the bit, and `terminal` alike."""
    assert_same_arrays(left, right)
    assert left.terminal == right.terminal


def chapter_arrays(n: int = 2, steps: int = 5) -> Arrays:
    """A sound file of four keys, as other projects write it: obs (n, steps, 3), acs 2-d."""
    rng = np.random.default_rng(0)
    rews = rng.normal(size=(n, steps))
    return {
        "ep_rets": rews.sum(1),
        "obs": rng.normal(size=(n, steps, 3)),
        "rews": rews,
        "acs": rng.uniform(-1, 1, size=(n, steps, 2)),
    }


def write(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **arrays)
    return path


# --- Round trips -------------------------------------------------------------------------------


@st.composite
def trajectories(draw: st.DrawFn) -> list[TrajectoryWithRew]:
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    obs_dim, act_dim = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    width = 32 if dtype is np.float32 else 64
    # Beyond these, sums of rewards overflow, which the file's check of returns would notice.
    floats = st.floats(-(2.0**60), 2.0**60, width=width)  # type: ignore[arg-type]

    def array(shape: tuple[int, ...]) -> np.ndarray:
        return draw(hnp.arrays(dtype, shape, elements=floats))

    return [
        TrajectoryWithRew(
            obs=array((length + 1, obs_dim)),
            acts=array((length, act_dim)),
            infos=None,
            terminal=draw(st.booleans()),
            rews=array((length,)),
        )
        for length in draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    ]


@given(episodes=trajectories())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_saved_file_loads_equal_to_the_bit(
    tmp_path: Path, episodes: list[TrajectoryWithRew]
) -> None:
    path = tmp_path / "expert.npz"
    save_demonstrations(path, episodes)
    loaded = load_demonstrations(path)
    assert len(loaded) == len(episodes)
    for before, after in zip(episodes, loaded, strict=True):
        assert_same(before, after)


def test_discrete_actions_round_trip(tmp_path: Path) -> None:
    episode = TrajectoryWithRew(
        obs=np.ones((4, 2), np.float32),
        acts=np.array([0, 1, 0]),
        infos=None,
        terminal=True,
        rews=np.ones(3),
    )
    save_demonstrations(tmp_path / "x.npz", [episode])
    assert_same(load_demonstrations(tmp_path / "x.npz")[0], episode)


def test_trailing_zero_steps_are_kept_because_lengths_are(tmp_path: Path) -> None:
    still = TrajectoryWithRew(
        obs=np.zeros((6, 2)), acts=np.zeros((5, 1)), infos=None, terminal=False, rews=np.zeros(5)
    )
    save_demonstrations(tmp_path / "x.npz", [still])
    assert_same(load_demonstrations(tmp_path / "x.npz")[0], still)


def test_a_saved_file_is_readable_by_the_chapters_code(
    tmp_path: Path, make_trajectory: Factory
) -> None:
    episodes = [make_trajectory(5), make_trajectory(3)]
    save_demonstrations(tmp_path / "x.npz", episodes)
    with np.load(tmp_path / "x.npz") as npz:
        assert npz["obs"].shape == (2, 5, 3)
        assert npz["acs"].shape == (2, 5, 2)
        np.testing.assert_allclose(npz["ep_rets"], npz["rews"].sum(1), rtol=1e-5)
        np.testing.assert_array_equal(npz["rews"][1, 3:], 0)


def test_episodes_of_two_precisions_share_a_file_without_loss(
    tmp_path: Path, make_trajectory: Factory
) -> None:
    episodes = [make_trajectory(4), make_trajectory(3, dtype=np.float64)]
    save_demonstrations(tmp_path / "x.npz", episodes)
    loaded = load_demonstrations(tmp_path / "x.npz")
    np.testing.assert_array_equal(loaded[1].obs, episodes[1].obs)
    np.testing.assert_array_equal(loaded[0].obs, episodes[0].obs)


def test_float32_returns_that_cancel_are_still_readable(tmp_path: Path) -> None:
    rews = np.tile(np.array([3e6, 0.123, -3e6, 0.1], np.float32), 100)
    episode = TrajectoryWithRew(
        obs=np.ones((401, 1)), acts=np.ones((400, 1)), infos=None, terminal=False, rews=rews
    )
    save_demonstrations(tmp_path / "x.npz", [episode])
    assert_same(load_demonstrations(tmp_path / "x.npz")[0], episode)


def test_metadata_round_trips_and_is_empty_elsewhere(
    tmp_path: Path, make_trajectory: Factory
) -> None:
    facts = {"env_id": "Hopper-v4", "seeds": [1, 2]}
    save_demonstrations(tmp_path / "x.npz", [make_trajectory(3)], metadata=facts)
    assert load_metadata(tmp_path / "x.npz") == facts
    assert load_metadata(write(tmp_path / "plain.npz", chapter_arrays())) == {}


# --- Files of other projects -------------------------------------------------------------------


def test_plain_file_loses_its_last_transition_and_invents_no_terminal(tmp_path: Path) -> None:
    arrays = chapter_arrays(n=2, steps=5)
    loaded = load_demonstrations(write(tmp_path / "x.npz", arrays))
    for row, episode in enumerate(loaded):
        assert episode.terminal is False
        np.testing.assert_array_equal(episode.obs, arrays["obs"][row])
        np.testing.assert_array_equal(episode.acts, arrays["acs"][row, :4])
        np.testing.assert_array_equal(episode.rews, arrays["rews"][row, :4])


@pytest.mark.parametrize("padding", [0.0, np.nan])
def test_padding_is_cut_off(tmp_path: Path, padding: float) -> None:
    arrays = chapter_arrays(n=3, steps=6)
    lengths = [6, 2, 4]
    for row, length in enumerate(lengths):
        arrays["ep_rets"][row] = arrays["rews"][row, :length].sum()
        for key in ("obs", "rews", "acs"):
            arrays[key][row, length:] = padding
    loaded = load_demonstrations(write(tmp_path / "x.npz", arrays))
    assert [len(episode.obs) for episode in loaded] == lengths
    assert [len(episode.acts) for episode in loaded] == [length - 1 for length in lengths]
    np.testing.assert_array_equal(loaded[1].obs, arrays["obs"][1, :2])


def test_a_choice_per_step_is_one_integer(tmp_path: Path) -> None:
    arrays = chapter_arrays()
    arrays["acs"] = np.arange(10).reshape(2, 5, 1)
    episode = load_demonstrations(write(tmp_path / "x.npz", arrays))[1]
    np.testing.assert_array_equal(episode.acts, [5, 6, 7, 8])


def test_integer_rewards_become_floats(tmp_path: Path) -> None:
    arrays = chapter_arrays()
    arrays["rews"] = np.arange(1, 11).reshape(2, 5)
    arrays["ep_rets"] = arrays["rews"].sum(1)
    episode = load_demonstrations(write(tmp_path / "x.npz", arrays))[0]
    np.testing.assert_array_equal(episode.rews, [1.0, 2.0, 3.0, 4.0])
    assert episode.rews.dtype == np.float64


# --- Bad files ---------------------------------------------------------------------------------


def changed(key: str, change: Callable[[np.ndarray], Any]) -> Callable[[Arrays], None]:
    def apply(arrays: Arrays) -> None:
        arrays[key] = change(arrays[key])

    return apply


def poisoned(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def poison(array: np.ndarray) -> np.ndarray:
        array[1, 2] = value
        return array

    return poison


BAD_ARRAYS = {
    "returns do not match": (changed("ep_rets", lambda a: a + 0.5), ("ep_rets", "rews")),
    "return is NaN": (changed("ep_rets", lambda a: a * np.nan), ("ep_rets",)),
    "NaN observation": (changed("obs", poisoned(np.nan)), ("obs", "episode 1", "step 2")),
    "infinite action": (changed("acs", poisoned(np.inf)), ("acs", "episode 1", "step 2")),
    "NaN reward": (changed("rews", poisoned(np.nan)), ("rews", "episode 1", "step 2")),
    "obs of two dimensions": (changed("obs", lambda a: a[:, :, 0]), ("obs", "(2, 5)")),
    "real actions of two dimensions": (changed("acs", lambda a: a[:, :, 0]), ("acs", "(2, 5)")),
    "rews of three dimensions": (changed("rews", lambda a: a[:, :, None]), ("rews",)),
    "ep_rets of two dimensions": (changed("ep_rets", lambda a: a[:, None]), ("ep_rets",)),
    "ep_rets a number": (changed("ep_rets", lambda a: a[0]), ("ep_rets",)),
    "fewer returns": (changed("ep_rets", lambda a: a[:1]), ("ep_rets", "(1,)")),
    "fewer steps of actions": (changed("acs", lambda a: a[:, :4]), ("acs", "(2, 4, 2)")),
    "fewer episodes of rewards": (changed("rews", lambda a: a[:1]), ("rews", "(1, 5)")),
    "text": (changed("acs", lambda a: a.astype(str)), ("acs", "dtype")),
    "complex numbers": (changed("obs", lambda a: a.astype(complex)), ("obs", "dtype")),
    "objects": (changed("obs", lambda a: np.full(a.shape, None)), ("obs", "lists of numbers")),
}


@pytest.mark.parametrize(("change", "words"), BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys())
def test_bad_arrays_are_named(
    tmp_path: Path, change: Callable[[Arrays], None], words: tuple[str, ...]
) -> None:
    arrays = chapter_arrays()
    assert load_demonstrations(write(tmp_path / "good.npz", arrays))
    change(arrays)
    refused(write(tmp_path / "bad.npz", arrays), *words)


@pytest.mark.parametrize("key", ["obs", "acs"])
def test_a_missing_array_is_named(tmp_path: Path, key: str) -> None:
    arrays = chapter_arrays()
    del arrays[key]
    refused(write(tmp_path / "x.npz", arrays), f"no array {key};")


@pytest.mark.parametrize(("n", "steps"), [(0, 5), (2, 0)])
def test_a_file_without_steps_is_refused(tmp_path: Path, n: int, steps: int) -> None:
    refused(write(tmp_path / "x.npz", chapter_arrays(n, steps)), "obs", "no steps")


def test_an_episode_of_padding_alone_is_refused(tmp_path: Path) -> None:
    arrays = chapter_arrays()
    for array in arrays.values():
        array[1] = 0.0
    refused(write(tmp_path / "x.npz", arrays), "episode 1 has 0 steps")


BAD_OPTIONAL_ARRAYS = {
    "too short": ("lengths", np.array([0]), "0"),
    "negative": ("lengths", np.array([-1]), "-1"),
    "too long": ("lengths", np.array([6]), "6"),
    "real lengths": ("lengths", np.array([5.0]), "float64"),
    "lengths of two dimensions": ("lengths", np.array([[5]]), "(1, 1)"),
    "terminal of two dimensions": ("terminal", np.array([[True]]), "(1, 1)"),
    "final_obs of another environment": ("final_obs", np.zeros((1, 4)), "(1, 4)"),
    "final_obs of three dimensions": ("final_obs", np.zeros((1, 3, 1)), "(1, 3, 1)"),
    "final_obs NaN": ("final_obs", np.full((1, 3), np.nan, np.float32), "not finite"),
    "final_obs of another type": ("final_obs", np.zeros((1, 3), int), "int64"),
}


@pytest.mark.parametrize(
    ("key", "array", "word"), BAD_OPTIONAL_ARRAYS.values(), ids=BAD_OPTIONAL_ARRAYS.keys()
)
def test_bad_optional_arrays_are_named(
    tmp_path: Path, make_trajectory: Factory, key: str, array: np.ndarray, word: str
) -> None:
    path = tmp_path / "x.npz"
    save_demonstrations(path, [make_trajectory(5)])
    with np.load(path) as npz:
        arrays = dict(npz)
    name = "episode 0" if word.lstrip("-").isdigit() else key
    refused(write(path, {**arrays, key: array}), name, word)


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent.npz", "no such file")
    refused(tmp_path, "no demonstrations of a known format", "found nothing")
    text = tmp_path / "text.npz"
    text.write_text("hello")
    refused(text, "not an .npz archive")
    empty = tmp_path / "empty.npz"
    empty.write_bytes(b"")
    refused(empty, "not an .npz archive")
    np.save(tmp_path / "single.npy", np.zeros(3))
    refused(tmp_path / "single.npy", "not an .npz archive")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("obs", "not an array")
    refused(tmp_path / "other.zip", "no array")


@pytest.fixture(scope="session", params=["compressed", "stored"])
def good_bytes(
    request: pytest.FixtureRequest, tmp_path_factory: Any, make_trajectory: Factory
) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.npz"
    save_demonstrations(path, [make_trajectory(9), make_trajectory(5, terminal=True)])
    if request.param == "stored":
        with np.load(path) as npz:
            write(path, dict(npz))
    return path.read_bytes()


def test_a_file_cut_anywhere_is_refused(tmp_path: Path, good_bytes: bytes) -> None:
    path = tmp_path / "cut.npz"
    for end in range(0, len(good_bytes), max(len(good_bytes) // 60, 1)):
        path.write_bytes(good_bytes[:end])
        refused(path)


@given(data=st.data())
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_bytes_never_raise_anything_else(
    tmp_path: Path, good_bytes: bytes, data: st.DataObject
) -> None:
    content = bytearray(good_bytes)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.npz"
    path.write_bytes(content)
    for read in (load_demonstrations, load_metadata):
        with contextlib.suppress(DemonstrationError):
            read(path)


class Malicious:
    """Its pickle creates a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("key", ["obs", "lengths", "final_obs", "terminal", "metadata"])
def test_no_pickle_is_ever_executed(tmp_path: Path, key: str) -> None:
    target = tmp_path / "executed"
    evil = np.array([[[Malicious(target)]]], dtype=object)
    path = write(tmp_path / "x.npz", {**chapter_arrays(), key: evil})
    for read in (load_demonstrations, load_metadata):
        with contextlib.suppress(DemonstrationError):
            read(path)
    assert not target.exists()
    with np.load(path, allow_pickle=True) as npz:
        npz[key]
    assert target.exists()  # the file was a real threat


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "executed"
    stream = io.BytesIO()
    np.save(stream, np.array(Malicious(target), dtype=object), allow_pickle=True)
    (tmp_path / "x.npz").write_bytes(stream.getvalue())
    refused(tmp_path / "x.npz")
    assert not target.exists()


# --- Writing -----------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, make_trajectory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.npz"
    save_demonstrations(path, [make_trajectory(4)])
    before = path.read_bytes()

    def disk_full(file: Any, **_: Any) -> None:
        file.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez_compressed", disk_full)
    with pytest.raises(OSError, match="no space left"):
        save_demonstrations(path, [make_trajectory(8)])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


def test_what_does_not_fit_the_format_is_not_written(
    tmp_path: Path, make_trajectory: Factory
) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(DemonstrationError, match="no trajectories"):
        save_demonstrations(path, [])
    with pytest.raises(DemonstrationError, match="obs of the trajectories differ in shape"):
        save_demonstrations(path, [make_trajectory(3), make_trajectory(3, obs_dim=4)])
    with pytest.raises(DemonstrationError, match="acts of the trajectories differ in shape"):
        save_demonstrations(path, [make_trajectory(3), make_trajectory(3, act_dim=1)])
    with pytest.raises(DemonstrationError, match="known: chapter"):
        save_demonstrations(path, [make_trajectory(3)], format="csv")
    with pytest.raises(TypeError):
        save_demonstrations(path, [make_trajectory(3)], metadata={"a": object()})
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DemonstrationError, match="known: chapter"):
        load_demonstrations(tmp_path / "x.npz", format="hdf5")


# --- limit, subsample, seed --------------------------------------------------------------------


@pytest.fixture
def ten_episodes(tmp_path: Path, make_trajectory: Factory) -> Path:
    path = tmp_path / "ten.npz"
    save_demonstrations(path, [make_trajectory(3 + n, terminal=True) for n in range(10)])
    return path


def lengths(episodes: list[TrajectoryWithRew]) -> list[int]:
    return [len(episode) for episode in episodes]


def test_limit_without_seed_takes_the_first(ten_episodes: Path) -> None:
    assert lengths(load_demonstrations(ten_episodes, limit=4)) == [3, 4, 5, 6]


def test_limit_with_seed_draws_distinct_episodes_repeatably(ten_episodes: Path) -> None:
    draws = [lengths(load_demonstrations(ten_episodes, limit=4, seed=s)) for s in range(8)]
    assert draws[0] == lengths(load_demonstrations(ten_episodes, limit=4, seed=0))
    assert all(len(set(draw)) == 4 for draw in draws)
    assert len({tuple(draw) for draw in draws}) > 1


@pytest.mark.parametrize("limit", [-1, 0, 11, 2.5, True])
def test_impossible_limits_are_refused(ten_episodes: Path, limit: int) -> None:
    with pytest.raises(DemonstrationError, match=f"limit is {limit}.*holds 10 episodes"):
        load_demonstrations(ten_episodes, limit=limit)


@pytest.mark.parametrize("subsample", [0, -3, 1.5, True])
def test_impossible_subsampling_is_refused(ten_episodes: Path, subsample: int) -> None:
    with pytest.raises(DemonstrationError, match=f"subsample is {subsample}"):
        load_demonstrations(ten_episodes, subsample=subsample)


@given(length=st.integers(1, 40), every=st.integers(2, 50), seed=st.integers(0, 1000))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_subsampling_keeps_every_nth_transition_with_its_true_successor(
    make_trajectory: Factory, length: int, every: int, seed: int
) -> None:
    episode = make_trajectory(length, terminal=True)
    kept = subsample_trajectories([episode], every, np.random.default_rng(seed))
    steps = [int(np.flatnonzero((episode.acts == one.acts[0]).all(1))[0]) for one in kept]
    assert 0 <= steps[0] < every
    assert steps == list(range(steps[0], length, every))
    for step, one in zip(steps, kept, strict=True):
        np.testing.assert_array_equal(one.obs, episode.obs[step : step + 2])
        np.testing.assert_array_equal(one.rews, episode.rews[step : step + 1])
        assert one.terminal == (step == length - 1)


def test_subsampling_offsets_follow_the_seed(ten_episodes: Path) -> None:
    def first_acts(seed: int) -> bytes:
        return b"".join(
            t.acts.tobytes() for t in load_demonstrations(ten_episodes, subsample=3, seed=seed)
        )

    assert first_acts(1) == first_acts(1)
    assert len({first_acts(seed) for seed in range(5)}) > 1


# --- Flattening --------------------------------------------------------------------------------


def test_flatten_agrees_with_imitation(make_trajectory: Factory) -> None:
    episodes = [make_trajectory(4, terminal=True, dtype=np.float64), make_trajectory(3)]
    ours, theirs = flatten(episodes), flatten_trajectories(episodes)
    for name in ("obs", "acts", "next_obs", "dones"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6)
    assert ours.obs.dtype == ours.acts.dtype == ours.next_obs.dtype == np.float32
    again = flatten(theirs)
    for mine, other in zip(ours, again, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_take_keeps_the_four_arrays_aligned(make_trajectory: Factory) -> None:
    batch = flatten([make_trajectory(6, terminal=True)])
    taken = batch.take(np.array([5, 0, 5]))
    assert len(taken) == 3
    np.testing.assert_array_equal(taken.obs, batch.obs[[5, 0, 5]])
    np.testing.assert_array_equal(taken.next_obs, batch.next_obs[[5, 0, 5]])
    np.testing.assert_array_equal(taken.dones, [True, False, True])


def test_nothing_and_dictionaries_cannot_be_flattened(make_trajectory: Factory) -> None:
    none = flatten_trajectories([make_trajectory(2)])
    empty = Transitions(
        none.obs[:0], none.acts[:0], none.infos[:0], none.next_obs[:0], none.dones[:0]
    )
    for nothing in ([], empty):
        with pytest.raises(DemonstrationError, match="empty"):
            flatten(nothing)
    dictionary = Trajectory(
        obs=DictObs({"a": np.zeros((3, 1))}), acts=np.zeros((2, 1)), infos=None, terminal=False
    )
    with pytest.raises(DemonstrationError, match="dictionaries"):
        flatten([dictionary])


# --- Checks against an environment -------------------------------------------------------------


def batch_of(**changes: np.ndarray) -> TransitionBatch:
    obs, acts = np.zeros((4, 3), np.float32), np.zeros((4, 2), np.float32)
    return TransitionBatch(obs, acts, obs.copy(), np.zeros(4, bool))._replace(**changes)


OBSERVATIONS = spaces.Box(-np.inf, np.inf, (3,), np.float32)
ACTIONS = spaces.Box(np.array([-1, -2], np.float32), np.array([1, 2], np.float32))


def test_transitions_that_fit_pass_up_to_rounding() -> None:
    acts = np.array([[1, -2]] * 4, np.float32) * np.float32(1 + 1e-6)
    check_fits_spaces(batch_of(acts=acts), OBSERVATIONS, ACTIONS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"obs": np.zeros((4, 5), np.float32)}, r"obs has shape \(5,\).*environment's is \(3,\)"),
        ({"acts": np.zeros((4, 1), np.float32)}, r"acts has shape \(1,\)"),
        ({"next_obs": np.full((4, 3), np.nan, np.float32)}, "next_obs holds NaN"),
        ({"acts": np.full((4, 2), np.inf, np.float32)}, "acts holds NaN or infinity"),
        (
            {"acts": np.array([[0, 0], [0, 1.9], [1.1, 0], [0, -2.1]], np.float32)},
            "leave the action space in 2 of 4 steps, first in step 2",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    changes: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(DemonstrationError, match=f"^here: .*{message}") as caught:
        check_fits_spaces(batch_of(**changes), OBSERVATIONS, ACTIONS, "here")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("acts", [np.array([0, 1, 2, 0]), np.array([0, -1, 0, 0]), np.zeros(4)])
def test_discrete_actions_must_be_choices(acts: np.ndarray) -> None:
    check_fits_spaces(batch_of(acts=np.array([0, 1, 1, 0])), OBSERVATIONS, spaces.Discrete(2))
    with pytest.raises(DemonstrationError, match="integers from 0 to 1"):
        check_fits_spaces(batch_of(acts=acts), OBSERVATIONS, spaces.Discrete(2))


# --- Where files are written --------------------------------------------------------------------


def test_a_link_stays_one_and_nothing_but_a_file_is_replaced(
    tmp_path: Path, make_trajectory: Factory
) -> None:
    episodes = [make_trajectory(4)]
    (tmp_path / "link.npz").symlink_to(tmp_path / "target.npz")
    save_demonstrations(tmp_path / "link.npz", episodes)
    assert (tmp_path / "link.npz").is_symlink()
    assert_same(load_demonstrations(tmp_path / "target.npz")[0], episodes[0])
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(FileExistsError, match=f"not a regular file, .*{name}'"):
            save_demonstrations(tmp_path / name, episodes)
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for format in ("chapter", "imitation"):
        with pytest.raises(OSError, match="circle"):
            save_demonstrations(tmp_path / "circle", episodes, format=format)
    with pytest.raises(DemonstrationError, match="pipe: not a regular file"):
        load_demonstrations(tmp_path / "pipe")


# --- Recording ---------------------------------------------------------------------------------


def test_recorded_episodes_are_what_the_environment_saw(line_env: Any, stand_still: Any) -> None:
    env = line_env()
    episodes = record_demonstrations(stand_still, env, 3, seed=4)
    log = env.log
    assert len(log) == sum(lengths(episodes))
    for episode in episodes:
        steps, log = log[: len(episode)], log[len(episode) :]
        np.testing.assert_array_equal(episode.obs[:-1], [s.obs for s in steps])
        np.testing.assert_array_equal(episode.obs[-1], steps[-1].next_obs)
        np.testing.assert_array_equal(episode.acts, [s.act for s in steps])
        np.testing.assert_allclose(episode.rews, [s.reward for s in steps], rtol=1e-6)
        assert episode.rews.dtype == np.float64
        assert episode.terminal == steps[-1].terminated
    np.testing.assert_allclose(returns(episodes), [sum(e.rews) for e in episodes])


class Push:
    """Always to the right: LineEnv ends in its walls."""

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        return np.ones((len(observation), 1), np.float32), None


def test_time_limits_are_not_terminal_and_walls_are(line_env: Any, stand_still: Any) -> None:
    assert [e.terminal for e in record_demonstrations(stand_still, line_env(), 2)] == [False] * 2
    pushed = record_demonstrations(Push(), line_env(), 2)
    assert [e.terminal for e in pushed] == [True] * 2
    assert all(abs(e.obs[-1, 0]) > 1.5 for e in pushed)  # not the observation after the reset


@pytest.mark.parametrize("n_envs", [1, 2, 3, 7])
def test_episode_i_starts_from_seed_plus_i_however_many_play(
    line_env: Any, stand_still: Any, n_envs: int
) -> None:
    venv = DummyVecEnv([line_env] * n_envs)
    episodes = record_demonstrations(stand_still, venv, 5, seed=20)
    assert len(episodes) == 5
    for offset, episode in enumerate(episodes):
        start, _ = line_env().reset(seed=20 + offset)
        np.testing.assert_array_equal(episode.obs[0], start)
    one_by_one = record_demonstrations(stand_still, line_env(), 5, seed=20)
    for left, right in zip(episodes, one_by_one, strict=True):
        assert_same(left, right)


@pytest.mark.parametrize("n_episodes", [0, -2])
def test_recording_nothing_is_refused(line_env: Any, stand_still: Any, n_episodes: int) -> None:
    with pytest.raises(ValueError, match=f"n_episodes is {n_episodes}"):
        record_demonstrations(stand_still, line_env(), n_episodes)


class Watching:
    """Stands still, and remembers the observations it was shown."""

    def __init__(self, policy: Any) -> None:
        self.policy, self.seen = policy, []

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> tuple[np.ndarray, None]:
        self.seen.append(observation.copy())
        return self.policy.predict(observation)


def test_vecnormalize_serves_the_policy_and_is_undone_in_the_record(
    line_env: Any, stand_still: Any
) -> None:
    env = line_env()
    venv = VecNormalize(DummyVecEnv([lambda: env]))
    venv.obs_rms.mean, venv.obs_rms.var = np.array([0.2, 3.0]), np.array([0.3, 4.0])
    watching = Watching(stand_still)
    episodes = record_demonstrations(watching, venv, 2)
    raw = np.array([s.obs for s in env.log])
    np.testing.assert_array_equal(np.concatenate([e.obs[:-1] for e in episodes]), raw)
    np.testing.assert_allclose(
        [e.obs[-1] for e in episodes],
        [s.next_obs for s in env.log if s.terminated or s.truncated],
        rtol=1e-5,
        atol=1e-5,  # SB3 keeps the last observation in normalised form only
    )
    np.testing.assert_allclose(
        np.concatenate([e.rews for e in episodes]), [s.reward for s in env.log], rtol=1e-6
    )
    shown = (raw - venv.obs_rms.mean) / np.sqrt(venv.obs_rms.var + venv.epsilon)
    np.testing.assert_allclose(np.concatenate(watching.seen), shown, rtol=1e-5)
    # The statistics neither moved nor lost the ability to move.
    np.testing.assert_array_equal(venv.obs_rms.mean, [0.2, 3.0])
    assert venv.training


def test_subprocesses_record_the_same_episodes() -> None:
    model = PPO("MlpPolicy", "Pendulum-v1", n_steps=8, batch_size=8, seed=0)

    def make() -> gym.Env:
        return gym.make("Pendulum-v1", max_episode_steps=10)

    processes = SubprocVecEnv([make] * 2, start_method="fork")
    try:
        ours = record_demonstrations(model, processes, 2, seed=3)
    finally:
        processes.close()
    in_process = record_demonstrations(model, DummyVecEnv([make] * 2), 2, seed=3)
    for left, right in zip(ours, in_process, strict=True):
        np.testing.assert_array_equal(left.obs, right.obs)
        np.testing.assert_array_equal(left.acts, right.acts)
        np.testing.assert_allclose(left.rews, right.rews, rtol=1e-6)  # DummyVecEnv's are float32


def test_an_id_is_enough_and_sampled_actions_differ() -> None:
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, seed=0)
    mode = record_demonstrations(model, "CartPole-v1", 2, seed=1)
    again = record_demonstrations(model, make_vec_env("CartPole-v1", 2), 2, seed=1)
    sampled = record_demonstrations(model, "CartPole-v1", 2, deterministic=False, seed=1)
    for left, right in zip(mode, again, strict=True):
        assert_same(left, right)
    assert [e.acts.tolist() for e in mode] != [e.acts.tolist() for e in sampled]


def test_the_models_own_normalization_serves_it_in_a_plain_environment(line_env: Any) -> None:
    venv = VecNormalize(DummyVecEnv([line_env]))
    model = PPO("MlpPolicy", venv, n_steps=32, batch_size=32, seed=0, device="cpu").learn(64)
    explicit = VecNormalize(DummyVecEnv([line_env]), training=False, norm_reward=False)
    explicit.obs_rms = venv.obs_rms
    plain = record_demonstrations(model, line_env(), 2)
    for left, right in zip(plain, record_demonstrations(model, explicit, 2), strict=True):
        assert_same(left, right)
    assert venv.training


class Counter:
    """A recurrent policy: its action is the number of steps since its episode began."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, **_: Any
    ) -> tuple[np.ndarray, Any]:
        state = np.zeros(len(observation)) if state is None else state
        state = np.where(episode_start, 0.0, state + 1.0)
        return (state[:, None] / 10).astype(np.float32), state


def test_a_recurrent_policy_keeps_its_state_within_an_episode(line_env: Any) -> None:
    episodes = record_demonstrations(Counter(), DummyVecEnv([line_env, line_env]), 4)
    for episode in episodes:
        np.testing.assert_allclose(episode.acts[:, 0], np.arange(len(episode)) / 10, rtol=1e-6)


@pytest.mark.parametrize("shape", ["(10000000000, 1000, 11)", "(100000000000000000000, 9, 9)"])
def test_a_header_that_asks_for_too_much_is_refused(tmp_path: Path, shape: str) -> None:
    path = write(tmp_path / "huge.npz", chapter_arrays())
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + ", }"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    size = len(header).to_bytes(2, "little")
    members["obs.npy"] = b"\x93NUMPY\x01\x00" + size + header.encode() + bytes(64)
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    refused(path, "obs")
