"""Imitate with discrete actions: BC, GAIL, AIRL and SQIL on CartPole and the Lunar Lander.

    python scripts/discrete_actions.py --seeds 0 1 2

prints a row for each run and writes docs/results/discrete_actions.json. The experts are rules
written by hand, the Lander's is Gymnasium's own, so nothing has to be trained first; each plays ten
episodes. One seed takes about ten minutes on one core. (`pip install sb3_gail_ext[box2d]`.)
"""

import argparse
import json
import sys
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium.envs.box2d.lunar_lander import heuristic
from stable_baselines3.common.env_util import make_vec_env

import sb3_gail_ext as sg
from sb3_gail_ext.demonstrations.cards import package_versions

LANDER = next(name for name in ("LunarLander-v3", "LunarLander-v2") if name in gym.registry)
N_DEMONSTRATIONS = 10
STEPS = {  # of the environment; BC takes none
    "CartPole-v1": {"GAIL": 50_000, "AIRL": 50_000, "SQIL": 20_000},
    LANDER: {"GAIL": 300_000, "AIRL": 300_000, "SQIL": 100_000},
}


class Rule:
    """A policy that is a function of one observation."""

    def __init__(self, function):
        self.function = function

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return np.array([self.function(obs) for obs in observation]), None


def expert_of(env_id):
    if env_id == LANDER:
        lander = gym.make(LANDER).unwrapped
        return Rule(lambda obs: heuristic(lander, obs))
    return Rule(lambda obs: int(obs[2] + 0.4 * obs[3] + 0.1 * obs[1] + 0.05 * obs[0] > 0))


def train(method, env_id, demonstrations, seed):
    if method == "BC":
        model = sg.BC("MlpPolicy", env_id, demonstrations, seed=seed, device="cpu")
        return model.learn()
    n_envs = 1 if method == "SQIL" else 8
    venv = make_vec_env(env_id, n_envs=n_envs, seed=seed)
    model = getattr(sg, method)("MlpPolicy", venv, demonstrations, seed=seed, device="cpu")
    return model.learn(STEPS[env_id][method])


def measure(method, env_id, seed):
    demonstrations = sg.record_demonstrations(
        expert_of(env_id), env_id, N_DEMONSTRATIONS, seed=1_000 + seed * N_DEMONSTRATIONS
    )
    started = time.perf_counter()
    model = train(method, env_id, demonstrations, seed)
    seconds = time.perf_counter() - started
    return {
        "env_id": env_id,
        "method": method,
        "seed": seed,
        "steps": STEPS[env_id].get(method, 0),
        "seconds": round(seconds),
        "return_mean": round(float(sg.evaluate(model, env_id, 100).mean()), 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--envs", nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--methods", nargs="+", default=["BC", "GAIL", "AIRL", "SQIL"])
    parser.add_argument("--out", type=Path, default=Path("docs/results/discrete_actions.json"))
    arguments = parser.parse_args()
    th.set_num_threads(1)
    experts = {
        env_id: round(float(sg.evaluate(expert_of(env_id), env_id, 100).mean()), 1)
        for env_id in arguments.envs
    }
    print(f"experts: {experts}")
    rows = []
    for seed in arguments.seeds:
        for env_id in arguments.envs:
            for method in arguments.methods:
                rows.append(measure(method, env_id, seed))
                print(rows[-1], flush=True)
    content = {
        "command": "python " + " ".join(sys.argv),
        "versions": package_versions(),
        "experts": experts,
        "runs": rows,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
