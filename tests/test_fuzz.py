"""A short form of `scripts/fuzz_demonstrations.py`, which throws 10,000 files at each reader."""

import random
import runpy
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from sb3_gail_ext.demonstrations.files import FORMATS

N_FILES = 150
SCRIPT: dict[str, Any] = runpy.run_path(
    str(Path(__file__).parents[1] / "scripts" / "fuzz_demonstrations.py")
)


@pytest.mark.parametrize("format", FORMATS)
def test_mutated_files_are_read_or_refused(tmp_path: Path, format: str) -> None:
    sound = SCRIPT["make_sound"](format, tmp_path / "sound")
    target, outcomes, slowest = tmp_path / "mutated", [], 0.0
    for number in range(N_FILES):
        SCRIPT["write_mutated"](sound, target, random.Random(f"{format} {number}"))
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcomes.append(SCRIPT["outcome"](target))
        slowest = max(slowest, time.process_time() - started)
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    assert set(outcomes) == {"valid", "refused"}
    assert slowest < SCRIPT["SECONDS"]


def test_mutations_are_the_same_for_the_same_number(tmp_path: Path) -> None:
    sound = SCRIPT["make_sound"]("chapter", tmp_path / "sound")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        SCRIPT["write_mutated"](sound, tmp_path / name, random.Random(f"chapter {seed}"))
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c
    assert a not in [path.read_bytes() for path in sound]


def test_what_takes_too_much_or_escapes_is_counted() -> None:
    count = SCRIPT["Count"]()
    count.add({"number": 0, "outcome": "refused", "seconds": 0.1, "mebibytes": 1.0})
    assert not count.failures
    count.add({"number": 1, "outcome": "valid", "seconds": 2.1, "mebibytes": 1.0})
    count.add({"number": 2, "outcome": "valid", "seconds": 0.1, "mebibytes": 1200.0})
    count.add(
        {"number": 3, "outcome": "load_demonstrations raised X", "seconds": 0, "mebibytes": 0}
    )
    assert [failure.split(":")[0] for failure in count.failures] == ["file 1", "file 2", "file 3"]
    assert (count.files, count.valid, count.refused) == (4, 2, 1)
