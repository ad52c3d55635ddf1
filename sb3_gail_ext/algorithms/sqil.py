"""SQIL: soft Q imitation learning (Reddy, Dragan & Levine, 2020) on DQN or SAC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import gymnasium as gym
from gymnasium import spaces
from imitation.data.types import Trajectory, Transitions
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.dqn.policies import DQNPolicy

from sb3_gail_ext.algorithms.demonstrated import (
    Demonstrated,
    Demonstrations,
    with_scaled_inputs,
)
from sb3_gail_ext.algorithms.guarded import GuardedOffPolicy
from sb3_gail_ext.buffers.sqil import SQILReplayBuffer, sqil_buffer_class
from sb3_gail_ext.demonstrations.checks import check_supported_spaces
from sb3_gail_ext.demonstrations.sampling import TransitionBatch


class SQIL(Demonstrated, GuardedOffPolicy):
    """Q-learning in which demonstrated transitions pay 1 and the agent's own pay 0.

    Paper: Reddy, Dragan & Levine (2020), https://arxiv.org/abs/1905.11108. There is no
    discriminator: each batch is half demonstrations, half replay buffer, and a policy that
    returns to what was demonstrated collects the ones.

    Called by this name it chooses the learner by the actions, as `pathlib.Path` chooses by the
    system: `SQILWithDQN` for Discrete ones (whose maximum is hard, where the paper's is soft),
    `SQILWithSAC` for a Box. Put it before another off-policy algorithm to learn with that:
    `class SQILWithTQC(SQIL, TQC)`.

    :param policy: as in SB3.
    :param env: as in SB3; its reward is only monitored, never learned from.
    :param demonstrations: the path of a file, `imitation` trajectories or `Transitions`. May be
        left out and attached later with `set_demonstrations`, as after `load`.
    :param normalize_policy_inputs: an "MlpPolicy" that has no features extractor of the user's
        and no VecNormalize before it sees observations scaled by the demonstrations' mean and
        deviation.
    :param kwargs: the learner's own arguments.
    :raises DemonstrationError: if the demonstrations do not fit the environment.
    :raises ValueError: if observations are no array nor Dict, or actions no Box nor Discrete,
        or if there shall be n-step returns.

    >>> model = SQIL("MlpPolicy", "CartPole-v1", "demonstrations.npz").learn(20_000)
    """

    replay_buffer: SQILReplayBuffer

    def __new__(cls, policy: Any = None, env: Any = None, *args: Any, **kwargs: Any) -> Self:
        chosen: Any = cls
        if cls is SQIL:
            chosen = SQILWithDQN if _is_discrete(policy, env) else SQILWithSAC
        made: Self = object.__new__(chosen)
        return made

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str | None,
        demonstrations: Demonstrations | None = None,
        *,
        normalize_policy_inputs: bool = True,
        policy_kwargs: dict[str, Any] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("n_steps", 1) != 1:
            raise ValueError(
                f"n_steps is {kwargs['n_steps']}, but demonstrations pay for single steps; leave "
                "it at 1"
            )
        if normalize_policy_inputs:
            policy_kwargs = with_scaled_inputs(policy, env, policy_kwargs or {})
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]  # SB3 passes None when it loads a model
            replay_buffer_class=SQILReplayBuffer,
            replay_buffer_kwargs={"expert_seed": seed},
            policy_kwargs=policy_kwargs,
            seed=seed,
            **kwargs,
        )
        if demonstrations is not None:
            self.set_demonstrations(demonstrations)

    def _attach(self, expert: TransitionBatch, given: Sequence[Trajectory] | Transitions) -> None:
        super()._attach(expert, given)
        self._fill_buffer(expert)

    def _fill_buffer(self, expert: TransitionBatch) -> None:
        if isinstance(self.action_space, spaces.Box):
            scaled = self.policy.scale_action(expert.acts)
            expert = TransitionBatch(expert.obs, scaled, expert.next_obs, expert.dones)
        self.replay_buffer.set_expert(expert)

    def load_replay_buffer(self, *args: Any, **kwargs: Any) -> None:
        """As in SB3; the demonstrations are those attached, not any of the file's."""
        super().load_replay_buffer(*args, **kwargs)
        if self.expert is not None:
            self._fill_buffer(self.expert)

    # How SB3 is extended.

    def _setup_model(self) -> None:
        check_supported_spaces(self.observation_space, self.action_space)
        self.replay_buffer_class = sqil_buffer_class(self.observation_space)
        super()._setup_model()


# SB3's own are Atari's: 50,000 steps before anything is learned.
_SMALL_TASKS = {
    "learning_rate": 1e-3,
    "learning_starts": 1_000,
    "batch_size": 64,
    "target_update_interval": 500,
}


class SQILWithDQN(SQIL, DQN):
    """SQIL for Discrete actions.

    Four of DQN's defaults differ: `learning_rate` 1e-3, `learning_starts` 1,000, `batch_size` 64,
    `target_update_interval` 500.
    """

    def __init__(self, policy: Any, env: GymEnv | str | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(policy, env, *args, **{**_SMALL_TASKS, **kwargs})


class SQILWithSAC(SQIL, SAC):
    """SQIL for actions in a Box, with SAC's defaults."""


def _is_discrete(policy: Any, env: Any) -> bool:
    """By the environment's actions; by the policy's class when a model is loaded without one."""
    if env is None:
        return isinstance(policy, type) and issubclass(policy, DQNPolicy)
    if isinstance(env, str):
        made = gym.make(env)
        made.close()
        return isinstance(made.action_space, spaces.Discrete)
    return isinstance(env.action_space, spaces.Discrete)
