"""Expert-normalised scores: 0 is what a random agent returns, 1 what the expert does."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sb3_gail_ext.demonstrations.cards import expert_mean
from sb3_gail_ext.demonstrations.errors import DemonstrationError
from sb3_gail_ext.evaluation.evaluate import EVALUATION_SEED, evaluate
from sb3_gail_ext.evaluation.random_policy import RandomPolicy


class Scale(NamedTuple):
    """Mean returns that mark 0 and 1 in one environment."""

    random_mean: float
    expert_mean: float
    same_starts: bool = True  # or the expert's are those of its demonstrations, maybe easier

    def score(self, mean_return: float) -> float:
        """(R - R_random) / (R_expert - R_random), which also serves where returns are costs."""
        return (mean_return - self.random_mean) / (self.expert_mean - self.random_mean)


def measure_scale(env_id: str, demonstrations: Path, n_episodes: int) -> Scale:
    """The scale over the first `n_episodes` evaluation starts.

    The expert's return on these is in the data card; without one it is that of the demonstrations,
    and `same_starts` is False.

    :raises DemonstrationError: if the file cannot be used, or its expert is no better than chance.
    """
    expert, same_starts = expert_mean(demonstrations, env_id, n_episodes, seed=EVALUATION_SEED)
    agent = RandomPolicy(env_id)
    chance = float(evaluate(agent, env_id, n_episodes, seed=EVALUATION_SEED).mean())
    if expert <= chance:
        raise DemonstrationError(
            f"{demonstrations}: its expert returns {expert:.1f} in {env_id}, a random agent "
            f"{chance:.1f}; scores need an expert that is better"
        )
    return Scale(chance, expert, same_starts)
