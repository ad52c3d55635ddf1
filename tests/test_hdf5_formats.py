"""D4RL's and robomimic's files, written with h5py as they publish them, and files made to harm."""

import random
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from demonstration_files import refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sb3_gail_ext import DemonstrationError, load_demonstrations
from sb3_gail_ext.demonstrations.ends import end_of
from sb3_gail_ext.demonstrations.files import format_of
from sb3_gail_ext.demonstrations.formats import sizes
from sb3_gail_ext.demonstrations.formats.contents import contents_of
from sb3_gail_ext.demonstrations.formats.hdf5 import (
    load_dataset,
    open_dataset,
    opened,
    read_blocks,
)
from sb3_gail_ext.demonstrations.formats.hdf5_groups import in_one_line
from sb3_gail_ext.demonstrations.returns import are_unknown
from sb3_gail_ext.demonstrations.sampling import flatten

Arrays = dict[str, Any]


def write(path: Path, arrays: Arrays, **options: Any) -> Path:
    """`options`, such as a compression, are h5py's; a name may be a path of groups."""
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array, **options)
    return path


def d4rl_arrays(n_steps: int = 7, **others: Any) -> Arrays:
    """Observation t is (t, -t); a terminal state behind step 2, a time limit behind step 4."""
    steps = np.arange(n_steps)
    return {
        "observations": np.stack([steps, -steps], axis=1).astype(np.float32),
        "actions": np.linspace(-1, 1, 3 * n_steps, dtype=np.float32).reshape(n_steps, 3),
        "rewards": steps.astype(np.float32),
        "terminals": steps == 2,
        "timeouts": steps == 4,
        **others,
    }


def next_observations() -> np.ndarray:
    """Those of `d4rl_arrays`: behind steps 2, 4 and 6 come observations that start no episode."""
    following = d4rl_arrays(8)["observations"][1:].copy()
    following[[2, 4, 6]] = [[20, 20], [40, 40], [60, 60]]
    return following


def demo(n_steps: int, start: int = 0, **others: Any) -> Arrays:
    steps = np.arange(start, start + n_steps)
    return {
        "obs/b_pos": np.stack([steps, steps + 0.5], axis=1),
        "obs/a_angle": -steps[:, None].astype(np.float32),
        "next_obs/b_pos": np.stack([steps + 1, steps + 1.5], axis=1),
        "next_obs/a_angle": -(steps[:, None] + 1).astype(np.float32),
        "actions": np.ones((n_steps, 2)),
        "rewards": np.zeros(n_steps),
        "dones": np.arange(n_steps) == n_steps - 1,
        "states": np.ones((n_steps, 9)),
        **others,
    }


def robomimic(*demos: Arrays) -> Arrays:
    return {f"data/demo_{i}/{key}": a for i, of in enumerate(demos) for key, a in of.items()}


def without(arrays: Arrays, *starts: str) -> Arrays:
    return {key: array for key, array in arrays.items() if not key.startswith(starts)}


# --- D4RL --------------------------------------------------------------------------------------


def test_without_next_observations_each_episode_loses_its_last_transition(tmp_path: Path) -> None:
    episodes = load_demonstrations(write(tmp_path / "x.hdf5", d4rl_arrays()))
    assert [episode.obs[:, 0].tolist() for episode in episodes] == [[0, 1, 2], [3, 4], [5, 6]]
    assert [episode.rews.tolist() for episode in episodes] == [[0, 1], [3], [5]]
    assert [end_of(episode) for episode in episodes] == ["terminal", "time limit", "unknown"]
    assert not any(episode.terminal for episode in episodes)
    assert {a.dtype for e in episodes for a in (e.obs, e.acts, e.rews)} == {np.dtype(np.float32)}


def test_rewards_that_d4rl_lacks_are_unknown(tmp_path: Path) -> None:
    for following in ({}, {"next_observations": next_observations()}):
        arrays = d4rl_arrays(**following)
        expected = load_demonstrations(write(tmp_path / "x.hdf5", arrays))
        episodes = load_demonstrations(write(tmp_path / "y.hdf5", without(arrays, "rewards")))
        unknown = write(tmp_path / "z.hdf5", arrays | {"rewards": np.full(7, np.nan)})
        for left, right in zip(episodes + load_demonstrations(unknown), expected * 2, strict=True):
            np.testing.assert_array_equal(left.obs, right.obs)
            assert np.isnan(left.rews).all()
            assert left.rews.shape == right.rews.shape


