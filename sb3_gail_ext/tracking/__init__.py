"""Weights & Biases: one run of its own for each training, evaluation or comparison."""
