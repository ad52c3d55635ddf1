"""Small files that would cost much: found in review, none of them by chance."""

import pickle
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from imitation.data.rollout import flatten_trajectories
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext import DemonstrationError, load_demonstrations
from sb3_gail_ext.demonstrations.ends import infos_of_end
from sb3_gail_ext.demonstrations.formats import sizes
from sb3_gail_ext.demonstrations.formats.safe_pickle import safe_loads
from sb3_gail_ext.demonstrations.sampling import flatten, terminal_share


def test_a_directory_that_lies_about_the_compressed_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "_HARMLESS_BYTES", 2**20)
    path = tmp_path / "x.npz"
    np.savez_compressed(path, ep_rets=np.zeros(1), obs=np.zeros((1, 10**6, 1)))
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("obs.npy")
    content = bytearray(path.read_bytes())
    # In the central directory, 20 bytes in, lies the compressed size.
    at = content.find(b"obs.npy", content.find(b"PK\x01\x02")) - 46 + 20
    assert struct.unpack_from("<I", content, at)[0] == info.compress_size
    struct.pack_into("<I", content, at, info.file_size)
    path.write_bytes(content)
    with pytest.raises(DemonstrationError):
        load_demonstrations(path)
    with pytest.raises(DemonstrationError, match="expands"):
        sizes.check_size("x", "obs", info.file_size, len(content))


@pytest.mark.parametrize("fan_out", [60, 200])
def test_empty_lists_that_share_each_other(tmp_path: Path, fan_out: int) -> None:
    content: list = []
    for _ in range(4):
        content = [content] * fan_out
    ragged = np.empty(2, object)
    ragged[:] = [content, content]
    np.savez(tmp_path / "x.npz", ep_rets=np.zeros(2), obs=ragged, acs=ragged, rews=ragged)
    started = time.process_time()
    with pytest.raises(DemonstrationError, match="claims"):
        load_demonstrations(tmp_path / "x.npz")
    assert time.process_time() - started < 2.0


def test_keys_that_all_have_one_hash() -> None:
    keys = [np.longdouble(10) ** np.longdouble(400 + i) for i in range(3)]
    with pytest.raises(DemonstrationError):
        safe_loads(pickle.dumps(dict.fromkeys(keys, 0)), "x")


def test_more_episodes_than_any_data_set_has(tmp_path: Path) -> None:
    n, tiny = sizes.MOST_EPISODES + 1, np.zeros
    arrays = {"ep_rets": tiny(n, "u1"), "obs": tiny((n, 2, 1), "u1"), "rews": tiny((n, 2), "u1")}
    np.savez_compressed(tmp_path / "x.npz", acs=tiny((n, 2), "u1"), **arrays)
    with pytest.raises(DemonstrationError, match="200,001 episodes"):
        load_demonstrations(tmp_path / "x.npz")


def test_what_the_system_raises_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DemonstrationError, match="cannot be read"):
        load_demonstrations(tmp_path / ("x" * 5000))


def test_time_limits_of_flattened_trajectories_are_no_ends() -> None:
    episode = TrajectoryWithRew(
        obs=np.zeros((4, 1)),
        acts=np.zeros((3, 1)),
        infos=infos_of_end(3, time_limit=True),
        terminal=True,
        rews=np.zeros(3),
    )
    transitions = flatten_trajectories([episode])
    assert transitions.dones.any()  # imitation's
    assert not flatten(transitions).dones.any()
    assert terminal_share(transitions) == 0.0