def test_next_observations_give_each_episode_its_final_observation(tmp_path: Path) -> None:
    arrays = d4rl_arrays(next_observations=next_observations())
    episodes = load_demonstrations(write(tmp_path / "x.hdf5", arrays))
    seen = [episode.obs[:, 0].tolist() for episode in episodes]
    assert seen == [[0, 1, 2, 20], [3, 4, 40], [5, 6, 60]]
    assert [len(episode) for episode in episodes] == [3, 2, 2]
    assert [end_of(episode) for episode in episodes] == ["terminal", "time limit", "unknown"]
    assert [episode.terminal for episode in episodes] == [True, False, False]
    np.testing.assert_array_equal(np.concatenate([e.acts for e in episodes]), arrays["actions"])


def test_without_timeouts_an_episode_ends_where_the_next_observation_is_not_the_next(
    tmp_path: Path,
) -> None:
    arrays = without(d4rl_arrays(next_observations=next_observations()), "timeouts")
    episodes = load_demonstrations(write(tmp_path / "x.hdf5", arrays))
    assert [len(episode) for episode in episodes] == [3, 2, 2]
    assert [end_of(episode) for episode in episodes] == ["terminal", "unknown", "unknown"]


def test_rounding_ends_no_episode(tmp_path: Path) -> None:
    arrays = d4rl_arrays(next_observations=next_observations() * (1 + 1e-7))
    arrays["observations"] = arrays["observations"] / np.float32(3)
    arrays["next_observations"] = arrays["next_observations"].astype(np.float64) / 3
    assert (arrays["observations"][1:] != arrays["next_observations"][:-1]).any(axis=1).all()
    for name, of in (("x.h5", arrays), ("y.h5", without(arrays, "timeouts"))):
        episodes = load_demonstrations(write(tmp_path / name, of))
        assert [len(episode) for episode in episodes] == [3, 2, 2]
        assert {episode.obs.dtype for episode in episodes} == {np.dtype(np.float32)}


def test_with_timeouts_only_flags_end_an_episode(tmp_path: Path) -> None:
    arrays = d4rl_arrays(next_observations=np.full((7, 2), 9.0))
    episodes = load_demonstrations(write(tmp_path / "x.h5", arrays))
    assert [len(episode) for episode in episodes] == [3, 2, 2]


def test_a_file_that_does_not_say_where_episodes_end_is_refused(tmp_path: Path) -> None:
    arrays = without(d4rl_arrays(), "timeouts")
    refused(write(tmp_path / "x.hdf5", arrays), "timeouts", "next_observations", "add timeouts")
    cured = write(tmp_path / "y.hdf5", {**arrays, "timeouts": np.zeros(7, bool)})
    assert [len(episode) for episode in load_demonstrations(cured)] == [2, 3]


def test_old_files_have_columns_and_other_dtypes(tmp_path: Path) -> None:
    arrays = d4rl_arrays()
    old = {
        **arrays,
        "rewards": arrays["rewards"][:, None].astype(np.int32),
        "terminals": arrays["terminals"][:, None].astype(np.float32),
        "timeouts": arrays["timeouts"].astype(np.uint8),
        "actions": (np.arange(7) % 3)[:, None],
        "infos/qpos": np.full((7, 2), np.nan),
        "metadata/algorithm": np.bytes_("SAC"),
    }
    episodes = load_demonstrations(write(tmp_path / "x.hdf5", old))
    assert [episode.rews.tolist() for episode in episodes] == [[0, 1], [3], [5]]
    assert [episode.acts.tolist() for episode in episodes] == [[0, 1], [0], [2]]
    assert episodes[0].rews.dtype == np.float64
    assert episodes[0].acts.dtype == np.int64


def test_both_flags_are_a_terminal_state(tmp_path: Path) -> None:
    arrays = d4rl_arrays(next_observations=next_observations())
    arrays["timeouts"] = arrays["timeouts"] | arrays["terminals"]
    first = load_demonstrations(write(tmp_path / "x.hdf5", arrays))[0]
    assert first.terminal
    assert end_of(first) == "terminal"


