"""GAIL's, for the zoo."""

from sb3_gail_ext.zoo.hyperparams import from_presets

hyperparams = from_presets("gail")
