"""`check_demonstrations` and `sb3-gail demos check`: each finding, and whose dynamics it is."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pybullet
import pytest
from gymnasium import spaces
from imitation.data.rollout import flatten_trajectories
from imitation.data.types import DictObs, TrajectoryWithRew
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.envs import FakeImageEnv
from tiny_envs import Pit, Rooms, RoomsExpert, expert_episodes

from sb3_gail_ext import (
    DemonstrationError,
    check_demonstrations,
    load_demonstrations,
    record_demonstrations,
    save_demonstrations,
)
from sb3_gail_ext.cli.main import main
from sb3_gail_ext.demonstrations.checking.dynamics import Dynamics, Replay
from sb3_gail_ext.demonstrations.checking.precision import rounding, spread
from sb3_gail_ext.demonstrations.checking.report import DemonstrationReport
from sb3_gail_ext.demonstrations.checking.verdict import belongs, sentence
from sb3_gail_ext.demonstrations.ends import infos_of_end

Episodes = list[TrajectoryWithRew]
SHIPPED = Path(__file__).parents[1] / "expert_data"


def shipped(env_id: str) -> Path:
    return next((SHIPPED / env_id).glob("*.npz"))


class Box3(gym.Env):
    """Observations (3,) in [-5, 5], of chance alone; actions (2,) in [-1, 1]."""

    observation_space = spaces.Box(-5.0, 5.0, (3,), np.float32)
    action_space: spaces.Space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return self._obs(), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        return self._obs(), 0.0, False, False, {}

    def _obs(self) -> np.ndarray:
        return self.np_random.uniform(-3, 3, 3).astype(np.float32)


class Box3Discrete(Box3):
    action_space = spaces.Discrete(3)


@pytest.fixture
def episodes(make_trajectory: Callable[..., TrajectoryWithRew]) -> Episodes:
    return [make_trajectory(20, seed=n) for n in range(6)]


def found(report: DemonstrationReport, severity: str, words: str) -> bool:
    """Is there a finding of this severity that contains `words`?"""
    return any(f.severity == severity and words in f.message for f in report.findings)


def changed(episodes: Sequence[TrajectoryWithRew], i: int, **arrays: Any) -> Episodes:
    return [replace(e, **arrays) if n == i else e for n, e in enumerate(episodes)]


# --- Arrays against spaces ---------------------------------------------------------------------


def test_sound_demonstrations_have_no_errors_or_warnings(episodes: Episodes) -> None:
    report = check_demonstrations(episodes, Box3())
    assert report.errors == report.warnings == []
    assert report.ok


def test_shapes(make_trajectory: Callable[..., TrajectoryWithRew]) -> None:
    report = check_demonstrations([make_trajectory(20, obs_dim=4, act_dim=1)], Box3())
    assert found(report, "error", "obs has shape (4,) per step, but the environment's is (3,)")
    assert found(report, "error", "acts has shape (1,) per step, but the environment's is (2,)")
    assert report.belongs is False
    assert report.verdict == "These demonstrations do NOT belong to Box3: their shapes differ."
    assert not report.ok


def test_nan(episodes: Episodes) -> None:
    obs = episodes[1].obs.copy()
    obs[3, 0] = np.nan
    report = check_demonstrations(changed(episodes, 1, obs=obs), Box3())
    assert found(report, "error", "obs holds NaN")
    assert report.belongs is None
    assert report.dynamics is None
    assert not report.ok


def test_actions_out_of_bounds(episodes: Episodes) -> None:
    report = check_demonstrations([replace(e, acts=3 * e.acts) for e in episodes], Box3())
    assert found(report, "error", "acts leave the action space")


def test_observations_out_of_bounds(episodes: Episodes) -> None:
    obs = episodes[0].obs.copy()
    obs[7, 2] = 5.5
    report = check_demonstrations(changed(episodes, 0, obs=obs), Box3())
    assert found(report, "warning", "in 1 of 120 steps, first in step 7 (obs[2] is 5.5, bounds")


def test_double_actions_are_a_note(episodes: Episodes) -> None:
    report = check_demonstrations([replace(e, acts=e.acts.astype("f8")) for e in episodes], Box3())
    assert found(report, "note", "acts are float64, the environment's float32")
    assert report.ok


def test_discrete_actions_as_floats_are_an_error(episodes: Episodes) -> None:
    floats = [replace(e, acts=np.ones(20, np.float32)) for e in episodes]
    report = check_demonstrations(floats, Box3Discrete())
    assert found(report, "error", "acts must be integers from 0 to 2")


def test_integer_observations(episodes: Episodes) -> None:
    report = check_demonstrations([replace(e, obs=e.obs.astype("i4")) for e in episodes], Box3())
    assert found(report, "warning", "obs are int32, the environment's float32")


def test_images_as_floats() -> None:
    env = Box3()
    env.observation_space = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    env._obs = lambda: np.zeros((36, 36, 1), np.uint8)  # type: ignore[method-assign]
    obs = np.random.default_rng(0).uniform(size=(21, 36, 36, 1)).astype(np.float32)
    acts = np.random.default_rng(0).uniform(size=(20, 2)).astype(np.float32)
    report = check_demonstrations(
        [TrajectoryWithRew(obs, acts, None, False, rews=np.arange(20.0))], env
    )
    assert found(report, "warning", "obs are float32 from")


def test_images_with_their_channels_first_are_those_of_the_environment() -> None:
    """As whoever records behind SB3's VecTransposeImage has them."""
    env = FakeImageEnv(3, 36, 40, n_channels=3)
    frames = np.random.default_rng(0).integers(256, size=(2, 11, 36, 40, 3), dtype=np.uint8)
    acts = np.arange(10) % 3
    last = [TrajectoryWithRew(obs, acts, None, False, rews=acts * 1.0) for obs in frames]
    first = [replace(e, obs=np.moveaxis(e.obs, -1, 1)) for e in last]
    for demonstrations in (last, first):
        report = check_demonstrations(demonstrations, env)
        assert report.errors == []
    flat = check_demonstrations(flatten_trajectories(first), env)
    assert flat.errors == []
    turned = [replace(e, obs=np.moveaxis(e.obs, 1, 2)) for e in last]
    assert check_demonstrations(turned, env).errors


