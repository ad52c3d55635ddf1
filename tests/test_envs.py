"""The PyBullet environments against episodes recorded from the archived pybullet-gym package.

A recording (`reference/pybullet_gym_traces.npz`) holds, for each robot and trace,
`init_joint_positions` (n_joints,), `obs` (T+1, D), `acts` or `acs` (T, A), `rews` (T,) and
`dones` (T,). Where links touch the ground together, the original solved their contacts in an order
that it took from uninitialised memory. An order that reproduces a recording to the end was found
by search; where it is not the environment's own, it stands in `CONTACT_ORDERS`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pybullet
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium_env
from stable_baselines3.common.env_checker import check_env as check_sb3_env

from sb3_gail_ext.demonstrations.files import load_demonstrations
from sb3_gail_ext.envs import BULLET_ENV_IDS, register_envs
from sb3_gail_ext.envs.bullet_env import BulletEnv

register_envs()

RECORDED = dict(np.load(Path(__file__).parent / "reference" / "pybullet_gym_traces.npz"))
TRACES = sorted(name.removesuffix("_obs") for name in RECORDED if name.endswith("_obs"))
CONTACT_ORDERS = {
    "Walker2D_2": ("torso", "thigh", "foot", "thigh_left", "leg_left", "leg", "foot_left"),
    "HalfCheetah_0": ("torso", "fthigh", "bthigh", "bfoot", "bshin", "fshin", "ffoot"),
    "Ant_1": (
        *("front_right_foot", "left_back_foot", "torso", "front_left_leg", "aux_1"),
        *("front_right_leg", "aux_2", "left_back_leg", "aux_3", "right_back_leg", "aux_4"),
        *("front_left_foot", "right_back_foot"),
    ),
}
# The humanoid touches itself as well. No order of the links (of some thousands tried) follows its
# recordings further than these many steps, each up to a step with several contacts at once.
COMPARED_STEPS = {"Humanoid_0": 32, "Humanoid_1": 26, "Humanoid_2": 25}


class Episode(NamedTuple):
    obs: np.ndarray  # (T+1, D)
    rews: np.ndarray  # (T,)
    dones: np.ndarray  # (T,)


def make(env_id: str, **kwargs: Any) -> BulletEnv:
    env = gym.make(env_id, **kwargs).unwrapped
    assert isinstance(env, BulletEnv)
    return env


def env_id_of(trace: str) -> str:
    return trace.split("_")[0].removesuffix("Policy") + "MuJoCoEnv-v0"


def recording(trace: str) -> tuple[Episode, np.ndarray]:
    """The recorded episode, as far as it is compared, and its actions (T, A)."""
    acts = RECORDED[f"{trace}_{'acs' if f'{trace}_acs' in RECORDED else 'acts'}"]
    n_steps = COMPARED_STEPS.get(trace, len(acts))
    obs, rews, dones = (RECORDED[f"{trace}_{name}"] for name in ("obs", "rews", "dones"))
    return Episode(obs[: n_steps + 1], rews[:n_steps], dones[:n_steps]), acts[:n_steps]


def roll(env: BulletEnv, acts: np.ndarray, **reset_kwargs: Any) -> Episode:
    """Play the actions to their end, whether or not the episode ends before."""
    obs = [env.reset(**reset_kwargs)[0]]
    rews, dones = [], []
    for action in acts:
        next_obs, reward, terminated, truncated, _ = env.step(action)
        assert not truncated
        obs.append(next_obs)
        rews.append(reward)
        dones.append(terminated)
    return Episode(np.array(obs), np.array(rews), np.array(dones))


def replay(env: BulletEnv, trace: str) -> None:
    expected, acts = recording(trace)
    options = {"joint_positions": RECORDED[f"{trace}_init_joint_positions"]}
    if trace in CONTACT_ORDERS:
        options["contact_order"] = CONTACT_ORDERS[trace]
    played = roll(env, acts, options=options)
    # Within 1e-4 and 1e-3 would do; observations come out to the last bit.
    np.testing.assert_array_equal(played.obs, expected.obs)
    np.testing.assert_allclose(played.rews, expected.rews, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(played.dones, expected.dones)


def random_actions(env: BulletEnv, n_steps: int, seed: int = 0) -> np.ndarray:
    shape = (n_steps, *env.action_space.shape)  # type: ignore[misc]
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("trace", TRACES)
def test_recorded_episode_in_a_fresh_environment(trace: str) -> None:
    env = make(env_id_of(trace))
    if f"{trace}_joint_names" in RECORDED:
        assert env.joint_names == list(RECORDED[f"{trace}_joint_names"])
    replay(env, trace)
    env.close()


@pytest.mark.parametrize("env_id", BULLET_ENV_IDS)
def test_recorded_episodes_one_after_another_in_one_environment(env_id: str) -> None:
    env = make(env_id)
    own = [trace for trace in TRACES if env_id_of(trace) == env_id]
    for trace in [*own, *reversed(own)]:
        replay(env, trace)
    env.close()


def test_an_episode_does_not_depend_on_the_memory_of_its_process() -> None:
    """`MALLOC_PERTURB_` makes glibc fill what it hands out, so that reading it would show."""
    script = (
        "import gymnasium as gym, numpy as np\n"
        "from sb3_gail_ext.envs import BULLET_ENV_IDS, register_envs\n"
        "register_envs()\n"
        "for env in [gym.make(env_id).unwrapped for env_id in BULLET_ENV_IDS]:\n"
        "    obs = [env.reset(seed=1)[0]]\n"
        "    acts = np.random.default_rng(0).uniform(-1, 1, (80, *env.action_space.shape))\n"
        "    obs += [env.step(action)[0] for action in acts]\n"
        "    print('episode', np.array(obs).tobytes().hex())\n"
    )
    outputs = set()
    for perturb in ("0", "1", "255"):
        run = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "MALLOC_PERTURB_": perturb},
            capture_output=True,
            text=True,
            check=True,
        )
        episodes = tuple(line for line in run.stdout.splitlines() if line.startswith("episode"))
        assert len(episodes) == len(BULLET_ENV_IDS)
        outputs.add(episodes)
    assert len(outputs) == 1


def test_registered_ids_have_a_limit_of_1000_steps() -> None:
    assert len(BULLET_ENV_IDS) == 5
    for env_id in BULLET_ENV_IDS:
        assert gym.spec(env_id).max_episode_steps == 1000


def test_time_limit_truncates() -> None:
    env = gym.make("HalfCheetahMuJoCoEnv-v0")
    env.reset(seed=0)
    action = np.zeros(6, np.float32)
    ends = [env.step(action)[2:4] for _ in range(1000)]
    assert ends == [(False, False)] * 999 + [(False, True)]
    env.close()


@pytest.mark.filterwarnings("ignore::UserWarning")  # infinite bounds of observations
@pytest.mark.parametrize("env_id", BULLET_ENV_IDS)
def test_env_checkers(env_id: str) -> None:
    env = make(env_id)
    check_gymnasium_env(env, skip_render_check=True)
    check_sb3_env(env)
    env.close()


@pytest.mark.parametrize("env_id", BULLET_ENV_IDS)
def test_same_seed_same_episode(env_id: str) -> None:
    env, other = make(env_id), make(env_id)
    acts = random_actions(env, 30)
    first = roll(env, acts, seed=3)
    np.testing.assert_array_equal(roll(env, acts, seed=3).obs, first.obs)
    np.testing.assert_array_equal(roll(other, acts, seed=3).obs, first.obs)
    np.testing.assert_array_equal(roll(other, acts, seed=3).rews, first.rews * 1)
    assert not np.array_equal(roll(env, acts, seed=4).obs, first.obs)
    unseeded = env.reset()[0]
    assert not np.array_equal(env.reset()[0], unseeded)
    env.action_space.seed(0)
    other.action_space.seed(0)
    np.testing.assert_array_equal(env.action_space.sample(), other.action_space.sample())
    env.close()
    other.close()


def test_actions_beyond_the_bounds_drive_as_the_bounds() -> None:
    env = make("HopperMuJoCoEnv-v0")
    acts = 3 * random_actions(env, 10)
    beyond = roll(env, acts, seed=0)
    within = roll(env, np.clip(acts, -1, 1), seed=0)
    np.testing.assert_array_equal(beyond.obs, within.obs)
    # What is paid is paid for the action as given, as in the original.
    cost = 1e-3 * ((acts**2).sum(1) - (np.clip(acts, -1, 1) ** 2).sum(1))
    np.testing.assert_allclose(within.rews - beyond.rews, cost, atol=1e-6)
    env.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"joint_positions": np.zeros(5)}, "this robot has 6 joints: ignore1"),
        ({"joint_positions": np.full(6, np.nan)}, "NaN or infinity"),
        ({"joint_position": np.zeros(6)}, r"unknown reset options \['joint_position'\]"),
        ({"contact_order": ["foot", "leg"]}, "give each of torso, thigh, leg, foot once"),
    ],
)
def test_refused_reset_options(options: dict[str, Any], message: str) -> None:
    env = make("HopperMuJoCoEnv-v0")
    with pytest.raises(ValueError, match=message) as error:
        env.reset(options=options)
    assert "\n" not in str(error.value)
    env.close()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_actions_that_are_not_finite_are_refused(bad: float) -> None:
    env = make("HopperMuJoCoEnv-v0")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="give finite") as error:
        env.step(np.array([0.0, bad, 0.0]))
    assert "\n" not in str(error.value)
    env.close()


@pytest.mark.parametrize("env_id", BULLET_ENV_IDS)
def test_picture_without_a_display(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    env = make(env_id, render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture is not None
    assert picture.shape == (240, 320, 3)
    assert picture.dtype == np.uint8
    # The robot stands in the middle third and is neither sky nor a tile: its red exceeds its blue.
    reddish = picture[:, :, 0].astype(int) > picture[:, :, 2].astype(int) + 20
    assert reddish[:, 107:213].sum() > 200
    assert reddish[:, :53].sum() == 0
    env.close()


def test_camera_follows() -> None:
    env = make("HopperMuJoCoEnv-v0", render_mode="rgb_array")
    positions = np.zeros(6)
    positions[0] = 40.0  # m along the way
    env.reset(options={"joint_positions": positions})
    picture = env.render()
    assert picture is not None
    reddish = picture[:, :, 0].astype(int) > picture[:, :, 2].astype(int) + 20
    assert reddish[:, 107:213].sum() > 200
    env.close()


def test_unknown_render_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="use one of human, rgb_array, or None"):
        make("HopperMuJoCoEnv-v0").__class__(render_mode="ansi")


def test_undrawn_environment_renders_nothing() -> None:
    env = make("HopperMuJoCoEnv-v0")
    env.reset(seed=0)
    assert env.render() is None
    env.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11 only")
def test_window_without_a_display_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(RuntimeError, match="needs a display"):
        make("HopperMuJoCoEnv-v0", render_mode="human")


@pytest.mark.skipif(
    shutil.which("xvfb-run") is None and not os.environ.get("DISPLAY"),
    reason="needs a screen: set DISPLAY, or install xvfb for a virtual one",
)
def test_window() -> None:
    script = (
        "import gymnasium as gym, numpy as np\n"
        "from sb3_gail_ext.envs import register_envs\n"
        "register_envs()\n"
        "env = gym.make('HopperMuJoCoEnv-v0', render_mode='human')\n"
        "env.reset(seed=0)\n"
        "obs = env.step(np.zeros(3, np.float32))[0]\n"
        "env.close()\n"
        "same = gym.make('HopperMuJoCoEnv-v0')\n"
        "same.reset(seed=0)\n"
        "assert np.array_equal(same.step(np.zeros(3, np.float32))[0], obs)\n"
        "print('window closed')\n"
    )
    command = [sys.executable, "-c", script]
    if not os.environ.get("DISPLAY"):
        command = ["xvfb-run", "-a", "-s", "-screen 0 1024x768x24", *command]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "window closed" in run.stdout, run.stderr


def test_25_environments_in_one_process_are_independent() -> None:
    env_ids = [list(BULLET_ENV_IDS)[i % 5] for i in range(25)]
    envs = [make(env_id) for env_id in env_ids]
    acts = [random_actions(env, 25, seed=i) for i, env in enumerate(envs)]
    together = [[env.reset(seed=i)[0]] for i, env in enumerate(envs)]
    for step in range(25):
        for i, env in enumerate(envs):
            together[i].append(env.step(acts[i][step])[0])
    for env in envs:
        env.close()
    for i, env_id in enumerate(env_ids):
        env = make(env_id)
        np.testing.assert_array_equal(roll(env, acts[i], seed=i).obs, np.array(together[i]))
        env.close()


def test_close_frees_the_physics_server() -> None:
    clients = set()
    for _ in range(30):
        env = make("HopperMuJoCoEnv-v0")
        client = env._client
        clients.add(client)
        assert pybullet.isConnected(client)
        env.close()
        assert not pybullet.isConnected(client)
        env.close()
    assert len(clients) == 1  # the number is free again each time


def test_mujocos_hops_fall_in_pybullet() -> None:
    """The chapter's error 9: its demonstrations come from other physics than its environment."""
    path = Path(__file__).parents[1] / "expert_data/Hopper-v4/deterministic.trpo.Hopper.0.00.npz"
    env = make("HopperMuJoCoEnv-v0")
    for demonstration in load_demonstrations(path):
        # MuJoCo's height starts at 1.25, PyBullet's at 0; x, which is not observed, at 0.
        height, *angles = np.asarray(demonstration.obs)[0, :5]
        pose = np.array([0.0, height - 1.25, *angles])
        played = roll(env, demonstration.acts[:21], options={"joint_positions": pose})
        assert np.flatnonzero(played.dones)[0] + 1 in (8, 9)
    env.close()


@pytest.mark.parametrize("robot", ["Hopper", "Walker2D", "HalfCheetah", "Ant", "Humanoid"])
def test_an_episode_can_start_from_what_was_observed(robot: str) -> None:
    env = make(f"{robot}MuJoCoEnv-v0").unwrapped
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(15):
        obs = env.step(env.action_space.sample())[0]
    np.testing.assert_array_equal(env.reset(seed=1)[0] == obs, obs == 0)
    np.testing.assert_allclose(env.start_from(obs), obs, rtol=1e-6, atol=1e-6)
    once = env.step(env.action_space.low)
    env.start_from(obs)
    np.testing.assert_array_equal(env.step(env.action_space.low)[0], once[0])