def test_of_episodes_of_one_step_nothing_is_left_unless_next_observations_are(
    tmp_path: Path,
) -> None:
    arrays = d4rl_arrays(terminals=np.arange(7) < 3)
    lengths = [len(episode) for episode in load_demonstrations(write(tmp_path / "x.h5", arrays))]
    assert lengths == [1, 1]  # steps 3 to 4 and 5 to 6, each without its last transition
    arrays = d4rl_arrays(terminals=np.ones(7))
    refused(write(tmp_path / "y.h5", arrays), "all episodes have one step", "add next_observations")
    arrays["next_observations"] = next_observations()
    assert len(load_demonstrations(write(tmp_path / "z.h5", arrays))) == 7


def d4rl_qlearning_dataset(dataset: Arrays) -> list[tuple[Any, ...]]:
    """D4RL's own rule (d4rl/__init__.py, qlearning_dataset with its defaults)."""
    transitions = []
    has_next_obs = "next_observations" in dataset
    for i in range(dataset["rewards"].shape[0] - 1):
        new_obs = dataset["observations"][i + 1]
        done_bool = bool(dataset["terminals"][i])
        final_timestep = dataset["timeouts"][i]
        if final_timestep:
            continue  # the transition is skipped
        if done_bool and not has_next_obs:
            continue
        if has_next_obs:
            new_obs = dataset["next_observations"][i]
        transitions.append(
            (*dataset["observations"][i], *dataset["actions"][i], *new_obs, done_bool)
        )
    return transitions


