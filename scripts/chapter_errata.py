"""The chapter's errors as an experiment: as printed, corrected, and this package's defaults.

Trains each on the same demonstrations and draws the chapter's two panels for each:

    python scripts/chapter_errata.py --seeds 0 1 2 --steps 200000

writes docs/results/chapter_errata.json and docs/images/chapter_errata.png. One seed takes about
five minutes on one core.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch as th
from matplotlib.figure import Figure
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.utils import set_random_seed

import sb3_gail_ext as sg
from sb3_gail_ext.chapter import CHAPTER_GENERATORS
from sb3_gail_ext.demonstrations.cards import expert_returns, package_versions
from sb3_gail_ext.evaluation.plots import draw_returns, draw_rewards, save_figure

ENV_ID = "HopperMuJoCoEnv-v0"
DEMONSTRATIONS = Path("expert_data") / ENV_ID / "deterministic.trpo.Hopper.0.00.npz"
VARIANTS = ("as printed", "corrected", "defaults")


def make_model(variant, seed):
    """The chapter trains in one environment; the defaults are made for eight."""
    if variant == "defaults":
        venv = make_vec_env(ENV_ID, n_envs=8, seed=seed)
        return sg.GAIL("MlpPolicy", venv, DEMONSTRATIONS, seed=seed, device="cpu")
    venv = make_vec_env(ENV_ID, n_envs=1, seed=seed)
    set_random_seed(seed)  # the discriminator is made before SB3 seeds anything
    name = "printed" if variant == "as printed" else "corrected"
    trainer = sg.adversarial(CHAPTER_GENERATORS[name])
    return trainer(
        env=venv,
        demonstrations=DEMONSTRATIONS,
        seed=seed,
        device="cpu",
        **sg.chapter_gail_kwargs(name, venv),
    )


def train(variant, seed, steps):
    expert = sg.load_demonstrations(DEMONSTRATIONS, limit=1)[0]
    curve = sg.ChapterFigureCallback(ENV_ID, expert, every=max(steps // 10, 1))
    model = make_model(variant, seed)
    head_before = action_head(model)
    model.learn(steps, callback=curve)
    final = sg.evaluate(model, ENV_ID, 100)
    return {
        "variant": variant,
        "seed": seed,
        "steps": curve.steps,
        "returns": curve.returns,
        "final_return_mean": float(final.mean()),
        "final_return_median": float(np.median(final)),
        "action_head_moved": float((action_head(model) - head_before).abs().max()),
        "agent_rewards": curve.agent_rewards.tolist(),
        "expert_rewards": curve.expert_rewards.tolist(),
    }


def action_head(model):
    """The weights of the layer that gives the action's mean, flat."""
    return th.nn.utils.parameters_to_vector(model.policy.action_net.parameters()).detach().clone()


def draw(runs, expert_return, path):
    figure = Figure(figsize=(11, 10), layout="constrained")
    for row, variant in zip(figure.subplots(len(VARIANTS), 2), VARIANTS, strict=True):
        of_variant = [run for run in runs if run["variant"] == variant]
        steps = of_variant[0]["steps"]
        draw_returns(
            row[0], steps, [run["returns"] for run in of_variant], expert_return=expert_return
        )
        draw_rewards(row[1], of_variant[0]["agent_rewards"], of_variant[0]["expert_rewards"])
        row[0].set_title(f"{variant}: agent, {len(of_variant)} seeds")
        row[0].set_ylim(0, 1.3 * expert_return)  # the ten test starts are kinder than the 100
        row[1].set_title(f"{variant}: discriminator's reward")
    save_figure(figure, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    arguments = parser.parse_args()
    th.set_num_threads(1)
    expert_return = float(expert_returns(DEMONSTRATIONS, ENV_ID, 100).returns.mean())
    runs = []
    for seed in arguments.seeds:
        for variant in VARIANTS:
            runs.append(train(variant, seed, arguments.steps))
            print(f"{variant}, seed {seed}: return {runs[-1]['final_return_mean']:.0f}", flush=True)
    draw(runs, expert_return, arguments.out / "images/chapter_errata.png")
    for run in runs:  # the rewards are in the picture
        del run["agent_rewards"], run["expert_rewards"]
    result = {
        "command": " ".join(["python", *sys.argv]),
        "demonstrations": str(DEMONSTRATIONS),
        "expert_return_mean": expert_return,
        "runs": runs,
        "versions": package_versions(),
    }
    path = arguments.out / "results/chapter_errata.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
