"""Adversarial imitation on top of any off-policy SB3 algorithm with actions in a Box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from imitation.data.types import Trajectory, Transitions
from imitation.rewards.reward_nets import RewardNet
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import GymEnv

from sb3_gail_ext.algorithms.demonstrated import Demonstrations
from sb3_gail_ext.algorithms.guarded import GuardedOffPolicy
from sb3_gail_ext.algorithms.ranges import check_ranges
from sb3_gail_ext.algorithms.schedules import LinearSchedule
from sb3_gail_ext.algorithms.with_discriminator import LearningRate, WithDiscriminator
from sb3_gail_ext.buffers.replay import Connection, RelabelledReplayBuffer, replay_buffer_class
from sb3_gail_ext.demonstrations.sampling import TransitionBatch
from sb3_gail_ext.failures import check_losses, check_rewards
from sb3_gail_ext.rewards.absorbing import (
    AbsorbingRewardNet,
    absorbing_share,
    self_loop,
    with_indicator,
    with_self_loops,
)
from sb3_gail_ext.rewards.networks import NormalizedRewardNet, default_reward_net

TerminalStates = Literal["absorbing", "bootstrap", "end"]


class AdversarialOffPolicy(WithDiscriminator, GuardedOffPolicy):
    """Mixin: a replay buffer whose rewards come from a discriminator, when they are sampled.

    Put it before an SB3 off-policy algorithm with an actor. Everything else, `learn`, `predict`,
    `save`, `load`, schedules, callbacks, is that algorithm's.

    :param policy: as in SB3.
    :param env: as in SB3; its reward is only monitored, never stored, never learned from.
    :param demonstrations: the path of a file, `imitation` trajectories or `Transitions`. May be
        left out and attached later with `set_demonstrations`, as after `load`.
    :param terminal_states: what they are worth. `"absorbing"`: they lead to an absorbing state
        that the discriminator knows and whose self-loop is paid for ever, so that no reward form
        favours living or dying. `"bootstrap"`, cheap: none is sampled as an end. `"end"`: nothing
        follows them, as in SB3. Time limits are never taken for terminal states.
    :param reward_form: `"airl"`, the logit, as in DAC's paper. Of either sign, it wants
        `"absorbing"`: where `"end"` is worth 0, an agent that is told apart would rather end.
    :param discriminator_updates_per_step: discriminator steps per environment step, any ratio.
    :param expert_share: of each batch that actor and critics learn from, the demonstrations', 0
        to 1.
    :param learning_rate: the critics', and the actor's where nothing else is said.
    :param gamma: nearer than SAC's: docs/off_policy.md says why, and what it costs.
    :param train_freq: as in SB3, in steps of all environments at once.
    :param gradient_steps: as in SB3; as many as there are environments keep the ratio of one.
    :param kwargs: the discriminator's arguments, which are those of `WithDiscriminator`, and the
        SB3 algorithm's own.
    :raises DemonstrationError: if the demonstrations do not fit the environment.
    :raises ValueError: if observations are no array nor Dict, or actions no Box, or if an argument
        is out of its range.
    """

    replay_buffer: RelabelledReplayBuffer
    action_space: spaces.Box

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        terminal_states: TerminalStates = "absorbing",
        reward_form: str = "airl",
        discriminator_updates_per_step: float = 0.25,
        discriminator_batch_size: int = 128,
        discriminator_learning_rate: LearningRate = 3e-4,
        gradient_penalty: float = 10.0,
        learning_rate: LearningRate = LinearSchedule(3e-4),  # noqa: B008 (immutable)
        batch_size: int = 128,
        gamma: float = 0.95,
        train_freq: int | tuple[int, str] = 4,
        gradient_steps: int = 1,
        expert_share: float = 0.5,
        **kwargs: Any,
    ) -> None:
        if terminal_states not in ("absorbing", "bootstrap", "end"):
            raise ValueError(
                f"terminal_states is {terminal_states!r}; use 'absorbing', 'bootstrap' or 'end'"
            )
        if kwargs.get("n_steps", 1) != 1:
            raise ValueError(
                f"n_steps is {kwargs['n_steps']}, but rewards are computed for single steps; "
                "leave it at 1"
            )
        check_ranges(
            discriminator_updates_per_step=(discriminator_updates_per_step, 0, math.inf),
            expert_share=(expert_share, 0, 1),
        )
        self.terminal_states = terminal_states
        self.discriminator_updates_per_step = discriminator_updates_per_step
        self.expert_share = expert_share
        self._trained_until = 0  # environment steps
        self._updates_owed = 0.0
        self._absorbing_value = 0.0
        self._expert_absorbing_share = 0.0
        try:
            super().__init__(
                policy,
                env,
                reward_form=reward_form,
                discriminator_batch_size=discriminator_batch_size,
                discriminator_learning_rate=discriminator_learning_rate,
                gradient_penalty=gradient_penalty,
                learning_rate=learning_rate,
                batch_size=batch_size,
                gamma=gamma,
                train_freq=train_freq,
                gradient_steps=gradient_steps,
                replay_buffer_class=RelabelledReplayBuffer,
                **kwargs,
            )
        except AssertionError as error:  # how SB3 refuses an action space
            if isinstance(getattr(self, "action_space", None), spaces.Box):
                raise
            raise ValueError(f"{error}; use GAIL, or SQIL with DQN") from error
        if demonstrations is not None:
            self.set_demonstrations(demonstrations)

    def _attach(self, expert: TransitionBatch, given: Sequence[Trajectory] | Transitions) -> None:
        super()._attach(expert, given)
        self._expert_absorbing_share = absorbing_share(given)
        self._connect()

    def _connect(self) -> None:
        assert self.expert is not None
        value = None if self.terminal_states == "bootstrap" else self._terminal_value
        self.replay_buffer.connect(
            Connection(
                reward_fn=self._checked_reward,
                terminal_value=value,
                expert=self.expert,
                expert_share=self.expert_share,
                rng=self._rng,
            )
        )

    def _checked_reward(self, *transitions: np.ndarray) -> np.ndarray:
        rewards = self.discriminator.reward(*transitions)
        check_rewards(rewards, self.num_timesteps)
        return rewards

    def train(self, gradient_steps: int, batch_size: int = 64) -> None:
        """Discriminator, then actor and critics (DAC, Algorithm 1), after the latest steps."""
        self._update_discriminator(max(self.num_timesteps - self._trained_until, 0))
        self._trained_until = self.num_timesteps
        self._track_absorbing_value(gradient_steps)
        super().train(gradient_steps, batch_size)

    def _update_discriminator(self, n_steps: int) -> None:
        self.discriminator.set_learning_rate(self._discriminator_lr())
        self._updates_owed += n_steps * self.discriminator_updates_per_step
        for _ in range(int(self._updates_owed)):
            measured = self.discriminator.update(self._draw_expert(), self._draw_agent())
            check_losses(measured, self.num_timesteps)
            for key, value in measured.items():
                self.logger.record_mean(f"discriminator/{key}", value)
        self._updates_owed %= 1.0

    def _draw_expert(self) -> TransitionBatch:
        assert self.expert is not None  # `_setup_learn` has checked
        return self._with_self_loops(self._draw(self.expert), self._expert_absorbing_share)

    def _draw_agent(self) -> TransitionBatch:
        """Of the buffer's transitions, and of as many self-loops as there are terminal ones."""
        buffer = self.replay_buffer
        share = buffer.n_terminal / (buffer.size() * buffer.n_envs + buffer.n_terminal)
        return self._with_self_loops(buffer.transitions(self.discriminator_batch_size), share)

    def _with_self_loops(self, transitions: TransitionBatch, share: float) -> TransitionBatch:
        if self.terminal_states != "absorbing":
            return transitions
        rows = self._rng.random(len(transitions)) < share
        return with_self_loops(transitions, rows, self.action_space)

    def _track_absorbing_value(self, gradient_steps: int) -> None:
        """V <- V + tau (r + gamma V - V), as the critics' targets learn of any other state.

        The absorbing state has one action and one successor, itself: it needs no critic, no sample
        holds it, no actor acts in it, and no entropy is counted there. Its value at once,
        r / (1 - gamma), would be an end that pays a hundred beside critics that begin at 0.
        """
        if self.terminal_states == "absorbing":
            loop = self_loop(self._flat_space, self.action_space)
            reward, value = float(self.discriminator.reward(*loop)[0]), self._absorbing_value
            for _ in range(gradient_steps):
                value += self.tau * (reward + self.gamma * value - value)
            self._absorbing_value = value

    def _terminal_value(self) -> float:
        """What follows a terminal state, discounted to it."""
        return self.gamma * self._absorbing_value

    def load_replay_buffer(self, *args: Any, **kwargs: Any) -> None:
        """As in SB3; the demonstrations are those attached.

        :raises ValueError: if it is the buffer of another algorithm, which holds a reward.
        """
        mine = self.replay_buffer
        super().load_replay_buffer(*args, **kwargs)
        if not isinstance(self.replay_buffer, RelabelledReplayBuffer):
            loaded, self.replay_buffer = type(self.replay_buffer).__name__, mine
            raise ValueError(
                f"the file holds a {loaded}; give one that {type(self).__name__}'s "
                "save_replay_buffer wrote"
            )
        if self.expert is not None:
            self._connect()

    # How SB3 is extended.

    def _setup_learn(self, *args: Any, **kwargs: Any) -> tuple[int, BaseCallback]:
        prepared = super()._setup_learn(*args, **kwargs)
        # The steps before anything is trained owe the discriminator nothing.
        self._trained_until = max(self.num_timesteps, self.learning_starts)
        return prepared

    def _setup_model(self) -> None:
        self.replay_buffer_class = replay_buffer_class(self.observation_space)
        super()._setup_model()

    def _default_reward_net(self, **kwargs: Any) -> RewardNet:
        space = self._flat_space
        if self.terminal_states == "absorbing":
            space = with_indicator(space)
        return default_reward_net(space, self.action_space, **kwargs)

    def _normalized(self, net: RewardNet) -> NormalizedRewardNet:
        if self.terminal_states == "absorbing":
            return AbsorbingRewardNet(net, self._flat_space)
        return super()._normalized(net)
