"""Films of policies and of the expert's recorded actions, from the same start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sb3_gail_ext.demonstrations.files import load_demonstrations, load_metadata
from sb3_gail_ext.demonstrations.playing import Policy
from sb3_gail_ext.evaluation.evaluate import EVALUATION_SEED
from sb3_gail_ext.evaluation.random_policy import RandomPolicy
from sb3_gail_ext.evaluation.video import Act, film_episode

_SHORT_EPISODES = 20  # of a random agent, which soon falls, make one film


def film_all(
    env_id: str,
    demonstrations: Path,
    policies: Mapping[str, Policy],
    folder: Path,
    say: Callable[[str], None],
) -> dict[str, Path]:
    """Film each policy and the expert into `folder`, from one start, as far as can be drawn here.

    The expert's actions need the start they were recorded from; a file without it is not filmed.

    :param policies: by the name of the film.
    :param say: receives lines for people.
    :returns: the films that were made, by name.
    """
    seeds = load_metadata(demonstrations).get("seeds")
    seed = seeds[0] if seeds else EVALUATION_SEED
    acts: dict[str, Act] = {name: _acts_of(policy) for name, policy in policies.items()}
    if seeds:
        acts["expert"] = _recorded_actions(demonstrations)
    else:
        say("no film of the expert: the file does not say from which seeds its episodes start")
    films: dict[str, Path] = {}
    for name, act in acts.items():
        path = folder / f"{name}.mp4"
        n_episodes = _SHORT_EPISODES if isinstance(policies.get(name), RandomPolicy) else 1
        try:
            film_episode(env_id, act, path, seed=seed, n_episodes=n_episodes)
        except RuntimeError as error:
            say(f"no films: {error}")
            return films
        say(f"filmed {path}")
        films[name] = path
    return films


def _acts_of(policy: Policy) -> Act:
    return lambda obs, _: policy.predict(obs, deterministic=True)[0]


def _recorded_actions(demonstrations: Path) -> Act:
    """The actions of the first episode; where it outlives the recording, the last one is held."""
    acts = load_demonstrations(demonstrations)[0].acts
    return lambda _, step: acts[min(step, len(acts) - 1)]
