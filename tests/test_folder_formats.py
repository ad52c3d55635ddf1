"""Demonstration datasets that are folders: `imitation`'s and Minari's."""

import json
import math
import re
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import jsonpickle
import minari
import numpy as np
import pyarrow as pa
import pytest
from demonstration_files import assert_same_arrays, refused
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from imitation.data import serialize
from imitation.data.types import TrajectoryWithRew
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

from sb3_gail_ext import DemonstrationError, load_demonstrations, save_demonstrations
from sb3_gail_ext.atomic import folder_atomically
from sb3_gail_ext.demonstrations.cards import card_path, read_card, sha256, write_card
from sb3_gail_ext.demonstrations.ends import TIME_LIMIT, end_of, infos_of_end
from sb3_gail_ext.demonstrations.files import format_of, load_metadata
from sb3_gail_ext.demonstrations.formats import sizes
from sb3_gail_ext.demonstrations.formats.minari_spaces import MinariSpace, spaces_of

Ends = dict[str, Any]
DTYPES = (np.float32, np.float64, np.float16, np.uint8, np.int64, np.bool_)
QUICK = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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
    """Equal to the bit, and ended alike."""
    assert_same_arrays(left, right)
    assert end_of(left) == end_of(right)


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


def test_imitation_reads_what_was_written(tmp_path: Path) -> None:
    episodes = [
        trajectory(3),
        trajectory(2, terminal=False, infos=infos_of_end(2, time_limit=True)),
        trajectory(4, terminal=False),
    ]
    save_demonstrations(tmp_path / "x", episodes, format="imitation", metadata={"env_id": "A-v0"})
    loaded = serialize.load(tmp_path / "x")
    for before, after in zip(episodes, loaded, strict=True):
        for key in ("obs", "acts", "rews"):
            np.testing.assert_array_equal(getattr(before, key), getattr(after, key))
    assert [bool(t.terminal) for t in loaded] == [True, True, False]  # its own convention
    assert [t.infos[-1] for t in loaded] == [{TIME_LIMIT: False}, {TIME_LIMIT: True}, {}]
    assert load_metadata(tmp_path / "x") == {"env_id": "A-v0"}


@pytest.mark.parametrize(
    ("terminal", "info", "expected"),
    [
        (True, {TIME_LIMIT: True}, (False, "time limit")),
        (True, {TIME_LIMIT: np.bool_(True), "x": np.ones(2)}, (False, "time limit")),
        (False, {TIME_LIMIT: True}, (False, "time limit")),
        (True, {TIME_LIMIT: False}, (True, "terminal")),
        (True, {TIME_LIMIT: np.bool_(False)}, (True, "terminal")),
        (True, {}, (False, "unknown")),  # imitation says so of time limits, too
        (False, {TIME_LIMIT: False}, (False, "unknown")),
    ],
)
def test_ends_of_what_imitation_has_saved(
    tmp_path: Path, terminal: bool, info: Ends, expected: tuple[bool, str]
) -> None:
    infos = np.array([{}, {TIME_LIMIT: True}, info])
    serialize.save(tmp_path / "x", [trajectory(3, terminal=terminal, infos=infos)])
    loaded = load_demonstrations(tmp_path / "x")[0]
    assert (loaded.terminal, end_of(loaded)) == expected
    assert load_metadata(tmp_path / "x") == {}


def test_infos_that_are_plain_are_kept_for_imitation(tmp_path: Path) -> None:
    strange = {"path": tmp_path, "py/object": "os.system", "nan": math.nan, "big": np.ones(9)}
    infos = np.array([{"n": np.int64(3), "nested": {"s": "x", "o": object()}, **strange}, None])
    save_demonstrations(tmp_path / "x", [trajectory(2, infos=infos)], format="imitation")
    assert list(serialize.load(tmp_path / "x")[0].infos) == [
        {"n": 3, "nested": {"s": "x"}},
        {TIME_LIMIT: False},
    ]


