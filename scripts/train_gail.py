"""Imitate demonstrations with GAIL: an SB3 script to copy and change."""

from stable_baselines3.common.callbacks import CheckpointCallback
from stable_baselines3.common.env_util import make_vec_env

import sb3_gail_ext as sg

ENV_ID = "HopperMuJoCoEnv-v0"
DEMONSTRATIONS = f"expert_data/{ENV_ID}/deterministic.trpo.Hopper.0.00.npz"

env = make_vec_env(ENV_ID, n_envs=8, seed=0)
model = sg.GAIL("MlpPolicy", env, DEMONSTRATIONS, seed=0, verbose=1)
model.learn(
    total_timesteps=300_000,
    callback=CheckpointCallback(save_freq=12_500, save_path="runs/train_gail"),
    progress_bar=True,
)
model.save("runs/train_gail/model")

returns = sg.evaluate(model, ENV_ID, n_episodes=100)
print(f"return: mean {returns.mean():.0f}, standard deviation {returns.std():.0f}")
