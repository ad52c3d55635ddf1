"""Checkpoints from which a run goes on after it was killed."""
