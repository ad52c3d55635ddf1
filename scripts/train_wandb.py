"""Imitate demonstrations with GAIL, tracked in W&B: an SB3 script to copy and change.

Needs `pip install 'sb3_gail_ext[wandb]'`; offline where nobody has run `wandb login`.
"""

from stable_baselines3.common.env_util import make_vec_env

import sb3_gail_ext as sg

ENV_ID = "HopperMuJoCoEnv-v0"
DEMONSTRATIONS = f"expert_data/{ENV_ID}/deterministic.trpo.Hopper.0.00.npz"
demonstrations = sg.load_demonstrations(DEMONSTRATIONS, limit=10, seed=0)

model = sg.GAIL("MlpPolicy", make_vec_env(ENV_ID, n_envs=8, seed=0), demonstrations, seed=0)
# Test episodes every 25,000 steps: the chapter's figure, and which model imitates best.
figure = sg.ChapterFigureCallback(
    ENV_ID, demonstrations[0], demonstrations=demonstrations, every=25_000
)
with sg.WandbTracker(folder="runs/train_wandb", demonstrations=DEMONSTRATIONS) as tracker:
    model.learn(total_timesteps=300_000, callback=[figure, tracker], progress_bar=True)
    tracker.log_chapter_plots(figure)
    tracker.log_evaluation(sg.evaluate(model, ENV_ID, n_episodes=100))
    print(tracker.where())
