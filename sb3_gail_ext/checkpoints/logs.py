"""What SB3's logger holds between two rows, which a checkpoint keeps for the next one."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.logger import Logger


def recorded(logger: Logger) -> dict[str, Any]:
    """The numbers recorded since the last row, as JSON; figures are drawn again."""
    return {
        key: {
            # As a CSV would have it: 0.1, not 0.10000000149011612.
            "value": float(str(value)) if isinstance(value, np.floating) else value,
            "count": logger.name_to_count.get(key, 0),
            "exclude": logger.name_to_excluded.get(key),
        }
        for key, value in logger.name_to_value.items()
        if isinstance(value, int | float | np.floating)
    }


def record_again(logger: Logger, row: dict[str, Any]) -> None:
    """What `recorded` returned, with the counts of means."""
    for key, entry in row.items():
        logger.record(key, entry["value"], exclude=tuple(entry["exclude"] or ()))
        logger.name_to_count[key] = entry["count"]
