"""`.npz` archives of unknown origin: what their headers claim, and arrays that stay on disk."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sb3_gail_ext import DemonstrationError, load_demonstrations, save_demonstrations
from sb3_gail_ext.demonstrations.ends import end_of
from sb3_gail_ext.demonstrations.formats import sizes
from sb3_gail_ext.demonstrations.formats.npz import array_names, load_arrays, load_text

MEBIBYTE = 2**20


def load(path: Path, *names: str) -> dict[str, np.ndarray]:
    return load_arrays(path, names, hint="")


def npy(header: str, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    width = 2 if version == b"\x01\x00" else 4
    length = len(header).to_bytes(width, "little")
    return b"\x93NUMPY" + version + length + header.encode() + body


def archive(
    path: Path, member: bytes, method: int = zipfile.ZIP_STORED, name: str = "obs.npy"
) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr(name, member)
    return path


def header(shape: str, descr: str = "'<f4'", fortran: bool = False) -> str:
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


ARRAYS = {
    "C order": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "Fortran order": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "big-endian": np.arange(6, dtype=">f8").reshape(2, 3),
    "booleans": np.array([True, False, True]),
    "a number": np.array(3),
    "no elements": np.zeros((2, 0, 3)),
    "images": np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3),
    "half precision": np.arange(3, dtype=np.float16),
}


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS.keys())
def test_arrays_are_those_that_numpy_saved(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    array: np.ndarray,
    save: Callable[..., None],
    mapped: bool,
) -> None:
    monkeypatch.setattr(sizes, "MAPPED_FROM_BYTES", 1 if mapped else 2**30)
    save(tmp_path / "x.npz", before=np.zeros(7), obs=array)
    assert array_names(tmp_path / "x.npz") == {"before", "obs"}
    loaded = load(tmp_path / "x.npz", "obs")["obs"]
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, array, strict=True)
    stays = mapped and save is np.savez and array.size > 0
    assert isinstance(loaded, np.memmap) == stays


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_with_room_for_one_step_more(tmp_path: Path, order: str) -> None:
    obs = np.array(np.arange(24.0).reshape(2, 3, 4), order=order)  # type: ignore[call-overload]
    np.savez(tmp_path / "x.npz", obs=obs)
    roomy = load_arrays(tmp_path / "x.npz", ["obs"], hint="", one_step_longer="obs")["obs"]
    assert roomy.shape == (2, 4, 4)
    np.testing.assert_array_equal(roomy[:, :3], obs)


def test_writing_into_an_array_on_disk_does_not_change_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "MAPPED_FROM_BYTES", 1)
    np.savez(tmp_path / "x.npz", obs=np.ones(5))
    before = (tmp_path / "x.npz").read_bytes()
    load(tmp_path / "x.npz", "obs")["obs"][:] = 7.0
    assert (tmp_path / "x.npz").read_bytes() == before


# --- Headers -----------------------------------------------------------------------------------

LIES = {
    "more than there is": (npy(header("(1000000000000,)"), bytes(64)), "64"),
    "more than an address": (npy(header("(9000000000000000000, 9)"), bytes(64)), "64"),
    "less than there is": (npy(header("(4,)"), bytes(64)), "64"),
    "a negative size": (npy(header("(-1,)"), bytes(64)), "impossible shape"),
    "two negative sizes": (npy(header("(-4, -4)"), bytes(64)), "impossible shape"),
    "a boolean size": (npy(header("(True,)"), bytes(4)), "impossible shape"),
    "forty dimensions": (npy(header(str((1,) * 40)), bytes(4)), "impossible shape"),
    "no shape": (npy("{'descr': '<f4'}\n", bytes(4)), "no NumPy header"),
    "code in the place of a shape": (
        npy(header("(__import__('os').getpid(),)")),
        "no NumPy header",
    ),
    "an unknown type": (npy(header("(4,)", "'nonsense'"), bytes(16)), "no NumPy header"),
    "no elements of text": (npy(header("(4,)", "'<U0'")), "dtype <U0"),
    "a structure": (npy(header("(1,)", "[('a', '<f4')]"), bytes(4)), "dtype"),
    "an array in an element": (npy(header("(1,)", "('<f4', (2,))"), bytes(8)), ""),
    "a date": (npy(header("(1,)", "'<M8[s]'"), bytes(8)), "dtype"),
    "version 3": (npy(header("(1,)"), bytes(4), version=b"\x03\x00"), "version"),
    "a longer header than the file": (npy(header("(1,)"))[:20], "no NumPy header"),
    "no magic": (b"hello", "no NumPy header"),
    "nothing": (b"", "no NumPy header"),
    "deep nesting": (npy("(" * 5000 + ")" * 4000), "no NumPy header"),
}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(("member", "word"), LIES.values(), ids=LIES.keys())
def test_a_header_that_does_not_fit_its_file_is_refused(
    tmp_path: Path, member: bytes, word: str, method: int
) -> None:
    path = archive(tmp_path / "x.npz", member, method)
    with pytest.raises(DemonstrationError, match="array obs") as caught:
        load(path, "obs")
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_header_of_four_gibibytes_is_not_read(tmp_path: Path) -> None:
    member = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b" " * MEBIBYTE
    path = archive(tmp_path / "x.npz", member, zipfile.ZIP_DEFLATED)
    with pytest.raises(DemonstrationError, match="no NumPy header"):
        load(path, "obs")


def test_a_bomb_is_not_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "_HARMLESS_BYTES", MEBIBYTE)
    np.savez_compressed(tmp_path / "x.npz", obs=np.zeros(MEBIBYTE))
    with pytest.raises(DemonstrationError, match=r"expands from .* to 8 MiB"):
        load(tmp_path / "x.npz", "obs")
    np.savez_compressed(tmp_path / "y.npz", obs=np.zeros(MEBIBYTE // 8))
    assert load(tmp_path / "y.npz", "obs")["obs"].nbytes == MEBIBYTE


def test_what_does_not_fit_into_memory_is_refused_unless_it_stays_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.random.default_rng(0).normal(size=1000)
    np.savez_compressed(tmp_path / "x.npz", obs=array)
    np.savez(tmp_path / "y.npz", obs=array)
    monkeypatch.setattr(sizes, "available_bytes", lambda: 7000)
    with pytest.raises(DemonstrationError, match=r"needs 8000 bytes of memory.*uncompressed"):
        load(tmp_path / "x.npz", "obs")
    np.testing.assert_array_equal(load(tmp_path / "y.npz", "obs")["obs"], array)


def test_a_size_beyond_what_deflate_can_do_is_refused() -> None:
    with pytest.raises(DemonstrationError, match="claims 10 MiB, but the file has only 1000 bytes"):
        sizes.check_size("x", "obs", 10 * MEBIBYTE, 1000)
    sizes.check_size("x", "obs", 1_032_000, 1000)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(tmp_path: Path, method: int) -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros(100))
    path = archive(tmp_path / "x.npz", stream.getvalue(), method)
    with pytest.raises(DemonstrationError, match="method that NumPy does not write"):
        load(path, "obs")


def test_the_available_memory_is_of_this_machine() -> None:
    assert 2**26 < sizes.available_bytes() < 2**50


def test_text_is_one_string(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", some=np.array("words"), more=np.array(["a", "b"]), n=np.array(1))
    np.savez(tmp_path / "y.npz", some=np.array(""))
    assert load_text(tmp_path / "x.npz", "some") == "words"
    assert load_text(tmp_path / "x.npz", "other") is None
    assert load_text(tmp_path / "y.npz", "some") == ""
    for key in ("more", "n"):
        with pytest.raises(DemonstrationError, match=f"array {key}.*one text"):
            load_text(tmp_path / "x.npz", key)


# --- The chapter's files on disk ---------------------------------------------------------------


def test_a_chapter_file_of_large_images_stays_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "ep_rets": np.array([3.0, 3.0]),
        "obs": rng.integers(1, 256, (2, 3, 8, 8, 1), np.uint8),
        "acs": np.array([[1, 2, 3], [3, 2, 1]]),
        "rews": np.ones((2, 3)),
    }
    np.savez(tmp_path / "x.npz", **arrays)
    in_memory = load_demonstrations(tmp_path / "x.npz")
    monkeypatch.setattr(sizes, "MAPPED_FROM_BYTES", 300)
    for row, (episode, same) in enumerate(
        zip(load_demonstrations(tmp_path / "x.npz"), in_memory, strict=True)
    ):
        assert isinstance(episode.obs, np.memmap)
        np.testing.assert_array_equal(episode.obs, arrays["obs"][row])
        np.testing.assert_array_equal(episode.acts, same.acts)
        assert episode.acts.tolist() == arrays["acs"][row, :2].tolist()


def test_an_episode_on_disk_loses_its_last_step_but_not_what_is_known_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_trajectory: Callable
) -> None:
    path = tmp_path / "x.npz"
    episodes = [make_trajectory(4, terminal=True), make_trajectory(3)]
    save_demonstrations(path, episodes)
    with np.load(path) as npz:
        np.savez(path, **dict(npz))
    monkeypatch.setattr(sizes, "MAPPED_FROM_BYTES", 1)
    loaded = load_demonstrations(path)
    assert [len(e) for e in loaded] == [3, 2]
    assert [e.terminal for e in loaded] == [False, False]
    assert [end_of(e) for e in loaded] == ["terminal", "unknown"]
    np.testing.assert_array_equal(loaded[0].obs, episodes[0].obs[:-1])


def test_an_episode_of_one_step_on_disk_has_nothing_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_trajectory: Callable
) -> None:
    path = tmp_path / "x.npz"
    save_demonstrations(path, [make_trajectory(4), make_trajectory(1)])
    with np.load(path) as npz:
        np.savez(path, **dict(npz))
    assert [len(e) for e in load_demonstrations(path)] == [4, 1]
    monkeypatch.setattr(sizes, "MAPPED_FROM_BYTES", 1)
    assert [len(e) for e in load_demonstrations(path)] == [3]
