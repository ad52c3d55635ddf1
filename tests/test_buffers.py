"""The seam between SB3's rollout and the discriminator: what is recorded, and how rewards enter."""

from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3_gail_ext import GAIL
from sb3_gail_ext.buffers.rollout import RelabelledRolloutBuffer

N_ENVS, N_STEPS = 3, 40  # several time limits (7 steps) and walls in each rollout


class Snapshot(BaseCallback):
    """Copies the first rollout as it stands before the discriminator sees it."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if hasattr(self, "buffer"):
            return  # only the first
        buffer = self.model.rollout_buffer
        names = (
            "env_obs",
            "env_acts",
            "env_next_obs",
            "terminated",
            "rewards",
            "actions",
            "values",
        )
        self.buffer = {name: getattr(buffer, name).copy() for name in names}
        self.observations = buffer.observations.copy()
        obs = self.buffer["env_next_obs"].reshape(-1, 2)
        with th.no_grad():
            self.values = self.model.policy.predict_values(th.as_tensor(obs)).numpy()
        self.values = self.values.reshape(N_STEPS, N_ENVS)


def small_gail(env: Any, demonstrations: Any, **kwargs: Any) -> GAIL:
    """Without a warm start: an agent that stands still would meet time limits only."""
    settings = {
        "n_steps": N_STEPS,
        "batch_size": N_STEPS,
        "n_epochs": 1,
        "seed": 0,
        "warm_start_updates": 0,
        "critic_warm_up_rollouts": 0,
    }
    return GAIL("MlpPolicy", env, demonstrations, device="cpu", **{**settings, **kwargs})


def logged(envs: list[Any], name: str) -> np.ndarray:
    """What the environments saw in the first rollout: (N_STEPS, N_ENVS, ...)."""
    return np.stack([[getattr(s, name) for s in env.log[:N_STEPS]] for env in envs], axis=1)


@pytest.fixture
def rollout(line_env: Any, line_demonstrations: Any) -> tuple[list[Any], Snapshot]:
    envs = [line_env() for _ in range(N_ENVS)]
    venv = DummyVecEnv([lambda env=env: env for env in envs])  # type: ignore[misc]
    snapshot = Snapshot()
    small_gail(venv, line_demonstrations).learn(N_STEPS * N_ENVS, callback=snapshot)
    assert logged(envs, "terminated").any()
    assert (logged(envs, "truncated") & ~logged(envs, "terminated")).any()
    return envs, snapshot


def test_transitions_are_recorded_as_the_environment_saw_them(
    rollout: tuple[list[Any], Snapshot],
) -> None:
    envs, snapshot = rollout
    recorded = snapshot.buffer
    np.testing.assert_array_equal(recorded["env_obs"], logged(envs, "obs"))
    np.testing.assert_array_equal(recorded["env_acts"], logged(envs, "act"))
    # Also where an episode ends: the true last observation, not that of the reset.
    np.testing.assert_array_equal(recorded["env_next_obs"], logged(envs, "next_obs"))
    np.testing.assert_array_equal(recorded["terminated"], logged(envs, "terminated"))


def test_actions_are_clipped_for_the_discriminator_alone(
    rollout: tuple[list[Any], Snapshot],
) -> None:
    _, snapshot = rollout
    sampled, seen = snapshot.buffer["actions"], snapshot.buffer["env_acts"]
    assert (np.abs(sampled) > 1).any()
    np.testing.assert_array_equal(seen, np.clip(sampled, -1, 1))


def test_only_the_bootstrap_of_time_limits_remains_of_the_reward(
    rollout: tuple[list[Any], Snapshot],
) -> None:
    envs, snapshot = rollout
    timeouts = logged(envs, "truncated") & ~logged(envs, "terminated")
    gamma = 0.99
    expected = np.where(timeouts, gamma * snapshot.values, 0.0)
    np.testing.assert_allclose(snapshot.buffer["rewards"], expected, rtol=1e-5, atol=1e-7)
    assert (np.abs(expected[timeouts]) > 0).all()


def test_a_wall_at_the_time_limit_is_terminal_only_as_far_as_gymnasium_says(
    line_env: Any, line_demonstrations: Any
) -> None:
    """Ended for both reasons at once: SB3 does not call that a time limit."""

    class Both(line_env):  # type: ignore[misc]
        def step(self, action: np.ndarray) -> Any:
            obs, reward, _, truncated, info = super().step(action)
            return obs, reward, truncated, truncated, info

    snapshot = Snapshot()
    venv = DummyVecEnv([Both] * N_ENVS)
    small_gail(venv, line_demonstrations).learn(N_STEPS * N_ENVS, callback=snapshot)
    np.testing.assert_array_equal(np.flatnonzero(snapshot.buffer["terminated"][:, 0]) % 7, 6)
    np.testing.assert_array_equal(snapshot.buffer["rewards"], 0.0)


@pytest.mark.parametrize("as_list", [True, False])
def test_users_callbacks_see_the_true_reward(
    line_env: Any, line_demonstrations: Any, as_list: bool
) -> None:
    seen: list[float] = []

    def look(local_variables: dict[str, Any], _: dict[str, Any]) -> bool:
        seen.append(float(local_variables["rewards"][0]))
        return True

    env = line_env()
    model = small_gail(env, line_demonstrations)
    model.learn(2 * N_STEPS, callback=[look] if as_list else look)
    np.testing.assert_allclose(seen, [s.reward for s in env.log], rtol=1e-6)


def test_an_environment_whose_reward_is_nan_trains(line_env: Any, line_demonstrations: Any) -> None:
    model = small_gail(line_env(reward=np.nan), line_demonstrations)
    before = [p.clone() for p in model.policy.parameters()]
    model.learn(3 * N_STEPS)
    assert all(th.isfinite(p).all() for p in model.policy.parameters())
    assert all(th.isfinite(p).all() for p in model.discriminator.net.parameters())
    assert any(not th.equal(p, q) for p, q in zip(before, model.policy.parameters(), strict=True))
    assert np.isnan([episode["r"] for episode in model.ep_info_buffer]).all()


def test_the_environments_reward_changes_nothing(line_env: Any, line_demonstrations: Any) -> None:
    weights = []
    for reward in (None, -1e6):
        model = small_gail(line_env(reward=reward), line_demonstrations).learn(3 * N_STEPS)
        weights.append(model.policy.state_dict())
    assert all(th.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_discriminator_sees_raw_observations_under_vecnormalize(
    line_env: Any, line_demonstrations: Any
) -> None:
    envs = [line_env() for _ in range(N_ENVS)]
    venv = VecNormalize(DummyVecEnv([lambda env=env: env for env in envs]))  # type: ignore[misc]
    snapshot = Snapshot()
    small_gail(venv, line_demonstrations).learn(2 * N_STEPS * N_ENVS, callback=snapshot)
    recorded = snapshot.buffer
    np.testing.assert_allclose(recorded["env_obs"], logged(envs, "obs"), atol=1e-4)
    np.testing.assert_allclose(recorded["env_next_obs"], logged(envs, "next_obs"), atol=1e-4)
    np.testing.assert_array_equal(recorded["env_acts"], logged(envs, "act"))
    # The policy, unlike the discriminator, sees the normalised ones.
    assert np.abs(snapshot.observations - logged(envs, "obs")).max() > 1.0


def test_discrete_spaces_are_recorded() -> None:
    buffer = RelabelledRolloutBuffer(
        4, spaces.Discrete(5), spaces.Discrete(2), n_envs=2, device="cpu"
    )
    buffer.record(np.array([4, 1]), np.array([1, 0]), np.array([0, 3]), np.array([True, False]))
    batch = buffer.transitions()
    assert batch.obs.shape == batch.acts.shape == batch.dones.shape == (8,)
    np.testing.assert_array_equal(batch.obs[:2], [4, 1])
    np.testing.assert_array_equal(batch.acts[:2], [1, 0])
    np.testing.assert_array_equal(batch.next_obs[:2], [0, 3])
    np.testing.assert_array_equal(batch.dones[:2], [True, False])


# --- Relabelling -------------------------------------------------------------------------------

GAMMA, LAMBDA = 0.9, 0.8


def by_hand(
    rewards: np.ndarray, values: np.ndarray, starts: np.ndarray, last_value: float, last_done: bool
) -> np.ndarray:
    """GAE as the sum over all later steps of the same episode, one environment, (steps,)."""
    n = len(rewards)
    next_values = [*values[1:], last_value]
    ends = [*starts[1:], last_done]
    deltas = [
        rewards[t] + (0.0 if ends[t] else GAMMA * next_values[t]) - values[t] for t in range(n)
    ]
    advantages = np.zeros(n)
    for t in range(n):
        for later in range(t, n):
            advantages[t] += (GAMMA * LAMBDA) ** (later - t) * deltas[later]
            if ends[later]:
                break
    return advantages


@pytest.mark.parametrize("scaled_by", [1.0, 0.25])
def test_relabelled_advantages_equal_a_computation_by_hand(scaled_by: float) -> None:
    rng = np.random.default_rng(0)
    steps, n_envs = 6, 2
    buffer = RelabelledRolloutBuffer(
        steps,
        spaces.Box(-9, 9, (3,)),
        spaces.Box(-1, 1, (1,)),
        gamma=GAMMA,
        gae_lambda=LAMBDA,
        n_envs=n_envs,
    )
    obs, next_obs = rng.normal(size=(2, steps, n_envs, 3)).astype(np.float32)
    acts = rng.uniform(-1, 1, (steps, n_envs, 1)).astype(np.float32)
    values = rng.normal(size=(steps, n_envs)).astype(np.float32)
    bootstrap = np.zeros((steps, n_envs), np.float32)
    starts, terminated = np.zeros((2, steps, n_envs), bool)
    starts[0] = starts[3, 0] = starts[5, 1] = True
    bootstrap[2, 0] = 0.7  # a time limit; the end at step 4 of the other is a terminal state
    terminated[4, 1] = True
    for t in range(steps):
        buffer.record(obs[t], acts[t], next_obs[t], terminated[t])
        buffer.add(
            obs[t],
            acts[t],
            bootstrap[t],
            starts[t],
            th.as_tensor(values[t])[:, None],
            th.zeros(n_envs),
        )
    last_values, last_dones = np.array([0.5, -0.25], np.float32), np.array([False, True])
    buffer.compute_returns_and_advantage(th.as_tensor(last_values)[:, None], last_dones)

    def reward(o: np.ndarray, a: np.ndarray, n: np.ndarray, d: np.ndarray) -> np.ndarray:
        assert o.shape == n.shape == (12, 3)
        assert a.shape == (12, 1)
        return o.sum(1) + 10 * a[:, 0] + 100 * n[:, 0] + 1000 * d

    def scale(rewards: np.ndarray, episode_starts: np.ndarray, gamma: float) -> np.ndarray:
        assert rewards.shape == (steps, n_envs)
        np.testing.assert_array_equal(episode_starts, starts)
        assert gamma == GAMMA
        return scaled_by * rewards

    learned = buffer.relabel(reward, scale)
    expected = obs.sum(2) + 10 * acts[:, :, 0] + 100 * next_obs[:, :, 0] + 1000 * terminated
    np.testing.assert_allclose(learned, expected, rtol=1e-5)
    expected *= scaled_by  # what was learned, not the critic's own bootstrap
    np.testing.assert_allclose(buffer.rewards, expected + bootstrap, rtol=1e-5)
    for env in range(n_envs):
        advantages = by_hand(
            expected[:, env] + bootstrap[:, env],
            values[:, env],
            starts[:, env],
            last_values[env],
            last_dones[env],
        )
        np.testing.assert_allclose(buffer.advantages[:, env], advantages, rtol=1e-4)
        np.testing.assert_allclose(
            buffer.returns[:, env], advantages + values[:, env], rtol=1e-4, atol=1e-4
        )


def discounted(rewards: np.ndarray, starts: np.ndarray, gamma: float) -> np.ndarray:
    """At each step, what has been paid since the episode's start; one environment, (steps,)."""
    begins = np.flatnonzero(starts)
    return np.array(
        [
            sum(gamma ** (t - s) * rewards[s] for s in range(begins[begins <= t].max(), t + 1))
            for t in range(len(rewards))
        ]
    )


