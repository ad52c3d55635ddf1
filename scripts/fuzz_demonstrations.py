"""Throw damaged demonstration files at their readers, and count what happens.

    python scripts/fuzz_demonstrations.py --files 10000 --out docs/results/fuzz.json

Small sound files of every format are mutated: bytes flipped, inserted, cut out, repeated, replaced
by pieces of other files; in a zip archive also inside its members, whose checksums are then made to
fit. Each is read with `load_demonstrations` and `load_metadata`. Anything but trajectories or a
`DemonstrationError`, more than 2 seconds or more than 1 GB of memory is a failure, and so is a
reader that dies or hangs, which is why one process reads while another watches. A mutated file is
known by its format and number: `--format d4rl --first 17 --files 1 --keep DIR` makes it again.
Unix only.
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np
from gymnasium import spaces
from imitation.data import serialize
from imitation.data.types import Trajectory, TrajectoryWithRew
from stable_baselines3 import DQN, SAC

from sb3_gail_ext import DemonstrationError, load_demonstrations, save_demonstrations
from sb3_gail_ext.demonstrations.cards import package_versions
from sb3_gail_ext.demonstrations.files import FORMATS, load_metadata

SECONDS, MEBIBYTES = 2.0, 1_000.0
_HANG_SECONDS = 20  # after which a reader is stopped
_STUMBLING_BLOCKS = (
    b"\x00" * 8,
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"\x80",
    b"-1",
    b"9" * 12,
    b"(",
    b"\\",
)


# --- Sound files -------------------------------------------------------------------------------


def episodes(n: int = 3, *, discrete: bool = False) -> list[TrajectoryWithRew]:
    rng = np.random.default_rng(n)
    return [
        TrajectoryWithRew(
            obs=rng.normal(size=(length + 1, 3)).astype(np.float32),
            acts=rng.integers(3, size=length)
            if discrete
            else rng.uniform(-1, 1, (length, 2)).astype(np.float32),
            infos=None,
            terminal=bool(length % 2),
            rews=rng.normal(size=length),
        )
        for length in range(3, 3 + n)
    ]


def without_rewards() -> list[Trajectory]:
    return [Trajectory(t.obs, t.acts, t.infos, t.terminal) for t in episodes()]


def rectangular() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    rews = rng.normal(size=(2, 5))
    obs, acs = rng.normal(size=(2, 5, 3)), rng.uniform(-1, 1, (2, 5, 2))
    return {"ep_rets": rews.sum(1), "obs": obs, "acs": acs, "rews": rews}


def chapter_files(folder: Path) -> list[Path]:
    arrays = rectangular()
    np.savez(folder / "stored.npz", **arrays)
    np.savez_compressed(folder / "compressed.npz", **arrays)
    ragged = {key: np.empty(2, object) for key in ("obs", "acs", "rews")}
    for key, array in ragged.items():
        array[:] = [arrays[key][0], arrays[key][1, :3]]
    returns = np.array([rews.sum() for rews in ragged["rews"]])
    np.savez(folder / "ragged.npz", ep_rets=returns, **ragged)
    del ragged["rews"]
    np.savez(folder / "recorder.npz", rets=returns, lens=np.array([5, 3]), **ragged)
    np.savez(folder / "least.npz", obs=arrays["obs"], acs=arrays["acs"])
    save_demonstrations(folder / "ours.npz", episodes(), metadata={"env_id": "Hopper-v4"})
    save_demonstrations(folder / "discrete.npz", episodes(discrete=True))
    return sorted(folder.iterdir())


def sb2_files(folder: Path) -> list[Path]:
    from sb3_gail_ext.demonstrations.formats.sb2 import sb2_arrays

    for discrete in (False, True):
        arrays = sb2_arrays(episodes(discrete=discrete))
        np.savez(folder / f"{discrete}.npz", **arrays)
    starts = np.empty(len(arrays["obs"]), object)
    starts[:] = [True, *(np.array([start]) for start in arrays["episode_starts"][1:])]
    np.savez(folder / "objects.npz", **(arrays | {"episode_starts": starts}))
    return sorted(folder.iterdir())


def imitation_npz_files(folder: Path) -> list[Path]:
    for discrete in (False, True):
        played = episodes(discrete=discrete)
        lengths = [len(episode) for episode in played]
        arrays = {
            "obs": np.concatenate([episode.obs for episode in played]),
            "acts": np.concatenate([episode.acts for episode in played]),
            "infos": np.array([{"TimeLimit.truncated": i % 2 == 0} for i in range(sum(lengths))]),
            "terminal": np.ones(len(played), bool),
            "indices": np.cumsum(lengths)[:-1],
        }
        np.savez(folder / f"{discrete}-without-rewards.npz", **arrays)
        rews = np.concatenate([episode.rews for episode in played])
        np.savez_compressed(folder / f"{discrete}.npz", rews=rews, **arrays)
    return sorted(folder.iterdir())


def imitation_pickle_files(folder: Path) -> list[Path]:
    for protocol in (0, 2, 4, 5):
        with (folder / f"{protocol}.pkl").open("wb") as file:
            pickle.dump(episodes(), file, protocol)
        with (folder / f"{protocol}-without-rewards.pkl").open("wb") as file:
            pickle.dump(without_rewards(), file, protocol)
    return sorted(folder.iterdir())


def replay_buffer_files(folder: Path) -> list[Path]:
    for name, algorithm, env in (("sac", SAC, "Pendulum-v1"), ("dqn", DQN, "CartPole-v1")):
        model = algorithm("MlpPolicy", env, buffer_size=40, learning_starts=100, seed=0)
        model.learn(60).save_replay_buffer(folder / f"{name}.pkl")
    return sorted(folder.iterdir())


def d4rl_files(folder: Path) -> list[Path]:
    played = episodes()
    ends = np.cumsum([len(episode) for episode in played]) - 1
    flags = {name: np.zeros(ends[-1] + 1, bool) for name in ("terminals", "timeouts")}
    flags["terminals"][ends[::2]] = flags["timeouts"][ends[1::2]] = True
    arrays = {
        "observations": np.concatenate([episode.obs[:-1] for episode in played]),
        "next_observations": np.concatenate([episode.obs[1:] for episode in played]),
        "actions": np.concatenate([episode.acts for episode in played]),
        "rewards": np.concatenate([episode.rews for episode in played]),
        **flags,
    }
    for name, options in (("plain", {}), ("gzip", {"compression": "gzip", "shuffle": True})):
        with h5py.File(folder / f"{name}.hdf5", "w") as file:
            for key, array in arrays.items():
                file.create_dataset(key, data=array, **options)
    shutil.copy(folder / "plain.hdf5", folder / "without-rewards.hdf5")
    with h5py.File(folder / "without-rewards.hdf5", "a") as file:
        del file["rewards"]
    return sorted(folder.iterdir())


def robomimic_files(folder: Path) -> list[Path]:
    with h5py.File(folder / "demo.hdf5", "w") as file:
        for number, episode in enumerate(episodes()):
            demo = file.create_group(f"data/demo_{number}")
            demo.attrs["num_samples"] = len(episode)
            demo["obs/object"], demo["next_obs/object"] = episode.obs[:-1], episode.obs[1:]
            demo["actions"], demo["rewards"] = episode.acts, episode.rews
            demo["dones"] = np.arange(len(episode)) == len(episode) - 1
    shutil.copy(folder / "demo.hdf5", folder / "without-rewards.hdf5")
    with h5py.File(folder / "without-rewards.hdf5", "a") as file:
        for demo in file["data"].values():
            del demo["rewards"]
    return sorted(folder.iterdir())


def imitation_folders(folder: Path) -> list[Path]:
    for discrete in (False, True):
        save_demonstrations(folder / f"{discrete}", episodes(discrete=discrete), format="imitation")
    with_infos = [replace(t, infos=np.full(len(t), {}, object)) for t in without_rewards()]
    serialize.save(folder / "without-rewards", with_infos)
    return sorted(folder.iterdir())


def minari_folders(folder: Path) -> list[Path]:
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    save_demonstrations(folder / "hdf5", episodes(), format="minari")
    save_demonstrations(folder / "discrete", episodes(discrete=True), format="minari")
    (folder / "arrow").mkdir()
    storage = MinariStorage.new(
        folder / "arrow" / "data",
        spaces.Box(-np.inf, np.inf, (3,), np.float32),
        spaces.Box(-1.0, 1.0, (2,), np.float32),
        data_format="arrow",
    )
    buffers = [
        EpisodeBuffer(
            observations=episode.obs,
            actions=episode.acts,
            rewards=episode.rews,
            terminations=np.arange(len(episode)) == len(episode) - 1,
            truncations=np.zeros(len(episode), bool),
        )
        for episode in episodes()
    ]
    storage.update_episodes(buffers)
    return sorted(folder.iterdir())


SOUND_FILES: dict[str, Callable[[Path], list[Path]]] = {
    "chapter": chapter_files,
    "sb2": sb2_files,
    "imitation": imitation_folders,
    "imitation-npz": imitation_npz_files,
    "imitation-pickle": imitation_pickle_files,
    "sb3-replay-buffer": replay_buffer_files,
    "minari": minari_folders,
    "d4rl": d4rl_files,
    "robomimic": robomimic_files,
}


# --- Mutations ---------------------------------------------------------------------------------


def mutated(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """One to four changes, each at a random place."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 8, 64, 512))
        change = rng.randrange(7)
        if change == 0 and data:  # a bit
            data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif change == 1:  # other bytes
            data[at : at + length] = rng.randbytes(length)
        elif change == 2:  # what parsers stumble on
            piece = rng.choice(_STUMBLING_BLOCKS)
            data[at : at + len(piece)] = piece
        elif change == 3:  # a piece less
            del data[at : at + length]
        elif change == 4:  # a piece twice
            data[at:at] = data[at : at + length]
        elif change == 5 and other:  # a piece of another file
            start = rng.randrange(len(other))
            data[at : at + length] = other[start : start + length]
        elif change == 6 and rng.random() < 0.2:  # the rest
            del data[at:]
    return bytes(data)


