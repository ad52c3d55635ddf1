"""Where learning fails, the line that says at which step, and why most likely."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch as th


class NotFiniteError(FloatingPointError):
    """Something that is learned from is NaN or infinite; the message is one line."""


class WorkerDiedError(ConnectionError):
    """A process that steps an environment is gone; the message is one line."""


def check_observations(obs: Any, step: int) -> None:
    """:param obs: (n_envs, ...); of a Dict space a dictionary of such arrays.
    :raises NotFiniteError: if an environment gave something that is no number.
    """
    for part in obs.values() if isinstance(obs, Mapping) else [obs]:
        if np.issubdtype(part.dtype, np.floating) and not np.isfinite(part).all():
            for env, single in enumerate(part):
                check_observation(single, env, step)


def check_observation(obs: Any, env: int, step: int) -> None:
    """:param obs: one environment's, or a dictionary of them.
    :raises NotFiniteError: if it holds something that is no number.
    """
    for part in map(np.asarray, obs.values() if isinstance(obs, Mapping) else [obs]):
        if np.issubdtype(part.dtype, np.floating) and not np.isfinite(part).all():
            where = np.argwhere(~np.isfinite(part))[0].tolist()
            raise NotFiniteError(
                f"step {step:,}: the environment's observation holds {part[tuple(where)]} at index "
                f"{where} (environment {env}); mend the environment"
            )


def check_losses(measured: Mapping[str, float], step: int) -> None:
    """:raises NotFiniteError: if one of the discriminator's is not finite."""
    for name, value in measured.items():
        if not math.isfinite(value):
            raise NotFiniteError(
                f"step {step:,}: the discriminator's {name} is {value}; lower "
                "discriminator_learning_rate or gradient_penalty, or look at the demonstrations "
                "for values that are far too large"
            )


def check_learner(model: Any) -> None:
    """What an off-policy learner has just logged of its losses.

    :raises NotFiniteError: if one is not finite.
    """
    for name, value in model.logger.name_to_value.items():
        is_number = isinstance(value, int | float | np.number)
        if name.startswith("train/") and is_number and not math.isfinite(value):
            raise NotFiniteError(
                f"step {model.num_timesteps:,}: {name} is {value}; lower learning_rate, or gamma "
                "where the critics grow without end"
            )


def check_rewards(rewards: np.ndarray, step: int) -> None:
    """:raises NotFiniteError: if the discriminator pays something that is no number."""
    if not np.isfinite(rewards).all():
        bad = rewards[~np.isfinite(rewards)][0]
        raise NotFiniteError(
            f"step {step:,}: the discriminator's reward is {bad}; lower "
            "discriminator_learning_rate, or look at what a reward_net of yours returns"
        )


def check_weights(policy: th.nn.Module, step: int) -> None:
    """:raises NotFiniteError: if an update made a weight that is no number."""
    for name, weight in policy.named_parameters():
        # The sum is finite only if all are, at a tenth of the cost.
        if not math.isfinite(weight.detach().sum().item()):
            raise NotFiniteError(
                f"step {step:,}: the policy's weights {name} are no longer finite; lower "
                "learning_rate or max_grad_norm"
            )


@contextmanager
def naming_divergence(model: Any) -> Iterator[None]:
    """The policy acts or learns: where it cannot, it is said what broke it.

    torch's distributions refuse what is no number in the middle of it, with a page of tensors.

    :raises NotFiniteError: with the step.
    """
    try:
        yield
    except ValueError as error:
        check_weights(model.policy, model.num_timesteps)
        if "invalid values" in str(error):
            raise NotFiniteError(
                f"step {model.num_timesteps:,}: the policy's distribution is no longer one (its "
                "deviation is 0 or not finite); lower learning_rate or max_grad_norm"
            ) from error
        raise


@contextmanager
def naming_dead_workers(model: Any) -> Iterator[None]:
    """Steps of environments; one whose process is gone is named, not its broken pipe.

    :raises WorkerDiedError: with the step.
    """
    try:
        yield
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
        processes = getattr(model.env.unwrapped, "processes", [])
        for process in processes:
            process.join(timeout=0.5)  # its pipe is gone a little before it is
        dead = [i for i, process in enumerate(processes) if not process.is_alive()]
        if not dead:
            raise
        how = ", ".join(f"environment {i}, exit code {processes[i].exitcode}" for i in dead)
        raise WorkerDiedError(
            f"step {model.num_timesteps:,}: a worker process died ({how}; -9 is often a lack of "
            "memory); use fewer environments, or look at its own messages above"
        ) from error
