"""A running average of a policy's weights, which is what a trained model answers with."""

from __future__ import annotations

from typing import Any

import torch as th
from torch.optim.swa_utils import get_ema_multi_avg_fn


def another_policy(model: Any) -> Any:
    """A second policy with the same weights, made as SB3 makes the first: gSDE's is no copy."""
    with th.random.fork_rng(devices=[]):  # what is drawn here must not change what follows
        policy = model.policy_class(
            model.observation_space,
            model.action_space,
            model.lr_schedule,
            # Off-policy algorithms have it among their arguments, if they know it at all.
            **{**({"use_sde": True} if model.use_sde else {}), **model.policy_kwargs},
        ).to(model.device)
    policy.load_state_dict(model.policy.state_dict())
    policy.set_training_mode(False)
    return policy


def average_into(average: th.nn.Module, latest: th.nn.Module, *, kept: float) -> None:
    """Move `average` towards `latest`; it keeps the share `kept` of itself.

    Smooths the swings of a game with two players (Yazici et al. 2019, for GANs).
    """
    move = get_ema_multi_avg_fn(kept)  # all weights at once: a tenth of a loop's time
    move([*average.parameters()], [*latest.parameters()], 0)
    for old, new in zip(average.buffers(), latest.buffers(), strict=True):
        old.copy_(new)  # batch norm's are averages already
