"""Hyperparameters as data: a preset per environment, in YAML."""
