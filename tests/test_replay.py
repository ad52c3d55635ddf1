"""The relabelling replay buffer: what is stored, what is sampled, and with which reward."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from sb3_gail_ext import DemonstrationError
from sb3_gail_ext.buffers.replay import Connection, RelabelledReplayBuffer
from sb3_gail_ext.demonstrations.sampling import TransitionBatch

OBS = spaces.Box(-100.0, 100.0, (1,), np.float32)
ACT = spaces.Box(np.array([-4.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32))
N_ENVS = 2


def a_buffer(size: int = 20, **kwargs: Any) -> RelabelledReplayBuffer:
    return RelabelledReplayBuffer(size, OBS, ACT, n_envs=N_ENVS, device="cpu", **kwargs)


def fill(buffer: RelabelledReplayBuffer, n_steps: int) -> None:
    """Observations -1, -2, ...; every third step ends both episodes, the second by time."""
    for step in range(1, n_steps + 1):
        obs = np.full((N_ENVS, 1), -float(step), np.float32)
        scaled = np.tile(np.array([[-1.0, 1.0]], np.float32), (N_ENVS, 1))
        over = np.full(N_ENVS, step % 3 == 0)
        infos: list[dict[str, Any]] = [{}, {"TimeLimit.truncated": bool(over[1])}]
        buffer.add(obs, obs - 1, scaled, np.full(N_ENVS, 1e6), over, infos)


def expert(n: int = 10) -> TransitionBatch:
    obs = np.arange(1, n + 1, dtype=np.float32)[:, None]
    acts = np.tile(np.array([[2.0, 0.5]], np.float32), (n, 1))
    return TransitionBatch(obs, acts, obs + 1, np.arange(n) == n - 1)


class Rewards:
    """10 obs + the first action + 100 if done; keeps its inputs."""

    def __call__(
        self, obs: np.ndarray, acts: np.ndarray, next_obs: np.ndarray, dones: np.ndarray
    ) -> np.ndarray:
        self.seen = obs, acts, next_obs, dones
        return (10 * obs[:, 0] + acts[:, 0] + 100 * dones).astype(np.float32)


def connected(
    value: Any = lambda: 0.0, share: float = 0.0
) -> tuple[RelabelledReplayBuffer, Rewards]:
    buffer, rewards = a_buffer(), Rewards()
    fill(buffer, 12)
    buffer.connect(Connection(rewards, value, expert(), share, np.random.default_rng(0)))
    return buffer, rewards


def test_the_environments_reward_is_not_stored() -> None:
    buffer, _ = connected()
    assert not buffer.rewards.any()


def test_rewards_are_of_transitions_as_the_environment_saw_them() -> None:
    buffer, rewards = connected()
    sample = buffer.sample(50)
    obs, acts, next_obs, dones = rewards.seen
    np.testing.assert_array_equal(acts, np.tile([[-4.0, 1.0]], (50, 1)))  # -1 and 1, unscaled
    np.testing.assert_array_equal(next_obs, obs - 1)
    np.testing.assert_array_equal(sample.observations, obs)
    np.testing.assert_array_equal(sample.actions, np.tile([[-1.0, 1.0]], (50, 1)))
    np.testing.assert_allclose(sample.rewards[:, 0], 10 * obs[:, 0] - 4 + 100 * dones)
    assert 0 < dones.sum() < 50
    np.testing.assert_array_equal(sample.dones[:, 0], dones)
    assert [tuple(field.shape) for field in sample[:5]] == [
        *[(50, 1), (50, 2), (50, 1), (50, 1), (50, 1)]
    ]


def test_the_same_transition_is_paid_anew_each_time() -> None:
    buffer, _ = connected()
    first = buffer.sample(5).rewards
    buffer.connect(
        Connection(lambda *_: np.zeros(5, np.float32), None, expert(), 0.0, buffer._connection.rng)
    )
    assert first.any()
    assert not buffer.sample(5).rewards.any()


@pytest.mark.parametrize(("share", "n_expert"), [(0.0, 0), (0.3, 3), (1.0, 10)])
def test_the_demonstrations_share(share: float, n_expert: int) -> None:
    buffer, _ = connected(share=share)
    sample = buffer.sample(10)
    obs = sample.observations[:, 0]
    assert (obs[:n_expert] > 0).all()
    assert (obs[n_expert:] < 0).all()
    np.testing.assert_allclose(  # 2 of [-4, 2] and 0.5 of [0, 1]
        sample.actions[:n_expert], np.tile([[1.0, 0.0]], (n_expert, 1)), atol=1e-6
    )


def test_only_true_ends_are_terminal_and_are_paid_what_follows() -> None:
    buffer, _ = connected(value=lambda: 1000.0)
    sample = buffer.sample(200)
    dones = sample.dones[:, 0].numpy() > 0
    assert (sample.observations[dones] % 3 == 0).all()
    assert dones.mean() == pytest.approx(1 / 6, abs=0.08)  # a third, of one environment of two
    np.testing.assert_allclose(
        sample.rewards[:, 0], 10 * sample.observations[:, 0].numpy() - 4 + 1100 * dones
    )


def test_without_a_value_nothing_is_terminal() -> None:
    buffer, rewards = connected(value=None, share=0.5)
    sample = buffer.sample(200)
    assert not sample.dones.any()
    assert rewards.seen[3].any()  # the discriminator still knows


def test_terminal_states_are_counted_while_the_buffer_turns_over() -> None:
    buffer = a_buffer(size=10)  # five steps of two environments
    for n_steps in range(1, 20):
        buffer.reset()
        fill(buffer, n_steps)
        expected = (buffer.dones * (1 - buffer.timeouts))[: buffer.size()].sum()
        assert buffer.n_terminal == expected
    assert expected > 0


def test_the_agents_transitions() -> None:
    buffer, _ = connected()
    batch = buffer.transitions(100)
    np.testing.assert_array_equal(batch.next_obs, batch.obs - 1)
    np.testing.assert_array_equal(batch.acts, np.tile([[-4.0, 1.0]], (100, 1)))
    assert batch.dones.dtype == bool
    assert (batch.obs[batch.dones] % 3 == 0).all()


def test_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="would take time limits for terminal states"):
        a_buffer(optimize_memory_usage=True, handle_timeout_termination=False)
    buffer = a_buffer()
    fill(buffer, 3)
    with pytest.raises(DemonstrationError, match="has no discriminator yet"):
        buffer.sample(2)