@given(
    flags=st.lists(st.sampled_from(["", "", "", "terminal", "timeout"]), min_size=2, max_size=30),
    has_next=st.booleans(),
    compression=st.sampled_from([None, "gzip", "lzf"]),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_transitions_are_those_of_d4rls_own_loader(
    tmp_path: Path, flags: list[str], has_next: bool, compression: str | None
) -> None:
    rng = np.random.default_rng(len(flags))
    observed = rng.normal(size=(len(flags) + 1, 3)).astype(np.float32)
    arrays = {
        "observations": observed[:-1],
        "actions": rng.normal(size=(len(flags), 2)).astype(np.float32),
        "rewards": rng.normal(size=len(flags)),
        "terminals": np.array([flag == "terminal" for flag in flags]),
        "timeouts": np.array([flag == "timeout" for flag in flags]),
    }
    if has_next:
        ended = np.array([flag != "" for flag in flags])[:, None]
        arrays["next_observations"] = np.where(ended, rng.normal(size=(3,)), observed[1:])
        arrays["next_observations"] = arrays["next_observations"].astype(np.float32)
    expected = d4rl_qlearning_dataset(arrays)
    path = write(tmp_path / "x.hdf5", arrays, compression=compression)
    if not expected and not has_next:
        refused(path, "one step")
        return
    batch = flatten(load_demonstrations(path))
    ours = [(*obs, *act, *after, bool(done)) for obs, act, after, done in zip(*batch, strict=True)]
    if has_next:  # D4RL skips time limits and the file's last step, whose ends are known here
        skipped = {i for i, flag in enumerate(flags) if flag == "timeout"} | {len(flags) - 1}
        ours = [transition for i, transition in enumerate(ours) if i not in skipped]
    assert ours == expected


# --- robomimic ---------------------------------------------------------------------------------


def test_sensors_are_side_by_side_in_the_order_of_their_names(tmp_path: Path) -> None:
    (episode,) = load_demonstrations(write(tmp_path / "x.hdf5", robomimic(demo(2))))
    assert episode.obs.tolist() == [[0, 0, 0.5], [-1, 1, 1.5], [-2, 2, 2.5]]
    assert episode.acts.shape == (2, 2)
    assert end_of(episode) == "unknown"  # the done at the end may mean anything
    assert not episode.terminal


def test_a_wider_final_observation_does_not_widen_the_others(tmp_path: Path) -> None:
    arrays = {"obs": np.zeros((2, 3), np.float32), "next_obs": np.ones((2, 3))}
    of = {**without(demo(2), "obs", "next_obs"), **arrays}
    (episode,) = load_demonstrations(write(tmp_path / "x.hdf5", robomimic(of)))
    assert episode.obs.dtype == np.float32
    assert episode.obs[:, 0].tolist() == [0, 0, 1]


def test_demonstrations_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf5", robomimic(*(demo(1 + i) for i in range(12))))
    assert [len(episode) for episode in load_demonstrations(path)] == list(range(1, 13))


def test_without_next_obs_the_last_transition_is_dropped(tmp_path: Path) -> None:
    arrays = robomimic(*(without(demo(n), "next_obs") for n in (3, 1)))
    (episode,) = load_demonstrations(write(tmp_path / "x.hdf5", arrays))  # nothing of the second
    assert episode.obs[:, 1].tolist() == [0, 1, 2]
    assert len(episode) == len(episode.rews) == 2
    lost = robomimic(without(demo(1), "next_obs"))
    refused(write(tmp_path / "y.hdf5", lost), "one step", "add next_obs")


def test_without_rewards_they_are_unknown(tmp_path: Path) -> None:
    whole = robomimic(*(without(demo(n), "rewards") for n in (3, 1)))
    episodes = load_demonstrations(write(tmp_path / "x.hdf5", whole))
    assert [np.isnan(episode.rews).tolist() for episode in episodes] == [[True] * 3, [True]]
    short = robomimic(without(demo(3), "rewards", "next_obs"))
    (episode,) = load_demonstrations(write(tmp_path / "y.hdf5", short))
    assert np.isnan(episode.rews).tolist() == [True] * 2
    last = robomimic(without(demo(3, rewards=np.array([np.nan, np.nan, 1.0])), "next_obs"))
    refused(write(tmp_path / "last.hdf5", last), "data/demo_0/rewards", "not finite in step 0")
    mixed = robomimic(demo(3), without(demo(2), "rewards"))
    refused(write(tmp_path / "z.hdf5", mixed), "rews of episode 1")


def test_observations_in_one_array_and_the_image_of_one_camera(tmp_path: Path) -> None:
    frames = np.arange(4 * 6 * 6 * 3, dtype=np.uint8).reshape(4, 6, 6, 3)
    for prefix in ("obs", "obs/agentview_image"):
        pixels = {prefix: frames[:3], prefix.replace("obs", "next_obs", 1): frames[1:]}
        of = {**without(demo(3), "obs", "next_obs"), **pixels}
        (episode,) = load_demonstrations(write(tmp_path / "x.hdf5", robomimic(of)))
        np.testing.assert_array_equal(episode.obs, frames)
        assert episode.obs.dtype == np.uint8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"obs/eye_image": np.zeros((3, 4, 4, 3), np.uint8)}, ("eye_image", "a_angle")),
        ({"rewards": np.zeros(4)}, ("data/demo_0/rewards", "(4,)")),
        ({"rewards": np.zeros((3, 2))}, ("data/demo_0/rewards", "one number per step")),
        ({"actions": np.full((3, 2), np.inf)}, ("data/demo_0", "acts is not finite in step 0")),
        ({"next_obs/b_pos": np.zeros((2, 2))}, ("data/demo_0/next_obs/b_pos", "(2, 2)")),
        ({"next_obs/b_pos": np.zeros((3, 5))}, ("data/demo_0/next_obs", "(6,)")),
        ({"next_obs/b_pos": None}, ("no data/demo_0/next_obs/b_pos",)),
        ({"obs/a_angle": None, "obs/b_pos": None}, ("no data/demo_0/obs",)),
        ({"actions": None}, ("no data/demo_0/actions",)),
    ],
)
def test_an_unfit_demonstration_is_refused_by_name(
    tmp_path: Path, change: Arrays, words: tuple[str, ...]
) -> None:
    arrays = {key: array for key, array in {**demo(3), **change}.items() if array is not None}
    refused(write(tmp_path / "x.hdf5", robomimic(arrays)), *words)


def test_demonstrations_of_two_environments_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf5", robomimic(demo(3), demo(3, actions=np.ones((3, 4)))))
    refused(path, "acts", "(4,)", "one file per environment")


# --- Found by content --------------------------------------------------------------------------