def pendulum_episodes() -> Episodes:
    """Of actions by chance; no reward of the Pendulum is 0."""
    env = gym.make("Pendulum-v1", max_episode_steps=30)
    env.action_space.seed(0)
    played = []
    for seed in range(3):
        obs, acts, rews = [env.reset(seed=seed)[0]], [], []
        for _ in range(30):
            acts.append(env.action_space.sample())
            following, reward, *_ = env.step(acts[-1])
            obs.append(following)
            rews.append(float(reward))
        played.append(
            TrajectoryWithRew(np.array(obs), np.array(acts), None, False, rews=np.array(rews))
        )
    return played


def test_rewards_are_compared_with_those_of_the_replay() -> None:
    sound = pendulum_episodes()
    assert not found(check_demonstrations(sound, "Pendulum-v1"), "warning", "rews")
    scaled = [replace(e, rews=0.25 * e.rews) for e in sound]
    report = check_demonstrations(scaled, "Pendulum-v1")
    assert report.belongs
    assert found(report, "warning", "rews are 0.25 times what the environment gives")
    others = [replace(e, rews=np.arange(30.0)) for e in sound]
    assert found(check_demonstrations(others, "Pendulum-v1"), "note", "rews are not what")
    costs = [replace(e, rews=-e.rews) for e in sound]
    assert found(check_demonstrations(costs, "Pendulum-v1"), "note", "rews are not what")
    huge = [replace(e, rews=np.full(30, 1e307)) for e in sound]
    assert found(check_demonstrations(huge, "Pendulum-v1"), "note", "rews are not what")
    none = [replace(e, rews=np.zeros(30)) for e in sound]  # which is noted anyway
    assert not any("rews" in f.message for f in check_demonstrations(none, "Pendulum-v1").findings)
    unknown = [replace(e, rews=np.full(30, np.nan)) for e in sound]
    assert not found(check_demonstrations(unknown, "Pendulum-v1"), "warning", "rews")


