"""What the log and the user are told of a round."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from sb3_gail_ext.algorithms.constant_reward import compare_with_constant
from sb3_gail_ext.algorithms.signals import Round

if TYPE_CHECKING:
    from sb3_gail_ext.algorithms.on_policy import AdversarialOnPolicy


def report_round(
    model: AdversarialOnPolicy, measured: dict[str, float], learned: np.ndarray
) -> None:
    """Log the round, and warn, once, of what looks wrong in it.

    :param measured: by the discriminator's updates, their means; empty if there were none.
    :param learned: the rollout's rewards (n_steps, n_envs), not scaled.
    """
    for key, value in measured.items():
        model.logger.record(f"discriminator/{key}", value)
    model.logger.record("rollout/learned_rew_mean", float(learned.mean()))
    compared = compare_with_constant(learned, model.rollout_buffer.episode_starts)
    if compared is not None:
        model.logger.record("rollout/learned_return", compared.learned_return)
        model.logger.record("rollout/constant_reward_return", compared.constant_return)
        model.logger.record("rollout/constant_reward_share", compared.share)
    for message in model.signals.update(_describe(model, measured, learned)):
        warnings.warn(message, stacklevel=5)


def _describe(model: AdversarialOnPolicy, measured: dict[str, float], learned: np.ndarray) -> Round:
    ended = [episode["l"] for episode in model.ep_info_buffer or ()]
    return Round(
        progress=1.0 - model._current_progress_remaining,
        accuracy_expert=measured.get("accuracy_expert", math.nan),
        accuracy_agent=measured.get("accuracy_agent", math.nan),
        reward_min=float(learned.min()),
        reward_max=float(learned.max()),
        agent_length=float(np.mean(ended)) if ended else None,
        agent_terminal_share=model.rollout_buffer.terminal_share(),
        expert=model.expert_facts,
    )