def test_formats_are_told_apart_by_names(tmp_path: Path) -> None:
    d4rl = write(tmp_path / "expert.npz", d4rl_arrays())
    assert format_of(d4rl) == "d4rl"
    assert format_of(write(tmp_path / "x", robomimic(demo(2), demo(2)))) == "robomimic"
    minari = write(tmp_path / "main_data.hdf5", {f"episode_{i}/rewards": [0] for i in range(3)})
    assert contents_of(minari) == ("hdf5", {"episode_#", "episode_#/rewards"})
    with pytest.raises(DemonstrationError, match="no demonstrations of a known format"):
        format_of(write(tmp_path / "y", {"weights": np.ones(3)}))


def test_a_block_of_the_users_own_may_come_first(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w", userblock_size=1024) as file:
        for key, array in d4rl_arrays().items():
            file[key] = array
    assert len(load_demonstrations(path)) == 3


def test_format_limit_and_a_missing_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf5", d4rl_arrays())
    assert len(load_demonstrations(path, format="d4rl", limit=2)) == 2
    refused(path, "no data in it", "actions", format="robomimic")
    refused(tmp_path / "absent.hdf5", "no such file", format="d4rl")
    refused(write(tmp_path / "y.hdf5", without(d4rl_arrays(), "act")), "no actions", format="d4rl")


def test_without_h5py_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.hdf5", d4rl_arrays())
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(path, "pip install 'sb3_gail_ext[hdf5]'")


def test_a_large_array_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "MAPPED_FROM_BYTES", 50)
    arrays = d4rl_arrays()
    arrays["actions"] = arrays["actions"].astype(">f4")  # not as memory has it
    on_disk = load_demonstrations(write(tmp_path / "x.hdf5", arrays))
    assert isinstance(on_disk[0].obs, np.memmap)
    assert not isinstance(on_disk[0].acts, np.memmap)
    packed = load_demonstrations(write(tmp_path / "y.hdf5", arrays, compression="gzip"))
    assert not isinstance(packed[0].obs, np.memmap)
    for a, b in zip(on_disk, packed, strict=True):
        np.testing.assert_array_equal(a.obs, b.obs)
        np.testing.assert_array_equal(a.acts, b.acts)
        assert a.acts.dtype.isnative


@given(
    shape=hnp.array_shapes(max_dims=3, max_side=9),
    cut=st.integers(1, 9),
    dtype=st.sampled_from(["f4", ">f8", "u1", "<i2", "?"]),
    options=st.fixed_dictionaries(
        {
            "compression": st.sampled_from([None, "gzip", "lzf"]),
            "shuffle": st.booleans(),
            "fletcher32": st.booleans(),
        }
    ),
    seed=st.integers(0, 9),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_chunks_and_filters_are_read_as_hdf5_reads_them(
    tmp_path: Path, shape: tuple[int, ...], cut: int, dtype: str, options: Arrays, seed: int
) -> None:
    # Few values, so that lzf copies; the last chunk of each dimension is cut off.
    array = np.random.default_rng(seed).integers(0, 3, shape).astype(dtype)
    chunks = tuple(min(side, cut) for side in shape)
    path = write(tmp_path / "x.hdf5", {"x": array}, chunks=chunks, **options)
    with opened(path) as file:
        loaded = load_dataset(path, file, "x")
        parts = list(read_blocks(open_dataset(path, file, "x"), n_bytes=1))
    np.testing.assert_array_equal(loaded, array)
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), array)
    assert loaded.dtype == array.dtype.newbyteorder("=")


def test_lzf_of_long_runs(tmp_path: Path) -> None:
    array = np.repeat(np.arange(50, dtype=np.uint8), np.arange(0, 1000, 20))
    path = write(tmp_path / "x.hdf5", {"x": array}, compression="lzf")
    with opened(path) as file:
        assert file["x"].id.get_storage_size() < len(array) / 10
        np.testing.assert_array_equal(load_dataset(path, file, "x"), array)