@pytest.mark.parametrize("env_id", sorted(f.parent.name for f in SHIPPED.glob("*/*.npz")))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_rewards_of_the_shipped_experts_are_those_of_a_replay(
    env_id: str, dtype: type[np.floating]
) -> None:
    demos = [
        replace(e, obs=e.obs.astype(dtype)) for e in load_demonstrations(shipped(env_id), limit=5)
    ]
    report = check_demonstrations(demos, env_id)
    assert report.dynamics is not None
    for replay in report.dynamics.replays:
        n = len(replay.rewards) if replay.parted_at is None else replay.parted_at - 1
        assert n > 20
        stated, given = demos[replay.episode].rews[:n], replay.rewards[:n]
        # A tenth of what is reported; 0.002 at most when this was written.
        assert np.sqrt(np.mean((stated - given) ** 2)) < 5e-3 * np.sqrt(np.mean(given**2))
    assert not any("rews" in finding.message for finding in report.findings)


def test_rewards_are_compared_as_far_as_the_states_agree() -> None:
    """Rounded to float32, MuJoCo's episodes part after a hundred steps or two."""
    rounded = [
        replace(e, obs=e.obs.astype(np.float32), rews=2 * e.rews)
        for e in load_demonstrations(shipped("HalfCheetah-v4"), limit=2)
    ]
    report = check_demonstrations(rounded, "HalfCheetah-v4")
    assert report.dynamics is not None
    assert not any(replay.same for replay in report.dynamics.replays)
    assert found(report, "warning", "rews are 2 times what the environment gives")


@pytest.mark.parametrize("reward", [None, np.zeros(3), "a", np.nan])
def test_rewards_that_are_no_number_are_not_compared(reward: Any, episodes: Episodes) -> None:
    class Odd(Box3):
        def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict]:
            obs, _, *rest = super().step(action)
            return obs, reward, *rest

    report = check_demonstrations(episodes, Odd())
    assert not any(f.message.startswith("rews are") for f in report.findings)


def test_transitions(episodes: Episodes) -> None:
    report = check_demonstrations(flatten_trajectories(episodes), Box3())
    assert report.errors == []
    assert report.belongs is None
    short = flatten_trajectories([replace(e, acts=e.acts[:, :1]) for e in episodes])
    assert check_demonstrations(short, Box3()).belongs is False


def test_states_without_actions(episodes: Episodes) -> None:
    states = [replace(e, acts=np.zeros((20, 0), np.float32)) for e in episodes]
    report = check_demonstrations(states, Box3())
    assert found(report, "note", "there are no actions")
    assert report.errors == []
    assert report.verdict.endswith("there are no actions to replay.")


def test_of_a_vec_env_only_the_spaces_are_used(episodes: Episodes) -> None:
    report = check_demonstrations(episodes, make_vec_env(Box3))
    assert report.ok
    assert report.belongs is None
    assert "give its environment's id, or one environment" in report.verdict


def test_dictionaries_of_observations() -> None:
    env = Rooms(Pit(continuous=True))
    episodes = record_demonstrations(RoomsExpert(continuous=True), env, 6)
    assert isinstance(episodes[0].obs, DictObs)
    assert check_demonstrations(episodes, env).errors == []


def test_what_cannot_be_checked(episodes: Episodes, tmp_path: Path) -> None:
    with pytest.raises(DemonstrationError, match="empty"):
        check_demonstrations([], Box3())
    with pytest.raises(DemonstrationError, match="no such file"):
        check_demonstrations(tmp_path / "x.npz", Box3())
    with pytest.raises(DemonstrationError, match="acts of the trajectories differ in shape"):
        check_demonstrations(changed(episodes, 0, acts=episodes[0].acts[:, :1]), Box3())
    with pytest.raises(ValueError, match="n_episodes is 0"):
        check_demonstrations(episodes, Box3(), n_episodes=0)
    env = Box3()
    env.action_space = spaces.MultiDiscrete([2, 2])
    with pytest.raises(ValueError, match="cannot imitate"):
        check_demonstrations(episodes, env)