def mutated_archive(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """A member is changed, and the archive around it is sound."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    if rng.random() < 0.1:
        del members[rng.randrange(len(members))]
    chosen = rng.randrange(len(members))
    stream = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(stream, "w", method) as archive:
        for number, (name, member) in enumerate(members):
            changed = mutated(member, other, rng) if number == chosen else member
            archive.writestr(name, changed)
    return stream.getvalue()


def write_mutated(sound: list[Path], target: Path, rng: random.Random) -> None:
    """A mutated copy of one of these files, or of one file in one of these folders."""
    source, other = rng.choice(sound), rng.choice(sound)
    if source.is_dir():
        shutil.copytree(source, target)
        victims = sorted(path for path in target.rglob("*") if path.is_file())
        victim = rng.choice(victims)
        victim.write_bytes(mutated(victim.read_bytes(), rng.choice(victims).read_bytes(), rng))
        return
    content, foreign = source.read_bytes(), other.read_bytes()
    inside = zipfile.is_zipfile(source) and rng.random() < 0.7
    target.write_bytes((mutated_archive if inside else mutated)(content, foreign, rng))


# --- Reading -----------------------------------------------------------------------------------


@dataclass
class Count:
    """What became of the mutated files of one format."""

    files: int = 0
    valid: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    peak_mebibytes: float = 0.0  # above what the process had before its first file

    def add(self, result: dict) -> None:
        self.files += 1
        self.valid += result["outcome"] == "valid"
        self.refused += result["outcome"] == "refused"
        self.slowest_seconds = max(self.slowest_seconds, result["seconds"])
        self.peak_mebibytes = max(self.peak_mebibytes, result["mebibytes"])
        for name, value, limit in (
            ("seconds", result["seconds"], SECONDS),
            ("MiB", result["mebibytes"], MEBIBYTES),
        ):
            if value > limit:
                self.failures.append(f"file {result['number']}: {value:.1f} {name}")
        if result["outcome"] not in ("valid", "refused"):
            self.failures.append(f"file {result['number']}: {result['outcome']}")


def outcome(path: Path) -> str:
    """ "valid", "refused", or what should not have been raised."""
    try:
        load_metadata(path)
    except DemonstrationError:
        pass
    except Exception as error:
        return f"load_metadata raised {error!r:.200}"
    try:
        loaded = load_demonstrations(path)
    except DemonstrationError as error:
        return "refused" if "\n" not in str(error) else f"two lines: {error!r:.200}"
    except Exception as error:
        return f"load_demonstrations raised {error!r:.200}"
    return (
        "valid" if loaded and all(is_sound(episode) for episode in loaded) else "an unsound result"
    )


def is_sound(episode: TrajectoryWithRew) -> bool:
    """Of finite numbers; rewards may be unknown, all of them NaN."""
    arrays = [episode.obs, episode.acts]
    if not np.isnan(episode.rews).all():
        arrays.append(episode.rews)
    return len(episode) == len(episode.rews) > 0 and all(
        array.dtype.kind in "fiub" and np.isfinite(array).all() for array in arrays
    )


def peak_mebibytes() -> float:
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def make_sound(format: str, folder: Path) -> list[Path]:
    folder.mkdir()
    sound = SOUND_FILES[format](folder)
    for path in sound:
        load_demonstrations(path)  # also warms up what is imported late
    return sound


def read_mutated(format: str, first: int, n_files: int, folder: Path) -> None:
    """Print one line of JSON per file. Stopped by SIGALRM where a file takes too long."""
    warnings.simplefilter("ignore")
    sound = make_sound(format, folder / "sound")
    target, before = folder / "mutated", peak_mebibytes()
    for number in range(first, first + n_files):
        write_mutated(sound, target, random.Random(f"{format} {number}"))
        signal.alarm(_HANG_SECONDS)
        started = time.perf_counter()
        result = {"number": number, "outcome": outcome(target)}
        result["seconds"] = time.perf_counter() - started
        signal.alarm(0)
        result["mebibytes"] = peak_mebibytes() - before
        print(json.dumps(result), flush=True)
        shutil.rmtree(target) if target.is_dir() else target.unlink()


def watch(format: str, first: int, n_files: int) -> Count:
    """Have another process read; go on behind a file that it does not survive."""
    with tempfile.TemporaryDirectory() as folder:
        make_sound(format, Path(folder) / "sound")  # fails here if the sound ones are not
    count, number, end = Count(), first, first + n_files
    while number < end:
        with tempfile.TemporaryDirectory() as folder:
            arguments = ["--format", format, "--first", str(number), "--files", str(end - number)]
            command = [sys.executable, __file__, "--read-in", folder, *arguments]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
                assert reader.stdout is not None
                for line in reader.stdout:
                    count.add(json.loads(line))
                    number += 1
            if reader.returncode:
                count.failures.append(f"file {number}: the reader died ({reader.returncode})")
                number += 1
                count.files += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000, help="of each format")
    parser.add_argument("--format", choices=SOUND_FILES, help="only this one")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--keep", type=Path, help="write the mutated files here; read nothing")
    parser.add_argument("--out", type=Path, help="JSON file of the counts")
    parser.add_argument("--read-in", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read_in is not None:
        read_mutated(arguments.format, arguments.first, arguments.files, arguments.read_in)
        return
    formats = [arguments.format] if arguments.format else list(SOUND_FILES)
    if arguments.keep is not None:
        keep(formats, arguments.first, arguments.files, arguments.keep)
        return
    counts = {}
    for format in formats:
        count = counts[format] = watch(format, arguments.first, arguments.files)
        print(
            f"{format:<18} {count.files} files: {count.valid} valid, {count.refused} refused, "
            f"{len(count.failures)} failures; slowest {count.slowest_seconds:.2f} s, "
            f"{count.peak_mebibytes:.0f} MiB at most"
        )
        for failure in count.failures[:20]:
            print(f"    {failure}")
    if arguments.out is not None:
        report = {
            "command": f"python scripts/fuzz_demonstrations.py --files {arguments.files}",
            "versions": package_versions(),
            "formats": {format: asdict(count) for format, count in counts.items()},
        }
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    missing = set(FORMATS) - set(SOUND_FILES)
    sys.exit(bool(missing or any(count.failures for count in counts.values())))


def keep(formats: list[str], first: int, n_files: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for format in formats:
        sound = make_sound(format, folder / f"sound-{format}")
        for number in range(first, first + n_files):
            write_mutated(sound, folder / f"{format}-{number}", random.Random(f"{format} {number}"))


if __name__ == "__main__":
    main()
