"""`check_demonstrations`: all that can be said of demonstrations and an environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gymnasium as gym
from imitation.data.types import Transitions
from stable_baselines3.common.vec_env import VecEnv

from sb3_gail_ext.demonstrations.checking import verdict
from sb3_gail_ext.demonstrations.checking.arrays import check_action_type, check_arrays
from sb3_gail_ext.demonstrations.checking.dynamics import replay
from sb3_gail_ext.demonstrations.checking.episodes import check_episodes
from sb3_gail_ext.demonstrations.checking.finding import Finding
from sb3_gail_ext.demonstrations.checking.given import Demonstrations, Given, given, some_rows
from sb3_gail_ext.demonstrations.checking.report import DemonstrationReport
from sb3_gail_ext.demonstrations.checking.rewards import check_rewards
from sb3_gail_ext.demonstrations.checking.starts import check_starts, starts_elsewhere
from sb3_gail_ext.demonstrations.checks import check_supported_spaces
from sb3_gail_ext.demonstrations.dict_observations import flat_space
from sb3_gail_ext.demonstrations.errors import in_one_line
from sb3_gail_ext.demonstrations.sampling import are_whole, array_obs, flatten
from sb3_gail_ext.demonstrations.state_only import flatten_states


def check_demonstrations(
    demonstrations: str | Path | Demonstrations,
    env: str | gym.Env | VecEnv,
    *,
    n_episodes: int = 5,
) -> DemonstrationReport:
    """Check demonstrations against an environment, and replay them there.

    Shapes, bounds, types, NaN, copies, standing still, returns, lengths, ends and starts; and the
    dynamics: from the demonstrations' states, does the environment go where they went, and does it
    give the same rewards? States can
    be set in MuJoCo's, this package's and the classic-control environments; in others, the seeds
    in a file that this package wrote may lead to the starts.

    :param demonstrations: a file, trajectories (obs (T + 1, ...), acts (T, ...)), or Transitions,
        of which only what single steps show is checked.
    :param env: an id, or an environment, which is reset and stepped; of a VecEnv, only the spaces
        are looked at.
    :param n_episodes: how many to replay, evenly spread over all.
    :raises DemonstrationError: if the file cannot be read, or there are no demonstrations.
    :raises ValueError: if `n_episodes` is not positive, or nothing can be imitated in such spaces.
    """
    if n_episodes < 1:
        raise ValueError(f"n_episodes is {n_episodes}; replay at least one")
    with _made(env) as made:
        check_supported_spaces(made.observation_space, made.action_space)
        demos = given(demonstrations, made.observation_space)
        findings = [*_arrays(demos, made), *_episodes(demos, made)]
        obstacle = _obstacle(demos, made, findings)
        if obstacle is not None:
            return DemonstrationReport(tuple(findings), *obstacle, dynamics=None)
        return _replayed(demos, made, findings, n_episodes)


def env_name(env: gym.Env | VecEnv) -> str:
    """Its id, or its class where it was not made by id."""
    if isinstance(env, VecEnv):
        return "this VecEnv"
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


@contextmanager
def _made(env: str | gym.Env | VecEnv) -> Iterator[gym.Env | VecEnv]:
    """An environment; closed at the end if it was made here."""
    if not isinstance(env, str):
        yield env
        return
    made = gym.make(env, disable_env_checker=True)
    try:
        yield made
    finally:
        made.close()


def _arrays(demos: Given, env: gym.Env | VecEnv) -> Iterator[Finding]:
    actions = demos.demonstrations
    dtype = actions.acts.dtype if isinstance(actions, Transitions) else actions[0].acts.dtype
    if _lack_actions(demos):
        batch = flatten_states(demos.demonstrations, env.action_space)
        yield Finding("note", "there are no actions (acts is empty); only GAIfO can use these")
    else:
        batch = flatten(demos.demonstrations)
        yield from check_action_type(dtype, env.action_space)
    yield from check_arrays(batch, env.observation_space, env.action_space, demos.source)


def _episodes(demos: Given, env: gym.Env | VecEnv) -> Iterator[Finding]:
    name = env_name(env)
    if demos.env_id not in (None, name) and not isinstance(env, VecEnv):
        yield Finding(
            "warning", f"the file says that it was recorded in {in_one_line(demos.env_id)}"
        )
    if not isinstance(demos.demonstrations, Transitions) and are_whole(demos.demonstrations):
        spec = None if isinstance(env, VecEnv) else env.spec
        limit = None if spec is None else spec.max_episode_steps
        yield from check_episodes(demos.demonstrations, limit)


def _obstacle(
    demos: Given, env: gym.Env | VecEnv, findings: list[Finding]
) -> tuple[bool | None, str] | None:
    """If nothing can be replayed: do they belong to `env`, if that is known, and a sentence."""
    name = env_name(env)
    if not _same_shapes(demos, env):
        return False, f"These demonstrations do NOT belong to {name}: their shapes differ."
    reason = None
    if any(finding.severity == "error" for finding in findings):
        reason = "they cannot be used there, see the errors"
    elif _lack_actions(demos):
        reason = "there are no actions to replay"
    elif isinstance(env, VecEnv):
        reason = "give its environment's id, or one environment"
    if reason is None:
        return None
    return None, f"Whether these demonstrations belong to {name} cannot be told: {reason}."


def _same_shapes(demos: Given, env: gym.Env | VecEnv) -> bool:
    first = demos.episodes[0]
    same_acts = first.acts.shape[1:] == env.action_space.shape or _lack_actions(demos)
    return same_acts and array_obs(first.obs).shape[1:] == flat_space(env.observation_space).shape


def _lack_actions(demos: Given) -> bool:
    return demos.episodes[0].acts.shape[1:] == (0,)


def _replayed(
    demos: Given, env: gym.Env | VecEnv, findings: list[Finding], n_episodes: int
) -> DemonstrationReport:
    assert isinstance(env, gym.Env)  # `_obstacle` has seen to it
    episodes, whole = demos.episodes, are_whole(demos.episodes)
    rows = some_rows(episodes)
    elsewhere = starts_elsewhere(episodes, env) if whole else None
    dynamics = replay(episodes, env, rows, seeds=demos.seeds, n_episodes=n_episodes)
    belong, text = verdict.belongs(dynamics), verdict.sentence(dynamics, env_name(env))
    if belong is None and whole:
        text += f" They start {'elsewhere than' if elsewhere else 'where'} that environment does."
    found = (
        *findings,
        *check_rewards(episodes, dynamics.replays),
        *check_starts(elsewhere, rows),
    )
    return DemonstrationReport(found, belong, text, dynamics)
