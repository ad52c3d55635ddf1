"""Which algorithms of this package the zoo trains, and under which names.

DAgger is not among them: what it learns from is an expert that it asks, not a file.
"""

from __future__ import annotations

from sb3_gail_ext.algorithms.airl import AIRL
from sb3_gail_ext.algorithms.bc import BC
from sb3_gail_ext.algorithms.dac import DAC
from sb3_gail_ext.algorithms.demonstrated import Demonstrated
from sb3_gail_ext.algorithms.gaifo import GAIfO
from sb3_gail_ext.algorithms.gail import GAIL
from sb3_gail_ext.algorithms.sqil import SQIL

ALGORITHMS: dict[str, type[Demonstrated]] = {
    "gail": GAIL,
    "airl": AIRL,
    "gaifo": GAIfO,
    "dac": DAC,
    "sqil": SQIL,
    "bc": BC,
}


def register() -> None:
    """Make them known to every part of the zoo in this process.

    Its modules import one table by name, so that it must be added to, never replaced.

    :raises ImportError: if the zoo is not installed.
    """
    from rl_zoo3 import ALGOS

    ALGOS.update(ALGORITHMS)
