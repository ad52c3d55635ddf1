"""rl-baselines3-zoo with this package's algorithms: `python -m sb3_gail_ext.zoo`."""
