"""SQIL's, for the zoo: as long as DAC, off-policy like it."""

from sb3_gail_ext.presets.preset import BASES
from sb3_gail_ext.zoo.hyperparams import for_every_env

hyperparams = for_every_env(BASES["dac"].n_timesteps, BASES["dac"].n_envs)
