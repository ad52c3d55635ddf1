"""Imitate demonstrations in few environment steps with DAC: an SB3 script to copy and change."""

import gymnasium as gym

import sb3_gail_ext as sg

ENV_ID = "Hopper-v4"
demonstrations = sg.load_demonstrations(
    f"expert_data/{ENV_ID}/deterministic.trpo.Hopper.0.00.npz", limit=10, seed=0
)

model = sg.DAC("MlpPolicy", gym.make(ENV_ID), demonstrations, seed=0, verbose=1)
model.learn(total_timesteps=100_000, progress_bar=True)
model.save("runs/train_dac/model.zip")

returns = sg.evaluate(model, ENV_ID, n_episodes=100)  # of the actor that imitated best
print(f"return: mean {returns.mean():.0f}, standard deviation {returns.std():.0f}")
