"""What tests of demonstration files ask again and again: equal to the bit? refused in one line?"""

from pathlib import Path

import numpy as np
import pytest
from imitation.data.types import TrajectoryWithRew

from sb3_gail_ext import DemonstrationError, load_demonstrations


def assert_same_arrays(left: TrajectoryWithRew, right: TrajectoryWithRew) -> None:
    """Equal to the bit, dtypes included; ends are not compared."""
    for name in ("obs", "acts", "rews"):
        a, b = getattr(left, name), getattr(right, name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def refused(path: Path, *words: str, format: str | None = None) -> None:
    """Loading raises one line that names the file and every one of `words`."""
    with pytest.raises(DemonstrationError) as caught:
        load_demonstrations(path, format=format)
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message