@pytest.mark.parametrize("scaled", [False, True])
def test_the_generator_learns_from_the_discriminators_reward(
    line_env: Any, line_demonstrations: Any, scaled: bool
) -> None:
    """In a training round, the stored reward is the discriminator's plus the bootstrap."""
    model = small_gail(line_env(), line_demonstrations, normalize_learned_reward=scaled)
    seen: dict[str, np.ndarray] = {}
    relabel = model.rollout_buffer.relabel

    def spy(reward_fn: Any, scale: Any) -> np.ndarray:
        seen["bootstrap"] = model.rollout_buffer.rewards.copy()
        seen["learned"] = model.discriminator.reward(*model.rollout_buffer.transitions())
        learned = relabel(reward_fn, scale)
        seen["rewards"] = model.rollout_buffer.rewards.copy()
        seen["starts"] = model.rollout_buffer.episode_starts.copy()
        return learned

    model.rollout_buffer.relabel = spy  # type: ignore[method-assign]
    model.learn(N_STEPS)
    deviation = 1.0
    if scaled:
        deviation = discounted(seen["learned"], seen["starts"][:, 0], model.gamma).std()
        assert abs(deviation - 1.0) > 0.1
    np.testing.assert_allclose(
        seen["rewards"][:, 0],
        seen["bootstrap"][:, 0] + seen["learned"] / deviation,
        rtol=1e-4 if scaled else 1e-6,  # the running variance starts with 1e-4 of a sample
        atol=1e-5 if scaled else 0.0,  # of terms near 1, where they cancel
    )


def test_float64_observations_are_recorded_as_float32() -> None:
    space = spaces.Box(-1, 1, (2,), np.float64)
    buffer = RelabelledRolloutBuffer(2, space, spaces.Box(-1, 1, (1,)), n_envs=1)
    assert buffer.transitions().obs.dtype == np.float32


def test_monitored_returns_are_the_true_ones(line_env: Any, line_demonstrations: Any) -> None:
    env = line_env()
    model = small_gail(Monitor(env), line_demonstrations).learn(2 * N_STEPS)
    totals, total = [], 0.0
    for step in env.log:
        total += step.reward
        if step.terminated or step.truncated:
            totals.append(total)
            total = 0.0
    monitored = [episode["r"] for episode in model.ep_info_buffer]
    np.testing.assert_allclose(monitored, totals, atol=1e-5)