# --- Files that are unfit or made to harm ------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "array", "words"),
    [
        ("observations", np.zeros((6, 2)), ("actions", "(7, 3)", "(6, 2)")),
        ("observations", np.zeros((0, 2)), ("no steps",)),
        ("observations", np.float32(3), ("no steps",)),
        ("rewards", np.zeros((7, 2)), ("rewards", "one number per step")),
        ("rewards", [0, 1, np.nan, 0, 0, 0, 0], ("rewards", "not finite in step 2")),
        ("terminals", np.full(7, 0.5), ("terminals", "0 and 1")),
        ("timeouts", np.zeros(8, bool), ("timeouts", "(8,)")),
        ("next_observations", np.zeros((7, 3)), ("next_observations", "(7, 3)")),
        ("next_observations", np.full((7, 2), np.nan), ("next_observations", "not finite")),
        ("actions", np.zeros(7, [("x", "f4"), ("y", "f4")]), ("actions", "dtype")),
        ("actions", np.array([b"up"] * 7), ("actions", "dtype")),
        ("actions", np.ones(7, complex), ("actions", "dtype")),
    ],
)
def test_an_unfit_array_is_refused_by_name(
    tmp_path: Path, key: str, array: Any, words: tuple[str, ...]
) -> None:
    refused(write(tmp_path / "x.hdf5", d4rl_arrays(**{key: np.asarray(array)})), *words)


def _external_link(file: h5py.File, other: Path) -> None:
    file["observations"] = h5py.ExternalLink(str(other), "/observations")


def _external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("observations", (7, 2), "f4", external=[(str(other), 0, 56)])


def _virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((7, 2), "f4")
    layout[:] = h5py.VirtualSource(str(other), "observations", (7, 2))
    file.create_virtual_dataset("observations", layout)


def _soft_link(file: h5py.File, other: Path) -> None:
    file["outside"] = h5py.ExternalLink(str(other), "/")
    file["observations"] = h5py.SoftLink("/outside/observations")


def _cycle(file: h5py.File, other: Path) -> None:
    file["observations"] = h5py.SoftLink("/observations")


def _itself(file: h5py.File, other: Path) -> None:
    file["observations"] = file["/"]


def _never_written(file: h5py.File, other: Path) -> None:
    file.create_dataset("observations", (7, 2), "f4")


def _huge(file: h5py.File, other: Path) -> None:
    huge = file.create_dataset("observations", (10**12, 2), "f4", chunks=(9, 2), compression=9)
    huge[:7] = 1


def _partly_written(file: h5py.File, other: Path) -> None:
    file.create_dataset("observations", (7, 2), "f4", chunks=(4, 2))[:4] = 1


def _huge_chunk(file: h5py.File, other: Path) -> None:
    huge = file.create_dataset(
        "observations", (7, 2), "f4", maxshape=(None, 2), chunks=(10**8, 2), compression="gzip"
    )
    huge.id.write_direct_chunk((0, 0), zlib.compress(b""))


def _chunk_of(n_bytes: int, file: h5py.File) -> None:
    trap = file.create_dataset("observations", (7, 2), "f4", chunks=(7, 2), compression="gzip")
    trap.id.write_direct_chunk((0, 0), zlib.compress(bytes(n_bytes)))


def _bomb(file: h5py.File, other: Path) -> None:
    _chunk_of(10**7, file)  # HDF5 inflates all of it


def _short_chunk(file: h5py.File, other: Path) -> None:
    _chunk_of(2, file)  # HDF5 reads behind it, and may crash


def _objects(file: h5py.File, other: Path) -> None:
    ragged = file.create_dataset("observations", 7, h5py.vlen_dtype(np.float32))
    ragged[:] = [np.ones(2, "f4")] * 7


def _unknown_filter(file: h5py.File, other: Path) -> None:
    file.create_dataset("observations", data=np.arange(14).reshape(7, 2), scaleoffset=0)