def test_episodes_of_two_precisions_get_the_wider_one(tmp_path: Path) -> None:
    episodes = [trajectory(2), trajectory(3, obs=np.full((4, 2), 1 / 3))]
    for format, name in (("imitation", "i"), ("minari", "m-v0")):
        save_demonstrations(tmp_path / name, episodes, format=format)
        first, second = load_demonstrations(tmp_path / name)
        assert first.obs.dtype == second.obs.dtype == np.float64
        np.testing.assert_array_equal(first.obs, episodes[0].obs)
        np.testing.assert_array_equal(second.obs, episodes[1].obs)


def columns(**changed: Any) -> dict[str, Any]:
    """One episode of two steps."""
    sound = {
        "obs": [[[0.0], [1.0], [2.0]]],
        "acts": [[[0.5], [0.5]]],
        "infos": [["{}", json.dumps({TIME_LIMIT: False})]],
        "terminal": [True],
        "rews": [[1.0, 1.0]],
    }
    return {key: value for key, value in (sound | changed).items() if value is not None}


def arrow_folder(folder: Path, state: Any = None, **changed: Any) -> Path:
    """An `imitation` dataset, made without it."""
    folder.mkdir(exist_ok=True)
    write_stream(folder / "data-00000-of-00001.arrow", pa.table(columns(**changed)))
    (folder / "dataset_info.json").write_text("{}")
    if state is not None:
        (folder / "state.json").write_text(json.dumps(state))
    return folder


def write_stream(path: Path, table: pa.Table, compression: str | None = None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(path, table.schema, options=options) as stream:
        stream.write_table(table)


def test_infos_never_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    code = f"__import__('pathlib').Path({str(ran)!r}).touch()"
    payload = {"py/reduce": [{"py/function": "builtins.exec"}, {"py/tuple": [code]}]}
    last = json.dumps({TIME_LIMIT: payload, "x": payload})
    folder = arrow_folder(tmp_path / "x", infos=[["{}", last]])
    assert end_of(load_demonstrations(folder)[0]) == "unknown"
    assert not ran.exists()
    jsonpickle.decode(last)
    assert ran.exists()  # so it would have run


def test_without_state_json_all_arrow_files_are_read_in_order(tmp_path: Path) -> None:
    folder = arrow_folder(tmp_path / "x")
    write_stream(folder / "data-00001-of-00002.arrow", pa.table(columns(rews=[[2.0, 3.0]])))
    assert [t.rews.tolist() for t in load_demonstrations(folder)] == [[1, 1], [2, 3]]


def test_state_json_says_which_files_are_read(tmp_path: Path) -> None:
    state = {"_data_files": [{"filename": "b.arrow"}]}
    folder = arrow_folder(tmp_path / "x", state)
    write_stream(folder / "b.arrow", pa.table(columns(rews=[[2.0, 3.0]])))
    assert [t.rews.tolist() for t in load_demonstrations(folder)] == [[2, 3]]


@pytest.mark.parametrize("name", ["../b.arrow", "/b.arrow", "sub/b.arrow", "b.npz", 3, None, ".."])
def test_state_json_leads_nowhere_else(tmp_path: Path, name: Any) -> None:
    (tmp_path / "x/sub").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "x/sub"):
        write_stream(place / "b.arrow", pa.table(columns()))
    stated = str(tmp_path / "b.arrow") if name == "/b.arrow" else name
    refused(arrow_folder(tmp_path / "x", {"_data_files": [{"filename": stated}]}), "state.json")


NONE = pa.array([[]], pa.list_(pa.float64()))
NO_TEXTS = pa.array([[]], pa.list_(pa.string()))
CATEGORIES = pa.array([0, 1, 0]).dictionary_encode()


