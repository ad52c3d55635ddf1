"""Imitate demonstrations in few environment steps with DAC: an SB3 script to copy and change."""

import gymnasium as gym

import sb3_gail_ext as sg

ENV_ID = "Hopper-v4"
demonstrations = sg.load_demonstrations(
    f"expert_data/{ENV_ID}/deterministic.trpo.Hopper.0.00.npz", limit=10, seed=0
)

model = sg.DAC("MlpPolicy", gym.make(ENV_ID), demonstrations, seed=0, verbose=1)
keep = sg.KeepBestImitator(ENV_ID, demonstrations, "runs/train_dac/best.zip", every=5_000)
model.learn(total_timesteps=20_000, callback=keep, progress_bar=True)

best = sg.DAC.load("runs/train_dac/best.zip")
returns = sg.evaluate(best, ENV_ID, n_episodes=100)
print(f"return: mean {returns.mean():.0f}, standard deviation {returns.std():.0f}")
