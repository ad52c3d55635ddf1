"""The three films of a run: a random agent, the expert's recorded actions, the imitator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym

from sb3_gail_ext.demonstrations.files import load_demonstrations, load_metadata
from sb3_gail_ext.demonstrations.recording import Policy
from sb3_gail_ext.evaluation.evaluate import EVALUATION_SEED
from sb3_gail_ext.evaluation.video import Act, film_episode

_SHORT_EPISODES = 20  # of a random agent, which soon falls, make one film


def film_all(
    env_id: str, demonstrations: Path, model: Policy, folder: Path, say: Callable[[str], None]
) -> None:
    """Film all three into `folder` from one start, as far as this machine can draw.

    The expert's actions need the start they were recorded from; a file without it is not filmed.

    :param say: receives lines for people.
    """
    seeds = load_metadata(demonstrations).get("seeds")
    seed = seeds[0] if seeds else EVALUATION_SEED
    films: dict[str, Act] = {
        "random": _random_actions(env_id, seed),
        "imitator": lambda obs, _: model.predict(obs, deterministic=True)[0],
    }
    if seeds:
        films["expert"] = _recorded_actions(demonstrations)
    else:
        say("no film of the expert: the file does not say from which seeds its episodes start")
    for name, act in films.items():
        path = folder / f"{name}.mp4"
        n_episodes = _SHORT_EPISODES if name == "random" else 1
        try:
            film_episode(env_id, act, path, seed=seed, n_episodes=n_episodes)
        except RuntimeError as error:
            say(f"no films: {error}")
            return
        say(f"filmed {path}")


def _recorded_actions(demonstrations: Path) -> Act:
    """The actions of the first episode; where it outlives the recording, the last one is held."""
    acts = load_demonstrations(demonstrations)[0].acts
    return lambda _, step: acts[min(step, len(acts) - 1)]


def _random_actions(env_id: str, seed: int) -> Act:
    env = gym.make(env_id)
    space = env.action_space
    env.close()
    space.seed(seed)
    return lambda _, __: space.sample()