# --- Episodes ----------------------------------------------------------------------------------


def test_copies(episodes: Episodes) -> None:
    report = check_demonstrations([*episodes, episodes[1], episodes[4]], Box3())
    assert found(report, "warning", "2 of 8 episodes are copies (episode 6 of 1, 7 of 4)")


def test_standing_still(episodes: Episodes) -> None:
    still = changed(episodes, 2, obs=np.ones((21, 3), np.float32))
    report = check_demonstrations(still, Box3())
    assert found(report, "warning", "1 of 6 episodes have the same observation in every step")
    still = changed(episodes, 3, acts=np.ones((20, 2), np.float32))
    report = check_demonstrations(still, Box3())
    assert found(report, "warning", "1 of 6 episodes have the same action in every step")


def test_an_action_that_never_moves(episodes: Episodes) -> None:
    acts = [e.acts * np.array([1, 0], np.float32) for e in episodes]
    lame = [replace(e, acts=a) for e, a in zip(episodes, acts, strict=True)]
    report = check_demonstrations(lame, Box3())
    assert found(report, "warning", "acts[1] is the same number in every step of every episode")


def test_rewards(episodes: Episodes) -> None:
    zero = check_demonstrations([replace(e, rews=np.zeros(20)) for e in episodes], Box3())
    assert found(zero, "note", "every reward is 0; GAIL does not use")
    one = check_demonstrations([replace(e, rews=np.ones(20)) for e in episodes], Box3())
    assert found(one, "note", "every reward is 1: a return says only how long")
    nan = check_demonstrations(changed(episodes, 0, rews=np.full(20, np.nan)), Box3())
    assert found(nan, "warning", "rews hold NaN")


def test_a_failure_among_successes(episodes: Episodes) -> None:
    good = [replace(e, rews=np.full(20, 5.0 + 0.01 * n)) for n, e in enumerate(episodes)]
    report = check_demonstrations(changed(good, 3, rews=np.full(20, 1.0)), Box3())
    # The median of 100, 100.2, 100.4, 100.8, 101 and 20 is 100.3.
    assert found(report, "note", "1 of 6 returns are far below the others (episode 3: 20, the")
    assert found(report, "note", "the median is 100.3")
    assert not found(check_demonstrations(good, Box3()), "note", "far below")


def limited(n: int) -> gym.Env:
    env = Box3()
    env.spec = copy.deepcopy(gym.spec("CartPole-v1"))  # the registry's own stays as it is
    env.spec.max_episode_steps = n
    return env


def test_lengths_and_the_time_limit(episodes: Episodes) -> None:
    report = check_demonstrations(episodes, limited(19))
    assert found(report, "warning", "6 of 6 episodes are longer than the environment's limit of 19")
    assert not found(check_demonstrations(episodes, limited(20)), "warning", "limit")


def test_time_limits_that_are_called_terminal(episodes: Episodes) -> None:
    terminal = [replace(e, terminal=True) for e in episodes]
    report = check_demonstrations(terminal, limited(20))
    assert found(report, "warning", "all 6 episodes of exactly 20 steps")
    assert not found(check_demonstrations(terminal, limited(21)), "warning", "marked terminal")


def test_unknown_ends(episodes: Episodes) -> None:
    assert found(check_demonstrations(episodes, Box3()), "note", "how the episodes ended is not")
    known = changed(episodes, 0, infos=infos_of_end(20, time_limit=True))
    assert not found(check_demonstrations(known, Box3()), "note", "how the episodes ended")


