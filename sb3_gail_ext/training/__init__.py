"""The parts of one training run, from a demonstration file to a folder of results."""
