"""Film one episode as an `.mp4`, or show it in a window."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import imageio.v2 as imageio
import numpy as np

from sb3_gail_ext.atomic import atomically

Act = Callable[[np.ndarray, int], np.ndarray]  # (observation, step) -> action


def film_episode(
    env_id: str,
    act: Act,
    path: Path,
    *,
    seed: int = 0,
    max_steps: int = 300,
    n_episodes: int = 1,
) -> float:
    """Film from the start that `seed` gives until the episodes or the film end.

    :param max_steps: of the whole film.
    :param n_episodes: one after another.
    :returns: the sum of the rewards in the film.
    :raises RuntimeError: if the environment cannot be drawn, or the film not be written.
    """
    if path.suffix != ".mp4":
        raise RuntimeError(f"{path}: films are written as .mp4; give a name like film.mp4")
    frames: list[np.ndarray] = []
    with _made(env_id, "rgb_array") as env:
        total = _play(
            env, act, seed, max_steps, n_episodes, lambda: frames.append(np.asarray(env.render()))
        )
        fps = env.metadata["render_fps"]
    try:
        with atomically(path) as temporary:
            imageio.mimwrite(temporary, frames, fps=fps, macro_block_size=None)  # type: ignore[arg-type]
    except OSError as error:
        raise RuntimeError(f"cannot write {path}: {error}") from error
    return total


def show_episode(env_id: str, act: Act, *, seed: int = 0, max_steps: int = 1000) -> float:
    """Show an episode in the environment's own window, which draws and paces itself.

    :returns: the return.
    :raises RuntimeError: if the environment has no window on this machine.
    """
    with _made(env_id, "human") as env:
        try:
            return _play(env, act, seed, max_steps, 1, lambda: None)
        except Exception as error:  # the engine's own, when its window is closed
            raise RuntimeError(f"the window of {env_id} closed or failed: {error}") from error


def _made(env_id: str, render_mode: str) -> gym.Env:
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")  # MuJoCo's own default needs a display
    try:
        return gym.make(env_id, render_mode=render_mode)
    except Exception as error:  # each graphics backend fails in a class of its own
        raise RuntimeError(f"{env_id} cannot be drawn on this machine: {error}") from error


def _play(
    env: gym.Env,
    act: Act,
    seed: int,
    max_steps: int,
    n_episodes: int,
    draw: Callable[[], object],
) -> float:
    obs, _ = env.reset(seed=seed)
    _draw(env, draw)
    total, ended = 0.0, 0
    for step in range(max_steps):
        obs, reward, terminated, truncated, _ = env.step(act(obs, step))
        total += float(reward)
        _draw(env, draw)
        ended += terminated or truncated
        if ended == n_episodes:
            break
        if terminated or truncated:
            obs, _ = env.reset()
    return total


def _draw(env: gym.Env, draw: Callable[[], object]) -> None:
    try:
        draw()
    except Exception as error:  # as in `_made`
        raise RuntimeError(f"{env} cannot be drawn on this machine: {error}") from error