def test_starts_elsewhere(episodes: Episodes) -> None:
    away = [replace(e, obs=np.float32(0.2) * e.obs + np.float32(4.0)) for e in episodes]
    away = [replace(e, obs=np.where([True, False, False], 4.9, e.obs)) for e in away]
    env = Box3()
    env._obs = lambda: np.zeros(3, np.float32)  # type: ignore[method-assign]
    report = check_demonstrations(away, env)
    assert found(report, "warning", "100% of the episodes start outside the range of 100 resets")
    assert not found(report, "warning", "normalised")


def test_normalised_observations_are_recognised() -> None:
    """Hopper's, with the mean and deviation that VecNormalize would have subtracted."""
    raw = load_demonstrations(shipped("Hopper-v4"), limit=5)
    everything = np.concatenate([e.obs for e in raw])
    mean, std = everything.mean(0), everything.std(0)
    scaled = [replace(e, obs=(e.obs - mean) / std) for e in raw]
    report = check_demonstrations(scaled, "Hopper-v4", n_episodes=1)
    assert found(report, "warning", "they look normalised, as by VecNormalize")
    assert report.belongs is not True
    assert not found(check_demonstrations(raw, "Hopper-v4", n_episodes=1), "warning", "normal")


# --- Dynamics ----------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", ["Hopper-v4", "Walker2d-v4", "HopperMuJoCoEnv-v0"])
def test_shipped_experts_by_their_seeds(env_id: str) -> None:
    report = check_demonstrations(shipped(env_id), env_id, n_episodes=2)
    assert report.ok
    assert report.belongs is True
    assert report.warnings == []
    assert report.dynamics is not None
    assert [r.start for r in report.dynamics.replays] == ["seed", "seed"]
    assert report.verdict == (
        f"These demonstrations belong to {env_id}: replayed from their start states, 2 of 2 "
        "episodes come out the same for all 1,000 steps."
    )


@pytest.mark.parametrize("env_id", ["HalfCheetah-v4", "Ant-v4", "HopperMuJoCoEnv-v0"])
def test_shipped_experts_by_their_states(env_id: str) -> None:
    """Nothing but arrays, rounded to float32: the states part late, the single steps do not."""
    episodes = load_demonstrations(shipped(env_id), limit=2)
    rounded = [replace(e, obs=e.obs.astype(np.float32)) for e in episodes]
    report = check_demonstrations(rounded, env_id, n_episodes=2)
    assert report.belongs is True
    assert report.dynamics is not None
    for replay in report.dynamics.replays:
        assert replay.start == "state"
        assert replay.parted_at is not None
        assert replay.parted_at > 20
    assert np.median(report.dynamics.single_steps) < 1e-6
    assert "single steps from their states come out the same" in report.verdict


def test_mujocos_demonstrations_in_pybullet() -> None:
    report = check_demonstrations(shipped("Hopper-v4"), "HopperMuJoCoEnv-v0")
    assert report.belongs is False
    assert not report.ok
    assert found(report, "warning", "recorded in Hopper-v4")
    assert "do NOT belong to HopperMuJoCoEnv-v0" in report.verdict
    assert "the states part after 1 step and 5 of 5 episodes end after 2" in report.verdict
    assert "another simulator" in report.verdict


def test_pybullets_demonstrations_in_mujoco() -> None:
    episodes = load_demonstrations(shipped("HopperMuJoCoEnv-v0"), limit=2)
    report = check_demonstrations(episodes, "Hopper-v4")
    assert report.belongs is False
    assert "another simulator" in report.verdict


def heavier(model: Any) -> None:
    model.body_mass[2] *= 1.05


def lighter_world(model: Any) -> None:
    model.opt.gravity[2] = -9.7


def slippery(model: Any) -> None:
    model.geom_friction[:, 0] *= 0.7