def nested(*lengths: int) -> pa.Array:
    """One episode of observations of these lengths."""
    return pa.array([[[0.0] * n for n in lengths]])


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"acts": None}, "no column acts"),
        ({"obs": nested(2, 1, 2)}, "lengths 2 and 1"),
        ({"obs": [[[0.0], None, [0.0]]]}, "lacks 1 values"),
        ({"obs": [[[0.0], [None], [0.0]]]}, "lacks 1 values"),
        ({"obs": [[[0.0], [1.0]]]}, "one more observation"),
        ({"obs": [[["a"], ["b"], ["c"]]]}, "save it as numbers"),
        ({"obs": [[[0.0], [math.nan], [0.0]]]}, "not finite in step 1"),
        ({"acts": NONE, "rews": NONE, "obs": [[[0.0]]], "infos": NO_TEXTS}, "episode 0"),
        ({"infos": [[1, 2]]}, "not of texts"),
        ({"terminal": [1]}, "not bool"),
        ({"terminal": [None]}, "terminal"),
        ({"obs": [3.0]}, "not of lists"),
        ({"obs": pa.ListArray.from_arrays([0, 3], CATEGORIES)}, "dictionary"),
        ({key: [] for key in columns()}, "no episodes"),
    ],
)
def test_arrow_files_that_are_inconsistent(
    tmp_path: Path, changed: dict[str, Any], word: str
) -> None:
    refused(arrow_folder(tmp_path / "x", **changed), word)


def test_episodes_of_two_environments_are_refused(tmp_path: Path) -> None:
    folder = arrow_folder(tmp_path / "x")
    write_stream(folder / "data-00001-of-00002.arrow", pa.table(columns(obs=nested(2, 2, 2))))
    refused(folder, "obs of the episodes differ")


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_a_file_that_would_grow_is_refused_unread(tmp_path: Path, codec: str) -> None:
    folder = arrow_folder(tmp_path / "x")
    (file,) = folder.glob("*.arrow")
    table = pa.table(columns(obs=nested(10**6, 10**6, 10**6)))
    write_stream(file, table, codec)
    assert file.stat().st_size < 24 * 10**6 / 100
    refused(folder, "uncompressed")


def test_offsets_that_lead_outside_are_refused(tmp_path: Path) -> None:
    folder = arrow_folder(tmp_path / "x")
    (file,) = folder.glob("*.arrow")
    content = file.read_bytes()
    offsets = np.array([0, 3], np.int32).tobytes()  # of the observations of the one episode
    file.write_bytes(content.replace(offsets, np.array([0, 2**30], np.int32).tobytes(), 1))
    refused(folder, "damaged")


