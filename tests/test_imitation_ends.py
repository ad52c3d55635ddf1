"""Which ends of `imitation`'s files are believed."""

from typing import Any

import numpy as np
import pytest

from sb3_gail_ext.demonstrations.ends import TERMINAL_NEXT, TIME_LIMIT
from sb3_gail_ext.demonstrations.formats.imitation_ends import kept_end


@pytest.mark.parametrize(
    ("terminal", "info", "expected", "last"),
    [
        (True, {TIME_LIMIT: True}, False, {TIME_LIMIT: True}),
        (True, {TIME_LIMIT: np.bool_(True)}, False, {TIME_LIMIT: True}),
        (True, {TIME_LIMIT: False}, True, None),
        (True, {TIME_LIMIT: np.bool_(False)}, True, None),
        (True, {}, False, None),
        (True, {TIME_LIMIT: None}, False, None),
        (True, {TIME_LIMIT: {"py/object": "numpy.bool_"}}, False, None),
        (True, {TIME_LIMIT: np.zeros(3)}, False, None),
        (True, None, False, None),
        (False, {TIME_LIMIT: True}, False, {TIME_LIMIT: True}),
        (False, {TIME_LIMIT: False}, False, None),
        (False, {TERMINAL_NEXT: True}, False, {TERMINAL_NEXT: True}),
        (False, {}, False, None),
    ],
)
def test_ends(terminal: bool, info: Any, expected: bool, last: dict[str, bool] | None) -> None:
    kept, infos = kept_end(3, terminal, info)
    assert kept is expected
    if last is None:
        assert infos is None
    else:
        assert infos.tolist() == [{}, {}, last]