@pytest.mark.parametrize("change", [heavier, lighter_world, slippery])
@pytest.mark.parametrize("known_seeds", [True, False])
def test_small_changes_of_the_physics(change: Callable[[Any], None], known_seeds: bool) -> None:
    env = gym.make("Hopper-v4")
    change(env.unwrapped.model)
    path = shipped("Hopper-v4")
    demonstrations = path if known_seeds else load_demonstrations(path, limit=2)
    report = check_demonstrations(demonstrations, env, n_episodes=2)
    assert report.belongs is False
    assert "similar physics" in report.verdict


def test_another_friction_in_pybullet() -> None:
    """Its states cannot be set completely, so many single steps differ in the right one, too."""
    env = gym.make("HopperMuJoCoEnv-v0")
    client = env.unwrapped._client
    pybullet.changeDynamics(0, -1, lateralFriction=0.5, physicsClientId=client)
    report = check_demonstrations(load_demonstrations(shipped("HopperMuJoCoEnv-v0")), env)
    assert report.belongs is False


def test_coarse_numbers_are_not_another_environment() -> None:
    episodes = load_demonstrations(shipped("Hopper-v4"), limit=2)
    report = check_demonstrations([replace(e, obs=e.obs.round(3)) for e in episodes], "Hopper-v4")
    assert report.belongs is True
    assert "coarse rounding" in report.verdict


def test_single_steps_without_episodes() -> None:
    transitions = flatten_trajectories(load_demonstrations(shipped("Hopper-v4"), limit=2))
    right = check_demonstrations(transitions, "Hopper-v4")
    assert right.belongs is True
    assert right.dynamics is not None
    assert right.dynamics.replays == []
    wrong = check_demonstrations(transitions, "HopperMuJoCoEnv-v0")
    assert wrong.belongs is False


def test_cartpole(cartpole_expert: Episodes) -> None:
    report = check_demonstrations(cartpole_expert, "CartPole-v1")
    assert report.belongs is True
    assert not report.warnings
    env = gym.make("CartPole-v1")
    env.unwrapped.length = 0.6
    assert check_demonstrations(cartpole_expert, env).belongs is False


def test_pendulum(pendulum_expert: Episodes) -> None:
    assert check_demonstrations(pendulum_expert, "Pendulum-v1").belongs is True
    env = gym.make("Pendulum-v1", g=9.0)
    assert check_demonstrations(pendulum_expert, env).belongs is False
    backwards = [replace(e, acts=-e.acts) for e in pendulum_expert]
    assert check_demonstrations(backwards, "Pendulum-v1").belongs is False


class Anywhere:
    """Random actions of any space."""

    def __init__(self, space: spaces.Space) -> None:
        self.space = space
        space.seed(0)

    def predict(self, observation: Any, **_: Any) -> tuple[np.ndarray, None]:
        return np.stack([self.space.sample() for _ in range(len(observation))]), None


@pytest.mark.parametrize(
    "env_id", ["MountainCar-v0", "MountainCarContinuous-v0", "Humanoid-v4", "AntMuJoCoEnv-v0"]
)
def test_states_of_other_environments_can_be_set(env_id: str) -> None:
    policy = Anywhere(gym.make(env_id).action_space)
    report = check_demonstrations(record_demonstrations(policy, env_id, 2), env_id, n_episodes=1)
    assert report.belongs is True
    assert report.dynamics is not None
    assert [r.start for r in report.dynamics.replays] == ["state"]


class Steps(Pit):
    """A Pit that nobody can be put into, but by its seed."""

    speed = 1.0

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        return super().step(self.speed * action)


def test_seeds_lead_to_the_starts_of_any_environment(tmp_path: Path) -> None:
    env = Steps(continuous=True)
    episodes = expert_episodes(env, 4, seed=7)
    path = tmp_path / "x.npz"
    save_demonstrations(path, episodes, metadata={"seeds": [7, 8, 9, 10]})
    assert check_demonstrations(path, env).belongs is True
    env.speed = 0.9
    assert check_demonstrations(path, env).belongs is False
    env.speed = 1.0
    report = check_demonstrations(load_demonstrations(path), env)  # without seeds
    assert report.belongs is None
    assert "cannot be told" in report.verdict
    assert report.verdict.endswith("They start where that environment does.")


