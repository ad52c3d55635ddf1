"""Learning-rate schedules that survive saving."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GeometricSchedule:
    """From `initial` at the start of training to `final` at its end, by equal factors."""

    initial: float
    final: float

    def __call__(self, progress_remaining: float) -> float:
        # Negative behind the last of the steps that were asked for, for rollouts are whole.
        return self.final * (self.initial / self.final) ** max(progress_remaining, 0.0)


@dataclass(frozen=True)
class LinearSchedule:
    """From `initial` at the start of training down to `end_fraction * initial` at its end.

    SB3 calls it with the remaining progress, 1 at the start and 0 at the end. It works here
    because `learn` runs once; `imitation` calls it once a round, which freezes it at its end.
    """

    initial: float
    end_fraction: float = 0.02

    def __call__(self, progress_remaining: float) -> float:
        return self.initial * max(progress_remaining, self.end_fraction)