def _empty(file: h5py.File, other: Path) -> None:
    file["observations"] = h5py.Empty("f4")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_external_link, "link to elsewhere"),
        (_external_storage, "kept in other files"),
        (_virtual, "kept in other files"),
        (_soft_link, "link to elsewhere"),
        (_cycle, "link to elsewhere"),
        (_itself, "is a group, not an array"),
        (_never_written, "not written to the end"),
        (_huge, "1 of its 111111111112 chunks"),
        (_huge_chunk, "claims 763 MiB"),
        (_partly_written, "1 of its 2 chunks"),
        (_bomb, "does not end where it should"),
        (_short_chunk, "2 bytes are in the place of 56"),
        (_objects, "dtype object"),
        (_unknown_filter, "filters [6]"),
        (_empty, "is empty"),
    ],
)
def test_a_file_made_to_harm_is_refused(
    tmp_path: Path, harm: Callable[[h5py.File, Path], None], words: str
) -> None:
    sound = write(tmp_path / "sound.hdf5", d4rl_arrays())
    path = write(tmp_path / "x.hdf5", without(d4rl_arrays(), "observations"))
    with h5py.File(path, "a") as file:
        harm(file, sound)
    refused(path, "observations", words)


def test_one_array_under_many_names_is_no_way_to_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.hdf5", robomimic(demo(2000)), compression="gzip")
    with h5py.File(path, "a") as file:
        for i in range(1, 100):
            file[f"data/demo_{i}"] = file["data/demo_0"]
    monkeypatch.setattr(sizes, "_HARMLESS_BYTES", 2**20)
    monkeypatch.setattr(sizes, "_SUSPICIOUS_RATIO", 10)
    refused(path, "of all episodes", "made to fill the memory")


def test_d4rl_arrays_under_many_names_are_counted_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "x.hdf5", {"observations": np.zeros(40_000)}, compression="gzip")
    with h5py.File(path, "a") as file:
        for key in ("actions", "rewards", "terminals", "timeouts", "next_observations"):
            file[key] = file["observations"]
    monkeypatch.setattr(sizes, "_HARMLESS_BYTES", 2**20)  # one has 320 kB, six have 1.9 MB
    monkeypatch.setattr(sizes, "_SUSPICIOUS_RATIO", 10)
    refused(path, "of all episodes", "made to fill the memory")


def test_a_circle_of_groups_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "x.hdf5", robomimic(without(demo(3), "obs")))
    with h5py.File(path, "a") as file:
        file["data/demo_0/obs"] = file["data"]
    refused(path, "data/demo_0/obs/demo_0 is a group, not an array")


def test_a_names_own_lines_do_not_reach_the_message(tmp_path: Path) -> None:
    path = tmp_path / "x.hdf5"
    with h5py.File(path, "w") as file:
        file[b"\xff\x1b[2J\nevil"] = [1]
    refused(path, "evil", format="d4rl")
    assert in_one_line("a\nb\x1b" + "c" * 500) == "a b?" + "c" * 196 + "..."


def seeds_of_fuzzing(tmp_path: Path) -> list[Path]:
    arrays = d4rl_arrays(next_observations=next_observations())
    return [
        write(tmp_path / "plain.h5", arrays),
        write(tmp_path / "packed.h5", arrays, compression="gzip", shuffle=True, fletcher32=True),
        write(tmp_path / "robomimic.h5", robomimic(demo(2), demo(3))),
    ]


def is_error_or_valid(path: Path) -> bool:
    """True if the file could be read: then as a whole, and what it holds is sound."""
    try:
        episodes = load_demonstrations(path)
    except DemonstrationError:
        return False
    for episode in episodes:
        assert len(episode.obs) == len(episode.acts) + 1 == len(episode.rews) + 1 >= 2
        for array in (episode.obs, episode.acts):
            assert np.isfinite(array).all()
        assert np.isfinite(episode.rews).all() or are_unknown(episode.rews)
    return True


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    for sound in seeds_of_fuzzing(tmp_path):
        data = sound.read_bytes()
        for size in np.linspace(0, len(data) - 1, 20, dtype=int):
            sound.write_bytes(data[:size])
            assert not is_error_or_valid(sound)


def test_a_mutated_file_is_refused_or_valid(tmp_path: Path) -> None:
    choose = random.Random(0)
    outcomes = set()
    for sound in seeds_of_fuzzing(tmp_path):
        data = sound.read_bytes()
        for _ in range(100):
            mutated = bytearray(data)
            for _ in range(choose.choice([1, 4, 16])):
                mutated[choose.randrange(len(data))] = choose.choice([0, 1, 128, 255])
            sound.write_bytes(mutated)
            outcomes.add(is_error_or_valid(sound))
    assert outcomes == {True, False}
