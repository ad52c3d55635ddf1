"""Every method that can be measured, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sb3_gail_ext.bench import ours, peers
from sb3_gail_ext.bench.method import Method
from sb3_gail_ext.bench.task import Task

METHODS: dict[str, Callable[[Task, int, dict[str, Any]], Method]] = {
    "gail": ours.gail,
    "airl": ours.airl,
    "dac": ours.dac,
    "sqil": ours.sqil,
    "bc": ours.behaviour_cloning,
    "dagger": ours.dagger,
    "chapter_printed": ours.chapter_printed,
    "chapter_corrected": ours.chapter_corrected,
    "imitation": peers.imitation_gail,
    "imitation_bc": peers.imitation_behaviour_cloning,
    "ppo": peers.ppo,
    "sac": peers.sac,
}