def test_truncated_files_are_refused_wherever_they_end(tmp_path: Path) -> None:
    folder = arrow_folder(tmp_path / "x")
    (file,) = folder.glob("*.arrow")
    content = file.read_bytes()
    for size in (0, 1, 7, 9, len(content) // 2, len(content) - 8, len(content) - 1):
        file.write_bytes(content[:size])
        refused(folder, "damaged")


def test_large_files_stay_on_disk_and_are_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = arrow_folder(tmp_path / "x")
    (file,) = folder.glob("*.arrow")
    content, in_memory = file.read_bytes(), load_demonstrations(folder)[0]
    monkeypatch.setattr("sb3_gail_ext.demonstrations.formats.sizes.MAPPED_FROM_BYTES", 1)
    mapped = load_demonstrations(folder)[0]
    assert_same(in_memory, mapped)
    assert base_of(mapped.obs) is not None
    assert base_of(in_memory.obs) is None
    mapped.obs[:] = 7
    assert file.read_bytes() == content


def base_of(array: np.ndarray) -> np.memmap | None:
    """The mapped file that an array is in."""
    base: Any = array
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    return base


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


def test_minari_reads_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    episodes = [
        trajectory(3),
        trajectory(2, terminal=False, infos=infos_of_end(2, time_limit=True)),
        trajectory(4, terminal=False),
    ]
    save_demonstrations(tmp_path / "hopper-v2", episodes, format="minari", metadata={"a": [1]})
    dataset = minari.load_dataset("hopper-v2")
    for before, after in zip(episodes, dataset.iterate_episodes(), strict=True):
        np.testing.assert_array_equal(before.obs, after.observations)
        np.testing.assert_array_equal(before.acts, after.actions)
        np.testing.assert_array_equal(before.rews, after.rewards)
        assert after.observations.dtype == np.float32
    ends = [(e.terminations.tolist(), e.truncations.tolist()) for e in dataset.iterate_episodes()]
    assert ends[0] == ([False, False, True], [False] * 3)
    assert ends[1] == ([False, False], [False, True])
    assert ends[2] == ([False] * 4, [False] * 4)
    assert dataset.observation_space == spaces.Box(-np.inf, np.inf, (2,), np.float32)
    assert load_metadata(tmp_path / "hopper-v2") == {"a": [1]}


def test_spaces_are_those_of_the_environment(tmp_path: Path) -> None:
    env = gym.make("CartPole-v1")
    episode = trajectory(2, obs=np.zeros((3, 4), np.float32), acts=np.array([0, 0]))
    metadata = {"env_id": "CartPole-v1"}
    save_demonstrations(tmp_path / "x-v0", [episode], format="minari", metadata=metadata)
    dataset = minari.MinariDataset(tmp_path / "x-v0/data")
    assert dataset.observation_space == env.observation_space
    assert dataset.action_space == env.action_space == spaces.Discrete(2)
    assert dataset.env_spec.id == "CartPole-v1"


def test_no_module_is_imported_for_an_environment(tmp_path: Path) -> None:
    """A file that was converted may have any environment in its metadata."""
    assert "this" not in sys.modules
    metadata = {"env_id": "this:Zen-v0"}
    save_demonstrations(tmp_path / "x-v0", [trajectory()], format="minari", metadata=metadata)
    assert "this" not in sys.modules


Make = Callable[..., Path]


@pytest.fixture
def made_by_minari(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a dataset with Minari: two episodes, of three steps and two."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))

    def make(storage: str, obs_space: spaces.Space, acts: Any = None, **changed: Any) -> Path:
        obs_space.seed(0)
        buffers = []
        for n in (3, 2):
            arrays = {
                "observations": stacked([obs_space.sample() for _ in range(n + 1)]),
                "actions": np.arange(n) % 2,
                "rewards": np.arange(n) / 3,
                "terminations": np.arange(n) == n - 1,
                "truncations": np.full(n, False),
            }
            buffers.append(EpisodeBuffer(**(arrays | {k: v[:n] for k, v in changed.items()})))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about authors and the like
            minari.create_dataset_from_buffers(
                f"{storage}-v0",
                buffers,
                observation_space=obs_space,
                action_space=spaces.Discrete(2),
                data_format=storage,
            )
        return tmp_path / f"{storage}-v0"

    return make


def stacked(samples: list[Any]) -> Any:
    if isinstance(samples[0], dict):
        return {key: np.stack([sample[key] for sample in samples]) for key in samples[0]}
    return np.stack(samples)


BOX = spaces.Box(-1, 1, (2, 3), np.float32)
IMAGES = spaces.Box(0, 255, (40, 32, 3), np.uint8)
GREY = spaces.Box(0, 255, (32, 40), np.uint8)
SMALL = spaces.Box(0, 255, (4, 4, 3), np.uint8)  # not encoded


@pytest.mark.parametrize("storage", ["hdf5", "arrow"])
@pytest.mark.parametrize("space", [BOX, IMAGES, GREY, SMALL, spaces.Discrete(5)])
def test_what_minari_has_written(made_by_minari: Make, storage: str, space: spaces.Space) -> None:
    folder = made_by_minari(storage, space)
    theirs = list(minari.load_dataset(folder.name).iterate_episodes())
    for path in (folder, folder / "data"):
        ours = load_demonstrations(path)
        for trajectory, episode in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(trajectory.obs, episode.observations)
            assert trajectory.obs.dtype == episode.observations.dtype
            np.testing.assert_array_equal(trajectory.acts, episode.actions)
            np.testing.assert_array_equal(trajectory.rews, episode.rewards)
        assert [len(trajectory) for trajectory in ours] == [3, 2]
        assert [trajectory.terminal for trajectory in ours] == [True, True]
        assert ours[0].obs.flags.writeable
    assert load_metadata(folder) == {}


@pytest.mark.parametrize("storage", ["hdf5", "arrow"])
@pytest.mark.parametrize(
    ("terminated", "truncated", "end"),
    [(0, 1, "time limit"), (0, 0, "unknown"), (1, 1, "terminal")],
)
def test_ends_of_minari(
    made_by_minari: Make, storage: str, terminated: int, truncated: int, end: str
) -> None:
    two = np.array([False, True])
    flags = {"terminations": two & bool(terminated), "truncations": two & bool(truncated)}
    others = {"observations": np.zeros((3, 2, 3), np.float32)[:3], "actions": np.zeros(2, int)}
    folder = made_by_minari(storage, BOX)
    buffers = [EpisodeBuffer(**others, **flags, rewards=np.ones(2))]
    data = MinariStorage.new(folder.parent / "ends", BOX, spaces.Discrete(2), data_format=storage)
    data.update_episodes(buffers)
    loaded = load_demonstrations(folder.parent / "ends", format="minari")[0]
    assert (end_of(loaded), loaded.terminal) == (end, end == "terminal")


def edit(folder: Path, **changed: Any) -> Path:
    """Change metadata.json."""
    file = folder / "data/metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    return folder


@pytest.mark.parametrize("storage", ["hdf5", "arrow"])
def test_minari_datasets_that_are_refused(made_by_minari: Make, storage: str) -> None:
    folder = made_by_minari(storage, IMAGES)
    sound = json.loads((folder / "data/metadata.json").read_text())
    box = json.loads(sound["observation_space"])
    other = {"type": "Dict", "subspaces": {"camera": box, "joints": box}}
    for changed, word in (
        ({"total_episodes": 3}, "holds 2 episodes"),
        ({"total_episodes": 0}, "total_episodes is 0"),
        ({"total_episodes": True}, "total_episodes is True"),
        ({"data_format": "parquet"}, "data_format is parquet"),
        ({"data_format": ["hdf5"]}, "data_format"),
        ({"observation_space": json.dumps(other)}, "a Dict of camera, joints"),
        ({"observation_space": "[" * 10**5}, "not JSON"),
        ({"observation_space": json.dumps({"type": "Text"})}, "of type Text"),
        ({"observation_space": json.dumps(box | {"shape": [-1]})}, "of type Box"),
        ({"observation_space": json.dumps(box | {"shape": [32, 40, 3]})}, "JPEG"),
        ({"observation_space": json.dumps(box | {"shape": [50_000] * 2 + [3]})}, "claims"),
        ({"jpeg_encoding": False}, "observations"),
    ):
        refused(edit(folder, **(sound | changed)), word)


@pytest.mark.parametrize("storage", ["hdf5", "arrow"])
def test_an_episode_that_ends_before_its_end(made_by_minari: Make, storage: str) -> None:
    folder = made_by_minari(storage, BOX, terminations=np.array([False, True, False]))
    refused(folder, "terminations of episode 0 is True at step 1")


def test_heaps_of_jpeg_images_that_lie(made_by_minari: Make) -> None:
    """HDF5 itself loops for ever on some of these."""
    folder = made_by_minari("hdf5", IMAGES)
    file = folder / "data/main_data.hdf5"
    sound = file.read_bytes()
    heap = sound.index(b"GCOL\x01")
    for at, value in ((8, 2**40), (8, 0), (16, 0), (16, 9), (24, 0), (24, 2**62)):
        file.write_bytes(sound[: heap + at] + struct.pack("<Q", value) + sound[heap + at + 8 :])
        refused(folder, "observations")


def test_a_frame_that_is_no_jpeg(made_by_minari: Make) -> None:
    folder = made_by_minari("hdf5", IMAGES)
    file = folder / "data/main_data.hdf5"
    sound = file.read_bytes()
    file.write_bytes(sound.replace(b"\xff\xd8\xff\xe0", b"GIF8", 1))
    refused(folder, "of step 0", "no JPEG")


def test_one_episode_under_many_names_is_no_way_to_fill_the_memory(
    made_by_minari: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = edit(made_by_minari("hdf5", BOX), total_episodes=10)
    arrays = {"observations": (20_001, 2, 3), "actions": (20_000,), "rewards": (20_000,)}
    with h5py.File(folder / "data/main_data.hdf5", "w") as file:
        for key, shape in arrays.items():
            file.create_dataset(f"episode_0/{key}", data=np.zeros(shape), compression="gzip")
        for key in ("terminations", "truncations"):
            file.create_dataset(f"episode_0/{key}", data=np.zeros(20_000, bool), compression="gzip")
        for i in range(1, 10):
            file[f"episode_{i}"] = file["episode_0"]
    assert len(load_demonstrations(folder)) == 10
    monkeypatch.setattr(sizes, "_HARMLESS_BYTES", 2**22)  # one has 1.3 MB
    monkeypatch.setattr(sizes, "_SUSPICIOUS_RATIO", 10)
    with pytest.raises(DemonstrationError, match="of all episodes expands"):
        load_demonstrations(folder)


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ({"type": "MultiDiscrete", "nvec": [[2, 3, 4], [5, 6, 7]]}, MinariSpace((2, 3), False)),
        (
            {"type": "MultiDiscrete", "nvec": ["a" * 10**6] + ["b"] * 10**6},
            MinariSpace((10**6 + 1,), False),
        ),
        ({"low": 0, "high": 255}, MinariSpace((32, 40), True)),
        ({"low": [[0] * 40] * 32, "high": [[255] * 40] * 32}, MinariSpace((32, 40), True)),
        ({"low": [[0] * 40] * 32, "high": [[255] * 39 + [254]] * 32}, MinariSpace((32, 40), False)),
        ({"low": ["a" * 10**6] + ["b"] * 10**6, "high": 255}, MinariSpace((32, 40), False)),
        ({"low": [[[[0]]]], "high": 255}, MinariSpace((32, 40), False)),
        ({"low": 0}, MinariSpace((32, 40), False)),
    ],
)
def test_bounds_of_spaces_are_lists_of_anything(space: Any, expected: MinariSpace) -> None:
    image = {"type": "Box", "dtype": "uint8", "shape": [32, 40]}
    text = json.dumps(image | space)
    found = spaces_of(Path("x"), {"observation_space": text, "action_space": text}).observation
    assert found == expected


# --- Both --------------------------------------------------------------------------------------

WRITABLE = pytest.mark.parametrize("format", ["imitation", "minari"])


@WRITABLE
def test_the_format_is_found_by_content(tmp_path: Path, format: str) -> None:
    save_demonstrations(tmp_path / "x", [trajectory()], format=format)
    assert format_of(tmp_path / "x") == format
    (tmp_path / "other/data").mkdir(parents=True)
    refused(tmp_path / "other", "no demonstrations of a known format")


@WRITABLE
def test_a_dataset_is_replaced_and_nothing_is_left_of_it(tmp_path: Path, format: str) -> None:
    save_demonstrations(tmp_path / "x", [trajectory(3)] * 2, format=format)
    save_demonstrations(tmp_path / "x", [trajectory(2)], format=format)
    assert [len(t) for t in load_demonstrations(tmp_path / "x")] == [2]
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@WRITABLE
def test_folders_of_the_user_are_never_replaced(tmp_path: Path, format: str) -> None:
    save_demonstrations(tmp_path / "x", [trajectory()], format=format)
    (tmp_path / "x/notes.txt").write_text("mine")
    for path, word in ((tmp_path / "x", "notes.txt"), (tmp_path, "x")):
        with pytest.raises(DemonstrationError, match=re.escape(f"{path}: holds {word}")):
            save_demonstrations(path, [trajectory()], format=format)
    with pytest.raises(DemonstrationError, match="is a file"):
        save_demonstrations(tmp_path / "x/notes.txt", [trajectory()], format=format)
    assert (tmp_path / "x/notes.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x"]


@WRITABLE
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_demonstrations(tmp_path / "x", [trajectory(3)], format=format)
    monkeypatch.setattr("sb3_gail_ext.atomic._exchange", failing)
    with pytest.raises(OSError, match="no space"):
        save_demonstrations(tmp_path / "x", [trajectory(2)], format=format)
    assert len(load_demonstrations(tmp_path / "x")[0]) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def failing(*_: Any) -> None:
    raise OSError("no space left on device")


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/file").touch()
    with pytest.raises(FileNotFoundError), folder_atomically(tmp_path / "old") as new:
        new.rmdir()
    assert [p.name for p in tmp_path.rglob("*")] == ["old", "file"]


@WRITABLE
@pytest.mark.parametrize(
    ("episodes", "word"),
    [
        ([], "no episodes"),
        ([trajectory(2, obs=np.full((3, 2), np.nan))], "not finite"),
        ([trajectory(2), trajectory(2, obs=np.zeros((3, 5)))], "differ in shape"),
        ([trajectory(2, obs=np.zeros((3, 2), np.longdouble))], "use float64"),
    ],
)
def test_what_cannot_be_written(
    tmp_path: Path, format: str, episodes: list[TrajectoryWithRew], word: str
) -> None:
    with pytest.raises(DemonstrationError, match=word):
        save_demonstrations(tmp_path / "x", episodes, format=format)
    assert list(tmp_path.iterdir()) == []


def test_folders_have_cards_and_digests(tmp_path: Path) -> None:
    folder = tmp_path / "hopper-v0.1"
    save_demonstrations(folder, [trajectory()], format="minari")
    write_card(folder, {"environment": "Hopper-v4"})
    assert card_path(folder) == tmp_path / "hopper-v0.1.card.json"
    assert (read_card(folder) or {})["environment"] == "Hopper-v4"
    (folder / "data/metadata.json").rename(folder / "data/other.json")  # the same contents
    with pytest.raises(DemonstrationError, match="sha256"):
        read_card(folder)


def test_a_folder_is_an_artifact_of_wandb(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    from sb3_gail_ext.tracking.artifacts import _dataset

    save_demonstrations(tmp_path / "x-v0", [trajectory()], format="minari")
    artifact = _dataset(tmp_path / "x-v0")
    assert sorted(artifact.manifest.entries) == [
        "x-v0/data/main_data.hdf5",
        "x-v0/data/metadata.json",
    ]
    assert artifact.metadata["sha256"] == sha256(tmp_path / "x-v0")


@pytest.mark.parametrize("kind", ["imitation", "hdf5", "arrow", "hdf5 images", "arrow images"])
def test_mutated_files(tmp_path: Path, made_by_minari: Make, kind: str) -> None:
    """Each is refused in one line or is sound: nothing else is raised."""
    if kind == "imitation":
        folder = arrow_folder(tmp_path / "x")
    else:
        storage, *images = kind.split()
        folder = made_by_minari(storage, GREY if images else BOX)
    files = [f for f in sorted(folder.rglob("*")) if f.is_file()]
    rng, refusals = np.random.default_rng(0), []
    for _ in range(100 if "images" in kind else 300):
        file = files[rng.integers(len(files))]
        content = file.read_bytes()
        file.write_bytes(mutated(content, rng))
        try:
            loaded = load_demonstrations(folder, format=None if kind == "imitation" else "minari")
            assert all(np.isfinite(t.obs).all() and len(t.obs) == len(t.rews) + 1 for t in loaded)
        except DemonstrationError as error:
            refusals.append(str(error))
        file.write_bytes(content)
    assert len(refusals) > 20
    assert all(line.isprintable() for line in refusals)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, inserted or cut out, or all behind a place."""
    data = bytearray(content)
    at, n = int(rng.integers(len(data))), int(rng.choice([1, 4, 8]))
    kind = rng.integers(4)
    if kind == 0:
        data[at : at + n] = rng.bytes(n)
    elif kind == 1:
        data[at : at + n] = rng.choice([b"\0", b"\xff", b"\x7f"]) * n
    elif kind == 2:
        data[at:at] = rng.bytes(n)
    else:
        del data[at : at + n if rng.random() < 0.8 else None]
    return bytes(data)