@pytest.mark.parametrize("seeds", ["7", [7, 8], [7, 8, 9, -1], [7, 8, 9, 0.5], [7, 8, 9, True]])
def test_seeds_of_strangers_are_not_believed(tmp_path: Path, seeds: Any) -> None:
    env = Steps(continuous=True)
    path = tmp_path / "x.npz"
    save_demonstrations(path, expert_episodes(env, 4, seed=7), metadata={"seeds": seeds})
    assert check_demonstrations(path, env).belongs is None


def test_wrappers_that_remember_cannot_be_set() -> None:
    """Setting the state below NormalizeObservation would show what was set, and mean another."""
    env = gym.wrappers.NormalizeObservation(gym.make("Hopper-v4"))
    episodes = load_demonstrations(shipped("Hopper-v4"), limit=2)
    report = check_demonstrations(episodes, env)
    assert report.belongs is None


class Blown(gym.Wrapper):
    """A wind of chance."""

    def step(self, action: Any) -> Any:
        self.unwrapped.state = self.unwrapped.state + self.np_random.normal(size=4) * 0.01
        return super().step(action)


def test_chance_is_not_another_environment(cartpole_expert: Episodes) -> None:
    report = check_demonstrations(cartpole_expert, Blown(gym.make("CartPole-v1")))
    assert report.belongs is None
    assert "the same step from the same state leads to different states" in report.verdict


# --- The verdict from numbers ------------------------------------------------------------------


def replayed(start: Any, parted_at: int | None, n: int = 100, played: int = 100) -> Replay:
    return Replay(0, start, n, np.zeros(played), parted_at, np.zeros(played))


def verdict(replays: list[Replay], steps: list[float], **facts: Any) -> bool | None:
    given = {"tolerance": 1e-5, "complete": True, "chance": False, **facts}
    return belongs(Dynamics(replays, np.array(steps), **given))


def test_the_verdict() -> None:
    seed, state = "seed", "state"
    assert verdict([], []) is None
    assert verdict([replayed(seed, None)], [1.0]) is True  # an exact replay settles it
    assert verdict([replayed(state, 50)], [0.0] * 19 + [1.0]) is True  # 95 %
    assert verdict([replayed(state, 50)], [0.0] * 9 + [1.0]) is False  # 90 %
    assert verdict([replayed(state, 50)], [0.0, 1.0], tolerance=0.01) is True  # rounded
    assert verdict([replayed(seed, 20)], [0.0] * 20) is False
    assert verdict([replayed(seed, 21)], [0.0] * 20) is True
    assert verdict([replayed(seed, 21)], [0.0]) is None  # its first step only
    assert verdict([replayed(seed, None, played=12)], [0.0] * 20) is False  # ended early
    assert verdict([replayed(state, 30)], [0.0, 1.0], complete=False) is True
    assert verdict([replayed(state, 20)], [0.0, 1.0], complete=False) is False
    assert verdict([], [0.0, 1.0], complete=False) is None
    assert verdict([replayed(state, 30)], [1.0] * 4 + [0.0], complete=False) is False
    assert verdict([], [float("nan")]) is False
    assert verdict([replayed(state, 50)], [1.0], chance=True) is None


def test_the_sentence_counts() -> None:
    replays = [replayed("state", 3, played=4), replayed("state", 1)]
    dynamics = Dynamics(replays, np.array([0.5, 0.0]), 1e-5, complete=True, chance=False)
    assert sentence(dynamics, "X") == (
        "These demonstrations do NOT belong to X: replayed there, the states part after 1 to 3 "
        "steps and 1 of 2 episodes end after 4 steps (the demonstrations: 100); 1 of 2 single "
        "steps lead elsewhere, by 50 % of the states' deviation (median); probably recorded in "
        "another simulator, with another robot, or scaled."
    )


