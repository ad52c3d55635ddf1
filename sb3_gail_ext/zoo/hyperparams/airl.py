"""AIRL's, for the zoo: as long as GAIL."""

from sb3_gail_ext.presets.preset import BASES
from sb3_gail_ext.zoo.hyperparams import for_every_env

hyperparams = for_every_env(BASES["gail"].n_timesteps, BASES["gail"].n_envs)
