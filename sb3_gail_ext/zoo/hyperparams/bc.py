"""BC's, for the zoo: as many draws as `learn` makes by itself; no environment is stepped."""

import inspect

from sb3_gail_ext.algorithms.bc import BC
from sb3_gail_ext.zoo.hyperparams import for_every_env

hyperparams = for_every_env(inspect.signature(BC.learn).parameters["total_timesteps"].default, 1)