def test_rounding_and_spread() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1000, 2)) * [1.0, 100.0]
    size = np.abs(rows).max(0)
    np.testing.assert_allclose(rounding(rows), np.finfo(np.float64).eps * size)
    single, half = rows.astype(np.float32), rows.astype(np.float16)
    np.testing.assert_allclose(rounding(single), 2.0**-23 * np.abs(single).max(0))
    np.testing.assert_allclose(rounding(half), 2.0**-10 * np.abs(half.astype(float)).max(0))
    np.testing.assert_allclose(rounding(rows.round(3)), 0.0005)
    np.testing.assert_allclose(rounding(rows.round(3).astype(np.float32)), 0.0005)
    still = np.concatenate([rows, np.ones((1000, 1))], axis=1)
    std = rows.std(0)
    np.testing.assert_allclose(spread(still), [*std, 1e-3 * std.mean()])


def test_rounding_to_significant_digits_and_column_by_column() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 2)) * [1.0, 100.0]
    digits = np.vectorize(lambda x: float(f"{x:.4g}"))(rows)
    size = np.abs(digits).max(0)
    np.testing.assert_allclose(rounding(digits), 0.0005 * size)
    one_rounded = np.stack([rows[:, 0].round(2), rows[:, 1]], axis=1)
    exact = np.finfo(np.float64).eps * np.abs(rows[:, 1]).max()
    np.testing.assert_allclose(rounding(one_rounded), [0.005, exact])


class Lag(gym.ActionWrapper):
    """A filter of actions, whose state observations do not show."""

    last: Any = 0.0

    def reset(self, **kwargs: Any) -> Any:
        self.last = 0.0
        return super().reset(**kwargs)

    def action(self, action: Any) -> Any:
        self.last = 0.5 * self.last + 0.5 * action
        return self.last


def test_what_observations_do_not_show_is_no_other_environment() -> None:
    env = Lag(gym.make("Pendulum-v1", max_episode_steps=30))
    rng = np.random.default_rng(0)

    class Wobble:
        def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
            return rng.uniform(-2, 2, (len(observation), 1)).astype(np.float32), None

    assert check_demonstrations(record_demonstrations(Wobble(), env, 4), env).belongs is True


# --- The command line --------------------------------------------------------------------------


def run(*arguments: object) -> int:
    return main(["demos", "check", *map(str, arguments)])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "x.png"
    file = shipped("Hopper-v4")
    assert run(file, "--env", "Hopper-v4", "--episodes", 1) == 0
    (printed,) = capsys.readouterr().out.splitlines()
    assert printed.startswith("These demonstrations belong to Hopper-v4: replayed from")
    assert run(file, "--env", "HopperMuJoCoEnv-v0", "--episodes", 2, "--plot", picture) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "warnings:"
    assert printed[-2].startswith("These demonstrations do NOT belong to HopperMuJoCoEnv-v0")
    assert printed[-1] == f"wrote {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_file_that_does_not_fit(hopper_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(hopper_file, "--env", "Pendulum-v1") == 1
    assert capsys.readouterr().out.startswith("errors:\n  - ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.npz", "--env", "Hopper-v4"], "nowhere.npz: no such file"),
        ([__file__, "--env", "Hopper-v4"], "not an .npz archive"),
        (["x.npz", "--env", "Hoper-v4"], "cannot make environment Hoper-v4"),
        (["x.npz", "--env", "Hopper-v4", "--episodes", 0], "--episodes is 0"),
        (["x.npz", "--env", "Hopper-v4", "--plot", "x.txt"], "--plot is x.txt; give a name"),
        (["x.npz", "--env", "Blackjack-v1"], "cannot imitate with observations of type Tuple"),
    ],
)
def test_bad_input(arguments: list[object], words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    error = capfd.readouterr().err
    assert error.splitlines()[-1].startswith("sb3-gail: ")
    assert words in error


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["demos", "check", "--help"])
    assert stop.value.code == 0
    assert "examples:\n  sb3-gail demos check my_expert.npz" in capsys.readouterr().out
